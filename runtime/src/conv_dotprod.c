/* SPDX-License-Identifier: MIT
 * Direct int8 convolution for Armv8.2 with SDOT: four positions by sixteen channels. A
 * vector of 16 codes of a position serves four times, by element; the weight panel holds
 * for each four codes of depth sixteen channels side by side, so nothing is added across
 * lanes. */
#include "qrt/qrt.h"

#if QRT_HAS_dotprod

#define QRT_TILE_COLUMNS 16
#define QRT_PANELS 1
#define QRT_PACKS_RUNS 0
#define QRT_WEIGHT_OFFSET 0
#define QRT_ROW_POSITIONS 64

#include "conv_neon.h"
#include "conv_words_neon.h"

/* SDOT by element. As intrinsics gcc 12 shuffles accumulators between registers in the
 * loop. */
#define QRT_SDOT(acc, w, x, j) \
  __asm__("sdot %0.4s, %1.16b, %2.4b[" #j "]" : "+w"(acc) : "w"(w), "w"(x))

/* Four channels with the j-th word of each position's vector. Accumulators are variables
 * of their own: compilers keep an array in memory. */
#define QRT_DOT_FOUR(a, j, offset)                             \
  {                                                            \
    const int8x16_t w = vld1q_s8(panel + 64 * (j) + (offset)); \
    QRT_SDOT(a##0, w, x0, j);                                  \
    QRT_SDOT(a##1, w, x1, j);                                  \
    QRT_SDOT(a##2, w, x2, j);                                  \
    QRT_SDOT(a##3, w, x3, j);                                  \
  }
#define QRT_DOT_WORD(j)    \
  QRT_KEEP_ORDER           \
  QRT_DOT_FOUR(a, j, 0)    \
  QRT_DOT_FOUR(b, j, 16)   \
  if (columns == 16) {     \
    QRT_DOT_FOUR(c, j, 32) \
    QRT_DOT_FOUR(d, j, 48) \
  }

#define QRT_LOAD_POSITIONS                                      \
  const int8x16_t x0 = vld1q_s8(p0 + k), x1 = vld1q_s8(p1 + k); \
  const int8x16_t x2 = vld1q_s8(p2 + k), x3 = vld1q_s8(p3 + k);

/* sums[4 i .. 4 i + 3]: position i with sixteen channels; `columns` is 8 (half of them)
 * or 16, `with_base` whether sums begin with the base. */
QRT_INLINE void multiply(const qrt_conv_tile* tile, const int8_t* const* rows,
                         const int columns, const int with_base, int32x4_t* sums) {
  const int8_t* panel = tile->panel;
  const int8_t *p0 = rows[0], *p1 = rows[1], *p2 = rows[2], *p3 = rows[3];
  const size_t length = tile->length, pitch = tile->pitch;
  const size_t whole = length - tile->half;
  size_t segment, k;
  int32x4_t a0 = first_sums(tile, 0, with_base), a1 = a0, a2 = a0, a3 = a0;
  int32x4_t b0 = first_sums(tile, 4, with_base), b1 = b0, b2 = b0, b3 = b0;
  int32x4_t c0 = first_sums(tile, 8, with_base), c1 = c0, c2 = c0, c3 = c0;
  int32x4_t d0 = first_sums(tile, 12, with_base), d1 = d0, d2 = d0, d3 = d0;
  for (segment = tile->segments;;) {
    for (k = 0; k < whole; k += 16, panel += 256) {
      QRT_LOAD_POSITIONS
      QRT_DOT_WORD(0)
      QRT_DOT_WORD(1)
      QRT_DOT_WORD(2)
      QRT_DOT_WORD(3)
    }
    if (whole < length) {
      QRT_LOAD_POSITIONS
      QRT_DOT_WORD(0)
      QRT_DOT_WORD(1)
      panel += 256;
    }
    if (--segment == 0) break;
    p0 += pitch, p1 += pitch, p2 += pitch, p3 += pitch;
  }
  sums[0] = a0, sums[1] = b0, sums[2] = c0, sums[3] = d0;
  sums[4] = a1, sums[5] = b1, sums[6] = c1, sums[7] = d1;
  sums[8] = a2, sums[9] = b2, sums[10] = c2, sums[11] = d2;
  sums[12] = a3, sums[13] = b3, sums[14] = c3, sums[15] = d3;
}

#define QRT_LAST_BY_ROWS 0
#include "conv_sdot_neon.h"

#include "conv_panel_neon.h"

QRT_DEFINE_CONV(qrt_conv2d_s8_dotprod)

#else
typedef int qrt_conv_dotprod_is_empty;
#endif
