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

/* Sums of at most QRT_SUM_SEGMENT pixels: `vectors`, a constant, of eight channels. */
QRT_INLINE void sum_segment(const qrt_sum_box* box, const int8_t* x, const int vectors,
                            int16x8_t* sums) {
  size_t r, c;
  int i;
  for (i = 0; i < vectors; ++i) sums[i] = vdupq_n_s16(0);
  for (r = box->rows; r > 0; --r, x += box->row_step) {
    const int8_t* codes = x;
    for (c = box->cols; c > 0; --c, codes += box->col_step) {
      for (i = 0; i < vectors; i += 2) {
        const int8x16_t pixel = vld1q_s8(codes + 8 * i);
        sums[i] = vaddw_s8(sums[i], vget_low_s8(pixel));
        sums[i + 1] = vaddw_s8(sums[i + 1], vget_high_s8(pixel));
      }
    }
  }
}

QRT_INLINE void sum_box(const qrt_sum_box* box, int32x4_t base, const int8_t* x,
                        const int vectors, int32x4_t* totals) {
  const qrt_sum_box first = first_segment(box);
  int16x8_t sums[8];
  size_t r, c;
  int i;
  if (first.rows == box->rows && first.cols == box->cols) {
    sum_segment(box, x, vectors, sums);
    for (i = 0; i < vectors; ++i) {
      totals[2 * i] = vaddw_s16(base, vget_low_s16(sums[i]));
      totals[2 * i + 1] = vaddw_s16(base, vget_high_s16(sums[i]));
    }
    return;
  }
  for (i = 0; i < 2 * vectors; ++i) totals[i] = base;
  for (r = 0; r < box->rows; r += first.rows) {
    for (c = 0; c < box->cols; c += first.cols) {
      const qrt_sum_box segment = clipped_segment(box, first, r, c);
      sum_segment(&segment, x + r * box->row_step + c * box->col_step, vectors, sums);
      for (i = 0; i < vectors; ++i) {
        totals[2 * i] = vaddw_s16(totals[2 * i], vget_low_s16(sums[i]));
        totals[2 * i + 1] = vaddw_s16(totals[2 * i + 1], vget_high_s16(sums[i]));
      }
    }
  }
}

/* N5; is_shifted is a constant. */
QRT_INLINE int32x4_t requant_sum(const sum_finish* finish, const int is_shifted,
                                 int32x4_t sum) {
  if (!is_shifted) return vqrdmulhq_n_s32(sum, finish->multiplier);
  sum = vqrdmulhq_n_s32(vqshlq_s32(sum, finish->left), finish->multiplier);
  return vrshlq_s32(sum, finish->right);
}

QRT_INLINE void store_codes(const sum_finish* finish, const int is_shifted,
                            const int vectors, const int32x4_t* totals, int8_t* y) {
  int i;
  for (i = 0; i < 2 * vectors; i += 4) {
    vst1q_s8(y + 4 * i,
             qrt_neon_codes(&finish->bounds, requant_sum(finish, is_shifted, totals[i]),
                            requant_sum(finish, is_shifted, totals[i + 1]),
                            requant_sum(finish, is_shifted, totals[i + 2]),
                            requant_sum(finish, is_shifted, totals[i + 3])));
  }
}

QRT_INLINE void channel_codes(const qrt_sum_box* box, const sum_finish* finish,
                              const int8_t* x, int8_t* y, const int vectors) {
  int32x4_t totals[16];
  sum_box(box, finish->base, x, vectors, totals);
  if (finish->is_shifted) {
    store_codes(finish, 1, vectors, totals, y);
  } else {
    store_codes(finish, 0, vectors, totals, y);
  }
}

static void box_codes(const qrt_sum_box* box, const sum_finish* finish, const int8_t* x,
                      int8_t* y, size_t channels) {
  size_t i;
  for (i = 0; i + 64 <= channels; i += 64) {
    channel_codes(box, finish, x + i, y + i, 8);
  }
  for (; i < channels; i += 16) {
    /* The last sixteen may take some channels a second time. */
    if (i + 16 > channels) i = channels - 16;
    channel_codes(box, finish, x + i, y + i, 2);
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
