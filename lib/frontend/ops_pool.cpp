// SPDX-License-Identifier: MIT
// Converters of operators on windows and sizes of images: pooling, resizing, pixel
// shuffle.
#include <ATen/ATen.h>

#include "lib/frontend/table.h"

namespace qopt::frontend {
namespace {

/// The argument as an image [N,C,H,W]: sequences get height 1, a missing batch axis is
/// added.
ValueId as_image(Call& call, std::int64_t spatial) {
  const ValueId x = call.real_value(call.has("self") ? "self" : "input");
  Shape image = call.shape(x);
  if (call.rank(x) == spatial + 1) image.insert(image.begin(), 1);
  if (static_cast<std::int64_t>(image.size()) != spatial + 2)
    throw Unsupported{"this rank"};
  if (spatial == 1) image.insert(image.end() - 1, 1);
  return call.reshape(x, image, "image");
}

std::int64_t spatial_axes(const Call& call) {
  return call.op().find("1d") != std::string::npos ? 1 : 2;
}

Pair image_pair(const Call& call, std::string_view argument, std::int64_t spatial,
                std::int64_t height, const Pair& absent) {
  const Pair p = call.has(argument) ? call.pair(argument, absent) : absent;
  return spatial == 1 ? Pair{height, p[1]} : p;
}

void finish(Call& call, ValueId y) {
  call.returns(call.reshape(y, call.result_shape(), "result"));
}

}  // namespace

void convert_max_pool(Call& call) {
  const std::int64_t spatial = spatial_axes(call);
  const Pair kernel = image_pair(call, "kernel_size", spatial, 1, {1, 1});
  const Pair pad = image_pair(call, "padding", spatial, 0, {0, 0});
  op::MaxPool2d pool;
  pool.kernel = kernel;
  pool.stride = image_pair(call, "stride", spatial, 1, kernel);
  pool.dilation = image_pair(call, "dilation", spatial, 1, {1, 1});
  pool.pads = {pad[0], pad[1], pad[0], pad[1]};
  pool.ceil_mode = call.boolean_or("ceil_mode", false);
  finish(call, call.emit(pool, {as_image(call, spatial)}));
}

void convert_avg_pool(Call& call) {
  const std::int64_t spatial = spatial_axes(call);
  const Pair kernel = image_pair(call, "kernel_size", spatial, 1, {1, 1});
  const Pair pad = image_pair(call, "padding", spatial, 0, {0, 0});
  op::AvgPool2d pool;
  pool.kernel = kernel;
  pool.stride = image_pair(call, "stride", spatial, 1, kernel);
  pool.pads = {pad[0], pad[1], pad[0], pad[1]};
  pool.ceil_mode = call.boolean_or("ceil_mode", false);
  pool.count_include_pad = call.boolean_or("count_include_pad", true);
  pool.divisor = call.integer_or("divisor_override", 0);
  finish(call, call.emit(pool, {as_image(call, spatial)}));
}

void convert_adaptive_avg_pool(Call& call) {
  const std::int64_t spatial = spatial_axes(call);
  const ValueId x = as_image(call, spatial);
  const Shape out = call.result_shape();
  const Pair size{spatial == 1 ? 1 : out.end()[-2], out.back()};
  finish(call, call.emit(op::AdaptiveAvgPool2d{size}, {x}));
}

void convert_adaptive_max_pool(Call& call) {
  const std::int64_t spatial = spatial_axes(call);
  const ValueId x = as_image(call, spatial);
  const Shape in = call.shape(x), out = call.result_shape();
  const Pair size{spatial == 1 ? 1 : out.end()[-2], out.back()};
  if (size[0] <= 0 || size[1] <= 0 || in[2] % size[0] != 0 || in[3] % size[1] != 0) {
    throw Unsupported{"windows of different sizes"};
  }
  op::MaxPool2d pool;
  pool.kernel = {in[2] / size[0], in[3] / size[1]};
  pool.stride = pool.kernel;
  finish(call, call.emit(pool, {x}));
}

void convert_upsample(Call& call) {
  const ValueId x = call.real_value(call.has("self") ? "self" : "input");
  const Shape out = call.result_shape();
  op::Resize resize;
  resize.mode = call.op().find("bilinear") != std::string::npos ? ResizeMode::Bilinear
                                                                : ResizeMode::Nearest;
  resize.out = {out[2], out[3]};
  resize.align_corners = call.boolean_or("align_corners", false);
  if (call.has("scale_factors")) {
    // LibTorch computes positions from the factors as given, not from the rounded sizes.
    const std::vector<double> factors = call.arg("scale_factors").toDoubleVector();
    if (factors.size() != 2) throw Unsupported{"this number of scale factors"};
    resize.scale = {factors[0], factors[1]};
  } else {
    resize.scale = {call.real_or("scales_h", 0.0), call.real_or("scales_w", 0.0)};
  }
  call.returns(call.emit(resize, {x}));
}

void convert_pixel_shuffle(Call& call) {
  const ValueId x = call.real_value("self");
  if (call.rank(x) != 4) throw Unsupported{"this rank"};
  call.returns(call.emit(op::PixelShuffle{call.integer("upscale_factor")}, {x}));
}

}  // namespace qopt::frontend
