/* SPDX-License-Identifier: MIT
 * Tiles of up to eight channels, the last ones of many layers: eight positions at a time,
 * so that no accumulator has channels that do not exist. Included by conv_avx2.c. */
#ifndef QRT_SRC_CONV_NARROW_AVX2_H
#define QRT_SRC_CONV_NARROW_AVX2_H

/* Four codes of a position with eight channels. */
#define QRT_DOT_ONE(codes, i, j, a)             \
  "vpbroadcastd 32*" #i "+8*" #j "(%[" #codes   \
  "]), %[t]\n\t"                                \
  "vpbroadcastd 32*" #i "+8*" #j "+4(%[" #codes \
  "]), %[u]\n\t"                                \
  "vpaddw %[v], %[t], %[t]\n\t"                 \
  "vpaddw %[w], %[u], %[u]\n\t"                 \
  "vpmaddwd %[t], %[u], %[t]\n\t"               \
  "vpaddd %[t], %[" #a "], %[" #a "]\n\t"

/* Of the i-th position of two fours. */
#define QRT_DOT_TWO(i, j, a, b) QRT_DOT_ONE(x, i, j, a) QRT_DOT_ONE(z, i, j, b)

#define QRT_DOT_EIGHT(j)                                                             \
  __asm__ volatile("vmovdqu 128*" #j                                                 \
                   "(%[p]), %[v]\n\t"                                                \
                   "vmovdqu 128*" #j "+32(%[p]), %[w]\n\t" QRT_DOT_TWO(0, j, a0, b0) \
                       QRT_DOT_TWO(1, j, a1, b1) QRT_DOT_TWO(2, j, a2, b2)           \
                           QRT_DOT_TWO(3, j, a3, b3)                                 \
                   : [a0] "+x"(a0), [b0] "+x"(b0), [a1] "+x"(a1), [b1] "+x"(b1),     \
                     [a2] "+x"(a2), [b2] "+x"(b2), [a3] "+x"(a3), [b3] "+x"(b3),     \
                     [t] "=&x"(t), [u] "=&x"(u), [v] "=&x"(v), [w] "=&x"(w)          \
                   : [p] "r"(panel), [x] "r"(codes), [z] "r"(codes + apart)          \
                   : "memory");

/* Adds to sums[i] position i of two fours, whose lanes are `apart` from each other. */
QRT_INLINE void multiply_eight(const int8_t* panel, const int16_t* codes, size_t apart,
                               size_t steps, size_t half, __m256i* sums) {
  __m256i a0 = sums[0], a1 = sums[1], a2 = sums[2], a3 = sums[3];
  __m256i b0 = sums[4], b1 = sums[5], b2 = sums[6], b3 = sums[7];
  __m256i t, u, v, w;
  for (; steps > 0; --steps, panel += 512, codes += 64) {
    QRT_DOT_EIGHT(0)
    QRT_DOT_EIGHT(1)
    QRT_DOT_EIGHT(2)
    QRT_DOT_EIGHT(3)
  }
  if (half) {
    QRT_DOT_EIGHT(0)
    QRT_DOT_EIGHT(1)
  }
  sums[0] = a0, sums[1] = a1, sums[2] = a2, sums[3] = a3;
  sums[4] = b0, sums[5] = b1, sums[6] = b2, sums[7] = b3;
}

/* Four positions; a sum is eight channels in order. is_shifted is a constant. */
QRT_INLINE void store_narrow(const qrt_avx2_results* r, const int is_shifted,
                             size_t width, const __m256i* sums, int8_t* y,
                             size_t y_step) {
  const __m256i ab = _mm256_packs_epi32(qrt_avx2_scaled(&r->low, is_shifted, sums[0]),
                                        qrt_avx2_scaled(&r->low, is_shifted, sums[1]));
  const __m256i cd = _mm256_packs_epi32(qrt_avx2_scaled(&r->low, is_shifted, sums[2]),
                                        qrt_avx2_scaled(&r->low, is_shifted, sums[3]));
  /* Channels 0 to 3 of the four positions, then 4 to 7. */
  const __m256i codes =
      _mm256_min_epi8(_mm256_max_epi8(_mm256_packs_epi16(ab, cd), r->lo), r->hi);
  const __m128i first = _mm256_castsi256_si128(codes);
  const __m128i last = _mm256_extracti128_si256(codes, 1);
  const __m128i a = _mm_unpacklo_epi32(first, last), c = _mm_unpackhi_epi32(first, last);
  store_codes(y, a, width);
  store_codes(y + y_step, _mm_unpackhi_epi64(a, a), width);
  store_codes(y + 2 * y_step, c, width);
  store_codes(y + 3 * y_step, _mm_unpackhi_epi64(c, c), width);
}

QRT_INLINE void multiply_eights(const qrt_conv_tile* tile, const qrt_avx2_results* r,
                                __m256i low, const int is_shifted) {
  const size_t depth = tile->segments * tile->length, fours = fours_of(tile);
  const size_t half = half_of(tile), apart = QRT_POSITIONS * depth;
  const int are_kept = are_codes_kept(tile);
  size_t i, j;
  for (i = 0; i < fours; i += 2) {
    const size_t four = i + 2 < fours ? i : fours - 2;
    const size_t at[2] = {four_at(tile, four), four_at(tile, four + 1)};
    const int16_t* codes = tile->lanes + (are_kept ? four * apart : 0);
    __m256i sums[2 * QRT_POSITIONS];
    if (!are_kept) prepare_fours(tile, four, four + 2);
    for (j = 0; j < 2 * QRT_POSITIONS; ++j) {
      const int32_t product = tile->row_words[at[j / QRT_POSITIONS] + j % QRT_POSITIONS];
      sums[j] = _mm256_sub_epi32(low, _mm256_set1_epi32(product));
    }
    multiply_eight(tile->room, codes, apart, (depth - half) / 16, half, sums);
    for (j = 0; j < 2; ++j) {
      store_narrow(r, is_shifted, tile->width, sums + QRT_POSITIONS * j,
                   (int8_t*)tile->y + at[j] * tile->y_step, tile->y_step);
    }
  }
}

/* True where the tile was worked on. Channels 4 to 7 take the place of 8 to 11: the first
 * vectors then have all. */
static int multiply_narrow(const qrt_conv_tile* tile) {
  const size_t depth = tile->segments * tile->length;
  qrt_conv_tile narrow;
  qrt_avx2_results r;
  __m256i low, high;
  size_t i;
  if (tile->width > 8 || tile->count < 2 * QRT_POSITIONS || 2 * depth > QRT_LANES_EACH) {
    return 0;
  }
  narrow = *tile;
  for (i = 4; i < 8; ++i) {
    narrow.w[i + 4] = tile->w[i];
    narrow.base[i + 4] = tile->base[i];
    narrow.multiplier[i + 4] = tile->multiplier[i];
    narrow.left[i + 4] = tile->left[i];
    narrow.right[i + 4] = tile->right[i];
  }
  r = results_of(&narrow);
  if (!is_fast(&narrow, &r)) return 0;
  pack_panel(&narrow, &low, &high);
  if (r.is_shifted) {
    multiply_eights(&narrow, &r, low, 1);
  } else {
    multiply_eights(&narrow, &r, low, 0);
  }
  return 1;
}

#endif /* QRT_SRC_CONV_NARROW_AVX2_H */
