/* SPDX-License-Identifier: MIT
 * Max pooling in plain C. */
#include "max_pool.h"

static void greatest_codes(const qrt_pool_window* window, const int8_t* x, int8_t* y,
                           size_t channels) {
  greatest_codes_from(window, x, y, 0, channels);
}

void qrt_max_pool_any_c(const qrt_max_pool_params* p, const void* x, void* y) {
  run_max_pool(p, x, y);
}
