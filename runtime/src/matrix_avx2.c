/* SPDX-License-Identifier: MIT
 * The int8 matrix kernels for AVX2: centred 16-bit lanes and VPMADDWD. A product is at
 * most 255 * 255, so the pairs that VPMADDWD adds fit 32 bits. */
#include "avx2.h"

#if QRT_HAS_avx2

typedef int16_t qrt_lane;
typedef int32_t qrt_acc;
#define QRT_CENTRED 1
#define QRT_TILE_ROWS 2

#include "matrix.h"

static void widen(qrt_lane* lanes, const int8_t* codes, size_t count, int32_t zero) {
  const __m256i zeros = _mm256_set1_epi16((int16_t)zero);
  size_t i;
  for (i = 0; i + 16 <= count; i += 16) {
    const __m128i bytes = _mm_loadu_si128((const __m128i*)(const void*)(codes + i));
    _mm256_storeu_si256((__m256i*)(void*)(lanes + i),
                        _mm256_sub_epi16(_mm256_cvtepi8_epi16(bytes), zeros));
  }
  for (; i < count; ++i) lanes[i] = (qrt_lane)(codes[i] - zero);
}

static inline __m256i load_lanes(const qrt_lane* lanes) {
  return _mm256_loadu_si256((const __m256i*)(const void*)lanes);
}

static inline __m256i multiply_add(__m256i acc, __m256i x, __m256i w) {
  return _mm256_add_epi32(acc, _mm256_madd_epi16(x, w));
}

/* Sums of four vectors as four lanes. */
static inline __m128i add_across(__m256i a, __m256i b, __m256i c, __m256i d) {
  const __m256i sums =
      _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
  return _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
}

static void dot_row(const qrt_lane* x, const qrt_lane* const* w, size_t depth, int narrow,
                    qrt_acc* acc) {
  const qrt_lane *w0 = w[0], *w1 = w[1], *w2 = w[2], *w3 = w[3];
  __m256i a0 = _mm256_setzero_si256(), a1 = a0, a2 = a0, a3 = a0;
  size_t k;
  (void)narrow;
  for (k = 0; k < depth; k += 16) {
    const __m256i codes = load_lanes(x + k);
    a0 = multiply_add(a0, codes, load_lanes(w0 + k));
    a1 = multiply_add(a1, codes, load_lanes(w1 + k));
    a2 = multiply_add(a2, codes, load_lanes(w2 + k));
    a3 = multiply_add(a3, codes, load_lanes(w3 + k));
  }
  _mm_storeu_si128((__m128i*)(void*)acc, add_across(a0, a1, a2, a3));
}

static void dot_tile(const qrt_lane* const* x, const qrt_lane* const* w, size_t depth,
                     int narrow, qrt_acc* acc) {
  const qrt_lane *x0 = x[0], *x1 = x[1];
  const qrt_lane *w0 = w[0], *w1 = w[1], *w2 = w[2], *w3 = w[3];
  __m256i a0 = _mm256_setzero_si256(), a1 = a0, a2 = a0, a3 = a0;
  __m256i b0 = a0, b1 = a0, b2 = a0, b3 = a0;
  size_t k;
  (void)narrow;
  for (k = 0; k < depth; k += 16) {
    const __m256i u = load_lanes(x0 + k), v = load_lanes(x1 + k);
    __m256i codes = load_lanes(w0 + k);
    a0 = multiply_add(a0, u, codes);
    b0 = multiply_add(b0, v, codes);
    codes = load_lanes(w1 + k);
    a1 = multiply_add(a1, u, codes);
    b1 = multiply_add(b1, v, codes);
    codes = load_lanes(w2 + k);
    a2 = multiply_add(a2, u, codes);
    b2 = multiply_add(b2, v, codes);
    codes = load_lanes(w3 + k);
    a3 = multiply_add(a3, u, codes);
    b3 = multiply_add(b3, v, codes);
  }
  _mm_storeu_si128((__m128i*)(void*)acc, add_across(a0, a1, a2, a3));
  _mm_storeu_si128((__m128i*)(void*)(acc + 4), add_across(b0, b1, b2, b3));
}

static inline __m256i load_four(const int32_t* values) {
  return _mm256_castsi128_si256(_mm_loadu_si128((const __m128i*)(const void*)values));
}

static void finish(const qrt_tile* tile, const qrt_acc* acc, int32_t* y) {
  const __m256i q =
      qrt_avx2_requant_sums(load_four(acc), load_four(tile->base),
                            load_four(tile->multiplier), load_four(tile->shift));
  const __m256i codes = qrt_avx2_finish(q, tile->y_zero, tile->lo, tile->hi);
  _mm_storeu_si128((__m128i*)(void*)y, _mm256_castsi256_si128(codes));
}

QRT_DEFINE_CONV_TRANSPOSE2D(qrt_conv_transpose2d_s8_avx2)
QRT_DEFINE_MATMUL(qrt_matmul_s8_avx2)

#else
typedef int qrt_matrix_avx2_is_empty;
#endif
