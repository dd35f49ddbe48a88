/* SPDX-License-Identifier: MIT
 * The bit-serial convolution for AVX2. Bits of a byte are counted by looking up its two
 * halves (Mula, Kurz and Lemire, "Faster population counts using AVX2 instructions",
 * 2018). */
#include "qrt/qrt.h"

#if QRT_HAS_avx2

#include "bitserial_x86.h"

static __m256i count_bytes(__m256i x) {
  const __m256i counts = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,
                                          0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
  const __m256i low = _mm256_set1_epi8(15);
  return _mm256_add_epi8(
      _mm256_shuffle_epi8(counts, _mm256_and_si256(x, low)),
      _mm256_shuffle_epi8(counts, _mm256_and_si256(_mm256_srli_epi16(x, 4), low)));
}

static __m256i load_columns(const uint64_t* w) {
  return _mm256_loadu_si256((const __m256i*)(const void*)w);
}
static __m256i load_row(const uint64_t* a) {
  return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i*)(const void*)a));
}

/* 64-bit sums of one row: two lanes for each of columns 0 and 1, 2 and 3; one lane for
 * each column of the odd words. */
typedef struct {
  __m256i first, second, tail;
} qrt_avx2_sums;

static void add_segment(const qrt_segment* segment, const uint64_t* a, const uint64_t* w,
                        qrt_avx2_sums* sums) {
  const __m256i zero = _mm256_setzero_si256();
  __m256i c01 = zero, c23 = zero;
  int64_t n;
  for (n = segment->steps; n > 0; --n, a += 8, w += 8) {
    const __m256i u = load_row(a);
    c01 = _mm256_add_epi8(c01, count_bytes(_mm256_and_si256(u, load_columns(w))));
    c23 = _mm256_add_epi8(c23, count_bytes(_mm256_and_si256(u, load_columns(w + 4))));
  }
  sums->first = _mm256_add_epi64(sums->first, _mm256_sad_epu8(c01, zero));
  sums->second = _mm256_add_epi64(sums->second, _mm256_sad_epu8(c23, zero));
  if (segment->then & QRT_TAIL) {
    const __m256i counts = count_bytes(_mm256_and_si256(load_row(a), load_columns(w)));
    sums->tail = _mm256_add_epi64(sums->tail, _mm256_sad_epu8(counts, zero));
  }
  if (segment->then & QRT_DOUBLE) {
    sums->first = _mm256_add_epi64(sums->first, sums->first);
    sums->second = _mm256_add_epi64(sums->second, sums->second);
    sums->tail = _mm256_add_epi64(sums->tail, sums->tail);
  }
}

/* Low halves of four 64-bit lanes. */
static __m128i narrow(__m256i lanes, int i0, int i1, int i2, int i3) {
  const __m256i order = _mm256_setr_epi32(i0, i1, i2, i3, 0, 0, 0, 0);
  return _mm256_castsi256_si128(_mm256_permutevar8x32_epi32(lanes, order));
}

static void sum_tile(const qrt_segment* segments, const uint64_t* panel,
                     const uint64_t* w, __m128i* sums) {
  int row;
  for (row = 0; row < 4; ++row) {
    const qrt_segment* segment = segments;
    qrt_avx2_sums s;
    __m256i pairs;
    s.first = s.second = s.tail = _mm256_setzero_si256();
    for (;; ++segment) {
      add_segment(segment, panel + segment->x / 8 + 2 * row, w + segment->w / 8, &s);
      if (segment->then & QRT_LAST) break;
    }
    pairs = _mm256_add_epi64(_mm256_unpacklo_epi64(s.first, s.second),
                             _mm256_unpackhi_epi64(s.first, s.second));
    sums[row] = _mm_add_epi32(narrow(pairs, 0, 4, 2, 6), narrow(s.tail, 0, 2, 4, 6));
  }
}

QRT_DEFINE_BITSERIAL_KERNEL(bitserial_s8_avx2)

#else
typedef int qrt_bitserial_avx2_is_empty;
#endif
