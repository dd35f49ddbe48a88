/* SPDX-License-Identifier: MIT
 * N5 and N7 for AVX2 where one multiplier and shift serve all channels: sums of codes
 * less their zero points become codes. Short where they are small (avx2.h), else with all
 * that saturates. Empty for other machines. */
#ifndef QRT_SRC_UNIFORM_AVX2_H
#define QRT_SRC_UNIFORM_AVX2_H

#include "avx2.h"

#if QRT_HAS_avx2

typedef struct {
  qrt_avx2_scale scale; /* where is_small */
  int is_small, is_shifted;
  __m256i base; /* what the zero points of all codes add */
  __m256i multiplier, left, right, y_zero;
  __m256i lo, hi;
} qrt_avx2_uniform;

/* Of sums of `count` codes. Each is at most 255 from its zero point, so that 2^20 of
 * them, shifted, stay below 2^28. */
QRT_INLINE qrt_avx2_uniform qrt_avx2_uniform_of(size_t count, int32_t x_zero,
                                                int32_t multiplier, int32_t shift,
                                                int32_t y_zero, int32_t lo, int32_t hi) {
  const int32_t left = shift > 0 ? shift : 0;
  /* Modulo 2^32, as the sums: what is left of both fits. */
  const uint32_t base = 0u - (uint32_t)count * (uint32_t)x_zero;
  qrt_avx2_uniform u;
  u.scale =
      qrt_avx2_scale_of(_mm256_set1_epi32((int32_t)(base << left)),
                        _mm256_set1_epi32(multiplier), _mm256_set1_epi32(shift), y_zero);
  u.is_small = left <= 20 && count <= (size_t)1 << (20 - left) && shift >= -22;
  u.is_shifted = u.scale.any_left | u.scale.any_right;
  u.base = _mm256_set1_epi32((int32_t)base);
  u.multiplier = _mm256_set1_epi32(multiplier);
  u.left = _mm256_set1_epi32(left);
  u.right = _mm256_set1_epi32(left - shift);
  u.y_zero = _mm256_set1_epi16((int16_t)y_zero);
  u.lo = _mm256_set1_epi8((int8_t)lo);
  u.hi = _mm256_set1_epi8((int8_t)hi);
  return u;
}

/* N5 */
QRT_INLINE __m256i qrt_avx2_uniform_requant(const qrt_avx2_uniform* u, __m256i sums) {
  const __m256i most = _mm256_set1_epi32(INT32_MAX);
  const __m256i least = _mm256_srav_epi32(_mm256_set1_epi32(INT32_MIN), u->left);
  const __m256i acc = _mm256_max_epi32(_mm256_add_epi32(sums, u->base), least);
  const __m256i is_over = _mm256_cmpgt_epi32(acc, _mm256_srav_epi32(most, u->left));
  const __m256i scaled =
      _mm256_blendv_epi8(_mm256_sllv_epi32(acc, u->left), most, is_over);
  return qrt_avx2_shift_right(qrt_avx2_mul_high(scaled, u->multiplier), u->right);
}

/* Sixteen results with their zero point, saturated at 16 bits; is_small and is_shifted
 * are constants. */
QRT_INLINE __m256i qrt_avx2_uniform_words(const qrt_avx2_uniform* u, const int is_small,
                                          const int is_shifted, __m256i low,
                                          __m256i high) {
  if (is_small) {
    return _mm256_packs_epi32(qrt_avx2_scaled(&u->scale, is_shifted, low),
                              qrt_avx2_scaled(&u->scale, is_shifted, high));
  }
  /* Zero points and bounds are codes: saturating before changes nothing. */
  return _mm256_adds_epi16(_mm256_packs_epi32(qrt_avx2_uniform_requant(u, low),
                                              qrt_avx2_uniform_requant(u, high)),
                           u->y_zero);
}

/* Codes of two times sixteen sums; `low` and `high` are as VPUNPCKLWD and VPUNPCKHWD
 * leave them. */
QRT_INLINE __m256i qrt_avx2_uniform_codes(const qrt_avx2_uniform* u, const int is_small,
                                          const int is_shifted, const __m256i* sums) {
  const __m256i a = qrt_avx2_uniform_words(u, is_small, is_shifted, sums[0], sums[1]);
  const __m256i b = qrt_avx2_uniform_words(u, is_small, is_shifted, sums[2], sums[3]);
  const __m256i codes =
      _mm256_min_epi8(_mm256_max_epi8(_mm256_packs_epi16(a, b), u->lo), u->hi);
  return _mm256_permute4x64_epi64(codes, 0xD8);
}

/* Sixteen numbers of 16 bits as two times eight of 32. */
QRT_INLINE void qrt_avx2_widen(__m256i words, __m256i* low, __m256i* high) {
  *low = _mm256_srai_epi32(_mm256_unpacklo_epi16(words, words), 16);
  *high = _mm256_srai_epi32(_mm256_unpackhi_epi16(words, words), 16);
}

/* Sixteen codes as numbers of 16 bits. */
QRT_INLINE __m256i qrt_avx2_load16(const int8_t* codes) {
  return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i*)(const void*)codes));
}
#endif

#endif /* QRT_SRC_UNIFORM_AVX2_H */
