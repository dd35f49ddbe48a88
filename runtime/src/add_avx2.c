/* SPDX-License-Identifier: MIT
 * Addition for AVX2: int8 codes eight at a time, everything else as in plain C. */
#include "avx2.h"

#if QRT_HAS_avx2

#include "binary.h"

static inline __m256i scaled(const int8_t* codes, size_t i, size_t step, __m256i zero,
                             __m256i multiplier) {
  const __m256i wide = step ? qrt_avx2_load8(codes + i) : _mm256_set1_epi32(codes[0]);
  return _mm256_mullo_epi32(_mm256_sub_epi32(wide, zero), multiplier);
}

static void add_row(const qrt_binary_params* p, const void* a, size_t a_step,
                    const void* b, size_t b_step, void* y, size_t count) {
  size_t i = 0;
  if (p->a_bytes == 1 && p->b_bytes == 1 && p->y_bytes == 1 && a_step <= 1 &&
      b_step <= 1) {
    const __m256i a_zero = _mm256_set1_epi32(p->a_zero),
                  b_zero = _mm256_set1_epi32(p->b_zero);
    const __m256i a_factor = _mm256_set1_epi32(p->a_multiplier);
    const __m256i b_factor = _mm256_set1_epi32(p->b_multiplier);
    const __m256i shift = _mm256_set1_epi32(p->shift);
    for (; i + 8 <= count; i += 8) {
      const __m256i acc =
          _mm256_add_epi32(scaled((const int8_t*)a, i, a_step, a_zero, a_factor),
                           scaled((const int8_t*)b, i, b_step, b_zero, b_factor));
      const __m256i q = qrt_avx2_shift_right(acc, shift);
      qrt_avx2_store8((int8_t*)y + i, qrt_avx2_finish(q, p->y_zero, p->lo, p->hi));
    }
  }
  add_row_any(p, qrt_at(a, i * a_step, p->a_bytes), a_step,
              qrt_at(b, i * b_step, p->b_bytes), b_step, qrt_at_mutable(y, i, p->y_bytes),
              count - i);
}

void qrt_add_any_avx2(const qrt_binary_params* p, const void* a, const void* b, void* y) {
  run_binary(p, add_row, a, b, y);
}

#else
typedef int qrt_add_avx2_is_empty;
#endif
