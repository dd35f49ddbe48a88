/* SPDX-License-Identifier: MIT
 * Max pooling for NEON, 32-bit and AArch64, 16 int8 channels at a time. */
#include "neon.h"

#if QRT_HAS_neon || QRT_HAS_armv7

#include "max_pool.h"

static void keep_greater(int8_t* y, const int8_t* x, size_t count) {
  size_t i;
  for (i = 0; i + 16 <= count; i += 16)
    vst1q_s8(y + i, vmaxq_s8(vld1q_s8(y + i), vld1q_s8(x + i)));
  for (; i < count; ++i) keep_greater_one(y + i, x[i]);
}

#if QRT_HAS_neon
void qrt_max_pool_any_neon(const qrt_max_pool_params* p, const void* x, void* y) {
#else
void qrt_max_pool_any_armv7(const qrt_max_pool_params* p, const void* x, void* y) {
#endif
  run_max_pool(p, x, y);
}

#else
typedef int qrt_max_pool_neon_is_empty;
#endif
