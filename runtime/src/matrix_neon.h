/* SPDX-License-Identifier: MIT
 * The int8 matrix kernels on NEON, around `dot16`, which the including file provides: acc
 * plus 16 products of int8 codes, spread over four lanes in any way. `narrow` is a
 * constant there: the loops are compiled twice. */
#ifndef QRT_SRC_MATRIX_NEON_H
#define QRT_SRC_MATRIX_NEON_H

#include "neon.h"

typedef int8_t qrt_lane;
typedef int32_t qrt_acc;
#define QRT_CENTRED 0
#define QRT_TILE_ROWS 4

#include "matrix.h"

QRT_INLINE int32x4_t dot16(int32x4_t acc, int8x16_t x, int8x16_t w, int narrow);

QRT_INLINE void dot_one(const qrt_lane* x, const qrt_lane* const* w, size_t depth,
                        int narrow, qrt_acc* acc) {
  const qrt_lane *w0 = w[0], *w1 = w[1], *w2 = w[2], *w3 = w[3];
  int32x4_t a0 = vdupq_n_s32(0), a1 = a0, a2 = a0, a3 = a0;
  size_t k;
  for (k = 0; k < depth; k += 16) {
    const int8x16_t codes = vld1q_s8(x + k);
    a0 = dot16(a0, codes, vld1q_s8(w0 + k), narrow);
    a1 = dot16(a1, codes, vld1q_s8(w1 + k), narrow);
    a2 = dot16(a2, codes, vld1q_s8(w2 + k), narrow);
    a3 = dot16(a3, codes, vld1q_s8(w3 + k), narrow);
  }
  vst1q_s32(acc, qrt_neon_add_across(a0, a1, a2, a3));
}

#if QRT_HAS_neon
/* 16 accumulators, 4 rows, 4 columns: 24 of 32 registers. */
QRT_INLINE void dot_four(const qrt_lane* const* x, const qrt_lane* const* w, size_t depth,
                         int narrow, qrt_acc* acc) {
  const qrt_lane *x0 = x[0], *x1 = x[1], *x2 = x[2], *x3 = x[3];
  const qrt_lane *w0 = w[0], *w1 = w[1], *w2 = w[2], *w3 = w[3];
  int32x4_t a0 = vdupq_n_s32(0), a1 = a0, a2 = a0, a3 = a0;
  int32x4_t b0 = a0, b1 = a0, b2 = a0, b3 = a0;
  int32x4_t c0 = a0, c1 = a0, c2 = a0, c3 = a0;
  int32x4_t d0 = a0, d1 = a0, d2 = a0, d3 = a0;
  size_t k;
  for (k = 0; k < depth; k += 16) {
    const int8x16_t v0 = vld1q_s8(w0 + k), v1 = vld1q_s8(w1 + k);
    const int8x16_t v2 = vld1q_s8(w2 + k), v3 = vld1q_s8(w3 + k);
    int8x16_t u = vld1q_s8(x0 + k);
    a0 = dot16(a0, u, v0, narrow);
    a1 = dot16(a1, u, v1, narrow);
    a2 = dot16(a2, u, v2, narrow);
    a3 = dot16(a3, u, v3, narrow);
    u = vld1q_s8(x1 + k);
    b0 = dot16(b0, u, v0, narrow);
    b1 = dot16(b1, u, v1, narrow);
    b2 = dot16(b2, u, v2, narrow);
    b3 = dot16(b3, u, v3, narrow);
    u = vld1q_s8(x2 + k);
    c0 = dot16(c0, u, v0, narrow);
    c1 = dot16(c1, u, v1, narrow);
    c2 = dot16(c2, u, v2, narrow);
    c3 = dot16(c3, u, v3, narrow);
    u = vld1q_s8(x3 + k);
    d0 = dot16(d0, u, v0, narrow);
    d1 = dot16(d1, u, v1, narrow);
    d2 = dot16(d2, u, v2, narrow);
    d3 = dot16(d3, u, v3, narrow);
  }
  vst1q_s32(acc, qrt_neon_add_across(a0, a1, a2, a3));
  vst1q_s32(acc + 4, qrt_neon_add_across(b0, b1, b2, b3));
  vst1q_s32(acc + 8, qrt_neon_add_across(c0, c1, c2, c3));
  vst1q_s32(acc + 12, qrt_neon_add_across(d0, d1, d2, d3));
}
#else
/* 16 registers: two rows at a time. */
QRT_INLINE void dot_pair(const qrt_lane* const* x, const qrt_lane* const* w, size_t depth,
                         int narrow, qrt_acc* acc) {
  const qrt_lane *x0 = x[0], *x1 = x[1];
  const qrt_lane *w0 = w[0], *w1 = w[1], *w2 = w[2], *w3 = w[3];
  int32x4_t a0 = vdupq_n_s32(0), a1 = a0, a2 = a0, a3 = a0;
  int32x4_t b0 = a0, b1 = a0, b2 = a0, b3 = a0;
  size_t k;
  for (k = 0; k < depth; k += 16) {
    const int8x16_t u = vld1q_s8(x0 + k), v = vld1q_s8(x1 + k);
    int8x16_t codes = vld1q_s8(w0 + k);
    a0 = dot16(a0, u, codes, narrow);
    b0 = dot16(b0, v, codes, narrow);
    codes = vld1q_s8(w1 + k);
    a1 = dot16(a1, u, codes, narrow);
    b1 = dot16(b1, v, codes, narrow);
    codes = vld1q_s8(w2 + k);
    a2 = dot16(a2, u, codes, narrow);
    b2 = dot16(b2, v, codes, narrow);
    codes = vld1q_s8(w3 + k);
    a3 = dot16(a3, u, codes, narrow);
    b3 = dot16(b3, v, codes, narrow);
  }
  vst1q_s32(acc, qrt_neon_add_across(a0, a1, a2, a3));
  vst1q_s32(acc + 4, qrt_neon_add_across(b0, b1, b2, b3));
}

QRT_INLINE void dot_four(const qrt_lane* const* x, const qrt_lane* const* w, size_t depth,
                         int narrow, qrt_acc* acc) {
  dot_pair(x, w, depth, narrow, acc);
  dot_pair(x + 2, w, depth, narrow, acc + 8);
}
#endif

static void dot_row(const qrt_lane* x, const qrt_lane* const* w, size_t depth, int narrow,
                    qrt_acc* acc) {
  if (narrow) {
    dot_one(x, w, depth, 1, acc);
  } else {
    dot_one(x, w, depth, 0, acc);
  }
}

static void dot_tile(const qrt_lane* const* x, const qrt_lane* const* w, size_t depth,
                     int narrow, qrt_acc* acc) {
  if (narrow) {
    dot_four(x, w, depth, 1, acc);
  } else {
    dot_four(x, w, depth, 0, acc);
  }
}

static int32_t sum_lanes(const qrt_lane* lanes, size_t depth) {
  int32x4_t sums = vdupq_n_s32(0);
  int32_t parts[4];
  size_t k;
  for (k = 0; k < depth; k += 16)
    sums = vpadalq_s16(sums, vpaddlq_s8(vld1q_s8(lanes + k)));
  vst1q_s32(parts, sums);
  return parts[0] + parts[1] + parts[2] + parts[3];
}

static void finish(const qrt_tile* tile, const qrt_acc* acc, int32_t* y) {
  const int32x4_t q =
      qrt_neon_requant_sums(vld1q_s32(acc), vld1q_s32(tile->base),
                            vld1q_s32(tile->multiplier), vld1q_s32(tile->shift));
  vst1q_s32(y, qrt_neon_finish(q, tile->y_zero, tile->lo, tile->hi));
}

#endif /* QRT_SRC_MATRIX_NEON_H */
