// SPDX-License-Identifier: MIT
#include "lib/aten/analog_executor.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "lib/aten/analog_semantics.h"
#include "lib/aten/bridge.h"
#include "lib/exec/executor.h"

namespace qopt::aten {

struct AnalogExecutor::Impl {
  Graph graph;
  AnalogOptions options;
  std::vector<double> clamps;
  std::uint64_t seed;
  FloatSemantics digital;
};

AnalogExecutor::AnalogExecutor(const Graph& graph, const AnalogOptions& options,
                               std::vector<double> clamps, std::uint64_t seed)
    : impl_(new Impl{graph, options, std::move(clamps), seed, FloatSemantics(graph)}) {
  QOPT_CHECK(graph.level() != Level::Integer, "an Integer graph has no float meaning");
  QOPT_CHECK(impl_->clamps.size() == graph.values().size(), "a clamp for each value");
  check({options.bits, options.leakage, 1.0}, "analog");
  const c10::InferenceMode no_grad;
  analog_weights(impl_->graph, options, impl_->clamps, Rng::stream(seed, 0),
                 impl_->digital);
}

AnalogExecutor::~AnalogExecutor() = default;
AnalogExecutor::AnalogExecutor(AnalogExecutor&&) noexcept = default;

std::vector<Tensor> AnalogExecutor::run(std::span<const Tensor> inputs,
                                        std::uint64_t sample) const {
  const c10::InferenceMode no_grad;
  std::vector<at::Tensor> arguments;
  for (const Tensor& input : inputs) arguments.push_back(to_at(input));
  AnalogSemantics semantics(impl_->digital, impl_->options, impl_->clamps,
                            Rng::stream(impl_->seed, sample + 1));
  std::vector<Tensor> outputs;
  for (const at::Tensor& result :
       execute(impl_->graph, semantics, std::span<const at::Tensor>(arguments)))
    outputs.push_back(from_at(result));
  return outputs;
}

bool is_analog(const Graph& graph, const Node& node) {
  const bool is_layer = std::holds_alternative<op::Conv2d>(node.op) ||
                        std::holds_alternative<op::ConvTranspose2d>(node.op) ||
                        std::holds_alternative<op::Linear>(node.op);
  return is_layer && graph.is_constant(node.inputs[1]);
}

std::vector<double> weight_clamps(const Graph& graph) {
  std::vector<double> clamps(graph.values().size(), 1.0);
  for (const Node& node : graph.nodes()) {
    if (!is_analog(graph, node)) continue;
    for (const ValueId id : std::span(node.inputs).subspan(1)) {
      double most = 0;
      for (const float w : graph.value(id).constant->values<float>())
        most = std::max(most, std::fabs(static_cast<double>(w)));
      if (most > 0) clamps[id.index] = most;
    }
  }
  return clamps;
}

}  // namespace qopt::aten
