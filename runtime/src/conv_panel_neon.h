/* SPDX-License-Identifier: MIT
 * What the direct convolutions with weight panels of sixteen channels share (SDOT,
 * SMMLA, short and byte sums): the walk over a block's positions, four at a time, the
 * stores, and the rows of weights where a tile has no panel. The including file provides,
 * after conv_neon.h and before this header,
 *   multiply  sums[4 i .. 4 i + 3]: position i of four with sixteen channels; `columns`
 *             is 16, or 8 for the first half of them; `with_base` says whether the sums
 *             begin with the base or with 0
 *   dot16, dot8  of conv_rows.h
 *   QRT_LAST_BY_ROWS  1: a last position by itself is multiplied with rows of weights */
#ifndef QRT_SRC_CONV_PANEL_NEON_H
#define QRT_SRC_CONV_PANEL_NEON_H

#include "conv_rows.h"

/* N19 and N5 of sums that began with the base where it has no fraction bits. */
QRT_INLINE int32x4_t requant_begun(const qrt_neon_result* r, int32x4_t sums,
                                   int any_left) {
  return any_left ? requant_sums(r, sums, 1) : requant_based(r, sums);
}

/* One position with sixteen int8 codes. */
#define QRT_STORE_ROW(i)                                                  \
  vst1q_s8(y + (i)*tile->y_step,                                          \
           finish_codes(tile, requant_begun(&a, sums[4 * (i)], any_left), \
                        requant_begun(&b, sums[4 * (i) + 1], any_left),   \
                        requant_begun(&c, sums[4 * (i) + 2], any_left),   \
                        requant_begun(&d, sums[4 * (i) + 3], any_left)))

/* Four positions with sixteen int8 codes each, or with eight. Without loops: sums stay in
 * registers. */
QRT_INLINE void store(const qrt_conv_tile* tile, size_t first, const int columns,
                      int any_left, const int32x4_t* sums) {
  int8_t* y = (int8_t*)tile->y + first * tile->y_step;
  const qrt_neon_result a = load_result(tile, 0), b = load_result(tile, 4);
  if (columns == 16) {
    const qrt_neon_result c = load_result(tile, 8), d = load_result(tile, 12);
    QRT_STORE_ROW(0);
    QRT_STORE_ROW(1);
    QRT_STORE_ROW(2);
    QRT_STORE_ROW(3);
  } else {
    const int8x16_t low = finish_codes(
        tile, requant_begun(&a, sums[0], any_left), requant_begun(&b, sums[1], any_left),
        requant_begun(&a, sums[4], any_left), requant_begun(&b, sums[5], any_left));
    const int8x16_t high = finish_codes(
        tile, requant_begun(&a, sums[8], any_left), requant_begun(&b, sums[9], any_left),
        requant_begun(&a, sums[12], any_left), requant_begun(&b, sums[13], any_left));
    vst1_s8(y, vget_low_s8(low));
    vst1_s8(y + tile->y_step, vget_high_s8(low));
    vst1_s8(y + 2 * tile->y_step, vget_low_s8(high));
    vst1_s8(y + 3 * tile->y_step, vget_high_s8(high));
  }
}

/* Whole groups of four positions. */
QRT_INLINE void multiply_whole(const qrt_conv_tile* tile, const int columns,
                               int any_left) {
  int32x4_t sums[16];
  size_t i;
  for (i = 0; i + 4 <= tile->count; i += 4) {
    multiply(tile, tile->rows + i, columns, !any_left, sums);
    store(tile, i, columns, any_left, sums);
  }
}

/* Positions from `first` on, whatever their number and result. */
QRT_NOINLINE static void multiply_rest(const qrt_conv_tile* tile, size_t first) {
  for (; first < tile->count; first += 4) {
    const size_t left = tile->count - first < 4 ? tile->count - first : 4;
    const int8_t* rows[4];
    int32x4_t sums[16];
    size_t i, j;
    if (QRT_LAST_BY_ROWS && left == 1) {
      for (j = 0; j < tile->width; j += 4) multiply_some_rows(tile, j, first);
      return;
    }
    for (i = 0; i < 4; ++i) rows[i] = tile->rows[first + (i < left ? i : 0)];
    multiply(tile, rows, 16, 0, sums);
    for (i = 0; i < left; ++i) {
      for (j = 0; j < 4; ++j) store_any(tile, first + i, 4 * j, sums[4 * i + j]);
    }
  }
}

static void multiply_tile_with_panel(const qrt_conv_tile* tile) {
  const size_t whole = tile->count / 4 * 4;
  if (is_plain(tile) && tile->width == 16) {
    if (tile->any_left) {
      multiply_whole(tile, 16, 1);
    } else {
      multiply_whole(tile, 16, 0);
    }
    multiply_rest(tile, whole);
  } else if (is_plain(tile) && tile->width == 8) {
    multiply_whole(tile, 8, 1);
    multiply_rest(tile, whole);
  } else {
    multiply_rest(tile, 0);
  }
}

QRT_NOINLINE static void multiply_tile(const qrt_conv_tile* tile) {
  if (tile->panel) {
    multiply_tile_with_panel(tile);
  } else {
    multiply_rows(tile);
  }
}

#endif /* QRT_SRC_CONV_PANEL_NEON_H */
