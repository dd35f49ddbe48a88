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

/* N19, N5 and N7 in fewer steps, for accumulators of at most 2^30 in magnitude. With A =
 * acc * multiplier and n the shift to the right, N3 of N2 is
 *     (A + 2^30 + 2^(30 + n)) >> (31 + n)        (A + 2^30) >> 31 where n is 0
 * and base and zero point may be added along, scaled. The first 32 bits are shifted out
 * by taking the upper half of a 64-bit sum; n = 0 needs twice the multiplier for that,
 * or, of the greatest multipliers, twice the accumulator. */
typedef struct {
  __m256i left;
  __m256i even_multiplier, odd_multiplier; /* of lanes 0, 2, ...; 1, 3, ... */
  __m256i even_term, odd_term;             /* what is added, 64 bits each */
  __m256i right;
  int any_left, any_right; /* some left, some right is not 0 */
} qrt_avx2_scale;

/* base * multiplier + half + (2 * zero + 1) << 30 + n, each of them in the lower lanes.
 */
QRT_INLINE __m256i qrt_avx2_term(__m256i base, __m256i multiplier, __m256i n,
                                 __m256i half, int32_t zero) {
  const __m256i low = _mm256_set1_epi64x(0xffffffff);
  const __m256i count =
      _mm256_add_epi64(_mm256_and_si256(n, low), _mm256_set1_epi64x(30));
  const __m256i unit =
      _mm256_sllv_epi64(_mm256_set1_epi64x(2 * (long long)zero + 1), count);
  return _mm256_add_epi64(_mm256_mul_epi32(base, multiplier),
                          _mm256_add_epi64(_mm256_and_si256(half, low), unit));
}

/* shift: of N19 and N5, one a lane. */
QRT_INLINE qrt_avx2_scale qrt_avx2_scale_of(__m256i base, __m256i multiplier,
                                            __m256i shift, int32_t zero) {
  const __m256i none = _mm256_setzero_si256(), one = _mm256_set1_epi32(1);
  const __m256i right = _mm256_sub_epi32(none, _mm256_min_epi32(shift, none));
  const __m256i is_right = _mm256_cmpgt_epi32(right, none);
  const __m256i is_great =
      _mm256_cmpgt_epi32(multiplier, _mm256_set1_epi32((1 << 30) - 1));
  /* 1 in the lanes that double the multiplier, and the accumulator. */
  const __m256i twice = _mm256_andnot_si256(_mm256_or_si256(is_right, is_great), one);
  const __m256i doubled = _mm256_andnot_si256(is_right, _mm256_and_si256(is_great, one));
  const __m256i n = _mm256_max_epi32(right, one);
  const __m256i half = _mm256_and_si256(is_right, _mm256_set1_epi32(1 << 30));
  qrt_avx2_scale s;
  base = _mm256_sllv_epi32(base, doubled);
  s.left = _mm256_add_epi32(_mm256_max_epi32(shift, none), doubled);
  s.even_multiplier = _mm256_sllv_epi32(multiplier, twice);
  s.odd_multiplier = _mm256_srli_epi64(s.even_multiplier, 32);
  s.even_term = qrt_avx2_term(base, s.even_multiplier, n, half, zero);
  s.odd_term = qrt_avx2_term(_mm256_srli_epi64(base, 32), s.odd_multiplier,
                             _mm256_srli_epi64(n, 32), _mm256_srli_epi64(half, 32), zero);
  s.right = _mm256_sub_epi32(n, one);
  s.any_left = !_mm256_testz_si256(s.left, s.left);
  s.any_right = !_mm256_testz_si256(s.right, s.right);
  return s;
}

/* Whether qrt_avx2_scaled is exact for sums of up to `depth` products of codes of 8 bits
 * with this base and shift: the accumulator bounded as above, and the rounding term as
 * well. */
QRT_INLINE int qrt_avx2_is_small(__m256i base, __m256i shift, size_t depth) {
  const __m256i left = _mm256_max_epi32(shift, _mm256_setzero_si256());
  const __m256i most = _mm256_srlv_epi32(_mm256_set1_epi32(1 << 14), left);
  const __m256i products =
      _mm256_set1_epi32((int32_t)(depth < 1 << 16 ? depth : 1 << 16));
  const __m256i excess =
      _mm256_or_si256(_mm256_or_si256(_mm256_cmpgt_epi32(products, most),
                                      _mm256_cmpgt_epi32(_mm256_set1_epi32(-22), shift)),
                      _mm256_cmpgt_epi32(_mm256_abs_epi32(_mm256_srai_epi32(base, 1)),
                                         _mm256_set1_epi32(1 << 28)));
  return _mm256_testz_si256(excess, excess);
}

/* Results with their zero point, not clamped. is_shifted, a constant: some left or right
 * shift may not be 0. */
QRT_INLINE __m256i qrt_avx2_scaled(const qrt_avx2_scale* s, const int is_shifted,
                                   __m256i sums) {
  __m256i even, odd, y;
  if (is_shifted) sums = _mm256_sllv_epi32(sums, s->left);
  even = _mm256_add_epi64(_mm256_mul_epi32(sums, s->even_multiplier), s->even_term);
  odd = _mm256_add_epi64(_mm256_mul_epi32(_mm256_srli_epi64(sums, 32), s->odd_multiplier),
                         s->odd_term);
  y = _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xAA);
  return is_shifted ? _mm256_srav_epi32(y, s->right) : y;
}

/* What sixteen channels need to become int8 codes; `low` and `high` are as
 * qrt_avx2_load_split has them. */
typedef struct {
  qrt_avx2_scale low, high;
  __m256i lo, hi;
  int is_small, is_shifted;
} qrt_avx2_results;

/* Lanes of a 32-bit array: c to c + 3 and c + 8 to c + 11. VPACKSSDW, which works on each
 * half of a vector, puts two such vectors, of c and c + 4, in order. */
QRT_INLINE __m256i qrt_avx2_load_split(const int32_t* values) {
  const __m128i* v = (const __m128i*)(const void*)values;
  return _mm256_loadu2_m128i(v + 2, v);
}

/* Of sums of up to `depth` products; `shift` is 32 bits a channel. */
QRT_INLINE qrt_avx2_results qrt_avx2_results_of(const int32_t* base,
                                                const int32_t* multiplier,
                                                __m256i shift_low, __m256i shift_high,
                                                size_t depth, int32_t zero, int32_t lo,
                                                int32_t hi) {
  const __m256i base_low = qrt_avx2_load_split(base);
  const __m256i base_high = qrt_avx2_load_split(base + 4);
  qrt_avx2_results r;
  r.low = qrt_avx2_scale_of(base_low, qrt_avx2_load_split(multiplier), shift_low, zero);
  r.high =
      qrt_avx2_scale_of(base_high, qrt_avx2_load_split(multiplier + 4), shift_high, zero);
  r.is_shifted = r.low.any_left | r.low.any_right | r.high.any_left | r.high.any_right;
  r.lo = _mm256_set1_epi8((int8_t)lo);
  r.hi = _mm256_set1_epi8((int8_t)hi);
  r.is_small = qrt_avx2_is_small(base_low, shift_low, depth) &&
               qrt_avx2_is_small(base_high, shift_high, depth);
  return r;
}

/* Clamped codes of two times sixteen results of 16 bits, saturated: each 16-byte half has
 * one's. What saturates on the way lies beyond every code, and stays there. */
QRT_INLINE __m256i qrt_avx2_narrowed(const qrt_avx2_results* r, __m256i a, __m256i b) {
  const __m256i codes =
      _mm256_min_epi8(_mm256_max_epi8(_mm256_packs_epi16(a, b), r->lo), r->hi);
  return _mm256_permute4x64_epi64(codes, 0xD8);
}

/* The same of sums. is_shifted is a constant. */
QRT_INLINE __m256i qrt_avx2_codes(const qrt_avx2_results* r, const int is_shifted,
                                  __m256i a_low, __m256i a_high, __m256i b_low,
                                  __m256i b_high) {
  const __m256i a = _mm256_packs_epi32(qrt_avx2_scaled(&r->low, is_shifted, a_low),
                                       qrt_avx2_scaled(&r->high, is_shifted, a_high));
  const __m256i b = _mm256_packs_epi32(qrt_avx2_scaled(&r->low, is_shifted, b_low),
                                       qrt_avx2_scaled(&r->high, is_shifted, b_high));
  return qrt_avx2_narrowed(r, a, b);
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
