/* SPDX-License-Identifier: MIT
 * Products along the depth for conv_rows.h by SDOT, whatever the weights. Include after
 * conv_neon.h. */
#ifndef QRT_SRC_CONV_SDOT_NEON_H
#define QRT_SRC_CONV_SDOT_NEON_H

QRT_INLINE int32x4_t dot16(int32x4_t acc, int8x16_t x, int8x16_t w, int narrow) {
  (void)narrow;
  return vdotq_s32(acc, x, w);
}

#define dot8 dot16

#endif /* QRT_SRC_CONV_SDOT_NEON_H */
