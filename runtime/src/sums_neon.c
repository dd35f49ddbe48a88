/* SPDX-License-Identifier: MIT
 * Average pooling and reductions for NEON, 32-bit and AArch64: sums of 16 bits for 64
 * int8 channels at a time, where they are fewer for 16. */
#include "neon.h"

#if QRT_HAS_neon || QRT_HAS_armv7

typedef struct {
  int32x4_t base; /* what the zero points of all pixels add */
  int32_t multiplier;
  int32x4_t left, right;
  int is_shifted;
  qrt_neon_bounds bounds;
} sum_finish;

#include "sums.h"

static sum_finish sum_finish_of(const qrt_sum_scale* scale, size_t pixels) {
  sum_finish finish;
  /* Modulo 2^32, as the sums: what is left of both fits. */
  finish.base = vdupq_n_s32((int32_t)(0u - (uint32_t)pixels * (uint32_t)scale->x_zero));
  finish.multiplier = scale->multiplier;
  finish.left = vdupq_n_s32(scale->shift > 0 ? scale->shift : 0);
  finish.right = vdupq_n_s32(scale->shift > 0 ? 0 : scale->shift);
  finish.is_shifted = scale->shift != 0;
  finish.bounds = qrt_neon_bounds_of(scale->y_zero, scale->lo, scale->hi);
  return finish;
}

/* Sixteen channels' sums in 16 and in 32 bits. The steps for each sixteen are written
 * out: gcc unrolls no loop at -O2, and what a loop indexes does not stay in registers. */
typedef struct {
  int16x8_t low, high;
} sum_words;

typedef struct {
  int32x4_t a, b, c, d;
} sum_totals;

QRT_INLINE sum_words no_words(void) {
  sum_words sums;
  sums.low = sums.high = vdupq_n_s16(0);
  return sums;
}

QRT_INLINE sum_totals totals_of(int32x4_t base) {
  sum_totals totals;
  totals.a = totals.b = totals.c = totals.d = base;
  return totals;
}

QRT_INLINE void add_pixel(sum_words* sums, const int8_t* codes) {
  const int8x16_t pixel = vld1q_s8(codes);
  sums->low = vaddw_s8(sums->low, vget_low_s8(pixel));
  sums->high = vaddw_s8(sums->high, vget_high_s8(pixel));
}

QRT_INLINE void add_words(sum_totals* totals, const sum_words* sums) {
  totals->a = vaddw_s16(totals->a, vget_low_s16(sums->low));
  totals->b = vaddw_s16(totals->b, vget_high_s16(sums->low));
  totals->c = vaddw_s16(totals->c, vget_low_s16(sums->high));
  totals->d = vaddw_s16(totals->d, vget_high_s16(sums->high));
}

/* Adds at most QRT_SUM_SEGMENT pixels. is_wide, a constant: 64 channels, not 16. */
QRT_INLINE void add_segment(const qrt_sum_box* box, const int8_t* x, const int is_wide,
                            sum_totals* totals) {
  sum_words s0 = no_words(), s1 = no_words(), s2 = no_words(), s3 = no_words();
  size_t r, c;
  for (r = box->rows; r > 0; --r, x += box->row_step) {
    const int8_t* codes = x;
    for (c = box->cols; c > 0; --c, codes += box->col_step) {
      add_pixel(&s0, codes);
      if (is_wide) {
        add_pixel(&s1, codes + 16);
        add_pixel(&s2, codes + 32);
        add_pixel(&s3, codes + 48);
      }
    }
  }
  add_words(&totals[0], &s0);
  if (is_wide) {
    add_words(&totals[1], &s1);
    add_words(&totals[2], &s2);
    add_words(&totals[3], &s3);
  }
}

/* N5; is_shifted is a constant. */
QRT_INLINE int32x4_t requant_sum(const sum_finish* finish, const int is_shifted,
                                 int32x4_t sum) {
  if (!is_shifted) return vqrdmulhq_n_s32(sum, finish->multiplier);
  sum = vqrdmulhq_n_s32(vqshlq_s32(sum, finish->left), finish->multiplier);
  return vrshlq_s32(sum, finish->right);
}

QRT_INLINE void store_sixteen(const sum_finish* finish, const int is_shifted,
                              const sum_totals* totals, int8_t* y) {
  vst1q_s8(y, qrt_neon_codes(&finish->bounds, requant_sum(finish, is_shifted, totals->a),
                             requant_sum(finish, is_shifted, totals->b),
                             requant_sum(finish, is_shifted, totals->c),
                             requant_sum(finish, is_shifted, totals->d)));
}

QRT_INLINE void store_codes(const sum_finish* finish, const int is_shifted,
                            const int is_wide, const sum_totals* totals, int8_t* y) {
  store_sixteen(finish, is_shifted, &totals[0], y);
  if (is_wide) {
    store_sixteen(finish, is_shifted, &totals[1], y + 16);
    store_sixteen(finish, is_shifted, &totals[2], y + 32);
    store_sixteen(finish, is_shifted, &totals[3], y + 48);
  }
}

QRT_INLINE void channel_codes(const qrt_sum_box* box, const sum_finish* finish,
                              const int8_t* x, int8_t* y, const int is_wide) {
  const qrt_sum_box first = first_segment(box);
  sum_totals totals[4];
  size_t r, c;
  totals[0] = totals[1] = totals[2] = totals[3] = totals_of(finish->base);
  if (first.rows == box->rows && first.cols == box->cols) {
    add_segment(box, x, is_wide, totals);
  } else {
    for (r = 0; r < box->rows; r += first.rows) {
      for (c = 0; c < box->cols; c += first.cols) {
        const qrt_sum_box segment = clipped_segment(box, first, r, c);
        add_segment(&segment, x + r * box->row_step + c * box->col_step, is_wide, totals);
      }
    }
  }
  if (finish->is_shifted) {
    store_codes(finish, 1, is_wide, totals, y);
  } else {
    store_codes(finish, 0, is_wide, totals, y);
  }
}

static void box_codes(const qrt_sum_box* box, const sum_finish* finish, const int8_t* x,
                      int8_t* y, size_t channels) {
  size_t i;
  for (i = 0; i + 64 <= channels; i += 64) {
    channel_codes(box, finish, x + i, y + i, 1);
  }
  for (; i < channels; i += 16) {
    /* The last sixteen may take some channels a second time. */
    if (i + 16 > channels) i = channels - 16;
    channel_codes(box, finish, x + i, y + i, 0);
  }
}

#if QRT_HAS_neon
void qrt_avg_pool_any_neon(const qrt_avg_pool_params* p, const void* x,
                           const int32_t* multiplier, const int8_t* shift,
                           const void* which, void* y) {
#else
void qrt_avg_pool_any_armv7(const qrt_avg_pool_params* p, const void* x,
                            const int32_t* multiplier, const int8_t* shift,
                            const void* which, void* y) {
#endif
  run_avg_pool(p, x, multiplier, shift, which, y);
}

#if QRT_HAS_neon
void qrt_reduce_any_neon(const qrt_reduce_params* p, const void* x, void* y) {
#else
void qrt_reduce_any_armv7(const qrt_reduce_params* p, const void* x, void* y) {
#endif
  run_reduce(p, x, y);
}

#else
typedef int qrt_sums_neon_is_empty;
#endif
