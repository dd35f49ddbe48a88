/* SPDX-License-Identifier: MIT
 * The walk of max pooling, one output position at a time; the including file provides
 *   keep_greater  y[i] = max(y[i], x[i]) on int8 codes */
#ifndef QRT_SRC_MAX_POOL_H
#define QRT_SRC_MAX_POOL_H

#include "codes.h"
#include "qrt/qrt.h"

static void keep_greater(int8_t* y, const int8_t* x, size_t count);

static inline void keep_greater_one(int8_t* y, int8_t x) {
  if (x > *y) *y = x;
}

static void keep_greater16(int16_t* y, const int16_t* x, size_t count) {
  size_t i;
  for (i = 0; i < count; ++i) {
    if (x[i] > y[i]) y[i] = x[i];
  }
}

static void pool_position(const qrt_max_pool_params* p, const void* x, size_t image,
                          int32_t oy, int32_t ox, void* y, size_t y_index) {
  const size_t channels = (size_t)p->c;
  const int32_t minimum = p->bytes == 1 ? INT8_MIN : INT16_MIN;
  int32_t ky, kx;
  size_t i;
  for (i = 0; i < channels; ++i) qrt_store(y, y_index + i, p->bytes, minimum);
  for (ky = 0; ky < p->kh; ++ky) {
    const int32_t iy = oy * p->stride_h - p->pad_top + ky * p->dilation_h;
    if (iy < 0 || iy >= p->h) continue;
    for (kx = 0; kx < p->kw; ++kx) {
      const int32_t ix = ox * p->stride_w - p->pad_left + kx * p->dilation_w;
      size_t pixel;
      if (ix < 0 || ix >= p->w) continue;
      pixel = (image * (size_t)p->h + (size_t)iy) * (size_t)p->w + (size_t)ix;
      if (p->bytes == 1) {
        keep_greater((int8_t*)y + y_index, (const int8_t*)x + pixel * channels, channels);
      } else {
        keep_greater16((int16_t*)y + y_index, (const int16_t*)x + pixel * channels,
                       channels);
      }
    }
  }
}

static void run_max_pool(const qrt_max_pool_params* p, const void* x, void* y) {
  int32_t image, oy, ox;
  size_t y_index = 0;
  for (image = 0; image < p->n; ++image) {
    for (oy = 0; oy < p->oh; ++oy) {
      for (ox = 0; ox < p->ow; ++ox, y_index += (size_t)p->c) {
        pool_position(p, x, (size_t)image, oy, ox, y, y_index);
      }
    }
  }
}

#endif /* QRT_SRC_MAX_POOL_H */
