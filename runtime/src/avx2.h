/* SPDX-License-Identifier: MIT
 * N3, N5 and N7 of arith.h on eight lanes of AVX2, bit for bit. Empty for other machines.
 */
#ifndef QRT_SRC_AVX2_H
#define QRT_SRC_AVX2_H

#include "qrt/qrt.h"

#if QRT_HAS_avx2
#include <immintrin.h>

#define QRT_INLINE static inline __attribute__((always_inline))
#define QRT_NOINLINE __attribute__((noinline))

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

/* What turns eight sums of products into results, for kernels that have many of them. */
typedef struct {
  __m256i base, multiplier, odd_multiplier, left, right, last;
  __m256i start; /* of the sums: the base, where no shift comes before it */
} qrt_avx2_result;

/* shift: of N19 and N5, one a lane; is_shifted: some shift of the layer or of the
 * channels at hand is not 0. */
QRT_INLINE qrt_avx2_result qrt_avx2_prepare(__m256i base, __m256i multiplier,
                                            __m256i shift, int is_shifted) {
  const __m256i none = _mm256_setzero_si256();
  qrt_avx2_result r;
  r.base = base;
  r.multiplier = multiplier;
  r.odd_multiplier = _mm256_srli_epi64(multiplier, 32);
  r.left = _mm256_max_epi32(shift, none);
  r.right = _mm256_sub_epi32(none, _mm256_min_epi32(shift, none));
  /* The last bit shifted out; a count of -1 gives 0. */
  r.last = _mm256_sub_epi32(r.right, _mm256_set1_epi32(1));
  r.start = is_shifted ? none : base;
  return r;
}

/* N19 and N5 of sums that began with `start`; is_shifted as it was there. */
QRT_INLINE __m256i qrt_avx2_requant_from_start(const qrt_avx2_result* r, int is_shifted,
                                               __m256i sums) {
  const __m256i half = _mm256_set1_epi64x((long long)1 << 30);
  __m256i even, odd, y;
  if (is_shifted) sums = _mm256_add_epi32(_mm256_sllv_epi32(sums, r->left), r->base);
  even = _mm256_add_epi64(_mm256_mul_epi32(sums, r->multiplier), half);
  odd = _mm256_add_epi64(_mm256_mul_epi32(_mm256_srli_epi64(sums, 32), r->odd_multiplier),
                         half);
  y = _mm256_blend_epi32(_mm256_srli_epi64(even, 31), _mm256_slli_epi64(odd, 1), 0xAA);
  if (!is_shifted) return y;
  return _mm256_add_epi32(
      _mm256_srav_epi32(y, r->right),
      _mm256_and_si256(_mm256_srlv_epi32(y, r->last), _mm256_set1_epi32(1)));
}

/* True where one of sixteen shifts is not 0. */
QRT_INLINE int qrt_avx2_is_shifted(__m256i low, __m256i high) {
  const __m256i any = _mm256_or_si256(low, high);
  return !_mm256_testz_si256(any, any);
}

/* Lanes of a 32-bit array: c to c + 3 and c + 8 to c + 11. VPACKSSDW, which works on each
 * half of a vector, puts two such vectors, of c and c + 4, in order. */
QRT_INLINE __m256i qrt_avx2_load_split(const int32_t* values) {
  const __m128i* v = (const __m128i*)(const void*)values;
  return _mm256_loadu2_m128i(v + 2, v);
}

/* N7 for int8: saturated to 16 bits, a result is still beyond what a zero point can bring
 * back to 8. */
typedef struct {
  __m256i zero, lo, hi;
} qrt_avx2_range;

QRT_INLINE qrt_avx2_range qrt_avx2_range_of(int32_t zero, int32_t lo, int32_t hi) {
  const qrt_avx2_range range = {_mm256_set1_epi16((int16_t)zero),
                                _mm256_set1_epi8((int8_t)lo),
                                _mm256_set1_epi8((int8_t)hi)};
  return range;
}

/* Sixteen results a, in split order, are the low halves of the result's 16-byte parts, b
 * the high ones. */
QRT_INLINE __m256i qrt_avx2_codes(const qrt_avx2_range* range, __m256i a_low,
                                  __m256i a_high, __m256i b_low, __m256i b_high) {
  const __m256i a = _mm256_adds_epi16(_mm256_packs_epi32(a_low, a_high), range->zero);
  const __m256i b = _mm256_adds_epi16(_mm256_packs_epi32(b_low, b_high), range->zero);
  return _mm256_min_epi8(_mm256_max_epi8(_mm256_packs_epi16(a, b), range->lo), range->hi);
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
