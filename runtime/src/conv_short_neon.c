/* SPDX-License-Identifier: MIT
 * Direct convolution with weights of at most 4 bits for AArch64 without dot products:
 * four positions by sixteen channels, products summed in 16 bits as long as that is safe.
 * The weight panel holds, for eight channels after the other, two codes of depth of each
 * side by side, so that neighbours in a register are of one channel and one SADALP widens
 * them. */
#include "qrt/qrt.h"

#if QRT_HAS_neon

#define QRT_TILE_COLUMNS 16
#define QRT_PANELS 1
#define QRT_PACKS_RUNS 0
#define QRT_WEIGHT_OFFSET 0
#define QRT_ROW_POSITIONS 1

#include "conv_neon.h"
#include "conv_short_tile.h"

/* Pairs of codes at k of four rows, transposed: c[i] holds those of pairs i and i + 4. */
QRT_INLINE void transpose_four(const int8_t* const* rows, size_t k, int32x4_t* c) {
  const int16x8_t a0 = vreinterpretq_s16_s8(vld1q_s8(rows[0] + k));
  const int16x8_t a1 = vreinterpretq_s16_s8(vld1q_s8(rows[1] + k));
  const int16x8_t a2 = vreinterpretq_s16_s8(vld1q_s8(rows[2] + k));
  const int16x8_t a3 = vreinterpretq_s16_s8(vld1q_s8(rows[3] + k));
  const int32x4_t even01 = vreinterpretq_s32_s16(vtrn1q_s16(a0, a1));
  const int32x4_t odd01 = vreinterpretq_s32_s16(vtrn2q_s16(a0, a1));
  const int32x4_t even23 = vreinterpretq_s32_s16(vtrn1q_s16(a2, a3));
  const int32x4_t odd23 = vreinterpretq_s32_s16(vtrn2q_s16(a2, a3));
  c[0] = vtrn1q_s32(even01, even23);
  c[1] = vtrn1q_s32(odd01, odd23);
  c[2] = vtrn2q_s32(even01, even23);
  c[3] = vtrn2q_s32(odd01, odd23);
}

/* Pairs i and i + 4 of eight rows. */
QRT_INLINE void store_pairs(int8_t* dst, int32x4_t first, int32x4_t second) {
  const int64x2_t a = vreinterpretq_s64_s32(first), b = vreinterpretq_s64_s32(second);
  vst1q_s8(dst, vreinterpretq_s8_s64(vtrn1q_s64(a, b)));
  vst1q_s8(dst + 64, vreinterpretq_s8_s64(vtrn2q_s64(a, b)));
}

/* 16 codes of depth at k of eight rows. */
QRT_INLINE void pack_eight(const int8_t* const* rows, size_t k, int8_t* dst) {
  int32x4_t a[4], b[4];
  transpose_four(rows, k, a);
  transpose_four(rows + 4, k, b);
  store_pairs(dst, a[0], b[0]);
  store_pairs(dst + 16, a[1], b[1]);
  store_pairs(dst + 32, a[2], b[2]);
  store_pairs(dst + 48, a[3], b[3]);
}

static void pack_panel(const int8_t* const* w, size_t segments, size_t run,
                       int8_t* panel) {
  const size_t depth = segments * run;
  size_t k, i;
  for (i = 0; i < 16; i += 8, panel += 8 * depth) {
    for (k = 0; k < depth; k += 16) pack_eight(w + i, k, panel + 8 * k);
  }
}

/* sums[4 i .. 4 i + 3]: position i with sixteen channels; `columns` is 8 (half of them)
 * or 16, `with_base` whether sums begin with the base. */
QRT_INLINE void multiply(const qrt_conv_tile* tile, const int8_t* const* rows,
                         const int columns, const int with_base, int32x4_t* sums) {
  /* A lane takes one product a step, and none is greater than that of the greatest weight
   * and code -128: 31 steps fit 16 bits where weights have 4 bits, 17 where they are odd.
   */
  const qrt_conv_walk walk = walk_of(tile, 2, INT16_MAX, 128 * tile->greatest_weight, 8);
  multiply_eight(&walk, rows, tile->panel, first_sums(tile, 0, with_base),
                 first_sums(tile, 4, with_base), sums);
  if (columns == 16) {
    multiply_eight(&walk, rows, tile->panel + 8 * tile->segments * tile->length,
                   first_sums(tile, 8, with_base), first_sums(tile, 12, with_base),
                   sums + 2);
  }
}

#define QRT_LAST_BY_ROWS 1
#include "conv_dot_neon.h"
#include "conv_panel_neon.h"

QRT_DEFINE_CONV(qrt_conv2d_w4_neon)

#else
typedef int qrt_conv_short_neon_is_empty;
#endif
