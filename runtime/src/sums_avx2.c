/* SPDX-License-Identifier: MIT
 * Average pooling and reductions for AVX2: sums of 16 bits for 32 int8 channels at a
 * time, where they are fewer for 16. */
#include "uniform_avx2.h"

#if QRT_HAS_avx2

typedef qrt_avx2_uniform sum_finish;

#include "sums.h"

static sum_finish sum_finish_of(const qrt_sum_scale* scale, size_t pixels) {
  return qrt_avx2_uniform_of(pixels, scale->x_zero, scale->multiplier, scale->shift,
                             scale->y_zero, scale->lo, scale->hi);
}

/* Sums of at most QRT_SUM_SEGMENT pixels: `vectors`, a constant, of sixteen channels. */
QRT_INLINE void sum_segment(const qrt_sum_box* box, const int8_t* x, const int vectors,
                            __m256i* sums) {
  size_t r, c;
  int i;
  for (i = 0; i < vectors; ++i) sums[i] = _mm256_setzero_si256();
  for (r = box->rows; r > 0; --r, x += box->row_step) {
    const int8_t* codes = x;
    for (c = box->cols; c > 0; --c, codes += box->col_step) {
      for (i = 0; i < vectors; ++i) {
        sums[i] = _mm256_add_epi16(sums[i], qrt_avx2_load16(codes + 16 * i));
      }
    }
  }
}

QRT_INLINE void sum_box(const qrt_sum_box* box, const int8_t* x, const int vectors,
                        __m256i* totals) {
  const qrt_sum_box first = first_segment(box);
  __m256i sums[2];
  size_t r, c;
  int i;
  if (first.rows == box->rows && first.cols == box->cols) {
    sum_segment(box, x, vectors, sums);
    for (i = 0; i < vectors; ++i) {
      qrt_avx2_widen(sums[i], &totals[2 * i], &totals[2 * i + 1]);
    }
    return;
  }
  for (i = 0; i < 2 * vectors; ++i) totals[i] = _mm256_setzero_si256();
  for (r = 0; r < box->rows; r += first.rows) {
    for (c = 0; c < box->cols; c += first.cols) {
      const qrt_sum_box segment = clipped_segment(box, first, r, c);
      sum_segment(&segment, x + r * box->row_step + c * box->col_step, vectors, sums);
      for (i = 0; i < vectors; ++i) {
        __m256i low, high;
        qrt_avx2_widen(sums[i], &low, &high);
        totals[2 * i] = _mm256_add_epi32(totals[2 * i], low);
        totals[2 * i + 1] = _mm256_add_epi32(totals[2 * i + 1], high);
      }
    }
  }
}

/* Codes of four times eight totals. */
QRT_INLINE __m256i total_codes(const sum_finish* finish, const __m256i* totals) {
  if (!finish->is_small) return qrt_avx2_uniform_codes(finish, 0, 1, totals);
  if (finish->is_shifted) return qrt_avx2_uniform_codes(finish, 1, 1, totals);
  return qrt_avx2_uniform_codes(finish, 1, 0, totals);
}

static void sixteen_codes(const qrt_sum_box* box, const sum_finish* finish,
                          const int8_t* x, int8_t* y) {
  __m256i totals[4];
  sum_box(box, x, 1, totals);
  totals[2] = totals[0];
  totals[3] = totals[1];
  _mm_storeu_si128((__m128i*)(void*)y,
                   _mm256_castsi256_si128(total_codes(finish, totals)));
}

static void box_codes(const qrt_sum_box* box, const sum_finish* finish, const int8_t* x,
                      int8_t* y, size_t channels) {
  size_t i;
  for (i = 0; i + 32 <= channels; i += 32) {
    __m256i totals[4];
    sum_box(box, x + i, 2, totals);
    _mm256_storeu_si256((__m256i*)(void*)(y + i), total_codes(finish, totals));
  }
  for (; i < channels; i += 16) {
    /* The last sixteen may take some channels a second time. */
    if (i + 16 > channels) i = channels - 16;
    sixteen_codes(box, finish, x + i, y + i);
  }
}

void qrt_avg_pool_any_avx2(const qrt_avg_pool_params* p, const void* x,
                           const int32_t* multiplier, const int8_t* shift,
                           const void* which, void* y) {
  run_avg_pool(p, x, multiplier, shift, which, y);
}

void qrt_reduce_any_avx2(const qrt_reduce_params* p, const void* x, void* y) {
  run_reduce(p, x, y);
}

#else
typedef int qrt_sums_avx2_is_empty;
#endif
