// SPDX-License-Identifier: MIT
// y = x * m + a, with m and a constant along one axis: folded into the layer that makes
// x, else turned into a depthwise convolution. Batch norm, constant arithmetic, zero
// padding.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "lib/graph/passes/edit.h"
#include "lib/graph/passes/passes.h"

namespace qopt {
namespace {

/// x * factor + offset along `axis`; one entry each when axis is empty.
struct Affinity {
  std::optional<std::size_t> axis;
  std::vector<double> factor, offset;
};

/// A layer with constant weights whose results' channels lie along `axis`.
struct Layer {
  std::size_t node = 0;
  std::size_t axis = 0;
  std::int64_t channels = 0;
};

/// The layer behind `value`, through permutations, where every step has one use. `axis`
/// is the affinity's axis of `value`; empty (a scalar) fits any.
std::optional<Layer> layer_behind(const Graph& graph, ValueId value,
                                  std::optional<std::size_t> axis) {
  for (;;) {
    const std::optional<std::size_t> i = edit::sole_producer(graph, value);
    if (!i) return std::nullopt;
    const Node& node = graph.nodes()[*i];
    if (const auto* permute = std::get_if<op::Permute>(&node.op)) {
      if (axis) axis = static_cast<std::size_t>(permute->perm[*axis]);
      value = node.inputs[0];
      continue;
    }
    const bool conv = std::holds_alternative<op::Conv2d>(node.op) ||
                      std::holds_alternative<op::ConvTranspose2d>(node.op);
    if (!conv && !std::holds_alternative<op::Linear>(node.op)) return std::nullopt;
    for (std::size_t k = 1; k < node.inputs.size(); ++k) {
      if (!edit::constant_reals(graph, node.inputs[k])) return std::nullopt;
    }
    const Shape& shape = graph.value(value).shape;
    const std::size_t channel_axis = conv ? 1 : shape.size() - 1;
    if (axis && axis != channel_axis) return std::nullopt;
    return Layer{*i, channel_axis, shape[channel_axis]};
  }
}

/// Output channel of weight element n.
std::size_t channel_of_weight(const Node& node, const Shape& w, std::size_t n) {
  std::size_t inner = 1;
  for (std::size_t i = 1; i < w.size(); ++i) inner *= static_cast<std::size_t>(w[i]);
  const auto* transposed = std::get_if<op::ConvTranspose2d>(&node.op);
  if (transposed == nullptr) return n / inner;
  const auto per_group = static_cast<std::size_t>(w[1]);
  const auto inputs_per_group = static_cast<std::size_t>(w[0] / transposed->groups);
  const std::size_t group = n / inner / inputs_per_group;
  return group * per_group + n % inner / (inner / per_group);
}

std::string bias_name(const Graph& graph, const Node& node) {
  constexpr std::string_view kWeight = ".weight";
  std::string name = graph.value(node.inputs[1]).name;
  if (name.ends_with(kWeight)) name.resize(name.size() - kWeight.size());
  return name + ".bias";
}

void fold_into(Graph& graph, const Layer& layer, const Affinity& affinity) {
  const Node node = graph.nodes()[layer.node];
  const DType dtype = graph.value(node.inputs[1]).dtype;
  const Shape shape = graph.value(node.inputs[1]).shape;
  const auto entry = [&](const std::vector<double>& v, std::size_t channel) {
    return v[affinity.axis ? channel : 0];
  };
  std::vector<double> weight = *edit::constant_reals(graph, node.inputs[1]);
  for (std::size_t n = 0; n < weight.size(); ++n) {
    weight[n] *= entry(affinity.factor, channel_of_weight(node, shape, n));
  }
  std::vector<double> bias(static_cast<std::size_t>(layer.channels), 0.0);
  const bool had_bias = node.inputs.size() > 2;
  if (had_bias) bias = *edit::constant_reals(graph, node.inputs[2]);
  for (std::size_t c = 0; c < bias.size(); ++c) {
    bias[c] = bias[c] * entry(affinity.factor, c) + entry(affinity.offset, c);
  }
  edit::set_constant(graph, layer.node, 1, edit::tensor_of(dtype, weight, shape), "");
  const bool zero = std::ranges::all_of(bias, [](double b) { return b == 0.0; });
  if (had_bias || !zero) {
    edit::set_constant(graph, layer.node, 2,
                       edit::tensor_of(dtype, bias, {layer.channels}),
                       bias_name(graph, node));
  }
}

/// Node i becomes a depthwise 1x1 convolution of `x` over its C channels.
void become_depthwise(Graph& graph, std::size_t i, ValueId x,
                      const std::vector<double>& m, const std::vector<double>& a) {
  const DType dtype = graph.value(x).dtype;
  const std::string name = graph.value(graph.nodes()[i].output).name;
  const auto channels = static_cast<std::int64_t>(m.size());
  op::Conv2d conv;
  conv.groups = channels;
  std::vector<ValueId> inputs{
      x, graph.add_constant(name + ".weight",
                            edit::tensor_of(dtype, m, {channels, 1, 1, 1}))};
  if (std::ranges::any_of(a, [](double b) { return b != 0.0; })) {
    inputs.push_back(
        graph.add_constant(name + ".bias", edit::tensor_of(dtype, a, {channels})));
  }
  edit::become(graph, i, conv, std::move(inputs));
}

/// gamma / sqrt(var + eps) and beta - mean * that, along axis 1.
Affinity batch_norm_affinity(const Graph& graph, const Node& node) {
  std::vector<double> p[4];
  for (std::size_t k = 0; k < 4; ++k) {
    auto reals = edit::constant_reals(graph, node.inputs[k + 1]);
    if (!reals) {
      throw Error(ExitCode::ModelUnsupported, graph.value(node.output).name,
                  "batch norm without constant statistics",
                  "put the model in evaluation mode before saving it");
    }
    p[k] = std::move(*reals);
  }
  const double eps = std::get<op::BatchNorm>(node.op).eps;
  Affinity affinity{1, {}, {}};
  for (std::size_t c = 0; c < p[0].size(); ++c) {
    const double factor = p[0][c] / std::sqrt(p[3][c] + eps);
    affinity.factor.push_back(factor);
    affinity.offset.push_back(p[1][c] - p[2][c] * factor);
  }
  return affinity;
}

/// A batch norm with no layer behind it: its own depthwise convolution, or Mul and Add.
bool separate_batch_norm_at(Graph& graph, std::size_t i) {
  const Node node = graph.nodes()[i];
  if (!std::holds_alternative<op::BatchNorm>(node.op)) return false;
  const ValueId x = node.inputs[0];
  if (layer_behind(graph, x, 1)) return false;
  const Affinity affinity = batch_norm_affinity(graph, node);
  const Value& input = graph.value(x);
  if (input.shape.size() == 4) {
    become_depthwise(graph, i, x, affinity.factor, affinity.offset);
    return true;
  }
  const DType dtype = input.dtype;
  Shape shape(input.shape.size() - 1, 1);
  shape[0] = input.shape[1];
  const std::string name = graph.value(node.output).name;
  const ValueId factor = graph.add_constant(
      name + ".factor", edit::tensor_of(dtype, affinity.factor, shape));
  const ValueId offset = graph.add_constant(
      name + ".offset", edit::tensor_of(dtype, affinity.offset, shape));
  const ValueId scaled = graph.insert(i, op::Binary{BinaryKind::Mul}, {x, factor},
                                      name + ".scaled", node.source);
  edit::become(graph, i + 1, op::Binary{BinaryKind::Add}, {scaled, offset});
  return true;
}

bool fold_batch_norm_at(Graph& graph, std::size_t i) {
  const Node& node = graph.nodes()[i];
  if (!std::holds_alternative<op::BatchNorm>(node.op)) return false;
  const ValueId x = node.inputs[0];
  const std::optional<Layer> layer = layer_behind(graph, x, 1);
  if (!layer) return separate_batch_norm_at(graph, i);
  fold_into(graph, *layer, batch_norm_affinity(graph, node));
  edit::bypass(graph, i, x);
  return true;
}

bool normalize_at(Graph& graph, std::size_t i) {
  const Node node = graph.nodes()[i];
  const auto* binary = std::get_if<op::Binary>(&node.op);
  if (binary == nullptr) return false;
  const BinaryKind kind = binary->kind;
  const ValueId a = node.inputs[0], b = node.inputs[1];
  if (graph.is_constant(a)) {
    if (graph.is_constant(b) || (kind != BinaryKind::Add && kind != BinaryKind::Mul)) {
      return false;
    }
    edit::become(graph, i, *binary, {b, a});
    return true;
  }
  if (kind != BinaryKind::Sub && kind != BinaryKind::Div) return false;
  std::optional<std::vector<double>> reals = edit::constant_reals(graph, b);
  if (!reals) return false;
  for (double& x : *reals) x = kind == BinaryKind::Sub ? -x : 1.0 / x;
  const auto representable = [](double x) {
    return std::isfinite(static_cast<float>(x));
  };
  if (!std::ranges::all_of(*reals, representable)) return false;
  const Value& constant = graph.value(b);
  Tensor tensor = edit::tensor_of(constant.dtype, *reals, constant.shape);
  edit::set_constant(graph, i, 1, std::move(tensor), "");
  graph.mutable_nodes()[i].op =
      op::Binary{kind == BinaryKind::Sub ? BinaryKind::Add : BinaryKind::Mul};
  return true;
}

/// x * c or x + c of node i as an affinity of its first input; empty when it is none.
std::optional<Affinity> constant_affinity(const Graph& graph, const Node& node) {
  const auto* binary = std::get_if<op::Binary>(&node.op);
  if (binary == nullptr) return std::nullopt;
  const Shape& shape = graph.value(node.inputs[0]).shape;
  const std::optional<edit::AxisVector> c =
      edit::axis_vector(graph, node.inputs[1], shape);
  if (!c) return std::nullopt;
  const std::size_t count = c->entries.size();
  switch (binary->kind) {
    case BinaryKind::Mul: return Affinity{c->axis, c->entries, std::vector(count, 0.0)};
    case BinaryKind::Add: return Affinity{c->axis, std::vector(count, 1.0), c->entries};
    case BinaryKind::Sub:
    case BinaryKind::Div: break;
  }
  return std::nullopt;
}

bool fold_arithmetic_at(Graph& graph, std::size_t i) {
  const Node& node = graph.nodes()[i];
  const std::optional<Affinity> affinity = constant_affinity(graph, node);
  if (!affinity) return false;
  const ValueId x = node.inputs[0];
  const std::optional<Layer> layer = layer_behind(graph, x, affinity->axis);
  if (!layer) return false;
  fold_into(graph, *layer, *affinity);
  edit::bypass(graph, i, x);
  return true;
}

bool channel_scale_at(Graph& graph, std::size_t i) {
  const Node node = graph.nodes()[i];
  const auto* binary = std::get_if<op::Binary>(&node.op);
  if (binary == nullptr || binary->kind != BinaryKind::Mul) return false;
  ValueId x = node.inputs[0];
  if (graph.is_constant(x) || graph.value(x).shape.size() != 4) return false;
  const std::optional<Affinity> scale = constant_affinity(graph, node);
  if (!scale || scale->axis != 1) return false;
  std::vector<double> offset = scale->offset;
  // (x + a) * m is one convolution too, where nobody else wants x + a.
  if (const std::optional<std::size_t> before = edit::sole_producer(graph, x)) {
    const Node& add = graph.nodes()[*before];
    const auto* inner = std::get_if<op::Binary>(&add.op);
    const bool is_add = inner != nullptr && inner->kind == BinaryKind::Add;
    const std::optional<Affinity> shift = is_add && !graph.is_constant(add.inputs[0])
                                              ? constant_affinity(graph, add)
                                              : std::nullopt;
    if (shift && (!shift->axis || shift->axis == 1)) {
      for (std::size_t c = 0; c < offset.size(); ++c) {
        offset[c] = scale->factor[c] * shift->offset[shift->axis ? c : 0];
      }
      x = add.inputs[0];
    }
  }
  become_depthwise(graph, i, x, scale->factor, offset);
  return true;
}

bool fold_pad_at(Graph& graph, std::size_t i) {
  const Node& node = graph.nodes()[i];
  const auto* conv = std::get_if<op::Conv2d>(&node.op);
  if (conv == nullptr) return false;
  const Node* pad_node = edit::maker<op::Pad>(graph, node.inputs[0]);
  if (pad_node == nullptr) return false;
  const auto& pad = std::get<op::Pad>(pad_node->op);
  if (pad.value != 0.0 || pad.before.size() != 4) return false;
  if (pad.before[0] != 0 || pad.after[0] != 0 || pad.before[1] != 0 ||
      pad.after[1] != 0) {
    return false;
  }
  op::Conv2d padded = *conv;
  padded.pads[0] += pad.before[2];
  padded.pads[1] += pad.before[3];
  padded.pads[2] += pad.after[2];
  padded.pads[3] += pad.after[3];
  // Beyond any real network: leave it to be refused where it is.
  if (std::ranges::any_of(padded.pads, [](auto p) { return p > 1 << 20; })) return false;
  std::vector<ValueId> inputs = node.inputs;
  inputs[0] = pad_node->inputs[0];
  edit::become(graph, i, padded, std::move(inputs));
  return true;
}

}  // namespace

bool fold_pad(Graph& graph) { return edit::rewrite_all(graph, fold_pad_at); }
bool fold_batch_norm(Graph& graph) {
  return edit::rewrite_all(graph, fold_batch_norm_at);
}
bool separate_batch_norm(Graph& graph) {
  return edit::rewrite_all(graph, separate_batch_norm_at);
}
bool normalize_constant_arithmetic(Graph& graph) {
  return edit::rewrite_all(graph, normalize_at);
}
bool fold_constant_arithmetic(Graph& graph) {
  return edit::rewrite_all(graph, fold_arithmetic_at);
}
bool channel_scale_to_conv(Graph& graph) {
  return edit::rewrite_all(graph, channel_scale_at);
}

}  // namespace qopt
