/* SPDX-License-Identifier: MIT
 * Direct int8 convolution for NEON without dot products, 32-bit and AArch64: SMULL,
 * SMLAL2, SADALP over 16 codes of depth, four positions by four channels (two by four on
 * 32-bit). Two products of -128 * -128 in one 16-bit lane would overflow, so weights that
 * hold -128 are widened one product at a time. */
#include "qrt/qrt.h"

#if QRT_HAS_neon || QRT_HAS_armv7

#define QRT_TILE_COLUMNS 4
#define QRT_PANELS 0
#define QRT_PACKS_RUNS 0
#define QRT_WEIGHT_OFFSET 0
#define QRT_ROW_POSITIONS 0

#include "conv_neon.h"

QRT_INLINE int32x4_t dot16(int32x4_t acc, int8x16_t x, int8x16_t w, int narrow) {
  const int16x8_t low = vmull_s8(vget_low_s8(x), vget_low_s8(w));
#if QRT_HAS_neon
  if (narrow) return vpadalq_s16(acc, vmlal_high_s8(low, x, w));
  return vpadalq_s16(vpadalq_s16(acc, low), vmull_high_s8(x, w));
#else
  if (narrow) return vpadalq_s16(acc, vmlal_s8(low, vget_high_s8(x), vget_high_s8(w)));
  return vpadalq_s16(vpadalq_s16(acc, low), vmull_s8(vget_high_s8(x), vget_high_s8(w)));
#endif
}

QRT_INLINE int32x4_t dot8(int32x4_t acc, int8x16_t x, int8x16_t w, int narrow) {
  (void)narrow;
  return vpadalq_s16(acc, vmull_s8(vget_low_s8(x), vget_low_s8(w)));
}

#include "conv_rows.h"

static void multiply_tile(const qrt_conv_tile* tile) { multiply_rows(tile); }

#if QRT_HAS_neon
QRT_DEFINE_CONV(qrt_conv2d_s8_neon)
#else
QRT_DEFINE_CONV(qrt_conv2d_s8_armv7)
#endif

#else
typedef int qrt_conv_neon_is_empty;
#endif
