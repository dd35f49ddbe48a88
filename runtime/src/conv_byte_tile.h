/* SPDX-License-Identifier: MIT
 * Four positions times eight channels for AArch64 in byte sums, in assembly. A byte sums
 * products of one channel with every fourth code, is widened to 16 bits before it could
 * overflow, and these to 32 before they could. A step is four codes of depth, eight MLA;
 * between them is loaded what the next one needs. Included by conv_byte_neon.c. */
#ifndef QRT_SRC_CONV_BYTE_TILE_H
#define QRT_SRC_CONV_BYTE_TILE_H

#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverlength-strings"
#endif

/* v0..v3: four codes of each position (x12..x15), four times; v4, v5 and v6, v7 in turns:
 * four codes of weights of four channels each; v16..v19: byte sums of the first four
 * channels, one register a position, v20..v23: of the others; v24..v31: what these were
 * widened to. */
#define QRT_MUL(op, d, x, w) #op " v" #d ".16b, v" #x ".16b, v" #w ".16b\n\t"
#define QRT_WIDEN_BYTES(h, d) "sadalp v" #h ".8h, v" #d ".16b\n\t"
#define QRT_WIDEN_SHORTS(s, h) \
  "sadalp %[" #s "].4s, v" #h ".8h\n\tmovi v" #h ".16b, #0\n\t"
#define QRT_CODES(v, x) "ld1r {v" #v ".4s}, [x" #x "], #4\n\t"
#define QRT_WEIGHTS(a, b) "ldp q" #a ", q" #b ", [%[w]], #64\n\t"

/* clang-format off */
/* One step with the weights in a and b; the next one's go to c and d. */
#define QRT_STEP(op, a, b, c, d)                                                \
  QRT_MUL(op, 16, 0, a) QRT_WEIGHTS(c, d) QRT_MUL(op, 17, 1, a)                 \
  QRT_MUL(op, 18, 2, a) QRT_MUL(op, 19, 3, a)                                   \
  QRT_MUL(op, 20, 0, b) QRT_CODES(0, 12) QRT_MUL(op, 21, 1, b) QRT_CODES(1, 13) \
  QRT_MUL(op, 22, 2, b) QRT_CODES(2, 14) QRT_MUL(op, 23, 3, b) QRT_CODES(3, 15)

#define QRT_WIDEN_ALL_SHORTS                                                       \
  QRT_WIDEN_SHORTS(s0, 24) QRT_WIDEN_SHORTS(s1, 25) QRT_WIDEN_SHORTS(s2, 26)       \
  QRT_WIDEN_SHORTS(s3, 27) QRT_WIDEN_SHORTS(s4, 28) QRT_WIDEN_SHORTS(s5, 29)       \
  QRT_WIDEN_SHORTS(s6, 30) QRT_WIDEN_SHORTS(s7, 31)
/* clang-format on */

/* The walk over the codes of a tile. Steps are even numbers and not 0. */
typedef struct {
  int64_t segments;
  int64_t steps; /* of a segment */
  int64_t most;  /* that bytes hold */
  /* Bytes from a segment's last code or weight to the next one's first. */
  int64_t code_gap, weight_gap;
} qrt_byte_walk;

/* 16 bits hold so many pairs of byte sums. */
#define QRT_BYTE_PAIRS "128"

/* sums[4 i], sums[4 i + 1]: position i with the first and the other four channels, which
 * begin with `low` and `high`. The panel holds sixteen channels. */
QRT_INLINE void multiply_eight(const qrt_byte_walk* walk, const int8_t* const* rows,
                               const int8_t* w, int32x4_t low, int32x4_t high,
                               int32x4_t* sums) {
  int32x4_t s0 = low, s1 = low, s2 = low, s3 = low;
  int32x4_t s4 = high, s5 = high, s6 = high, s7 = high;
  int64_t segments = walk->segments, left, n, pairs;
  __asm__(
      "ldp x12, x13, [%[rows]]\n\t"
      "ldp x14, x15, [%[rows], #16]\n\t"
      QRT_WEIGHTS(4, 5)
      "movi v24.16b, #0\n\tmovi v25.16b, #0\n\t"
      QRT_CODES(0, 12)
      "movi v26.16b, #0\n\tmovi v27.16b, #0\n\t"
      QRT_CODES(1, 13)
      "movi v28.16b, #0\n\tmovi v29.16b, #0\n\t"
      QRT_CODES(2, 14)
      "movi v30.16b, #0\n\tmovi v31.16b, #0\n\t"
      QRT_CODES(3, 15)
      "mov %[pairs], #" QRT_BYTE_PAIRS "\n\t"
      "cmp %[steps], %[most]\n\t"
      "csel %[n], %[steps], %[most], lt\n\t"
      "sub %[left], %[steps], %[n]\n\t"
      "b 1f\n\t"
      /* Bytes are full: they are widened while the next ones' first step loads. */
      "0:\n\t"
      QRT_WIDEN_BYTES(24, 16) QRT_WEIGHTS(4, 5) QRT_WIDEN_BYTES(25, 17)
      "subs %[pairs], %[pairs], #1\n\t" QRT_WIDEN_BYTES(26, 18)
      "sub %[left], %[left], %[n]\n\t" QRT_WIDEN_BYTES(27, 19)
      QRT_WIDEN_BYTES(28, 20) QRT_CODES(0, 12) QRT_WIDEN_BYTES(29, 21) QRT_CODES(1, 13)
      QRT_WIDEN_BYTES(30, 22) QRT_CODES(2, 14) QRT_WIDEN_BYTES(31, 23) QRT_CODES(3, 15)
      "b.ne 1f\n\t"
      QRT_WIDEN_ALL_SHORTS
      "mov %[pairs], #" QRT_BYTE_PAIRS "\n\t"
      "1:\n\t"
      QRT_STEP(mul, 4, 5, 6, 7)
      "subs %[n], %[n], #2\n\t"
      "b.eq 3f\n\t"
      "2:\n\t"
      QRT_STEP(mla, 6, 7, 4, 5)
      "subs %[n], %[n], #2\n\t"
      QRT_STEP(mla, 4, 5, 6, 7)
      "b.ne 2b\n\t"
      "3:\n\t"
      QRT_MUL(mla, 16, 0, 6) "cmp %[left], %[most]\n\t" QRT_MUL(mla, 17, 1, 6)
      "csel %[n], %[left], %[most], lt\n\t" QRT_MUL(mla, 18, 2, 6)
      QRT_MUL(mla, 19, 3, 6) QRT_MUL(mla, 20, 0, 7) QRT_MUL(mla, 21, 1, 7)
      QRT_MUL(mla, 22, 2, 7) QRT_MUL(mla, 23, 3, 7)
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
      QRT_WIDEN_BYTES(24, 16) QRT_WIDEN_BYTES(25, 17) QRT_WIDEN_BYTES(26, 18)
      QRT_WIDEN_BYTES(27, 19) QRT_WIDEN_BYTES(28, 20) QRT_WIDEN_BYTES(29, 21)
      QRT_WIDEN_BYTES(30, 22) QRT_WIDEN_BYTES(31, 23)
      QRT_WIDEN_ALL_SHORTS
      : [s0] "+w"(s0), [s1] "+w"(s1), [s2] "+w"(s2), [s3] "+w"(s3), [s4] "+w"(s4),
        [s5] "+w"(s5), [s6] "+w"(s6), [s7] "+w"(s7), [w] "+&r"(w), [segments] "+&r"(segments),
        [left] "=&r"(left), [n] "=&r"(n), [pairs] "=&r"(pairs)
      : [rows] "r"(rows), [steps] "r"(walk->steps), [most] "r"(walk->most),
        [code_gap] "r"(walk->code_gap), [weight_gap] "r"(walk->weight_gap)
      : "x12", "x13", "x14", "x15", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v16",
        "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27",
        "v28", "v29", "v30", "v31", "cc", "memory");
  sums[0] = s0, sums[1] = s4;
  sums[4] = s1, sums[5] = s5;
  sums[8] = s2, sums[9] = s6;
  sums[12] = s3, sums[13] = s7;
}

#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

#endif /* QRT_SRC_CONV_BYTE_TILE_H */
