/* SPDX-License-Identifier: MIT
 * Max pooling for AVX2, 32 int8 channels at a time. */
#include "avx2.h"

#if QRT_HAS_avx2

#include "max_pool.h"

static void greatest_codes(const qrt_pool_window* window, const int8_t* x, int8_t* y,
                           size_t channels) {
  size_t i, r, c;
  for (i = 0; i + 32 <= channels; i += 32) {
    __m256i greatest = _mm256_set1_epi8(INT8_MIN);
    for (r = 0; r < window->rows; ++r) {
      const int8_t* codes = x + i + r * window->row_step;
      for (c = 0; c < window->cols; ++c, codes += window->col_step) {
        greatest = _mm256_max_epi8(
            greatest, _mm256_loadu_si256((const __m256i*)(const void*)codes));
      }
    }
    _mm256_storeu_si256((__m256i*)(void*)(y + i), greatest);
  }
  greatest_codes_from(window, x, y, i, channels);
}

void qrt_max_pool_any_avx2(const qrt_max_pool_params* p, const void* x, void* y) {
  run_max_pool(p, x, y);
}

#else
typedef int qrt_max_pool_avx2_is_empty;
#endif
