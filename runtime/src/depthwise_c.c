/* SPDX-License-Identifier: MIT
 * Depthwise convolution in plain C. */
#include "depthwise.h"

static void add_products(int32_t* acc, const int8_t* x, const int16_t* w, size_t count,
                         int32_t x_zero) {
  size_t i;
  for (i = 0; i < count; ++i) add_product(acc + i, x[i], w[i], x_zero);
}

static void finish_channels(const qrt_conv2d_params* p, const int32_t* sums,
                            const int32_t* bias, const int32_t* multiplier,
                            const int8_t* shift, size_t count, void* y, size_t y_index) {
  size_t i;
  for (i = 0; i < count; ++i)
    finish_channel(p, sums[i], bias[i], multiplier[i], shift[i], y, y_index + i);
}

QRT_DEFINE_DEPTHWISE(qrt_depthwise_s8_c)
