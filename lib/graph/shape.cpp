// SPDX-License-Identifier: MIT
// Shape inference of the float operators and of the operators that all levels share; the
// Integer level's own are in shape_integer.cpp. Everything is checked: models are
// untrusted.
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

namespace {

using Inputs = std::span<const ValueType>;

void require_float(const ValueType& t, std::string_view what) {
  require(t.dtype == DType::F32 || t.dtype == DType::F64,
          "{} must be floating point, is {}", what, type_text(t));
}

ValueType conv(const op::Conv2d& o, Inputs in) {
  const ValueType &x = in[0], &w = in[1];
  require_float(x, "input");
  require_rank(x, 4, "input");
  require_rank(w, 4, "weight");
  require_extent(o.groups, 1, "groups");
  const std::int64_t channels = x.shape[1], out = w.shape[0];
  require(channels % o.groups == 0 && w.shape[1] == channels / o.groups,
          "{} input channels in {} groups do not fit the weight", channels, o.groups);
  require(out % o.groups == 0, "{} output channels in {} groups", out, o.groups);
  if (in.size() > 2) require_vector(in[2], out, "bias");
  const Extents e = conv_extents({o.stride, o.dilation, o.pads}, x.shape[2], x.shape[3],
                                 w.shape[2], w.shape[3]);
  return {x.dtype, {x.shape[0], out, e[0], e[1]}};
}

ValueType conv_transpose(const op::ConvTranspose2d& o, Inputs in) {
  const ValueType &x = in[0], &w = in[1];
  require_float(x, "input");
  require_rank(x, 4, "input");
  require_rank(w, 4, "weight");
  require_extent(o.groups, 1, "groups");
  const std::int64_t channels = x.shape[1];
  require(channels % o.groups == 0 && w.shape[0] == channels,
          "{} input channels in {} groups do not fit the weight", channels, o.groups);
  require_extent(w.shape[1], 0, "output channels");
  const std::int64_t out = w.shape[1] * o.groups;
  if (in.size() > 2) require_vector(in[2], out, "bias");
  const Extents e = transposed_extents({o.stride, o.dilation, o.pads}, o.output_padding,
                                       x.shape[2], x.shape[3], w.shape[2], w.shape[3]);
  return {x.dtype, {x.shape[0], out, e[0], e[1]}};
}

ValueType linear(Inputs in) {
  const ValueType &x = in[0], &w = in[1];
  require_float(x, "input");
  require(!x.shape.empty(), "input must have rank 1 or more");
  require_rank(w, 2, "weight");
  require(x.shape.back() == w.shape[1], "{} input features do not fit the weight",
          x.shape.back());
  if (in.size() > 2) require_vector(in[2], w.shape[0], "bias");
  ValueType out = x;
  out.shape.back() = w.shape[0];
  return out;
}

ValueType batch_norm(const op::BatchNorm& o, Inputs in) {
  require_float(in[0], "input");
  require(in[0].shape.size() >= 2, "input must have rank 2 or more");
  for (const ValueType& vector : in.subspan(1)) {
    require_vector(vector, in[0].shape[1], "parameter");
  }
  require(std::isfinite(o.eps) && o.eps >= 0.0, "eps is {}", o.eps);
  return in[0];
}

ValueType prelu(Inputs in) {
  require_float(in[0], "input");
  require_rank(in[1], 1, "slope");
  const std::int64_t slopes = in[1].shape[0];
  const bool per_channel = in[0].shape.size() >= 2 && slopes == in[0].shape[1];
  require(slopes == 1 || per_channel, "{} slopes for {}", slopes, type_text(in[0]));
  return in[0];
}

ValueType pooled(const ValueType& x, const WindowAttributes& w, const Pair& kernel,
                 Level level) {
  require_rank(x, 4, "input");
  for (std::size_t i = 0; i < 2; ++i) {
    require_extent(kernel[i], 1, "kernel");
    require_extent(w.dilation[i], 1, "dilation");
    const std::int64_t reach = w.dilation[i] * (kernel[i] - 1) + 1;
    for (std::int64_t pad : {w.pads[i], w.pads[i + 2]}) {
      // A window must hold at least one element.
      require(pad < reach, "pad {} of a window of {}", pad, reach);
    }
  }
  const std::size_t h = level == Level::Integer ? 1 : 2;
  const Extents e = conv_extents(w, x.shape[h], x.shape[h + 1], kernel[0], kernel[1]);
  ValueType out = x;
  out.shape[h] = e[0];
  out.shape[h + 1] = e[1];
  return out;
}

ValueType adaptive_pool(const op::AdaptiveAvgPool2d& o, Inputs in) {
  require_float(in[0], "input");
  require_rank(in[0], 4, "input");
  for (std::size_t i = 0; i < 2; ++i) {
    require_extent(o.out[i], 1, "output extent");
    require_extent(in[0].shape[i + 2], 1, "input extent");
  }
  return {in[0].dtype, {in[0].shape[0], in[0].shape[1], o.out[0], o.out[1]}};
}

ValueType concat(const op::Concat& o, Inputs in) {
  ValueType out = in[0];
  const std::size_t axis = axis_of(o.axis, out);
  for (const ValueType& part : in.subspan(1)) {
    require(part.dtype == out.dtype && part.shape.size() == out.shape.size(),
            "parts differ in type");
    for (std::size_t i = 0; i < out.shape.size(); ++i) {
      if (i == axis) continue;
      require(part.shape[i] == out.shape[i], "parts differ on axis {}", i);
    }
    require(!__builtin_add_overflow(out.shape[axis], part.shape[axis], &out.shape[axis]),
            "too long on axis {}", axis);
  }
  return out;
}

ValueType slice(const op::Slice& o, Inputs in) {
  ValueType out = in[0];
  const std::size_t axis = axis_of(o.axis, out);
  require(o.step >= 1, "step is {}; must be at least 1", o.step);
  require(o.start >= 0 && o.start <= o.end && o.end <= out.shape[axis],
          "[{}:{}] of extent {}", o.start, o.end, out.shape[axis]);
  const std::int64_t length = o.end - o.start;
  out.shape[axis] = length / o.step + (length % o.step != 0 ? 1 : 0);
  return out;
}

ValueType reshape(const op::Reshape& o, Inputs in) {
  require(num_elements(o.shape) == num_elements(in[0].shape),
          "cannot reshape to [{}]: element counts differ", fmt::join(o.shape, ","));
  return {in[0].dtype, o.shape};
}

ValueType permute(const op::Permute& o, Inputs in) {
  const Shape& from = in[0].shape;
  require(o.perm.size() == from.size(), "permutation [{}] of another rank",
          fmt::join(o.perm, ","));
  std::vector<bool> seen(from.size(), false);
  ValueType out{in[0].dtype, {}};
  for (std::int64_t axis : o.perm) {
    const std::size_t i = axis_of(axis, in[0]);
    require(!seen[i], "[{}] is no permutation", fmt::join(o.perm, ","));
    seen[i] = true;
    out.shape.push_back(from[i]);
  }
  return out;
}

ValueType expand(const op::Expand& o, Inputs in) {
  const Shape& from = in[0].shape;
  require(o.shape.size() >= from.size() && broadcast(from, o.shape) == o.shape,
          "cannot expand to [{}]", fmt::join(o.shape, ","));
  return {in[0].dtype, o.shape};
}

ValueType pad(const op::Pad& o, Inputs in) {
  ValueType out = in[0];
  require(o.before.size() == out.shape.size() && o.after.size() == out.shape.size(),
          "pads for {} and {} axes", o.before.size(), o.after.size());
  for (std::size_t i = 0; i < out.shape.size(); ++i) {
    require_extent(o.before[i], 0, "pad");
    require_extent(o.after[i], 0, "pad");
    require(
        !__builtin_add_overflow(out.shape[i], o.before[i] + o.after[i], &out.shape[i]),
        "too long on axis {}", i);
  }
  return out;
}

ValueType resize(const op::Resize& o, Inputs in) {
  require_float(in[0], "input");
  require_rank(in[0], 4, "input");
  for (std::size_t i = 0; i < 2; ++i) {
    require_extent(o.out[i], 1, "output extent");
    require_extent(in[0].shape[i + 2], 1, "input extent");
    require(std::isfinite(o.scale[i]) && o.scale[i] >= 0.0, "scale is {}", o.scale[i]);
  }
  return {in[0].dtype, {in[0].shape[0], in[0].shape[1], o.out[0], o.out[1]}};
}

ValueType layer_norm(const op::LayerNorm& o, Inputs in) {
  const ValueType& x = in[0];
  require_float(x, "input");
  const auto rank = static_cast<std::int64_t>(x.shape.size());
  require(o.num_axes >= 1 && o.num_axes <= rank, "{} axes of {}", o.num_axes,
          type_text(x));
  require(std::isfinite(o.eps) && o.eps >= 0.0, "eps is {}", o.eps);
  const Shape tail(x.shape.end() - static_cast<std::ptrdiff_t>(o.num_axes),
                   x.shape.end());
  for (const ValueType& p : in.subspan(1)) {
    require(p.shape == tail, "parameter {} must have the shape of the last {} axes",
            type_text(p), o.num_axes);
  }
  return x;
}

ValueType attention(const op::Attention& o, Inputs in) {
  const ValueType &q = in[0], &k = in[1], &v = in[2];
  for (const ValueType& t : in.first(3)) {
    require_float(t, "operand");
    require(t.shape.size() >= 2, "operands need rank 2 or more");
  }
  require(std::isfinite(o.scale), "scale is {}", o.scale);
  const std::size_t rq = q.shape.size(), rk = k.shape.size(), rv = v.shape.size();
  require(q.shape[rq - 1] == k.shape[rk - 1], "q and k differ in their last extent");
  require(k.shape[rk - 2] == v.shape[rv - 2], "k and v differ in length");
  Shape lead = broadcast({q.shape.begin(), q.shape.end() - 2},
                         {k.shape.begin(), k.shape.end() - 2});
  if (in.size() > 3) {
    Shape scores = lead;
    scores.insert(scores.end(), {q.shape[rq - 2], k.shape[rk - 2]});
    require(broadcast(scores, in[3].shape) == scores,
            "mask {} does not broadcast to [{}]", type_text(in[3]),
            fmt::join(scores, ","));
  }
  lead = broadcast(lead, {v.shape.begin(), v.shape.end() - 2});
  lead.insert(lead.end(), {q.shape[rq - 2], v.shape[rv - 1]});
  return {q.dtype, std::move(lead)};
}

ValueType pixel_shuffle(const op::PixelShuffle& o, Inputs in) {
  const ValueType& x = in[0];
  require_rank(x, 4, "input");
  require_extent(o.factor, 1, "factor");
  require(o.factor <= 1 << 15 && x.shape[1] % (o.factor * o.factor) == 0,
          "{} channels cannot be shuffled by {}", x.shape[1], o.factor);
  require_extent(x.shape[2], 0, "height");
  require_extent(x.shape[3], 0, "width");
  return {x.dtype,
          {x.shape[0], x.shape[1] / (o.factor * o.factor), x.shape[2] * o.factor,
           x.shape[3] * o.factor}};
}

ValueType embedding(Inputs in) {
  require(in[0].dtype == DType::I64 || in[0].dtype == DType::I32,
          "indices must be integers");
  require_rank(in[1], 2, "table");
  require_extent(in[1].shape[0], 1, "table rows");
  ValueType out{in[1].dtype, in[0].shape};
  out.shape.push_back(in[1].shape[1]);
  return out;
}

/// Type of an operator that is not the Integer level's own.
ValueType float_type(const Op& op, Inputs in, Level level) {
  return std::visit(
      Overloaded{
          [&](const op::Input&) -> ValueType { fail("an input's type is its value's"); },
          [&](const op::Conv2d& o) { return conv(o, in); },
          [&](const op::ConvTranspose2d& o) { return conv_transpose(o, in); },
          [&](const op::Linear&) { return linear(in); },
          [&](const op::MatMul&) {
            require_float(in[0], "operand");
            require_float(in[1], "operand");
            return matmul_type(in[0], in[1]);
          },
          [&](const op::BatchNorm& o) { return batch_norm(o, in); },
          [&](const op::Clamp& o) {
            require(o.lo <= o.hi, "bounds [{}, {}]", o.lo, o.hi);
            return in[0];
          },
          [&](const op::Unary&) {
            require_float(in[0], "input");
            return in[0];
          },
          [&](const op::PRelu&) { return prelu(in); },
          [&](const op::Binary&) {
            require(in[0].dtype == in[1].dtype, "operands differ in element type");
            return ValueType{in[0].dtype, broadcast(in[0].shape, in[1].shape)};
          },
          [&](const op::MaxPool2d& o) {
            return pooled(in[0], {o.stride, o.dilation, o.pads, o.ceil_mode}, o.kernel,
                          level);
          },
          [&](const op::AvgPool2d& o) {
            require_float(in[0], "input");
            require_extent(o.divisor, 0, "divisor");
            return pooled(in[0], {o.stride, {1, 1}, o.pads, o.ceil_mode}, o.kernel,
                          level);
          },
          [&](const op::AdaptiveAvgPool2d& o) { return adaptive_pool(o, in); },
          [&](const op::Reduce& o) {
            require_float(in[0], "input");
            return ValueType{in[0].dtype, reduced(in[0], o.axes, o.keepdim)};
          },
          [&](const op::Concat& o) { return concat(o, in); },
          [&](const op::Slice& o) { return slice(o, in); },
          [&](const op::Reshape& o) { return reshape(o, in); },
          [&](const op::Permute& o) { return permute(o, in); },
          [&](const op::Expand& o) { return expand(o, in); },
          [&](const op::Pad& o) { return pad(o, in); },
          [&](const op::Resize& o) { return resize(o, in); },
          [&](const op::Softmax& o) {
            require_float(in[0], "input");
            axis_of(o.axis, in[0]);
            return in[0];
          },
          [&](const op::LayerNorm& o) { return layer_norm(o, in); },
          [&](const op::L2Normalize& o) {
            require_float(in[0], "input");
            axis_of(o.axis, in[0]);
            require(std::isfinite(o.eps) && o.eps >= 0.0, "eps is {}", o.eps);
            return in[0];
          },
          [&](const op::Embedding&) { return embedding(in); },
          [&](const op::Attention& o) { return attention(o, in); },
          [&](const op::PixelShuffle& o) { return pixel_shuffle(o, in); },
          [&](const auto&) { return integer_type(op, in); },
      },
      op);
}

}  // namespace
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
