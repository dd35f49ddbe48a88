/* SPDX-License-Identifier: MIT
 * Max pooling for NEON, 32-bit and AArch64, 16 int8 channels at a time. */
#include "neon.h"

#if QRT_HAS_neon || QRT_HAS_armv7

#include "max_pool.h"

static void greatest_codes(const qrt_pool_window* window, const int8_t* x, int8_t* y,
                           size_t channels) {
  size_t i, r, c;
  for (i = 0; i + 16 <= channels; i += 16) {
    int8x16_t greatest = vdupq_n_s8(INT8_MIN);
    const int8_t* row = x + i;
    for (r = window->rows; r > 0; --r, row += window->row_step) {
      const int8_t* codes = row;
      for (c = window->cols; c > 0; --c, codes += window->col_step) {
        greatest = vmaxq_s8(greatest, vld1q_s8(codes));
      }
    }
    vst1q_s8(y + i, greatest);
  }
  greatest_codes_from(window, x, y, i, channels);
}

#if QRT_HAS_neon
void qrt_max_pool_any_neon(const qrt_max_pool_params* p, const void* x, void* y) {
#else
void qrt_max_pool_any_armv7(const qrt_max_pool_params* p, const void* x, void* y) {
#endif
  run_max_pool(p, x, y);
}

#else
typedef int qrt_max_pool_neon_is_empty;
#endif
