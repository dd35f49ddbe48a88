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
#define QRT_PACKS_RUNS 1
#define QRT_WEIGHT_OFFSET 128
#define QRT_ROW_POSITIONS 3

#include "conv.h"

static void unpack_codes(int8_t* dst, const uint8_t* src, size_t count, int bits,
                         int odd) {
  qrt_unpack_row(dst, src, count, bits, odd, 0);
}

/* The first `count` of 64 bytes, 0 < count <= 64. */
QRT_INLINE __mmask64 first_bytes(size_t count) { return ~(__mmask64)0 >> (64 - count); }

QRT_INLINE int32_t add_across(__m512i sums) {
  const __m256i eight =
      _mm256_add_epi32(_mm512_castsi512_si256(sums), _mm512_extracti64x4_epi64(sums, 1));
  __m128i four =
      _mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
  four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
  return _mm_cvtsi128_si32(_mm_add_epi32(four, _mm_shuffle_epi32(four, 0xb1)));
}

/* 1 * code, four at a time; count > 0. */
static int32_t sum_codes(const int8_t* codes, size_t count) {
  const __m512i ones = _mm512_set1_epi8(1);
  __m512i sums = _mm512_setzero_si512();
  for (; count > 64; count -= 64, codes += 64) {
    sums = _mm512_dpbusd_epi32(sums, ones, _mm512_loadu_si512(codes));
  }
  sums =
      _mm512_dpbusd_epi32(sums, ones, _mm512_maskz_loadu_epi8(first_bytes(count), codes));
  return add_across(sums);
}

/* Codes at k of rows i, i + 4, i + 8 and i + 12, 16 of each, none beyond the mask. */
#define QRT_LOAD_ROW(i) _mm_maskz_loadu_epi8(mask, w[i] + k)
#define QRT_LOAD_ROWS(i)                                                       \
  _mm512_inserti64x4(                                                          \
      _mm512_castsi256_si512(_mm256_inserti128_si256(                          \
          _mm256_castsi128_si256(QRT_LOAD_ROW(i)), QRT_LOAD_ROW((i) + 4), 1)), \
      _mm256_inserti128_si256(_mm256_castsi128_si256(QRT_LOAD_ROW((i) + 8)),   \
                              QRT_LOAD_ROW((i) + 12), 1),                      \
      1)

/* How far ahead of its use a row is asked for: rows lie apart, and late layers' weights
 * come from far away. */
#define QRT_PACK_AHEAD 512

/* Four words of sixteen rows, transposed, 128 added to every byte; nothing beyond the
 * run, which is a weight of zero there. */
static void pack_panel(const int8_t* const* w, size_t segments, size_t run,
                       int8_t* panel) {
  const size_t depth = segments * run;
  size_t begin, k, i;
  for (begin = 0; begin < depth; begin += run) {
    for (k = begin; k < begin + run; k += 16, panel += 256) {
      const size_t left = begin + run - k;
      const __mmask16 mask = (__mmask16)first_bytes(left < 16 ? left : 16);
      const __m512i top = _mm512_broadcast_i32x4(_mm_maskz_set1_epi8(mask, INT8_MIN));
      const __m512i a = _mm512_xor_si512(QRT_LOAD_ROWS(0), top);
      const __m512i b = _mm512_xor_si512(QRT_LOAD_ROWS(1), top);
      const __m512i c = _mm512_xor_si512(QRT_LOAD_ROWS(2), top);
      const __m512i d = _mm512_xor_si512(QRT_LOAD_ROWS(3), top);
      const __m512i ab = _mm512_unpacklo_epi32(a, b), ef = _mm512_unpackhi_epi32(a, b);
      const __m512i cd = _mm512_unpacklo_epi32(c, d), gh = _mm512_unpackhi_epi32(c, d);
      _mm512_storeu_si512(panel, _mm512_unpacklo_epi64(ab, cd));
      _mm512_storeu_si512(panel + 64, _mm512_unpackhi_epi64(ab, cd));
      _mm512_storeu_si512(panel + 128, _mm512_unpacklo_epi64(ef, gh));
      _mm512_storeu_si512(panel + 192, _mm512_unpackhi_epi64(ef, gh));
      if (k % 64 == 0) {
        for (i = 0; i < 16; ++i) {
          _mm_prefetch((const char*)w[i] + k + QRT_PACK_AHEAD, _MM_HINT_T0);
        }
      }
    }
  }
}

/* Four codes of one position in every lane. */
QRT_INLINE __m512i broadcast(const int8_t* codes) {
  int32_t word;
  memcpy(&word, codes, 4);
  return _mm512_set1_epi32(word);
}

/* VPDPBUSD. As an intrinsic gcc 12 shuffles accumulators between registers in the loop.
 */
#define QRT_DPBUSD(acc, w, codes) \
  __asm__("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(w), "v"(codes))

#define QRT_DOT_ROW(j, row, low, high)                  \
  {                                                     \
    const __m512i codes = broadcast(row + k + 4 * (j)); \
    QRT_DPBUSD(low, w, codes);                          \
    if (is_wide) QRT_DPBUSD(high, v, codes);            \
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

/* Adds to sums[i] position i with sixteen channels, to sums[8 + i] with the next sixteen
 * where `is_wide`, a constant. A vector of weights serves eight positions, a broadcast
 * word both vectors: loads are what limits the narrow form. */
QRT_INLINE void multiply(const qrt_conv_tile* tile, const int8_t* const* rows,
                         const int is_wide, __m512i* sums) {
  const int8_t* panel = tile->panel;
  const int8_t *p0 = rows[0], *p1 = rows[1], *p2 = rows[2], *p3 = rows[3];
  const int8_t *p4 = rows[4], *p5 = rows[5], *p6 = rows[6], *p7 = rows[7];
  const size_t length = tile->length, pitch = tile->pitch;
  const size_t second = 16 * tile->segments * length;
  size_t segment, k;
  __m512i a0 = sums[0], a1 = sums[1], a2 = sums[2], a3 = sums[3];
  __m512i a4 = sums[4], a5 = sums[5], a6 = sums[6], a7 = sums[7];
  __m512i b0 = a0, b1 = a0, b2 = a0, b3 = a0, b4 = a0, b5 = a0, b6 = a0, b7 = a0;
  if (is_wide) {
    b0 = sums[8], b1 = sums[9], b2 = sums[10], b3 = sums[11];
    b4 = sums[12], b5 = sums[13], b6 = sums[14], b7 = sums[15];
  }
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

/* What a tile's results need, for each sixteen channels. */
typedef struct {
  qrt_avx512_result result[2];
  qrt_avx512_scale scale[2];
  qrt_avx512_clamp clamp;
  __mmask32 columns; /* that exist */
} qrt_vnni_result;

/* What 128 added to every weight has added to the sums of a position, and w_zero. */
QRT_INLINE __m512i excess_of(const qrt_conv_tile* tile, size_t position, size_t column) {
  const __m512i row_sum = _mm512_set1_epi32(tile->row_sums[position]);
  return tile->same_w_zero
             ? _mm512_slli_epi32(row_sum, 7)
             : _mm512_mullo_epi32(_mm512_loadu_si512(tile->w_zero + column), row_sum);
}

/* Sixteen channels from `column` on at `count` positions, whatever their result. */
QRT_NOINLINE static void store_any(const qrt_conv_tile* tile, const qrt_avx512_result* r,
                                   size_t column, size_t first, size_t count,
                                   const __m512i* sums) {
  const __mmask16 columns =
      (__mmask16)first_bytes(tile->width - column < 16 ? tile->width - column : 16);
  size_t i;
  for (i = 0; i < count; ++i) {
    const __m512i centred = _mm512_sub_epi32(sums[i], excess_of(tile, first + i, column));
    const __m512i codes = qrt_avx512_codes(r, centred);
    void* y = qrt_at_mutable(tile->y, (first + i) * tile->y_step + column, tile->y_bytes);
    if (tile->y_bytes == 1) {
      _mm_mask_storeu_epi8(y, columns, _mm512_cvtepi32_epi8(codes));
    } else {
      _mm256_mask_storeu_epi16(y, columns, _mm512_cvtepi32_epi16(codes));
    }
  }
}

QRT_INLINE void multiply_any(const qrt_conv_tile* tile, const qrt_vnni_result* r,
                             size_t first, const int is_wide) {
  const size_t left = tile->count - first, count = left < 8 ? left : 8;
  const int8_t* rows[8];
  __m512i sums[16];
  size_t i;
  for (i = 0; i < 8; ++i) rows[i] = tile->rows[first + (i < count ? i : 0)];
  for (i = 0; i < 16; ++i) sums[i] = _mm512_setzero_si512();
  multiply(tile, rows, is_wide, sums);
  store_any(tile, &r->result[0], 0, first, count, sums);
  if (is_wide) store_any(tile, &r->result[1], 16, first, count, sums + 8);
}

/* The lanes of qrt_avx512_pack, each of its four vectors in a row. */
QRT_INLINE __m512i in_rows(__m512i codes) {
  const __m512i order =
      _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  return _mm512_permutexvar_epi32(order, codes);
}

/* `any_left`, a constant: sums are shifted before the base is added. */
QRT_INLINE __m512i doubled(const qrt_avx512_scale* s, __m512i sums, const int any_left) {
  if (any_left) sums = _mm512_add_epi32(_mm512_sllv_epi32(sums, s->left), s->base);
  return qrt_avx512_doubled(s, sums);
}

#define QRT_DOUBLED(i) doubled(&r->scale[(i) / 8], sums[i], any_left)

/* Position i with the tile's channels; whole vectors are stored faster. */
#define QRT_STORE_WIDE_ROW(i, row)                             \
  if (r->columns == 0xffffffff) {                              \
    _mm256_storeu_si256((__m256i*)(void*)(y + (i)*step), row); \
  } else {                                                     \
    _mm256_mask_storeu_epi8(y + (i)*step, r->columns, row);    \
  }
#define QRT_STORE_NARROW_ROW(i, row)                                \
  if (r->columns == 0xffff) {                                       \
    _mm_storeu_si128((__m128i*)(void*)(y + (i)*step), row);         \
  } else {                                                          \
    _mm_mask_storeu_epi8(y + (i)*step, (__mmask16)r->columns, row); \
  }

/* Positions i and i + 1 with 32 channels. */
#define QRT_STORE_WIDE(i)                                                        \
  {                                                                              \
    const __m512i codes =                                                        \
        in_rows(qrt_avx512_pack(&r->clamp, QRT_DOUBLED(i), QRT_DOUBLED((i) + 8), \
                                QRT_DOUBLED((i) + 1), QRT_DOUBLED((i) + 9)));    \
    QRT_STORE_WIDE_ROW(i, _mm512_castsi512_si256(codes))                         \
    QRT_STORE_WIDE_ROW((i) + 1, _mm512_extracti64x4_epi64(codes, 1))             \
  }

/* Positions i to i + 3 with 16 channels. */
#define QRT_STORE_NARROW(i)                                                      \
  {                                                                              \
    const __m512i codes =                                                        \
        in_rows(qrt_avx512_pack(&r->clamp, QRT_DOUBLED(i), QRT_DOUBLED((i) + 1), \
                                QRT_DOUBLED((i) + 2), QRT_DOUBLED((i) + 3)));    \
    QRT_STORE_NARROW_ROW(i, _mm512_castsi512_si128(codes))                       \
    QRT_STORE_NARROW_ROW((i) + 1, _mm512_extracti32x4_epi32(codes, 1))           \
    QRT_STORE_NARROW_ROW((i) + 2, _mm512_extracti32x4_epi32(codes, 2))           \
    QRT_STORE_NARROW_ROW((i) + 3, _mm512_extracti32x4_epi32(codes, 3))           \
  }

#define QRT_BEGIN(i)                                                             \
  sums[i] = _mm512_sub_epi32(base[0], excess_of(tile, first + (i), 0));          \
  if (is_wide) {                                                                 \
    sums[8 + (i)] = _mm512_sub_epi32(base[1], excess_of(tile, first + (i), 16)); \
  }

/* Eight positions. */
QRT_INLINE void multiply_eight(const qrt_conv_tile* tile, const qrt_vnni_result* r,
                               size_t first, const int is_wide, const int any_left) {
  const __m512i none = _mm512_setzero_si512();
  const __m512i base[2] = {any_left ? none : r->scale[0].base,
                           any_left ? none : r->scale[1].base};
  const size_t step = tile->y_step;
  int8_t* y = (int8_t*)tile->y + first * step;
  __m512i sums[16];
  QRT_BEGIN(0) QRT_BEGIN(1) QRT_BEGIN(2) QRT_BEGIN(3);
  QRT_BEGIN(4) QRT_BEGIN(5) QRT_BEGIN(6) QRT_BEGIN(7);
  multiply(tile, tile->rows + first, is_wide, sums);
  if (is_wide) {
    QRT_STORE_WIDE(0) QRT_STORE_WIDE(2) QRT_STORE_WIDE(4) QRT_STORE_WIDE(6)
  } else {
    QRT_STORE_NARROW(0) QRT_STORE_NARROW(4)
  }
}

/* Eights of positions; what is left over is worked on together with some before. Between
 * them the next tile's weights are asked for: late layers' come from far away. */
QRT_INLINE void multiply_eights(const qrt_conv_tile* tile, const qrt_vnni_result* r,
                                const int is_wide, const int any_left) {
  const size_t slice = tile->next_bytes / ((tile->count + 7) / 8) + 64;
  const char* next = (const char*)tile->next;
  size_t first, asked = 0, i;
  for (first = 0; first + 8 < tile->count; first += 8) {
    for (i = 0; i < slice && asked < tile->next_bytes; i += 64, asked += 64) {
      _mm_prefetch(next + asked, _MM_HINT_T1);
    }
    multiply_eight(tile, r, first, is_wide, any_left);
  }
  multiply_eight(tile, r, tile->count - 8, is_wide, any_left);
}

static qrt_avx512_result result_of(const qrt_conv_tile* tile, size_t column) {
  const __m512i shift = _mm512_or_si512(_mm512_loadu_si512(tile->left + column),
                                        _mm512_loadu_si512(tile->right + column));
  return qrt_avx512_prepare(_mm512_loadu_si512(tile->base + column),
                            _mm512_loadu_si512(tile->multiplier + column), shift,
                            tile->y_zero, tile->lo, tile->hi);
}

QRT_INLINE void multiply_positions(const qrt_conv_tile* tile, const int is_wide) {
  const size_t depth = tile->segments * tile->length;
  qrt_vnni_result r;
  size_t first;
  int i;
  for (i = 0; i < 2; ++i) {
    r.result[i] = i == 0 || is_wide ? result_of(tile, 16 * (size_t)i) : r.result[0];
    r.scale[i] = qrt_avx512_scale_of(&r.result[i]);
  }
  r.clamp = qrt_avx512_clamp_of(tile->y_zero, tile->lo, tile->hi);
  r.columns = (__mmask32)first_bytes(tile->width);
  if (tile->count < 8 || tile->y_bytes != 1 ||
      !qrt_avx512_is_small(&r.result[0], depth) ||
      !qrt_avx512_is_small(&r.result[1], depth)) {
    for (first = 0; first < tile->count; first += 8) {
      multiply_any(tile, &r, first, is_wide);
    }
  } else if (tile->any_left) {
    multiply_eights(tile, &r, is_wide, 1);
  } else {
    multiply_eights(tile, &r, is_wide, 0);
  }
}

/* Four channels at one position from rows as they lie in the blob: for so few positions
 * that a panel would cost more than it saves. */
QRT_INLINE __m128i multiply_row(const qrt_conv_tile* tile, const int8_t* x,
                                const int8_t* const* w) {
  const __m512i top = _mm512_set1_epi8(INT8_MIN);
  __m512i a = _mm512_setzero_si512(), b = a, c = a, d = a;
  size_t segment, k, at = 0;
  for (segment = tile->segments; segment > 0; --segment, x += tile->pitch) {
    for (k = 0; k < tile->run; k += 64, at += 64) {
      const size_t left = tile->run - k;
      const __mmask64 mask = first_bytes(left < 64 ? left : 64);
      const __m512i codes = _mm512_maskz_loadu_epi8(mask, x + k);
#define QRT_DOT(acc, row)    \
  acc = _mm512_dpbusd_epi32( \
      acc, _mm512_xor_si512(_mm512_maskz_loadu_epi8(mask, (row) + at), top), codes);
      QRT_DOT(a, w[0])
      QRT_DOT(b, w[1])
      QRT_DOT(c, w[2])
      QRT_DOT(d, w[3])
#undef QRT_DOT
    }
    at -= k - tile->run;
  }
  return _mm_setr_epi32(add_across(a), add_across(b), add_across(c), add_across(d));
}

static void multiply_rows(const qrt_conv_tile* tile) {
  int32_t sums[16];
  size_t column, i, j;
  for (column = 0; column < tile->width; column += 16) {
    const qrt_avx512_result r = result_of(tile, column);
    for (i = 0; i < tile->count; ++i) {
      __m512i vector;
      for (j = 0; j < 16; j += 4) {
        _mm_storeu_si128((__m128i*)(void*)(sums + j),
                         multiply_row(tile, tile->rows[i], tile->w + column + j));
      }
      vector = _mm512_loadu_si512(sums);
      store_any(tile, &r, column, i, 1, &vector);
    }
  }
}

QRT_NOINLINE static void multiply_tile(const qrt_conv_tile* tile) {
  if (!tile->panel) {
    multiply_rows(tile);
  } else if (tile->width > 16) {
    multiply_positions(tile, 1);
  } else {
    multiply_positions(tile, 0);
  }
}

QRT_DEFINE_CONV(qrt_conv2d_s8_vnni)

#else
typedef int qrt_conv_vnni_is_empty;
#endif
