// SPDX-License-Identifier: MIT
// Shape inference: arities, windows, broadcasting and the entry. The operators' types are
// in shape_float.cpp and shape_integer.cpp. Everything is checked: models are untrusted.
#include "lib/graph/shape.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "lib/graph/shape_rules.h"

namespace qopt {
namespace shape_rules {

void fail(std::string what) {
  throw Error(ExitCode::ModelUnsupported, "", std::move(what));
}

void require_rank(const ValueType& t, std::size_t rank, std::string_view what) {
  require(t.shape.size() == rank, "{} must have rank {}, is {}", what, rank,
          type_text(t));
}

void require_vector(const ValueType& t, std::int64_t extent, std::string_view what) {
  require(t.shape == Shape{extent}, "{} must be of shape [{}], is {}", what, extent,
          type_text(t));
}

std::size_t axis_of(std::int64_t axis, const ValueType& x) {
  require(axis >= 0 && axis < static_cast<std::int64_t>(x.shape.size()), "axis {} of {}",
          axis, type_text(x));
  return static_cast<std::size_t>(axis);
}

Shape reduced(const ValueType& x, const Ints& axes, bool keepdim) {
  require(!axes.empty(), "no axes to reduce");
  for (std::size_t i = 0; i < axes.size(); ++i) {
    axis_of(axes[i], x);
    require(i == 0 || axes[i - 1] < axes[i], "axes [{}] are not sorted",
            fmt::join(axes, ","));
  }
  Shape out;
  for (std::size_t i = 0; i < x.shape.size(); ++i) {
    const bool gone = std::ranges::binary_search(axes, static_cast<std::int64_t>(i));
    if (!gone) out.push_back(x.shape[i]);
    if (gone && keepdim) out.push_back(1);
  }
  return out;
}

namespace {

/// No attribute of a real network comes near; keeps every later product inside int64.
constexpr std::int64_t kMaxExtent = std::int64_t{1} << 31;

}  // namespace

void require_extent(std::int64_t extent, std::int64_t lo, std::string_view what) {
  require(extent >= lo && extent <= kMaxExtent, "{} is {}; must be in [{}, 2^31]", what,
          extent, lo);
}

Extents conv_extents(const WindowAttributes& w, std::int64_t height, std::int64_t width,
                     std::int64_t kernel_h, std::int64_t kernel_w) {
  return {window_extent(height, w.pads[0], w.pads[2], kernel_h, w.stride[0],
                        w.dilation[0], w.ceil_mode),
          window_extent(width, w.pads[1], w.pads[3], kernel_w, w.stride[1], w.dilation[1],
                        w.ceil_mode)};
}

Extents transposed_extents(const WindowAttributes& w, const Pair& output_padding,
                           std::int64_t height, std::int64_t width, std::int64_t kernel_h,
                           std::int64_t kernel_w) {
  const std::int64_t in[2] = {height, width}, kernel[2] = {kernel_h, kernel_w};
  Extents out{};
  for (std::size_t i = 0; i < 2; ++i) {
    require_extent(in[i], 1, "input extent");
    require_extent(kernel[i], 1, "kernel");
    require_extent(w.stride[i], 1, "stride");
    require_extent(w.dilation[i], 1, "dilation");
    require_extent(w.pads[i], 0, "pad");
    require_extent(w.pads[i + 2], 0, "pad");
    require_extent(output_padding[i], 0, "output padding");
    require(output_padding[i] < std::max(w.stride[i], w.dilation[i]),
            "output padding {} must be smaller than stride or dilation",
            output_padding[i]);
    const __int128 extent =
        static_cast<__int128>(in[i] - 1) * w.stride[i] - w.pads[i] - w.pads[i + 2] +
        static_cast<__int128>(w.dilation[i]) * (kernel[i] - 1) + output_padding[i] + 1;
    require(
        extent >= 1 && extent <= kMaxExtent, "output extent would be {}",
        static_cast<std::int64_t>(std::clamp<__int128>(extent, INT64_MIN, INT64_MAX)));
    out[i] = static_cast<std::int64_t>(extent);
  }
  return out;
}

ValueType matmul_type(const ValueType& a, const ValueType& b) {
  require(a.shape.size() >= 2 && b.shape.size() >= 2,
          "both operands need rank 2 or more");
  const std::size_t ra = a.shape.size(), rb = b.shape.size();
  require(a.shape[ra - 1] == b.shape[rb - 2], "inner extents {} and {} differ",
          a.shape[ra - 1], b.shape[rb - 2]);
  Shape out = broadcast({a.shape.begin(), a.shape.end() - 2},
                        {b.shape.begin(), b.shape.end() - 2});
  out.push_back(a.shape[ra - 2]);
  out.push_back(b.shape[rb - 1]);
  return {a.dtype, std::move(out)};
}

}  // namespace shape_rules

namespace {
constexpr std::size_t kAnyArity = std::numeric_limits<std::size_t>::max();
}  // namespace

Arity op_arity(const Op& op) {
  return std::visit(Overloaded{
                        [](const op::Input&) -> Arity {
                          return {0, 0};
                        },
                        [](const op::Conv2d&) -> Arity {
                          return {2, 3};
                        },
                        [](const op::ConvTranspose2d&) -> Arity {
                          return {2, 3};
                        },
                        [](const op::Linear&) -> Arity {
                          return {2, 3};
                        },
                        [](const op::MatMul&) -> Arity {
                          return {2, 2};
                        },
                        [](const op::BatchNorm&) -> Arity {
                          return {5, 5};
                        },
                        [](const op::PRelu&) -> Arity {
                          return {2, 2};
                        },
                        [](const op::Binary&) -> Arity {
                          return {2, 2};
                        },
                        [](const op::Concat&) -> Arity {
                          return {1, kAnyArity};
                        },
                        [](const op::LayerNorm&) -> Arity {
                          return {1, 3};
                        },
                        [](const op::Embedding&) -> Arity {
                          return {2, 2};
                        },
                        [](const op::Attention&) -> Arity {
                          return {3, 4};
                        },
                        [](const op::QConv2d&) -> Arity {
                          return {5, 6};
                        },
                        [](const op::QConvTranspose2d&) -> Arity {
                          return {5, 6};
                        },
                        [](const op::QMatMul&) -> Arity {
                          return {2, 2};
                        },
                        [](const op::QAdd&) -> Arity {
                          return {2, 2};
                        },
                        [](const op::QMul&) -> Arity {
                          return {2, 2};
                        },
                        [](const op::QDiv&) -> Arity {
                          return {2, 2};
                        },
                        [](const op::Lut&) -> Arity {
                          return {2, 2};
                        },
                        [](const op::QAvgPool2d&) -> Arity {
                          return {4, 4};
                        },
                        [](const op::QResize&) -> Arity {
                          return {5, 5};
                        },
                        [](const op::QSoftmax&) -> Arity {
                          return {2, 2};
                        },
                        [](const op::QLayerNorm&) -> Arity {
                          return {3, 3};
                        },
                        [](const op::QGather&) -> Arity {
                          return {2, 2};
                        },
                        [](const auto&) -> Arity {
                          return {1, 1};
                        },
                    },
                    op);
}

std::string arity_text(const Arity& arity) {
  if (arity.max == kAnyArity) return fmt::format("at least {} inputs", arity.min);
  if (arity.min == arity.max) return fmt::format("{} inputs", arity.min);
  return fmt::format("{} to {} inputs", arity.min, arity.max);
}

std::string type_text(const ValueType& type) {
  return fmt::format("{}[{}]", dtype_name(type.dtype), fmt::join(type.shape, ","));
}

ValueType infer(const Op& op, std::span<const ValueType> inputs, Level level) {
  try {
    const Arity arity = op_arity(op);
    shape_rules::require(inputs.size() >= arity.min && inputs.size() <= arity.max,
                         "takes {}, got {}", arity_text(arity), inputs.size());
    for (const ValueType& input : inputs) require_possible(input.shape);
    ValueType result = shape_rules::float_type(op, inputs, level);
    require_possible(result.shape);
    return result;
  } catch (const Error& e) {
    std::string types;
    for (const ValueType& input : inputs) {
      types += (types.empty() ? "" : ", ") + type_text(input);
      if (types.size() > 400) break;
    }
    throw Error(e.code(), fmt::format("{}({})", op_name(op), types), e.what());
  }
}

void require_possible(const Shape& shape) {
  num_elements(shape);
  Shape ones = shape;
  std::ranges::replace(ones, 0, 1);
  num_elements(ones);
}

Shape broadcast(const Shape& a, const Shape& b) {
  const std::size_t rank = std::max(a.size(), b.size());
  Shape out(rank);
  for (std::size_t i = 0; i < rank; ++i) {
    const std::int64_t x = i < rank - a.size() ? 1 : a[i - (rank - a.size())];
    const std::int64_t y = i < rank - b.size() ? 1 : b[i - (rank - b.size())];
    shape_rules::require(x == y || x == 1 || y == 1, "[{}] and [{}] do not broadcast",
                         fmt::join(a, ","), fmt::join(b, ","));
    out[i] = x == 1 ? y : x;
  }
  return out;
}

std::int64_t window_extent(std::int64_t in, std::int64_t pad_before,
                           std::int64_t pad_after, std::int64_t kernel,
                           std::int64_t stride, std::int64_t dilation, bool ceil_mode) {
  using shape_rules::require_extent;
  require_extent(in, 0, "input extent");
  require_extent(pad_before, 0, "pad");
  require_extent(pad_after, 0, "pad");
  require_extent(kernel, 1, "kernel");
  require_extent(stride, 1, "stride");
  require_extent(dilation, 1, "dilation");
  // Each term is below 2^32 and the product below 2^62: no overflow.
  const std::int64_t room = in + pad_before + pad_after - dilation * (kernel - 1) - 1;
  shape_rules::require(room >= 0, "a window of {} does not fit an extent of {}",
                       dilation * (kernel - 1) + 1, in + pad_before + pad_after);
  std::int64_t out = room / stride + 1;
  if (ceil_mode && room % stride != 0) ++out;
  if (ceil_mode && (out - 1) * stride >= in + pad_before) --out;
  return out;
}

}  // namespace qopt
