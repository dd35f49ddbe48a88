// SPDX-License-Identifier: MIT
// Lowering of everything with weights or a matrix product: convolutions, linear layers,
// matmul. Biases join the accumulator's scale, weights become signed codes, each channel
// gets its multiplier.
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "lib/fixedpoint/lower_context.h"

namespace qopt {
namespace {

constexpr std::int64_t kMaxInt32 = std::numeric_limits<std::int32_t>::max();

Error unsupported(std::string what, std::string hint = {}) {
  return Error(ExitCode::ModelUnsupported, "", std::move(what), std::move(hint));
}

/// Weights before encoding, output channels outermost.
struct RealWeights {
  ValueId source;  // the Encoded graph's constant
  Tensor values;   // f32 [O,KH,KW,Cg]
  std::function<std::size_t(std::int64_t)>
      channel_of;  // output channel -> entry of scale
};

/// One output channel: its codes' zero point, its accumulator's bias and its requantiser.
struct Channel {
  std::int64_t zero = 0;
  std::int64_t bias = 0;
  Multiplier multiplier;
  bool constant = false;  // the weights do not matter: only the bias is left
};

/// Signed form of a weight encoding: level set `u` moves down by half its codes, zero
/// point too.
std::int32_t signed_offset(const Affine& e) {
  return e.levels == LevelSet::U ? 1 << (e.bits - 1) : 0;
}

/// A channel that adds less than this to any output, in codes, is left out. So a channel
/// that is dead but for rounding noise costs no wide accumulator, and a bias keeps its
/// precision.
constexpr double kNegligible = 1.0 / 512;

/// Bias and multiplier of a channel without weights: the bias in 2^-k output codes, k as
/// large as 31 bits allow (22: a thousandth of a code is plenty).
Channel constant_channel(double bias_in_codes, std::int64_t zero) {
  Channel channel{zero, 0, {}, true};
  // Beyond 2^17 every output saturates, whatever the clamp.
  const double bias = std::clamp(bias_in_codes, -131072.0, 131072.0);
  int k = 22;
  while (std::fabs(std::ldexp(bias, k)) > static_cast<double>(kMaxInt32 / 2)) --k;
  channel.bias = static_cast<std::int64_t>(round_half_even(std::ldexp(bias, k)));
  channel.multiplier = to_multiplier(std::ldexp(1.0, -k));
  return channel;
}

Channel make_channel(double bias, double weight_scale, std::int64_t zero,
                     std::int64_t weight_sum, const Quant& x, const Quant& y) {
  const double acc_scale = x.scale * weight_scale;
  const double factor = acc_scale / y.scale;
  const std::int64_t most = std::max(x.hi - x.zero, x.zero - x.lo);
  if (static_cast<double>(weight_sum) * static_cast<double>(most) * factor <
      kNegligible) {
    return constant_channel(bias / y.scale, zero);
  }
  const double in_acc = round_half_even(bias / acc_scale);
  if (!(std::fabs(in_acc) < 0x1.0p61)) {
    throw unsupported(
        fmt::format("bias {} is {} times the weights' scale", bias, in_acc));
  }
  return {zero, static_cast<std::int64_t>(in_acc), to_multiplier(factor), false};
}

/// The constant operands of QConv2d and QConvTranspose2d, after x.
struct Operands {
  std::vector<ValueId> inputs;
  std::int64_t weight_bits = 8;
};

template <class T>
Tensor vector_of(const std::vector<Channel>& channels,
                 const std::function<T(const Channel&)>& f) {
  std::vector<T> out;
  for (const Channel& channel : channels) out.push_back(f(channel));
  return Tensor::of(out);
}

/// Encoded codes less `offset`, each output channel by its own entry.
std::vector<std::int32_t> signed_codes(const RealWeights& w, const Affine& e) {
  const std::int64_t out = w.values.shape().at(0);
  const std::int64_t count = out == 0 ? 0 : w.values.size() / out;
  const std::span<const float> real = w.values.values<float>();
  std::vector<std::int32_t> codes(real.size());
  for (std::int64_t o = 0; o < out; ++o) {
    const std::size_t entry = w.channel_of(o);
    for (std::int64_t i = o * count; i < (o + 1) * count; ++i) {
      const auto at = static_cast<std::size_t>(i);
      codes[at] = encode(real[at], e, entry) - signed_offset(e);
    }
  }
  return codes;
}

/// The encoding of the signed codes, one entry for each output channel where there were
/// several.
Affine signed_encoding(const RealWeights& w, const Affine& e) {
  Affine out{e.levels == LevelSet::U ? LevelSet::S : e.levels, e.bits, {}, {}, {}};
  const std::int64_t channels = e.axis ? w.values.shape().at(0) : 1;
  for (std::int64_t o = 0; o < channels; ++o) {
    const std::size_t entry = e.axis ? w.channel_of(o) : 0;
    out.scale.push_back(e.scale.at(entry));
    out.zero_point.push_back(e.zero_point.at(entry) - signed_offset(e));
  }
  if (e.axis) out.axis = 0;
  return out;
}

Tensor code_tensor(const std::vector<std::int32_t>& codes, const Shape& shape, int bits) {
  if (bits > 8) {
    return Tensor::from(std::vector<std::int16_t>(codes.begin(), codes.end()), shape);
  }
  return Tensor::from(std::vector<std::int8_t>(codes.begin(), codes.end()), shape);
}

const Affine& weight_encoding(const Lowering& to, ValueId id) {
  const Value& value = to.source().value(id);
  if (!value.constant) {
    throw unsupported(fmt::format("weight '{}' is computed at run time", value.name));
  }
  if (!value.encoding)
    throw unsupported(fmt::format("weight '{}' has no encoding", value.name));
  return affine_of(*value.encoding);
}

Operands make_operands(Lowering& to, const Node& node, const RealWeights& w,
                       std::optional<ValueId> bias_id, const Quant& x, const Target& y) {
  const Affine& e = weight_encoding(to, w.source);
  const std::int64_t out = w.values.shape().at(0);
  const std::int64_t count = out == 0 ? 0 : w.values.size() / out;
  std::vector<std::int32_t> codes = signed_codes(w, e);
  std::optional<Tensor> bias;
  if (bias_id) bias = to.real_constant(*bias_id);
  std::vector<Channel> channels;
  for (std::int64_t o = 0; o < out; ++o) {
    const std::size_t entry = w.channel_of(o);
    const std::int64_t zero = e.zero_point.at(entry) - signed_offset(e);
    const auto begin = codes.begin() + o * count, end = begin + count;
    std::int64_t weight_sum = 0;
    for (auto code = begin; code != end; ++code) weight_sum += std::abs(*code - zero);
    const double b =
        bias ? static_cast<double>(bias->values<float>()[static_cast<std::size_t>(o)])
             : 0.0;
    channels.push_back(
        make_channel(b, static_cast<double>(e.scale.at(entry)), zero, weight_sum, x, y));
    if (channels.back().constant) std::fill(begin, end, static_cast<std::int32_t>(zero));
  }

  const std::string& name = to.source().value(w.source).name;
  Operands made;
  made.weight_bits = e.bits;
  made.inputs.push_back(to.constant(name, code_tensor(codes, w.values.shape(), e.bits),
                                    signed_encoding(w, e)));
  const bool wide = std::ranges::any_of(
      channels, [](const Channel& c) { return std::abs(c.bias) > kMaxInt32; });
  const Tensor biases =
      wide ? vector_of<std::int64_t>(channels, [](const Channel& c) { return c.bias; })
           : vector_of<std::int32_t>(channels, [](const Channel& c) {
               return static_cast<std::int32_t>(c.bias);
             });
  made.inputs.push_back(bias_id ? to.constant(to.source().value(*bias_id).name, biases)
                                : to.constant(node, "bias", biases));
  made.inputs.push_back(to.constant(
      node, "multiplier", vector_of<std::int32_t>(channels, [](const Channel& c) {
        return c.multiplier.multiplier;
      })));
  made.inputs.push_back(
      to.constant(node, "shift", vector_of<std::int8_t>(channels, [](const Channel& c) {
                    return static_cast<std::int8_t>(c.multiplier.shift);
                  })));
  if (std::ranges::any_of(channels, [](const Channel& c) { return c.zero != 0; })) {
    made.inputs.push_back(to.constant(
        node, "w_zero", vector_of<std::int16_t>(channels, [](const Channel& c) {
          return static_cast<std::int16_t>(c.zero);
        })));
  }
  return made;
}

/// Entry of the scale for each output channel, when entries lie along the weights' own
/// `axis`.
std::function<std::size_t(std::int64_t)> channels_along(const Affine& e, int axis,
                                                        std::int64_t entries) {
  if (!e.axis) return [](std::int64_t) { return std::size_t{0}; };
  if (*e.axis != axis) {
    throw unsupported(
        fmt::format("weights with one scale for each index of axis {}", *e.axis),
        "one scale an output channel, or one for all");
  }
  return [entries](std::int64_t o) { return static_cast<std::size_t>(o % entries); };
}

std::optional<ValueId> optional_input(const Node& node, std::size_t index) {
  if (node.inputs.size() <= index) return std::nullopt;
  return node.inputs[index];
}

/// x[..., I] times weights w[O,1,1,I]: a 1x1 convolution over [1,1,rows,I]. The rows may
/// lie in any order, so only the inner axis is asked to be last.
void lower_rows(Lowering& to, const Node& node, ValueId x, const RealWeights& w,
                std::optional<ValueId> bias) {
  const auto inner = static_cast<std::int64_t>(to.rank(x)) - 1;
  const Layout layout = with_axis_last(to.layout(x), inner);
  const std::int64_t in = to.shape(x).back(), out = w.values.shape().at(0);
  const std::int64_t rows = in == 0 ? 0 : num_elements(to.shape(x)) / in;
  const Quant qx = to.quant(x);
  const Target y = to.target(node);

  ValueId flat = to.get(x, layout);
  const Encoding encoding = *to.graph().value(flat).encoding;
  const Shape flat_shape{1, 1, rows, in};
  if (to.graph().value(flat).shape != flat_shape) {
    flat = to.helper(node, "rows", op::Reshape{flat_shape}, {flat}, encoding);
  }
  const Operands made = make_operands(to, node, w, bias, qx, y);
  op::QConv2d conv;
  conv.weight_bits = made.weight_bits;
  conv.x_zero = qx.zero, conv.y_zero = y.zero, conv.lo = y.lo, conv.hi = y.hi;
  std::vector<ValueId> inputs{flat};
  inputs.insert(inputs.end(), made.inputs.begin(), made.inputs.end());

  const Shape result = physical_shape(to.shape(y.value), layout);
  if (result == Shape{1, 1, rows, out}) {
    to.put(node, y.value, conv, inputs, layout);
    return;
  }
  const ValueId product =
      to.helper(node, "linear", conv, inputs, to.source().value(y.value).encoding);
  to.put(node, y.value, op::Reshape{result}, {product}, layout);
}

/// Columns of w[O,I] in the order in which the input's last axis lies.
Tensor order_columns(const Tensor& w, const ColumnOrder& columns) {
  Shape split{w.shape().at(0)};
  split.insert(split.end(), columns.extents.begin(), columns.extents.end());
  Ints perm{0};
  for (std::int64_t axis : columns.order) perm.push_back(axis + 1);
  return permuted(w.reshaped(split), perm).reshaped(w.shape());
}

}  // namespace

void lower_node(Lowering& to, const Node& node, const op::Conv2d& o) {
  const ValueId x = node.inputs.at(0), weight = node.inputs.at(1);
  const Affine& e = weight_encoding(to, weight);
  const Tensor& real = *to.source().value(weight).constant;  // O,Cg,KH,KW
  const RealWeights w{weight, permuted(real, nhwc_layout()),
                      channels_along(e, 0, real.shape().at(0))};
  const Quant qx = to.quant(x);
  const Target y = to.target(node);
  const Operands made = make_operands(to, node, w, optional_input(node, 2), qx, y);
  std::vector<ValueId> inputs{to.get(x, nhwc_layout())};
  inputs.insert(inputs.end(), made.inputs.begin(), made.inputs.end());
  const op::QConv2d conv{o.stride, o.dilation, o.pads, o.groups, made.weight_bits,
                         qx.zero,  y.zero,     y.lo,   y.hi};
  to.put(node, y.value, conv, inputs, nhwc_layout());
}

void lower_node(Lowering& to, const Node& node, const op::ConvTranspose2d& o) {
  const ValueId x = node.inputs.at(0), weight = node.inputs.at(1);
  const Affine& e = weight_encoding(to, weight);
  const Tensor& real = *to.source().value(weight).constant;  // C,Og,KH,KW
  const std::int64_t g = o.groups, in = real.shape().at(0) / g, out = real.shape().at(1);
  const std::int64_t kh = real.shape().at(2), kw = real.shape().at(3);
  const Tensor split = real.reshaped({g, in, out, kh, kw});
  const std::int64_t order[] = {0, 2, 3, 4, 1};
  const RealWeights w{weight, permuted(split, order).reshaped({g * out, kh, kw, in}),
                      channels_along(e, 1, out)};
  const Quant qx = to.quant(x);
  const Target y = to.target(node);
  const Operands made = make_operands(to, node, w, optional_input(node, 2), qx, y);
  std::vector<ValueId> inputs{to.get(x, nhwc_layout())};
  inputs.insert(inputs.end(), made.inputs.begin(), made.inputs.end());
  const op::QConvTranspose2d conv{
      o.stride,         o.dilation, o.output_padding, o.pads, o.groups,
      made.weight_bits, qx.zero,    y.zero,           y.lo,   y.hi};
  to.put(node, y.value, conv, inputs, nhwc_layout());
}

void lower_node(Lowering& to, const Node& node, const op::Linear&) {
  const ValueId x = node.inputs.at(0), weight = node.inputs.at(1);
  const Affine& e = weight_encoding(to, weight);
  Tensor real = *to.source().value(weight).constant;  // O,I
  const std::int64_t out = real.shape().at(0), in = real.shape().at(1);
  if (to.columns(x)) real = order_columns(real, *to.columns(x));
  const RealWeights w{weight, real.reshaped({out, 1, 1, in}), channels_along(e, 0, out)};
  lower_rows(to, node, x, w, optional_input(node, 2));
}

void lower_node(Lowering& to, const Node& node, const op::MatMul&) {
  const ValueId a = node.inputs.at(0), b = node.inputs.at(1);
  // Constant weights shared by all rows: a linear layer with transposed weights.
  if (to.is_constant(b) && to.rank(b) == 2 && !to.is_constant(a)) {
    const Affine& e = weight_encoding(to, b);
    const Tensor& real = *to.source().value(b).constant;  // I,O
    const std::int64_t in = real.shape().at(0), out = real.shape().at(1);
    const std::int64_t transpose[] = {1, 0};
    const RealWeights w{b, permuted(real, transpose).reshaped({out, 1, 1, in}),
                        channels_along(e, 1, out)};
    return lower_rows(to, node, a, w, std::nullopt);
  }
  const Quant qa = to.quant(a), qb = to.quant(b);
  const Target y = to.target(node);
  const Multiplier m = to_multiplier(qa.scale * qb.scale / y.scale);
  const op::QMatMul product{qa.zero, qb.zero, m.multiplier, m.shift, y.zero, y.lo, y.hi};
  const std::vector<ValueId> inputs{to.get(a, identity_layout(to.rank(a))),
                                    to.get(b, identity_layout(to.rank(b)))};
  to.put(node, y.value, product, inputs, identity_layout(to.rank(y.value)));
}

}  // namespace qopt
