/* SPDX-License-Identifier: MIT
 * N3, N5 and N7 of arith.h on eight lanes of AVX2, bit for bit. Empty for other machines.
 */
#ifndef QRT_SRC_AVX2_H
#define QRT_SRC_AVX2_H

#include "qrt/qrt.h"

#if QRT_HAS_avx2
#include <immintrin.h>

#define QRT_INLINE static inline __attribute__((always_inline))

/* N3: (x >> n) plus the last bit shifted out; counts of 32 and more shift everything out.
 */
static inline __m256i qrt_avx2_shift_right(__m256i x, __m256i n) {
  const __m256i one = _mm256_set1_epi32(1);
  const __m256i last = _mm256_srlv_epi32(x, _mm256_sub_epi32(n, one));
  return _mm256_add_epi32(_mm256_srav_epi32(x, n), _mm256_and_si256(last, one));
}

/* N2 for b >= 0, where it cannot saturate: bits 31..62 of the 64-bit sums. */
static inline __m256i qrt_avx2_mul_high(__m256i a, __m256i b) {
  const __m256i half = _mm256_set1_epi64x((long long)1 << 30);
  const __m256i even = _mm256_add_epi64(_mm256_mul_epi32(a, b), half);
  const __m256i odd = _mm256_add_epi64(
      _mm256_mul_epi32(_mm256_srli_epi64(a, 32), _mm256_srli_epi64(b, 32)), half);
  return _mm256_blend_epi32(_mm256_srli_epi64(even, 31), _mm256_slli_epi64(odd, 1), 0xAA);
}

/* N19 and N5: sums of products and their biases. */
static inline __m256i qrt_avx2_requant_sums(__m256i sums, __m256i bias,
                                            __m256i multiplier, __m256i shift) {
  const __m256i zero = _mm256_setzero_si256();
  const __m256i left = _mm256_max_epi32(shift, zero);
  const __m256i right = _mm256_sub_epi32(zero, _mm256_min_epi32(shift, zero));
  const __m256i acc = _mm256_add_epi32(_mm256_sllv_epi32(sums, left), bias);
  return qrt_avx2_shift_right(qrt_avx2_mul_high(acc, multiplier), right);
}

/* N7: clamping before the zero point is added gives the same and cannot overflow. */
static inline __m256i qrt_avx2_finish(__m256i y, int32_t zero, int32_t lo, int32_t hi) {
  y = _mm256_max_epi32(y, _mm256_set1_epi32(lo - zero));
  y = _mm256_min_epi32(y, _mm256_set1_epi32(hi - zero));
  return _mm256_add_epi32(y, _mm256_set1_epi32(zero));
}

/* Eight results in [-128, 127] as int8. */
static inline void qrt_avx2_store8(int8_t* y, __m256i codes) {
  const __m128i words =
      _mm_packs_epi32(_mm256_castsi256_si128(codes), _mm256_extracti128_si256(codes, 1));
  _mm_storel_epi64((__m128i*)(void*)y, _mm_packs_epi16(words, words));
}

static inline __m256i qrt_avx2_load8(const int8_t* codes) {
  return _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i*)(const void*)codes));
}
#endif

#endif /* QRT_SRC_AVX2_H */
