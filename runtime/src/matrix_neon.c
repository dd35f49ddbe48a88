/* SPDX-License-Identifier: MIT
 * The int8 matrix kernels for Armv8.0 and Armv7 NEON. The 16-bit products are widened one
 * vector at a time: two products of -128 * -128 in one 16-bit lane would overflow.
 * Without -128 among the weights two products are at most 2 * 128 * 127 and may be
 * paired. */
#include "qrt/qrt.h"

#if QRT_HAS_neon || QRT_HAS_armv7

#include "matrix_neon.h"

QRT_INLINE int32x4_t dot16(int32x4_t acc, int8x16_t x, int8x16_t w, int narrow) {
  const int16x8_t low = vmull_s8(vget_low_s8(x), vget_low_s8(w));
  if (narrow) return vpadalq_s16(acc, vmlal_s8(low, vget_high_s8(x), vget_high_s8(w)));
  acc = vpadalq_s16(acc, low);
  return vpadalq_s16(acc, vmull_s8(vget_high_s8(x), vget_high_s8(w)));
}

#if QRT_HAS_neon
QRT_DEFINE_CONV_TRANSPOSE2D(qrt_conv_transpose2d_s8_neon)
QRT_DEFINE_MATMUL(qrt_matmul_s8_neon)
#else
QRT_DEFINE_CONV_TRANSPOSE2D(qrt_conv_transpose2d_s8_armv7)
QRT_DEFINE_MATMUL(qrt_matmul_s8_armv7)
#endif

#else
typedef int qrt_matrix_neon_is_empty;
#endif
