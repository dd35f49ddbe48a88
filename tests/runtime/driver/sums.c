/* SPDX-License-Identifier: MIT
 * Average pooling and reductions against N29 and N30: any widths, windows and axes, and
 * more often what vector kernels take, int8 codes whose channels lie side by side. */
#include <string.h>

#include "driver.h"
#include "qrt/qrt.h"

/* All codes the greatest as well: the sums that leave 16 bits first. */
static void* codes_of(size_t count, int bytes) {
  const int32_t greatest = code_max_of(bytes);
  const int32_t least = pick(0, 7) == 0 ? greatest : code_min_of(bytes);
  return random_codes(count, bytes, least, greatest, pick_mode());
}

static int32_t pick_zero(int bytes) {
  const int32_t i = pick(0, 7);
  return i == 0   ? code_min_of(bytes)
         : i == 1 ? code_max_of(bytes)
                  : pick(code_min_of(bytes), code_max_of(bytes));
}

/* Bits of a sum of `count` codes. */
static int bits_of_sum(int64_t count, int bytes) {
  int bits = 8 * bytes;
  while (count > 1) {
    count /= 2;
    ++bits;
  }
  return bits;
}

/* Random non-empty windows inside [0, extent). */
static void pick_windows(int32_t count, int32_t extent, int32_t* start, int32_t* end) {
  int32_t i;
  for (i = 0; i < count; ++i) {
    start[i] = pick(0, extent - 1);
    end[i] = pick(start[i] + 1, extent);
  }
}

/* Windows of one kernel and stride, clipped at the borders; returns how many. */
static int32_t slide_windows(int32_t most, int32_t extent, int32_t* start, int32_t* end) {
  const int32_t kernel = pick(1, pick(0, 1) == 0 ? 3 : extent);
  const int32_t stride = pick(1, 3), pad = pick(0, kernel - 1);
  int32_t i;
  for (i = 0; i < most; ++i) {
    const int32_t first = i * stride - pad, last = first + kernel;
    if (first >= extent) break;
    start[i] = first < 0 ? 0 : first;
    end[i] = last > extent ? extent : last;
  }
  return i;
}

typedef struct {
  qrt_avg_pool_params p;
  int32_t *rows, *cols, multiplier[3];
  int8_t shift[3];
} pool_case;

static void pick_any_pool(pool_case* t) {
  qrt_avg_pool_params* p = &t->p;
  p->h = pick(1, 9);
  p->w = pick(1, 9);
  p->c = pick(0, 3) == 0 ? 130 : pick_channels();
  p->oh = pick(1, 4);
  p->ow = pick(1, 4);
  p->x_bytes = (uint8_t)pick(1, 2);
  p->y_bytes = (uint8_t)pick(1, 2);
  p->acc64 = (uint8_t)(pick(0, 3) == 0);
  t->rows = (int32_t*)guarded((size_t)p->oh * 8);
  t->cols = (int32_t*)guarded((size_t)p->ow * 8);
  pick_windows(p->oh, p->h, t->rows, t->rows + p->oh);
  pick_windows(p->ow, p->w, t->cols, t->cols + p->ow);
}

/* As networks have them; now and then more pixels than 16 bits sum. */
static void pick_usual_pool(pool_case* t) {
  qrt_avg_pool_params* p = &t->p;
  int32_t start[2][5], end[2][5];
  const int great = pick(0, 5) == 0;
  p->h = great ? pick(14, 19) : pick(1, 8);
  p->w = great ? pick(14, 19) : pick(1, 8);
  p->c = pick(0, 2) == 0 ? pick(60, 150) : pick(1, 40);
  p->x_bytes = p->y_bytes = 1;
  p->oh = p->ow = 1;
  start[0][0] = start[1][0] = 0;
  end[0][0] = p->h;
  end[1][0] = p->w;
  if (!great) {
    p->oh = slide_windows(5, p->h, start[0], end[0]);
    p->ow = slide_windows(5, p->w, start[1], end[1]);
  }
  t->rows = (int32_t*)guarded((size_t)p->oh * 8);
  t->cols = (int32_t*)guarded((size_t)p->ow * 8);
  memcpy(t->rows, start[0], (size_t)p->oh * 4);
  memcpy(t->rows + p->oh, end[0], (size_t)p->oh * 4);
  memcpy(t->cols, start[1], (size_t)p->ow * 4);
  memcpy(t->cols + p->ow, end[1], (size_t)p->ow * 4);
}

static void pick_pool(pool_case* t) {
  qrt_avg_pool_params* p = &t->p;
  int k;
  memset(t, 0, sizeof *t);
  p->n = pick(1, 2);
  if (pick(0, 1) == 0) {
    pick_any_pool(t);
  } else {
    pick_usual_pool(t);
  }
  p->row_start = t->rows;
  p->row_end = t->rows + p->oh;
  p->col_start = t->cols;
  p->col_end = t->cols + p->ow;
  p->which_bytes = (uint8_t)(pick(0, 1) == 0 ? 1 : 4);
  p->x_zero = pick_zero(p->x_bytes);
  p->y_zero = pick_zero(p->y_bytes);
  p->lo = code_min_of(p->y_bytes);
  p->hi = code_max_of(p->y_bytes);
  if (pick(0, 3) == 0) {
    p->lo = pick(p->lo, p->hi);
    p->hi = pick(p->lo, p->hi);
  }
  for (k = 0; k < 3; ++k) {
    int32_t s;
    pick_scale(bits_of_sum((int64_t)p->h * p->w, p->x_bytes), 8 * p->y_bytes,
               &t->multiplier[k], &s);
    t->shift[k] = (int8_t)s;
  }
}

static size_t image_index(int32_t h, int32_t w, int32_t c, int32_t n, int32_t y,
                          int32_t x, int32_t channel) {
  return (size_t)(((n * h + y) * w + x) * c + channel);
}

static int64_t pool_sum(const qrt_avg_pool_params* p, const void* x, int32_t n,
                        int32_t oh, int32_t ow, int32_t c) {
  int64_t acc = 0;
  int32_t ih, iw;
  for (ih = p->row_start[oh]; ih < p->row_end[oh]; ++ih)
    for (iw = p->col_start[ow]; iw < p->col_end[ow]; ++iw) {
      acc +=
          code_at(x, image_index(p->h, p->w, p->c, n, ih, iw, c), p->x_bytes) - p->x_zero;
    }
  return acc;
}

static void check_avg_pool(int cases) {
  int i;
  for (i = 0; i < cases; ++i) {
    pool_case t;
    const qrt_avg_pool_params* p = &t.p;
    const qrt_team* team = random_team();
    const driver_row* row;
    const void *x, *which;
    int32_t* multiplier = (int32_t*)guarded(sizeof t.multiplier);
    int8_t* shift = (int8_t*)guarded(sizeof t.shift);
    int64_t* expected;
    int32_t n, oh, ow, c;
    size_t at = 0, count;
    pick_pool(&t);
    memcpy(multiplier, t.multiplier, sizeof t.multiplier);
    memcpy(shift, t.shift, sizeof t.shift);
    which = random_codes((size_t)(p->oh * p->ow), p->which_bytes, 0, 2, RANDOM_CODES);
    x = codes_of((size_t)(p->n * p->h * p->w * p->c), p->x_bytes);
    count = (size_t)(p->n * p->oh * p->ow * p->c);
    expected = (int64_t*)guarded(count * sizeof *expected);
    for (n = 0; n < p->n; ++n)
      for (oh = 0; oh < p->oh; ++oh)
        for (ow = 0; ow < p->ow; ++ow)
          for (c = 0; c < p->c; ++c) {
            const int32_t k = code_at(which, (size_t)(oh * p->ow + ow), p->which_bytes);
            const int64_t q = requant_meaning(pool_sum(p, x, n, oh, ow, c), multiplier[k],
                                              shift[k], p->acc64);
            expected[image_index(p->oh, p->ow, p->c, n, oh, ow, c)] =
                finish_meaning(q, p->y_zero, p->lo, p->hi);
          }
    begin_case("x %dx%dx%d y %dx%d bytes %d,%d acc64 %d zeros %d,%d", p->h, p->w, p->c,
               p->oh, p->ow, p->x_bytes, p->y_bytes, p->acc64, p->x_zero, p->y_zero);
    while ((row = next_row("avg_pool_any", &at)) != NULL) {
      qrt_avg_pool_fn* kernel = (qrt_avg_pool_fn*)row->fn;
      void* y = guarded(count * p->y_bytes);
      kernel(p, x, multiplier, shift, which, y);
      compare(row, y, p->y_bytes, expected, count);
      y = guarded(count * p->y_bytes);
      qrt_parallel_avg_pool(team, kernel, p, x, multiplier, shift, which, y);
      compare(row, y, p->y_bytes, expected, count);
    }
    end_case();
  }
}

/* Axes of x, outermost first, and which of them are reduced. */
typedef struct {
  int32_t rank, dims[6];
  int reduced[6];
} reduce_axes;

static reduce_axes pick_any_axes(void) {
  reduce_axes axes = {.rank = pick(1, 6)};
  int32_t i;
  for (i = 0; i < axes.rank; ++i) {
    axes.dims[i] = pick(1, axes.rank <= 2 ? 90 : 4);
    axes.reduced[i] = pick(0, 1);
  }
  return axes;
}

/* Means of images or of sequences, or along an axis that is not the last. */
static reduce_axes pick_usual_axes(void) {
  static const int32_t extents[4] = {3, 9, 17, 40};
  const int32_t most = extents[pick(0, 3)];
  reduce_axes axes = {.rank = 0};
  const int32_t outer = pick(1, 3), inner = pick(0, 2);
  if (outer > 1) axes.dims[axes.rank++] = outer;
  axes.reduced[axes.rank] = 1;
  axes.dims[axes.rank++] = pick(0, 5) == 0 ? pick(250, 530) : pick(1, most);
  if (inner > 0) axes.dims[axes.rank++] = pick(1, inner == 1 ? most : 3);
  if (inner == 1) axes.reduced[axes.rank - 1] = 1;
  axes.dims[axes.rank++] = pick(0, 2) == 0 ? pick(60, 150) : pick(1, 40);
  return axes;
}

/* Strides of kept and reduced axes; neighbours that are both kept are one, as exports
 * have them. Returns the elements of x. */
static size_t set_axes(const reduce_axes* axes, int merge, qrt_reduce_params* p) {
  int32_t axis, size = 1, last = -1;
  for (axis = axes->rank - 1; axis >= 0; --axis) {
    const int reduced = axes->reduced[axis];
    int32_t* to_dims = reduced ? p->reduced_dims : p->kept_dims;
    int32_t* to_stride = reduced ? p->reduced_stride : p->kept_stride;
    int32_t* to_rank = reduced ? &p->reduced_rank : &p->kept_rank;
    if (merge && last == reduced) {
      to_dims[0] *= axes->dims[axis];
    } else {
      memmove(to_dims + 1, to_dims, (size_t)*to_rank * sizeof *to_dims);
      memmove(to_stride + 1, to_stride, (size_t)*to_rank * sizeof *to_stride);
      to_dims[0] = axes->dims[axis];
      to_stride[0] = size;
      ++*to_rank;
    }
    last = reduced;
    size *= axes->dims[axis];
  }
  return (size_t)size;
}

/* Where the result that element `element` of x counts to lies. */
static size_t target_of(const reduce_axes* axes, size_t element) {
  size_t target = 0, step = 1;
  int32_t axis;
  for (axis = axes->rank - 1; axis >= 0; --axis) {
    const size_t index = element % (size_t)axes->dims[axis];
    element /= (size_t)axes->dims[axis];
    if (!axes->reduced[axis]) {
      target += index * step;
      step *= (size_t)axes->dims[axis];
    }
  }
  return target;
}

static void check_reduce(int cases) {
  int i;
  for (i = 0; i < cases; ++i) {
    qrt_reduce_params p = {.kept_rank = 0};
    const int usual = pick(0, 1);
    const reduce_axes axes = usual ? pick_usual_axes() : pick_any_axes();
    const qrt_team* team = random_team();
    const driver_row* row;
    const void* x;
    int32_t axis;
    size_t at = 0, count = 1, element, size;
    int64_t* expected;
    p.x_bytes = (uint8_t)(usual ? 1 : pick(1, 2));
    p.y_bytes = (uint8_t)(usual ? 1 : pick(1, 2));
    p.acc64 = (uint8_t)(!usual && pick(0, 3) == 0);
    p.x_zero = pick_zero(p.x_bytes);
    p.y_zero = pick_zero(p.y_bytes);
    p.lo = code_min_of(p.y_bytes);
    p.hi = code_max_of(p.y_bytes);
    size = set_axes(&axes, pick(0, 1), &p);
    for (axis = 0; axis < axes.rank; ++axis) {
      if (!axes.reduced[axis]) count *= (size_t)axes.dims[axis];
    }
    pick_scale(bits_of_sum((int64_t)(size / count), p.x_bytes), 8 * p.y_bytes,
               &p.multiplier, &p.shift);
    x = codes_of(size, p.x_bytes);
    expected = (int64_t*)guarded(count * sizeof *expected);
    for (element = 0; element < size; ++element) {
      expected[target_of(&axes, element)] += code_at(x, element, p.x_bytes) - p.x_zero;
    }
    for (element = 0; element < count; ++element) {
      expected[element] = finish_meaning(
          requant_meaning(expected[element], p.multiplier, p.shift, p.acc64), p.y_zero,
          p.lo, p.hi);
    }
    begin_case("rank %d kept %d elements %d results %d bytes %d,%d acc64 %d zeros %d,%d",
               axes.rank, p.kept_rank, (int)size, (int)count, p.x_bytes, p.y_bytes,
               p.acc64, p.x_zero, p.y_zero);
    while ((row = next_row("reduce_any", &at)) != NULL) {
      void* y = guarded(count * p.y_bytes);
      ((qrt_reduce_fn*)row->fn)(&p, x, y);
      compare(row, y, p.y_bytes, expected, count);
      y = guarded(count * p.y_bytes);
      qrt_parallel_reduce(team, (qrt_reduce_fn*)row->fn, &p, x, y);
      compare(row, y, p.y_bytes, expected, count);
    }
    end_case();
  }
}

void check_sum_kernels(int cases) {
  check_avg_pool(2 * cases);
  check_reduce(2 * cases);
}
