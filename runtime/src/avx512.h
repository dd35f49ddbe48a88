/* SPDX-License-Identifier: MIT
 * N19, N5 and N7 of arith.h on sixteen lanes of AVX-512 F, bit for bit. Empty for other
 * machines. */
#ifndef QRT_SRC_AVX512_H
#define QRT_SRC_AVX512_H

#include "qrt/qrt.h"

#if QRT_HAS_vnni || QRT_HAS_vpopcnt
#include <immintrin.h>

#define QRT_INLINE static inline __attribute__((always_inline))
#define QRT_NOINLINE __attribute__((noinline))

/* What turns sixteen sums of products into codes. */
typedef struct {
  __m512i base, multiplier, odd_multiplier, left, right, last, lo, hi, zero;
  int any_right; /* some result is shifted to the right */
} qrt_avx512_result;

/* shift: of N19 and N5, one a lane. */
QRT_INLINE qrt_avx512_result qrt_avx512_prepare(__m512i base, __m512i multiplier,
                                                __m512i shift, int32_t zero, int32_t lo,
                                                int32_t hi) {
  const __m512i none = _mm512_setzero_si512();
  qrt_avx512_result r;
  r.base = base;
  r.multiplier = multiplier;
  r.odd_multiplier = _mm512_srli_epi64(multiplier, 32);
  r.left = _mm512_max_epi32(shift, none);
  r.right = _mm512_sub_epi32(none, _mm512_min_epi32(shift, none));
  /* The last bit shifted out; a count of -1 gives 0. */
  r.last = _mm512_sub_epi32(r.right, _mm512_set1_epi32(1));
  r.any_right = _mm512_test_epi32_mask(r.right, r.right) != 0;
  r.zero = _mm512_set1_epi32(zero);
  /* Clamping before the zero point is added gives the same and cannot overflow. */
  r.lo = _mm512_set1_epi32(lo - zero);
  r.hi = _mm512_set1_epi32(hi - zero);
  return r;
}

/* multiplier >= 0, so N2 cannot saturate. */
QRT_INLINE __m512i qrt_avx512_codes(const qrt_avx512_result* r, __m512i sums) {
  const __m512i half = _mm512_set1_epi64((long long)1 << 30);
  const __m512i acc = _mm512_add_epi32(_mm512_sllv_epi32(sums, r->left), r->base);
  const __m512i even = _mm512_add_epi64(_mm512_mul_epi32(acc, r->multiplier), half);
  const __m512i odd = _mm512_add_epi64(
      _mm512_mul_epi32(_mm512_srli_epi64(acc, 32), r->odd_multiplier), half);
  __m512i y = _mm512_mask_blend_epi32(0xAAAA, _mm512_srli_epi64(even, 31),
                                      _mm512_slli_epi64(odd, 1));
  if (r->any_right) {
    const __m512i one = _mm512_set1_epi32(1);
    y = _mm512_add_epi32(_mm512_srav_epi32(y, r->right),
                         _mm512_and_si512(_mm512_srlv_epi32(y, r->last), one));
  }
  y = _mm512_min_epi32(_mm512_max_epi32(y, r->lo), r->hi);
  return _mm512_add_epi32(y, r->zero);
}
#endif

#endif /* QRT_SRC_AVX512_H */
