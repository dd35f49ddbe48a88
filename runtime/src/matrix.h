/* SPDX-License-Identifier: MIT
 * The matrix kernels (convolution, transposed convolution, matrix product) around a
 * register tile that the including file provides. They pack 16 rows of input codes, then
 * walk the columns (output channels) four at a time; every dot product runs over rows of
 * `depth` lanes, filled up with zeros to whole steps.
 *
 * The including file defines before this header
 *   typedef ... qrt_lane;  typedef ... qrt_acc;   a packed code, an accumulator
 *   QRT_CENTRED    1: lanes are code - zero point, so sums are final
 *                  0: lanes are plain int8 codes, zero points enter through sums of rows
 *   QRT_TILE_ROWS  rows of its register tile
 * and after it the functions
 *   dot_tile   sums of QRT_TILE_ROWS rows times 4 columns
 *   dot_row    sums of one row times 4 columns
 *   finish     sums scaled to the bias's unit (N19), base added, requantised, zero point
 *              added, clamped
 *   widen      lanes of int8 codes minus a zero point (only where lanes are centred)
 *   sum_lanes  sum of a row's lanes (only where they are not)
 * `narrow` says that no column holds -128. */
#ifndef QRT_SRC_MATRIX_H
#define QRT_SRC_MATRIX_H

#include <string.h>

#include "codes.h"
#include "qrt/qrt.h"
#include "unpack.h"

#define QRT_COLUMNS QRT_BLOCK_COLUMNS

/* What turns the four sums of a row into codes. */
typedef struct {
  qrt_acc base[QRT_COLUMNS]; /* bias, and zero points where lanes are not centred */
  int32_t w_zero[QRT_COLUMNS];
  int32_t multiplier[QRT_COLUMNS], shift[QRT_COLUMNS];
  int32_t y_zero, lo, hi;
  int acc64;
} qrt_tile;

static void dot_tile(const qrt_lane* const* x, const qrt_lane* const* w, size_t depth,
                     int narrow, qrt_acc* acc);
static void dot_row(const qrt_lane* x, const qrt_lane* const* w, size_t depth, int narrow,
                    qrt_acc* acc);
static void finish(const qrt_tile* tile, const qrt_acc* acc, int32_t* y);
#if QRT_CENTRED
static void widen(qrt_lane* lanes, const int8_t* codes, size_t count, int32_t zero);
#else
static int32_t sum_lanes(const qrt_lane* lanes, size_t depth);
#endif

/* The columns' weights, multipliers and shifts: packed rows of a constant, or columns of
 * an activation matrix. */
typedef struct {
  const void* weights; /* of column 0 */
  const void* bias;    /* NULL: 0 */
  const int16_t* w_zero;
  const int32_t* multiplier;
  const int8_t* shift;
  int weight_bits, odd_weights, bias_bytes;
  int is_matrix; /* weights is b[depth, count], `weight_bits` wide codes with one b_zero
                  */
  int32_t b_zero, b_multiplier, b_shift;
  size_t count;
} qrt_columns;

typedef struct {
  const qrt_lane* rows[QRT_BLOCK_ROWS];
  int32_t row_sums[QRT_BLOCK_ROWS];
  size_t row_count;
  size_t depth, padded_depth;
  int32_t x_zero, y_zero, lo, hi;
  int acc64, y_bytes, narrow;
  qrt_lane* packed_rows;    /* QRT_BLOCK_ROWS * padded_depth */
  qrt_lane* packed_columns; /* QRT_COLUMNS * padded_depth */
} qrt_block;

static void prepare_block(qrt_block* block, size_t depth, void* scratch) {
  const size_t step = QRT_DEPTH_STEP;
  memset(block, 0, sizeof *block);
  block->depth = depth;
  block->padded_depth = (depth + step - 1) / step * step;
  block->packed_rows = (qrt_lane*)scratch;
  block->packed_columns = block->packed_rows + QRT_BLOCK_ROWS * block->padded_depth;
}

static qrt_lane* packed_row(const qrt_block* block, size_t row) {
  return block->packed_rows + row * block->padded_depth;
}

/* `count` codes become lanes. */
static void pack_codes(qrt_lane* dst, const void* src, int bytes, size_t count,
                       int32_t zero) {
#if QRT_CENTRED
  if (bytes == 1) {
    widen(dst, (const int8_t*)src, count, zero);
  } else {
    const int16_t* codes = (const int16_t*)src;
    size_t i;
    for (i = 0; i < count; ++i) dst[i] = (qrt_lane)(codes[i] - zero);
  }
#else
  (void)bytes;
  (void)zero;
  memcpy(dst, src, count);
#endif
}

/* `count` lanes that stand for real zero. */
static void pack_padding(qrt_lane* dst, size_t count, int32_t zero) {
#if QRT_CENTRED
  (void)zero;
  memset(dst, 0, count * sizeof *dst);
#else
  memset(dst, (uint8_t)zero, count);
#endif
}

static void pack_tail(const qrt_block* block, qrt_lane* row) {
  memset(row + block->depth, 0, (block->padded_depth - block->depth) * sizeof *row);
}

static void pack_matrix_column(const qrt_columns* columns, const qrt_block* block,
                               size_t column, qrt_lane* dst) {
  const int bytes = columns->weight_bits / 8;
  const int32_t zero = QRT_CENTRED ? columns->b_zero : 0;
  size_t k;
  for (k = 0; k < block->depth; ++k) {
    dst[k] =
        (qrt_lane)(qrt_load(columns->weights, k * columns->count + column, bytes) - zero);
  }
}

/* Lanes of one column, in place where the blob already holds them. */
static const qrt_lane* pack_column(const qrt_columns* columns, const qrt_block* block,
                                   size_t column, size_t slot) {
  qrt_lane* dst = block->packed_columns + slot * block->padded_depth;
  if (columns->is_matrix) {
    pack_matrix_column(columns, block, column, dst);
  } else {
    const size_t row_bytes = qrt_row_bytes(block->depth, columns->weight_bits);
    const uint8_t* src = (const uint8_t*)columns->weights + column * row_bytes;
#if QRT_CENTRED
    const int32_t zero = columns->w_zero ? columns->w_zero[column] : 0;
#else
    const int32_t zero = 0;
    if (columns->weight_bits == 8 && block->depth == block->padded_depth) {
      return (const qrt_lane*)src;
    }
#endif
    if (columns->weight_bits == 8) {
      pack_codes(dst, src, 1, block->depth, zero);
    } else {
      qrt_unpack_row(dst, src, block->depth, columns->weight_bits, columns->odd_weights,
                     zero);
    }
  }
  pack_tail(block, dst);
  return dst;
}

static qrt_acc load_bias(const qrt_columns* columns, size_t column) {
  if (!columns->bias) return 0;
  return columns->bias_bytes == 8 ? (qrt_acc)((const int64_t*)columns->bias)[column]
                                  : (qrt_acc)((const int32_t*)columns->bias)[column];
}

static void prepare_column(const qrt_columns* columns, const qrt_block* block,
                           size_t column, size_t slot, const qrt_lane* w,
                           qrt_tile* tile) {
  tile->base[slot] = load_bias(columns, column);
  if (columns->is_matrix) {
    tile->multiplier[slot] = columns->b_multiplier;
    tile->shift[slot] = columns->b_shift;
    tile->w_zero[slot] = columns->b_zero;
  } else {
    tile->multiplier[slot] = columns->multiplier[column];
    tile->shift[slot] = columns->shift[column];
    tile->w_zero[slot] = columns->w_zero ? columns->w_zero[column] : 0;
  }
#if QRT_CENTRED
  (void)block;
  (void)w;
#else
  {
    /* sum (x - xz)(w - wz) = sum xw - wz sum x - xz (sum w - K wz). Unsigned: a step may
     * wrap, the end may not. */
    const uint32_t centred_sum = (uint32_t)sum_lanes(w, block->padded_depth) -
                                 (uint32_t)block->depth * (uint32_t)tile->w_zero[slot];
    const int left = tile->shift[slot] > 0 ? tile->shift[slot] : 0;
    tile->base[slot] = (qrt_acc)((uint32_t)tile->base[slot] -
                                 (((uint32_t)block->x_zero * centred_sum) << left));
  }
#endif
}

static void finish_row(const qrt_block* block, const qrt_tile* tile, size_t row,
                       qrt_acc* acc, void* y, size_t y_index, size_t width) {
  int32_t codes[QRT_COLUMNS];
  size_t i;
#if QRT_CENTRED
  (void)row;
#else
  for (i = 0; i < QRT_COLUMNS; ++i) {
    acc[i] = (qrt_acc)((uint32_t)acc[i] -
                       (uint32_t)tile->w_zero[i] * (uint32_t)block->row_sums[row]);
  }
#endif
  finish(tile, acc, codes);
  for (i = 0; i < width; ++i) qrt_store(y, y_index + i, block->y_bytes, codes[i]);
}

/* Multiplies the packed rows with all columns. Row r of the result begins at y_index + r
 * * y_step. */
static void run_block(qrt_block* block, const qrt_columns* columns, void* y,
                      size_t y_index, size_t y_step) {
  size_t column, row, slot;
  qrt_tile tile;
  tile.y_zero = block->y_zero;
  tile.lo = block->lo;
  tile.hi = block->hi;
  tile.acc64 = block->acc64;
#if !QRT_CENTRED
  memset(block->row_sums, 0, sizeof block->row_sums);
  if (columns->w_zero || columns->b_zero != 0) {
    for (row = 0; row < block->row_count; ++row) {
      block->row_sums[row] = sum_lanes(block->rows[row], block->padded_depth);
    }
  }
#endif
  for (column = 0; column < columns->count; column += QRT_COLUMNS) {
    const size_t left = columns->count - column;
    const size_t width = left < QRT_COLUMNS ? left : QRT_COLUMNS;
    const qrt_lane* w[QRT_COLUMNS];
    qrt_acc acc[QRT_TILE_ROWS * QRT_COLUMNS];
    for (slot = 0; slot < QRT_COLUMNS; ++slot) {
      /* Columns beyond the last repeat it; their results are not stored. */
      const size_t source = slot < width ? column + slot : column + width - 1;
      w[slot] = slot < width ? pack_column(columns, block, source, slot) : w[width - 1];
      prepare_column(columns, block, source, slot, w[slot], &tile);
    }
    for (row = 0; row + QRT_TILE_ROWS <= block->row_count; row += QRT_TILE_ROWS) {
      size_t i;
      dot_tile(block->rows + row, w, block->padded_depth, block->narrow, acc);
      for (i = 0; i < QRT_TILE_ROWS; ++i) {
        finish_row(block, &tile, row + i, acc + i * QRT_COLUMNS, y,
                   y_index + (row + i) * y_step + column, width);
      }
    }
    for (; row < block->row_count; ++row) {
      dot_row(block->rows[row], w, block->padded_depth, block->narrow, acc);
      finish_row(block, &tile, row, acc, y, y_index + row * y_step + column, width);
    }
  }
}

/* ------------------------------------------------------------------------------
 * convolution */

/* One output position, counted through all images. */
typedef struct {
  int32_t image, oy, ox;
} qrt_position;

static void next_position(const qrt_conv2d_params* p, qrt_position* at) {
  if (++at->ox < p->ow) return;
  at->ox = 0;
  if (++at->oy < p->oh) return;
  at->oy = 0;
  ++at->image;
}

/* Element index of x[image, iy, ix, first channel of the group]. */
static size_t input_index(const qrt_conv2d_params* p, int32_t image, int32_t iy,
                          int32_t ix, size_t first_channel) {
  const size_t pixel =
      ((size_t)image * (size_t)p->h + (size_t)iy) * (size_t)p->w + (size_t)ix;
  return pixel * (size_t)p->c + first_channel;
}

/* Input row (or column) that kernel row `k` sees from output row `o`; -1 outside. */
/* Unused where the direct kernels do the convolution. */
static inline int32_t forward_source(int32_t o, int32_t k, int32_t stride,
                                     int32_t dilation, int32_t pad, int32_t extent) {
  const int32_t i = o * stride - pad + k * dilation;
  return i >= 0 && i < extent ? i : -1;
}

static int32_t transposed_source(int32_t o, int32_t k, int32_t stride, int32_t dilation,
                                 int32_t pad, int32_t extent) {
  const int32_t scaled = o + pad - k * dilation;
  if (scaled < 0 || scaled % stride != 0) return -1;
  return scaled / stride < extent ? scaled / stride : -1;
}

typedef int32_t qrt_source_fn(int32_t o, int32_t k, int32_t stride, int32_t dilation,
                              int32_t pad, int32_t extent);

/* Number of consecutive kernel columns from kx on whose codes lie one after another in x.
 */
static int32_t run_length(const qrt_conv2d_params* p, qrt_source_fn* source, int32_t ox,
                          int32_t kx, int32_t ix) {
  int32_t length = 1;
  if (p->groups != 1) return 1;
  while (kx + length < p->kw && source(ox, kx + length, p->stride_w, p->dilation_w,
                                       p->pad_left, p->w) == ix + length) {
    ++length;
  }
  return length;
}

static const qrt_lane* gather_row(const qrt_conv2d_params* p, const qrt_block* block,
                                  qrt_source_fn* source, const void* x,
                                  const qrt_position* at, size_t first_channel,
                                  size_t row) {
  const size_t channels = (size_t)(p->c / p->groups);
  qrt_lane* const begin = packed_row(block, row);
  qrt_lane* dst = begin;
  int32_t ky, kx;
  for (ky = 0; ky < p->kh; ++ky) {
    const int32_t iy = source(at->oy, ky, p->stride_h, p->dilation_h, p->pad_top, p->h);
    if (iy < 0) {
      pack_padding(dst, (size_t)p->kw * channels, p->x_zero);
      dst += (size_t)p->kw * channels;
      continue;
    }
    for (kx = 0; kx < p->kw;) {
      const int32_t ix =
          source(at->ox, kx, p->stride_w, p->dilation_w, p->pad_left, p->w);
      int32_t length = 1;
      if (ix < 0) {
        pack_padding(dst, channels, p->x_zero);
      } else {
        const size_t index = input_index(p, at->image, iy, ix, first_channel);
        length = run_length(p, source, at->ox, kx, ix);
#if !QRT_CENTRED
        if (p->kh == 1 && p->kw == 1 && block->depth == block->padded_depth) {
          return (const qrt_lane*)x + index;
        }
#endif
        pack_codes(dst, qrt_at(x, index, p->x_bytes), p->x_bytes,
                   (size_t)length * channels, p->x_zero);
      }
      dst += (size_t)length * channels;
      kx += length;
    }
  }
  pack_tail(block, begin);
  return begin;
}

static void run_convolution(const qrt_conv2d_params* p, qrt_source_fn* source,
                            const void* x, const void* w, const void* bias,
                            const int32_t* multiplier, const int8_t* shift,
                            const int16_t* w_zero, void* y, void* scratch) {
  const size_t channels = (size_t)(p->c / p->groups);
  const size_t columns_in_group = (size_t)(p->o / p->groups);
  const size_t depth = (size_t)p->kh * (size_t)p->kw * channels;
  const size_t positions = (size_t)p->n * (size_t)p->oh * (size_t)p->ow;
  const size_t y_step = p->y_pitch ? (size_t)p->y_pitch : (size_t)p->o;
  qrt_block block;
  int32_t group;
  prepare_block(&block, depth, scratch);
  block.x_zero = p->x_zero;
  block.y_zero = p->y_zero;
  block.lo = p->lo;
  block.hi = p->hi;
  block.acc64 = p->acc64;
  block.y_bytes = p->y_bytes;
  block.narrow = p->narrow_weights || p->weight_bits < 8;
  for (group = 0; group < p->groups; ++group) {
    const size_t first = (size_t)group * columns_in_group;
    qrt_position at = {0, 0, 0};
    qrt_columns columns;
    size_t done;
    memset(&columns, 0, sizeof columns);
    columns.weights = (const uint8_t*)w + first * qrt_row_bytes(depth, p->weight_bits);
    columns.bias = (const uint8_t*)bias + first * p->bias_bytes;
    columns.w_zero = w_zero ? w_zero + first : NULL;
    columns.multiplier = multiplier + first;
    columns.shift = shift + first;
    columns.weight_bits = p->weight_bits;
    columns.odd_weights = p->odd_weights;
    columns.bias_bytes = p->bias_bytes;
    columns.count = columns_in_group;
    for (done = 0; done < positions; done += block.row_count) {
      const size_t left = positions - done;
      size_t row;
      block.row_count = left < QRT_BLOCK_ROWS ? left : QRT_BLOCK_ROWS;
      for (row = 0; row < block.row_count; ++row) {
        block.rows[row] =
            gather_row(p, &block, source, x, &at, (size_t)group * channels, row);
        next_position(p, &at);
      }
      run_block(&block, &columns, y, done * y_step + first, y_step);
    }
  }
}

/* --------------------------------------------------------------------------- matrix
 * product */

static void run_matmul(const qrt_matmul_params* p, const void* a, const void* b, void* y,
                       void* scratch) {
  const size_t k = (size_t)p->k, m = (size_t)p->m, n = (size_t)p->n;
  int32_t index[4] = {0, 0, 0, 0};
  size_t batches = 1, batch;
  int32_t axis;
  qrt_block block;
  qrt_columns columns;
  prepare_block(&block, k, scratch);
  block.x_zero = p->a_zero;
  block.y_zero = p->y_zero;
  block.lo = p->lo;
  block.hi = p->hi;
  block.acc64 = p->acc64;
  block.y_bytes = p->y_bytes;
  memset(&columns, 0, sizeof columns);
  columns.weight_bits = 8 * p->b_bytes;
  columns.is_matrix = 1;
  columns.b_zero = p->b_zero;
  columns.b_multiplier = p->multiplier;
  columns.b_shift = p->shift;
  columns.count = n;
  for (axis = 0; axis < p->batch_rank; ++axis) batches *= (size_t)p->batch_dims[axis];
  for (batch = 0; batch < batches; ++batch) {
    size_t a_index = 0, b_index = 0, done;
    for (axis = 0; axis < p->batch_rank; ++axis) {
      a_index += (size_t)index[axis] * (size_t)p->a_batch_stride[axis];
      b_index += (size_t)index[axis] * (size_t)p->b_batch_stride[axis];
    }
    columns.weights = qrt_at(b, b_index, p->b_bytes);
    for (done = 0; done < m; done += block.row_count) {
      size_t row;
      block.row_count = m - done < QRT_BLOCK_ROWS ? m - done : QRT_BLOCK_ROWS;
      for (row = 0; row < block.row_count; ++row) {
        qrt_lane* dst = packed_row(&block, row);
        pack_codes(dst, qrt_at(a, a_index + (done + row) * k, p->a_bytes), p->a_bytes, k,
                   p->a_zero);
        pack_tail(&block, dst);
        block.rows[row] = dst;
      }
      run_block(&block, &columns, y, (batch * m + done) * n, n);
    }
    for (axis = p->batch_rank - 1; axis >= 0; --axis) {
      if (++index[axis] < p->batch_dims[axis]) break;
      index[axis] = 0;
    }
  }
}

/* The public kernels of a variant; each takes its whole name. */
#define QRT_DEFINE_CONV2D(symbol)                                                \
  void symbol(const qrt_conv2d_params* p, const void* x, const void* w,          \
              const void* bias, const int32_t* multiplier, const int8_t* shift,  \
              const int16_t* w_zero, void* y, void* scratch) {                   \
    run_convolution(p, forward_source, x, w, bias, multiplier, shift, w_zero, y, \
                    scratch);                                                    \
  }

#define QRT_DEFINE_CONV_TRANSPOSE2D(symbol)                                         \
  void symbol(const qrt_conv2d_params* p, const void* x, const void* w,             \
              const void* bias, const int32_t* multiplier, const int8_t* shift,     \
              const int16_t* w_zero, void* y, void* scratch) {                      \
    run_convolution(p, transposed_source, x, w, bias, multiplier, shift, w_zero, y, \
                    scratch);                                                       \
  }

#define QRT_DEFINE_MATMUL(symbol)                                                \
  void symbol(const qrt_matmul_params* p, const void* a, const void* b, void* y, \
              void* scratch) {                                                   \
    run_matmul(p, a, b, y, scratch);                                             \
  }

#endif /* QRT_SRC_MATRIX_H */
