/* SPDX-License-Identifier: MIT
 * Threads, where the caller has some: the hook that runs the parts of a layer, and how a
 * layer is cut. A function of parameters and number of parts alone, so that the exporter
 * can plan the scratch of each part. Every part is a smaller layer of the same kind that
 * writes its own codes, so results are the same for any number of threads. Knows no
 * operating system; threads/ has hooks for POSIX threads and OpenMP. */
#ifndef QRT_PARALLEL_H
#define QRT_PARALLEL_H

#include "qrt/qrt.h"

#ifdef __cplusplus
extern "C" {
#endif

#define QRT_MAX_THREADS 64

/* Multiply-accumulates, or elements, that are worth a part of their own: some
 * microseconds, what waking a thread takes. */
#ifndef QRT_LEAST_WORK
#define QRT_LEAST_WORK 16384
#endif

typedef void qrt_part_fn(void* job, int32_t part);

/* The hook: `run` calls part(job, i) once for each i in [0, parts), in any order and on
 * any threads, and returns when all have returned. parts <= threads. */
typedef struct qrt_parallel qrt_parallel;
struct qrt_parallel {
  int32_t threads; /* 1..QRT_MAX_THREADS */
  void (*run)(qrt_parallel* self, qrt_part_fn* part, void* job, int32_t parts);
};

/* The hook and memory of one inference: part i has the scratch at i * scratch_step. */
typedef struct {
  qrt_parallel* parallel;
  uint8_t* scratch; /* threads * scratch_step bytes */
  size_t scratch_step;
  int64_t least_work; /* of a part */
} qrt_team;

/* Fills `team` and returns it; NULL, which means one part, where there is no hook or one
 * thread. */
static inline const qrt_team* qrt_team_of(qrt_team* team, qrt_parallel* parallel,
                                          void* scratch, size_t scratch_step) {
  if (parallel == NULL || parallel->threads < 2) return NULL;
  team->parallel = parallel;
  team->scratch = (uint8_t*)scratch;
  team->scratch_step = scratch_step;
  team->least_work = QRT_LEAST_WORK;
  return team;
}

/* ------------------------------------------------------------------------------ cuts */

typedef struct {
  int32_t begin, end;
} qrt_range;

/* Part `part` of [0, total) in `parts` parts of almost the same size. */
static inline qrt_range qrt_range_of(int32_t total, int32_t part, int32_t parts) {
  qrt_range range;
  range.begin = (int32_t)((int64_t)total * part / parts);
  range.end = (int32_t)((int64_t)total * (part + 1) / parts);
  return range;
}

/* Parts along images, output rows and tiles of channels. More than one part along rows
 * only where each has one image, along channels only where each has one row. */
typedef struct {
  int32_t images, rows, columns;
} qrt_grid;

/* Output channels of a tile: whole panels and weight tiles of every kernel. */
#define QRT_PART_COLUMNS 16

static inline int32_t qrt_least(int32_t a, int32_t b) { return a < b ? a : b; }

static inline qrt_grid qrt_grid_of(int32_t images, int32_t rows, int32_t tiles,
                                   int32_t parts) {
  qrt_grid grid;
  grid.images = qrt_least(images, parts);
  grid.rows = qrt_least(rows, parts / grid.images);
  grid.columns = qrt_least(tiles, parts / grid.images / grid.rows);
  return grid;
}

/* What output rows [out.begin, out.end) see of an image of `h` rows: input rows from
 * `begin` on, `h` of them, and the padding above. */
typedef struct {
  int32_t begin, h, pad_top;
} qrt_row_window;

static inline qrt_row_window qrt_rows_of(qrt_range out, int32_t h, int32_t kernel,
                                         int32_t stride, int32_t dilation,
                                         int32_t pad_top) {
  const int32_t first = out.begin * stride - pad_top;
  const int32_t last = (out.end - 1) * stride - pad_top + (kernel - 1) * dilation;
  qrt_row_window window;
  window.begin = first < 0 ? 0 : qrt_least(first, h - 1);
  window.h = qrt_least(last, h - 1) - window.begin + 1;
  if (window.h < 1) window.h = 1;
  window.pad_top = window.begin - first;
  return window;
}

/* A part of a convolution: its parameters, bytes to add to x, w and y, and its first
 * output channel. */
typedef struct {
  qrt_conv2d_params p;
  size_t x, w, y;
  int32_t channel;
} qrt_conv2d_part;

/* A product with many rows, or one layer over a sequence, has its rows along w. */
static inline qrt_conv2d_params qrt_upright(const qrt_conv2d_params* p) {
  qrt_conv2d_params q = *p;
  if (p->h == 1 && p->oh == 1 && p->kh == 1 && p->kw == 1 && p->w == p->ow &&
      p->stride_w == 1 && p->pad_left == 0 && p->pad_top == 0) {
    q.h = q.oh = p->w;
    q.w = q.ow = 1;
    q.stride_h = 1;
  }
  return q;
}

static inline qrt_grid qrt_conv2d_grid(const qrt_conv2d_params* upright, int32_t parts) {
  const int32_t tiles =
      upright->groups == 1 ? (upright->o + QRT_PART_COLUMNS - 1) / QRT_PART_COLUMNS : 1;
  return qrt_grid_of(upright->n, upright->oh, tiles, parts);
}

/* Parts that at most `parts` cut the layer into. */
static inline int32_t qrt_conv2d_parts(const qrt_conv2d_params* p, int32_t parts) {
  const qrt_conv2d_params upright = qrt_upright(p);
  const qrt_grid grid = qrt_conv2d_grid(&upright, parts);
  return grid.images * grid.rows * grid.columns;
}

static inline qrt_conv2d_part qrt_conv2d_part_of(const qrt_conv2d_params* whole,
                                                 int32_t part, int32_t parts) {
  const qrt_conv2d_params p = qrt_upright(whole);
  const qrt_grid grid = qrt_conv2d_grid(&p, parts);
  const int32_t tiles = (p.o + QRT_PART_COLUMNS - 1) / QRT_PART_COLUMNS;
  const qrt_range tile = qrt_range_of(tiles, part % grid.columns, grid.columns);
  const qrt_range row = qrt_range_of(p.oh, part / grid.columns % grid.rows, grid.rows);
  const qrt_range image = qrt_range_of(p.n, part / grid.columns / grid.rows, grid.images);
  const qrt_row_window window =
      qrt_rows_of(row, p.h, p.kh, p.stride_h, p.dilation_h, p.pad_top);
  const size_t depth = (size_t)p.kh * (size_t)p.kw * (size_t)(p.c / p.groups);
  qrt_conv2d_part out;
  size_t y;
  out.p = p;
  out.p.n = image.end - image.begin;
  out.channel = 0;
  out.x = (size_t)image.begin * (size_t)p.h;
  if (grid.rows > 1) {
    out.p.oh = row.end - row.begin;
    out.p.h = window.h;
    out.p.pad_top = window.pad_top;
    out.x += (size_t)window.begin;
  }
  out.x *= (size_t)p.w * (size_t)p.c * p.x_bytes;
  y = ((size_t)image.begin * (size_t)p.oh + (size_t)row.begin) * (size_t)p.ow *
      (size_t)p.o;
  if (grid.columns > 1) {
    out.channel = tile.begin * QRT_PART_COLUMNS;
    out.p.o = qrt_least(p.o, tile.end * QRT_PART_COLUMNS) - out.channel;
    out.p.y_pitch = p.o;
    if (p.weight_sums) out.p.weight_sums = p.weight_sums + out.channel;
  }
  out.w = (size_t)out.channel * ((depth * p.weight_bits + 7) / 8);
  out.y = (y + (size_t)out.channel) * p.y_bytes;
  return out;
}

/* The same of a bit-serial convolution. A part sees the bit planes of a whole image of x,
 * from a padding that may be negative, and writes whole words of those of y. */
typedef struct {
  qrt_bitserial_params p;
  size_t x, w, y;
  int32_t channel;
} qrt_bitserial_part;

static inline int32_t qrt_bitserial_columns(const qrt_bitserial_params* p) {
  return p->y_bits ? 64 : QRT_PART_COLUMNS;
}

static inline qrt_grid qrt_bitserial_grid(const qrt_bitserial_params* p, int32_t parts) {
  const int32_t columns = qrt_bitserial_columns(p);
  return qrt_grid_of(p->n, p->oh, (p->o + columns - 1) / columns, parts);
}

static inline int32_t qrt_bitserial_parts(const qrt_bitserial_params* p, int32_t parts) {
  const qrt_grid grid = qrt_bitserial_grid(p, parts);
  return grid.images * grid.rows * grid.columns;
}

static inline qrt_bitserial_part qrt_bitserial_part_of(const qrt_bitserial_params* p,
                                                       int32_t part, int32_t parts) {
  const qrt_grid grid = qrt_bitserial_grid(p, parts);
  const int32_t columns = qrt_bitserial_columns(p);
  const int32_t tiles = (p->o + columns - 1) / columns;
  const qrt_range tile = qrt_range_of(tiles, part % grid.columns, grid.columns);
  const qrt_range row = qrt_range_of(p->oh, part / grid.columns % grid.rows, grid.rows);
  const qrt_range image =
      qrt_range_of(p->n, part / grid.columns / grid.rows, grid.images);
  const qrt_row_window window =
      qrt_rows_of(row, p->h, p->kh, p->stride_h, p->dilation_h, p->pad_top);
  qrt_bitserial_params panel = *p;
  qrt_bitserial_part out;
  out.p = *p;
  out.p.n = image.end - image.begin;
  out.channel = 0;
  out.x = (size_t)image.begin * (size_t)p->h * (size_t)p->w * (size_t)p->c;
  if (p->x_planes) {
    out.x = (size_t)image.begin *
            qrt_bit_plane_size((int64_t)p->h * p->w, p->c, (int)p->x_bits);
  }
  if (grid.rows > 1) {
    out.p.oh = row.end - row.begin;
    if (p->y_bits) {
      out.p.y_row = row.begin;
      out.p.y_rows = p->oh;
    }
    if (p->x_planes) {
      out.p.pad_top = p->pad_top - row.begin * p->stride_h;
    } else {
      out.p.h = window.h;
      out.p.pad_top = window.pad_top;
      out.x += (size_t)window.begin * (size_t)p->w * (size_t)p->c;
    }
  }
  if (grid.columns > 1) {
    out.channel = tile.begin * columns;
    out.p.o = qrt_least(p->o, tile.end * columns) - out.channel;
    out.p.y_pitch = p->o;
  }
  panel.o = out.channel;
  out.w = qrt_bit_panel_size(&panel);
  out.y = ((size_t)image.begin * (size_t)p->oh + (size_t)row.begin) * (size_t)p->ow *
              (size_t)p->o +
          (size_t)out.channel;
  if (p->y_bits) {
    out.y = (size_t)image.begin *
                qrt_bit_plane_size((int64_t)p->oh * p->ow, p->o, (int)p->y_bits) +
            (size_t)out.channel / 8;
  }
  return out;
}

/* --------------------------------------------------------------------------- runners
 *
 * Each calls `kernel` for the parts of a layer; with a NULL team once, with everything.
 * `scratch` serves that one call, the team's scratch the parts. */
void qrt_parallel_conv2d(const qrt_team* team, qrt_conv2d_fn* kernel,
                         const qrt_conv2d_params* p, const void* x, const void* w,
                         const void* bias, const int32_t* multiplier, const int8_t* shift,
                         const int16_t* w_zero, void* y, void* scratch);
void qrt_parallel_bitserial(const qrt_team* team, qrt_bitserial_fn* kernel,
                            const qrt_bitserial_params* p, const void* x, const void* w,
                            const void* bias, const int32_t* multiplier,
                            const int8_t* shift, const int16_t* w_zero, void* y,
                            void* scratch);
/* Cut along the outermost batch axis, or along m where there is one matrix. */
void qrt_parallel_matmul(const qrt_team* team, qrt_matmul_fn* kernel,
                         const qrt_matmul_params* p, const void* a, const void* b,
                         void* y, void* scratch);
/* Cut along the outermost axis. */
void qrt_parallel_binary(const qrt_team* team, qrt_binary_fn* kernel,
                         const qrt_binary_params* p, const void* a, const void* b,
                         void* y);
void qrt_parallel_rescale(const qrt_team* team, qrt_rescale_fn* kernel,
                          const qrt_rescale_params* p, const void* x, void* y);
void qrt_parallel_lut(const qrt_team* team, qrt_lut_fn* kernel, const qrt_lut_params* p,
                      const void* x, const void* table, void* y);
void qrt_parallel_max_pool(const qrt_team* team, qrt_max_pool_fn* kernel,
                           const qrt_max_pool_params* p, const void* x, void* y);
void qrt_parallel_avg_pool(const qrt_team* team, qrt_avg_pool_fn* kernel,
                           const qrt_avg_pool_params* p, const void* x,
                           const int32_t* multiplier, const int8_t* shift,
                           const void* which, void* y);
/* Cut along the outermost kept axis of more than one step. */
void qrt_parallel_reduce(const qrt_team* team, qrt_reduce_fn* kernel,
                         const qrt_reduce_params* p, const void* x, void* y);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* QRT_PARALLEL_H */
