/* SPDX-License-Identifier: MIT
 * Direct int8 convolution for AVX2: six positions by sixteen channels in twelve
 * accumulators. VPMADDWD multiplies pairs of 16-bit numbers and adds the two products
 * exactly; VPMADDUBSW would take twice as many codes, but it saturates. The panel holds
 * pairs of weights of the channels side by side, so that nothing is added across lanes,
 * and a pair of codes of one position is broadcast by the load itself. */
#include "avx2.h"

#if QRT_HAS_avx2

#define QRT_TILE_COLUMNS 16
#define QRT_PANELS 1
#define QRT_PACKS_RUNS 0
#define QRT_WEIGHT_OFFSET 0
#define QRT_ROW_POSITIONS 4

#include "conv.h"

static void unpack_codes(int8_t* dst, const uint8_t* src, size_t count, int bits,
                         int odd) {
  if (bits == 8) {
    memcpy(dst, src, count);
  } else {
    qrt_unpack_row(dst, src, count, bits, odd, 0);
  }
}

/* Eight bytes at a time, 128 more than they are; the tail as scalars. */
static int32_t sum_codes(const int8_t* codes, size_t count) {
  const __m256i top = _mm256_set1_epi8(INT8_MIN);
  __m256i sums = _mm256_setzero_si256();
  int64_t lanes[4];
  int32_t total;
  size_t i;
  for (i = 0; i + 32 <= count; i += 32) {
    const __m256i v = _mm256_loadu_si256((const __m256i*)(const void*)(codes + i));
    sums = _mm256_add_epi64(
        sums, _mm256_sad_epu8(_mm256_xor_si256(v, top), _mm256_setzero_si256()));
  }
  _mm256_storeu_si256((__m256i*)(void*)lanes, sums);
  total = (int32_t)(lanes[0] + lanes[1] + lanes[2] + lanes[3] - 128 * (int64_t)i);
  for (; i < count; ++i) total += codes[i];
  return total;
}

/* ------------------------------------------------------------------------- weights
 *
 * Channels 0 to 3 and 8 to 11 are the low one of a panel's two vectors, the others the
 * high one, as qrt_avx2_load_split has them. */

/* 16 codes of channels i and i + 4. */
QRT_INLINE __m256i load_rows(const int8_t* const* w, size_t i, size_t k) {
  return _mm256_loadu2_m128i((const __m128i*)(const void*)(w[i + 4] + k),
                             (const __m128i*)(const void*)(w[i] + k));
}

QRT_INLINE void put_pairs(int8_t* panel, size_t pair, __m256i low, __m256i high) {
  _mm256_storeu_si256((__m256i*)(void*)(panel + 32 * pair),
                      _mm256_unpacklo_epi64(low, high));
  _mm256_storeu_si256((__m256i*)(void*)(panel + 32 * (pair + 1)),
                      _mm256_unpackhi_epi64(low, high));
}

/* Eight pairs of sixteen channels, transposed: 32 bytes a pair. */
QRT_INLINE void transpose(const int8_t* const* w, size_t k, int8_t* panel) {
  const __m256i r0 = load_rows(w, 0, k), r1 = load_rows(w, 1, k);
  const __m256i r2 = load_rows(w, 2, k), r3 = load_rows(w, 3, k);
  const __m256i r4 = load_rows(w, 8, k), r5 = load_rows(w, 9, k);
  const __m256i r6 = load_rows(w, 10, k), r7 = load_rows(w, 11, k);
  const __m256i a0 = _mm256_unpacklo_epi16(r0, r1), b0 = _mm256_unpackhi_epi16(r0, r1);
  const __m256i a1 = _mm256_unpacklo_epi16(r2, r3), b1 = _mm256_unpackhi_epi16(r2, r3);
  const __m256i a2 = _mm256_unpacklo_epi16(r4, r5), b2 = _mm256_unpackhi_epi16(r4, r5);
  const __m256i a3 = _mm256_unpacklo_epi16(r6, r7), b3 = _mm256_unpackhi_epi16(r6, r7);
  put_pairs(panel, 0, _mm256_unpacklo_epi32(a0, a1), _mm256_unpacklo_epi32(a2, a3));
  put_pairs(panel, 2, _mm256_unpackhi_epi32(a0, a1), _mm256_unpackhi_epi32(a2, a3));
  put_pairs(panel, 4, _mm256_unpacklo_epi32(b0, b1), _mm256_unpacklo_epi32(b2, b3));
  put_pairs(panel, 6, _mm256_unpackhi_epi32(b0, b1), _mm256_unpackhi_epi32(b2, b3));
}

static void pack_panel(const int8_t* const* w, size_t segments, size_t run,
                       int8_t* panel) {
  const size_t depth = segments * run;
  size_t k;
  for (k = 0; k < depth; k += 16) transpose(w, k, panel + 16 * k);
}

/* ------------------------------------------------------------------ multiplication */

#define QRT_POSITIONS 6

QRT_INLINE __m256i widen(const int8_t* codes) {
  return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i*)(const void*)codes));
}

QRT_INLINE void store_lanes(int16_t* lanes, __m256i v) {
  _mm256_storeu_si256((__m256i*)(void*)lanes, v);
}

static void widen_panel(const int8_t* panel, size_t depth, int16_t* lanes) {
  size_t k;
  for (k = 0; k < 16 * depth; k += 16) store_lanes(lanes + k, widen(panel + k));
}

/* The j-th pair of weights of a step, as lanes or as bytes. */
#define QRT_LOAD_LANES(j) \
  "vmovdqu 64*" #j        \
  "(%[p]), %[v]\n\t"      \
  "vmovdqu 64*" #j "+32(%[p]), %[w]\n\t"
#define QRT_LOAD_BYTES(j) \
  "vpmovsxbw 32*" #j      \
  "(%[p]), %[v]\n\t"      \
  "vpmovsxbw 32*" #j "+16(%[p]), %[w]\n\t"

/* The i-th position's j-th pair of codes with v and w. */
#define QRT_DOT(i, j, a, b)       \
  "vpbroadcastd 32*" #i "+4*" #j  \
  "(%[x]), %[u]\n\t"              \
  "vpmaddwd %[v], %[u], %[t]\n\t" \
  "vpmaddwd %[w], %[u], %[u]\n\t" \
  "vpaddd %[t], %[" #a "], %[" #a \
  "]\n\t"                         \
  "vpaddd %[u], %[" #b "], %[" #b "]\n\t"

/* Written out: compilers add products to each other first, and run out of the sixteen
 * registers that this needs. */
#define QRT_DOT_SIX(load, j)                                                             \
  __asm__ volatile(load(j) QRT_DOT(0, j, a0, b0) QRT_DOT(1, j, a1, b1)                   \
                       QRT_DOT(2, j, a2, b2) QRT_DOT(3, j, a3, b3) QRT_DOT(4, j, a4, b4) \
                           QRT_DOT(5, j, a5, b5)                                         \
                   : [a0] "+x"(a0), [b0] "+x"(b0), [a1] "+x"(a1), [b1] "+x"(b1),         \
                     [a2] "+x"(a2), [b2] "+x"(b2), [a3] "+x"(a3), [b3] "+x"(b3),         \
                     [a4] "+x"(a4), [b4] "+x"(b4), [a5] "+x"(a5), [b5] "+x"(b5),         \
                     [t] "=&x"(t), [u] "=&x"(u), [v] "=&x"(v), [w] "=&x"(w)              \
                   : [p] "r"(panel), [x] "r"(codes)                                      \
                   : "memory");

#define QRT_DOT_TWO(load, j)                                                     \
  __asm__ volatile(load(j) QRT_DOT(0, j, a0, b0) QRT_DOT(1, j, a1, b1)           \
                   : [a0] "+x"(a0), [b0] "+x"(b0), [a1] "+x"(a1), [b1] "+x"(b1), \
                     [t] "=&x"(t), [u] "=&x"(u), [v] "=&x"(v), [w] "=&x"(w)      \
                   : [p] "r"(panel), [x] "r"(codes)                              \
                   : "memory");

#define QRT_DOT_STEP(dot, load)                                                 \
  dot(load, 0) dot(load, 1) dot(load, 2) dot(load, 3) dot(load, 4) dot(load, 5) \
      dot(load, 6) dot(load, 7)

/* Codes that are multiplied with a panel: runs of `length` codes, `pitch` apart; or sums
 * of two such codes, or differences, the other one `other` codes further on. */
typedef enum { QRT_CODES, QRT_SUMS, QRT_DIFFERENCES } qrt_operand;
typedef struct {
  const void* panel;
  qrt_operand operand;
  size_t offset, other;
  size_t segments, length, pitch;
  const int8_t* ahead; /* a line of it for each step: weights of the next tile */
  size_t ahead_step;
} qrt_product;

/* Sixteen codes of one position as lanes. */
QRT_INLINE void prepare_codes(const qrt_product* q, const int8_t* codes, int16_t* lanes) {
  __m256i v = widen(codes);
  if (q->operand == QRT_SUMS) v = _mm256_add_epi16(v, widen(codes + q->other));
  if (q->operand == QRT_DIFFERENCES) v = _mm256_sub_epi16(v, widen(codes + q->other));
  store_lanes(lanes, v);
}

#define QRT_PREPARE_STEP(lanes)           \
  prepare_codes(q, p0 + k, lanes);        \
  prepare_codes(q, p1 + k, lanes + 16);   \
  if (is_full) {                          \
    prepare_codes(q, p2 + k, lanes + 32); \
    prepare_codes(q, p3 + k, lanes + 48); \
    prepare_codes(q, p4 + k, lanes + 64); \
    prepare_codes(q, p5 + k, lanes + 80); \
  }

/* sums[2 i] and sums[2 i + 1]: position i with the channels of low and high vectors, from
 * `low` and `high` on. Six positions where is_full, else two; the panel holds bytes where
 * is_narrow, else lanes: both are constants. A step prepares the codes of the next one:
 * they are in memory by the time they are broadcast. */
QRT_INLINE void multiply(const qrt_product* q, const int8_t* const* rows,
                         const int is_full, const int is_narrow, __m256i low,
                         __m256i high, __m256i* sums) {
  const int8_t* panel = (const int8_t*)q->panel;
  const int8_t *p0 = rows[0] + q->offset, *p1 = rows[1] + q->offset;
  const int8_t* p2 = is_full ? rows[2] + q->offset : p0;
  const int8_t* p3 = is_full ? rows[3] + q->offset : p0;
  const int8_t* p4 = is_full ? rows[4] + q->offset : p0;
  const int8_t* p5 = is_full ? rows[5] + q->offset : p0;
  const int8_t* ahead = q->ahead;
  const size_t length = q->length, pitch = q->pitch;
  int16_t lanes[2][16 * QRT_POSITIONS];
  size_t steps = q->segments * length / 16, k = 0, turn = 0;
  __m256i a0 = low, a1 = low, a2 = low, a3 = low, a4 = low, a5 = low;
  __m256i b0 = high, b1 = high, b2 = high, b3 = high, b4 = high, b5 = high;
  __m256i t, u, v, w;
  QRT_PREPARE_STEP(lanes[0])
  for (; steps > 0; --steps, panel += is_narrow ? 256 : 512) {
    const int16_t* codes = lanes[turn];
    turn ^= 1;
    _mm_prefetch((const char*)ahead, _MM_HINT_T1);
    ahead += q->ahead_step;
    if (steps > 1) {
      k += 16;
      if (k == length) {
        k = 0;
        p0 += pitch, p1 += pitch;
        if (is_full) p2 += pitch, p3 += pitch, p4 += pitch, p5 += pitch;
      }
      QRT_PREPARE_STEP(lanes[turn])
    }
    if (is_full && is_narrow) {
      QRT_DOT_STEP(QRT_DOT_SIX, QRT_LOAD_BYTES)
    } else if (is_full) {
      QRT_DOT_STEP(QRT_DOT_SIX, QRT_LOAD_LANES)
    } else if (is_narrow) {
      QRT_DOT_STEP(QRT_DOT_TWO, QRT_LOAD_BYTES)
    } else {
      QRT_DOT_STEP(QRT_DOT_TWO, QRT_LOAD_LANES)
    }
  }
  sums[0] = a0, sums[1] = b0, sums[2] = a1, sums[3] = b1;
  if (!is_full) return;
  sums[4] = a2, sums[5] = b2, sums[6] = a3, sums[7] = b3;
  sums[8] = a4, sums[9] = b4, sums[10] = a5, sums[11] = b5;
}

/* The four forms, each once. */
QRT_NOINLINE static void multiply_six(const qrt_product* q, const int8_t* const* rows,
                                      int is_narrow, __m256i low, __m256i high,
                                      __m256i* sums) {
  if (is_narrow) {
    multiply(q, rows, 1, 1, low, high, sums);
  } else {
    multiply(q, rows, 1, 0, low, high, sums);
  }
}

QRT_NOINLINE static void multiply_two(const qrt_product* q, const int8_t* const* rows,
                                      int is_narrow, __m256i low, __m256i high,
                                      __m256i* sums) {
  if (is_narrow) {
    multiply(q, rows, 0, 1, low, high, sums);
  } else {
    multiply(q, rows, 0, 0, low, high, sums);
  }
}

/* ------------------------------------------------------------------------- results */

typedef struct {
  qrt_avx2_result low, high;
  int is_shifted;
  int is_simple; /* int8, sixteen channels, no weight zero points */
} qrt_result;

/* What a tile's left and right shifts were one of before conv.h took them apart. */
QRT_INLINE __m256i load_shift(const qrt_conv_tile* tile, size_t c) {
  return _mm256_or_si256(qrt_avx2_load_split(tile->left + c),
                         qrt_avx2_load_split(tile->right + c));
}

static qrt_result result_of(const qrt_conv_tile* tile) {
  const __m256i low = load_shift(tile, 0), high = load_shift(tile, 4);
  qrt_result r;
  r.is_shifted = qrt_avx2_is_shifted(low, high);
  r.low = qrt_avx2_prepare(qrt_avx2_load_split(tile->base),
                           qrt_avx2_load_split(tile->multiplier), low, r.is_shifted);
  r.high =
      qrt_avx2_prepare(qrt_avx2_load_split(tile->base + 4),
                       qrt_avx2_load_split(tile->multiplier + 4), high, r.is_shifted);
  r.is_simple = tile->y_bytes == 1 && tile->width == 16 && !tile->row_sums;
  return r;
}

/* Most layers: int8 results of sixteen channels, without weight zero points. is_shifted
 * is a constant. */
QRT_INLINE void store_codes(const qrt_conv_tile* tile, const qrt_result* r,
                            const int is_shifted, size_t first, size_t count,
                            const __m256i* sums) {
  const qrt_avx2_range range = qrt_avx2_range_of(tile->y_zero, tile->lo, tile->hi);
  const size_t step = tile->y_step;
  int8_t* y = (int8_t*)tile->y + first * step;
  for (;; sums += 4, y += 2 * step) {
    const __m256i codes = _mm256_permute4x64_epi64(
        qrt_avx2_codes(&range, qrt_avx2_requant_from_start(&r->low, is_shifted, sums[0]),
                       qrt_avx2_requant_from_start(&r->high, is_shifted, sums[1]),
                       qrt_avx2_requant_from_start(&r->low, is_shifted, sums[2]),
                       qrt_avx2_requant_from_start(&r->high, is_shifted, sums[3])),
        0xD8);
    _mm_storeu_si128((__m128i*)(void*)y, _mm256_castsi256_si128(codes));
    if (count == 1) return;
    _mm_storeu_si128((__m128i*)(void*)(y + step), _mm256_extracti128_si256(codes, 1));
    if (count == 2) return;
    count -= 2;
  }
}

/* Eight results, of a low or a high vector. */
QRT_INLINE __m256i finish(const qrt_conv_tile* tile, const qrt_avx2_result* r,
                          int is_shifted, size_t c, size_t position, __m256i sums) {
  if (tile->row_sums) {
    const __m256i row_sum = _mm256_set1_epi32(tile->row_sums[position]);
    const __m256i w_zero = qrt_avx2_load_split(tile->w_zero + c);
    sums = _mm256_sub_epi32(sums, _mm256_mullo_epi32(w_zero, row_sum));
  }
  return qrt_avx2_finish(qrt_avx2_requant_from_start(r, is_shifted, sums), tile->y_zero,
                         tile->lo, tile->hi);
}

QRT_NOINLINE static void store_any(const qrt_conv_tile* tile, const qrt_result* r,
                                   size_t first, size_t count, const __m256i* sums) {
  size_t i, j;
  for (i = first; i < first + count; ++i, sums += 2) {
    const __m256i low = finish(tile, &r->low, r->is_shifted, 0, i, sums[0]);
    const __m256i high = finish(tile, &r->high, r->is_shifted, 4, i, sums[1]);
    int16_t values[16];
    store_lanes(values, _mm256_packs_epi32(low, high));
    for (j = 0; j < tile->width; ++j) {
      qrt_store(tile->y, i * tile->y_step + j, tile->y_bytes, values[j]);
    }
  }
}

QRT_INLINE void store(const qrt_conv_tile* tile, const qrt_result* r, size_t first,
                      size_t count, const __m256i* sums) {
  if (r->is_simple && r->is_shifted) {
    store_codes(tile, r, 1, first, count, sums);
  } else if (r->is_simple) {
    store_codes(tile, r, 0, first, count, sums);
  } else {
    store_any(tile, r, first, count, sums);
  }
}

/* ------------------------------------------------------------------- a few positions */

/* Sums of four vectors, of each half, in both halves' lanes. */
QRT_INLINE __m256i add_across(__m256i a, __m256i b, __m256i c, __m256i d) {
  return _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
}

#define QRT_ROW_DOT(a, i) \
  a = _mm256_add_epi32(a, _mm256_madd_epi16(x, widen(w[i] + at + k)));

/* One position with channels 0 to 3 and 8 to 11 of w, along their depth. */
static __m256i multiply_rows(const qrt_conv_tile* tile, const int8_t* codes,
                             const int8_t* const* w) {
  __m256i a0 = _mm256_setzero_si256(), a1 = a0, a2 = a0, a3 = a0;
  __m256i b0 = a0, b1 = a0, b2 = a0, b3 = a0;
  size_t segment, k, at = 0;
  for (segment = tile->segments; segment > 0; --segment) {
    for (k = 0; k < tile->length; k += 16) {
      const __m256i x = widen(codes + k);
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

/* Weights that lie ready serve so few positions that a panel does not pay. */
static void multiply_few(const qrt_conv_tile* tile, const qrt_result* r) {
  size_t i;
  for (i = 0; i < tile->count; ++i) {
    __m256i sums[4];
    sums[0] = _mm256_add_epi32(r->low.start, multiply_rows(tile, tile->rows[i], tile->w));
    sums[1] =
        _mm256_add_epi32(r->high.start, multiply_rows(tile, tile->rows[i], tile->w + 4));
    sums[2] = sums[3] = sums[0];
    store(tile, r, i, 1, sums);
  }
}

/* ------------------------------------------------------------------------ positions */

/* Packing the next tile waits for its weights: they are fetched, a line of them in each
 * step, while this one is multiplied. */
QRT_INLINE void look_ahead(const qrt_conv_tile* tile, qrt_product* q) {
  q->ahead = (const int8_t*)tile->next;
  q->ahead_step = 64;
}

QRT_INLINE void move_ahead(const qrt_conv_tile* tile, qrt_product* q) {
  const int8_t* begin = (const int8_t*)tile->next;
  q->ahead += q->ahead_step * (q->segments * q->length / 16);
  if ((size_t)(q->ahead - begin) < tile->next_bytes) return;
  q->ahead = begin;
  q->ahead_step = 0;
}

static void multiply_positions(const qrt_conv_tile* tile, const qrt_result* r) {
  const size_t depth = tile->segments * tile->length;
  qrt_product q;
  size_t first, count;
  q.operand = QRT_CODES;
  q.offset = q.other = 0;
  q.segments = tile->segments;
  q.length = tile->length;
  q.pitch = tile->pitch;
  widen_panel(tile->panel, depth, (int16_t*)(void*)tile->room);
  q.panel = tile->room;
  look_ahead(tile, &q);
  for (first = 0; first < tile->count; first += count) {
    const size_t left = tile->count - first;
    __m256i sums[2 * QRT_POSITIONS];
    if (left >= QRT_POSITIONS) {
      count = QRT_POSITIONS;
      multiply_six(&q, tile->rows + first, 0, r->low.start, r->high.start, sums);
    } else {
      const int8_t* rows[2];
      count = left < 2 ? 1 : 2;
      rows[0] = tile->rows[first];
      rows[1] = tile->rows[first + count - 1];
      multiply_two(&q, rows, 0, r->low.start, r->high.start, sums);
    }
    move_ahead(tile, &q);
    store(tile, r, first, count, sums);
  }
}

/* ---------------------------------------------------------------- pairs of positions
 *
 * Two neighbours under three columns of weights g0, g1, g2, in exact integers (Winograd's
 * F(2, 3); Lavin and Gray 2016): with d0 to d3 the codes that the two see,
 *     m0 = (d0 - d2) g0           m1 = (d1 + d2) (g0 + g1 + g2)
 *     m3 = (d1 - d3) g2           m2 = (d2 - d1) (g0 - g1 + g2)
 *     y0 = m0 + (m1 + m2) / 2     y1 = (m1 - m2) / 2 - m3
 * takes four products for six. The divided sums are even. They fit 32 bits where three
 * products of 2^14 for each kernel row and channel, doubled, do. */
#define QRT_PAIR_DEPTH 16384

QRT_INLINE int takes_pairs(const qrt_conv_tile* tile) {
  return tile->row > 1 && tile->run_pixels == 3 && tile->length % 48 == 0 &&
         tile->are_rows_ready && tile->segments * (tile->length / 3) <= QRT_PAIR_DEPTH;
}

/* Panels of g0 and g2 as bytes and of the two sums as lanes: together the tile's room. */
typedef struct {
  int8_t *left, *right;
  int16_t *sum, *alternating;
} qrt_pair_panels;

static void pack_pairs(const qrt_conv_tile* tile, const qrt_pair_panels* to) {
  const size_t channels = tile->length / 3;
  size_t segment, c, i, at = 0;
  for (segment = 0; segment < tile->segments; ++segment) {
    const size_t row = segment * tile->length;
    for (c = 0; c < channels; c += 16, at += 256) {
      int8_t middle[256];
      transpose(tile->w, row + c, to->left + at);
      transpose(tile->w, row + channels + c, middle);
      transpose(tile->w, row + 2 * channels + c, to->right + at);
      for (i = 0; i < 256; i += 16) {
        const __m256i g = widen(middle + i);
        const __m256i sides =
            _mm256_add_epi16(widen(to->left + at + i), widen(to->right + at + i));
        store_lanes(to->sum + at + i, _mm256_add_epi16(sides, g));
        store_lanes(to->alternating + at + i, _mm256_sub_epi16(sides, g));
      }
    }
  }
}

/* Results of `count` pairs: m[i] has the products m_i. */
QRT_INLINE void store_neighbours(const qrt_conv_tile* tile, const qrt_result* r,
                                 const size_t* positions, size_t count,
                                 __m256i m[4][2 * QRT_POSITIONS]) {
  size_t i, half;
  for (i = 0; i < count; ++i) {
    const int is_last = positions[i] % tile->row + 1 == tile->row;
    __m256i sums[4];
    for (half = 0; half < 2; ++half) {
      const size_t at = 2 * i + half;
      const __m256i even = _mm256_srai_epi32(_mm256_add_epi32(m[1][at], m[2][at]), 1);
      const __m256i odd = _mm256_srai_epi32(_mm256_sub_epi32(m[1][at], m[2][at]), 1);
      sums[half] = _mm256_add_epi32(m[0][at], even);
      sums[2 + half] = _mm256_sub_epi32(odd, m[3][at]);
    }
    store(tile, r, positions[i], is_last ? 1 : 2, sums);
  }
}

static void multiply_pairs(const qrt_conv_tile* tile, const qrt_result* r) {
  const __m256i none = _mm256_setzero_si256();
  const size_t channels = tile->length / 3, bytes = 16 * tile->segments * channels;
  /* m0 brings the start of y0, m3 that of y1. */
  const __m256i low[4] = {r->low.start, none, none, _mm256_sub_epi32(none, r->low.start)};
  const __m256i high[4] = {r->high.start, none, none,
                           _mm256_sub_epi32(none, r->high.start)};
  qrt_pair_panels panels;
  qrt_product q[4];
  size_t i, position = 0;
  panels.left = tile->room;
  panels.right = panels.left + bytes;
  panels.sum = (int16_t*)(void*)(panels.right + bytes);
  panels.alternating = panels.sum + bytes;
  pack_pairs(tile, &panels);
  q[0].panel = panels.left;
  q[0].operand = QRT_DIFFERENCES;
  q[0].offset = 0;
  q[0].other = 2 * channels;
  q[1].panel = panels.sum;
  q[1].operand = QRT_SUMS;
  q[1].offset = channels;
  q[1].other = channels;
  q[2].panel = panels.alternating;
  q[2].operand = QRT_DIFFERENCES;
  q[2].offset = 2 * channels;
  q[2].other = (size_t)0 - channels;
  q[3].panel = panels.right;
  q[3].operand = QRT_DIFFERENCES;
  q[3].offset = channels;
  q[3].other = 2 * channels;
  for (i = 0; i < 4; ++i) {
    q[i].segments = tile->segments;
    q[i].length = channels;
    q[i].pitch = tile->pitch;
    look_ahead(tile, &q[i]);
  }
  while (position < tile->count) {
    size_t positions[QRT_POSITIONS], count;
    const int8_t* rows[QRT_POSITIONS];
    __m256i m[4][2 * QRT_POSITIONS];
    for (count = 0; count < QRT_POSITIONS && position < tile->count; ++count) {
      positions[count] = position;
      position += position % tile->row + 1 == tile->row ? 1 : 2;
    }
    if (count < QRT_POSITIONS && count > 2) {
      position = positions[2];
      count = 2;
    }
    for (i = 0; i < QRT_POSITIONS; ++i) {
      rows[i] = tile->rows[positions[i < count ? i : count - 1]];
    }
    for (i = 0; i < 4; ++i) {
      const int is_narrow = i == 0 || i == 3;
      if (count == QRT_POSITIONS) {
        multiply_six(&q[i], rows, is_narrow, low[i], high[i], m[i]);
      } else {
        multiply_two(&q[i], rows, is_narrow, low[i], high[i], m[i]);
      }
      move_ahead(tile, &q[i]);
      q[(i + 1) % 4].ahead = q[i].ahead;
      q[(i + 1) % 4].ahead_step = q[i].ahead_step;
    }
    store_neighbours(tile, r, positions, count, m);
  }
}

static void multiply_tile(const qrt_conv_tile* tile) {
  const qrt_result r = result_of(tile);
  if (!tile->panel) {
    multiply_few(tile, &r);
  } else if (takes_pairs(tile)) {
    multiply_pairs(tile, &r);
  } else {
    multiply_positions(tile, &r);
  }
}

QRT_DEFINE_CONV(qrt_conv2d_s8_avx2)

#else
typedef int qrt_conv_avx2_is_empty;
#endif
