// SPDX-License-Identifier: MIT
// What convolutions and transposed convolutions share: geometry, requantiser and
// centred weights of one layer. Private to the integer executor.
#pragma once

#include <algorithm>

#include "lib/fixedpoint/integer_node.h"

namespace qopt {

struct ConvLayer {
  std::int64_t batch, rows, cols, channels;       // input
  std::int64_t out_rows, out_cols, out_channels;  // output
  std::int64_t kernel_rows, kernel_cols, groups;  //
  std::int64_t group_channels, group_outputs;     // channels of one group
  Pair stride, dilation;
  Quad pads;
  std::int64_t x_zero;
  Interval centred_range;  // of x - x_zero, zero included
  Requantiser requantiser;
  DType out_dtype;
  Shape out_shape;

  std::int64_t taps() const { return kernel_rows * kernel_cols * group_channels; }
  std::int64_t padded_rows() const { return rows + pads[0] + pads[2]; }
  std::int64_t padded_cols() const { return cols + pads[1] + pads[3]; }
  bool is_padded() const { return padded_rows() != rows || padded_cols() != cols; }
  bool reads_image_directly() const {
    return kernel_rows == 1 && kernel_cols == 1 && stride == Pair{1, 1} && !is_padded();
  }
  /// x - x_zero of `n` elements from `first`.
  template <class T>
  void centre(const Tensor& x, std::int64_t first, std::int64_t n, T* y) const {
    with_codes(x, [&](auto codes) {
      loops::centre(codes.data() + first, n, static_cast<std::int32_t>(x_zero), y);
    });
  }
};

/// Layer of a QConv2d or QConvTranspose2d node.
template <class Convolution>
ConvLayer conv_layer(const NodeView& view, const Convolution& o) {
  const Shape& x = view.shape(0);
  const Shape& w = view.shape(1);
  const Shape& y = view.out().shape;
  for (const std::int64_t pad : o.pads) QOPT_CHECK(pad >= 0, "negative padding {}", pad);
  const Tensor& bias = view.constant(2, {DType::I32, DType::I64});
  std::vector<std::int64_t> wide_bias;
  for (std::int64_t i = 0; i < bias.size(); ++i) wide_bias.push_back(bias.integer_at(i));
  const auto m = view.constant(3, {DType::I32}).values<std::int32_t>();
  const Interval range{std::min<std::int64_t>(view.range(0).lo - o.x_zero, 0),
                       std::max<std::int64_t>(view.range(0).hi - o.x_zero, 0)};
  return {.batch = x[0],
          .rows = x[1],
          .cols = x[2],
          .channels = x[3],
          .out_rows = y[1],
          .out_cols = y[2],
          .out_channels = w[0],
          .kernel_rows = w[1],
          .kernel_cols = w[2],
          .groups = o.groups,
          .group_channels = w[3],
          .group_outputs = w[0] / o.groups,
          .stride = o.stride,
          .dilation = o.dilation,
          .pads = o.pads,
          .x_zero = o.x_zero,
          .centred_range = range,
          .requantiser =
              Requantiser(std::move(wide_bias), {m.begin(), m.end()},
                          channel_shifts(view, 4), o.acc_bits, {o.y_zero, o.lo, o.hi}),
          .out_dtype = view.out().dtype,
          .out_shape = y};
}

/// w - w_zero, in the weight's own order [O][KH][KW][C/groups].
std::vector<std::int32_t> centred_weights(const NodeView& view);

}  // namespace qopt
