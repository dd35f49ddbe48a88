/* SPDX-License-Identifier: MIT
 * Addition for NEON, 32-bit and AArch64: int8 codes sixteen at a time, everything else as
 * in plain C. */
#include "neon.h"

#if QRT_HAS_neon || QRT_HAS_armv7

#include "binary.h"

/* Sixteen codes less their zero point; a step of 0 repeats the first. */
QRT_INLINE int16x8x2_t centred(const int8_t* codes, size_t i, size_t step,
                               int8x8_t zero) {
  const int8x16_t narrow = step ? vld1q_s8(codes + i) : vdupq_n_s8(codes[0]);
  int16x8x2_t wide;
  wide.val[0] = vsubl_s8(vget_low_s8(narrow), zero);
  wide.val[1] = vsubl_s8(vget_high_s8(narrow), zero);
  return wide;
}

/* N24 before its zero point. */
QRT_INLINE int32x4_t add_four(int16x4_t a, int16x4_t b, int32_t a_multiplier,
                              int32_t b_multiplier, int32x4_t shift) {
  const int32x4_t acc =
      vmlaq_n_s32(vmulq_n_s32(vmovl_s16(a), a_multiplier), vmovl_s16(b), b_multiplier);
  return vrshlq_s32(acc, shift);
}

/* Whole sixteens; returns the codes done. */
QRT_INLINE size_t add_sixteens(const qrt_binary_params* p, const int8_t* a, size_t a_step,
                               const int8_t* b, size_t b_step, int8_t* y, size_t count) {
  const qrt_neon_bounds bounds = qrt_neon_bounds_of(p->y_zero, p->lo, p->hi);
  const int8x8_t a_zero = vdup_n_s8((int8_t)p->a_zero);
  const int8x8_t b_zero = vdup_n_s8((int8_t)p->b_zero);
  const int32_t m = p->a_multiplier, n = p->b_multiplier;
  const int32x4_t shift = vdupq_n_s32(-p->shift);
  size_t i;
  for (i = 0; i + 16 <= count; i += 16) {
    const int16x8x2_t u = centred(a, i, a_step, a_zero),
                      v = centred(b, i, b_step, b_zero);
    vst1q_s8(
        y + i,
        qrt_neon_codes(
            &bounds,
            add_four(vget_low_s16(u.val[0]), vget_low_s16(v.val[0]), m, n, shift),
            add_four(vget_high_s16(u.val[0]), vget_high_s16(v.val[0]), m, n, shift),
            add_four(vget_low_s16(u.val[1]), vget_low_s16(v.val[1]), m, n, shift),
            add_four(vget_high_s16(u.val[1]), vget_high_s16(v.val[1]), m, n, shift)));
  }
  return i;
}

static void add_row(const qrt_binary_params* p, const void* a, size_t a_step,
                    const void* b, size_t b_step, void* y, size_t count) {
  size_t i = 0;
  if (p->a_bytes == 1 && p->b_bytes == 1 && p->y_bytes == 1 && a_step <= 1 &&
      b_step <= 1) {
    const int8_t *left = (const int8_t*)a, *right = (const int8_t*)b;
    if (a_step == 1 && b_step == 1) {
      i = add_sixteens(p, left, 1, right, 1, (int8_t*)y, count);
    } else {
      i = add_sixteens(p, left, a_step, right, b_step, (int8_t*)y, count);
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
