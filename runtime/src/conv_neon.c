/* SPDX-License-Identifier: MIT
 * Direct int8 convolution for NEON without dot products, 32-bit and AArch64: SMULL,
 * SMLAL2, SADALP over 16 codes of depth, four positions by four channels (two by four on
 * 32-bit). Weights that hold -128 are widened one product at a time. */
#include "qrt/qrt.h"

#if QRT_HAS_neon || QRT_HAS_armv7

#define QRT_TILE_COLUMNS 4
#define QRT_PANELS 0
#define QRT_PACKS_RUNS 0
#define QRT_WEIGHT_OFFSET 0
#define QRT_ROW_POSITIONS 0

#include "conv_neon.h"

#include "conv_dot_neon.h"
#include "conv_rows.h"

static void multiply_tile(const qrt_conv_tile* tile) { multiply_rows(tile); }

#if QRT_HAS_neon
QRT_DEFINE_CONV(qrt_conv2d_s8_neon)
#else
QRT_DEFINE_CONV(qrt_conv2d_s8_armv7)
#endif

#else
typedef int qrt_conv_neon_is_empty;
#endif
