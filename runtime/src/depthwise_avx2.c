/* SPDX-License-Identifier: MIT
 * Depthwise convolution for AVX2, eight channels at a time. */
#include "avx2.h"

#if QRT_HAS_avx2

#include "depthwise.h"

static void add_products(int32_t* acc, const int8_t* x, const int16_t* w, size_t count,
                         int32_t x_zero) {
  const __m256i zero = _mm256_set1_epi32(x_zero);
  size_t i;
  for (i = 0; i + 8 <= count; i += 8) {
    __m256i* sums = (__m256i*)(void*)(acc + i);
    const __m256i codes = _mm256_sub_epi32(qrt_avx2_load8(x + i), zero);
    const __m256i weights =
        _mm256_cvtepi16_epi32(_mm_loadu_si128((const __m128i*)(const void*)(w + i)));
    _mm256_storeu_si256(sums, _mm256_add_epi32(_mm256_loadu_si256(sums),
                                               _mm256_mullo_epi32(codes, weights)));
  }
  for (; i < count; ++i) add_product(acc + i, x[i], w[i], x_zero);
}

static inline __m256i load_eight(const int32_t* values) {
  return _mm256_loadu_si256((const __m256i*)(const void*)values);
}

static void finish_channels(const qrt_conv2d_params* p, const int32_t* sums,
                            const int32_t* bias, const int32_t* multiplier,
                            const int8_t* shift, size_t count, void* y, size_t y_index) {
  size_t i = 0;
  if (p->y_bytes == 1) {
    for (; i + 8 <= count; i += 8) {
      const __m256i q =
          qrt_avx2_requant_sums(load_eight(sums + i), load_eight(bias + i),
                                load_eight(multiplier + i), qrt_avx2_load8(shift + i));
      qrt_avx2_store8((int8_t*)y + y_index + i,
                      qrt_avx2_finish(q, p->y_zero, p->lo, p->hi));
    }
  }
  for (; i < count; ++i)
    finish_channel(p, sums[i], bias[i], multiplier[i], shift[i], y, y_index + i);
}

QRT_DEFINE_DEPTHWISE(qrt_depthwise_s8_avx2)

#else
typedef int qrt_depthwise_avx2_is_empty;
#endif
