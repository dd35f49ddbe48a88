/* SPDX-License-Identifier: MIT
 * Multiplication and division of activations in plain C. */
#include "binary.h"

static void mul_row(const qrt_binary_params* p, const void* a, size_t a_step,
                    const void* b, size_t b_step, void* y, size_t count) {
  size_t i;
  for (i = 0; i < count; ++i) {
    const int32_t u = qrt_load(a, i * a_step, p->a_bytes) - p->a_zero;
    const int32_t v = qrt_load(b, i * b_step, p->b_bytes) - p->b_zero;
    const int32_t q = qrt_requant_any((int64_t)u * v, p->multiplier, p->shift, p->acc64);
    qrt_store(y, i, p->y_bytes, qrt_finish(q, p->y_zero, p->lo, p->hi));
  }
}

static void div_row(const qrt_binary_params* p, const void* a, size_t a_step,
                    const void* b, size_t b_step, void* y, size_t count) {
  const int fraction =
      p->a_bytes == 1 && p->b_bytes == 1 ? QRT_DIV_FRACTION8 : QRT_DIV_FRACTION16;
  size_t i;
  for (i = 0; i < count; ++i) {
    const int32_t u = qrt_load(a, i * a_step, p->a_bytes) - p->a_zero;
    const int32_t v = qrt_load(b, i * b_step, p->b_bytes) - p->b_zero;
    const int32_t q = qrt_requant(qrt_div_q(u, v, fraction), p->multiplier, p->shift);
    qrt_store(y, i, p->y_bytes, qrt_finish(q, p->y_zero, p->lo, p->hi));
  }
}

void qrt_mul_any_c(const qrt_binary_params* p, const void* a, const void* b, void* y) {
  run_binary(p, mul_row, a, b, y);
}

void qrt_div_any_c(const qrt_binary_params* p, const void* a, const void* b, void* y) {
  run_binary(p, div_row, a, b, y);
}
