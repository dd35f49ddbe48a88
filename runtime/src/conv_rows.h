/* SPDX-License-Identifier: MIT
 * Multiplication of rows of codes with rows of weights, both along their depth: four
 * positions by four channels in 16 accumulators, added across at the end. Needs no panel.
 * The including file provides, before this header, `dot16`: acc plus 16 products, spread
 * over the lanes in any way, and `dot8`: the first 8 of them at least, where the others
 * are zero. Include after conv_neon.h. */
#ifndef QRT_SRC_CONV_ROWS_H
#define QRT_SRC_CONV_ROWS_H

#if QRT_HAS_neon
/* 16 codes of depth at k of four positions with four channels. */
#define QRT_ROWS_STEP(dot)                                        \
  {                                                               \
    const int8x16_t v0 = vld1q_s8(w0 + k), v1 = vld1q_s8(w1 + k); \
    const int8x16_t v2 = vld1q_s8(w2 + k), v3 = vld1q_s8(w3 + k); \
    int8x16_t u = vld1q_s8(x0 + k);                               \
    a0 = dot(a0, u, v0, narrow), a1 = dot(a1, u, v1, narrow);     \
    a2 = dot(a2, u, v2, narrow), a3 = dot(a3, u, v3, narrow);     \
    u = vld1q_s8(x1 + k);                                         \
    b0 = dot(b0, u, v0, narrow), b1 = dot(b1, u, v1, narrow);     \
    b2 = dot(b2, u, v2, narrow), b3 = dot(b3, u, v3, narrow);     \
    u = vld1q_s8(x2 + k);                                         \
    c0 = dot(c0, u, v0, narrow), c1 = dot(c1, u, v1, narrow);     \
    c2 = dot(c2, u, v2, narrow), c3 = dot(c3, u, v3, narrow);     \
    u = vld1q_s8(x3 + k);                                         \
    d0 = dot(d0, u, v0, narrow), d1 = dot(d1, u, v1, narrow);     \
    d2 = dot(d2, u, v2, narrow), d3 = dot(d3, u, v3, narrow);     \
  }

/* sums[i]: position i with the four channels. */
QRT_INLINE void multiply_four(const qrt_conv_tile* tile, const int8_t* const* rows,
                              const int8_t* const* w, int narrow, int32x4_t* sums) {
  const int8_t *x0 = rows[0], *x1 = rows[1], *x2 = rows[2], *x3 = rows[3];
  const int8_t *w0 = w[0], *w1 = w[1], *w2 = w[2], *w3 = w[3];
  const size_t length = tile->length, whole = length - tile->half, pitch = tile->pitch;
  size_t segment, k;
  int32x4_t a0 = vdupq_n_s32(0), a1 = a0, a2 = a0, a3 = a0;
  int32x4_t b0 = a0, b1 = a0, b2 = a0, b3 = a0;
  int32x4_t c0 = a0, c1 = a0, c2 = a0, c3 = a0;
  int32x4_t d0 = a0, d1 = a0, d2 = a0, d3 = a0;
  for (segment = tile->segments;;) {
    for (k = 0; k < whole; k += 16) QRT_ROWS_STEP(dot16)
    if (whole < length) QRT_ROWS_STEP(dot8)
    if (--segment == 0) break;
    x0 += pitch, x1 += pitch, x2 += pitch, x3 += pitch;
    w0 += length, w1 += length, w2 += length, w3 += length;
  }
  sums[0] = qrt_neon_add_across(a0, a1, a2, a3);
  sums[1] = qrt_neon_add_across(b0, b1, b2, b3);
  sums[2] = qrt_neon_add_across(c0, c1, c2, c3);
  sums[3] = qrt_neon_add_across(d0, d1, d2, d3);
}
#else
/* Sixteen registers hold two positions with four channels. */
#define QRT_ROWS_STEP(dot)                                        \
  {                                                               \
    const int8x16_t v0 = vld1q_s8(w0 + k), v1 = vld1q_s8(w1 + k); \
    const int8x16_t v2 = vld1q_s8(w2 + k), v3 = vld1q_s8(w3 + k); \
    int8x16_t u = vld1q_s8(x0 + k);                               \
    a0 = dot(a0, u, v0, narrow), a1 = dot(a1, u, v1, narrow);     \
    a2 = dot(a2, u, v2, narrow), a3 = dot(a3, u, v3, narrow);     \
    u = vld1q_s8(x1 + k);                                         \
    b0 = dot(b0, u, v0, narrow), b1 = dot(b1, u, v1, narrow);     \
    b2 = dot(b2, u, v2, narrow), b3 = dot(b3, u, v3, narrow);     \
  }

QRT_INLINE void multiply_two(const qrt_conv_tile* tile, const int8_t* const* rows,
                             const int8_t* const* w, int narrow, int32x4_t* sums) {
  const int8_t *x0 = rows[0], *x1 = rows[1];
  const int8_t *w0 = w[0], *w1 = w[1], *w2 = w[2], *w3 = w[3];
  const size_t length = tile->length, whole = length - tile->half, pitch = tile->pitch;
  size_t segment, k;
  int32x4_t a0 = vdupq_n_s32(0), a1 = a0, a2 = a0, a3 = a0;
  int32x4_t b0 = a0, b1 = a0, b2 = a0, b3 = a0;
  for (segment = tile->segments;;) {
    for (k = 0; k < whole; k += 16) QRT_ROWS_STEP(dot16)
    if (whole < length) QRT_ROWS_STEP(dot8)
    if (--segment == 0) break;
    x0 += pitch, x1 += pitch;
    w0 += length, w1 += length, w2 += length, w3 += length;
  }
  sums[0] = qrt_neon_add_across(a0, a1, a2, a3);
  sums[1] = qrt_neon_add_across(b0, b1, b2, b3);
}

/* sums[i]: position i with the four channels. */
QRT_INLINE void multiply_four(const qrt_conv_tile* tile, const int8_t* const* rows,
                              const int8_t* const* w, int narrow, int32x4_t* sums) {
  multiply_two(tile, rows, w, narrow, sums);
  multiply_two(tile, rows + 2, w, narrow, sums + 2);
}
#endif

/* One position with four channels. */
QRT_INLINE int32x4_t multiply_one(const qrt_conv_tile* tile, const int8_t* x,
                                  const int8_t* const* w, int narrow) {
  const int8_t *w0 = w[0], *w1 = w[1], *w2 = w[2], *w3 = w[3];
  const size_t length = tile->length;
  size_t segment, k;
  int32x4_t a0 = vdupq_n_s32(0), a1 = a0, a2 = a0, a3 = a0;
  for (segment = tile->segments; segment > 0; --segment) {
    for (k = 0; k < length; k += 16) {
      const int8x16_t u = vld1q_s8(x + k);
      a0 = dot16(a0, u, vld1q_s8(w0 + k), narrow);
      a1 = dot16(a1, u, vld1q_s8(w1 + k), narrow);
      a2 = dot16(a2, u, vld1q_s8(w2 + k), narrow);
      a3 = dot16(a3, u, vld1q_s8(w3 + k), narrow);
    }
    x += tile->pitch;
    w0 += length, w1 += length, w2 += length, w3 += length;
  }
  return qrt_neon_add_across(a0, a1, a2, a3);
}

/* Four whole rows of four int8 codes. */
QRT_INLINE void store_four(const qrt_conv_tile* tile, size_t first, size_t column,
                           int any_left, const int32x4_t* sums) {
  const qrt_neon_result r = load_result(tile, column);
  const size_t step = tile->y_step;
  int8_t* y = (int8_t*)tile->y + first * step + column;
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
QRT_INLINE void multiply_whole_rows(const qrt_conv_tile* tile, size_t column, int narrow,
                                    int any_left) {
  int32x4_t sums[4];
  size_t i;
  for (i = 0; i + 4 <= tile->count; i += 4) {
    multiply_four(tile, tile->rows + i, tile->w + column, narrow, sums);
    store_four(tile, i, column, any_left, sums);
  }
}

/* Positions from `first` on, whatever their number and result: three together, one or two
 * alone. */
QRT_NOINLINE static void multiply_some_rows(const qrt_conv_tile* tile, size_t column,
                                            size_t first) {
  while (first < tile->count) {
    const size_t left = tile->count - first;
    const size_t taken = left < 3 ? 1 : left < 4 ? 3 : 4;
    int32x4_t sums[4];
    size_t i;
    if (taken == 1) {
      sums[0] = tile->narrow ? multiply_one(tile, tile->rows[first], tile->w + column, 1)
                             : multiply_one(tile, tile->rows[first], tile->w + column, 0);
    } else {
      const int8_t* rows[4];
      for (i = 0; i < 4; ++i) rows[i] = tile->rows[first + (i < taken ? i : 0)];
      if (tile->narrow) {
        multiply_four(tile, rows, tile->w + column, 1, sums);
      } else {
        multiply_four(tile, rows, tile->w + column, 0, sums);
      }
    }
    for (i = 0; i < taken; ++i) store_any(tile, first + i, column, sums[i]);
    first += taken;
  }
}

/* Four channels of the tile, from `column` on. */
QRT_NOINLINE static void multiply_four_channels(const qrt_conv_tile* tile,
                                                size_t column) {
  if (!is_plain(tile) || tile->width < column + 4) {
    multiply_some_rows(tile, column, 0);
    return;
  }
  if (tile->narrow) {
    if (tile->any_left) {
      multiply_whole_rows(tile, column, 1, 1);
    } else {
      multiply_whole_rows(tile, column, 1, 0);
    }
  } else if (tile->any_left) {
    multiply_whole_rows(tile, column, 0, 1);
  } else {
    multiply_whole_rows(tile, column, 0, 0);
  }
  multiply_some_rows(tile, column, tile->count / 4 * 4);
}

static void multiply_rows(const qrt_conv_tile* tile) {
  size_t column;
  for (column = 0; column < tile->width; column += 4) {
    multiply_four_channels(tile, column);
  }
}

#endif /* QRT_SRC_CONV_ROWS_H */
