/* SPDX-License-Identifier: MIT
 * Products along the depth for conv_rows.h without dot products: `dot16` adds 16 of them
 * to acc, spread over the lanes; `dot8` the first 8. Where narrow, no weight is -128: two
 * products of -128 * -128 in one 16-bit lane would overflow. Include after conv_neon.h.
 */
#ifndef QRT_SRC_CONV_DOT_NEON_H
#define QRT_SRC_CONV_DOT_NEON_H

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

#endif /* QRT_SRC_CONV_DOT_NEON_H */
