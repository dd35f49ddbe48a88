/* SPDX-License-Identifier: MIT
 * N3, N5 and N7 of arith.h on four lanes of NEON, and sums across lanes, 32-bit and
 * AArch64. Empty for other machines. */
#ifndef QRT_SRC_NEON_H
#define QRT_SRC_NEON_H

#include "qrt/qrt.h"

#if QRT_HAS_neon || QRT_HAS_armv7
#include <arm_neon.h>

#define QRT_INLINE static inline __attribute__((always_inline))
/* Loads stay on their side. Without it gcc moves all loads of an unrolled body to its
 * beginning and runs out of registers. */
#define QRT_KEEP_ORDER __asm__ volatile("" ::: "memory");
#define QRT_NOINLINE __attribute__((noinline))

/* Sums of four vectors as four lanes. */
static inline int32x4_t qrt_neon_add_across(int32x4_t a, int32x4_t b, int32x4_t c,
                                            int32x4_t d) {
#if QRT_HAS_neon
  return vpaddq_s32(vpaddq_s32(a, b), vpaddq_s32(c, d));
#else
  const int32x2_t a2 = vpadd_s32(vget_low_s32(a), vget_high_s32(a));
  const int32x2_t b2 = vpadd_s32(vget_low_s32(b), vget_high_s32(b));
  const int32x2_t c2 = vpadd_s32(vget_low_s32(c), vget_high_s32(c));
  const int32x2_t d2 = vpadd_s32(vget_low_s32(d), vget_high_s32(d));
  return vcombine_s32(vpadd_s32(a2, b2), vpadd_s32(c2, d2));
#endif
}

/* N19 and N5: sums of products and their biases. */
static inline int32x4_t qrt_neon_requant_sums(int32x4_t sums, int32x4_t bias,
                                              int32x4_t multiplier, int32x4_t shift) {
  const int32x4_t zero = vdupq_n_s32(0);
  const int32x4_t acc = vaddq_s32(vshlq_s32(sums, vmaxq_s32(shift, zero)), bias);
  return vrshlq_s32(vqrdmulhq_s32(acc, multiplier), vminq_s32(shift, zero));
}

/* N7 */
static inline int32x4_t qrt_neon_finish(int32x4_t y, int32_t zero, int32_t lo,
                                        int32_t hi) {
  y = vqaddq_s32(y, vdupq_n_s32(zero));
  return vminq_s32(vmaxq_s32(y, vdupq_n_s32(lo)), vdupq_n_s32(hi));
}

/* What N7 needs for int8 results. */
typedef struct {
  int16x8_t zero;
  int8x16_t lo, hi;
} qrt_neon_bounds;

QRT_INLINE qrt_neon_bounds qrt_neon_bounds_of(int32_t zero, int32_t lo, int32_t hi) {
  qrt_neon_bounds bounds;
  bounds.zero = vdupq_n_s16((int16_t)zero);
  bounds.lo = vdupq_n_s8((int8_t)lo);
  bounds.hi = vdupq_n_s8((int8_t)hi);
  return bounds;
}

QRT_INLINE int16x8_t qrt_neon_narrow(int32x4_t low, int32x4_t high) {
#if QRT_HAS_neon
  return vqmovn_high_s32(vqmovn_s32(low), high);
#else
  return vcombine_s16(vqmovn_s32(low), vqmovn_s32(high));
#endif
}

/* N7 for sixteen int8 results: zero point and bounds are codes, so saturating at 16 bits
 * first changes nothing. */
QRT_INLINE int8x16_t qrt_neon_codes(const qrt_neon_bounds* bounds, int32x4_t a,
                                    int32x4_t b, int32x4_t c, int32x4_t d) {
  const int16x8_t low = vqaddq_s16(qrt_neon_narrow(a, b), bounds->zero);
  const int16x8_t high = vqaddq_s16(qrt_neon_narrow(c, d), bounds->zero);
#if QRT_HAS_neon
  const int8x16_t codes = vqmovn_high_s16(vqmovn_s16(low), high);
#else
  const int8x16_t codes = vcombine_s8(vqmovn_s16(low), vqmovn_s16(high));
#endif
  return vminq_s8(vmaxq_s8(codes, bounds->lo), bounds->hi);
}

/* Eight results in [-128, 127] as int8. */
static inline void qrt_neon_store8(int8_t* y, int32x4_t low, int32x4_t high) {
  vst1_s8(y, vmovn_s16(vcombine_s16(vmovn_s32(low), vmovn_s32(high))));
}
#endif

#endif /* QRT_SRC_NEON_H */
