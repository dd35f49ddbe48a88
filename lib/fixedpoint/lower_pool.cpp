// SPDX-License-Identifier: MIT
// Lowering of operators over windows of an image and of reductions: pools, means,
// resizing.
#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/fixedpoint/lower_context.h"
#include "runtime/include/qrt/arith.h"

namespace qopt {
namespace {

/// Windows along one axis: what lies inside the input, and how many positions count.
struct Windows {
  Ints start, end;  // inside [0, extent)
  Ints padded;      // positions of the window inside the padded input
};

/// As LibTorch's avg_pool2d: a window may reach beyond the padding (ceil mode) and is cut
/// there.
Windows sliding_windows(std::int64_t extent, std::int64_t out, std::int64_t kernel,
                        std::int64_t stride, std::int64_t before, std::int64_t after) {
  Windows w;
  for (std::int64_t i = 0; i < out; ++i) {
    const std::int64_t start = i * stride - before;
    const std::int64_t end = std::min(start + kernel, extent + after);
    w.padded.push_back(end - start);
    w.start.push_back(std::max<std::int64_t>(start, 0));
    w.end.push_back(std::min(end, extent));
  }
  return w;
}

/// As LibTorch's adaptive_avg_pool2d: [floor(i * in / out), ceil((i + 1) * in / out)).
Windows adaptive_windows(std::int64_t extent, std::int64_t out) {
  Windows w;
  for (std::int64_t i = 0; i < out; ++i) {
    w.start.push_back(i * extent / out);
    w.end.push_back(((i + 1) * extent + out - 1) / out);
    w.padded.push_back(w.end.back() - w.start.back());
  }
  return w;
}

/// Averages over rows x columns windows; `divisor(oh, ow)` positions count for each.
template <class Divisor>
void put_average(Lowering& to, const Node& node, const Windows& rows, const Windows& cols,
                 Divisor divisor) {
  const ValueId x = node.inputs.at(0);
  const Quant qx = to.quant(x);
  const Target y = to.target(node);
  std::vector<std::int64_t> divisors;  // distinct, in order of first appearance
  std::vector<std::int32_t> which;
  for (std::size_t oh = 0; oh < rows.start.size(); ++oh) {
    for (std::size_t ow = 0; ow < cols.start.size(); ++ow) {
      const std::int64_t d = divisor(oh, ow);
      const auto found = std::ranges::find(divisors, d);
      which.push_back(static_cast<std::int32_t>(found - divisors.begin()));
      if (found == divisors.end()) divisors.push_back(d);
    }
  }
  std::vector<std::int32_t> multipliers;
  std::vector<std::int8_t> shifts;
  for (std::int64_t d : divisors) {
    const Multiplier m = to_multiplier(qx.scale / (y.scale * static_cast<double>(d)));
    multipliers.push_back(m.multiplier);
    shifts.push_back(static_cast<std::int8_t>(m.shift));
  }
  const Shape grid{static_cast<std::int64_t>(rows.start.size()),
                   static_cast<std::int64_t>(cols.start.size())};
  const Tensor choice =
      divisors.size() <= 256
          ? Tensor::from(std::vector<std::uint8_t>(which.begin(), which.end()), grid)
          : Tensor::from(which, grid);
  const op::QAvgPool2d pool{rows.start, rows.end, cols.start, cols.end,
                            qx.zero,    y.zero,   y.lo,       y.hi};
  to.put(
      node, y.value, pool,
      {to.get(x, nhwc_layout()), to.constant(node, "multiplier", Tensor::of(multipliers)),
       to.constant(node, "shift", Tensor::of(shifts)),
       to.constant(node, "which", choice)},
      nhwc_layout());
}

/// Two taps and their Q11 weights for each output position along one axis.
struct Taps {
  std::vector<std::int32_t> index;
  std::vector<std::int16_t> weight;
};

/// LibTorch's upsample_nearest2d and upsample_bilinear2d source positions, in its
/// float32.
Taps resize_taps(ResizeMode mode, bool align_corners, double given_scale, std::int64_t in,
                 std::int64_t out) {
  constexpr int kOne = 1 << QRT_RESIZE_FRACTION;
  const bool aligned = align_corners && mode == ResizeMode::Bilinear;
  float scale = given_scale > 0.0 ? static_cast<float>(1.0 / given_scale)
                                  : static_cast<float>(in) / static_cast<float>(out);
  if (aligned) {
    scale = out > 1 ? static_cast<float>(in - 1) / static_cast<float>(out - 1) : 0.0F;
  }
  Taps taps;
  for (std::int64_t i = 0; i < out; ++i) {
    const auto at = static_cast<float>(i);
    float position = scale * at;
    if (mode == ResizeMode::Bilinear && !aligned) {
      position = std::max(0.0F, scale * (at + 0.5F) - 0.5F);
    }
    const auto first = std::min(static_cast<std::int64_t>(std::floor(position)), in - 1);
    const std::int64_t second = std::min(first + 1, in - 1);
    int weight = 0;  // of the second tap
    if (mode == ResizeMode::Bilinear) {
      const double part = static_cast<double>(position) - static_cast<double>(first);
      weight = static_cast<int>(round_half_even(std::clamp(part, 0.0, 1.0) * kOne));
    }
    taps.index.push_back(static_cast<std::int32_t>(first));
    taps.index.push_back(static_cast<std::int32_t>(second));
    taps.weight.push_back(static_cast<std::int16_t>(kOne - weight));
    taps.weight.push_back(static_cast<std::int16_t>(weight));
  }
  return taps;
}

}  // namespace

void lower_node(Lowering& to, const Node& node, const op::MaxPool2d& o) {
  const Target y = to.target(node);
  to.put(node, y.value, o, {to.get_as(node.inputs.at(0), nhwc_layout(), node.output)},
         nhwc_layout());
}

void lower_node(Lowering& to, const Node& node, const op::AvgPool2d& o) {
  const Shape& in = to.shape(node.inputs.at(0));
  const Shape& out = to.shape(node.output);
  const Windows rows =
      sliding_windows(in[2], out[2], o.kernel[0], o.stride[0], o.pads[0], o.pads[2]);
  const Windows cols =
      sliding_windows(in[3], out[3], o.kernel[1], o.stride[1], o.pads[1], o.pads[3]);
  put_average(to, node, rows, cols, [&](std::size_t oh, std::size_t ow) {
    if (o.divisor > 0) return o.divisor;
    if (o.count_include_pad) return rows.padded[oh] * cols.padded[ow];
    return (rows.end[oh] - rows.start[oh]) * (cols.end[ow] - cols.start[ow]);
  });
}

void lower_node(Lowering& to, const Node& node, const op::AdaptiveAvgPool2d& o) {
  const Shape& in = to.shape(node.inputs.at(0));
  const Windows rows = adaptive_windows(in[2], o.out[0]);
  const Windows cols = adaptive_windows(in[3], o.out[1]);
  put_average(to, node, rows, cols, [&](std::size_t oh, std::size_t ow) {
    return rows.padded[oh] * cols.padded[ow];
  });
}

void lower_node(Lowering& to, const Node& node, const op::Reduce& o) {
  if (o.kind == ReduceKind::L2Norm) {
    throw Error(ExitCode::ModelUnsupported, "", "an L2 norm has no integer form",
                "x / norm(x) is recognised as l2_normalize and has one");
  }
  const ValueId x = node.inputs.at(0);
  const Quant qx = to.quant(x);
  const Target y = to.target(node);
  const Layout layout = to.layout(x);
  double count = 1.0;
  for (std::int64_t axis : o.axes) {
    count *= static_cast<double>(to.shape(x)[static_cast<std::size_t>(axis)]);
  }
  const double factor = qx.scale / y.scale / (o.kind == ReduceKind::Mean ? count : 1.0);
  const Multiplier m = to_multiplier(factor);
  const op::QReduce reduce{physical_axes(layout, o.axes),
                           o.keepdim,
                           qx.zero,
                           m.multiplier,
                           m.shift,
                           y.zero,
                           y.lo,
                           y.hi};
  to.put(node, y.value, reduce, {to.get(x)},
         o.keepdim ? layout : without_axes(layout, o.axes));
}

void lower_node(Lowering& to, const Node& node, const op::Resize& o) {
  const ValueId x = node.inputs.at(0);
  const Target y = to.target(node);
  std::vector<ValueId> inputs{to.get_as(x, nhwc_layout(), node.output)};
  constexpr std::string_view kNames[2][2] = {{"row_index", "row_weight"},
                                             {"col_index", "col_weight"}};
  for (std::size_t i = 0; i < 2; ++i) {
    const Taps taps =
        resize_taps(o.mode, o.align_corners, o.scale[i], to.shape(x)[2 + i], o.out[i]);
    const Shape shape{o.out[i], 2};
    inputs.push_back(to.constant(node, kNames[i][0], Tensor::from(taps.index, shape)));
    inputs.push_back(to.constant(node, kNames[i][1], Tensor::from(taps.weight, shape)));
  }
  to.put(node, y.value, op::QResize{}, inputs, nhwc_layout());
}

}  // namespace qopt
