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

/* Eight results in [-128, 127] as int8. */
static inline void qrt_neon_store8(int8_t* y, int32x4_t low, int32x4_t high) {
  vst1_s8(y, vmovn_s16(vcombine_s16(vmovn_s32(low), vmovn_s32(high))));
}
#endif

#endif /* QRT_SRC_NEON_H */
