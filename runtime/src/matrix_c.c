/* SPDX-License-Identifier: MIT
 * The int8 matrix kernels in plain C: centred 16-bit lanes, which compilers turn into
 * multiply-add instructions where the machine has them. */
#include <stdint.h>

typedef int16_t qrt_lane;
typedef int32_t qrt_acc;
#define QRT_CENTRED 1
#define QRT_TILE_ROWS 2

#include "matrix.h"

static void widen(qrt_lane* lanes, const int8_t* codes, size_t count, int32_t zero) {
  size_t i;
  for (i = 0; i < count; ++i) lanes[i] = (qrt_lane)(codes[i] - zero);
}

static void dot_row(const qrt_lane* x, const qrt_lane* const* w, size_t depth, int narrow,
                    qrt_acc* acc) {
  const qrt_lane *w0 = w[0], *w1 = w[1], *w2 = w[2], *w3 = w[3];
  int32_t a0 = 0, a1 = 0, a2 = 0, a3 = 0;
  size_t k;
  (void)narrow;
  for (k = 0; k < depth; ++k) {
    a0 += x[k] * w0[k];
    a1 += x[k] * w1[k];
    a2 += x[k] * w2[k];
    a3 += x[k] * w3[k];
  }
  acc[0] = a0;
  acc[1] = a1;
  acc[2] = a2;
  acc[3] = a3;
}

static void dot_tile(const qrt_lane* const* x, const qrt_lane* const* w, size_t depth,
                     int narrow, qrt_acc* acc) {
  const qrt_lane *x0 = x[0], *x1 = x[1];
  const qrt_lane *w0 = w[0], *w1 = w[1], *w2 = w[2], *w3 = w[3];
  int32_t a0 = 0, a1 = 0, a2 = 0, a3 = 0, b0 = 0, b1 = 0, b2 = 0, b3 = 0;
  size_t k;
  (void)narrow;
  for (k = 0; k < depth; ++k) {
    a0 += x0[k] * w0[k];
    a1 += x0[k] * w1[k];
    a2 += x0[k] * w2[k];
    a3 += x0[k] * w3[k];
    b0 += x1[k] * w0[k];
    b1 += x1[k] * w1[k];
    b2 += x1[k] * w2[k];
    b3 += x1[k] * w3[k];
  }
  acc[0] = a0;
  acc[1] = a1;
  acc[2] = a2;
  acc[3] = a3;
  acc[4] = b0;
  acc[5] = b1;
  acc[6] = b2;
  acc[7] = b3;
}

static void finish(const qrt_tile* tile, const qrt_acc* acc, int32_t* y) {
  size_t i;
  for (i = 0; i < QRT_COLUMNS; ++i) {
    const int32_t sum = qrt_accumulate(acc[i], tile->base[i], tile->shift[i]);
    const int32_t q =
        qrt_requant(sum, tile->multiplier[i], qrt_right_shift(tile->shift[i]));
    y[i] = qrt_finish(q, tile->y_zero, tile->lo, tile->hi);
  }
}

QRT_DEFINE_CONV2D(qrt_conv2d_s8_c)
QRT_DEFINE_CONV_TRANSPOSE2D(qrt_conv_transpose2d_s8_c)
QRT_DEFINE_MATMUL(qrt_matmul_s8_c)
