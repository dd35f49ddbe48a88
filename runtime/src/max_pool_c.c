/* SPDX-License-Identifier: MIT
 * Max pooling in plain C. */
#include "max_pool.h"

static void keep_greater(int8_t* y, const int8_t* x, size_t count) {
  size_t i;
  for (i = 0; i < count; ++i) keep_greater_one(y + i, x[i]);
}

void qrt_max_pool_any_c(const qrt_max_pool_params* p, const void* x, void* y) {
  run_max_pool(p, x, y);
}
