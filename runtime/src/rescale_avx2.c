/* SPDX-License-Identifier: MIT
 * Change of encoding for AVX2: int8 codes 32 at a time, everything else as in plain C. */
#include "uniform_avx2.h"

#if QRT_HAS_avx2

#include "rescale.h"

/* Whole 32s; returns the codes done. is_small and is_shifted are constants. */
QRT_INLINE size_t rescale_codes32(const qrt_avx2_uniform* u, const int is_small,
                                  const int is_shifted, const int8_t* x, int8_t* y,
                                  size_t count) {
  size_t i;
  for (i = 0; i + 32 <= count; i += 32) {
    __m256i codes[4];
    qrt_avx2_widen(qrt_avx2_load16(x + i), &codes[0], &codes[1]);
    qrt_avx2_widen(qrt_avx2_load16(x + i + 16), &codes[2], &codes[3]);
    _mm256_storeu_si256((__m256i*)(void*)(y + i),
                        qrt_avx2_uniform_codes(u, is_small, is_shifted, codes));
  }
  return i;
}

static size_t rescale_bytes(const qrt_rescale_params* p, const int8_t* x, int8_t* y) {
  const size_t count = (size_t)p->count;
  const qrt_avx2_uniform u =
      qrt_avx2_uniform_of(1, p->x_zero, p->multiplier, p->shift, p->y_zero, p->lo, p->hi);
  if (!u.is_small) return rescale_codes32(&u, 0, 1, x, y, count);
  if (u.is_shifted) return rescale_codes32(&u, 1, 1, x, y, count);
  return rescale_codes32(&u, 1, 0, x, y, count);
}

void qrt_rescale_any_avx2(const qrt_rescale_params* p, const void* x, void* y) {
  size_t done = 0;
  if (p->x_bytes == 1 && p->y_bytes == 1) {
    done = rescale_bytes(p, (const int8_t*)x, (int8_t*)y);
  }
  rescale_codes(p, x, y, done, (size_t)p->count);
}

#else
typedef int qrt_rescale_avx2_is_empty;
#endif
