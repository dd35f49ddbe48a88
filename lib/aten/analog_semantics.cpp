// SPDX-License-Identifier: MIT
#include "lib/aten/analog_semantics.h"

namespace qopt::aten {

at::Tensor AnalogSemantics::apply(const Graph& graph, const Node& node,
                                  std::span<const at::Tensor> in) {
  if (!is_analog(graph, node)) return digital_.apply(graph, node, in);
  std::vector<at::Tensor> crossed(in.begin(), in.end());
  crossed[0] = analog_activation(in[0], chain(node.inputs[0]), rng_);
  const at::Tensor result = digital_.apply(graph, node, crossed);
  return options_.readout ? analog_readout(result, chain(node.output), rng_) : result;
}

void analog_weights(const Graph& graph, const AnalogOptions& options,
                    std::span<const double> clamps, Rng rng, FloatSemantics& semantics) {
  std::vector<bool> done(graph.values().size(), false);
  for (const Node& node : graph.nodes()) {
    if (!is_analog(graph, node)) continue;
    for (const ValueId id : std::span(node.inputs).subspan(1)) {
      if (!graph.is_constant(id) || done[id.index]) continue;
      done[id.index] = true;
      const AnalogChain chain{options.bits, options.leakage, clamps[id.index]};
      semantics.bind(id, analog_weight(semantics.bound(id), chain, rng));
    }
  }
}

}  // namespace qopt::aten
