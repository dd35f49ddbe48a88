/* SPDX-License-Identifier: MIT
 * Softmax, layer norm and L2 normalisation in plain C: N12, N13 and N11 along one axis.
 */
#include "codes.h"
#include "qrt/qrt.h"

static void softmax_line(const qrt_softmax_params* p, const void* x, const int32_t* table,
                         void* y, size_t start) {
  const size_t axis = (size_t)p->axis, step = (size_t)p->inner;
  int32_t greatest = INT16_MIN;
  uint64_t sum = 0;
  size_t i;
  for (i = 0; i < axis; ++i) {
    const int32_t code = qrt_load(x, start + i * step, p->x_bytes);
    if (code > greatest) greatest = code;
  }
  for (i = 0; i < axis; ++i) {
    sum += (uint32_t)table[greatest - qrt_load(x, start + i * step, p->x_bytes)];
  }
  for (i = 0; i < axis; ++i) {
    const int32_t e = table[greatest - qrt_load(x, start + i * step, p->x_bytes)];
    const int32_t q = qrt_softmax_out((uint32_t)e, sum, p->out_bits);
    qrt_store(y, start + i * step, p->y_bytes, qrt_finish(q, p->y_zero, p->lo, p->hi));
  }
}

void qrt_softmax_any_c(const qrt_softmax_params* p, const void* x, const int32_t* table,
                       void* y) {
  const size_t line = (size_t)p->axis * (size_t)p->inner;
  size_t outer, inner;
  for (outer = 0; outer < (size_t)p->outer; ++outer) {
    for (inner = 0; inner < (size_t)p->inner; ++inner) {
      softmax_line(p, x, table, y, outer * line + inner);
    }
  }
}

static void layer_norm_row(const qrt_layer_norm_params* p, const void* x,
                           const int32_t* gamma, const int32_t* beta, void* y,
                           size_t start) {
  const size_t depth = (size_t)p->depth;
  int64_t sum = 0, squares = 0, v;
  qrt_root root = {1, 0};
  size_t i;
  for (i = 0; i < depth; ++i) {
    const int32_t code = qrt_load(x, start + i, p->x_bytes);
    sum += code;
    squares += (int64_t)code * code;
  }
  v = (int64_t)depth * squares - sum * sum + p->eps;
  if (v > 0) root = qrt_root_of((uint64_t)v);
  for (i = 0; i < depth; ++i) {
    const int64_t n = (int64_t)depth * qrt_load(x, start + i, p->x_bytes) - sum;
    const int32_t z = v > 0 ? qrt_over_root(n, root) : 0;
    const int32_t q = qrt_layer_norm_out(z, gamma[i], beta[i], p->shift);
    qrt_store(y, start + i, p->y_bytes, qrt_finish(q, p->y_zero, p->lo, p->hi));
  }
}

void qrt_layer_norm_any_c(const qrt_layer_norm_params* p, const void* x,
                          const int32_t* gamma, const int32_t* beta, void* y) {
  size_t outer;
  for (outer = 0; outer < (size_t)p->outer; ++outer) {
    layer_norm_row(p, x, gamma, beta, y, outer * (size_t)p->depth);
  }
}

static void l2_normalize_line(const qrt_l2_normalize_params* p, const void* x, void* y,
                              size_t start) {
  const size_t axis = (size_t)p->axis, step = (size_t)p->inner;
  int64_t v = 0;
  qrt_root root = {1, 0};
  size_t i;
  for (i = 0; i < axis; ++i) {
    const int64_t n = qrt_load(x, start + i * step, p->x_bytes) - p->x_zero;
    v += n * n;
  }
  if (v < p->eps) v = p->eps;
  if (v > 0) root = qrt_root_of((uint64_t)v);
  for (i = 0; i < axis; ++i) {
    const int64_t n = qrt_load(x, start + i * step, p->x_bytes) - p->x_zero;
    const int32_t z = v > 0 ? qrt_over_root(n, root) : 0;
    const int32_t q = qrt_requant(z, p->multiplier, p->shift);
    qrt_store(y, start + i * step, p->y_bytes, qrt_finish(q, p->y_zero, p->lo, p->hi));
  }
}

void qrt_l2_normalize_any_c(const qrt_l2_normalize_params* p, const void* x, void* y) {
  const size_t line = (size_t)p->axis * (size_t)p->inner;
  size_t outer, inner;
  for (outer = 0; outer < (size_t)p->outer; ++outer) {
    for (inner = 0; inner < (size_t)p->inner; ++inner) {
      l2_normalize_line(p, x, y, outer * line + inner);
    }
  }
}
