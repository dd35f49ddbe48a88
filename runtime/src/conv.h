/* SPDX-License-Identifier: MIT
 * The direct convolution: reads int8 codes where they lie (conv_plan.h) and multiplies a
 * block of positions with one weight tile after another. A tile is unpacked once for a
 * block and used for all of its positions. Knows no instruction set.
 *
 * acc = bias - x_zero * (sum w - K * w_zero) - w_zero * sum (x) + sum (x * w): every sum
 * below is of plain codes; unsigned arithmetic, because a step may wrap and the end may
 * not.
 *
 * The including file defines before this header
 *   QRT_TILE_COLUMNS   output channels of a weight tile, at most QRT_CONV_COLUMNS, or
 *                      twice as many, which only weights that lie ready as rows get
 *   QRT_PANELS         1: the multiplication reads panels made by pack_panel, one for
 *                      each QRT_CONV_COLUMNS channels
 *   QRT_PACKS_RUNS     1: pack_panel takes runs of any length and fills them up; 0: only
 *                      runs that are filled up
 *   QRT_WEIGHT_OFFSET  what pack_panel adds to every weight; not 0: row_sums are there
 *   QRT_ROW_POSITIONS  blocks of up to so many positions do without the panel where
 *                      weights lie ready as rows, or were unpacked and filled up as
 *                      rows: tile->panel is NULL then
 *   QRT_LANES          16-bit lanes on the stack that the multiplication may prepare the
 *                      codes of a block in (optional)
 * and after it
 *   multiply_tile      all positions of the block with one tile, results stored
 *   unpack_codes       a row of packed weights as int8
 *   sum_codes          the sum of int8 codes
 *   prepare_block      called before a block's first tile (only QRT_LANES)
 *   pack_panel         weights in the order multiply_tile reads (only panels) */
#ifndef QRT_SRC_CONV_H
#define QRT_SRC_CONV_H

#include <string.h>

#ifndef QRT_LANES
#define QRT_LANES 0
#endif

#include "codes.h"
#include "qrt/qrt.h"

typedef int8_t qrt_lane;
#include "unpack.h"

/* One block of positions against one weight tile. */
typedef struct {
  const int8_t* const* rows; /* first code of each position */
  size_t count;              /* positions */
  size_t segments, run, length, pitch;
  int has_pairs; /* of the plan */
  size_t row;    /* positions of an output row; has_pairs: the block is whole rows */
  int are_rows_ready;
  size_t half; /* 16 where the last 8 codes of every run are nothing; else 0 */
  const int8_t* w[QRT_TILE_COLUMNS]; /* rows of segments * length codes */
  const void* next;                  /* the next tile's rows, for prefetching */
  size_t next_bytes;
  const int8_t* panel;     /* the same, packed: segments * length codes of
                              QRT_CONV_COLUMNS channels each */
  int8_t* room;            /* 2 * QRT_CONV_COLUMNS bytes for each code; a single panel is
                              the second half */
  int narrow;              /* no weight is -128 */
  int32_t greatest_weight; /* no weight is further from 0 */
  int32_t x_most;          /* of the parameters */
  /* The result: */
  int32_t base[QRT_TILE_COLUMNS], multiplier[QRT_TILE_COLUMNS];
  int32_t left[QRT_TILE_COLUMNS];  /* fraction bits of the base, N19 */
  int32_t right[QRT_TILE_COLUMNS]; /* shifts of N5, 0 or less */
  int any_left;                    /* some left is not 0 */
  const int32_t* row_sums;         /* sum of each position's codes; NULL: w_zero is 0 */
  int16_t* lanes;                  /* QRT_LANES of them */
  int32_t* row_words; /* a word for each position, where row_sums are not there */
  int32_t w_zero[QRT_TILE_COLUMNS];
  int same_w_zero; /* w_zero is QRT_WEIGHT_OFFSET everywhere */
  int32_t y_zero, lo, hi;
  int16_t y_zero16; /* the same, for int8 results */
  int8_t lo8, hi8;
  int y_bytes;
  void* y;       /* position 0, first channel of the tile */
  size_t y_step; /* elements from one position to the next */
  size_t width;  /* channels of the tile that exist */
  size_t next_width;
} qrt_conv_tile;

static void multiply_tile(const qrt_conv_tile* tile);
static void unpack_codes(int8_t* dst, const uint8_t* src, size_t count, int bits,
                         int odd);
static int32_t sum_codes(const int8_t* codes, size_t count);
#if QRT_LANES
static void prepare_block(const qrt_conv_tile* tile);
#endif
#if QRT_PANELS
static void pack_panel(const int8_t* const* w, size_t segments, size_t run,
                       int8_t* panel);
#endif

typedef struct {
  const qrt_conv2d_params* p;
  qrt_conv_plan plan;
  const int8_t *x, *x_end;
  size_t channels; /* of a group */
  /* Scratch: */
  const int8_t** rows;
  int32_t* row_sums;
  int8_t* codes;
  int8_t* unpacked;
  int8_t* panel;
} qrt_conv_job;

/* One output position, counted through all images. */
typedef struct {
  int32_t image, oy, ox;
} qrt_place;

static qrt_place place_of(const qrt_conv2d_params* p, size_t position) {
  const size_t row = (size_t)p->ow, picture = (size_t)p->oh * row;
  qrt_place at;
  at.image = (int32_t)(position / picture);
  at.oy = (int32_t)(position % picture / row);
  at.ox = (int32_t)(position % row);
  return at;
}

static void step(const qrt_conv2d_params* p, qrt_place* at) {
  if (++at->ox < p->ow) return;
  at->ox = 0;
  if (++at->oy < p->oh) return;
  at->oy = 0;
  ++at->image;
}

static const int8_t* pixel(const qrt_conv_job* job, int32_t image, int32_t iy,
                           int32_t ix) {
  const qrt_conv2d_params* p = job->p;
  const size_t index =
      ((size_t)image * (size_t)p->h + (size_t)iy) * (size_t)p->w + (size_t)ix;
  return job->x + index * (size_t)p->c;
}

/* --------------------------------------------------------------- where codes lie */

static void find_in_place(const qrt_conv_job* job, size_t first, size_t count) {
  const qrt_conv2d_params* p = job->p;
  const size_t apart = (size_t)p->stride_w * (size_t)p->c;
  qrt_place at = place_of(p, first);
  size_t i;
  for (i = 0; i < count; ++i) {
    if (i > 0 && at.ox > 0) {
      job->rows[i] = job->rows[i - 1] + apart;
    } else {
      job->rows[i] = pixel(job, at.image, at.oy * p->stride_h - p->pad_top,
                           at.ox * p->stride_w - p->pad_left);
    }
    step(p, &at);
  }
}

/* Columns [left, left + columns) of row iy of x, x_zero outside. */
static void copy_line(const qrt_conv_job* job, int32_t image, int32_t iy, int32_t left,
                      int32_t columns, int8_t* dst) {
  const qrt_conv2d_params* p = job->p;
  const size_t pixel_codes = (size_t)p->c;
  int32_t before, inside, after;
  if (iy < 0 || iy >= p->h) {
    memset(dst, (uint8_t)p->x_zero, (size_t)columns * pixel_codes);
    return;
  }
  before = qrt_clamp(-left, 0, columns);
  after = qrt_clamp(left + columns - p->w, 0, columns - before);
  inside = columns - before - after;
  memset(dst, (uint8_t)p->x_zero, (size_t)before * pixel_codes);
  dst += (size_t)before * pixel_codes;
  if (inside > 0) {
    memcpy(dst, pixel(job, image, iy, left + before), (size_t)inside * pixel_codes);
  }
  dst += (size_t)inside * pixel_codes;
  memset(dst, (uint8_t)p->x_zero, (size_t)after * pixel_codes);
}

/* `first` begins an output row, and the block ends with one, in the same image. */
static void fill_strip(const qrt_conv_job* job, size_t first, size_t count) {
  const qrt_conv2d_params* p = job->p;
  const size_t line = job->plan.strip_width * (size_t)p->c;
  const qrt_place at = place_of(p, first);
  const int32_t top = at.oy * p->stride_h - p->pad_top;
  const size_t lines = (count / (size_t)p->ow - 1) * (size_t)p->stride_h +
                       (size_t)(p->kh - 1) * (size_t)p->dilation_h + 1;
  size_t i;
  for (i = 0; i < lines; ++i) {
    copy_line(job, at.image, top + (int32_t)i, -p->pad_left,
              (int32_t)job->plan.strip_width, job->codes + i * line);
  }
  for (i = 0; i < count; ++i) {
    const size_t oy = i / (size_t)p->ow, ox = i % (size_t)p->ow;
    job->rows[i] = job->codes + oy * (size_t)p->stride_h * line +
                   ox * (size_t)p->stride_w * (size_t)p->c;
  }
}

/* How windows inside x are copied: `rows` runs of whole vectors. */
typedef struct {
  int32_t last_top, last_left; /* of a window inside x */
  size_t rows, run, row_step;
  size_t reach; /* codes that are read, from the first one on */
} qrt_window_copy;

static qrt_window_copy window_copy_of(const qrt_conv_job* job) {
  const qrt_conv2d_params* p = job->p;
  qrt_window_copy copy;
  copy.last_top = p->h - 1 - (p->kh - 1) * p->dilation_h;
  copy.last_left = p->w - p->kw;
  copy.rows = (size_t)p->kh;
  copy.run = job->plan.run / copy.rows;
  copy.row_step = (size_t)p->dilation_h * (size_t)p->w * (size_t)p->c;
  copy.reach = (copy.rows - 1) * copy.row_step + qrt_round_up(copy.run, 16);
  if (p->groups != 1 || p->dilation_w != 1) copy.last_top = -1;
  return copy;
}

/* Writes up to 15 codes too many: behind the last row of a block lies scratch that is
 * filled later. What is left of a row stands against weights of zero. */
static inline void copy_window(const qrt_window_copy* copy, const int8_t* src,
                               int8_t* dst) {
  size_t row, k;
  for (row = copy->rows; row > 0; --row, src += copy->row_step, dst += copy->run) {
    for (k = 0; k < copy->run; k += 16) memcpy(dst + k, src + k, 16);
  }
}

static void gather(const qrt_conv_job* job, size_t first, size_t count,
                   size_t first_channel) {
  const qrt_conv2d_params* p = job->p;
  const size_t channels = job->channels, length = job->plan.length;
  const qrt_window_copy copy = window_copy_of(job);
  qrt_place at = place_of(p, first);
  size_t i;
  for (i = 0; i < count; ++i, step(p, &at)) {
    int8_t* dst = job->codes + i * length;
    const int32_t y0 = at.oy * p->stride_h - p->pad_top;
    const int32_t x0 = at.ox * p->stride_w - p->pad_left;
    int32_t ky, kx;
    job->rows[i] = dst;
    if (y0 >= 0 && y0 <= copy.last_top && x0 >= 0 && x0 <= copy.last_left) {
      const int8_t* src = pixel(job, at.image, y0, x0);
      if ((size_t)(job->x_end - src) >= copy.reach) {
        copy_window(&copy, src, dst);
        continue;
      }
    }
    for (ky = 0; ky < p->kh; ++ky) {
      const int32_t iy = y0 + ky * p->dilation_h;
      if (p->groups == 1 && p->dilation_w == 1) {
        copy_line(job, at.image, iy, x0, p->kw, dst);
        dst += job->plan.run / (size_t)p->kh;
        continue;
      }
      for (kx = 0; kx < p->kw; ++kx, dst += channels) {
        const int32_t ix = x0 + kx * p->dilation_w;
        if (iy < 0 || iy >= p->h || ix < 0 || ix >= p->w) {
          memset(dst, (uint8_t)p->x_zero, channels);
        } else {
          memcpy(dst, pixel(job, at.image, iy, ix) + first_channel, channels);
        }
      }
    }
  }
}

static void sum_rows(const qrt_conv_job* job, size_t count) {
  size_t i, s;
  for (i = 0; i < count; ++i) {
    uint32_t sum = 0;
    for (s = 0; s < job->plan.segments; ++s) {
      sum += (uint32_t)sum_codes(job->rows[i] + s * job->plan.pitch, job->plan.run);
    }
    job->row_sums[i] = (int32_t)sum;
  }
}

/* -------------------------------------------------------------------- weight tiles */

/* `rows` rows of the blob as `segments` runs filled up with weights that the
 * multiplication takes for zero: the codes there are anything. */
static void unpack_weights(const qrt_conv_job* job, const uint8_t* packed, size_t rows,
                           int8_t* dst) {
  const qrt_conv_plan* plan = &job->plan;
  const size_t depth = plan->segments * plan->run, gap = plan->length - plan->run;
  const int bits = job->p->weight_bits, odd = job->p->odd_weights;
  size_t row, s;
  /* Rows of whole steps fill their bytes: together they are one. */
  if (gap == 0) {
    unpack_codes(dst, packed, rows * depth, bits, odd);
    return;
  }
  for (row = 0; row < rows; ++row) {
    unpack_codes(dst, packed, depth, bits, odd);
    if (!QRT_PACKS_RUNS && gap != 0) {
      for (s = plan->segments; s-- > 0;) {
        memmove(dst + s * plan->length, dst + s * plan->run, plan->run);
        memset(dst + s * plan->length + plan->run, (uint8_t)(256 - QRT_WEIGHT_OFFSET),
               gap);
      }
    }
    packed += qrt_row_bytes(depth, bits);
    dst += plan->segments * plan->length;
  }
}

/* True where rows of the blob are what the multiplication reads. */
static int are_rows_ready(const qrt_conv_job* job) {
  return job->p->weight_bits == 8 &&
         (QRT_PACKS_RUNS || job->plan.run == job->plan.length);
}

/* The weights of channels [column, column + tile->width), in place where the blob already
 * holds what the multiplication reads. Channels beyond the last repeat it. */
static void prepare_weights(const qrt_conv_job* job, const void* w, size_t column,
                            qrt_conv_tile* tile) {
  const qrt_conv_plan* plan = &job->plan;
  const size_t depth = plan->segments * plan->run;
  const size_t row_bytes = qrt_row_bytes(depth, job->p->weight_bits);
  const size_t filled = plan->segments * plan->length;
  const int in_place = are_rows_ready(job);
  const uint8_t* first = (const uint8_t*)w + column * row_bytes;
  size_t i;
  tile->next = first + tile->width * row_bytes;
  tile->next_bytes = tile->next_width * row_bytes;
  if (!in_place) unpack_weights(job, first, tile->width, job->unpacked);
  for (i = 0; i < QRT_TILE_COLUMNS; ++i) {
    const size_t row = i < tile->width ? i : tile->width - 1;
    tile->w[i] =
        in_place ? (const int8_t*)first + row * row_bytes : job->unpacked + row * filled;
  }
#if QRT_PANELS
  tile->panel = NULL;
  if ((QRT_PACKS_RUNS && !in_place) || tile->count > QRT_ROW_POSITIONS) {
    /* Rows that need no unpacking leave their room to a second panel. */
    int8_t* panel =
        in_place && QRT_TILE_COLUMNS > QRT_CONV_COLUMNS ? job->unpacked : job->panel;
    tile->panel = panel;
    for (i = 0; i < tile->width; i += QRT_CONV_COLUMNS) {
      pack_panel(tile->w + i, plan->segments, QRT_PACKS_RUNS ? plan->run : plan->length,
                 panel + i * filled);
    }
  }
#endif
}

/* Bias, zero points, multipliers and shifts; `column` counts all groups. */
static void prepare_result(const qrt_conv_job* job, const int32_t* bias,
                           const int32_t* multiplier, const int8_t* shift,
                           const int16_t* w_zero, size_t column, qrt_conv_tile* tile) {
  const qrt_conv2d_params* p = job->p;
  const uint32_t depth = (uint32_t)(job->plan.segments * job->plan.run);
  const size_t codes = QRT_PACKS_RUNS ? depth : job->plan.segments * job->plan.length;
  size_t i;
  tile->any_left = 0;
  for (i = 0; i < QRT_TILE_COLUMNS; ++i) {
    const size_t o = column + (i < tile->width ? i : tile->width - 1);
    uint32_t sum = 0;
    tile->w_zero[i] = w_zero ? w_zero[o] : 0;
    if (p->x_zero != 0) {
      sum = p->weight_sums ? (uint32_t)p->weight_sums[o]
                           : (uint32_t)sum_codes(tile->w[i], codes) +
                                 QRT_WEIGHT_OFFSET * ((uint32_t)codes - depth);
      sum -= depth * (uint32_t)tile->w_zero[i];
    }
    tile->w_zero[i] += QRT_WEIGHT_OFFSET;
    tile->multiplier[i] = multiplier[o];
    tile->left[i] = shift[o] > 0 ? shift[o] : 0;
    tile->right[i] = shift[o] > 0 ? 0 : shift[o];
    tile->base[i] =
        (int32_t)((uint32_t)bias[o] - (((uint32_t)p->x_zero * sum) << tile->left[i]));
    tile->any_left |= tile->left[i];
  }
}

static void run_conv(const qrt_conv2d_params* p, const void* x, const void* w,
                     const void* bias, const int32_t* multiplier, const int8_t* shift,
                     const int16_t* w_zero, void* y, void* scratch) {
  const size_t positions = (size_t)p->n * (size_t)p->oh * (size_t)p->ow;
  const size_t columns = (size_t)(p->o / p->groups);
  const int has_sums = w_zero != NULL || QRT_WEIGHT_OFFSET != 0;
  uint8_t* free_bytes = (uint8_t*)scratch;
  qrt_conv_job job;
  qrt_conv_tile tile;
#if QRT_LANES
  int16_t lanes[QRT_LANES];
#endif
  size_t group, first, count, column, tile_columns;
  job.p = p;
  job.plan = qrt_conv_plan_of(p);
  job.x = (const int8_t*)x;
  job.x_end = job.x + (size_t)p->n * (size_t)p->h * (size_t)p->w * (size_t)p->c;
  job.channels = (size_t)(p->c / p->groups);
  job.rows = (const int8_t**)(void*)free_bytes;
  job.row_sums = (int32_t*)(void*)(free_bytes + job.plan.block * 8);
  free_bytes += qrt_round_up(job.plan.block * (8 + 4), 16);
  job.codes = (int8_t*)free_bytes;
  free_bytes += qrt_round_up(job.plan.codes, 16);
  job.unpacked = (int8_t*)free_bytes;
  job.panel = job.unpacked + QRT_CONV_COLUMNS * job.plan.segments * job.plan.length;

  tile_columns = are_rows_ready(&job) || QRT_TILE_COLUMNS <= QRT_CONV_COLUMNS
                     ? QRT_TILE_COLUMNS
                     : QRT_CONV_COLUMNS;

  memset(&tile, 0, sizeof tile);
  tile.rows = job.rows;
  tile.row_sums = has_sums ? job.row_sums : NULL;
  tile.row_words = has_sums ? NULL : job.row_sums;
#if QRT_LANES
  tile.lanes = lanes;
#endif
  tile.same_w_zero = w_zero == NULL;
  tile.segments = job.plan.segments;
  tile.run = job.plan.run;
  tile.length = job.plan.length;
  tile.pitch = job.plan.pitch;
  tile.half = job.plan.length - job.plan.run >= 8 ? 16 : 0;
  tile.narrow = p->narrow_weights || p->weight_bits < 8;
  tile.greatest_weight =
      p->odd_weights ? (1 << p->weight_bits) - 1 : 1 << (p->weight_bits - 1);
  tile.x_most = p->x_most;
  tile.y_zero = p->y_zero;
  tile.lo = p->lo;
  tile.hi = p->hi;
  tile.y_zero16 = (int16_t)p->y_zero;
  tile.lo8 = (int8_t)p->lo;
  tile.hi8 = (int8_t)p->hi;
  tile.y_bytes = p->y_bytes;
  tile.room = job.unpacked;
  tile.are_rows_ready = are_rows_ready(&job);
  tile.has_pairs = job.plan.has_pairs;
  tile.row = (size_t)p->ow;
  tile.y_step = p->y_pitch ? (size_t)p->y_pitch : (size_t)p->o;
  for (group = 0; group < (size_t)p->groups; ++group) {
    const size_t begin = group * columns;
    for (first = 0; first < positions; first += count) {
      const size_t left = positions - first;
      count = left < job.plan.block ? left : job.plan.block;
      if (job.plan.mode == QRT_STRIP) {
        /* Not across the end of an image. */
        const size_t picture = (size_t)p->oh * (size_t)p->ow;
        const size_t here = picture - first % picture;
        count = count < here ? count : here;
        fill_strip(&job, first, count);
      } else if (job.plan.mode == QRT_GATHER) {
        gather(&job, first, count, group * job.channels);
      } else {
        find_in_place(&job, first, count);
      }
      if (has_sums) sum_rows(&job, count);
      tile.count = count;
#if QRT_LANES
      prepare_block(&tile);
#endif
      for (column = 0; column < columns; column += tile_columns) {
        const size_t rest = columns - column;
        tile.width = rest < tile_columns ? rest : tile_columns;
        tile.next_width =
            rest - tile.width < tile_columns ? rest - tile.width : tile_columns;
        prepare_weights(&job, w, begin + column, &tile);
        prepare_result(&job, (const int32_t*)bias, multiplier, shift, w_zero,
                       begin + column, &tile);
        tile.y = qrt_at_mutable(y, first * tile.y_step + begin + column, p->y_bytes);
        multiply_tile(&tile);
      }
    }
  }
}

#define QRT_DEFINE_CONV(symbol)                                                 \
  void symbol(const qrt_conv2d_params* p, const void* x, const void* w,         \
              const void* bias, const int32_t* multiplier, const int8_t* shift, \
              const int16_t* w_zero, void* y, void* scratch) {                  \
    run_conv(p, x, w, bias, multiplier, shift, w_zero, y, scratch);             \
  }

#endif /* QRT_SRC_CONV_H */
