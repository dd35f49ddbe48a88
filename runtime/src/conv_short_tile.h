/* SPDX-License-Identifier: MIT
 * Four positions times eight channels for AArch64 in short sums, in assembly. A 16-bit
 * lane sums products of one channel with every other code. A step is two codes of depth,
 * eight SMLAL; loads of 64 bits between them are what cores that issue in order issue
 * beside a multiplication. Included by conv_short_neon.c. */
#ifndef QRT_SRC_CONV_SHORT_TILE_H
#define QRT_SRC_CONV_SHORT_TILE_H

#define QRT_MUL(op, d, x, w) #op " v" #d ".8h, v" #x ".8b, v" #w ".8b\n\t"
#define QRT_CODES(v, x) "ld1r {v" #v ".4h}, [x" #x "], #2\n\t"
#define QRT_WEIGHTS(a, b) "ldp d" #a ", d" #b ", [%[w]], #16\n\t"
#define QRT_WIDEN_SHORT(s, d) "sadalp %[" #s "].4s, v" #d ".8h\n\t"

#include "conv_walk_neon.h"

#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverlength-strings"
#endif

/* sums[4 i], sums[4 i + 1]: position i with the first and the other four channels, which
 * begin with `low` and `high`. */
QRT_INLINE void multiply_eight(const qrt_conv_walk* walk, const int8_t* const* rows,
                               const int8_t* w, int32x4_t low, int32x4_t high,
                               int32x4_t* sums) {
  int32x4_t s0 = low, s1 = low, s2 = low, s3 = low;
  int32x4_t s4 = high, s5 = high, s6 = high, s7 = high;
  int64_t segments = walk->segments, left, n;
  /* clang-format off */
  __asm__(
      QRT_FIRST_POSITIONS
      QRT_WEIGHTS(4, 5)
      QRT_CODES(0, 12) QRT_CODES(1, 13) QRT_CODES(2, 14) QRT_CODES(3, 15)
      QRT_FIRST_STEPS
      "b 1f\n\t"
      "0:\n\t"
      QRT_WIDEN_SHORT(s0, 16) QRT_WEIGHTS(4, 5) QRT_WIDEN_SHORT(s1, 17)
      QRT_WIDEN_SHORT(s2, 18) QRT_CODES(0, 12) QRT_WIDEN_SHORT(s3, 19) QRT_CODES(1, 13)
      QRT_WIDEN_SHORT(s4, 20) QRT_CODES(2, 14) QRT_WIDEN_SHORT(s5, 21) QRT_CODES(3, 15)
      QRT_WIDEN_SHORT(s6, 22) "sub %[left], %[left], %[n]\n\t" QRT_WIDEN_SHORT(s7, 23)
      QRT_WALK(smull, smlal)
      QRT_WIDEN_SHORT(s0, 16) QRT_WIDEN_SHORT(s1, 17) QRT_WIDEN_SHORT(s2, 18)
      QRT_WIDEN_SHORT(s3, 19) QRT_WIDEN_SHORT(s4, 20) QRT_WIDEN_SHORT(s5, 21)
      QRT_WIDEN_SHORT(s6, 22) QRT_WIDEN_SHORT(s7, 23)
      : QRT_WALK_SUMS
      : QRT_WALK_INPUTS
      : QRT_WALK_CLOBBERS);
  /* clang-format on */
  sums[0] = s0, sums[1] = s4;
  sums[4] = s1, sums[5] = s5;
  sums[8] = s2, sums[9] = s6;
  sums[12] = s3, sums[13] = s7;
}

#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

#endif /* QRT_SRC_CONV_SHORT_TILE_H */
