/* SPDX-License-Identifier: MIT
 * Direct int8 convolution for AVX2: four positions by sixteen channels in eight
 * accumulators. VPMADDWD multiplies pairs of 16-bit numbers and adds the two products
 * exactly; VPMADDUBSW would take twice as many codes, but it saturates. Instead one
 * product serves two codes (Winograd 1968):
 *     (a0 + w1) (a1 + w0) = a0 w0 + a1 w1 + a0 a1 + w0 w1
 * where a0 a1 is known once for all channels, w0 w1 once for all positions. Both are
 * subtracted before the sums begin; what wraps on the way comes back. The panel holds the
 * weights of channels side by side, so that nothing is added across lanes, and two codes
 * of one position are broadcast by the load itself. */
#include "avx2.h"

#if QRT_HAS_avx2

#define QRT_TILE_COLUMNS 16
#define QRT_PANELS 0
#define QRT_PACKS_RUNS 0
#define QRT_WEIGHT_OFFSET 0
#define QRT_ROW_POSITIONS 4
#define QRT_LANES 18816 /* 96 codes of 196 positions: a layer of MobileNetV2 */

#include "conv.h"
#include "conv_results_avx2.h"

#define QRT_POSITIONS 4

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

QRT_INLINE __m256i widen(const int8_t* codes) {
  return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i*)(const void*)codes));
}

/* Sums of four vectors, of each half, in both halves' lanes. */
QRT_INLINE __m256i add_across(__m256i a, __m256i b, __m256i c, __m256i d) {
  return _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
}

QRT_INLINE void store_lanes(void* lanes, __m256i v) {
  _mm256_storeu_si256((__m256i*)lanes, v);
}

/* ------------------------------------------------------------------------- weights
 *
 * Four weights of each of sixteen channels take 128 bytes of a panel, two and two of
 * them: w2 and w3 of eight channels, which meet codes 0 and 1, then w0 and w1, which meet
 * 2 and 3; then the same of the other eight channels. The first eight are 0 to 3 and 8 to
 * 11, as qrt_avx2_load_split has them. */

/* Sixteen codes of channels i and i + 8, in every four the middle two swapped. */
QRT_INLINE __m256i load_rows(const int8_t* const* w, size_t i, size_t k) {
  const __m256i swap = _mm256_broadcastsi128_si256(
      _mm_setr_epi8(0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15));
  return _mm256_shuffle_epi8(
      _mm256_loadu2_m128i((const __m128i*)(const void*)(w[i + 8] + k),
                          (const __m128i*)(const void*)(w[i] + k)),
      swap);
}

/* Four times four codes of eight channels, the first ones of w, with each four in its
 * lane. */
QRT_INLINE void transpose(const int8_t* const* w, size_t k, __m256i* fours) {
  const __m256i r0 = load_rows(w, 0, k), r1 = load_rows(w, 1, k);
  const __m256i r2 = load_rows(w, 2, k), r3 = load_rows(w, 3, k);
  const __m256i a = _mm256_unpacklo_epi32(r0, r1), b = _mm256_unpacklo_epi32(r2, r3);
  const __m256i c = _mm256_unpackhi_epi32(r0, r1), d = _mm256_unpackhi_epi32(r2, r3);
  fours[0] = _mm256_unpacklo_epi64(a, b);
  fours[1] = _mm256_unpackhi_epi64(a, b);
  fours[2] = _mm256_unpacklo_epi64(c, d);
  fours[3] = _mm256_unpackhi_epi64(c, d);
}

/* One vector of transpose's into the panel; subtracts w0 w2 + w1 w3. */
QRT_INLINE __m256i put_four(int8_t* panel, __m256i four, __m256i products) {
  const __m256i first = _mm256_srai_epi16(_mm256_slli_epi16(four, 8), 8);
  const __m256i last = _mm256_srai_epi16(four, 8);
  store_lanes(panel, last);
  store_lanes(panel + 32, first);
  return _mm256_sub_epi32(products, _mm256_madd_epi16(first, last));
}

/* The tile's room becomes its panel; low and high are products of its weights, negative.
 */
static void pack_panel(const qrt_conv_tile* tile, __m256i* low, __m256i* high) {
  const size_t depth = tile->segments * tile->length;
  int8_t* panel = tile->room;
  __m256i fours[4];
  size_t k, i;
  *low = *high = _mm256_setzero_si256();
  if (tile->are_rows_ready) {
    for (k = 0; k < depth; k += 16, panel += 512) {
      transpose(tile->w, k, fours);
      for (i = 0; i < 4; ++i) *low = put_four(panel + 128 * i, fours[i], *low);
      transpose(tile->w + 4, k, fours);
      for (i = 0; i < 4; ++i) *high = put_four(panel + 128 * i + 64, fours[i], *high);
    }
    return;
  }
  /* Rows fill the first half of the room: bytes go to the second half before. */
  for (k = 0; k < depth; k += 16) {
    int8_t* bytes = panel + 16 * (depth + k);
    transpose(tile->w, k, fours);
    for (i = 0; i < 4; ++i) store_lanes(bytes + 64 * i, fours[i]);
    transpose(tile->w + 4, k, fours);
    for (i = 0; i < 4; ++i) store_lanes(bytes + 64 * i + 32, fours[i]);
  }
  for (k = 0; k < depth; k += 4, panel += 128) {
    const __m256i* bytes = (const __m256i*)(const void*)(tile->room + 16 * (depth + k));
    const __m256i first = _mm256_loadu_si256(bytes);
    const __m256i second = _mm256_loadu_si256(bytes + 1);
    *low = put_four(panel, first, *low);
    *high = put_four(panel + 64, second, *high);
  }
}

/* ------------------------------------------------------------------ multiplication */

#define QRT_LOAD_FOUR(j) \
  "vmovdqu 128*" #j      \
  "(%[p]), %[v0]\n\t"    \
  "vmovdqu 128*" #j      \
  "+32(%[p]), %[w0]\n\t" \
  "vmovdqu 128*" #j      \
  "+64(%[p]), %[v1]\n\t" \
  "vmovdqu 128*" #j "+96(%[p]), %[w1]\n\t"

/* Four codes of the i-th position with sixteen channels. */
#define QRT_DOT(i, j, a, b)       \
  "vpbroadcastd 32*" #i "+8*" #j  \
  "(%[x]), %[t]\n\t"              \
  "vpbroadcastd 32*" #i "+8*" #j  \
  "+4(%[x]), %[u]\n\t"            \
  "vpaddw %[v0], %[t], %[s]\n\t"  \
  "vpaddw %[w0], %[u], %[r]\n\t"  \
  "vpmaddwd %[s], %[r], %[s]\n\t" \
  "vpaddd %[s], %[" #a "], %[" #a \
  "]\n\t"                         \
  "vpaddw %[v1], %[t], %[t]\n\t"  \
  "vpaddw %[w1], %[u], %[u]\n\t"  \
  "vpmaddwd %[t], %[u], %[t]\n\t" \
  "vpaddd %[t], %[" #b "], %[" #b "]\n\t"

/* Written out: compilers add products to each other first, and run out of the sixteen
 * registers that this needs. */
#define QRT_DOT_FOUR(j)                                                             \
  __asm__ volatile(QRT_LOAD_FOUR(j) QRT_DOT(0, j, a0, b0) QRT_DOT(1, j, a1, b1)     \
                       QRT_DOT(2, j, a2, b2) QRT_DOT(3, j, a3, b3)                  \
                   : [a0] "+x"(a0), [b0] "+x"(b0), [a1] "+x"(a1), [b1] "+x"(b1),    \
                     [a2] "+x"(a2), [b2] "+x"(b2), [a3] "+x"(a3), [b3] "+x"(b3),    \
                     [r] "=&x"(r), [s] "=&x"(s), [t] "=&x"(t), [u] "=&x"(u),        \
                     [v0] "=&x"(v0), [w0] "=&x"(w0), [v1] "=&x"(v1), [w1] "=&x"(w1) \
                   : [p] "r"(panel), [x] "r"(codes)                                 \
                   : "memory");

#define QRT_DOT_LAST(j)                                                              \
  __asm__ volatile(                                                                  \
      QRT_LOAD_FOUR(j) QRT_DOT(3, j, a, b)                                           \
      : [a] "+x"(a), [b] "+x"(b), [r] "=&x"(r), [s] "=&x"(s), [t] "=&x"(t),          \
        [u] "=&x"(u), [v0] "=&x"(v0), [w0] "=&x"(w0), [v1] "=&x"(v1), [w1] "=&x"(w1) \
      : [p] "r"(panel), [x] "r"(codes)                                               \
      : "memory");

/* Codes of four positions as 16-bit lanes, sixteen of each in turn: `steps` times, from
 * code `begin` on. */
QRT_INLINE void prepare_four(const qrt_conv_tile* tile, const int8_t* const* rows,
                             size_t begin, size_t steps, int16_t* lanes) {
  const size_t length = tile->length, segment = begin ? begin / length : 0;
  const size_t skipped = segment * tile->pitch;
  const int8_t *p0 = rows[0] + skipped, *p1 = rows[1] + skipped;
  const int8_t *p2 = rows[2] + skipped, *p3 = rows[3] + skipped;
  size_t k = begin - segment * length;
  for (; steps > 0; --steps, lanes += 64) {
    store_lanes(lanes, widen(p0 + k));
    store_lanes(lanes + 16, widen(p1 + k));
    store_lanes(lanes + 32, widen(p2 + k));
    store_lanes(lanes + 48, widen(p3 + k));
    k += 16;
    if (k == length) {
      k = 0;
      p0 += tile->pitch, p1 += tile->pitch, p2 += tile->pitch, p3 += tile->pitch;
    }
  }
}

/* Adds to sums[2 i] and sums[2 i + 1] position i with the first and the other channels:
 * `steps` of sixteen codes, and half of one where `half` is not 0. `ahead`, a line of it
 * for each step, is fetched meanwhile: packing the next tile would wait for it. */
QRT_INLINE void multiply_four(const int8_t* panel, const int16_t* codes, size_t steps,
                              size_t half, const int8_t* ahead, size_t ahead_step,
                              __m256i* sums) {
  __m256i a0 = sums[0], b0 = sums[1], a1 = sums[2], b1 = sums[3];
  __m256i a2 = sums[4], b2 = sums[5], a3 = sums[6], b3 = sums[7];
  __m256i r, s, t, u, v0, v1, w0, w1;
  for (; steps > 0; --steps, panel += 512, codes += 64, ahead += ahead_step) {
    _mm_prefetch((const char*)ahead, _MM_HINT_T1);
    QRT_DOT_FOUR(0)
    QRT_DOT_FOUR(1)
    QRT_DOT_FOUR(2)
    QRT_DOT_FOUR(3)
  }
  if (half) {
    QRT_DOT_FOUR(0)
    QRT_DOT_FOUR(1)
  }
  sums[0] = a0, sums[1] = b0, sums[2] = a1, sums[3] = b1;
  sums[4] = a2, sums[5] = b2, sums[6] = a3, sums[7] = b3;
}

/* The same of one position, i being 3: the last four's last one. */
QRT_INLINE void multiply_last(const int8_t* panel, const int16_t* codes, size_t steps,
                              size_t half, __m256i* sums) {
  __m256i a = sums[0], b = sums[1];
  __m256i r, s, t, u, v0, v1, w0, w1;
  for (; steps > 0; --steps, panel += 512, codes += 64) {
    QRT_DOT_LAST(0)
    QRT_DOT_LAST(1)
    QRT_DOT_LAST(2)
    QRT_DOT_LAST(3)
  }
  if (half) {
    QRT_DOT_LAST(0)
    QRT_DOT_LAST(1)
  }
  sums[0] = a, sums[1] = b;
}

/* ------------------------------------------------------------------------ positions */

/* Deepest positions of which four are prepared at once. */
#define QRT_LANES_EACH (QRT_LANES / QRT_POSITIONS)

/* Codes of a position, all fours together, that stay in the nearest cache beside a panel.
 */
#define QRT_NEAR_CODES 1024

/* First of the i-th four positions: what is left over of a block is worked on together
 * with some before. */
QRT_INLINE size_t four_at(const qrt_conv_tile* tile, size_t i) {
  const size_t last = tile->count - QRT_POSITIONS, at = i * QRT_POSITIONS;
  return at < last ? at : last;
}

/* Broadcasts of what was only just stored are slow: as many fours as have room are
 * prepared before the first is multiplied. */
static void prepare_fours(const qrt_conv_tile* tile, size_t first, size_t last) {
  const size_t depth = tile->segments * tile->length;
  int16_t* lanes = tile->lanes;
  for (; first < last; ++first, lanes += QRT_POSITIONS * depth) {
    prepare_four(tile, tile->rows + four_at(tile, first), 0, depth / 16, lanes);
  }
}

QRT_INLINE size_t fours_of(const qrt_conv_tile* tile) {
  return (tile->count + QRT_POSITIONS - 1) / QRT_POSITIONS;
}

/* Whether a block's codes have room all at once, for all of its tiles. */
QRT_INLINE int are_codes_kept(const qrt_conv_tile* tile) {
  return fours_of(tile) * tile->segments * tile->length <= QRT_LANES_EACH;
}

/* a0 a2 + a1 a3 of every four codes that are multiplied. */
QRT_INLINE __m256i row_products(const qrt_conv_tile* tile, size_t half,
                                const int8_t* codes) {
  const size_t length = tile->length - half;
  __m256i sums = _mm256_setzero_si256(), v;
  size_t segment, k;
  for (segment = tile->segments; segment > 0; --segment, codes += tile->pitch) {
    for (k = 0; k < length; k += 16) {
      v = widen(codes + k);
      sums = _mm256_add_epi32(sums, _mm256_madd_epi16(v, _mm256_srli_epi64(v, 32)));
    }
    if (half) {
      v = _mm256_cvtepi8_epi16(_mm_loadl_epi64((const __m128i*)(const void*)(codes + k)));
      sums = _mm256_add_epi32(sums, _mm256_madd_epi16(v, _mm256_srli_epi64(v, 32)));
    }
  }
  return sums;
}

/* Of four positions, a lane each. */
static __m128i products_of_four(const qrt_conv_tile* tile, size_t half,
                                const int8_t* const* rows) {
  const __m256i sums =
      add_across(row_products(tile, half, rows[0]), row_products(tile, half, rows[1]),
                 row_products(tile, half, rows[2]), row_products(tile, half, rows[3]));
  return _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
}

/* 16 where half of a position's last step is left out, else 0. */
QRT_INLINE size_t half_of(const qrt_conv_tile* tile) {
  return tile->segments == 1 ? tile->half : 0;
}

/* Weights of the next tile are fetched a line a step: packing them would wait for them.
 */
typedef struct {
  const int8_t *at, *end;
  size_t step;
} qrt_ahead;

QRT_INLINE qrt_ahead ahead_of(const qrt_conv_tile* tile) {
  qrt_ahead ahead;
  ahead.at = (const int8_t*)tile->next;
  ahead.end = ahead.at + tile->next_bytes;
  ahead.step = tile->next_bytes > 0 ? 64 : 0;
  return ahead;
}

/* After so many steps. */
QRT_INLINE void move_ahead(qrt_ahead* ahead, size_t steps) {
  ahead->at += ahead->step * steps;
  if (ahead->at < ahead->end) return;
  ahead->at -= ahead->step * steps;
  ahead->step = 0;
}

#define QRT_BEGIN(i)                                        \
  {                                                         \
    const __m256i product = _mm256_set1_epi32(products[i]); \
    sums[2 * (i)] = _mm256_sub_epi32(low, product);         \
    sums[2 * (i) + 1] = _mm256_sub_epi32(high, product);    \
  }

/* Results of four positions at y whose lanes are `codes`. low, high: what the sums begin
 * with but for the products of their codes. is_shifted, is_whole are constants: all
 * sixteen channels exist. */
QRT_INLINE void finish_four(const qrt_conv_tile* tile, const qrt_avx2_results* r,
                            __m256i low, __m256i high, const int is_shifted,
                            const int is_whole, const int32_t* products,
                            const int16_t* codes, qrt_ahead* ahead, int8_t* y) {
  const size_t half = half_of(tile);
  const size_t steps = (tile->segments * tile->length - half) / 16;
  const size_t width = is_whole ? 16 : tile->width, y_step = tile->y_step;
  __m256i sums[2 * QRT_POSITIONS];
  QRT_BEGIN(0)
  QRT_BEGIN(1)
  QRT_BEGIN(2)
  QRT_BEGIN(3)
  multiply_four(tile->room, codes, steps, half, ahead->at, ahead->step, sums);
  move_ahead(ahead, steps);
  store_four(r, is_shifted, width, sums, y, y_step);
}

/* The last of four positions at y alone. */
QRT_INLINE void finish_last(const qrt_conv_tile* tile, const qrt_avx2_results* r,
                            __m256i low, __m256i high, const int is_shifted,
                            int32_t product, const int16_t* codes, int8_t* y) {
  const size_t half = half_of(tile);
  const __m256i products = _mm256_set1_epi32(product);
  __m256i sums[4];
  sums[0] = _mm256_sub_epi32(low, products);
  sums[1] = _mm256_sub_epi32(high, products);
  multiply_last(tile->room, codes, (tile->segments * tile->length - half) / 16, half,
                sums);
  sums[2] = sums[0], sums[3] = sums[1];
  store_two(r, is_shifted, tile->width, 1, sums, y + 3 * tile->y_step, 0);
}

QRT_INLINE void multiply_fours(const qrt_conv_tile* tile, const qrt_avx2_results* r,
                               __m256i low, __m256i high, const int is_shifted,
                               const int is_whole) {
  const size_t depth = tile->segments * tile->length, fours = fours_of(tile);
  const int are_kept = are_codes_kept(tile);
  const size_t few = depth < QRT_NEAR_CODES ? QRT_NEAR_CODES / depth : 1;
  const size_t most = are_kept ? fours : few;
  qrt_ahead ahead = ahead_of(tile);
  size_t first, last, i;
  for (first = 0; first < fours; first = last) {
    const int16_t* codes = tile->lanes;
    last = fours - first < most ? fours : first + most;
    if (!are_kept) prepare_fours(tile, first, last);
    for (i = first; i < last; ++i, codes += QRT_POSITIONS * depth) {
      const size_t at = four_at(tile, i);
      int8_t* y = (int8_t*)tile->y + at * tile->y_step;
      if (i + 1 == fours && tile->count % QRT_POSITIONS == 1) {
        finish_last(tile, r, low, high, is_shifted, tile->row_words[at + 3], codes, y);
      } else {
        finish_four(tile, r, low, high, is_shifted, is_whole, tile->row_words + at, codes,
                    &ahead, y);
      }
    }
  }
}

/* Sums that begin as they are, of any depth. Lanes of its own: those of the block may be
 * kept for other tiles. */
static void multiply_deep(const qrt_conv_tile* tile, const int8_t* const* rows,
                          __m256i* sums) {
  const size_t depth = tile->segments * tile->length;
  int16_t lanes[QRT_POSITIONS * QRT_NEAR_CODES];
  size_t begin, count;
  for (begin = 0; begin < depth; begin += count) {
    count = depth - begin < QRT_NEAR_CODES ? depth - begin : QRT_NEAR_CODES;
    prepare_four(tile, rows, begin, count / 16, lanes);
    multiply_four(tile->room + 32 * begin, lanes, count / 16, 0, tile->room, 0, sums);
  }
}

/* Whatever the depth, the positions and their results. */
QRT_NOINLINE static void multiply_any(const qrt_conv_tile* tile,
                                      const qrt_avx2_results* r, __m256i low,
                                      __m256i high) {
  const int is_usual = is_fast(tile, r);
  size_t first, count, i;
  for (first = 0; first < tile->count; first += count) {
    const size_t left = tile->count - first;
    const int8_t* rows[QRT_POSITIONS];
    int32_t products[QRT_POSITIONS];
    __m256i sums[2 * QRT_POSITIONS];
    count = left < QRT_POSITIONS ? left : QRT_POSITIONS;
    for (i = 0; i < QRT_POSITIONS; ++i) {
      rows[i] = tile->rows[first + (i < count ? i : 0)];
    }
    _mm_storeu_si128((__m128i*)(void*)products, products_of_four(tile, 0, rows));
    QRT_BEGIN(0) QRT_BEGIN(1) QRT_BEGIN(2) QRT_BEGIN(3) multiply_deep(tile, rows, sums);
    if (!is_usual) {
      store_any(tile, first, count, sums);
      continue;
    }
    for (i = 0; i < count; i += 2) {
      store_usual(tile, r, first + i, count - i, sums + 2 * i);
    }
  }
}

static void multiply_positions(const qrt_conv_tile* tile, const qrt_avx2_results* r) {
  __m256i low, high;
  pack_panel(tile, &low, &high);
  if (!is_fast(tile, r) || tile->count < QRT_POSITIONS ||
      tile->segments * tile->length > QRT_LANES_EACH) {
    multiply_any(tile, r, low, high);
  } else if (r->is_shifted) {
    multiply_fours(tile, r, low, high, 1, 0);
  } else if (tile->width < 16) {
    multiply_fours(tile, r, low, high, 0, 0);
  } else {
    multiply_fours(tile, r, low, high, 0, 1);
  }
}

#include "conv_few_avx2.h"
#include "conv_narrow_avx2.h"
#include "conv_pairs_avx2.h"

static void prepare_block(const qrt_conv_tile* tile) {
  const size_t fours = fours_of(tile);
  size_t i;
  if (!tile->row_words || tile->count < QRT_POSITIONS) return;
  if (tile->has_pairs) {
    prepare_pairs(tile);
    return;
  }
  for (i = 0; i < fours; ++i) {
    const size_t at = four_at(tile, i);
    _mm_storeu_si128((__m128i*)(void*)(tile->row_words + at),
                     products_of_four(tile, half_of(tile), tile->rows + at));
  }
  if (are_codes_kept(tile)) prepare_fours(tile, 0, fours);
}

static void multiply_tile(const qrt_conv_tile* tile) {
  const qrt_avx2_results r = results_of(tile);
  if (tile->are_rows_ready && tile->count <= QRT_ROW_POSITIONS) {
    multiply_few(tile);
  } else if (tile->has_pairs) {
    multiply_pairs(tile, &r);
  } else if (!multiply_narrow(tile)) {
    multiply_positions(tile, &r);
  }
}

QRT_DEFINE_CONV(qrt_conv2d_s8_avx2)

#else
typedef int qrt_conv_avx2_is_empty;
#endif
