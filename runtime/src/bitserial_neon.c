/* SPDX-License-Identifier: MIT
 * The bit-serial convolution for NEON, Armv8 and Armv7: AND, CNT, ADD on bytes. */
#include "qrt/qrt.h"

#if QRT_HAS_neon || QRT_HAS_armv7

/* A byte of counts grows by 8 a step. After 15 steps two neighbours still fit one byte.
 */
#define QRT_SEGMENT_STEPS 15
#include "bitserial.h"
#include "neon.h"

#define QRT_INLINE static inline __attribute__((always_inline))

/* A byte of counts grows by 8 a step. After 15 steps two neighbours still fit one byte.
 */
#define QRT_BYTE_STEPS 15

/* ---- packing: groups of codes become words, two at a time */

/* Bits j and j + 1 of 64 codes: bits 2i and 2i + 1 of byte k are those of code 16i + k.
 */
QRT_INLINE uint8x16_t merge_codes(const int8_t* x, int8x16_t lo, const int j) {
  uint8x16_t v0 = vreinterpretq_u8_s8(vsubq_s8(vld1q_s8(x), lo));
  uint8x16_t v1 = vreinterpretq_u8_s8(vsubq_s8(vld1q_s8(x + 16), lo));
  uint8x16_t v2 = vreinterpretq_u8_s8(vsubq_s8(vld1q_s8(x + 32), lo));
  uint8x16_t v3 = vreinterpretq_u8_s8(vsubq_s8(vld1q_s8(x + 48), lo));
  if (j == 2) {
    v0 = vshrq_n_u8(v0, 2);
    v1 = vshrq_n_u8(v1, 2);
    v2 = vshrq_n_u8(v2, 2);
    v3 = vshrq_n_u8(v3, 2);
  }
  v0 = vsliq_n_u8(v0, v1, 2);
  v2 = vsliq_n_u8(v2, v3, 2);
  return vsliq_n_u8(v0, v2, 4);
}

/* Planes j and j + 1 of two groups; the second plane only if wanted. */
QRT_INLINE void pack_two_planes(const int8_t* x, int8x16_t lo, const int j, int second,
                                uint64_t* dst, size_t plane_words, const int groups) {
  const uint8x16_t evens = vdupq_n_u8(0x55);
  const uint8x16_t u = merge_codes(x, lo, j);
  const uint8x16_t v = groups == 2 ? merge_codes(x + QRT_WORD_CODES, lo, j) : u;
  const uint8x16_t low = vcombine_u8(vget_low_u8(u), vget_low_u8(v));
  const uint8x16_t high = vcombine_u8(vget_high_u8(u), vget_high_u8(v));
  const uint8x16_t first = vbslq_u8(evens, low, vshlq_n_u8(high, 1));
  if (groups == 2) {
    vst1q_u8((uint8_t*)dst, first);
  } else {
    vst1_u8((uint8_t*)dst, vget_low_u8(first));
  }
  if (second) {
    const uint8x16_t next = vbslq_u8(evens, vshrq_n_u8(low, 1), high);
    if (groups == 2) {
      vst1q_u8((uint8_t*)(dst + plane_words), next);
    } else {
      vst1_u8((uint8_t*)(dst + plane_words), vget_low_u8(next));
    }
  }
}

static void pack_words(const int8_t* x, size_t groups, int32_t lo, int bits,
                       uint64_t* planes, size_t plane_words) {
  const int8x16_t less = vdupq_n_s8((int8_t)lo);
  uint64_t* const upper = planes + 2 * plane_words;
  size_t g;
  for (g = 0; g + 2 <= groups; g += 2, x += 2 * QRT_WORD_CODES) {
    pack_two_planes(x, less, 0, bits > 1, planes + g, plane_words, 2);
    if (bits > 2) pack_two_planes(x, less, 2, bits > 3, upper + g, plane_words, 2);
  }
  if (g < groups) {
    pack_two_planes(x, less, 0, bits > 1, planes + g, plane_words, 1);
    if (bits > 2) pack_two_planes(x, less, 2, bits > 3, upper + g, plane_words, 1);
  }
}

/* ---- counting */

QRT_INLINE uint8x16_t load_words(const uint64_t* words) {
  return vreinterpretq_u8_u64(vld1q_u64(words));
}
QRT_INLINE uint8x16_t count_and(uint8x16_t a, uint8x16_t b) {
  return vcntq_u8(vandq_u8(a, b));
}

/* Sums of four vectors as four lanes. */
QRT_INLINE uint32x4_t add_across(uint32x4_t a, uint32x4_t b, uint32x4_t c, uint32x4_t d) {
#if QRT_HAS_neon
  return vpaddq_u32(vpaddq_u32(a, b), vpaddq_u32(c, d));
#else
  const uint32x2_t a2 = vpadd_u32(vget_low_u32(a), vget_high_u32(a));
  const uint32x2_t b2 = vpadd_u32(vget_low_u32(b), vget_high_u32(b));
  const uint32x2_t c2 = vpadd_u32(vget_low_u32(c), vget_high_u32(c));
  const uint32x2_t d2 = vpadd_u32(vget_low_u32(d), vget_high_u32(d));
  return vcombine_u32(vpadd_u32(a2, b2), vpadd_u32(c2, d2));
#endif
}

/* Sums of neighbours: those of a in the low half, those of b in the high one. */
#if QRT_HAS_neon
QRT_INLINE uint8x16_t pair_bytes(uint8x16_t a, uint8x16_t b) { return vpaddq_u8(a, b); }
QRT_INLINE uint16x8_t pair_halves(uint16x8_t a, uint16x8_t b) { return vpaddq_u16(a, b); }
#else
QRT_INLINE uint8x16_t pair_bytes(uint8x16_t a, uint8x16_t b) {
  return vcombine_u8(vpadd_u8(vget_low_u8(a), vget_high_u8(a)),
                     vpadd_u8(vget_low_u8(b), vget_high_u8(b)));
}
QRT_INLINE uint16x8_t pair_halves(uint16x8_t a, uint16x8_t b) {
  return vcombine_u16(vpadd_u16(vget_low_u16(a), vget_high_u16(a)),
                      vpadd_u16(vget_low_u16(b), vget_high_u16(b)));
}
#endif

/* The counts of a plane are doubled on the way down to the next one. */
static void sum_rows(const qrt_bits* b, const uint64_t* panel, int32_t* sums) {
  uint32x4_t t0 = vdupq_n_u32(0), t1 = t0, t2 = t0, t3 = t0;
  int j;
  for (j = b->p->x_bits - 1; j >= 0; --j) {
    const uint64_t* word = panel + (size_t)j * b->panel_plane;
    size_t left = b->depth / 2;
    t0 = vaddq_u32(t0, t0);
    t1 = vaddq_u32(t1, t1);
    t2 = vaddq_u32(t2, t2);
    t3 = vaddq_u32(t3, t3);
    while (left > 0) {
      size_t n = left < 31 ? left : 31;
      uint8x16_t c0 = vdupq_n_u8(0), c1 = c0, c2 = c0, c3 = c0;
      left -= n;
      for (; n > 0; --n, word += 8) {
        c0 = vaddq_u8(c0, vcntq_u8(load_words(word)));
        c1 = vaddq_u8(c1, vcntq_u8(load_words(word + 2)));
        c2 = vaddq_u8(c2, vcntq_u8(load_words(word + 4)));
        c3 = vaddq_u8(c3, vcntq_u8(load_words(word + 6)));
      }
      t0 = vpadalq_u16(t0, vpaddlq_u8(c0));
      t1 = vpadalq_u16(t1, vpaddlq_u8(c1));
      t2 = vpadalq_u16(t2, vpaddlq_u8(c2));
      t3 = vpadalq_u16(t3, vpaddlq_u8(c3));
    }
    if (b->depth % 2 == 1) { /* held twice */
      const uint8x16_t once = vcombine_u8(vdup_n_u8(255), vdup_n_u8(0));
      t0 = vpadalq_u16(t0, vpaddlq_u8(count_and(load_words(word), once)));
      t1 = vpadalq_u16(t1, vpaddlq_u8(count_and(load_words(word + 2), once)));
      t2 = vpadalq_u16(t2, vpaddlq_u8(count_and(load_words(word + 4), once)));
      t3 = vpadalq_u16(t3, vpaddlq_u8(count_and(load_words(word + 6), once)));
    }
  }
  vst1q_s32(sums, vreinterpretq_s32_u32(add_across(t0, t1, t2, t3)));
}

/* For each row: columns 0 and 1 in four 16-bit lanes each, 2 and 3 likewise. */
typedef struct {
  uint16x8_t first, second;
} qrt_row_sums;

QRT_INLINE qrt_row_sums no_sums(void) {
  qrt_row_sums sums;
  sums.first = sums.second = vdupq_n_u16(0);
  return sums;
}

/* Two lanes for each of 4 columns. */
QRT_INLINE uint16x8_t halves_of(qrt_row_sums sums) {
  return pair_halves(sums.first, sums.second);
}

/* One row times 4 columns over one chunk. */
static uint16x8_t sum_row(const qrt_segment* segment, const uint64_t* panel,
                          const uint64_t* weights, size_t row) {
  qrt_row_sums sums = no_sums();
  for (;; ++segment) {
    const uint64_t* a = panel + segment->x / 8 + 2 * row;
    const uint64_t* w = weights + segment->w / 8;
    uint8x16_t c0 = vdupq_n_u8(0), c1 = c0, c2 = c0, c3 = c0;
    int64_t n;
    for (n = segment->steps; n > 0; --n, a += 8, w += 8) {
      const uint8x16_t u = load_words(a);
      c0 = vaddq_u8(c0, count_and(u, load_words(w)));
      c1 = vaddq_u8(c1, count_and(u, load_words(w + 2)));
      c2 = vaddq_u8(c2, count_and(u, load_words(w + 4)));
      c3 = vaddq_u8(c3, count_and(u, load_words(w + 6)));
    }
    sums.first = vpadalq_u8(sums.first, pair_bytes(c0, c1));
    sums.second = vpadalq_u8(sums.second, pair_bytes(c2, c3));
    if (segment->then & QRT_TAIL) {
      const uint8x16_t u = load_words(a);
      sums.first = vpadalq_u8(sums.first, count_and(u, load_words(w)));
      sums.second = vpadalq_u8(sums.second, count_and(u, load_words(w + 2)));
    }
    if (segment->then & QRT_DOUBLE) {
      sums.first = vaddq_u16(sums.first, sums.first);
      sums.second = vaddq_u16(sums.second, sums.second);
    }
    if (segment->then & QRT_LAST) return halves_of(sums);
  }
}

#if QRT_HAS_neon
#include "bitserial_tile.h"
#else
/* 16 registers: two rows at a time. */
static void sum_two_rows(const qrt_segment* segment, const uint64_t* panel,
                         const uint64_t* weights, uint16x8_t* row0, uint16x8_t* row1) {
  qrt_row_sums s = no_sums(), t = s;
  for (;; ++segment) {
    const uint64_t* a = panel + segment->x / 8;
    const uint64_t* w = weights + segment->w / 8;
    uint8x16_t c0 = vdupq_n_u8(0), c1 = c0, c2 = c0, c3 = c0;
    uint8x16_t d0 = c0, d1 = c0, d2 = c0, d3 = c0;
    int64_t n;
    for (n = segment->steps; n > 0; --n, a += 8, w += 8) {
      const uint8x16_t u = load_words(a), v = load_words(a + 2);
      uint8x16_t column = load_words(w);
      c0 = vaddq_u8(c0, count_and(u, column));
      d0 = vaddq_u8(d0, count_and(v, column));
      column = load_words(w + 2);
      c1 = vaddq_u8(c1, count_and(u, column));
      d1 = vaddq_u8(d1, count_and(v, column));
      column = load_words(w + 4);
      c2 = vaddq_u8(c2, count_and(u, column));
      d2 = vaddq_u8(d2, count_and(v, column));
      column = load_words(w + 6);
      c3 = vaddq_u8(c3, count_and(u, column));
      d3 = vaddq_u8(d3, count_and(v, column));
    }
    s.first = vpadalq_u8(s.first, pair_bytes(c0, c1));
    s.second = vpadalq_u8(s.second, pair_bytes(c2, c3));
    t.first = vpadalq_u8(t.first, pair_bytes(d0, d1));
    t.second = vpadalq_u8(t.second, pair_bytes(d2, d3));
    if (segment->then & QRT_TAIL) {
      const uint8x16_t u = load_words(a), v = load_words(a + 2);
      const uint8x16_t w01 = load_words(w), w23 = load_words(w + 2);
      s.first = vpadalq_u8(s.first, count_and(u, w01));
      s.second = vpadalq_u8(s.second, count_and(u, w23));
      t.first = vpadalq_u8(t.first, count_and(v, w01));
      t.second = vpadalq_u8(t.second, count_and(v, w23));
    }
    if (segment->then & QRT_DOUBLE) {
      s.first = vaddq_u16(s.first, s.first);
      s.second = vaddq_u16(s.second, s.second);
      t.first = vaddq_u16(t.first, t.first);
      t.second = vaddq_u16(t.second, t.second);
    }
    if (segment->then & QRT_LAST) break;
  }
  *row0 = halves_of(s);
  *row1 = halves_of(t);
}
#endif

QRT_INLINE int32x4_t add_halves(const int32_t* base, uint16x8_t halves) {
  return vreinterpretq_s32_u32(
      vpadalq_u16(vreinterpretq_u32_s32(vld1q_s32(base)), halves));
}

/* Sums of four rows times 4 columns, chunk by chunk; rows beyond `rows` hold anything. */
typedef struct {
  int32_t of[4][4];
} qrt_tile_sums;

static void sum_tile(const qrt_bits* b, const uint64_t* panel, const uint64_t* w,
                     int rows, qrt_tile_sums* tile) {
  size_t k;
  int row;
  for (row = 0; row < 4; ++row) vst1q_s32(tile->of[row], vdupq_n_s32(0));
  for (k = 0; k < b->depth; k += b->chunk) {
    const qrt_segment* segments = b->depth - k <= b->chunk ? b->last : b->full;
    const uint64_t *x_part = panel + 4 * k, *w_part = w + 4 * k;
    uint16x8_t halves[4];
    if (rows == 4 && segments->steps > 0) {
#if QRT_HAS_neon
      sum_four_rows(segments, x_part, w_part, halves, halves + 1, halves + 2, halves + 3);
#else
      sum_two_rows(segments, x_part, w_part, halves, halves + 1);
      sum_two_rows(segments, x_part + 4, w_part, halves + 2, halves + 3);
#endif
    } else {
      for (row = 0; row < rows; ++row) {
        halves[row] = sum_row(segments, x_part, w_part, (size_t)row);
      }
    }
    for (row = 0; row < rows; ++row) {
      vst1q_s32(tile->of[row], add_halves(tile->of[row], halves[row]));
    }
  }
}

/* Codes of two rows. Saturating early changes nothing: lo, hi and y_zero have 8 bits. */
QRT_INLINE int8x8_t narrow_rows(const qrt_bits* b, int32x4_t q0, int32x4_t q1) {
  const int16x8_t zero = vld1q_s16(b->y_zero);
  return vqmovn_s16(vqaddq_s16(vcombine_s16(vqmovn_s32(q0), vqmovn_s32(q1)), zero));
}

QRT_INLINE int8x16_t clamp_codes(const qrt_bits* b, int8x8_t low, int8x8_t high) {
  return vminq_s8(vmaxq_s8(vcombine_s8(low, high), vld1q_s8(b->lo)), vld1q_s8(b->hi));
}

/* Everything but the usual case: few rows or columns, long depths, offsets that differ.
 */
static void run_odd_tile(const qrt_bits* b, const uint64_t* panel,
                         const qrt_row_term* terms, const uint64_t* w,
                         const qrt_bit_columns* columns, int rows, int width, int8_t* y) {
  const int32x4_t multiplier = vld1q_s32(columns->multiplier);
  const int32x4_t shift = vld1q_s32(columns->shift);
  const int32x4_t base = vld1q_s32(columns->base);
  const int32x4_t offset = vld1q_s32(columns->offset);
  qrt_tile_sums sums;
  int32x4_t q[4];
  int8_t out[16];
  int row;
  sum_tile(b, panel, w, rows, &sums);
  for (row = 0; row < 4; ++row) {
    int32x4_t acc = vld1q_s32(sums.of[row]);
    if (row < rows) {
      const int32x4_t term = vld1q_s32(terms[row].of);
      acc = b->has_w_zero ? vmlsq_s32(acc, offset, term) : vaddq_s32(acc, term);
    }
    q[row] = qrt_neon_requant_sums(acc, base, multiplier, shift);
  }
  vst1q_s8(out, clamp_codes(b, narrow_rows(b, q[0], q[1]), narrow_rows(b, q[2], q[3])));
  for (row = 0; row < rows; ++row, y += b->y_step) {
    memcpy(y, out + 4 * row, (size_t)width);
  }
}

#if QRT_HAS_neon
/* `has_left` is a constant; without it the base joins before the halves, which is one
 * instruction less behind them. */
QRT_INLINE int32x4_t requant_plain(const qrt_bit_columns* columns, uint16x8_t halves,
                                   const qrt_row_term* term, int has_left) {
  const int32x4_t base = vld1q_s32(columns->base), row = vld1q_s32(term->of);
  const uint32x4_t start = vreinterpretq_u32_s32(has_left ? row : vaddq_s32(base, row));
  const int32x4_t sums = vreinterpretq_s32_u32(vpadalq_u16(start, halves));
  const int32x4_t multiplier = vld1q_s32(columns->multiplier);
  const int32x4_t shift = vld1q_s32(columns->shift);
  if (has_left) return qrt_neon_requant_sums(sums, base, multiplier, shift);
  return vrshlq_s32(vqrdmulhq_s32(sums, multiplier), shift);
}

/* Lane `row` of 4 codes; y need not be aligned. */
#define QRT_STORE_FOUR(y, codes, row)                                      \
  do {                                                                     \
    const int32_t four = vgetq_lane_s32(vreinterpretq_s32_s8(codes), row); \
    memcpy(y, &four, 4);                                                   \
  } while (0)

/* The usual case, without a branch between the sums and the codes. */
QRT_INLINE void run_plain_tiles(const qrt_bits* b, const uint64_t* panel,
                                const qrt_row_term* terms, const uint64_t* w,
                                const qrt_bit_columns* columns, size_t tiles,
                                int has_left, int8_t* y) {
  const size_t panel_words = (size_t)b->p->x_bits * b->panel_plane;
  const size_t step = b->y_step;
  for (; tiles > 0; --tiles, panel += panel_words, terms += 4, y += 4 * step) {
    uint16x8_t row0, row1, row2, row3;
    int32x4_t q0, q1, q2, q3;
    int8x16_t codes;
    sum_four_rows(b->last, panel, w, &row0, &row1, &row2, &row3);
    q0 = requant_plain(columns, row0, terms, has_left);
    q1 = requant_plain(columns, row1, terms + 1, has_left);
    q2 = requant_plain(columns, row2, terms + 2, has_left);
    q3 = requant_plain(columns, row3, terms + 3, has_left);
    codes = clamp_codes(b, narrow_rows(b, q0, q1), narrow_rows(b, q2, q3));
    QRT_STORE_FOUR(y, codes, 0);
    QRT_STORE_FOUR(y + step, codes, 1);
    QRT_STORE_FOUR(y + 2 * step, codes, 2);
    QRT_STORE_FOUR(y + 3 * step, codes, 3);
  }
}
#endif

static void run_tiles(const qrt_bits* b, const uint64_t* panels,
                      const qrt_row_term* terms, const uint64_t* w,
                      const qrt_bit_columns* columns, size_t rows, int width, int8_t* y) {
  const size_t panel_words = (size_t)b->p->x_bits * b->panel_plane;
  size_t row = 0;
#if QRT_HAS_neon
  if (width == 4 && !b->has_w_zero && b->chunk == b->depth && b->depth > 1) {
    if (b->has_left_shifts) {
      run_plain_tiles(b, panels, terms, w, columns, rows / 4, 1, y);
    } else {
      run_plain_tiles(b, panels, terms, w, columns, rows / 4, 0, y);
    }
    row = rows / 4 * 4;
  }
#endif
  for (; row < rows; row += 4) {
    run_odd_tile(b, panels + row / 4 * panel_words, terms + row, w, columns,
                 rows - row < 4 ? (int)(rows - row) : 4, width, y + row * b->y_step);
  }
}

#if QRT_HAS_neon
QRT_DEFINE_BITSERIAL_KERNEL(bitserial_s8_neon)
#else
QRT_DEFINE_BITSERIAL_KERNEL(bitserial_s8_armv7)
#endif

#else
typedef int qrt_bitserial_neon_is_empty;
#endif
