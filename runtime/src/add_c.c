/* SPDX-License-Identifier: MIT
 * Addition in plain C. */
#include "binary.h"

void qrt_add_any_c(const qrt_binary_params* p, const void* a, const void* b, void* y) {
  run_binary(p, add_row_any, a, b, y);
}
