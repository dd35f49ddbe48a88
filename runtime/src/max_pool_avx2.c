/* SPDX-License-Identifier: MIT
 * Max pooling for AVX2, 32 int8 channels at a time. */
#include "avx2.h"

#if QRT_HAS_avx2

#include "max_pool.h"

static void keep_greater(int8_t* y, const int8_t* x, size_t count) {
  size_t i;
  for (i = 0; i + 32 <= count; i += 32) {
    __m256i* greatest = (__m256i*)(void*)(y + i);
    const __m256i codes = _mm256_loadu_si256((const __m256i*)(const void*)(x + i));
    _mm256_storeu_si256(greatest, _mm256_max_epi8(_mm256_loadu_si256(greatest), codes));
  }
  for (; i < count; ++i) keep_greater_one(y + i, x[i]);
}

void qrt_max_pool_any_avx2(const qrt_max_pool_params* p, const void* x, void* y) {
  run_max_pool(p, x, y);
}

#else
typedef int qrt_max_pool_avx2_is_empty;
#endif
