/* SPDX-License-Identifier: MIT
 * The matrix kernels for 16-bit codes and 64-bit accumulators, in plain C. */
#include <stdint.h>

typedef int32_t qrt_lane;
typedef int64_t qrt_acc;
#define QRT_CENTRED 1
#define QRT_TILE_ROWS 1

#include "matrix.h"

static void widen(qrt_lane* lanes, const int8_t* codes, size_t count, int32_t zero) {
  size_t i;
  for (i = 0; i < count; ++i) lanes[i] = (qrt_lane)(codes[i] - zero);
}

static void dot_row(const qrt_lane* x, const qrt_lane* const* w, size_t depth, int narrow,
                    qrt_acc* acc) {
  const qrt_lane *w0 = w[0], *w1 = w[1], *w2 = w[2], *w3 = w[3];
  int64_t a0 = 0, a1 = 0, a2 = 0, a3 = 0;
  size_t k;
  (void)narrow;
  for (k = 0; k < depth; ++k) {
    const int64_t code = x[k];
    a0 += code * w0[k];
    a1 += code * w1[k];
    a2 += code * w2[k];
    a3 += code * w3[k];
  }
  acc[0] = a0;
  acc[1] = a1;
  acc[2] = a2;
  acc[3] = a3;
}

static void dot_tile(const qrt_lane* const* x, const qrt_lane* const* w, size_t depth,
                     int narrow, qrt_acc* acc) {
  dot_row(x[0], w, depth, narrow, acc);
}

static void finish(const qrt_tile* tile, const qrt_acc* acc, int32_t* y) {
  size_t i;
  for (i = 0; i < QRT_COLUMNS; ++i) {
    const int left = tile->shift[i] > 0 ? tile->shift[i] : 0;
    const int64_t sum = acc[i] * ((int64_t)1 << left) + tile->base[i];
    const int32_t q = qrt_requant_any(sum, tile->multiplier[i],
                                      qrt_right_shift(tile->shift[i]), tile->acc64);
    y[i] = qrt_finish(q, tile->y_zero, tile->lo, tile->hi);
  }
}

QRT_DEFINE_CONV2D(qrt_conv2d_wide_c)
QRT_DEFINE_CONV_TRANSPOSE2D(qrt_conv_transpose2d_wide_c)
QRT_DEFINE_MATMUL(qrt_matmul_wide_c)
