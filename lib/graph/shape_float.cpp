// SPDX-License-Identifier: MIT
// Shape inference of the float operators and of the operators that all levels share.
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "lib/graph/shape_rules.h"

namespace qopt::shape_rules {
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

}  // namespace

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

}  // namespace qopt::shape_rules
