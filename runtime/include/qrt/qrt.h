/* SPDX-License-Identifier: MIT
 * The device runtime's public face: parameters and declarations of all kernels, and the
 * dispatch that picks a variant when the model is compiled. Knows nothing of graphs or
 * files.
 *
 * A model calls kernels through the constant table `qrt`, which the compiler resolves:
 *     static const qrt_conv2d_params conv1 = {.n = 1, ...};
 *     qrt.conv2d_s8(&conv1, x, w, bias, multiplier, shift, NULL, y, scratch);
 *
 * Conventions. Tensors are dense and row-major, images N,H,W,C, weights O,H,W,C/groups.
 * Codes are int8_t (`*_bytes` = 1) or int16_t (2). Strides of parameters are in elements.
 * Weights are bit-packed by row as docs/blob.md draws them: 2..8 bits in rows of
 * kh*kw*c/groups elements that start on a byte, 8 and 16 bits plain. The target is
 * little-endian. Buffers never overlap, but the result of add, mul, div, rescale and lut
 * may be the very buffer of an operand that has its extents and width. Pointers are
 * aligned to their elements, scratch to 16 bytes. Kernels check nothing: everything
 * checkable is checked when the model is exported. docs/numerics.md is the meaning.
 * Extents are at least 1.
 *
 * Accumulators: `acc64` is 1 where the operator's acc_bits is above 32; the result then
 * goes through qrt_requant64 (N6), otherwise through qrt_requant (N5). */
#ifndef QRT_QRT_H
#define QRT_QRT_H

#include <stddef.h>
#include <stdint.h>

#include "qrt/arith.h"

#ifdef __cplusplus
extern "C" {
#endif

#define QRT_MAX_RANK 6
/* Output positions and output channels that one block of a matrix kernel packs. */
#define QRT_BLOCK_ROWS 16
#define QRT_BLOCK_COLUMNS 4
/* Packed rows are filled up with zeros to a multiple of this many codes. */
#define QRT_DEPTH_STEP 16

/* ---------------------------------- convolution, depthwise, transposed, linear
 *
 * sum = sum (x - x_zero) * (w - w_zero[o]), positions outside x count as x_zero; with
 * left = max(shift[o], 0) and right = min(shift[o], 0), acc = sum * 2^left + bias[o]
 * (N19) and y = clamp(requant(acc, multiplier[o], right) + y_zero, lo, hi).
 *
 * - w: packed rows, one for each output channel; fields are two's complement, or where
 *   odd_weights stand for 2 * field - (2^weight_bits - 1).
 * - bias: int32_t (bias_bytes 4) or int64_t (8).
 * - w_zero: NULL where all are 0.
 *
 * The kernels:
 *
 * - conv2d_s8: x_bytes 1, weight_bits <= 8, acc64 0, bias_bytes 4; y_bytes 1 or 2
 * - conv2d_w4: as conv2d_s8, weight_bits <= 4
 * - conv2d_w4a4: as conv2d_w4, with x_most
 * - depthwise_s8: as conv2d_s8, with groups == c == o
 * - conv2d_wide: everything (x_bytes 1 or 2, weight_bits 1..8 or 16, acc64 0 or 1)
 * - conv_transpose2d_s8, conv_transpose2d_wide: likewise; kernel row ky of input row iy
 *   meets output row iy * stride_h + ky * dilation_h - pad_top
 *
 * A linear layer over R rows is a convolution with n 1, h 1, w R and kernel 1x1. */
typedef struct {
  int32_t n, h, w, c; /* x[n,h,w,c] */
  int32_t oh, ow, o;  /* y[n,oh,ow,o] */
  int32_t kh, kw;     /* weights [o,kh,kw,c/groups] */
  int32_t stride_h, stride_w;
  int32_t dilation_h, dilation_w;
  int32_t pad_top, pad_left; /* the other two follow from oh and ow */
  int32_t groups;
  int32_t x_zero, y_zero, lo, hi;
  uint8_t x_bytes, y_bytes; /* 1 or 2 */
  uint8_t weight_bits;      /* 1..8 or 16 */
  uint8_t bias_bytes;       /* 4 or 8 */
  uint8_t acc64;
  uint8_t narrow_weights;     /* 1 only where no weight code is -128: lets 8-bit NEON pair
                                 products */
  uint8_t odd_weights;        /* 1: fields say odd codes; only where weight_bits < 8 */
  const int32_t* weight_sums; /* [o]: sum of each row of w, codes as they are stored;
                                 NULL: computed where needed. conv2d_s8, depthwise_s8 */
  int32_t y_pitch; /* elements from one position of y to the next; 0: o. conv2d only */
  int32_t block;   /* positions worked on together (conv_plan.h); 0: what suits most
                      cores. conv2d_s8 */
  uint8_t x_most;  /* greater than 0; no code of x, nor x_zero, is further from 0, and
                      twice its product with the weight furthest from 0 that fields can
                      say is at most 127. conv2d_w4a4 */
} qrt_conv2d_params;

#include "qrt/conv_plan.h"

typedef void qrt_conv2d_fn(const qrt_conv2d_params* p, const void* x, const void* w,
                           const void* bias, const int32_t* multiplier,
                           const int8_t* shift, const int16_t* w_zero, void* y,
                           void* scratch);
typedef qrt_conv2d_fn qrt_depthwise_fn;
typedef qrt_conv2d_fn qrt_conv_transpose2d_fn;

/* Bytes of scratch of the matrix kernels for rows of `depth` codes: 16 + 4 rows, filled
 * up to whole steps of 16 codes, of int16_t (s8) or int32_t (wide). */
static inline size_t qrt_block_scratch_size(int64_t depth, int lane_bytes) {
  const size_t step = QRT_DEPTH_STEP;
  const size_t padded = ((size_t)depth + step - 1) / step * step;
  return padded * (QRT_BLOCK_ROWS + QRT_BLOCK_COLUMNS) * (size_t)lane_bytes;
}
/* What its variants need at most: 20 * 2 * round_up(kh * kw * (c / groups), 16), or the
 * direct kernels' (conv_plan.h). */
static inline size_t qrt_conv2d_s8_scratch_size(const qrt_conv2d_params* p) {
  const size_t blocks =
      qrt_block_scratch_size((int64_t)p->kh * p->kw * (p->c / p->groups), 2);
  const size_t direct = qrt_conv_scratch_size(p);
  return blocks > direct ? blocks : direct;
}
/* = 20 * 4 * round_up(kh * kw * (c / groups), 16) */
static inline size_t qrt_conv2d_wide_scratch_size(const qrt_conv2d_params* p) {
  return qrt_block_scratch_size((int64_t)p->kh * p->kw * (p->c / p->groups), 4);
}
/* = 20 * 2 * round_up(kh * kw * (c / groups), 16) */
static inline size_t qrt_conv_transpose2d_s8_scratch_size(const qrt_conv2d_params* p) {
  return qrt_block_scratch_size((int64_t)p->kh * p->kw * (p->c / p->groups), 2);
}
static inline size_t qrt_conv_transpose2d_wide_scratch_size(const qrt_conv2d_params* p) {
  return qrt_conv2d_wide_scratch_size(p);
}
/* The most taps that the AArch64 and AVX2 depthwise kernels take their short way with. */
#define QRT_DEPTHWISE_TAPS 49
/* The greater of 2 * (kh * kw * c + round_up(kh * kw, 16)) and (kh * kw + 13) * c. */
static inline size_t qrt_depthwise_s8_scratch_size(const qrt_conv2d_params* p) {
  const size_t taps = (size_t)p->kh * (size_t)p->kw, channels = (size_t)p->c;
  const size_t wide = 2 * (taps * channels + (taps + 15) / 16 * 16);
  const size_t narrow = (taps + 13) * channels;
  return wide > narrow ? wide : narrow;
}

/* ------------------------------------------------------ bit-serial convolution, linear
 *
 * bitserial_s8: conv2d_s8 (groups 1) for weights and activations of 1..4 bits, by
 * counting bits. With A = x - x_lo in [0, 2^x_bits) and weights w_scale * U - w_offset -
 * w_zero[o], U in [0, 2^weight_bits):
 *     sum = sum (x - x_zero) * weight,  acc and y as conv2d_s8's with acc64 0
 * Level sets: two's complement codes are U = code + 2^(bits-1), w_scale 1, w_offset
 * 2^(bits-1); codes 0..2^bits-1 have w_offset 0; odd levels 2U - (2^bits-1) have w_scale
 * 2, w_offset 2^bits - 1. x_lo <= x_zero < x_lo + 2^x_bits.
 *
 * Bit planes of a tensor: for each image [bits][h * w + 1][words] of 64-bit words, words
 * = ceil(c / 64). Bit m of byte j of a word is channel 8m + j of its 64; channels beyond
 * c are 0. The position behind the last one holds real zero in all c channels.
 *
 * Bit panels of weights, 4 output channels each: [ceil(o / 4)][weight_bits] planes of
 * depth = kh * kw * words words of each channel, as [depth / 2][4][2] and, where depth is
 * odd, [4] more. Channels beyond c and o are 0. Aligned to 8 bytes. The bits are those of
 * U.
 *
 * - x: int8_t codes, or bit planes where x_planes (then aligned to 8 bytes)
 * - y: int8_t codes where y_bits is 0; else bit planes of y - lo, y_bits of them; then
 *   lo <= y_zero < lo + 2^y_bits and hi < lo + 2^y_bits
 * - a part of planes of y (parallel.h): rows y_row.. of the y_rows that an image has, and
 *   o of the y_pitch channels, from whole words on; who has the last row writes the
 *   position behind it */
typedef struct {
  int32_t n, h, w, c; /* x[n,h,w,c] */
  int32_t oh, ow, o;  /* y[n,oh,ow,o] */
  int32_t kh, kw;
  int32_t stride_h, stride_w;
  int32_t dilation_h, dilation_w;
  int32_t pad_top, pad_left;
  int32_t x_zero, x_lo, y_zero, lo, hi;
  int32_t w_scale, w_offset; /* w_scale is 1 or 2 */
  uint8_t weight_bits, x_bits;
  uint8_t x_planes;      /* 1: x is bit planes */
  uint8_t y_bits;        /* not 0: y is bit planes */
  int32_t y_pitch;       /* codes from one position of y to the next; 0: o */
  int32_t y_row, y_rows; /* y_rows 0: oh, and y_row is 0 */
} qrt_bitserial_params;

typedef void qrt_bitserial_fn(const qrt_bitserial_params* p, const void* x, const void* w,
                              const void* bias, const int32_t* multiplier,
                              const int8_t* shift, const int16_t* w_zero, void* y,
                              void* scratch);

/* Bytes of the bit planes of one image. */
static inline size_t qrt_bit_plane_size(int64_t positions, int32_t channels, int bits) {
  return (size_t)bits * ((size_t)positions + 1) * (((size_t)channels + 63) / 64) * 8;
}
/* Bytes of the bit panels of all weights. */
static inline size_t qrt_bit_panel_size(const qrt_bitserial_params* p) {
  const size_t depth = (size_t)p->kh * (size_t)p->kw * (((size_t)p->c + 63) / 64);
  return ((size_t)p->o + 3) / 4 * (size_t)p->weight_bits * depth * 32;
}

/* Where things lie in the scratch of bitserial_s8, in bytes; planes of x are at 0. */
typedef struct {
  size_t panels, columns, terms, codes, row, end;
  size_t block_rows; /* output positions that are packed together */
} qrt_bitserial_layout;
static inline qrt_bitserial_layout qrt_bitserial_layout_of(
    const qrt_bitserial_params* p) {
  const size_t in_words = ((size_t)p->c + 63) / 64, out_words = ((size_t)p->o + 63) / 64;
  const size_t depth = (size_t)p->kh * (size_t)p->kw * in_words;
  const size_t panel = (size_t)p->x_bits * ((depth + 1) / 2 * 64);
  const size_t planes =
      p->x_planes ? 0 : qrt_bit_plane_size((int64_t)p->h * p->w, p->c, (int)p->x_bits);
  /* Panels of a block fill half of a 32 KiB cache. */
  const size_t fitting = 16384 / panel, positions = (size_t)p->oh * (size_t)p->ow;
  const size_t most = fitting < 1 ? 1 : fitting > 16 ? 16 : fitting;
  const size_t tiles = positions < 4 * most ? (positions + 3) / 4 : most;
  qrt_bitserial_layout at;
  at.block_rows = 4 * tiles;
  at.panels = (planes + 15) / 16 * 16;
  at.columns = at.panels + tiles * panel;
  at.terms = at.columns + ((size_t)p->o + 3) / 4 * 64;
  at.codes = at.terms + at.block_rows * 16;
  at.row = at.codes;
  if (p->y_bits != 0) {
    at.row += (positions < at.block_rows ? positions : at.block_rows) * (size_t)p->o;
  }
  at.end = at.row + 64 * (in_words > out_words ? in_words : out_words);
  return at;
}
/* = panels + columns + terms + codes + row of the layout above */
static inline size_t qrt_bitserial_s8_scratch_size(const qrt_bitserial_params* p) {
  return qrt_bitserial_layout_of(p).end;
}

/* ------------------------------------------------------------- matrix product
 *
 * y[batch][m][n] = requantised sum over k of (a - a_zero) * (b - b_zero). The matrices
 * are dense; batch axes are walked with the strides given (0 repeats: broadcast). y is
 * dense.
 *
 * - matmul_s8: a_bytes 1, b_bytes 1, acc64 0; y_bytes 1 or 2
 * - matmul_wide: everything */
typedef struct {
  int32_t batch_rank; /* 0..4 */
  int32_t batch_dims[4], a_batch_stride[4], b_batch_stride[4];
  int32_t m, k, n;
  int32_t a_zero, b_zero, multiplier, shift, y_zero, lo, hi;
  uint8_t a_bytes, b_bytes, y_bytes, acc64;
} qrt_matmul_params;

typedef void qrt_matmul_fn(const qrt_matmul_params* p, const void* a, const void* b,
                           void* y, void* scratch);
/* = 20 * 2 * round_up(k, 16) */
static inline size_t qrt_matmul_s8_scratch_size(const qrt_matmul_params* p) {
  return qrt_block_scratch_size(p->k, 2);
}
/* = 20 * 4 * round_up(k, 16) */
static inline size_t qrt_matmul_wide_scratch_size(const qrt_matmul_params* p) {
  return qrt_block_scratch_size(p->k, 4);
}

/* ------------------------------------------------------- add, multiply, divide
 *
 * y is dense over dims[0..rank); a and b are walked with their strides (0 repeats:
 * broadcast). rank 0 is one element. Axes need not be merged: kernels merge what is
 * contiguous.
 *
 * - add_any: acc = (a - a_zero) * a_multiplier + (b - b_zero) * b_multiplier;
 *   y = qrt_shift_right(acc, shift), 0 <= shift <= 31
 * - mul_any: acc = (a - a_zero) * (b - b_zero), requantised by multiplier and shift
 * - div_any: qrt_div_q(a - a_zero, b - b_zero), requantised by multiplier and shift; the
 *   quotient has QRT_DIV_FRACTION8 bits where both operands are int8, else
 *   QRT_DIV_FRACTION16
 *
 * All: + y_zero, clamped to [lo, hi]. */
typedef struct {
  int32_t rank;
  int32_t dims[QRT_MAX_RANK], a_stride[QRT_MAX_RANK], b_stride[QRT_MAX_RANK];
  int32_t a_zero, b_zero;
  int32_t a_multiplier, b_multiplier; /* add */
  int32_t multiplier;                 /* mul, div */
  int32_t shift;                      /* all */
  int32_t y_zero, lo, hi;
  uint8_t a_bytes, b_bytes, y_bytes;
  uint8_t acc64; /* mul */
} qrt_binary_params;

typedef void qrt_binary_fn(const qrt_binary_params* p, const void* a, const void* b,
                           void* y);
typedef qrt_binary_fn qrt_add_fn;
typedef qrt_binary_fn qrt_mul_fn;
typedef qrt_binary_fn qrt_div_fn;

/* ------------------------------------------------------------------- pointwise
 *
 * rescale_any: y = clamp(requant(x - x_zero) + y_zero, lo, hi) over `count` codes. */
typedef struct {
  int32_t count;
  int32_t x_zero, multiplier, shift, y_zero, lo, hi;
  uint8_t x_bytes, y_bytes;
} qrt_rescale_params;
typedef void qrt_rescale_fn(const qrt_rescale_params* p, const void* x, void* y);

/* lut_any: y = table[channel][x - type minimum]; 256 entries for int8 x, 65536 for int16,
 * of y's type. channels is 1, or the extent of the last axis of x where each has its own
 * table. */
typedef struct {
  int32_t count, channels;
  uint8_t x_bytes, y_bytes;
} qrt_lut_params;
typedef void qrt_lut_fn(const qrt_lut_params* p, const void* x, const void* table,
                        void* y);

/* --------------------------------------------------------------------- pooling
 *
 * max_pool_any: same encoding in and out; positions outside x never win, and a window
 * with no position inside gives the smallest code of the type. */
typedef struct {
  int32_t n, h, w, c, oh, ow, kh, kw;
  int32_t stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
  uint8_t bytes; /* of x and y */
} qrt_max_pool_params;
typedef void qrt_max_pool_fn(const qrt_max_pool_params* p, const void* x, void* y);

/* avg_pool_any: window of (oh, ow) is rows [row_start[oh], row_end[oh]) and columns
 * likewise, inside x; acc = sum (x - x_zero), requantised with entry which[oh, ow] of
 * multiplier and shift. */
typedef struct {
  int32_t n, h, w, c, oh, ow;
  const int32_t* row_start; /* [oh] */
  const int32_t* row_end;
  const int32_t* col_start; /* [ow] */
  const int32_t* col_end;
  int32_t x_zero, y_zero, lo, hi;
  uint8_t x_bytes, y_bytes;
  uint8_t which_bytes; /* 1: uint8_t, 4: int32_t */
  uint8_t acc64;
} qrt_avg_pool_params;
typedef void qrt_avg_pool_fn(const qrt_avg_pool_params* p, const void* x,
                             const int32_t* multiplier, const int8_t* shift,
                             const void* which, void* y);

/* reduce_any: y, dense over the kept axes in order, is the requantised sum of (x -
 * x_zero) over the reduced axes. Strides are those of x. Ranks may be 0. */
typedef struct {
  int32_t kept_rank, kept_dims[QRT_MAX_RANK], kept_stride[QRT_MAX_RANK];
  int32_t reduced_rank, reduced_dims[QRT_MAX_RANK], reduced_stride[QRT_MAX_RANK];
  int32_t x_zero, multiplier, shift, y_zero, lo, hi;
  uint8_t x_bytes, y_bytes, acc64;
} qrt_reduce_params;
typedef void qrt_reduce_fn(const qrt_reduce_params* p, const void* x, void* y);

/* ---------------------------------------------------------------------- resize
 *
 * resize_any: row_index [oh,2], row_weight [oh,2], col_index [ow,2], col_weight [ow,2];
 * y = rounding_shift_right(sum of 4 products row_weight * col_weight * x, 22). The
 * weights sum to 2048 on each axis. Same encoding. */
typedef struct {
  int32_t n, h, w, c, oh, ow;
  uint8_t bytes;
} qrt_resize_params;
typedef void qrt_resize_fn(const qrt_resize_params* p, const void* x,
                           const int32_t* row_index, const int16_t* row_weight,
                           const int32_t* col_index, const int16_t* col_weight, void* y);

/* ------------------------------------------------------ softmax, normalisation
 *
 * x is [outer, axis, inner]; the operator runs along the middle.
 *
 * softmax_any: e = table[max - x] (256 entries for int8 x, 65536 for int16), sum of e >
 * 0; y = clamp(qrt_softmax_out(e, sum, out_bits) + y_zero, lo, hi). */
typedef struct {
  int32_t outer, axis, inner;
  int32_t out_bits, y_zero, lo, hi;
  uint8_t x_bytes, y_bytes;
} qrt_softmax_params;
typedef void qrt_softmax_fn(const qrt_softmax_params* p, const void* x,
                            const int32_t* table, void* y);

/* layer_norm_any: x is [outer, depth], normalised over depth (N13); gamma and beta
 * [depth]. */
typedef struct {
  int32_t outer, depth;
  int64_t eps;
  int32_t shift, y_zero, lo, hi;
  uint8_t x_bytes, y_bytes;
} qrt_layer_norm_params;
typedef void qrt_layer_norm_fn(const qrt_layer_norm_params* p, const void* x,
                               const int32_t* gamma, const int32_t* beta, void* y);

/* l2_normalize_any: v = max(sum (x - x_zero)^2, eps); z = (x - x_zero) / sqrt(v) in Q15
 * (N11; 0 where v is 0), requantised. */
typedef struct {
  int32_t outer, axis, inner;
  int64_t eps;
  int32_t x_zero, multiplier, shift, y_zero, lo, hi;
  uint8_t x_bytes, y_bytes;
} qrt_l2_normalize_params;
typedef void qrt_l2_normalize_fn(const qrt_l2_normalize_params* p, const void* x,
                                 void* y);

/* -------------------------------------------------------------------- movement
 *
 * gather_any: y[i] = table row clamp(indices[i], 0, rows - 1), for count indices. */
typedef struct {
  int32_t count, rows, depth;
  uint8_t bytes; /* 1, 2 or 4 */
} qrt_gather_params;
typedef void qrt_gather_fn(const qrt_gather_params* p, const int32_t* indices,
                           const void* table, void* y);

/* copy_any: for every index below dims, dst[index . dst_stride] = src[index .
 * src_stride]. Concat is one copy for each input, with dst moved along the axis; slice
 * moves src; permute permutes strides; expand has source strides 0; pad is a fill, then a
 * copy into the middle. */
typedef struct {
  int32_t rank;
  int32_t dims[QRT_MAX_RANK], src_stride[QRT_MAX_RANK], dst_stride[QRT_MAX_RANK];
  uint8_t bytes; /* 1, 2, 4 or 8 */
} qrt_copy_params;
typedef void qrt_copy_fn(const qrt_copy_params* p, const void* src, void* dst);

/* fill_any: `count` elements of `bytes` bytes set to `value`. */
typedef struct {
  int32_t count, value;
  uint8_t bytes; /* 1, 2 or 4 */
} qrt_fill_params;
typedef void qrt_fill_fn(const qrt_fill_params* p, void* y);

/* ---------------------------------------------------- real numbers at the edge
 *
 * Not kernels of the graph: for callers that hold float32. `zero`, `lo` and `hi` are
 * stored codes; bytes is 1 or 2.
 *
 * - qrt_quantize_f32: clamp(round_half_even(real / scale) + zero, lo, hi); NaN gives zero
 * - qrt_dequantize_f32: scale * (code - zero) */
void qrt_quantize_f32(const float* real, int32_t count, float scale, int32_t zero,
                      int32_t lo, int32_t hi, int bytes, void* codes);
void qrt_dequantize_f32(const void* codes, int32_t count, float scale, int32_t zero,
                        int bytes, float* real);

/* ---------------------------------------------------------------- the variants
 *
 * Which instruction sets the compiler may use. QRT_FORCE_PORTABLE leaves only plain C. */
#define QRT_HAS_c 1
#if !defined(QRT_FORCE_PORTABLE) && defined(__AVX2__)
#define QRT_HAS_avx2 1
#else
#define QRT_HAS_avx2 0
#endif
#if QRT_HAS_avx2 && defined(__AVX512VL__) && defined(__AVX512BW__) && \
    defined(__AVX512VPOPCNTDQ__)
#define QRT_HAS_vpopcnt 1
#else
#define QRT_HAS_vpopcnt 0
#endif
#if QRT_HAS_avx2 && defined(__AVX512VL__) && defined(__AVX512BW__) && \
    defined(__AVX512VNNI__)
#define QRT_HAS_vnni 1
#else
#define QRT_HAS_vnni 0
#endif
#if !defined(QRT_FORCE_PORTABLE) && defined(__ARM_NEON) && !defined(__aarch64__)
#define QRT_HAS_armv7 1
#else
#define QRT_HAS_armv7 0
#endif
#if !defined(QRT_FORCE_PORTABLE) && defined(__ARM_NEON) && defined(__aarch64__)
#define QRT_HAS_neon 1
#else
#define QRT_HAS_neon 0
#endif
#if QRT_HAS_neon && defined(__ARM_FEATURE_DOTPROD)
#define QRT_HAS_dotprod 1
#else
#define QRT_HAS_dotprod 0
#endif
#if QRT_HAS_dotprod && defined(__ARM_FEATURE_MATMUL_INT8)
#define QRT_HAS_i8mm 1
#else
#define QRT_HAS_i8mm 0
#endif

/* Which instruction sets this program has kernels of: the same, or with QRT_DISPATCH all
 * of the architecture. Then each kernel file is compiled with flags of its own, and
 * qrt_select_kernels chooses by what the processor has (src/dispatch.c). */
#define QRT_ISAS   \
  QRT_ISA(c)       \
  QRT_ISA(avx2)    \
  QRT_ISA(vpopcnt) \
  QRT_ISA(vnni) QRT_ISA(armv7) QRT_ISA(neon) QRT_ISA(dotprod) QRT_ISA(i8mm)
#define QRT_ISA_COUNT 8
#define QRT_BUILT_c 1
#if defined(QRT_DISPATCH) && !defined(QRT_FORCE_PORTABLE) && \
    (defined(__x86_64__) || defined(__i386__))
#define QRT_BUILT_avx2 1
#define QRT_BUILT_vpopcnt 1
#define QRT_BUILT_vnni 1
#else
#define QRT_BUILT_avx2 QRT_HAS_avx2
#define QRT_BUILT_vpopcnt QRT_HAS_vpopcnt
#define QRT_BUILT_vnni QRT_HAS_vnni
#endif
#if defined(QRT_DISPATCH) && !defined(QRT_FORCE_PORTABLE) && defined(__aarch64__)
#define QRT_BUILT_neon 1
#define QRT_BUILT_dotprod 1
#define QRT_BUILT_i8mm 1
#else
#define QRT_BUILT_neon QRT_HAS_neon
#define QRT_BUILT_dotprod QRT_HAS_dotprod
#define QRT_BUILT_i8mm QRT_HAS_i8mm
#endif
#if defined(QRT_DISPATCH) && !defined(QRT_FORCE_PORTABLE) && defined(__arm__)
#define QRT_BUILT_armv7 1
#else
#define QRT_BUILT_armv7 QRT_HAS_armv7
#endif

/* Declarations. */
#define QRT_KERNEL(op, types, isa, symbol) qrt_##op##_fn symbol;
#include "qrt/kernels.inc"
#undef QRT_KERNEL

/* QRT_IF_<isa>(tokens) keeps the tokens where the program has kernels of it. */
#define QRT_IF_0(...)
#define QRT_IF_1(...) __VA_ARGS__
#define QRT_IF_JOIN(flag) QRT_IF_##flag
#define QRT_IF_FLAG(flag) QRT_IF_JOIN(flag)
#define QRT_IF_c QRT_IF_FLAG(QRT_BUILT_c)
#define QRT_IF_avx2 QRT_IF_FLAG(QRT_BUILT_avx2)
#define QRT_IF_vpopcnt QRT_IF_FLAG(QRT_BUILT_vpopcnt)
#define QRT_IF_vnni QRT_IF_FLAG(QRT_BUILT_vnni)
#define QRT_IF_armv7 QRT_IF_FLAG(QRT_BUILT_armv7)
#define QRT_IF_neon QRT_IF_FLAG(QRT_BUILT_neon)
#define QRT_IF_dotprod QRT_IF_FLAG(QRT_BUILT_dotprod)
#define QRT_IF_i8mm QRT_IF_FLAG(QRT_BUILT_i8mm)

#ifdef __cplusplus
} /* extern "C" */
#else
/* The dispatch: one member for each op and types; a later row overrides an earlier one.
 * Without QRT_DISPATCH the table is constant and private to its file, so calls through it
 * become direct calls. */
typedef struct {
#define QRT_MEMBER_c(op, types) qrt_##op##_fn* op##_##types;
#define QRT_MEMBER_avx2(op, types)
#define QRT_MEMBER_vpopcnt(op, types)
#define QRT_MEMBER_vnni(op, types)
#define QRT_MEMBER_armv7(op, types)
#define QRT_MEMBER_neon(op, types)
#define QRT_MEMBER_dotprod(op, types)
#define QRT_MEMBER_i8mm(op, types)
#define QRT_KERNEL(op, types, isa, symbol) QRT_MEMBER_##isa(op, types)
#include "qrt/kernels.inc"
#undef QRT_KERNEL
} qrt_dispatch;

#if defined(QRT_DISPATCH)
/* Filled once, before the first kernel runs; the same values whoever calls. */
extern qrt_dispatch qrt;
void qrt_select_kernels(void);
/* Names of the instruction sets that are built and that this processor has, weakest
 * first, into at most QRT_ISA_COUNT places; returns how many. */
int qrt_kernel_isas(const char** names);
#else
#if defined(__clang__)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Winitializer-overrides"
#elif defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
#endif
static const qrt_dispatch qrt = {
#define QRT_KERNEL(op, types, isa, symbol) QRT_IF_##isa(.op##_##types = symbol, )
#include "qrt/kernels.inc"
#undef QRT_KERNEL
};
#if defined(__clang__)
#pragma clang diagnostic pop
#elif defined(__GNUC__)
#pragma GCC diagnostic pop
#endif
#endif /* QRT_DISPATCH */
#endif /* __cplusplus */

#endif /* QRT_QRT_H */
