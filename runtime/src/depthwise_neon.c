/* SPDX-License-Identifier: MIT
 * Depthwise convolution for NEON, 32-bit and AArch64, eight channels at a time; on
 * AArch64 the common cases go through depthwise_neon.h. */
#include "neon.h"

#if QRT_HAS_neon || QRT_HAS_armv7

#include "depthwise.h"

static void add_products(int32_t* acc, const int8_t* x, const int16_t* w, size_t count,
                         int32_t x_zero) {
  const int8x8_t zero = vdup_n_s8((int8_t)x_zero);
  size_t i;
  for (i = 0; i + 8 <= count; i += 8) {
    const int16x8_t codes = vsubl_s8(vld1_s8(x + i), zero);
    const int16x8_t weights = vld1q_s16(w + i);
    vst1q_s32(acc + i,
              vmlal_s16(vld1q_s32(acc + i), vget_low_s16(codes), vget_low_s16(weights)));
    vst1q_s32(acc + i + 4, vmlal_s16(vld1q_s32(acc + i + 4), vget_high_s16(codes),
                                     vget_high_s16(weights)));
  }
  for (; i < count; ++i) add_product(acc + i, x[i], w[i], x_zero);
}

static void finish_channels(const qrt_conv2d_params* p, const int32_t* sums,
                            const int32_t* bias, const int32_t* multiplier,
                            const int8_t* shift, size_t count, void* y, size_t y_index) {
  size_t i = 0;
  if (p->y_bytes == 1) {
    for (; i + 8 <= count; i += 8) {
      const int16x8_t shifts = vmovl_s8(vld1_s8(shift + i));
      const int32x4_t low = qrt_neon_requant_sums(
          vld1q_s32(sums + i), vld1q_s32(bias + i), vld1q_s32(multiplier + i),
          vmovl_s16(vget_low_s16(shifts)));
      const int32x4_t high = qrt_neon_requant_sums(
          vld1q_s32(sums + i + 4), vld1q_s32(bias + i + 4), vld1q_s32(multiplier + i + 4),
          vmovl_s16(vget_high_s16(shifts)));
      qrt_neon_store8((int8_t*)y + y_index + i,
                      qrt_neon_finish(low, p->y_zero, p->lo, p->hi),
                      qrt_neon_finish(high, p->y_zero, p->lo, p->hi));
    }
  }
  for (; i < count; ++i)
    finish_channel(p, sums[i], bias[i], multiplier[i], shift[i], y, y_index + i);
}

#if QRT_HAS_neon
#include "depthwise_neon.h"

void qrt_depthwise_s8_neon(const qrt_conv2d_params* p, const void* x, const void* w,
                           const void* bias, const int32_t* multiplier,
                           const int8_t* shift, const int16_t* w_zero, void* y,
                           void* scratch) {
  if (is_depthwise_codes(p, w_zero)) {
    run_depthwise_codes(p, x, w, bias, multiplier, shift, y, scratch);
  } else {
    run_depthwise(p, x, w, bias, multiplier, shift, w_zero, y, scratch);
  }
}
#else
QRT_DEFINE_DEPTHWISE(qrt_depthwise_s8_armv7)
#endif

#else
typedef int qrt_depthwise_neon_is_empty;
#endif
