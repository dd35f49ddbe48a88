/* SPDX-License-Identifier: MIT
 * Addition for NEON, 32-bit and AArch64: int8 codes eight at a time, everything else as
 * in plain C. */
#include "neon.h"

#if QRT_HAS_neon || QRT_HAS_armv7

#include "binary.h"

static inline int16x8_t centred(const int8_t* codes, size_t i, size_t step,
                                int32_t zero) {
  const int8x8_t narrow = step ? vld1_s8(codes + i) : vdup_n_s8(codes[0]);
  return vsubl_s8(narrow, vdup_n_s8((int8_t)zero));
}

static inline int32x4_t add_half(const qrt_binary_params* p, int16x4_t a, int16x4_t b) {
  const int32x4_t acc = vmlaq_n_s32(vmulq_n_s32(vmovl_s16(a), p->a_multiplier),
                                    vmovl_s16(b), p->b_multiplier);
  const int32x4_t q = vrshlq_s32(acc, vdupq_n_s32(-p->shift));
  return qrt_neon_finish(q, p->y_zero, p->lo, p->hi);
}

static void add_row(const qrt_binary_params* p, const void* a, size_t a_step,
                    const void* b, size_t b_step, void* y, size_t count) {
  size_t i = 0;
  if (p->a_bytes == 1 && p->b_bytes == 1 && p->y_bytes == 1 && a_step <= 1 &&
      b_step <= 1) {
    for (; i + 8 <= count; i += 8) {
      const int16x8_t u = centred((const int8_t*)a, i, a_step, p->a_zero);
      const int16x8_t v = centred((const int8_t*)b, i, b_step, p->b_zero);
      qrt_neon_store8((int8_t*)y + i, add_half(p, vget_low_s16(u), vget_low_s16(v)),
                      add_half(p, vget_high_s16(u), vget_high_s16(v)));
    }
  }
  add_row_any(p, qrt_at(a, i * a_step, p->a_bytes), a_step,
              qrt_at(b, i * b_step, p->b_bytes), b_step, qrt_at_mutable(y, i, p->y_bytes),
              count - i);
}

#if QRT_HAS_neon
void qrt_add_any_neon(const qrt_binary_params* p, const void* a, const void* b, void* y) {
#else
void qrt_add_any_armv7(const qrt_binary_params* p, const void* a, const void* b,
                       void* y) {
#endif
  run_binary(p, add_row, a, b, y);
}

#else
typedef int qrt_add_neon_is_empty;
#endif
