/* SPDX-License-Identifier: MIT
 * Four positions times eight channels for AArch64 in byte sums, in assembly. A byte sums
 * products of one channel with every fourth code, is widened to 16 bits before it could
 * overflow, and these to 32 before they could. A step is four codes of depth, eight MLA.
 * Included by conv_byte_neon.c. */
#ifndef QRT_SRC_CONV_BYTE_TILE_H
#define QRT_SRC_CONV_BYTE_TILE_H

/* v24..v31: what v16..v23 were widened to. */
#define QRT_MUL(op, d, x, w) #op " v" #d ".16b, v" #x ".16b, v" #w ".16b\n\t"
#define QRT_CODES(v, x) "ld1r {v" #v ".4s}, [x" #x "], #4\n\t"
#define QRT_WEIGHTS(a, b) "ldp q" #a ", q" #b ", [%[w]], #64\n\t"
#define QRT_CLEAR(h) "movi v" #h ".16b, #0\n\t"
#define QRT_WIDEN_BYTES(h, d) "sadalp v" #h ".8h, v" #d ".16b\n\t"
#define QRT_WIDEN_SHORTS(s, h) "sadalp %[" #s "].4s, v" #h ".8h\n\t" QRT_CLEAR(h)

#include "conv_walk_neon.h"

#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverlength-strings"
#endif

/* 16 bits hold so many pairs of byte sums. */
#define QRT_BYTE_PAIRS "128"

/* clang-format off */
#define QRT_WIDEN_ALL_SHORTS                                                 \
  QRT_WIDEN_SHORTS(s0, 24) QRT_WIDEN_SHORTS(s1, 25) QRT_WIDEN_SHORTS(s2, 26) \
  QRT_WIDEN_SHORTS(s3, 27) QRT_WIDEN_SHORTS(s4, 28) QRT_WIDEN_SHORTS(s5, 29) \
  QRT_WIDEN_SHORTS(s6, 30) QRT_WIDEN_SHORTS(s7, 31)
/* clang-format on */

/* sums[4 i], sums[4 i + 1]: position i with the first and the other four channels, which
 * begin with `low` and `high`. The panel holds sixteen channels. */
QRT_INLINE void multiply_eight(const qrt_conv_walk* walk, const int8_t* const* rows,
                               const int8_t* w, int32x4_t low, int32x4_t high,
                               int32x4_t* sums) {
  int32x4_t s0 = low, s1 = low, s2 = low, s3 = low;
  int32x4_t s4 = high, s5 = high, s6 = high, s7 = high;
  int64_t segments = walk->segments, left, n, pairs;
  /* clang-format off */
  __asm__(
      QRT_FIRST_POSITIONS
      QRT_WEIGHTS(4, 5)
      QRT_CLEAR(24) QRT_CLEAR(25) QRT_CODES(0, 12) QRT_CLEAR(26) QRT_CLEAR(27)
      QRT_CODES(1, 13) QRT_CLEAR(28) QRT_CLEAR(29) QRT_CODES(2, 14)
      QRT_CLEAR(30) QRT_CLEAR(31) QRT_CODES(3, 15)
      "mov %[pairs], #" QRT_BYTE_PAIRS "\n\t"
      QRT_FIRST_STEPS
      "b 1f\n\t"
      "0:\n\t"
      QRT_WIDEN_BYTES(24, 16) QRT_WEIGHTS(4, 5) QRT_WIDEN_BYTES(25, 17)
      "subs %[pairs], %[pairs], #1\n\t" QRT_WIDEN_BYTES(26, 18)
      "sub %[left], %[left], %[n]\n\t" QRT_WIDEN_BYTES(27, 19)
      QRT_WIDEN_BYTES(28, 20) QRT_CODES(0, 12) QRT_WIDEN_BYTES(29, 21) QRT_CODES(1, 13)
      QRT_WIDEN_BYTES(30, 22) QRT_CODES(2, 14) QRT_WIDEN_BYTES(31, 23) QRT_CODES(3, 15)
      "b.ne 1f\n\t"
      QRT_WIDEN_ALL_SHORTS
      "mov %[pairs], #" QRT_BYTE_PAIRS "\n\t"
      QRT_WALK(mul, mla)
      QRT_WIDEN_BYTES(24, 16) QRT_WIDEN_BYTES(25, 17) QRT_WIDEN_BYTES(26, 18)
      QRT_WIDEN_BYTES(27, 19) QRT_WIDEN_BYTES(28, 20) QRT_WIDEN_BYTES(29, 21)
      QRT_WIDEN_BYTES(30, 22) QRT_WIDEN_BYTES(31, 23)
      QRT_WIDEN_ALL_SHORTS
      : QRT_WALK_SUMS, [pairs] "=&r"(pairs)
      : QRT_WALK_INPUTS
      : QRT_WALK_CLOBBERS, "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31");
  /* clang-format on */
  sums[0] = s0, sums[1] = s4;
  sums[4] = s1, sums[5] = s5;
  sums[8] = s2, sums[9] = s6;
  sums[12] = s3, sums[13] = s7;
}

#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

#endif /* QRT_SRC_CONV_BYTE_TILE_H */
