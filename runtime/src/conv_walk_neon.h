/* SPDX-License-Identifier: MIT
 * How tiles in assembly walk over the codes of four positions with eight channels in
 * sums that are widened before they could overflow (short and byte sums). A step is a
 * few codes of depth; between its eight multiplications is loaded what the next one
 * needs. The including file provides, after conv_neon.h and before this header,
 *   QRT_MUL(op, d, x, w)  one multiplication of vd by the codes in vx and weights in vw
 *   QRT_CODES(v, x)       a step's codes of one position, xN moved on
 *   QRT_WEIGHTS(a, b)     a step's weights, four channels each, %[w] moved on
 * v0..v3: codes of each position (x12..x15); v4, v5 and v6, v7 in turns: weights; v16 to
 * v19: sums of the first four channels, one register a position, v20 to v23: of the
 * others. Included by conv_short_neon.c and conv_byte_neon.c. */
#ifndef QRT_SRC_CONV_WALK_NEON_H
#define QRT_SRC_CONV_WALK_NEON_H

/* The walk over the codes of a tile. Steps are even numbers and not 0. */
typedef struct {
  int64_t segments;
  int64_t steps; /* of a segment */
  int64_t most;  /* that sums hold */
  /* Bytes from a segment's last code or weight to the next one's first. */
  int64_t code_gap, weight_gap;
} qrt_conv_walk;

/* Steps of `depth` codes each; sums hold `greatest`, and a step adds `product` to them at
 * most; a panel holds `channels`. */
QRT_INLINE qrt_conv_walk walk_of(const qrt_conv_tile* tile, size_t depth,
                                 int32_t greatest, int32_t product, size_t channels) {
  const size_t codes = tile->length - tile->half / 2;
  qrt_conv_walk walk;
  walk.segments = (int64_t)tile->segments;
  walk.steps = (int64_t)(codes / depth);
  walk.most = greatest / product / 2 * 2;
  walk.code_gap = (int64_t)tile->pitch - (int64_t)codes;
  walk.weight_gap = (int64_t)(channels * (tile->length - codes));
  return walk;
}

/* clang-format off */
/* One step with the weights in a and b; the next one's go to c and d. */
#define QRT_STEP(op, a, b, c, d)                                                \
  QRT_MUL(op, 16, 0, a) QRT_WEIGHTS(c, d) QRT_MUL(op, 17, 1, a)                 \
  QRT_MUL(op, 18, 2, a) QRT_MUL(op, 19, 3, a)                                   \
  QRT_MUL(op, 20, 0, b) QRT_CODES(0, 12) QRT_MUL(op, 21, 1, b) QRT_CODES(1, 13) \
  QRT_MUL(op, 22, 2, b) QRT_CODES(2, 14) QRT_MUL(op, 23, 3, b) QRT_CODES(3, 15)

/* Where the first step's weights and codes have to be, and `left` and `n`: the steps
 * after and before the first widening. */
#define QRT_FIRST_POSITIONS        \
  "ldp x12, x13, [%[rows]]\n\t"    \
  "ldp x14, x15, [%[rows], #16]\n\t"
#define QRT_FIRST_STEPS                     \
  "cmp %[steps], %[most]\n\t"               \
  "csel %[n], %[steps], %[most], lt\n\t"    \
  "sub %[left], %[steps], %[n]\n\t"

/* From label 1 on: steps until sums are full, then back to label 0, which widens them,
 * loads the next step's operands and takes n off `left`. `first` begins sums, `next` adds
 * to them. */
#define QRT_WALK(first, next)                                                   \
  "1:\n\t"                                                                      \
  QRT_STEP(first, 4, 5, 6, 7)                                                   \
  "subs %[n], %[n], #2\n\t"                                                     \
  "b.eq 3f\n\t"                                                                 \
  "2:\n\t"                                                                      \
  QRT_STEP(next, 6, 7, 4, 5)                                                    \
  "subs %[n], %[n], #2\n\t"                                                     \
  QRT_STEP(next, 4, 5, 6, 7)                                                    \
  "b.ne 2b\n\t"                                                                 \
  "3:\n\t"                                                                      \
  QRT_MUL(next, 16, 0, 6) "cmp %[left], %[most]\n\t" QRT_MUL(next, 17, 1, 6)    \
  "csel %[n], %[left], %[most], lt\n\t" QRT_MUL(next, 18, 2, 6)                 \
  QRT_MUL(next, 19, 3, 6) QRT_MUL(next, 20, 0, 7) QRT_MUL(next, 21, 1, 7)       \
  QRT_MUL(next, 22, 2, 7) QRT_MUL(next, 23, 3, 7)                               \
  "cbnz %[left], 0b\n\t"                                                        \
  "cmp %[steps], %[most]\n\t"                                                   \
  "mov %[left], %[steps]\n\t"                                                   \
  "csel %[n], %[steps], %[most], lt\n\t"                                        \
  "add x12, x12, %[code_gap]\n\t"                                               \
  "add x13, x13, %[code_gap]\n\t"                                               \
  "add x14, x14, %[code_gap]\n\t"                                               \
  "add x15, x15, %[code_gap]\n\t"                                               \
  "add %[w], %[w], %[weight_gap]\n\t"                                           \
  "subs %[segments], %[segments], #1\n\t"                                       \
  "b.ne 0b\n\t"

/* Sums of 32 bits and operands of the walk, as the assembly names them. */
#define QRT_WALK_SUMS                                                           \
  [s0] "+w"(s0), [s1] "+w"(s1), [s2] "+w"(s2), [s3] "+w"(s3), [s4] "+w"(s4),    \
  [s5] "+w"(s5), [s6] "+w"(s6), [s7] "+w"(s7), [w] "+&r"(w),                    \
  [segments] "+&r"(segments), [left] "=&r"(left), [n] "=&r"(n)
#define QRT_WALK_INPUTS                                                         \
  [rows] "r"(rows), [steps] "r"(walk->steps), [most] "r"(walk->most),           \
  [code_gap] "r"(walk->code_gap), [weight_gap] "r"(walk->weight_gap)
#define QRT_WALK_CLOBBERS                                                       \
  "x12", "x13", "x14", "x15", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7",   \
  "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "cc", "memory"
/* clang-format on */

#endif /* QRT_SRC_CONV_WALK_NEON_H */
