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

/// Bias and multiplier of a channel without weights: the bias with up to 12 fraction bits
/// of an output code, inside 24 bits, so that it never decides the accumulator's width.
/// Odd weights have no zero to be cleared to: there the fraction is as long as 31 bits
/// allow, so that what they add is next to nothing.
Channel constant_channel(double bias_in_codes, std::int64_t zero, bool odd) {
  Channel channel{zero, 0, {}, true};
  // Beyond 2^17 every output saturates, whatever the clamp.
  const double bias = std::clamp(bias_in_codes, -0x1p17, 0x1p17);
  int fraction = odd ? 30 : 12;
  while (std::fabs(std::ldexp(bias, fraction)) > (odd ? 0x1p30 : 0x1p23)) --fraction;
  channel.bias = static_cast<std::int64_t>(round_half_even(std::ldexp(bias, fraction)));
  channel.multiplier = to_multiplier(std::ldexp(1.0, -fraction));
  return channel;
}

/// `weight_sum` is the sum of |code - zero| of the channel's `count` weights.
Channel make_channel(double bias, double weight_scale, std::int64_t zero,
                     std::int64_t weight_sum, std::int64_t count, bool odd,
                     const Quant& x, const Quant& y, int fraction) {
  const double acc_scale = x.scale * weight_scale;
  const double factor = acc_scale / y.scale;
  const std::int64_t most = std::max(x.hi - x.zero, x.zero - x.lo);
  if (static_cast<double>(weight_sum) * static_cast<double>(most) * factor <
      kNegligible) {
    return constant_channel(bias / y.scale, zero, odd);
  }
  // Every form of N38 keeps its sums within twice the greatest code times the weights.
  const auto code = static_cast<double>(std::max(std::abs(x.lo), std::abs(x.hi)));
  const auto weights = static_cast<double>(weight_sum) +
                       static_cast<double>(count) * static_cast<double>(std::abs(zero));
  const double sums = 2 * code * weights + std::fabs(bias / acc_scale);
  const Multiplier multiplier =
      bias == 0 ? to_multiplier(factor) : to_sum_multiplier(factor, sums, fraction);
  const double in_acc =
      round_half_even(std::ldexp(bias / acc_scale, std::max(multiplier.shift, 0)));
  if (!(std::fabs(in_acc) < 0x1.0p61)) {
    throw unsupported(
        fmt::format("bias {} is {} times the weights' scale", bias, bias / acc_scale));
  }
  return {zero, static_cast<std::int64_t>(in_acc), multiplier, false};
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

/// The encoding with one entry for each output channel where it had several.
Affine channel_encoding(const RealWeights& w, const Affine& e) {
  if (!e.axis) return e;
  Affine out{e.levels, e.bits, {}, {}, 0};
  for (std::int64_t o = 0; o < w.values.shape().at(0); ++o) {
    out.scale.push_back(e.scale.at(w.channel_of(o)));
    out.zero_point.push_back(e.zero_point.at(w.channel_of(o)));
  }
  return out;
}

/// The same weights said by signed codes.
Affine signed_encoding(const Affine& e) {
  Affine out = e;
  if (e.levels == LevelSet::U) out.levels = LevelSet::S;
  for (std::int32_t& zero : out.zero_point) zero -= signed_offset(e);
  return out;
}

/// Sums of |code - zero| of each output channel, from stored codes; those codes become
/// signed. `T` is their storage type. Stored codes of `u` at 8 and 16 bits are signed
/// already.
template <class T>
std::vector<std::int64_t> make_signed(Tensor& codes, const Affine& e) {
  const std::int32_t down = signed_offset(e) - storage_offset(e);
  const Affine is = signed_encoding(e);
  const std::span<T> all = codes.mutable_values<T>();
  std::vector<std::int64_t> sums(static_cast<std::size_t>(codes.shape().at(0)), 0);
  const std::size_t count = sums.empty() ? 0 : all.size() / sums.size();
  for (std::size_t o = 0; o < sums.size(); ++o) {
    const std::int32_t zero = is.zero_point[e.axis ? o : 0];
    for (T& code : all.subspan(o * count, count)) {
      code = static_cast<T>(code - down);
      sums[o] += std::abs(code - zero);
    }
  }
  return sums;
}

/// Puts `zero` everywhere in one output channel.
template <class T>
void clear_channel(Tensor& codes, std::int64_t o, std::int64_t zero) {
  const std::span<T> all = codes.mutable_values<T>();
  const std::size_t count = all.size() / static_cast<std::size_t>(codes.shape().at(0));
  std::ranges::fill(all.subspan(static_cast<std::size_t>(o) * count, count),
                    static_cast<T>(zero));
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
  const Affine e = channel_encoding(w, weight_encoding(to, w.source));
  const Affine as_signed = signed_encoding(e);
  const bool bytes = storage_dtype(e) == DType::I8;
  Tensor codes = encode_tensor(w.values, e);
  const std::vector<std::int64_t> sums =
      bytes ? make_signed<std::int8_t>(codes, e) : make_signed<std::int16_t>(codes, e);
  std::optional<Tensor> bias;
  if (bias_id) bias = to.real_constant(*bias_id);
  std::vector<Channel> channels;
  const std::int64_t count =
      sums.empty() ? 0 : codes.size() / static_cast<std::int64_t>(sums.size());
  for (std::size_t o = 0; o < sums.size(); ++o) {
    const std::size_t entry = e.axis ? o : 0;
    const std::int64_t zero = as_signed.zero_point.at(entry);
    const double b = bias ? static_cast<double>(bias->values<float>()[o]) : 0.0;
    channels.push_back(make_channel(b, static_cast<double>(e.scale.at(entry)), zero,
                                    sums[o], count, !has_zero(e.levels), x, y,
                                    to.bias_fraction()));
    if (!channels.back().constant || !has_zero(e.levels)) continue;
    if (bytes) {
      clear_channel<std::int8_t>(codes, static_cast<std::int64_t>(o), zero);
    } else {
      clear_channel<std::int16_t>(codes, static_cast<std::int64_t>(o), zero);
    }
  }

  const std::string& name = to.source().value(w.source).name;
  Operands made;
  made.weight_bits = e.bits;
  made.inputs.push_back(to.constant(name, std::move(codes), as_signed));
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
