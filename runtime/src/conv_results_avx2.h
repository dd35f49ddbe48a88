/* SPDX-License-Identifier: MIT
 * How sums of the AVX2 convolution become results and are stored. Two vectors have a
 * position's sixteen channels, as qrt_avx2_load_split orders them. Included by
 * conv_avx2.c behind conv.h. */
#ifndef QRT_SRC_CONV_RESULTS_AVX2_H
#define QRT_SRC_CONV_RESULTS_AVX2_H

/* What a tile's left and right shifts were one of before conv.h took them apart. */
QRT_INLINE __m256i load_shift(const qrt_conv_tile* tile, size_t c) {
  return _mm256_or_si256(qrt_avx2_load_split(tile->left + c),
                         qrt_avx2_load_split(tile->right + c));
}

static qrt_avx2_results results_of(const qrt_conv_tile* tile) {
  return qrt_avx2_results_of(tile->base, tile->multiplier, load_shift(tile, 0),
                             load_shift(tile, 4), tile->segments * tile->length,
                             tile->y_zero, tile->lo, tile->hi);
}

/* Whether store_two is for this tile: int8 results, no weight zero points. */
QRT_INLINE int is_fast(const qrt_conv_tile* tile, const qrt_avx2_results* r) {
  return r->is_small && tile->y_bytes == 1 && !tile->row_sums;
}

/* The first `width` of sixteen codes. */
QRT_INLINE void store_codes(int8_t* y, __m128i codes, size_t width) {
  if (width == 16) {
    _mm_storeu_si128((__m128i*)(void*)y, codes);
    return;
  }
  if (width & 8) {
    _mm_storel_epi64((__m128i*)(void*)y, codes);
    codes = _mm_unpackhi_epi64(codes, codes);
    y += 8;
  }
  for (width &= 7; width > 0; --width, codes = _mm_srli_si128(codes, 1)) {
    *y++ = (int8_t)_mm_cvtsi128_si32(codes);
  }
}

/* One position or two, y_step apart. is_shifted is a constant. */
QRT_INLINE void store_two(const qrt_avx2_results* r, const int is_shifted, size_t width,
                          size_t count, const __m256i* sums, int8_t* y, size_t y_step) {
  const __m256i codes = qrt_avx2_codes(r, is_shifted, sums[0], sums[1], sums[2], sums[3]);
  store_codes(y, _mm256_castsi256_si128(codes), width);
  if (count > 1) store_codes(y + y_step, _mm256_extracti128_si256(codes, 1), width);
}

/* Four positions; the first channels of all come first, so that what they need stays in
 * registers. */
QRT_INLINE void store_four(const qrt_avx2_results* r, const int is_shifted, size_t width,
                           const __m256i* sums, int8_t* y, size_t y_step) {
  const __m256i a = qrt_avx2_scaled(&r->low, is_shifted, sums[0]);
  const __m256i b = qrt_avx2_scaled(&r->low, is_shifted, sums[2]);
  const __m256i c = qrt_avx2_scaled(&r->low, is_shifted, sums[4]);
  const __m256i d = qrt_avx2_scaled(&r->low, is_shifted, sums[6]);
  const __m256i a16 =
      _mm256_packs_epi32(a, qrt_avx2_scaled(&r->high, is_shifted, sums[1]));
  const __m256i b16 =
      _mm256_packs_epi32(b, qrt_avx2_scaled(&r->high, is_shifted, sums[3]));
  const __m256i c16 =
      _mm256_packs_epi32(c, qrt_avx2_scaled(&r->high, is_shifted, sums[5]));
  const __m256i d16 =
      _mm256_packs_epi32(d, qrt_avx2_scaled(&r->high, is_shifted, sums[7]));
  const __m256i ab = qrt_avx2_narrowed(r, a16, b16), cd = qrt_avx2_narrowed(r, c16, d16);
  store_codes(y, _mm256_castsi256_si128(ab), width);
  store_codes(y + y_step, _mm256_extracti128_si256(ab, 1), width);
  store_codes(y + 2 * y_step, _mm256_castsi256_si128(cd), width);
  store_codes(y + 3 * y_step, _mm256_extracti128_si256(cd, 1), width);
}

/* A tile's positions from `first` on, as store_two. */
QRT_INLINE void store_usual(const qrt_conv_tile* tile, const qrt_avx2_results* r,
                            size_t first, size_t count, const __m256i* sums) {
  int8_t* y = (int8_t*)tile->y + first * tile->y_step;
  if (r->is_shifted) {
    store_two(r, 1, tile->width, count, sums, y, tile->y_step);
  } else {
    store_two(r, 0, tile->width, count, sums, y, tile->y_step);
  }
}

/* Eight results of the first channels or those from 4 on. */
QRT_INLINE __m256i finish(const qrt_conv_tile* tile, size_t c, size_t position,
                          __m256i sums) {
  if (tile->row_sums) {
    const __m256i row_sum = _mm256_set1_epi32(tile->row_sums[position]);
    const __m256i w_zero = qrt_avx2_load_split(tile->w_zero + c);
    sums = _mm256_sub_epi32(sums, _mm256_mullo_epi32(w_zero, row_sum));
  }
  sums = qrt_avx2_requant_sums(sums, qrt_avx2_load_split(tile->base + c),
                               qrt_avx2_load_split(tile->multiplier + c),
                               load_shift(tile, c));
  return qrt_avx2_finish(sums, tile->y_zero, tile->lo, tile->hi);
}

/* `count` positions from `first` on, whatever their results. */
QRT_NOINLINE static void store_any(const qrt_conv_tile* tile, size_t first, size_t count,
                                   const __m256i* sums) {
  size_t i, j;
  for (i = first; i < first + count; ++i, sums += 2) {
    int16_t values[16];
    _mm256_storeu_si256(
        (__m256i*)(void*)values,
        _mm256_packs_epi32(finish(tile, 0, i, sums[0]), finish(tile, 4, i, sums[1])));
    for (j = 0; j < tile->width; ++j) {
      qrt_store(tile->y, i * tile->y_step + j, tile->y_bytes, values[j]);
    }
  }
}

#endif /* QRT_SRC_CONV_RESULTS_AVX2_H */
