// SPDX-License-Identifier: MIT
// Putting a Network together: which values of the training graph are which of the Encoded
// one, and what starts where.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "lib/aten/bridge.h"
#include "lib/core/names.h"
#include "lib/graph/verify.h"
#include "lib/ptq/settings.h"
#include "lib/ptq/weights.h"
#include "lib/qat/network.h"
#include "lib/qat/network_layer.h"

namespace qopt::qat {
namespace {

[[noreturn]] void no_counterpart(const std::string& name) {
  throw Error(ExitCode::ModelUnsupported, printable(name),
              "has no counterpart in the graph that trains",
              "batch norm before other constant arithmetic cannot be trained yet; leave "
              "'qat' out");
}

at::Tensor leaf(const at::Tensor& from) {
  return from.detach().clone(at::MemoryFormat::Contiguous).requires_grad_(true);
}

std::optional<ValueId> sole_user_result(const Graph& graph, ValueId id, bool& is_norm) {
  if (graph.is_output(id)) return std::nullopt;
  const std::vector<std::size_t> users = graph.users(id);
  if (users.size() != 1) return std::nullopt;
  const Node& user = graph.nodes()[users[0]];
  is_norm = std::holds_alternative<op::BatchNorm>(user.op);
  if (!is_norm && !std::holds_alternative<op::Permute>(user.op)) return std::nullopt;
  return user.output;
}

/// Root of each value's set of values that share one encoding by moving codes.
std::vector<std::uint32_t> encoding_sets(const Graph& encoded) {
  std::vector<std::uint32_t> parent(encoded.values().size());
  std::iota(parent.begin(), parent.end(), 0U);
  const auto find = [&](std::uint32_t i) {
    while (parent[i] != i) i = parent[i] = parent[parent[i]];
    return i;
  };
  for (const Node& node : encoded.nodes()) {
    if (!keeps_encoding(node.op)) continue;
    for (const ValueId id : node.inputs) {
      const auto& a = encoded.value(id).encoding;
      if (!a || !(a == encoded.value(node.output).encoding)) continue;
      const std::uint32_t x = find(id.index), y = find(node.output.index);
      parent[std::max(x, y)] = std::min(x, y);
    }
  }
  for (std::uint32_t i = 0; i < parent.size(); ++i) parent[i] = find(i);
  return parent;
}

std::size_t output_channels(const Graph& graph, const Node& node) {
  const Shape& w = graph.value(node.inputs[1]).shape;
  if (const auto* transposed = std::get_if<op::ConvTranspose2d>(&node.op)) {
    return static_cast<std::size_t>(w[1] * transposed->groups);
  }
  if (std::holds_alternative<op::MatMul>(node.op)) {
    return static_cast<std::size_t>(w.back());
  }
  return static_cast<std::size_t>(w[0]);
}

}  // namespace

Tensor Network::Layer::stored_codes() const {
  const at::NoGradGuard no_grad;
  return encode_tensor(aten::from_at(quantizer->forward(weight).to(at::kCPU)),
                       quantizer->encoding());
}

Affine Network::Layer::folded_encoding(const Affine& trained,
                                       const std::vector<double>& factor) const {
  if (!norm) return trained;
  Affine folded = trained;
  folded.axis = channel_axis;
  folded.scale.resize(outputs), folded.zero_point.resize(outputs);
  for (std::size_t c = 0; c < outputs; ++c) {
    const std::size_t from = trained.scale.size() == 1 ? 0 : c;
    folded.scale[c] =
        static_cast<float>(static_cast<double>(trained.scale[from]) * factor[c]);
    folded.zero_point[c] = trained.zero_point[from];
  }
  return folded;
}

Network::Network(const Graph& training, const Graph& encoded, const QatConfig& config,
                 at::Device device)
    : training_(training),
      encoded_(encoded),
      device_(device),
      original_(training),
      quantized_(training),
      analog_(config.analog) {
  for (std::uint32_t i = 0; i < training_.values().size() && !device_.is_cpu(); ++i) {
    if (!training_.values()[i].constant) continue;
    original_.bind(ValueId{i}, original_.bound(ValueId{i}).to(device_));
    quantized_.bind(ValueId{i}, original_.bound(ValueId{i}));
  }
  QOPT_CHECK(encoded.level() == Level::Encoded, "training starts from an Encoded graph");
  bypassed_.assign(training_.values().size(), false);
  add_layers(config);
  add_quantizers(config);
  bypass_clamps();
  find_analog_ranges();
  quantize_operands();
  require_counterparts();
  after_step();  // projecting estimators start from the exact step
}

Network::~Network() = default;

std::vector<double> Network::norm_factors(const Layer& layer) const {
  const at::NoGradGuard no_grad;
  const at::Tensor variance = norms_[*layer.norm].variance.to(at::kDouble);
  const at::Tensor factor =
      (layer.gamma.to(at::kDouble) / (variance + layer.eps).sqrt()).to(at::kCPU);
  const double* first = factor.data_ptr<double>();
  return {first, first + factor.numel()};
}

const Network::Layer& Network::layer_of_norm(std::size_t norm) const {
  const auto found = std::ranges::find_if(
      layers_, [&](const Layer& layer) { return layer.norm == norm; });
  QOPT_CHECK(found != layers_.end(), "batch norm {} has no layer", norm);
  return *found;
}

void Network::add_layers(const QatConfig& config) {
  const Estimator* estimator = find_estimator(config.weight_estimator);
  QOPT_CHECK(estimator != nullptr && estimator->for_weights, "estimator '{}'",
             config.weight_estimator);
  for (const Node& node : encoded_.nodes()) {
    if (!ptq::has_weights(encoded_, node)) continue;
    const Value& weights = encoded_.value(node.inputs[1]);
    if (!weights.encoding) continue;
    const std::string& name = encoded_.value(node.output).name;
    const auto result = training_.find(name);
    const auto producer = result ? training_.producer(*result) : std::nullopt;
    if (!producer) no_counterpart(name);
    const Node twin = training_.nodes()[*producer];
    if (twin.op.index() != node.op.index()) no_counterpart(name);

    Layer layer;
    layer.name = name;
    layer.encoded_output = node.output;
    layer.weight_id = twin.inputs[1];
    for (const Layer& other : layers_) {
      if (other.weight_id != layer.weight_id) continue;
      throw Error(ExitCode::ModelUnsupported, printable(name),
                  fmt::format("shares its weights with '{}'; tied weights cannot be "
                              "trained yet",
                              printable(other.name)));
    }
    layer.outputs = output_channels(encoded_, node);
    layer.channel_axis = ptq::channel_axis(encoded_, node);
    layer.weight = leaf(original_.bound(layer.weight_id));
    if (twin.inputs.size() > 2) {
      layer.bias_id = twin.inputs[2];
      layer.bias = leaf(original_.bound(*layer.bias_id));
    }
    Affine start = std::get<Affine>(*weights.encoding);
    layer_of_[twin.output.index] = layers_.size();
    layers_.push_back(std::move(layer));
    Layer& added = layers_.back();
    add_norm(added);
    if (added.norm) {
      // The encoding is of weights with batch norm's factor in them.
      const std::vector<double> factor = norm_factors(added);
      double mean_factor = 0;
      for (const double f : factor) mean_factor += f / static_cast<double>(factor.size());
      for (std::size_t c = 0; c < start.scale.size(); ++c) {
        const double by = start.scale.size() == 1 ? mean_factor : factor[c];
        start.scale[c] = static_cast<float>(static_cast<double>(start.scale[c]) / by);
      }
    }
    added.quantizer = std::make_unique<FakeQuantizer>(
        start, *estimator, Role::Weights, static_cast<float>(config.ewgs_delta), device_);
    parameters_.push_back({name + ".weight", added.weight, Group::Weights});
    if (added.bias.defined()) {
      parameters_.push_back({name + ".bias", added.bias, Group::Other});
    }
    if (added.norm) {
      parameters_.push_back({name + ".gamma", added.gamma, Group::Other});
      parameters_.push_back({name + ".beta", added.beta, Group::Other});
    }
    if (added.quantizer->learns_step()) {
      parameters_.push_back({name + ".step", added.quantizer->step(), Group::Steps});
    }
    const auto& input = encoded_.value(node.inputs[0]).name;
    feature_value_ = training_.value(trained_value(input)).name;
  }
  if (layers_.empty()) {
    throw Error(ExitCode::ModelUnsupported, "", "the model has no layer with weights",
                "there is nothing to train");
  }
}

void Network::add_norm(Layer& layer) {
  ValueId at = *training_.find(layer.name);
  std::vector<std::string> before;
  for (;;) {
    before.push_back(training_.value(at).name);
    bool is_norm = false;
    const auto next = sole_user_result(training_, at, is_norm);
    if (!next) return;
    at = *next;
    if (is_norm) break;
  }
  const Node& node = training_.nodes()[*training_.producer(at)];
  layer.norm = norms_.size();
  layer.eps = std::get<op::BatchNorm>(node.op).eps;
  layer.gamma = leaf(original_.bound(node.inputs[1]));
  layer.beta = leaf(original_.bound(node.inputs[2]));
  norms_.push_back({training_.value(at).name, original_.bound(node.inputs[3]).clone(),
                    original_.bound(node.inputs[4]).clone()});
  norm_of_[at.index] = *layer.norm;
  for (const std::string& name : before) moved_[name] = std::nullopt;
  moved_[before.back()] = at;
  if (!layer.channel_axis) {
    throw Error(ExitCode::ModelUnsupported, printable(layer.name),
                "batch norm behind a grouped transposed convolution cannot be trained");
  }

  // A negative factor would turn the signs of codes when it is folded; turning the
  // weights instead computes the same, and from here on factors stay positive.
  const at::NoGradGuard no_grad;
  const at::Tensor sign = 1 - 2 * layer.gamma.lt(0).to(at::kFloat);
  layer.gamma.mul_(sign);
  std::vector<std::int64_t> shape(static_cast<std::size_t>(layer.weight.dim()), 1);
  shape[static_cast<std::size_t>(*layer.channel_axis)] = sign.numel();
  layer.weight.mul_(sign.reshape(shape));
  if (layer.bias.defined()) layer.bias.mul_(sign);
  norms_.back().mean.mul_(sign);
  // A factor of exactly zero would make an infinite step.
  layer.gamma.clamp_min_(1e-6);
}

ValueId Network::trained_value(const std::string& encoded_name) const {
  const auto moved = moved_.find(encoded_name);
  if (moved != moved_.end() && moved->second) return *moved->second;
  const auto same = training_.find(encoded_name);
  if (!same) no_counterpart(encoded_name);
  return *same;
}

void Network::add_quantizers(const QatConfig& config) {
  const Estimator* estimator = find_estimator(config.activation_estimator);
  QOPT_CHECK(estimator != nullptr && estimator->for_activations, "estimator '{}'",
             config.activation_estimator);
  const std::vector<std::uint32_t> sets = encoding_sets(encoded_);
  std::map<std::uint32_t, std::size_t> quantizer_of_set;
  for (const Node& node : encoded_.nodes()) {
    const Value& value = encoded_.value(node.output);
    if (!value.encoding) continue;
    const std::uint32_t set = sets[node.output.index];
    const auto [at, is_new] = quantizer_of_set.emplace(set, quantizers_.size());
    if (is_new) {
      const auto& start = std::get<Affine>(*value.encoding);
      // A softmax result is a code over 2^bits by definition.
      const bool fixed = std::holds_alternative<op::Softmax>(node.op);
      quantizers_.push_back(std::make_unique<FakeQuantizer>(
          start, fixed ? *find_estimator("clipped_relu") : *estimator, Role::Activations,
          static_cast<float>(config.ewgs_delta), device_));
      quantizer_names_.push_back(value.name);
      FakeQuantizer& added = *quantizers_.back();
      const Group group = added.estimator().decays ? Group::DecayedSteps : Group::Steps;
      if (added.learns_step()) {
        parameters_.push_back({value.name + ".activation_step", added.step(), group});
      }
      if (added.learns_offset()) {
        parameters_.push_back(
            {value.name + ".activation_offset", added.offset(), Group::Steps});
      }
    }
    quantizer_of_encoded_[node.output.index] = at->second;
    // What only moves codes of the same encoding is quantised already.
    const bool moves =
        keeps_encoding(node.op) && std::ranges::all_of(node.inputs, [&](ValueId id) {
          return sets[id.index] == set && !encoded_.is_constant(id);
        });
    const auto moved = moved_.find(value.name);
    const bool hidden = moved != moved_.end() && !moved->second;
    if (!moves && !hidden) {
      quantizer_of_[trained_value(value.name).index] = at->second;
    }
  }
  // Constants that share a trained encoding follow it.
  for (std::uint32_t i = 0; i < encoded_.values().size(); ++i) {
    if (!encoded_.values()[i].constant) continue;
    const auto shared = quantizer_of_set.find(sets[i]);
    if (shared != quantizer_of_set.end()) quantizer_of_encoded_[i] = shared->second;
  }
}

/// The real number that stands for 1 on the analog side: for what enters and leaves a
/// layer the largest of its encoding, for weights their own largest.
void Network::find_analog_ranges() {
  const auto largest = [&](const std::optional<Encoding>& encoding) {
    if (!encoding) return 1.0;
    const auto& e = std::get<Affine>(*encoding);
    const double lo =
        std::abs(static_cast<double>(decode(code_min(e.levels, e.bits), e)));
    const double hi =
        std::abs(static_cast<double>(decode(code_max(e.levels, e.bits), e)));
    return std::max(lo, hi);
  };
  const at::NoGradGuard no_grad;
  for (Layer& layer : layers_) {
    const Node& node = encoded_.nodes()[*encoded_.producer(layer.encoded_output)];
    layer.input_range = largest(encoded_.value(node.inputs[0]).encoding);
    layer.output_range = largest(encoded_.value(node.output).encoding);
    layer.weight_range = std::max(layer.weight.abs().max().item<double>(), 1e-6);
  }
}

/// A clamp at zero whose result has zero as its lowest code is done by the levels; going
/// past it lets the estimator see numbers below zero, and saves a pass.
void Network::bypass_clamps() {
  for (const Node& node : training_.nodes()) {
    const auto* clamp = std::get_if<op::Clamp>(&node.op);
    const auto quantizer = quantizer_of_.find(node.output.index);
    if (clamp == nullptr || quantizer == quantizer_of_.end()) continue;
    const FakeQuantizer& q = *quantizers_[quantizer->second];
    const Affine& e = q.start();
    const bool by_levels = !q.learns_offset() &&
                           e.zero_point[0] == code_min(e.levels, e.bits) &&
                           e.levels != LevelSet::O;
    const bool unbounded = std::isinf(clamp->hi) && clamp->hi > 0;
    if (by_levels && unbounded && clamp->lo == 0) bypassed_[node.output.index] = true;
  }
}

/// Constants with an encoding that does not train (operands of sums and products) are
/// what they decode to.
void Network::quantize_operands() {
  for (std::uint32_t i = 0; i < encoded_.values().size(); ++i) {
    const Value& value = encoded_.values()[i];
    if (!value.constant || !value.encoding || quantizer_of_encoded_.contains(i)) continue;
    const auto twin = training_.find(value.name);
    if (!twin || !training_.is_constant(*twin)) continue;
    const at::Tensor& original = original_.bound(*twin);
    if (original.sizes() != at::IntArrayRef(value.shape)) continue;
    // Layers' weights are bound anew in each pass.
    const bool is_weight = std::ranges::any_of(
        layers_, [&](const Layer& layer) { return layer.weight_id == *twin; });
    if (is_weight) continue;
    quantized_.bind(*twin, aten::fake_quantize(original, *value.encoding));
  }
}

/// What the Encoded graph does not have was folded into a layer there, and would be lost
/// when this graph's layer is folded in its place.
void Network::require_counterparts() const {
  for (const Node& node : training_.nodes()) {
    if (norm_of_.contains(node.output.index) || keeps_encoding(node.op)) continue;
    const std::string& name = training_.value(node.output).name;
    const auto twin = encoded_.find(name);
    const auto producer = twin ? encoded_.producer(*twin) : std::nullopt;
    if (!producer || encoded_.nodes()[*producer].op.index() != node.op.index()) {
      no_counterpart(name);
    }
  }
}

}  // namespace qopt::qat
