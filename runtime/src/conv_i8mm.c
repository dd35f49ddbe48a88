/* SPDX-License-Identifier: MIT
 * Direct int8 convolution for Armv8.6 with SMMLA (i8mm): four positions by sixteen
 * channels. A vector holds 8 codes of two positions, or 8 weights of two channels; SMMLA
 * makes of two such vectors the four sums of 8 products. */
#include "qrt/qrt.h"

#if QRT_HAS_i8mm

#define QRT_TILE_COLUMNS 16
#define QRT_PANELS 1
#define QRT_PACKS_RUNS 0
#define QRT_WEIGHT_OFFSET 0
#define QRT_ROW_POSITIONS 8

#include "conv_neon.h"

/* For every 8 codes of depth eight vectors: channels 0 and 1, channels 2 and 3, ... */
static void pack_panel(const int8_t* const* w, size_t segments, size_t run,
                       int8_t* panel) {
  const size_t depth = segments * run;
  size_t k, i;
  for (i = 0; i < 16; i += 2) {
    for (k = 0; k < depth; k += 16) {
      const int64x2_t a = vreinterpretq_s64_s8(vld1q_s8(w[i] + k));
      const int64x2_t b = vreinterpretq_s64_s8(vld1q_s8(w[i + 1] + k));
      int8_t* dst = panel + 16 * k + 8 * i;
      vst1q_s8(dst, vreinterpretq_s8_s64(vzip1q_s64(a, b)));
      vst1q_s8(dst + 128, vreinterpretq_s8_s64(vzip2q_s64(a, b)));
    }
  }
}

/* 8 codes of two positions from 16 of each: the first (half 1) or the last (half 2). */
#define QRT_PAIR(half, x, y) \
  vreinterpretq_s8_s64(      \
      vzip##half##q_s64(vreinterpretq_s64_s8(x), vreinterpretq_s64_s8(y)))

/* 16 codes of four positions, and the pairs of their first 8. */
#define QRT_LOAD_PAIRS                                          \
  const int8x16_t u0 = vld1q_s8(x0 + k), u1 = vld1q_s8(x1 + k); \
  const int8x16_t u2 = vld1q_s8(x2 + k), u3 = vld1q_s8(x3 + k); \
  const int8x16_t p1 = QRT_PAIR(1, u0, u1), q1 = QRT_PAIR(1, u2, u3);

/* As intrinsics gcc 12 shuffles accumulators between registers in the loop, and loads the
 * panel a vector at a time. */
#define QRT_SMMLA(acc, x, w) \
  __asm__("smmla %0.4s, %1.16b, %2.16b" : "+w"(acc) : "w"(x), "w"(w))
#define QRT_LOAD_TWO(v, w, from, at)        \
  __asm__ volatile("ldp %q0, %q1, [%2, %3]" \
                   : "=w"(v), "=w"(w)       \
                   : "r"(from), "i"(at)     \
                   : "memory")

/* Four channels with both pairs of positions. */
#define QRT_MULTIPLY_FOUR(a, b, j, offset) \
  {                                        \
    int8x16_t v, w;                        \
    QRT_LOAD_TWO(v, w, panel, offset);     \
    QRT_SMMLA(a##0, p##j, v);              \
    QRT_SMMLA(b##0, q##j, v);              \
    QRT_SMMLA(a##1, p##j, w);              \
    QRT_SMMLA(b##1, q##j, w);              \
  }
#define QRT_MULTIPLY_EIGHT_CODES(j, offset)   \
  QRT_MULTIPLY_FOUR(a, b, j, offset)          \
  QRT_MULTIPLY_FOUR(c, d, j, (offset) + 32)   \
  if (columns == 16) {                        \
    QRT_MULTIPLY_FOUR(e, f, j, (offset) + 64) \
    QRT_MULTIPLY_FOUR(g, h, j, (offset) + 96) \
  }

/* Two positions with four channels, from two vectors of two positions by two channels. */
#define QRT_SUMS_OF(first, second, i, a)                                     \
  sums[4 * (first) + (i)] = vreinterpretq_s32_s64(                           \
      vzip1q_s64(vreinterpretq_s64_s32(a##0), vreinterpretq_s64_s32(a##1))); \
  sums[4 * (second) + (i)] = vreinterpretq_s32_s64(                          \
      vzip2q_s64(vreinterpretq_s64_s32(a##0), vreinterpretq_s64_s32(a##1)));

/* Where the sums of two positions with channels `column` and the next begin. */
QRT_INLINE int32x4_t first_pairs(const qrt_conv_tile* tile, size_t column,
                                 int with_base) {
  const int32x2_t base = vld1_s32(tile->base + column);
  return with_base ? vcombine_s32(base, base) : vdupq_n_s32(0);
}

QRT_INLINE void multiply(const qrt_conv_tile* tile, const int8_t* const* rows,
                         const int columns, const int with_base, int32x4_t* sums) {
  const int8_t* panel = tile->panel;
  const int8_t *x0 = rows[0], *x1 = rows[1], *x2 = rows[2], *x3 = rows[3];
  const size_t length = tile->length, whole = length - tile->half, pitch = tile->pitch;
  size_t segment, k;
  int32x4_t a0 = first_pairs(tile, 0, with_base), b0 = a0;
  int32x4_t a1 = first_pairs(tile, 2, with_base), b1 = a1;
  int32x4_t c0 = first_pairs(tile, 4, with_base), d0 = c0;
  int32x4_t c1 = first_pairs(tile, 6, with_base), d1 = c1;
  int32x4_t e0 = first_pairs(tile, 8, with_base), f0 = e0;
  int32x4_t e1 = first_pairs(tile, 10, with_base), f1 = e1;
  int32x4_t g0 = first_pairs(tile, 12, with_base), h0 = g0;
  int32x4_t g1 = first_pairs(tile, 14, with_base), h1 = g1;
  for (segment = tile->segments;;) {
    for (k = 0; k < whole; k += 16, panel += 256) {
      QRT_LOAD_PAIRS
      const int8x16_t p2 = QRT_PAIR(2, u0, u1), q2 = QRT_PAIR(2, u2, u3);
      QRT_MULTIPLY_EIGHT_CODES(1, 0)
      QRT_MULTIPLY_EIGHT_CODES(2, 128)
    }
    if (whole < length) {
      QRT_LOAD_PAIRS
      QRT_MULTIPLY_EIGHT_CODES(1, 0)
      panel += 256;
    }
    if (--segment == 0) break;
    x0 += pitch, x1 += pitch, x2 += pitch, x3 += pitch;
  }
  QRT_SUMS_OF(0, 1, 0, a)
  QRT_SUMS_OF(2, 3, 0, b)
  QRT_SUMS_OF(0, 1, 1, c)
  QRT_SUMS_OF(2, 3, 1, d)
  QRT_SUMS_OF(0, 1, 2, e)
  QRT_SUMS_OF(2, 3, 2, f)
  QRT_SUMS_OF(0, 1, 3, g)
  QRT_SUMS_OF(2, 3, 3, h)
}

#define QRT_LAST_BY_ROWS 0
#include "conv_sdot_neon.h"

#include "conv_panel_neon.h"

QRT_DEFINE_CONV(qrt_conv2d_s8_i8mm)

#else
typedef int qrt_conv_i8mm_is_empty;
#endif
