// SPDX-License-Identifier: MIT
// Float semantics: the meaning of every float operator in LibTorch's terms. Where
// LibTorch has no asymmetric padding, the padding is made explicit first.
#include "lib/aten/semantics.h"

#include <ATen/ATen.h>

#include <cmath>
#include <limits>
#include <utility>

#include "lib/aten/bridge.h"
#include "lib/aten/optional.h"
#include "lib/graph/shape.h"

namespace qopt::aten {
namespace {

using Inputs = std::span<const at::Tensor>;
constexpr double kInf = std::numeric_limits<double>::infinity();

at::Tensor optional_input(Inputs in, std::size_t i) {
  return i < in.size() ? in[i] : at::Tensor();
}

bool is_symmetric(const Quad& p) { return p[0] == p[2] && p[1] == p[3]; }
/// LibTorch wants padding innermost axis first.
at::Tensor pad_image(const at::Tensor& x, const Quad& p, double value) {
  return at::constant_pad_nd(x, {p[1], p[3], p[0], p[2]}, value);
}

at::Tensor conv2d(const op::Conv2d& c, Inputs in) {
  if (is_symmetric(c.pads)) {
    return at::conv2d(in[0], in[1], optional_input(in, 2), c.stride,
                      at::IntArrayRef{c.pads[0], c.pads[1]}, c.dilation, c.groups);
  }
  return at::conv2d(pad_image(in[0], c.pads, 0.0), in[1], optional_input(in, 2), c.stride,
                    at::IntArrayRef{0, 0}, c.dilation, c.groups);
}

at::Tensor conv_transpose2d(const op::ConvTranspose2d& c, Inputs in) {
  if (is_symmetric(c.pads)) {
    return at::conv_transpose2d(in[0], in[1], optional_input(in, 2), c.stride,
                                at::IntArrayRef{c.pads[0], c.pads[1]}, c.output_padding,
                                c.groups, c.dilation);
  }
  const at::Tensor full =
      at::conv_transpose2d(in[0], in[1], optional_input(in, 2), c.stride, 0,
                           c.output_padding, c.groups, c.dilation);
  return full.slice(2, c.pads[0], full.size(2) - c.pads[2])
      .slice(3, c.pads[1], full.size(3) - c.pads[3]);
}

at::Tensor clamp(const op::Clamp& c, const at::Tensor& x) {
  if (c.hi == kInf)
    return c.lo == 0.0 ? at::relu(x) : c.lo == -kInf ? x : at::clamp_min(x, c.lo);
  return c.lo == -kInf ? at::clamp_max(x, c.hi) : at::clamp(x, c.lo, c.hi);
}

/// r + factor (g - r). At 0 the derivative is the left one: leaky_relu's is its slope.
at::Tensor interpolated(const op::Unary& u, const at::Tensor& x, const at::Tensor& g) {
  const at::Tensor r = at::leaky_relu(x, u.c);
  return at::add(r, at::sub(g, r), u.a);
}

/// x Phi(sharpness x).
at::Tensor sharp_gelu(const at::Tensor& x, double sharpness) {
  if (sharpness == 1.0) return at::gelu(x, "none");
  const at::Tensor erf = at::erf(at::mul(x, sharpness * std::sqrt(0.5)));
  return at::mul(at::mul(x, 0.5), at::add(erf, 1.0));
}

at::Tensor unary(const op::Unary& u, const at::Tensor& x) {
  switch (u.kind) {
    case UnaryKind::LeakyRelu: return at::leaky_relu(x, u.a);
    case UnaryKind::HardSwish: return at::hardswish(x);
    case UnaryKind::HardSigmoid: return at::hardsigmoid(x);
    case UnaryKind::Sigmoid: return at::sigmoid(x);
    case UnaryKind::Tanh: return at::tanh(x);
    case UnaryKind::Silu: return at::silu(x);
    case UnaryKind::Gelu: return at::gelu(x, "none");
    case UnaryKind::GeluTanh: return at::gelu(x, "tanh");
    case UnaryKind::Elu: return at::elu(x, u.a, u.b, u.c);
    case UnaryKind::Softplus: return at::softplus(x, u.a, u.b);
    case UnaryKind::Mish: return at::mish(x);
    case UnaryKind::Exp: return at::exp(x);
    case UnaryKind::Log: return at::log(x);
    case UnaryKind::Sqrt: return at::sqrt(x);
    case UnaryKind::Rsqrt: return at::rsqrt(x);
    case UnaryKind::Abs: return at::abs(x);
    case UnaryKind::Neg: return at::neg(x);
    case UnaryKind::Reciprocal: return at::reciprocal(x);
    case UnaryKind::Square: return at::square(x);
    case UnaryKind::InterpolatedGelu: return interpolated(u, x, sharp_gelu(x, u.b));
    case UnaryKind::InterpolatedSilu:
      return interpolated(u, x, at::mul(x, at::sigmoid(at::mul(x, u.b))));
  }
  throw InternalError("unknown unary kind");
}

at::Tensor binary(const op::Binary& b, Inputs in) {
  switch (b.kind) {
    case BinaryKind::Add: return at::add(in[0], in[1]);
    case BinaryKind::Sub: return at::sub(in[0], in[1]);
    case BinaryKind::Mul: return at::mul(in[0], in[1]);
    case BinaryKind::Div: return at::div(in[0], in[1]);
  }
  throw InternalError("unknown binary kind");
}

/// The padding that makes floor-mode windows the same windows: at the far side as much
/// more as the last window of ceil mode needs.
Quad padding_for_windows(const at::Tensor& x, const Quad& pads, const Pair& kernel,
                         const Pair& stride, const Pair& dilation, bool ceil_mode) {
  Quad full = pads;
  for (std::size_t i = 0; i < 2; ++i) {
    const std::int64_t in = x.size(static_cast<std::int64_t>(i) + 2);
    const std::int64_t out = window_extent(in, pads[i], pads[i + 2], kernel[i], stride[i],
                                           dilation[i], ceil_mode);
    const std::int64_t reach = (out - 1) * stride[i] + dilation[i] * (kernel[i] - 1) + 1;
    full[i + 2] = std::max(pads[i + 2], reach - in - pads[i]);
  }
  return full;
}

/// LibTorch's pooling takes equal padding on both sides, at most half a window.
bool is_native_pool_padding(const Quad& pads, const Pair& kernel) {
  return is_symmetric(pads) && pads[0] <= kernel[0] / 2 && pads[1] <= kernel[1] / 2;
}

at::Tensor max_pool2d(const op::MaxPool2d& p, const at::Tensor& x) {
  if (is_native_pool_padding(p.pads, p.kernel)) {
    return at::max_pool2d(x, p.kernel, p.stride, at::IntArrayRef{p.pads[0], p.pads[1]},
                          p.dilation, p.ceil_mode);
  }
  const Quad pads =
      padding_for_windows(x, p.pads, p.kernel, p.stride, p.dilation, p.ceil_mode);
  return at::max_pool2d(pad_image(x, pads, -kInf), p.kernel, p.stride, 0, p.dilation,
                        false);
}

at::Tensor avg_pool2d(const op::AvgPool2d& p, const at::Tensor& x) {
  if (is_native_pool_padding(p.pads, p.kernel)) {
    return at::avg_pool2d(x, p.kernel, p.stride, at::IntArrayRef{p.pads[0], p.pads[1]},
                          p.ceil_mode, p.count_include_pad,
                          p.divisor == 0 ? kNone : Optional<std::int64_t>(p.divisor));
  }
  const Quad full =
      padding_for_windows(x, p.pads, p.kernel, p.stride, {1, 1}, p.ceil_mode);
  const auto window_sums = [&](const at::Tensor& padded) {
    return at::avg_pool2d(padded, p.kernel, p.stride, 0, false, true, 1);
  };
  const at::Tensor sums = window_sums(pad_image(x, full, 0.0));
  if (p.divisor != 0) return at::div(sums, static_cast<double>(p.divisor));
  // The divisor is the number of counted places; what ceil mode adds never counts.
  at::Tensor counted = at::ones({1, 1, x.size(2), x.size(3)}, x.options());
  counted = pad_image(counted, p.pads, p.count_include_pad ? 1.0 : 0.0);
  counted = pad_image(counted, {0, 0, full[2] - p.pads[2], full[3] - p.pads[3]}, 0.0);
  return at::div(sums, window_sums(counted));
}

at::Tensor reduce(const op::Reduce& r, const at::Tensor& x) {
  switch (r.kind) {
    case ReduceKind::Mean: return at::mean(x, r.axes, r.keepdim);
    case ReduceKind::Sum: return at::sum(x, r.axes, r.keepdim);
    case ReduceKind::L2Norm: return at::norm(x, 2, r.axes, r.keepdim);
  }
  throw InternalError("unknown reduce kind");
}

at::Tensor pad(const op::Pad& p, const at::Tensor& x) {
  std::vector<std::int64_t> list;
  for (std::size_t i = p.before.size(); i-- > 0;) {
    list.push_back(p.before[i]);
    list.push_back(p.after[i]);
  }
  return at::constant_pad_nd(x, list, p.value);
}

at::Tensor resize(const op::Resize& r, const at::Tensor& x) {
  const auto scale = [&](std::size_t i) {
    return r.scale[i] == 0.0 ? kNone : Optional<double>(r.scale[i]);
  };
  switch (r.mode) {
    case ResizeMode::Nearest: return at::upsample_nearest2d(x, r.out, scale(0), scale(1));
    case ResizeMode::Bilinear:
      return at::upsample_bilinear2d(x, r.out, r.align_corners, scale(0), scale(1));
  }
  throw InternalError("unknown resize mode");
}

at::Tensor layer_norm(const op::LayerNorm& n, Inputs in) {
  const at::IntArrayRef shape =
      in[0].sizes().slice(static_cast<std::size_t>(in[0].dim() - n.num_axes),
                          static_cast<std::size_t>(n.num_axes));
  return at::layer_norm(in[0], shape, optional_input(in, 1), optional_input(in, 2), n.eps,
                        /*cudnn_enable=*/false);
}

at::Tensor attention(const op::Attention& a, Inputs in) {
  const double scale =
      a.scale != 0.0 ? a.scale : 1.0 / std::sqrt(static_cast<double>(in[0].size(-1)));
  at::Tensor score = at::matmul(at::mul(in[0], scale), in[1].transpose(-2, -1));
  if (a.causal) {
    const at::Tensor later =
        at::ones({score.size(-2), score.size(-1)}, at::kBool).triu(1);
    score = score.masked_fill(later, -kInf);
  }
  if (in.size() > 3) score = at::add(score, in[3]);
  return at::matmul(at::softmax(score, -1), in[2]);
}

at::Tensor embedding(Inputs in) {
  const at::Tensor &indices = in[0], &table = in[1];
  if (indices.numel() > 0) {
    const auto lo = indices.min().item<std::int64_t>(),
               hi = indices.max().item<std::int64_t>();
    if (lo < 0 || hi >= table.size(0)) {
      throw Error(ExitCode::Data, "",
                  fmt::format("index {} is outside a table of {} rows", lo < 0 ? lo : hi,
                              table.size(0)));
    }
  }
  return at::embedding(table, indices);
}

at::Tensor apply_op(const Op& op, Inputs in) {
  using T = at::Tensor;
  const auto integer_only = [](std::string_view name) -> T {
    throw InternalError(fmt::format("{} has no float meaning", name));
  };
  return std::visit(
      Overloaded{
          [&](const op::Input& o) { return integer_only(o.kName); },
          [&](const op::Conv2d& o) { return conv2d(o, in); },
          [&](const op::ConvTranspose2d& o) { return conv_transpose2d(o, in); },
          [&](const op::Linear&) {
            return at::linear(in[0], in[1], optional_input(in, 2));
          },
          [&](const op::MatMul&) { return at::matmul(in[0], in[1]); },
          [&](const op::BatchNorm& o) {
            return at::batch_norm(in[0], in[1], in[2], in[3], in[4], false, 0.0, o.eps,
                                  false);
          },
          [&](const op::Clamp& o) { return clamp(o, in[0]); },
          [&](const op::Unary& o) { return unary(o, in[0]); },
          [&](const op::PRelu&) { return at::prelu(in[0], in[1]); },
          [&](const op::Binary& o) { return binary(o, in); },
          [&](const op::MaxPool2d& o) { return max_pool2d(o, in[0]); },
          [&](const op::AvgPool2d& o) { return avg_pool2d(o, in[0]); },
          [&](const op::AdaptiveAvgPool2d& o) {
            return at::adaptive_avg_pool2d(in[0], o.out);
          },
          [&](const op::Reduce& o) { return reduce(o, in[0]); },
          [&](const op::Concat& o) {
            return at::cat(at::TensorList(in.data(), in.size()), o.axis);
          },
          [&](const op::Slice& o) {
            return T(in[0].slice(o.axis, o.start, o.end, o.step));
          },
          [&](const op::Reshape& o) { return in[0].reshape(o.shape); },
          [&](const op::Permute& o) { return in[0].permute(o.perm); },
          [&](const op::Expand& o) { return in[0].expand(o.shape); },
          [&](const op::Pad& o) { return pad(o, in[0]); },
          [&](const op::Resize& o) { return resize(o, in[0]); },
          [&](const op::Softmax& o) { return at::softmax(in[0], o.axis); },
          [&](const op::LayerNorm& o) { return layer_norm(o, in); },
          [&](const op::L2Normalize& o) {
            return at::div(in[0],
                           at::clamp_min(at::norm(in[0], 2, {o.axis}, true), o.eps));
          },
          [&](const op::Embedding&) { return embedding(in); },
          [&](const op::Attention& o) { return attention(o, in); },
          [&](const op::PixelShuffle& o) { return at::pixel_shuffle(in[0], o.factor); },
          [&](const op::QConv2d& o) { return integer_only(o.kName); },
          [&](const op::QConvTranspose2d& o) { return integer_only(o.kName); },
          [&](const op::QMatMul& o) { return integer_only(o.kName); },
          [&](const op::QAdd& o) { return integer_only(o.kName); },
          [&](const op::QMul& o) { return integer_only(o.kName); },
          [&](const op::QDiv& o) { return integer_only(o.kName); },
          [&](const op::Rescale& o) { return integer_only(o.kName); },
          [&](const op::Lut& o) { return integer_only(o.kName); },
          [&](const op::QAvgPool2d& o) { return integer_only(o.kName); },
          [&](const op::QReduce& o) { return integer_only(o.kName); },
          [&](const op::QResize& o) { return integer_only(o.kName); },
          [&](const op::QSoftmax& o) { return integer_only(o.kName); },
          [&](const op::QLayerNorm& o) { return integer_only(o.kName); },
          [&](const op::QL2Normalize& o) { return integer_only(o.kName); },
          [&](const op::QGather& o) { return integer_only(o.kName); },
      },
      op);
}

}  // namespace

FloatSemantics::FloatSemantics(const Graph& graph) : bound_(graph.values().size()) {
  for (std::size_t i = 0; i < bound_.size(); ++i) {
    const qopt::Value& value = graph.values()[i];
    if (value.constant) bound_[i] = to_at(*value.constant);
  }
}

void FloatSemantics::bind(ValueId id, at::Tensor tensor) {
  QOPT_CHECK(bound(id).sizes() == tensor.sizes(), "value {} bound to another shape",
             id.index);
  bound_[id.index] = std::move(tensor);
}

const at::Tensor& FloatSemantics::bound(ValueId id) const {
  QOPT_CHECK(id.index < bound_.size() && bound_[id.index].defined(),
             "value {} is no constant", id.index);
  return bound_[id.index];
}

at::Tensor FloatSemantics::constant(const Graph&, ValueId id, const Tensor&) const {
  return bound(id);
}

at::Tensor FloatSemantics::apply(const Graph& graph, const Node& node,
                                 std::span<const at::Tensor> in) const {
  try {
    return apply_op(node.op, in);
  } catch (const c10::Error& e) {
    // Shape inference accepted the node, so LibTorch's refusal is our mistake.
    throw InternalError(fmt::format("{} in node {}: {}", op_name(node.op),
                                    graph.value(node.output).name,
                                    short_reason(e.what_without_backtrace())));
  }
}

}  // namespace qopt::aten
