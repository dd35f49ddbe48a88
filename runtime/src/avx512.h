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

#if QRT_HAS_vnni
/* The same with fewer steps, for accumulators of at most 2^30 in magnitude. With A = acc
 * * multiplier and n the shift to the right, N3 of N2 is ((A + 2^30 >> 30 + n) + 1) >> 1,
 * or for n = 0, where N3 rounds nothing, ((A >> 30) + 1) >> 1: one shift of 64 bits and
 * half of the next greater integer, which is left to qrt_avx512_pack. */
typedef struct {
  __m512i base, left;
  int any_left;
  __m512i even_multiplier, even_half, even_shift; /* of lanes 0, 2, ...; 64 bits each */
  __m512i odd_multiplier, odd_half, odd_shift;
} qrt_avx512_scale;

QRT_INLINE qrt_avx512_scale qrt_avx512_scale_of(const qrt_avx512_result* r) {
  const __m512i low = _mm512_set1_epi64(0xffffffff), bits = _mm512_set1_epi64(30);
  const __m512i half = _mm512_maskz_mov_epi32(_mm512_test_epi32_mask(r->right, r->right),
                                              _mm512_set1_epi32(1 << 30));
  qrt_avx512_scale s;
  s.base = r->base;
  s.left = r->left;
  s.any_left = _mm512_test_epi32_mask(r->left, r->left) != 0;
  s.even_multiplier = r->multiplier;
  s.even_half = _mm512_and_si512(half, low);
  s.even_shift = _mm512_add_epi64(_mm512_and_si512(r->right, low), bits);
  s.odd_multiplier = r->odd_multiplier;
  s.odd_half = _mm512_srli_epi64(half, 32);
  s.odd_shift = _mm512_add_epi64(_mm512_srli_epi64(r->right, 32), bits);
  return s;
}

/* Whether sums of up to `depth` products of int8 codes and centred weights, with the
 * base, stay within 2^30. */
QRT_INLINE int qrt_avx512_is_small(const qrt_avx512_result* r, size_t depth) {
  const __m512i most = _mm512_srlv_epi32(_mm512_set1_epi32(1 << 14), r->left);
  const __m512i codes = _mm512_set1_epi32((int32_t)(depth < 1 << 16 ? depth : 1 << 16));
  return (_mm512_cmplt_epi32_mask(most, codes) |
          _mm512_cmpgt_epi32_mask(_mm512_abs_epi32(_mm512_srai_epi32(r->base, 1)),
                                  _mm512_set1_epi32(1 << 28))) == 0;
}

/* Results as integers with one bit more that says how they are rounded. */
QRT_INLINE __m512i qrt_avx512_doubled(const qrt_avx512_scale* s, __m512i acc) {
  const __m512i even =
      _mm512_add_epi64(_mm512_mul_epi32(acc, s->even_multiplier), s->even_half);
  const __m512i odd = _mm512_add_epi64(
      _mm512_mul_epi32(_mm512_srli_epi64(acc, 32), s->odd_multiplier), s->odd_half);
  return _mm512_mask_shuffle_epi32(_mm512_srav_epi64(even, s->even_shift), 0xAAAA,
                                   _mm512_srav_epi64(odd, s->odd_shift), _MM_PERM_CCAA);
}

/* How doubled results become int8 codes. */
typedef struct {
  __m512i zero; /* 2 * zero point + 1, of 16 bits */
  __m512i lo, hi;
} qrt_avx512_clamp;

QRT_INLINE qrt_avx512_clamp qrt_avx512_clamp_of(int32_t zero, int32_t lo, int32_t hi) {
  qrt_avx512_clamp clamp;
  clamp.zero = _mm512_set1_epi16((short)(2 * zero + 1));
  clamp.lo = _mm512_set1_epi8((char)lo);
  clamp.hi = _mm512_set1_epi8((char)hi);
  return clamp;
}

/* Four vectors of doubled results as codes: in every 128 bits four of a, of b, of c, of
 * d. What saturates on the way lies beyond every code, and stays there. */
QRT_INLINE __m512i qrt_avx512_pack(const qrt_avx512_clamp* clamp, __m512i a, __m512i b,
                                   __m512i c, __m512i d) {
  __m512i ab = _mm512_packs_epi32(a, b), cd = _mm512_packs_epi32(c, d), codes;
  ab = _mm512_srai_epi16(_mm512_adds_epi16(ab, clamp->zero), 1);
  cd = _mm512_srai_epi16(_mm512_adds_epi16(cd, clamp->zero), 1);
  codes = _mm512_packs_epi16(ab, cd);
  return _mm512_min_epi8(_mm512_max_epi8(codes, clamp->lo), clamp->hi);
}
#endif
#endif

#endif /* QRT_SRC_AVX512_H */
