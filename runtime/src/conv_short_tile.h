/* SPDX-License-Identifier: MIT
 * Four positions times eight channels for AArch64 in short sums, in assembly. A 16-bit
 * lane sums products of one channel with every other code and is widened before it could
 * overflow. A step is two codes of depth, eight SMLAL; between them is loaded what the
 * next one needs, by loads of 64 bits, which cores that issue in order issue beside a
 * multiplication. Included by conv_short_neon.c. */
#ifndef QRT_SRC_CONV_SHORT_TILE_H
#define QRT_SRC_CONV_SHORT_TILE_H

#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverlength-strings"
#endif

/* v0..v3: two codes of each position (x12..x15), four times; v4, v5 and v6, v7 in turns:
 * two codes of weights of four channels each; v16..v19: short sums of the first four
 * channels, one register a position, v20..v23: of the others. */
#define QRT_MUL(op, d, x, w) #op " v" #d ".8h, v" #x ".8b, v" #w ".8b\n\t"
#define QRT_WIDEN_SHORT(s, d) "sadalp %[" #s "].4s, v" #d ".8h\n\t"
#define QRT_CODES(v, x) "ld1r {v" #v ".4h}, [x" #x "], #2\n\t"
#define QRT_WEIGHTS(a, b) "ldp d" #a ", d" #b ", [%[w]], #16\n\t"

/* One step with the weights in a and b; the next one's go to c and d. */
#define QRT_STEP(op, a, b, c, d)                                                      \
  QRT_MUL(op, 16, 0, a)                                                               \
  QRT_WEIGHTS(c, d) QRT_MUL(op, 17, 1, a) QRT_MUL(op, 18, 2, a) QRT_MUL(op, 19, 3, a) \
      QRT_MUL(op, 20, 0, b) QRT_CODES(0, 12) QRT_MUL(op, 21, 1, b) QRT_CODES(1, 13)   \
          QRT_MUL(op, 22, 2, b) QRT_CODES(2, 14) QRT_MUL(op, 23, 3, b) QRT_CODES(3, 15)

/* The walk over the codes of a tile. Steps are even numbers and not 0. */
typedef struct {
  int64_t segments;
  int64_t steps; /* of a segment */
  int64_t most;  /* that short sums hold */
  /* Bytes from a segment's last code or weight to the next one's first. */
  int64_t code_gap, weight_gap;
} qrt_short_walk;

/* sums[4 i], sums[4 i + 1]: position i with the first and the other four channels, which
 * begin with `low` and `high`. */
QRT_INLINE void multiply_eight(const qrt_short_walk* walk, const int8_t* const* rows,
                               const int8_t* w, int32x4_t low, int32x4_t high,
                               int32x4_t* sums) {
  int32x4_t s0 = low, s1 = low, s2 = low, s3 = low;
  int32x4_t s4 = high, s5 = high, s6 = high, s7 = high;
  int64_t segments = walk->segments, left, n;
  __asm__(
      "ldp x12, x13, [%[rows]]\n\t"
      "ldp x14, x15, [%[rows], #16]\n\t"
      QRT_WEIGHTS(4, 5)
      "cmp %[steps], %[most]\n\t"
      "csel %[n], %[steps], %[most], lt\n\t"
      QRT_CODES(0, 12) QRT_CODES(1, 13) QRT_CODES(2, 14) QRT_CODES(3, 15)
      "sub %[left], %[steps], %[n]\n\t"
      "b 1f\n\t"
      /* Short sums are full: they are widened while the next ones' first step loads. */
      "0:\n\t"
      QRT_WIDEN_SHORT(s0, 16) QRT_WEIGHTS(4, 5) QRT_WIDEN_SHORT(s1, 17)
      QRT_WIDEN_SHORT(s2, 18) QRT_CODES(0, 12) QRT_WIDEN_SHORT(s3, 19) QRT_CODES(1, 13)
      QRT_WIDEN_SHORT(s4, 20) QRT_CODES(2, 14) QRT_WIDEN_SHORT(s5, 21) QRT_CODES(3, 15)
      QRT_WIDEN_SHORT(s6, 22) "sub %[left], %[left], %[n]\n\t" QRT_WIDEN_SHORT(s7, 23)
      "1:\n\t"
      QRT_STEP(smull, 4, 5, 6, 7)
      "subs %[n], %[n], #2\n\t"
      "b.eq 3f\n\t"
      "2:\n\t"
      QRT_STEP(smlal, 6, 7, 4, 5)
      "subs %[n], %[n], #2\n\t"
      QRT_STEP(smlal, 4, 5, 6, 7)
      "b.ne 2b\n\t"
      "3:\n\t"
      QRT_MUL(smlal, 16, 0, 6) "cmp %[left], %[most]\n\t" QRT_MUL(smlal, 17, 1, 6)
      "csel %[n], %[left], %[most], lt\n\t" QRT_MUL(smlal, 18, 2, 6)
      QRT_MUL(smlal, 19, 3, 6) QRT_MUL(smlal, 20, 0, 7) QRT_MUL(smlal, 21, 1, 7)
      QRT_MUL(smlal, 22, 2, 7) QRT_MUL(smlal, 23, 3, 7)
      "cbnz %[left], 0b\n\t"
      "cmp %[steps], %[most]\n\t"
      "mov %[left], %[steps]\n\t"
      "csel %[n], %[steps], %[most], lt\n\t"
      "add x12, x12, %[code_gap]\n\t"
      "add x13, x13, %[code_gap]\n\t"
      "add x14, x14, %[code_gap]\n\t"
      "add x15, x15, %[code_gap]\n\t"
      "add %[w], %[w], %[weight_gap]\n\t"
      "subs %[segments], %[segments], #1\n\t"
      "b.ne 0b\n\t"
      QRT_WIDEN_SHORT(s0, 16) QRT_WIDEN_SHORT(s1, 17) QRT_WIDEN_SHORT(s2, 18)
      QRT_WIDEN_SHORT(s3, 19) QRT_WIDEN_SHORT(s4, 20) QRT_WIDEN_SHORT(s5, 21)
      QRT_WIDEN_SHORT(s6, 22) QRT_WIDEN_SHORT(s7, 23)
      : [s0] "+w"(s0), [s1] "+w"(s1), [s2] "+w"(s2), [s3] "+w"(s3), [s4] "+w"(s4),
        [s5] "+w"(s5), [s6] "+w"(s6), [s7] "+w"(s7), [w] "+&r"(w), [segments] "+&r"(segments),
        [left] "=&r"(left), [n] "=&r"(n)
      : [rows] "r"(rows), [steps] "r"(walk->steps), [most] "r"(walk->most),
        [code_gap] "r"(walk->code_gap), [weight_gap] "r"(walk->weight_gap)
      : "x12", "x13", "x14", "x15", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v16",
        "v17", "v18", "v19", "v20", "v21", "v22", "v23", "cc", "memory");
  sums[0] = s0, sums[1] = s4;
  sums[4] = s1, sums[5] = s5;
  sums[8] = s2, sums[9] = s6;
  sums[12] = s3, sums[13] = s7;
}

#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

#endif /* QRT_SRC_CONV_SHORT_TILE_H */
