/* SPDX-License-Identifier: MIT
 * Change of encoding for NEON, 32-bit and AArch64: int8 codes sixteen at a time,
 * everything else as in plain C. */
#include "neon.h"

#if QRT_HAS_neon || QRT_HAS_armv7

#include "rescale.h"

/* N5 of four codes less their zero point. */
QRT_INLINE int32x4_t rescale_four(int16x4_t x, int32x4_t left, int32_t multiplier,
                                  int32x4_t right) {
  const int32x4_t scaled = vqshlq_s32(vmovl_s16(x), left);
  return vrshlq_s32(vqrdmulhq_n_s32(scaled, multiplier), right);
}

static size_t rescale_sixteens(const qrt_rescale_params* p, const int8_t* x, int8_t* y) {
  const int32x4_t left = vdupq_n_s32(p->shift > 0 ? p->shift : 0);
  const int32x4_t right = vdupq_n_s32(p->shift > 0 ? 0 : p->shift);
  const int8x8_t zero = vdup_n_s8((int8_t)p->x_zero);
  const int32_t m = p->multiplier;
  const qrt_neon_bounds bounds = qrt_neon_bounds_of(p->y_zero, p->lo, p->hi);
  const size_t count = (size_t)p->count;
  size_t i;
  for (i = 0; i + 16 <= count; i += 16) {
    const int8x16_t codes = vld1q_s8(x + i);
    const int16x8_t low = vsubl_s8(vget_low_s8(codes), zero);
    const int16x8_t high = vsubl_s8(vget_high_s8(codes), zero);
    vst1q_s8(y + i,
             qrt_neon_codes(&bounds, rescale_four(vget_low_s16(low), left, m, right),
                            rescale_four(vget_high_s16(low), left, m, right),
                            rescale_four(vget_low_s16(high), left, m, right),
                            rescale_four(vget_high_s16(high), left, m, right)));
  }
  return i;
}

#if QRT_HAS_neon
void qrt_rescale_any_neon(const qrt_rescale_params* p, const void* x, void* y) {
#else
void qrt_rescale_any_armv7(const qrt_rescale_params* p, const void* x, void* y) {
#endif
  size_t done = 0;
  if (p->x_bytes == 1 && p->y_bytes == 1) {
    done = rescale_sixteens(p, (const int8_t*)x, (int8_t*)y);
  }
  rescale_codes(p, x, y, done, (size_t)p->count);
}

#else
typedef int qrt_rescale_neon_is_empty;
#endif
