/* SPDX-License-Identifier: MIT
 * What the AVX2 and AVX-512 bit-serial kernels share: from the sums of two rows times 4
 * columns to codes. The including file defines `sum_tile`: sums of four rows over one
 * chunk, one vector of 4 columns a row. */
#ifndef QRT_SRC_BITSERIAL_X86_H
#define QRT_SRC_BITSERIAL_X86_H

#include "avx2.h"
#define QRT_SEGMENT_STEPS 15
#include "bitserial_words.h"

static void sum_tile(const qrt_segment* segments, const uint64_t* panel,
                     const uint64_t* w, __m128i* sums);

static __m256i both_halves(const int32_t* four) {
  return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i*)(const void*)four));
}

/* Codes of two rows, 4 columns each. */
static void finish_two(const qrt_bits* b, const qrt_row_term* terms,
                       const qrt_bit_columns* columns, __m128i first, __m128i second,
                       int8_t* codes) {
  __m256i acc = _mm256_inserti128_si256(_mm256_castsi128_si256(first), second, 1);
  __m256i term = _mm256_loadu_si256((const __m256i*)(const void*)terms[0].of);
  if (b->has_w_zero) {
    const __m256i zero = _mm256_setzero_si256();
    term = _mm256_sub_epi32(zero, _mm256_mullo_epi32(term, both_halves(columns->offset)));
  }
  acc = qrt_avx2_requant_sums(_mm256_add_epi32(acc, term), both_halves(columns->base),
                              both_halves(columns->multiplier),
                              both_halves(columns->shift));
  qrt_avx2_store8(codes, qrt_avx2_finish(acc, b->p->y_zero, b->p->lo, b->p->hi));
}

static void run_tiles(const qrt_bits* b, const uint64_t* panels,
                      const qrt_row_term* terms, const uint64_t* w,
                      const qrt_bit_columns* columns, size_t rows, int width, int8_t* y) {
  const size_t panel_words = (size_t)b->p->x_bits * b->panel_plane;
  size_t row, k, i;
  for (row = 0; row < rows; row += 4, panels += panel_words, terms += 4) {
    const size_t height = rows - row < 4 ? rows - row : 4;
    __m128i total[4];
    int8_t codes[16];
    for (i = 0; i < 4; ++i) total[i] = _mm_setzero_si128();
    for (k = 0; k < b->depth; k += b->chunk) {
      __m128i sums[4];
      sum_tile(b->depth - k <= b->chunk ? b->last : b->full, panels + 4 * k, w + 4 * k,
               sums);
      for (i = 0; i < 4; ++i) total[i] = _mm_add_epi32(total[i], sums[i]);
    }
    finish_two(b, terms, columns, total[0], total[1], codes);
    finish_two(b, terms + 2, columns, total[2], total[3], codes + 8);
    for (i = 0; i < height; ++i, y += b->y_step) {
      if (width == 4) {
        memcpy(y, codes + 4 * i, 4);
      } else {
        memcpy(y, codes + 4 * i, (size_t)width);
      }
    }
  }
}

#endif /* QRT_SRC_BITSERIAL_X86_H */
