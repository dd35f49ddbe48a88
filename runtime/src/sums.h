/* SPDX-License-Identifier: MIT
 * The walks of average pooling and reductions for vector kernels: int8 codes, sums of 32
 * bits, at least 16 channels side by side. Everything else goes to the plain C kernels.
 * The including file provides
 *   sum_finish       how the sums of boxes of one size become codes
 *   sum_finish_of    the same, prepared
 *   box_codes        the codes of one box, channel by channel */
#ifndef QRT_SRC_SUMS_H
#define QRT_SRC_SUMS_H

#include "qrt/qrt.h"

/* An export with one of the two operators has no row of the other one. */
qrt_avg_pool_fn qrt_avg_pool_any_c;
qrt_reduce_fn qrt_reduce_any_c;

/* The least channels of box_codes. */
#define QRT_SUM_CHANNELS 16
/* Codes that 16 bits hold the sum of: 256 * -128 = -2^15. */
#define QRT_SUM_SEGMENT 256

/* Pixels that are summed; steps in codes. */
typedef struct {
  size_t rows, cols, row_step, col_step;
} qrt_sum_box;

typedef struct {
  int32_t x_zero, multiplier, shift, y_zero, lo, hi;
} qrt_sum_scale;

static sum_finish sum_finish_of(const qrt_sum_scale* scale, size_t pixels);

static void box_codes(const qrt_sum_box* box, const sum_finish* finish, const int8_t* x,
                      int8_t* y, size_t channels);

/* The first segment of a box: as many of its rows and columns as 16 bits can sum. */
static inline qrt_sum_box first_segment(const qrt_sum_box* box) {
  qrt_sum_box segment = *box;
  /* The usual case, without a division. */
  if (segment.rows * segment.cols <= QRT_SUM_SEGMENT) return segment;
  if (segment.cols > QRT_SUM_SEGMENT) segment.cols = QRT_SUM_SEGMENT;
  if (segment.rows > QRT_SUM_SEGMENT / segment.cols) {
    segment.rows = QRT_SUM_SEGMENT / segment.cols;
  }
  return segment;
}

/* What of the segment at (row, col) lies in the box. */
static inline qrt_sum_box clipped_segment(const qrt_sum_box* box, qrt_sum_box segment,
                                          size_t row, size_t col) {
  if (segment.rows > box->rows - row) segment.rows = box->rows - row;
  if (segment.cols > box->cols - col) segment.cols = box->cols - col;
  return segment;
}

static int is_summed(int x_bytes, int y_bytes, int acc64, int32_t channels) {
  return x_bytes == 1 && y_bytes == 1 && !acc64 && channels >= QRT_SUM_CHANNELS;
}

static size_t entry_at(const qrt_avg_pool_params* p, const void* which, size_t position) {
  return p->which_bytes == 1 ? ((const uint8_t*)which)[position]
                             : (size_t)((const int32_t*)which)[position];
}

static void pool_row(const qrt_avg_pool_params* p, const int8_t* x, int32_t oy,
                     const int32_t* multiplier, const int8_t* shift, const void* which,
                     int8_t* y) {
  const size_t channels = (size_t)p->c;
  qrt_sum_scale scale = {0, 0, 0, 0, 0, 0};
  sum_finish finish;
  size_t entry = 0, pixels = 0; /* of finish */
  qrt_sum_box box;
  int32_t ox;
  scale.x_zero = p->x_zero;
  scale.y_zero = p->y_zero;
  scale.lo = p->lo;
  scale.hi = p->hi;
  box.rows = (size_t)(p->row_end[oy] - p->row_start[oy]);
  box.row_step = (size_t)p->w * channels;
  box.col_step = channels;
  x += (size_t)p->row_start[oy] * box.row_step;
  for (ox = 0; ox < p->ow; ++ox, y += channels) {
    const size_t now = entry_at(p, which, (size_t)oy * (size_t)p->ow + (size_t)ox);
    box.cols = (size_t)(p->col_end[ox] - p->col_start[ox]);
    if (ox == 0 || now != entry || box.rows * box.cols != pixels) {
      entry = now;
      pixels = box.rows * box.cols;
      scale.multiplier = multiplier[entry];
      scale.shift = shift[entry];
      finish = sum_finish_of(&scale, pixels);
    }
    box_codes(&box, &finish, x + (size_t)p->col_start[ox] * channels, y, channels);
  }
}

static void run_avg_pool(const qrt_avg_pool_params* p, const void* x,
                         const int32_t* multiplier, const int8_t* shift,
                         const void* which, void* y) {
  const size_t x_image = (size_t)p->h * (size_t)p->w * (size_t)p->c;
  const size_t y_row = (size_t)p->ow * (size_t)p->c;
  const int8_t* image = (const int8_t*)x;
  int8_t* row = (int8_t*)y;
  int32_t n, oy;
  if (!is_summed(p->x_bytes, p->y_bytes, p->acc64, p->c)) {
    qrt_avg_pool_any_c(p, x, multiplier, shift, which, y);
    return;
  }
  for (n = 0; n < p->n; ++n, image += x_image) {
    for (oy = 0; oy < p->oh; ++oy, row += y_row) {
      pool_row(p, image, oy, multiplier, shift, which, row);
    }
  }
}

/* Whether the last kept axis lies side by side, with at most one kept axis outside and
 * two reduced ones, as means of images and sequences have them. */
static int is_box(const qrt_reduce_params* p) {
  const int32_t rank = p->kept_rank;
  return (rank == 1 || rank == 2) && p->reduced_rank <= 2 &&
         p->kept_stride[rank - 1] == 1 &&
         is_summed(p->x_bytes, p->y_bytes, p->acc64, p->kept_dims[rank - 1]);
}

static void run_reduce(const qrt_reduce_params* p, const void* x, void* y) {
  const int32_t rank = p->kept_rank, last = p->reduced_rank - 1;
  qrt_sum_scale scale = {0, 0, 0, 0, 0, 0};
  qrt_sum_box box = {1, 1, 0, 0};
  sum_finish finish;
  size_t channels, outer, i;
  if (!is_box(p)) {
    qrt_reduce_any_c(p, x, y);
    return;
  }
  scale.x_zero = p->x_zero;
  scale.multiplier = p->multiplier;
  scale.shift = p->shift;
  scale.y_zero = p->y_zero;
  scale.lo = p->lo;
  scale.hi = p->hi;
  if (last >= 0) {
    box.cols = (size_t)p->reduced_dims[last];
    box.col_step = (size_t)p->reduced_stride[last];
  }
  if (last == 1) {
    box.rows = (size_t)p->reduced_dims[0];
    box.row_step = (size_t)p->reduced_stride[0];
  }
  channels = (size_t)p->kept_dims[rank - 1];
  outer = rank == 2 ? (size_t)p->kept_dims[0] : 1;
  finish = sum_finish_of(&scale, box.rows * box.cols);
  for (i = 0; i < outer; ++i) {
    box_codes(&box, &finish, (const int8_t*)x + i * (size_t)p->kept_stride[0],
              (int8_t*)y + i * channels, channels);
  }
}

#endif /* QRT_SRC_SUMS_H */
