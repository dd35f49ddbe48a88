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
#define QRT_ROW_POSITIONS 0

#include "conv_neon.h"

QRT_INLINE int32x4_t dot16(int32x4_t acc, int8x16_t x, int8x16_t w, int narrow) {
  const int16x8_t low = vmull_s8(vget_low_s8(x), vget_low_s8(w));
  if (narrow) return vpadalq_s16(acc, vmlal_high_s8(low, x, w));
  return vpadalq_s16(vpadalq_s16(acc, low), vmull_high_s8(x, w));
}

QRT_INLINE int32x4_t dot8(int32x4_t acc, int8x16_t x, int8x16_t w, int narrow) {
  (void)narrow;
  return vpadalq_s16(acc, vmull_s8(vget_low_s8(x), vget_low_s8(w)));
}

#include "conv_rows.h"

static void multiply_tile(const qrt_conv_tile* tile) { multiply_rows(tile); }

QRT_DEFINE_CONV(qrt_conv2d_s8_neon)

#else
typedef int qrt_conv_neon_is_empty;
#endif
