// SPDX-License-Identifier: MIT
// Running and freezing of a Network; how it is put together is in network_build.cpp.
#include "lib/qat/network.h"

#include <algorithm>
#include <cmath>

#include "lib/aten/analog.h"
#include "lib/aten/bridge.h"
#include "lib/exec/executor.h"
#include "lib/graph/verify.h"
#include "lib/ptq/weights.h"
#include "lib/qat/batches.h"
#include "lib/qat/network_layer.h"

namespace qopt::qat {
namespace {

Rng* training_noise(const Network::Pass& pass) {
  return pass.mode == Network::Mode::Train ? pass.noise : nullptr;
}

}  // namespace

/// One forward pass: the float semantics with trained tensors in the constants' places,
/// and batch norm by the batch.
class Network::Semantics {
 public:
  using Value = at::Tensor;

  Semantics(const Network& network, const Pass& pass)
      : network_(network),
        pass_(pass),
        float_(pass.mode == Mode::TrainFloat ? network.original_ : network.quantized_) {
    for (const Layer& layer : network.layers_) {
      float_.bind(layer.weight_id, weights_of(layer));
      if (layer.bias.defined()) float_.bind(*layer.bias_id, layer.bias);
    }
  }

  at::Tensor constant(const Graph& graph, ValueId id, const Tensor& tensor) const {
    return float_.constant(graph, id, tensor);
  }

  at::Tensor apply(const Graph& graph, const Node& node,
                   std::span<const at::Tensor> in) const {
    const std::uint32_t result = node.output.index;
    if (network_.bypassed_[result] && pass_.mode != Mode::TrainFloat && !is_analog()) {
      return in[0];
    }
    const auto norm = network_.norm_of_.find(result);
    if (norm != network_.norm_of_.end()) {
      return normalise(norm->second, std::get<op::BatchNorm>(node.op).eps, in[0]);
    }
    const auto layer = network_.layer_of_.find(result);
    if (!is_analog() || layer == network_.layer_of_.end()) {
      return float_.apply(graph, node, in);
    }
    return through_analog(graph, node, in, network_.layers_[layer->second]);
  }

 private:
  bool is_analog() const { return network_.is_analog(pass_); }
  aten::AnalogChain chain(double clamp) const {
    return {network_.analog_->bits, network_.analog_->leakage, clamp};
  }

  at::Tensor weights_of(const Layer& layer) const {
    if (pass_.mode == Mode::TrainFloat) return layer.weight;
    if (is_analog()) {
      return aten::analog_weight(layer.weight, chain(layer.weight_range), *pass_.noise);
    }
    return layer.quantizer->forward(layer.weight, training_noise(pass_));
  }

  at::Tensor through_analog(const Graph& graph, const Node& node,
                            std::span<const at::Tensor> in, const Layer& layer) const {
    std::vector<at::Tensor> entering(in.begin(), in.end());
    entering[0] = aten::analog_activation(in[0], chain(layer.input_range), *pass_.noise);
    const at::Tensor y = float_.apply(graph, node, entering);
    if (!network_.analog_->readout) return y;
    return aten::analog_readout(y, chain(layer.output_range), *pass_.noise);
  }

  at::Tensor normalise(std::size_t index, double eps, const at::Tensor& x) const {
    const Layer& layer = network_.layer_of_norm(index);
    const NormState& state = network_.norms_[index];
    const bool by_batch = pass_.mode != Mode::Evaluate && pass_.batch_statistics;
    if (!by_batch) {
      return at::batch_norm(x, layer.gamma, layer.beta, state.mean, state.variance, false,
                            0.0, eps, false);
    }
    auto [y, mean, inverse] =
        at::native_batch_norm(x, layer.gamma, layer.beta, {}, {}, true, 0.0, eps);
    if (pass_.observe) {
      pass_.observe(index, mean, inverse.pow(-2).sub(eps));
    }
    return y;
  }

  const Network& network_;
  const Pass& pass_;
  aten::FloatSemantics float_;
};

bool Network::is_analog(const Pass& pass) const {
  return analog_ && pass.mode == Mode::Train && pass.noise != nullptr;
}

std::vector<at::Tensor> Network::forward(std::span<const at::Tensor> inputs,
                                         const Pass& pass) const {
  const auto tapped = [&](ValueId id, const at::Tensor& value) {
    if (pass.tapped != nullptr && training_.value(id).name == pass.tap) {
      *pass.tapped = value;
    }
  };
  if (pass.mode == Mode::Float) {
    return execute(training_, original_, inputs, [&](ValueId id, at::Tensor value) {
      tapped(id, value);
      return value;
    });
  }
  Semantics semantics(*this, pass);
  return execute(training_, semantics, inputs, [&](ValueId id, at::Tensor value) {
    const auto quantizer = quantizer_of_.find(id.index);
    const bool quantizes = pass.mode != Mode::TrainFloat && !is_analog(pass);
    if (quantizer != quantizer_of_.end() && quantizes) {
      value = quantizers_[quantizer->second]->forward(value, training_noise(pass));
    }
    tapped(id, value);
    return value;
  });
}

std::vector<Checkpoint::Entry> Network::state() {
  std::vector<Checkpoint::Entry> entries;
  for (Layer& layer : layers_) {
    const auto add = [&](const char* suffix, const at::Tensor& tensor) {
      if (tensor.defined()) entries.push_back({layer.name + suffix, tensor.detach()});
    };
    add(".weight", layer.weight), add(".bias", layer.bias);
    add(".gamma", layer.gamma), add(".beta", layer.beta);
    add(".step", layer.quantizer->step());
    if (!layer.norm) continue;
    add(".mean", norms_[*layer.norm].mean),
        add(".variance", norms_[*layer.norm].variance);
  }
  for (std::size_t i = 0; i < quantizers_.size(); ++i) {
    const std::string& name = quantizer_names_[i];
    entries.push_back({name + ".activation_step", quantizers_[i]->step().detach()});
    entries.push_back({name + ".activation_offset", quantizers_[i]->offset().detach()});
  }
  return entries;
}

void Network::randomize(std::uint64_t seed) {
  const at::NoGradGuard no_grad;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    Layer& layer = layers_[i];
    Rng rng = stream(seed, Purpose::Start, i, 0);
    const double fan_in =
        static_cast<double>(layer.weight.numel()) / static_cast<double>(layer.outputs);
    const double deviation = std::sqrt(2.0 / fan_in);
    std::vector<float> drawn(static_cast<std::size_t>(layer.weight.numel()));
    for (float& w : drawn) w = static_cast<float>(deviation * rng.normal());
    layer.weight.copy_(at::tensor(drawn).reshape(layer.weight.sizes()));
    if (layer.bias.defined()) layer.bias.zero_();
    if (layer.norm) layer.gamma.fill_(1.0), layer.beta.zero_();
    layer.quantizer->restart(layer.weight);
  }
  find_analog_ranges();
}

void Network::before_step(double blend) {
  const at::NoGradGuard no_grad;
  for (Layer& layer : layers_) {
    if (!layer.quantizer->estimator().blends) continue;
    const at::Tensor quantized = layer.quantizer->forward(layer.weight);
    layer.weight.mul_(1.0 - blend).add_(quantized, blend);
  }
}

void Network::after_step() {
  const at::NoGradGuard no_grad;
  // Small against any factor that matters, and still a normal float when folded.
  constexpr double kSmallestFactor = 1e-6;
  for (Layer& layer : layers_) {
    layer.quantizer->restrict_steps();
    layer.quantizer->project(layer.weight);
    if (layer.norm) layer.gamma.clamp_min_(kSmallestFactor);
  }
  for (const auto& quantizer : quantizers_) quantizer->restrict_steps();
}

std::vector<Network::LayerCodes> Network::codes() const {
  const at::NoGradGuard no_grad;
  std::vector<LayerCodes> all;
  for (const Layer& layer : layers_) {
    const Tensor stored = layer.stored_codes();
    LayerCodes codes{layer.name, {}};
    for (std::int64_t i = 0; i < stored.size(); ++i) {
      // 16-bit codes keep their low byte: enough to see a change of one.
      codes.codes.push_back(static_cast<std::int8_t>(stored.integer_at(i)));
    }
    all.push_back(std::move(codes));
  }
  return all;
}

Graph Network::freeze() const {
  const at::NoGradGuard no_grad;
  Graph graph = encoded_;
  for (const auto& [value, quantizer] : quantizer_of_encoded_) {
    graph.value(ValueId{value}).encoding = quantizers_[quantizer]->encoding();
  }
  for (const Layer& layer : layers_) freeze_layer(graph, layer);
  require_valid(graph, "quantization-aware training");
  return graph;
}

void Network::freeze_layer(Graph& graph, const Layer& layer) const {
  const std::size_t outputs = layer.outputs;
  std::vector<double> factor(outputs, 1.0);
  at::Tensor bias = at::zeros({static_cast<std::int64_t>(outputs)}, at::kDouble);
  if (layer.bias.defined()) bias = layer.bias.to(at::kCPU).to(at::kDouble);
  if (layer.norm) {
    factor = norm_factors(layer);
    const NormState& state = norms_[*layer.norm];
    const at::Tensor mean = state.mean.to(at::kCPU).to(at::kDouble);
    bias = (bias - mean) * at::tensor(factor, at::kDouble) +
           layer.beta.to(at::kCPU).to(at::kDouble);
  }
  const Tensor bias_tensor = aten::from_at(bias.to(at::kFloat));

  const std::size_t node = *graph.producer(layer.encoded_output);
  const Affine trained = layer.quantizer->encoding();
  Affine folded = layer.folded_encoding(trained, factor);
  const bool has_bias = layer.norm || layer.bias.defined();
  const Tensor weights = decode_tensor(layer.stored_codes(), folded);
  if (has_bias) {
    const auto& input = graph.value(graph.nodes()[node].inputs[0]).encoding;
    ptq::raise_scales_for_bias(folded, bias_tensor.values<float>(),
                               input ? std::get<Affine>(*input).scale[0] : 1.0F);
  }

  ValueId weight = graph.nodes()[node].inputs[1];
  if (graph.users(weight).size() > 1) {
    weight = graph.add_constant(graph.value(weight).name, weights);
    graph.mutable_nodes()[node].inputs[1] = weight;
  }
  graph.value(weight).constant = weights;
  graph.value(weight).encoding = folded;
  if (!has_bias) return;
  std::vector<ValueId>& inputs = graph.mutable_nodes()[node].inputs;
  if (inputs.size() > 2 && graph.users(inputs[2]).size() == 1) {
    graph.value(inputs[2]).constant = bias_tensor;
    return;
  }
  const ValueId added = graph.add_constant(layer.name + ".bias", bias_tensor);
  std::vector<ValueId>& now = graph.mutable_nodes()[node].inputs;
  now.resize(2);
  now.push_back(added);
}

}  // namespace qopt::qat
