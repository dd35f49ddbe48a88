/* SPDX-License-Identifier: MIT
 * Direct convolution with weights of at most 4 bits and codes so small that a byte holds
 * two products, for AArch64 without dot products: four positions by sixteen channels,
 * products summed in bytes as long as that is safe. A multiplication of bytes takes
 * sixteen products, twice as many as one that widens. */
#include "qrt/qrt.h"

#if QRT_HAS_neon

#define QRT_TILE_COLUMNS 16
#define QRT_PANELS 1
#define QRT_PACKS_RUNS 0
#define QRT_WEIGHT_OFFSET 0
#define QRT_ROW_POSITIONS 1

#include "conv_neon.h"
#include "conv_words_neon.h"

#include "conv_byte_tile.h"

/* sums[4 i .. 4 i + 3]: position i with sixteen channels; `columns` is 8 (half of them)
 * or 16, `with_base` whether sums begin with the base. */
QRT_INLINE void multiply(const qrt_conv_tile* tile, const int8_t* const* rows,
                         const int columns, const int with_base, int32x4_t* sums) {
  /* A lane takes one product a step. */
  const qrt_conv_walk walk =
      walk_of(tile, 4, INT8_MAX, tile->x_most * tile->greatest_weight, 16);
  multiply_eight(&walk, rows, tile->panel, first_sums(tile, 0, with_base),
                 first_sums(tile, 4, with_base), sums);
  if (columns == 16) {
    multiply_eight(&walk, rows, tile->panel + 32, first_sums(tile, 8, with_base),
                   first_sums(tile, 12, with_base), sums + 2);
  }
}

#define QRT_LAST_BY_ROWS 1
#include "conv_dot_neon.h"
#include "conv_panel_neon.h"

QRT_DEFINE_CONV(qrt_conv2d_w4a4_neon)

#else
typedef int qrt_conv_byte_neon_is_empty;
#endif
