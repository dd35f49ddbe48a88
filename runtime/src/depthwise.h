/* SPDX-License-Identifier: MIT
 * Depthwise convolution (one input channel for each output channel), channels innermost.
 * The weights are unpacked once into scratch as [kh * kw][c] centred 16-bit numbers; then
 * each output position adds its taps to up to QRT_CHANNELS accumulators at a time.
 *
 * The including file provides, after this header,
 *   add_products    acc[i] += (x[i] - x_zero) * w[i]
 *   finish_channels bias, requantise, zero point, clamp */
#ifndef QRT_SRC_DEPTHWISE_H
#define QRT_SRC_DEPTHWISE_H

#include <string.h>

#include "codes.h"
#include "qrt/qrt.h"

typedef int16_t qrt_lane;
#include "unpack.h"

/* Accumulators of a block: 256 bytes of stack, two cache lines of codes at most. */
#define QRT_CHANNELS 64

static void add_products(int32_t* acc, const int8_t* x, const int16_t* w, size_t count,
                         int32_t x_zero);
static void finish_channels(const qrt_conv2d_params* p, const int32_t* sums,
                            const int32_t* bias, const int32_t* multiplier,
                            const int8_t* shift, size_t count, void* y, size_t y_index);

/* Scalar forms, also for the channels that do not fill a vector. */
static inline void add_product(int32_t* acc, int8_t x, int16_t w, int32_t x_zero) {
  *acc += (x - x_zero) * w;
}

static inline void finish_channel(const qrt_conv2d_params* p, int32_t sum, int32_t bias,
                                  int32_t multiplier, int shift, void* y,
                                  size_t y_index) {
  const int32_t acc = qrt_accumulate(sum, bias, shift);
  const int32_t q = qrt_requant(acc, multiplier, qrt_right_shift(shift));
  qrt_store(y, y_index, p->y_bytes, qrt_finish(q, p->y_zero, p->lo, p->hi));
}

static void unpack_taps(const qrt_conv2d_params* p, const void* w, const int16_t* w_zero,
                        qrt_lane* taps) {
  const size_t count = (size_t)p->kh * (size_t)p->kw, channels = (size_t)p->c;
  const size_t row_bytes = qrt_row_bytes(count, p->weight_bits);
  qrt_lane* row = taps + count * channels;
  size_t channel, tap;
  for (channel = 0; channel < channels; ++channel) {
    qrt_unpack_row(row, (const uint8_t*)w + channel * row_bytes, count, p->weight_bits,
                   p->odd_weights, w_zero ? w_zero[channel] : 0);
    for (tap = 0; tap < count; ++tap) taps[tap * channels + channel] = row[tap];
  }
}

/* Kernel rows (or columns) [begin, end) that meet x from one output row. */
typedef struct {
  int32_t begin, end, origin;
} qrt_window;

static qrt_window window_of(int32_t o, int32_t kernel, int32_t stride, int32_t dilation,
                            int32_t pad, int32_t extent) {
  qrt_window window;
  window.origin = o * stride - pad;
  window.begin = 0;
  window.end = kernel;
  while (window.begin < kernel && window.origin + window.begin * dilation < 0)
    ++window.begin;
  while (window.end > window.begin &&
         window.origin + (window.end - 1) * dilation >= extent) {
    --window.end;
  }
  return window;
}

static void run_depthwise(const qrt_conv2d_params* p, const void* x, const void* w,
                          const void* bias, const int32_t* multiplier,
                          const int8_t* shift, const int16_t* w_zero, void* y,
                          void* scratch) {
  const size_t channels = (size_t)p->c;
  qrt_lane* const taps = (qrt_lane*)scratch;
  size_t y_index = 0;
  int32_t image, oy, ox;
  unpack_taps(p, w, w_zero, taps);
  for (image = 0; image < p->n; ++image) {
    const int8_t* picture =
        (const int8_t*)x + (size_t)image * (size_t)p->h * (size_t)p->w * channels;
    for (oy = 0; oy < p->oh; ++oy) {
      const qrt_window rows =
          window_of(oy, p->kh, p->stride_h, p->dilation_h, p->pad_top, p->h);
      for (ox = 0; ox < p->ow; ++ox, y_index += channels) {
        const qrt_window cols =
            window_of(ox, p->kw, p->stride_w, p->dilation_w, p->pad_left, p->w);
        size_t first, count;
        for (first = 0; first < channels; first += count) {
          int32_t sums[QRT_CHANNELS];
          int32_t ky, kx;
          count = channels - first < QRT_CHANNELS ? channels - first : QRT_CHANNELS;
          memset(sums, 0, count * sizeof *sums);
          for (ky = rows.begin; ky < rows.end; ++ky) {
            const size_t line = (size_t)(rows.origin + ky * p->dilation_h) * (size_t)p->w;
            for (kx = cols.begin; kx < cols.end; ++kx) {
              const size_t pixel = line + (size_t)(cols.origin + kx * p->dilation_w);
              const size_t tap = (size_t)ky * (size_t)p->kw + (size_t)kx;
              add_products(sums, picture + pixel * channels + first,
                           taps + tap * channels + first, count, p->x_zero);
            }
          }
          finish_channels(p, sums, (const int32_t*)bias + first, multiplier + first,
                          shift + first, count, y, y_index + first);
        }
      }
    }
  }
}

#define QRT_DEFINE_DEPTHWISE(symbol)                                            \
  void symbol(const qrt_conv2d_params* p, const void* x, const void* w,         \
              const void* bias, const int32_t* multiplier, const int8_t* shift, \
              const int16_t* w_zero, void* y, void* scratch) {                  \
    run_depthwise(p, x, w, bias, multiplier, shift, w_zero, y, scratch);        \
  }

#endif /* QRT_SRC_DEPTHWISE_H */
