/* SPDX-License-Identifier: MIT
 * The walk of max pooling, one output position at a time; the including file provides
 *   greatest_codes  the greatest of a window's int8 codes, channel by channel */
#ifndef QRT_SRC_MAX_POOL_H
#define QRT_SRC_MAX_POOL_H

#include "codes.h"
#include "qrt/qrt.h"

/* What of a window lies inside x: `rows` times `cols` pixels, steps in codes. */
typedef struct {
  size_t first, rows, cols, row_step, col_step;
} qrt_pool_window;

static void greatest_codes(const qrt_pool_window* window, const int8_t* x, int8_t* y,
                           size_t channels);

/* Channels [first, channels), for codes that do not fill a vector. */
static inline void greatest_codes_from(const qrt_pool_window* window, const int8_t* x,
                                       int8_t* y, size_t first, size_t channels) {
  size_t i, r, c;
  for (i = first; i < channels; ++i) {
    int8_t greatest = INT8_MIN;
    for (r = 0; r < window->rows; ++r) {
      for (c = 0; c < window->cols; ++c) {
        const int8_t code = x[r * window->row_step + c * window->col_step + i];
        if (code > greatest) greatest = code;
      }
    }
    y[i] = greatest;
  }
}

static void greatest_codes16(const qrt_pool_window* window, const int16_t* x, int16_t* y,
                             size_t channels) {
  size_t i, r, c;
  for (i = 0; i < channels; ++i) y[i] = INT16_MIN;
  for (r = 0; r < window->rows; ++r) {
    for (c = 0; c < window->cols; ++c) {
      const int16_t* codes = x + r * window->row_step + c * window->col_step;
      for (i = 0; i < channels; ++i) {
        if (codes[i] > y[i]) y[i] = codes[i];
      }
    }
  }
}

/* Kernel steps [*begin, *begin + result) of an axis that lie inside x. */
static size_t steps_inside(int32_t origin, int32_t kernel, int32_t dilation,
                           int32_t extent, int32_t* begin) {
  int32_t k, count = 0;
  *begin = 0;
  for (k = 0; k < kernel; ++k) {
    const int32_t i = origin + k * dilation;
    if (i < 0 || i >= extent) continue;
    if (count++ == 0) *begin = k;
  }
  return (size_t)count;
}

static qrt_pool_window window_at(const qrt_max_pool_params* p, size_t image, int32_t oy,
                                 int32_t ox) {
  const int32_t top = oy * p->stride_h - p->pad_top;
  const int32_t left = ox * p->stride_w - p->pad_left;
  const size_t pixel_codes = (size_t)p->c, line = (size_t)p->w * pixel_codes;
  qrt_pool_window window;
  int32_t ky, kx;
  window.rows = steps_inside(top, p->kh, p->dilation_h, p->h, &ky);
  window.cols = steps_inside(left, p->kw, p->dilation_w, p->w, &kx);
  window.row_step = (size_t)p->dilation_h * line;
  window.col_step = (size_t)p->dilation_w * pixel_codes;
  window.first = 0;
  if (window.rows > 0 && window.cols > 0) {
    window.first = (image * (size_t)p->h + (size_t)(top + ky * p->dilation_h)) * line +
                   (size_t)(left + kx * p->dilation_w) * pixel_codes;
  }
  return window;
}

static void run_max_pool(const qrt_max_pool_params* p, const void* x, void* y) {
  const size_t channels = (size_t)p->c;
  int32_t image, oy, ox;
  size_t y_index = 0;
  for (image = 0; image < p->n; ++image) {
    for (oy = 0; oy < p->oh; ++oy) {
      for (ox = 0; ox < p->ow; ++ox, y_index += channels) {
        const qrt_pool_window window = window_at(p, (size_t)image, oy, ox);
        if (p->bytes == 1) {
          greatest_codes(&window, (const int8_t*)x + window.first, (int8_t*)y + y_index,
                         channels);
        } else {
          greatest_codes16(&window, (const int16_t*)x + window.first,
                           (int16_t*)y + y_index, channels);
        }
      }
    }
  }
}

#endif /* QRT_SRC_MAX_POOL_H */
