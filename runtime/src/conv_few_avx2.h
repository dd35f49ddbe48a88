/* SPDX-License-Identifier: MIT
 * Weights that lie ready as rows serve so few positions that a panel does not pay: the
 * AVX2 convolution of up to QRT_ROW_POSITIONS. Included by conv_avx2.c. */
#ifndef QRT_SRC_CONV_FEW_AVX2_H
#define QRT_SRC_CONV_FEW_AVX2_H

#define QRT_ROW_DOT(a, i) \
  a = _mm256_add_epi32(a, _mm256_madd_epi16(x, widen(w[i] + at + k)));

/* One position with channels 0 to 3 and 8 to 11 of w, along their depth. Weights that are
 * used once come from far away: as many are fetched from `ahead` on as are read. */
static __m256i multiply_rows(const qrt_conv_tile* tile, const int8_t* codes,
                             const int8_t* const* w, const int8_t* ahead) {
  __m256i a0 = _mm256_setzero_si256(), a1 = a0, a2 = a0, a3 = a0;
  __m256i b0 = a0, b1 = a0, b2 = a0, b3 = a0;
  size_t segment, k, at = 0;
  for (segment = tile->segments; segment > 0; --segment) {
    for (k = 0; k < tile->length; k += 16) {
      const __m256i x = widen(codes + k);
      _mm_prefetch((const char*)ahead, _MM_HINT_T0);
      _mm_prefetch((const char*)ahead + 64, _MM_HINT_T0);
      ahead += 128;
      QRT_ROW_DOT(a0, 0)
      QRT_ROW_DOT(a1, 1)
      QRT_ROW_DOT(a2, 2)
      QRT_ROW_DOT(a3, 3)
      QRT_ROW_DOT(b0, 8)
      QRT_ROW_DOT(b1, 9)
      QRT_ROW_DOT(b2, 10)
      QRT_ROW_DOT(b3, 11)
    }
    codes += tile->pitch;
    at += tile->length;
  }
  a0 = add_across(a0, a1, a2, a3);
  b0 = add_across(b0, b1, b2, b3);
  return _mm256_add_epi32(_mm256_permute2x128_si256(a0, b0, 0x20),
                          _mm256_permute2x128_si256(a0, b0, 0x31));
}

static void multiply_few(const qrt_conv_tile* tile) {
  size_t i;
  for (i = 0; i < tile->count; ++i) {
    __m256i sums[2];
    const int8_t* ahead = (const int8_t*)tile->next;
    sums[0] = multiply_rows(tile, tile->rows[i], tile->w, ahead);
    sums[1] =
        multiply_rows(tile, tile->rows[i], tile->w + 4, ahead + tile->next_bytes / 2);
    store_any(tile, i, 1, sums);
  }
}

#endif /* QRT_SRC_CONV_FEW_AVX2_H */
