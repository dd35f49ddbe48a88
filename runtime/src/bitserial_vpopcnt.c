/* SPDX-License-Identifier: MIT
 * The bit-serial convolution for AVX-512 VL and VPOPCNTDQ: one vector holds a step of
 * four columns and needs no widening. */
#include "qrt/qrt.h"

#if QRT_HAS_vpopcnt

#include "bitserial_x86.h"

static __m512i words_of_row(const uint64_t* a) {
  return _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i*)(const void*)a));
}
static __m512i counts_of(__m512i w, const uint64_t* a) {
  return _mm512_popcnt_epi64(_mm512_and_si512(w, words_of_row(a)));
}
/* Behind the steps a row's word is there twice: of four columns. */
static __m256i tail_of(__m256i w, const uint64_t* a) {
  const __m256i word = _mm256_set1_epi64x((long long)a[0]);
  return _mm256_popcnt_epi64(_mm256_and_si256(w, word));
}
/* Two 64-bit lanes for each column, and one. */
static __m128i columns_of(__m512i steps, __m256i tails) {
  const __m256i narrow = _mm512_cvtepi64_epi32(steps);
  const __m128i pairs =
      _mm_hadd_epi32(_mm256_castsi256_si128(narrow), _mm256_extracti128_si256(narrow, 1));
  return _mm_add_epi32(pairs, _mm256_cvtepi64_epi32(tails));
}

static void sum_tile(const qrt_segment* segment, const uint64_t* panel,
                     const uint64_t* weights, __m128i* sums) {
  __m512i s0 = _mm512_setzero_si512(), s1 = s0, s2 = s0, s3 = s0;
  __m256i t0 = _mm256_setzero_si256(), t1 = t0, t2 = t0, t3 = t0;
  for (;; ++segment) {
    const uint64_t* a = panel + segment->x / 8;
    const uint64_t* w = weights + segment->w / 8;
    int64_t n;
    for (n = segment->steps; n > 0; --n, a += 8, w += 8) {
      const __m512i column = _mm512_loadu_si512(w);
      s0 = _mm512_add_epi64(s0, counts_of(column, a));
      s1 = _mm512_add_epi64(s1, counts_of(column, a + 2));
      s2 = _mm512_add_epi64(s2, counts_of(column, a + 4));
      s3 = _mm512_add_epi64(s3, counts_of(column, a + 6));
    }
    if (segment->then & QRT_TAIL) {
      const __m256i column = _mm256_loadu_si256((const __m256i*)(const void*)w);
      t0 = _mm256_add_epi64(t0, tail_of(column, a));
      t1 = _mm256_add_epi64(t1, tail_of(column, a + 2));
      t2 = _mm256_add_epi64(t2, tail_of(column, a + 4));
      t3 = _mm256_add_epi64(t3, tail_of(column, a + 6));
    }
    if (segment->then & QRT_DOUBLE) {
      s0 = _mm512_add_epi64(s0, s0);
      s1 = _mm512_add_epi64(s1, s1);
      s2 = _mm512_add_epi64(s2, s2);
      s3 = _mm512_add_epi64(s3, s3);
      t0 = _mm256_add_epi64(t0, t0);
      t1 = _mm256_add_epi64(t1, t1);
      t2 = _mm256_add_epi64(t2, t2);
      t3 = _mm256_add_epi64(t3, t3);
    }
    if (segment->then & QRT_LAST) break;
  }
  sums[0] = columns_of(s0, t0);
  sums[1] = columns_of(s1, t1);
  sums[2] = columns_of(s2, t2);
  sums[3] = columns_of(s3, t3);
}

QRT_DEFINE_BITSERIAL_KERNEL(bitserial_s8_vpopcnt)

#else
typedef int qrt_bitserial_vpopcnt_is_empty;
#endif
