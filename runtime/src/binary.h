/* SPDX-License-Identifier: MIT
 * The walk of the broadcast two-operand kernels: merges axes that lie one after another
 * in both operands, then calls a row function along the last axis. */
#ifndef QRT_SRC_BINARY_H
#define QRT_SRC_BINARY_H

#include "codes.h"
#include "qrt/qrt.h"

/* `count` results; steps are in elements, 0 repeats. */
typedef void qrt_binary_row(const qrt_binary_params* p, const void* a, size_t a_step,
                            const void* b, size_t b_step, void* y, size_t count);

typedef struct {
  int32_t rank;
  size_t dims[QRT_MAX_RANK], a_stride[QRT_MAX_RANK], b_stride[QRT_MAX_RANK];
} qrt_binary_axes;

static void merge_axes(const qrt_binary_params* p, qrt_binary_axes* axes) {
  int32_t i;
  axes->rank = 0;
  for (i = 0; i < p->rank; ++i) {
    const size_t dim = (size_t)p->dims[i];
    const size_t a = (size_t)p->a_stride[i], b = (size_t)p->b_stride[i];
    const int32_t last = axes->rank - 1;
    if (dim == 1) continue;
    if (last >= 0 && axes->a_stride[last] == a * dim && axes->b_stride[last] == b * dim) {
      axes->dims[last] *= dim;
      axes->a_stride[last] = a;
      axes->b_stride[last] = b;
    } else {
      axes->dims[axes->rank] = dim;
      axes->a_stride[axes->rank] = a;
      axes->b_stride[axes->rank] = b;
      ++axes->rank;
    }
  }
  if (axes->rank == 0) {
    axes->rank = 1;
    axes->dims[0] = 1;
    axes->a_stride[0] = axes->b_stride[0] = 0;
  }
}

static void run_binary(const qrt_binary_params* p, qrt_binary_row* row, const void* a,
                       const void* b, void* y) {
  qrt_binary_axes axes;
  size_t index[QRT_MAX_RANK] = {0, 0, 0, 0, 0, 0};
  size_t a_index = 0, b_index = 0, y_index = 0, rows = 1;
  int32_t inner, i;
  merge_axes(p, &axes);
  inner = axes.rank - 1;
  for (i = 0; i < inner; ++i) rows *= axes.dims[i];
  for (; rows > 0; --rows) {
    row(p, qrt_at(a, a_index, p->a_bytes), axes.a_stride[inner],
        qrt_at(b, b_index, p->b_bytes), axes.b_stride[inner],
        qrt_at_mutable(y, y_index, p->y_bytes), axes.dims[inner]);
    y_index += axes.dims[inner];
    for (i = inner - 1; i >= 0; --i) {
      a_index += axes.a_stride[i];
      b_index += axes.b_stride[i];
      if (++index[i] < axes.dims[i]) break;
      a_index -= axes.a_stride[i] * axes.dims[i];
      b_index -= axes.b_stride[i] * axes.dims[i];
      index[i] = 0;
    }
  }
}

/* N24 on one pair. */
static inline int32_t add_codes(const qrt_binary_params* p, int32_t a, int32_t b) {
  const int32_t acc =
      (a - p->a_zero) * p->a_multiplier + (b - p->b_zero) * p->b_multiplier;
  return qrt_finish(qrt_shift_right(acc, p->shift), p->y_zero, p->lo, p->hi);
}

static inline void add_row_any(const qrt_binary_params* p, const void* a, size_t a_step,
                               const void* b, size_t b_step, void* y, size_t count) {
  size_t i;
  for (i = 0; i < count; ++i) {
    qrt_store(y, i, p->y_bytes,
              add_codes(p, qrt_load(a, i * a_step, p->a_bytes),
                        qrt_load(b, i * b_step, p->b_bytes)));
  }
}

#endif /* QRT_SRC_BINARY_H */
