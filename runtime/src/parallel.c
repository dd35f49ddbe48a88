/* SPDX-License-Identifier: MIT
 * Layers in parts: each runner packs its arguments into a job and lets the hook call one
 * function for every part. How layers are cut stands in parallel.h. */
#include "qrt/parallel.h"

/* Parts that `work` is worth. */
static int32_t worth(const qrt_team* team, int64_t work) {
  const int64_t parts = team == NULL ? 1 : work / team->least_work;
  if (team == NULL || parts < 2) return 1;
  return parts < team->parallel->threads ? (int32_t)parts : team->parallel->threads;
}

static void run_parts(const qrt_team* team, qrt_part_fn* part, void* job, int32_t parts) {
  team->parallel->run(team->parallel, part, job, parts);
}

static void* scratch_of(const qrt_team* team, int32_t part) {
  return team->scratch + (size_t)part * team->scratch_step;
}

static const void* moved(const void* from, size_t bytes) {
  return (const uint8_t*)from + bytes;
}

static void* moved_mutable(void* from, size_t bytes) { return (uint8_t*)from + bytes; }

/* ----------------------------------------------------------------------- convolution */

typedef struct {
  const qrt_team* team;
  qrt_conv2d_fn* kernel;
  const qrt_conv2d_params* p;
  const void *x, *w, *bias;
  const int32_t* multiplier;
  const int8_t* shift;
  const int16_t* w_zero;
  void* y;
  int32_t parts; /* asked for */
} conv_job;

static void conv_part(void* argument, int32_t part) {
  const conv_job* job = (const conv_job*)argument;
  const qrt_conv2d_part slice = qrt_conv2d_part_of(job->p, part, job->parts);
  const size_t o = (size_t)slice.channel;
  job->kernel(&slice.p, moved(job->x, slice.x), moved(job->w, slice.w),
              moved(job->bias, o * job->p->bias_bytes), job->multiplier + o,
              job->shift + o, job->w_zero ? job->w_zero + o : NULL,
              moved_mutable(job->y, slice.y), scratch_of(job->team, part));
}

void qrt_parallel_conv2d(const qrt_team* team, qrt_conv2d_fn* kernel,
                         const qrt_conv2d_params* p, const void* x, const void* w,
                         const void* bias, const int32_t* multiplier, const int8_t* shift,
                         const int16_t* w_zero, void* y, void* scratch) {
  const int64_t work =
      (int64_t)p->n * p->oh * p->ow * p->o * p->kh * p->kw * (p->c / p->groups);
  const int32_t asked = worth(team, work);
  const int32_t parts = asked < 2 ? 1 : qrt_conv2d_parts(p, asked);
  conv_job job;
  if (parts < 2) {
    kernel(p, x, w, bias, multiplier, shift, w_zero, y, scratch);
    return;
  }
  job.team = team;
  job.kernel = kernel;
  job.p = p;
  job.x = x;
  job.w = w;
  job.bias = bias;
  job.multiplier = multiplier;
  job.shift = shift;
  job.w_zero = w_zero;
  job.y = y;
  job.parts = asked;
  run_parts(team, conv_part, &job, parts);
}

typedef struct {
  const qrt_team* team;
  qrt_bitserial_fn* kernel;
  const qrt_bitserial_params* p;
  const void *x, *w, *bias;
  const int32_t* multiplier;
  const int8_t* shift;
  const int16_t* w_zero;
  void* y;
  int32_t parts;
} bitserial_job;

static void bitserial_part(void* argument, int32_t part) {
  const bitserial_job* job = (const bitserial_job*)argument;
  const qrt_bitserial_part slice = qrt_bitserial_part_of(job->p, part, job->parts);
  const size_t o = (size_t)slice.channel;
  job->kernel(&slice.p, moved(job->x, slice.x), moved(job->w, slice.w),
              moved(job->bias, o * sizeof(int32_t)), job->multiplier + o, job->shift + o,
              job->w_zero ? job->w_zero + o : NULL, moved_mutable(job->y, slice.y),
              scratch_of(job->team, part));
}

void qrt_parallel_bitserial(const qrt_team* team, qrt_bitserial_fn* kernel,
                            const qrt_bitserial_params* p, const void* x, const void* w,
                            const void* bias, const int32_t* multiplier,
                            const int8_t* shift, const int16_t* w_zero, void* y,
                            void* scratch) {
  const int64_t work = (int64_t)p->n * p->oh * p->ow * p->o * p->kh * p->kw * p->c / 8;
  const int32_t asked = worth(team, work);
  const int32_t parts = asked < 2 ? 1 : qrt_bitserial_parts(p, asked);
  bitserial_job job;
  if (parts < 2) {
    kernel(p, x, w, bias, multiplier, shift, w_zero, y, scratch);
    return;
  }
  job.team = team;
  job.kernel = kernel;
  job.p = p;
  job.x = x;
  job.w = w;
  job.bias = bias;
  job.multiplier = multiplier;
  job.shift = shift;
  job.w_zero = w_zero;
  job.y = y;
  job.parts = asked;
  run_parts(team, bitserial_part, &job, parts);
}

/* -------------------------------------------------------------------- matrix product */

typedef struct {
  const qrt_team* team;
  qrt_matmul_fn* kernel;
  const qrt_matmul_params* p;
  const void *a, *b;
  void* y;
  int32_t parts;
} matmul_job;

/* Batches behind the outermost axis. */
static size_t inner_batches(const qrt_matmul_params* p) {
  size_t count = 1;
  int32_t axis;
  for (axis = 1; axis < p->batch_rank; ++axis) count *= (size_t)p->batch_dims[axis];
  return count;
}

static int is_batched(const qrt_matmul_params* p) {
  return p->batch_rank > 0 && p->batch_dims[0] > 1;
}

/* What matmul is cut along: batches, rows, or nothing. */
static int32_t matmul_extent(const qrt_matmul_params* p) {
  if (is_batched(p)) return p->batch_dims[0];
  return inner_batches(p) == 1 ? p->m : 1;
}

static void matmul_part(void* argument, int32_t part) {
  const matmul_job* job = (const matmul_job*)argument;
  const qrt_range range = qrt_range_of(matmul_extent(job->p), part, job->parts);
  const size_t begin = (size_t)range.begin, n = (size_t)job->p->n;
  qrt_matmul_params p = *job->p;
  size_t a, b = 0, y;
  if (is_batched(job->p)) {
    p.batch_dims[0] = range.end - range.begin;
    a = begin * (size_t)p.a_batch_stride[0];
    b = begin * (size_t)p.b_batch_stride[0];
    y = begin * inner_batches(&p) * (size_t)p.m * n;
  } else {
    p.m = range.end - range.begin;
    a = begin * (size_t)p.k;
    y = begin * n;
  }
  job->kernel(&p, moved(job->a, a * p.a_bytes), moved(job->b, b * p.b_bytes),
              moved_mutable(job->y, y * p.y_bytes), scratch_of(job->team, part));
}

void qrt_parallel_matmul(const qrt_team* team, qrt_matmul_fn* kernel,
                         const qrt_matmul_params* p, const void* a, const void* b,
                         void* y, void* scratch) {
  const int32_t extent = matmul_extent(p);
  const int64_t matrix = (int64_t)p->m * p->n * p->k;
  const int64_t outer = is_batched(p) ? p->batch_dims[0] : 1;
  const int32_t parts =
      qrt_least(extent, worth(team, matrix * outer * (int64_t)inner_batches(p)));
  matmul_job job;
  if (parts < 2) {
    kernel(p, a, b, y, scratch);
    return;
  }
  job.team = team;
  job.kernel = kernel;
  job.p = p;
  job.a = a;
  job.b = b;
  job.y = y;
  job.parts = parts;
  run_parts(team, matmul_part, &job, parts);
}

/* ----------------------------------------------------------------- element by element */

typedef struct {
  qrt_binary_fn* kernel;
  const qrt_binary_params* p;
  const void *a, *b;
  void* y;
  size_t inner; /* elements of one step of the outermost axis */
  int32_t parts;
} binary_job;

static void binary_part(void* argument, int32_t part) {
  const binary_job* job = (const binary_job*)argument;
  const qrt_range range = qrt_range_of(job->p->dims[0], part, job->parts);
  const size_t begin = (size_t)range.begin;
  qrt_binary_params p = *job->p;
  p.dims[0] = range.end - range.begin;
  job->kernel(&p, moved(job->a, begin * (size_t)p.a_stride[0] * p.a_bytes),
              moved(job->b, begin * (size_t)p.b_stride[0] * p.b_bytes),
              moved_mutable(job->y, begin * job->inner * p.y_bytes));
}

void qrt_parallel_binary(const qrt_team* team, qrt_binary_fn* kernel,
                         const qrt_binary_params* p, const void* a, const void* b,
                         void* y) {
  binary_job job;
  int32_t axis, outer = p->rank > 0 ? p->dims[0] : 1;
  job.inner = 1;
  for (axis = 1; axis < p->rank; ++axis) job.inner *= (size_t)p->dims[axis];
  job.parts = qrt_least(outer, worth(team, (int64_t)job.inner * outer));
  if (job.parts < 2) {
    kernel(p, a, b, y);
    return;
  }
  job.kernel = kernel;
  job.p = p;
  job.a = a;
  job.b = b;
  job.y = y;
  run_parts(team, binary_part, &job, job.parts);
}

typedef struct {
  qrt_rescale_fn* kernel;
  const qrt_rescale_params* p;
  const void* x;
  void* y;
  int32_t parts;
} rescale_job;

static void rescale_part(void* argument, int32_t part) {
  const rescale_job* job = (const rescale_job*)argument;
  const qrt_range range = qrt_range_of(job->p->count, part, job->parts);
  const size_t begin = (size_t)range.begin;
  qrt_rescale_params p = *job->p;
  p.count = range.end - range.begin;
  job->kernel(&p, moved(job->x, begin * p.x_bytes),
              moved_mutable(job->y, begin * p.y_bytes));
}

void qrt_parallel_rescale(const qrt_team* team, qrt_rescale_fn* kernel,
                          const qrt_rescale_params* p, const void* x, void* y) {
  rescale_job job;
  job.parts = qrt_least(p->count, worth(team, p->count));
  if (job.parts < 2) {
    kernel(p, x, y);
    return;
  }
  job.kernel = kernel;
  job.p = p;
  job.x = x;
  job.y = y;
  run_parts(team, rescale_part, &job, job.parts);
}

typedef struct {
  qrt_lut_fn* kernel;
  const qrt_lut_params* p;
  const void *x, *table;
  void* y;
  int32_t parts;
} lut_job;

/* Whole turns of the channels. */
static void lut_part(void* argument, int32_t part) {
  const lut_job* job = (const lut_job*)argument;
  const int32_t channels = job->p->channels;
  const qrt_range range = qrt_range_of(job->p->count / channels, part, job->parts);
  const size_t begin = (size_t)range.begin * (size_t)channels;
  qrt_lut_params p = *job->p;
  p.count = (range.end - range.begin) * channels;
  job->kernel(&p, moved(job->x, begin * p.x_bytes), job->table,
              moved_mutable(job->y, begin * p.y_bytes));
}

void qrt_parallel_lut(const qrt_team* team, qrt_lut_fn* kernel, const qrt_lut_params* p,
                      const void* x, const void* table, void* y) {
  lut_job job;
  job.parts = qrt_least(p->count / p->channels, worth(team, p->count));
  if (job.parts < 2) {
    kernel(p, x, table, y);
    return;
  }
  job.kernel = kernel;
  job.p = p;
  job.x = x;
  job.table = table;
  job.y = y;
  run_parts(team, lut_part, &job, job.parts);
}

/* ------------------------------------------------------------ pooling and reductions */

typedef struct {
  qrt_max_pool_fn* kernel;
  const qrt_max_pool_params* p;
  const void* x;
  void* y;
  qrt_grid grid;
} max_pool_job;

static void max_pool_part(void* argument, int32_t part) {
  const max_pool_job* job = (const max_pool_job*)argument;
  const qrt_max_pool_params* whole = job->p;
  const qrt_range row = qrt_range_of(whole->oh, part % job->grid.rows, job->grid.rows);
  const qrt_range image = qrt_range_of(whole->n, part / job->grid.rows, job->grid.images);
  const qrt_row_window window = qrt_rows_of(row, whole->h, whole->kh, whole->stride_h,
                                            whole->dilation_h, whole->pad_top);
  const size_t x_row = (size_t)whole->w * (size_t)whole->c * whole->bytes;
  const size_t y_row = (size_t)whole->ow * (size_t)whole->c * whole->bytes;
  size_t x = (size_t)image.begin * (size_t)whole->h;
  const size_t y = (size_t)image.begin * (size_t)whole->oh + (size_t)row.begin;
  qrt_max_pool_params p = *whole;
  p.n = image.end - image.begin;
  if (job->grid.rows > 1) {
    p.oh = row.end - row.begin;
    p.h = window.h;
    p.pad_top = window.pad_top;
    x += (size_t)window.begin;
  }
  job->kernel(&p, moved(job->x, x * x_row), moved_mutable(job->y, y * y_row));
}

void qrt_parallel_max_pool(const qrt_team* team, qrt_max_pool_fn* kernel,
                           const qrt_max_pool_params* p, const void* x, void* y) {
  const int64_t work = (int64_t)p->n * p->oh * p->ow * p->c * p->kh * p->kw;
  max_pool_job job;
  job.grid = qrt_grid_of(p->n, p->oh, 1, worth(team, work));
  if (job.grid.images * job.grid.rows < 2) {
    kernel(p, x, y);
    return;
  }
  job.kernel = kernel;
  job.p = p;
  job.x = x;
  job.y = y;
  run_parts(team, max_pool_part, &job, job.grid.images * job.grid.rows);
}

typedef struct {
  qrt_avg_pool_fn* kernel;
  const qrt_avg_pool_params* p;
  const void* x;
  const int32_t* multiplier;
  const int8_t* shift;
  const void* which;
  void* y;
  qrt_grid grid;
} avg_pool_job;

/* Windows say where they lie in their image, so that images stay whole. */
static void avg_pool_part(void* argument, int32_t part) {
  const avg_pool_job* job = (const avg_pool_job*)argument;
  const qrt_avg_pool_params* whole = job->p;
  const qrt_range row = qrt_range_of(whole->oh, part % job->grid.rows, job->grid.rows);
  const qrt_range image = qrt_range_of(whole->n, part / job->grid.rows, job->grid.images);
  const size_t x_image = (size_t)whole->h * (size_t)whole->w * (size_t)whole->c;
  const size_t positions = (size_t)row.begin * (size_t)whole->ow;
  const size_t y_image = (size_t)whole->oh * (size_t)whole->ow;
  const size_t y = (size_t)image.begin * y_image + positions;
  qrt_avg_pool_params p = *whole;
  p.n = image.end - image.begin;
  p.oh = row.end - row.begin;
  p.row_start += row.begin;
  p.row_end += row.begin;
  job->kernel(&p, moved(job->x, (size_t)image.begin * x_image * p.x_bytes),
              job->multiplier, job->shift, moved(job->which, positions * p.which_bytes),
              moved_mutable(job->y, y * (size_t)p.c * p.y_bytes));
}

/* Summed extents of `count` windows along one axis. */
static int64_t extents(const int32_t* start, const int32_t* end, int32_t count) {
  int64_t sum = 0;
  int32_t i;
  for (i = 0; i < count; ++i) sum += end[i] - start[i];
  return sum;
}

void qrt_parallel_avg_pool(const qrt_team* team, qrt_avg_pool_fn* kernel,
                           const qrt_avg_pool_params* p, const void* x,
                           const int32_t* multiplier, const int8_t* shift,
                           const void* which, void* y) {
  const int64_t work = extents(p->row_start, p->row_end, p->oh) *
                       extents(p->col_start, p->col_end, p->ow) * p->n * p->c;
  avg_pool_job job;
  job.grid = qrt_grid_of(p->n, p->oh, 1, worth(team, work));
  if (job.grid.images * job.grid.rows < 2) {
    kernel(p, x, multiplier, shift, which, y);
    return;
  }
  job.kernel = kernel;
  job.p = p;
  job.x = x;
  job.multiplier = multiplier;
  job.shift = shift;
  job.which = which;
  job.y = y;
  run_parts(team, avg_pool_part, &job, job.grid.images * job.grid.rows);
}

typedef struct {
  qrt_reduce_fn* kernel;
  const qrt_reduce_params* p;
  const void* x;
  void* y;
  int32_t axis, parts; /* axis: kept, cut */
  size_t inner;        /* results of one step of the axis */
} reduce_job;

static void reduce_part(void* argument, int32_t part) {
  const reduce_job* job = (const reduce_job*)argument;
  const qrt_range range = qrt_range_of(job->p->kept_dims[job->axis], part, job->parts);
  const size_t begin = (size_t)range.begin;
  qrt_reduce_params p = *job->p;
  p.kept_dims[job->axis] = range.end - range.begin;
  job->kernel(&p, moved(job->x, begin * (size_t)p.kept_stride[job->axis] * p.x_bytes),
              moved_mutable(job->y, begin * job->inner * p.y_bytes));
}

void qrt_parallel_reduce(const qrt_team* team, qrt_reduce_fn* kernel,
                         const qrt_reduce_params* p, const void* x, void* y) {
  reduce_job job;
  int64_t work = 1;
  int32_t i, extent;
  job.axis = 0;
  while (job.axis + 1 < p->kept_rank && p->kept_dims[job.axis] == 1) ++job.axis;
  extent = p->kept_rank > 0 ? p->kept_dims[job.axis] : 1;
  job.inner = 1;
  for (i = job.axis + 1; i < p->kept_rank; ++i) job.inner *= (size_t)p->kept_dims[i];
  for (i = 0; i < p->reduced_rank; ++i) work *= p->reduced_dims[i];
  job.parts = qrt_least(extent, worth(team, work * extent * (int64_t)job.inner));
  if (job.parts < 2) {
    kernel(p, x, y);
    return;
  }
  job.kernel = kernel;
  job.p = p;
  job.x = x;
  job.y = y;
  run_parts(team, reduce_part, &job, job.parts);
}
