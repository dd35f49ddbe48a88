/* SPDX-License-Identifier: MIT
 * Direct int8 convolution for Armv8.0: SMULL, SMLAL2, SADALP over 16 codes of depth, four
 * positions by four channels in 16 accumulators. Two products of -128 * -128 in one
 * 16-bit lane would overflow, so weights that hold -128 are widened one product at a
 * time. */
#include "qrt/qrt.h"

#if QRT_HAS_neon

#define QRT_TILE_COLUMNS 4
#define QRT_PANELS 0
#define QRT_WEIGHT_OFFSET 0

#include "conv_neon.h"

QRT_INLINE int32x4_t dot16(int32x4_t acc, int8x16_t x, int8x16_t w, int narrow) {
  const int16x8_t low = vmull_s8(vget_low_s8(x), vget_low_s8(w));
  if (narrow) return vpadalq_s16(acc, vmlal_high_s8(low, x, w));
  return vpadalq_s16(vpadalq_s16(acc, low), vmull_high_s8(x, w));
}

QRT_INLINE int32x4_t add_across(int32x4_t a, int32x4_t b, int32x4_t c, int32x4_t d) {
  return vpaddq_s32(vpaddq_s32(a, b), vpaddq_s32(c, d));
}

/* sums[i]: position i with the four channels. */
QRT_INLINE void multiply_four(const qrt_conv_tile* tile, const int8_t* const* rows,
                              int narrow, int32x4_t* sums) {
  const int8_t *x0 = rows[0], *x1 = rows[1], *x2 = rows[2], *x3 = rows[3];
  const int8_t *w0 = tile->w[0], *w1 = tile->w[1], *w2 = tile->w[2], *w3 = tile->w[3];
  const size_t length = tile->length, pitch = tile->pitch;
  size_t segment, k;
  int32x4_t a0 = vdupq_n_s32(0), a1 = a0, a2 = a0, a3 = a0;
  int32x4_t b0 = a0, b1 = a0, b2 = a0, b3 = a0;
  int32x4_t c0 = a0, c1 = a0, c2 = a0, c3 = a0;
  int32x4_t d0 = a0, d1 = a0, d2 = a0, d3 = a0;
  for (segment = tile->segments; segment > 0; --segment) {
    for (k = 0; k < length; k += 16) {
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
    x0 += pitch, x1 += pitch, x2 += pitch, x3 += pitch;
    w0 += length, w1 += length, w2 += length, w3 += length;
  }
  sums[0] = add_across(a0, a1, a2, a3);
  sums[1] = add_across(b0, b1, b2, b3);
  sums[2] = add_across(c0, c1, c2, c3);
  sums[3] = add_across(d0, d1, d2, d3);
}

/* Four whole rows of four int8 codes. */
QRT_INLINE void store_four(const qrt_conv_tile* tile, size_t first, int any_left,
                           const int32x4_t* sums) {
  const qrt_neon_result r = load_result(tile, 0);
  const size_t step = tile->y_step;
  int8_t* y = (int8_t*)tile->y + first * step;
  const int32x4_t codes = vreinterpretq_s32_s8(finish_codes(
      tile, requant_sums(&r, sums[0], any_left), requant_sums(&r, sums[1], any_left),
      requant_sums(&r, sums[2], any_left), requant_sums(&r, sums[3], any_left)));
  const int32_t a = vgetq_lane_s32(codes, 0), b = vgetq_lane_s32(codes, 1);
  const int32_t c = vgetq_lane_s32(codes, 2), d = vgetq_lane_s32(codes, 3);
  memcpy(y, &a, 4);
  memcpy(y + step, &b, 4);
  memcpy(y + 2 * step, &c, 4);
  memcpy(y + 3 * step, &d, 4);
}

/* `narrow` and `any_left` are constants: the loop is compiled four times. */
QRT_INLINE void multiply_whole(const qrt_conv_tile* tile, int narrow, int any_left) {
  int32x4_t sums[4];
  size_t i;
  for (i = 0; i + 4 <= tile->count; i += 4) {
    multiply_four(tile, tile->rows + i, narrow, sums);
    store_four(tile, i, any_left, sums);
  }
}

/* Positions from `first` on, whatever their number and result. */
QRT_NOINLINE static void multiply_rest(const qrt_conv_tile* tile, size_t first) {
  for (; first < tile->count; first += 4) {
    const size_t left = tile->count - first < 4 ? tile->count - first : 4;
    const int8_t* rows[4];
    int32x4_t sums[4];
    size_t i;
    for (i = 0; i < 4; ++i) rows[i] = tile->rows[first + (i < left ? i : 0)];
    if (tile->narrow) {
      multiply_four(tile, rows, 1, sums);
    } else {
      multiply_four(tile, rows, 0, sums);
    }
    for (i = 0; i < left; ++i) store_any(tile, first + i, 0, sums[i]);
  }
}

QRT_NOINLINE static void multiply_tile(const qrt_conv_tile* tile) {
  if (!is_plain(tile) || tile->width < 4) {
    multiply_rest(tile, 0);
    return;
  }
  if (tile->narrow) {
    if (tile->any_left) {
      multiply_whole(tile, 1, 1);
    } else {
      multiply_whole(tile, 1, 0);
    }
  } else if (tile->any_left) {
    multiply_whole(tile, 0, 1);
  } else {
    multiply_whole(tile, 0, 0);
  }
  multiply_rest(tile, tile->count / 4 * 4);
}

QRT_DEFINE_CONV(qrt_conv2d_s8_neon)

#else
typedef int qrt_conv_neon_is_empty;
#endif
