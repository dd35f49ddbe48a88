/* SPDX-License-Identifier: MIT
 * Direct int8 convolution for AVX-512 VNNI: eight positions by 32 channels, or by 16.
 * VPDPBUSD
 * multiplies unsigned by signed bytes and adds four products to 32 bits without
 * saturation. The weights are its unsigned side, 128 more than they are, which is one
 * more zero point (conv.h); so the codes of a position can be broadcast from where they
 * lie. */
#include "avx512.h"

#if QRT_HAS_vnni

#define QRT_TILE_COLUMNS 32
#define QRT_PANELS 1
#define QRT_WEIGHT_OFFSET 128
#define QRT_ROW_POSITIONS 0

#include "conv.h"

static void unpack_codes(int8_t* dst, const uint8_t* src, size_t count, int bits,
                         int odd) {
  qrt_unpack_row(dst, src, count, bits, odd, 0);
}

/* 1 * code, four at a time; the tail as scalars. */
static int32_t sum_codes(const int8_t* codes, size_t count) {
  const __m512i ones = _mm512_set1_epi8(1);
  __m512i sums = _mm512_setzero_si512();
  int32_t total;
  size_t i;
  for (i = 0; i + 64 <= count; i += 64) {
    sums = _mm512_dpbusd_epi32(sums, ones, _mm512_loadu_si512(codes + i));
  }
  total = _mm512_reduce_add_epi32(sums);
  for (; i < count; ++i) total += codes[i];
  return total;
}

/* Four words of four rows, transposed, 128 added to every byte. */
QRT_INLINE void transpose(const int8_t* const* rows, size_t k, int8_t* dst) {
  const __m128i top = _mm_set1_epi8(INT8_MIN);
  __m128i a[4], ab[2], cd[2];
  size_t i;
  for (i = 0; i < 4; ++i) {
    a[i] = _mm_loadu_si128((const __m128i*)(const void*)(rows[i] + k));
    a[i] = _mm_xor_si128(a[i], top);
  }
  ab[0] = _mm_unpacklo_epi32(a[0], a[1]);
  ab[1] = _mm_unpackhi_epi32(a[0], a[1]);
  cd[0] = _mm_unpacklo_epi32(a[2], a[3]);
  cd[1] = _mm_unpackhi_epi32(a[2], a[3]);
  for (i = 0; i < 2; ++i) {
    _mm_storeu_si128((__m128i*)(void*)(dst + 128 * i), _mm_unpacklo_epi64(ab[i], cd[i]));
    _mm_storeu_si128((__m128i*)(void*)(dst + 128 * i + 64),
                     _mm_unpackhi_epi64(ab[i], cd[i]));
  }
}

static void pack_panel(const int8_t* const* w, size_t depth, int8_t* panel) {
  size_t k, i;
  for (i = 0; i < 16; i += 4) {
    for (k = 0; k < depth; k += 16) transpose(w + i, k, panel + 16 * k + 4 * i);
  }
}

/* Four codes of one position in every lane. */
QRT_INLINE __m512i broadcast(const int8_t* codes) {
  int32_t word;
  memcpy(&word, codes, 4);
  return _mm512_set1_epi32(word);
}

#define QRT_DOT_ROW(j, row, low, high)                       \
  {                                                          \
    const __m512i codes = broadcast(row + k + 4 * (j));      \
    low = _mm512_dpbusd_epi32(low, w, codes);                \
    if (is_wide) high = _mm512_dpbusd_epi32(high, v, codes); \
  }

#define QRT_DOT_WORD(j)                                                            \
  {                                                                                \
    const __m512i w = _mm512_loadu_si512(panel + 64 * (j));                        \
    const __m512i v = is_wide ? _mm512_loadu_si512(panel + second + 64 * (j)) : w; \
    QRT_DOT_ROW(j, p0, a0, b0)                                                     \
    QRT_DOT_ROW(j, p1, a1, b1)                                                     \
    QRT_DOT_ROW(j, p2, a2, b2)                                                     \
    QRT_DOT_ROW(j, p3, a3, b3)                                                     \
    QRT_DOT_ROW(j, p4, a4, b4)                                                     \
    QRT_DOT_ROW(j, p5, a5, b5)                                                     \
    QRT_DOT_ROW(j, p6, a6, b6)                                                     \
    QRT_DOT_ROW(j, p7, a7, b7)                                                     \
  }

/* sums[i]: position i with sixteen channels; sums[8 + i]: with the next sixteen, where
 * `is_wide`, a constant. A vector of weights serves eight positions, a broadcast word
 * both vectors: loads are what limits the narrow form. */
QRT_INLINE void multiply(const qrt_conv_tile* tile, const int8_t* const* rows,
                         const int is_wide, __m512i* sums) {
  const int8_t* panel = tile->panel;
  const int8_t *p0 = rows[0], *p1 = rows[1], *p2 = rows[2], *p3 = rows[3];
  const int8_t *p4 = rows[4], *p5 = rows[5], *p6 = rows[6], *p7 = rows[7];
  const size_t length = tile->length, pitch = tile->pitch;
  const size_t second = 16 * tile->segments * length;
  size_t segment, k;
  __m512i a0 = _mm512_setzero_si512(), a1 = a0, a2 = a0, a3 = a0;
  __m512i a4 = a0, a5 = a0, a6 = a0, a7 = a0;
  __m512i b0 = a0, b1 = a0, b2 = a0, b3 = a0, b4 = a0, b5 = a0, b6 = a0, b7 = a0;
  for (segment = tile->segments; segment > 0; --segment) {
    for (k = 0; k < length; k += 16, panel += 256) {
      QRT_DOT_WORD(0)
      QRT_DOT_WORD(1)
      QRT_DOT_WORD(2)
      QRT_DOT_WORD(3)
    }
    p0 += pitch, p1 += pitch, p2 += pitch, p3 += pitch;
    p4 += pitch, p5 += pitch, p6 += pitch, p7 += pitch;
  }
  sums[0] = a0, sums[1] = a1, sums[2] = a2, sums[3] = a3;
  sums[4] = a4, sums[5] = a5, sums[6] = a6, sums[7] = a7;
  if (!is_wide) return;
  sums[8] = b0, sums[9] = b1, sums[10] = b2, sums[11] = b3;
  sums[12] = b4, sums[13] = b5, sums[14] = b6, sums[15] = b7;
}

/* Sixteen channels of the tile, from `column` on, at up to eight positions. */
QRT_INLINE void store(const qrt_conv_tile* tile, const qrt_avx512_result* r,
                      size_t column, size_t first, size_t count, const __m512i* sums) {
  const size_t width = tile->width - column;
  const __m512i w_zero = _mm512_loadu_si512(tile->w_zero + column);
  size_t i, j;
  for (i = 0; i < count; ++i) {
    const __m512i row_sum = _mm512_set1_epi32(tile->row_sums[first + i]);
    const __m512i centred = _mm512_sub_epi32(
        sums[i], tile->same_w_zero ? _mm512_slli_epi32(row_sum, 7)
                                   : _mm512_mullo_epi32(w_zero, row_sum));
    const __m512i codes = qrt_avx512_codes(r, centred);
    const size_t at = (first + i) * tile->y_step + column;
    if (tile->y_bytes == 1 && width >= 16) {
      _mm_storeu_si128((__m128i*)(void*)((int8_t*)tile->y + at),
                       _mm512_cvtepi32_epi8(codes));
    } else {
      int32_t values[16];
      _mm512_storeu_si512(values, codes);
      for (j = 0; j < 16 && j < width; ++j) {
        qrt_store(tile->y, at + j, tile->y_bytes, values[j]);
      }
    }
  }
}

static qrt_avx512_result result_of(const qrt_conv_tile* tile, size_t column) {
  const __m512i shift = _mm512_or_si512(_mm512_loadu_si512(tile->left + column),
                                        _mm512_loadu_si512(tile->right + column));
  return qrt_avx512_prepare(_mm512_loadu_si512(tile->base + column),
                            _mm512_loadu_si512(tile->multiplier + column), shift,
                            tile->y_zero, tile->lo, tile->hi);
}

QRT_INLINE void multiply_positions(const qrt_conv_tile* tile, const int is_wide) {
  const qrt_avx512_result low = result_of(tile, 0);
  const qrt_avx512_result high = is_wide ? result_of(tile, 16) : low;
  size_t first, i;
  for (first = 0; first < tile->count; first += 8) {
    const size_t count = tile->count - first < 8 ? tile->count - first : 8;
    const int8_t* rows[8];
    __m512i sums[16];
    for (i = 0; i < 8; ++i) rows[i] = tile->rows[first + (i < count ? i : 0)];
    multiply(tile, rows, is_wide, sums);
    store(tile, &low, 0, first, count, sums);
    if (is_wide) store(tile, &high, 16, first, count, sums + 8);
  }
}

QRT_NOINLINE static void multiply_tile(const qrt_conv_tile* tile) {
  if (tile->width > 16) {
    multiply_positions(tile, 1);
  } else {
    multiply_positions(tile, 0);
  }
}

QRT_DEFINE_CONV(qrt_conv2d_s8_vnni)

#else
typedef int qrt_conv_vnni_is_empty;
#endif
