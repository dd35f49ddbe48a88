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

/* Adds at most QRT_SUM_SEGMENT pixels. is_wide, a constant: 32 channels, not 16. */
QRT_INLINE void add_segment(const qrt_sum_box* box, const int8_t* x, const int is_wide,
                            __m256i* totals) {
  __m256i first = _mm256_setzero_si256(), second = first, low, high;
  size_t r, c;
  for (r = box->rows; r > 0; --r, x += box->row_step) {
    const int8_t* codes = x;
    for (c = box->cols; c > 0; --c, codes += box->col_step) {
      first = _mm256_add_epi16(first, qrt_avx2_load16(codes));
      if (is_wide) second = _mm256_add_epi16(second, qrt_avx2_load16(codes + 16));
    }
  }
  qrt_avx2_widen(first, &low, &high);
  totals[0] = _mm256_add_epi32(totals[0], low);
  totals[1] = _mm256_add_epi32(totals[1], high);
  qrt_avx2_widen(second, &low, &high);
  totals[2] = _mm256_add_epi32(totals[2], low);
  totals[3] = _mm256_add_epi32(totals[3], high);
}

QRT_INLINE void sum_box(const qrt_sum_box* box, const int8_t* x, const int is_wide,
                        __m256i* totals) {
  const qrt_sum_box first = first_segment(box);
  size_t r, c;
  totals[0] = totals[1] = totals[2] = totals[3] = _mm256_setzero_si256();
  if (first.rows == box->rows && first.cols == box->cols) {
    add_segment(box, x, is_wide, totals);
    return;
  }
  for (r = 0; r < box->rows; r += first.rows) {
    for (c = 0; c < box->cols; c += first.cols) {
      const qrt_sum_box segment = clipped_segment(box, first, r, c);
      add_segment(&segment, x + r * box->row_step + c * box->col_step, is_wide, totals);
    }
  }
}

/* Codes of four times eight totals. */
QRT_INLINE __m256i total_codes(const sum_finish* finish, const __m256i* totals) {
  if (!finish->is_small) return qrt_avx2_uniform_codes(finish, 0, 1, totals);
  if (finish->is_shifted) return qrt_avx2_uniform_codes(finish, 1, 1, totals);
  return qrt_avx2_uniform_codes(finish, 1, 0, totals);
}

static void box_codes(const qrt_sum_box* box, const sum_finish* finish, const int8_t* x,
                      int8_t* y, size_t channels) {
  __m256i totals[4];
  size_t i;
  for (i = 0; i + 32 <= channels; i += 32) {
    sum_box(box, x + i, 1, totals);
    _mm256_storeu_si256((__m256i*)(void*)(y + i), total_codes(finish, totals));
  }
  for (; i < channels; i += 16) {
    /* The last sixteen may take some channels a second time. */
    if (i + 16 > channels) i = channels - 16;
    sum_box(box, x + i, 0, totals);
    _mm_storeu_si128((__m128i*)(void*)(y + i),
                     _mm256_castsi256_si128(total_codes(finish, totals)));
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
