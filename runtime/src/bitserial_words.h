/* SPDX-License-Identifier: MIT
 * Packing and row sums of the bit-serial convolution on 64-bit words, for machines whose
 * vectors have nothing better. */
#ifndef QRT_SRC_BITSERIAL_WORDS_H
#define QRT_SRC_BITSERIAL_WORDS_H

#include "bitserial.h"

/* Byte m of the eight that each word holds goes to bit m: no bit leaves its byte. */
static void pack_words(const int8_t* x, size_t groups, int32_t lo, int bits,
                       uint64_t* planes, size_t plane_words) {
  const uint64_t ones = 0x0101010101010101u, tops = ones << 7;
  const uint64_t less = ones * (uint8_t)lo;
  size_t g;
  for (g = 0; g < groups; ++g, x += QRT_WORD_CODES) {
    uint64_t codes[8];
    int m, j;
    memcpy(codes, x, sizeof codes);
    for (m = 0; m < 8; ++m) { /* eight subtractions without borrow */
      codes[m] = ((codes[m] | tops) - (less & ~tops)) ^ ((codes[m] ^ ~less) & tops);
    }
    for (j = 0; j < bits; ++j) {
      uint64_t word = 0;
      for (m = 0; m < 8; ++m) word |= (codes[m] >> j & ones) << m;
      planes[(size_t)j * plane_words + g] = word;
    }
  }
}

static void sum_rows(const qrt_bits* b, const uint64_t* panel, int32_t* sums) {
  int row, j;
  for (row = 0; row < 4; ++row) {
    uint32_t sum = 0;
    size_t k;
    for (j = b->p->x_bits - 1; j >= 0; --j) {
      const uint64_t* plane = panel + (size_t)j * b->panel_plane + 2 * row;
      sum *= 2;
      for (k = 0; k < b->depth; ++k) sum += count_word(plane[k / 2 * 8 + k % 2]);
    }
    sums[row] = (int32_t)sum;
  }
}

#endif /* QRT_SRC_BITSERIAL_WORDS_H */
