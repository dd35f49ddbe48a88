/* SPDX-License-Identifier: MIT
 * The int8 matrix kernels for Armv8.2 with the dot product extension (SDOT). */
#include "qrt/qrt.h"

#if QRT_HAS_dotprod

#include "matrix_neon.h"

QRT_INLINE int32x4_t dot16(int32x4_t acc, int8x16_t x, int8x16_t w, int narrow) {
  (void)narrow;
  return vdotq_s32(acc, x, w);
}

QRT_DEFINE_CONV_TRANSPOSE2D(qrt_conv_transpose2d_s8_dotprod)
QRT_DEFINE_MATMUL(qrt_matmul_s8_dotprod)

#else
typedef int qrt_matrix_dotprod_is_empty;
#endif
