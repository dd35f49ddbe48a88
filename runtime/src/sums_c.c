/* SPDX-License-Identifier: MIT
 * Average pooling and reductions in plain C: sums of centred codes, requantised. Sums are
 * taken for a block of neighbouring channels at once, so that x is read in order. */
#include <string.h>

#include "codes.h"
#include "qrt/qrt.h"

/* Accumulators of a block: 512 bytes of stack. */
#define QRT_SUMS 64

static void add_codes(int64_t* sums, const void* x, size_t index, int bytes, size_t count,
                      int32_t zero) {
  size_t i;
  for (i = 0; i < count; ++i) sums[i] += qrt_load(x, index + i, bytes) - zero;
}

void qrt_avg_pool_any_c(const qrt_avg_pool_params* p, const void* x,
                        const int32_t* multiplier, const int8_t* shift, const void* which,
                        void* y) {
  const size_t channels = (size_t)p->c;
  size_t y_index = 0;
  int32_t image, oy, ox, iy, ix;
  for (image = 0; image < p->n; ++image) {
    for (oy = 0; oy < p->oh; ++oy) {
      for (ox = 0; ox < p->ow; ++ox) {
        const size_t position = (size_t)oy * (size_t)p->ow + (size_t)ox;
        const size_t entry = p->which_bytes == 1
                                 ? ((const uint8_t*)which)[position]
                                 : (size_t)((const int32_t*)which)[position];
        size_t first, count, i;
        for (first = 0; first < channels; first += count) {
          int64_t sums[QRT_SUMS];
          count = channels - first < QRT_SUMS ? channels - first : QRT_SUMS;
          memset(sums, 0, count * sizeof *sums);
          for (iy = p->row_start[oy]; iy < p->row_end[oy]; ++iy) {
            for (ix = p->col_start[ox]; ix < p->col_end[ox]; ++ix) {
              const size_t line = (size_t)image * (size_t)p->h + (size_t)iy;
              const size_t pixel = line * (size_t)p->w + (size_t)ix;
              add_codes(sums, x, pixel * channels + first, p->x_bytes, count, p->x_zero);
            }
          }
          for (i = 0; i < count; ++i) {
            const int32_t q =
                qrt_requant_any(sums[i], multiplier[entry], shift[entry], p->acc64);
            qrt_store(y, y_index++, p->y_bytes, qrt_finish(q, p->y_zero, p->lo, p->hi));
          }
        }
      }
    }
  }
}

/* Steps `index` through dims in row-major order and keeps `offset` = index . stride; 0
 * after the last. */
static int next_index(int32_t rank, const int32_t* dims, const int32_t* stride,
                      int32_t* index, size_t* offset) {
  int32_t axis;
  for (axis = rank - 1; axis >= 0; --axis) {
    *offset += (size_t)stride[axis];
    if (++index[axis] < dims[axis]) return 1;
    *offset -= (size_t)stride[axis] * (size_t)dims[axis];
    index[axis] = 0;
  }
  return 0;
}

/* `count` neighbouring results whose first input is x[start]. */
static void reduce_block(const qrt_reduce_params* p, const void* x, size_t start,
                         size_t count, void* y, size_t y_index) {
  int32_t index[QRT_MAX_RANK] = {0, 0, 0, 0, 0, 0};
  int64_t sums[QRT_SUMS];
  size_t offset = start, i;
  memset(sums, 0, count * sizeof *sums);
  do {
    add_codes(sums, x, offset, p->x_bytes, count, p->x_zero);
  } while (
      next_index(p->reduced_rank, p->reduced_dims, p->reduced_stride, index, &offset));
  for (i = 0; i < count; ++i) {
    const int32_t q = qrt_requant_any(sums[i], p->multiplier, p->shift, p->acc64);
    qrt_store(y, y_index + i, p->y_bytes, qrt_finish(q, p->y_zero, p->lo, p->hi));
  }
}

void qrt_reduce_any_c(const qrt_reduce_params* p, const void* x, void* y) {
  int32_t index[QRT_MAX_RANK] = {0, 0, 0, 0, 0, 0};
  size_t offset = 0, y_index = 0;
  int32_t outer_rank = p->kept_rank;
  size_t inner = 1;
  if (outer_rank > 0 && p->kept_stride[outer_rank - 1] == 1) {
    --outer_rank;
    inner = (size_t)p->kept_dims[outer_rank];
  }
  do {
    size_t first, count;
    for (first = 0; first < inner; first += count) {
      count = inner - first < QRT_SUMS ? inner - first : QRT_SUMS;
      reduce_block(p, x, offset + first, count, y, y_index);
      y_index += count;
    }
  } while (next_index(outer_rank, p->kept_dims, p->kept_stride, index, &offset));
}
