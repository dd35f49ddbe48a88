// SPDX-License-Identifier: MIT
// Settings: what the config and its layer rules come to for each node. Knows patterns and
// names, no statistics.
#pragma once

#include <string>
#include <vector>

#include "lib/ptq/ptq.h"

namespace qopt::ptq {

/// Of one node: its weights, and the activation it makes.
struct NodeSettings {
  WeightConfig weights;
  ActivationConfig activations;
  bool has_activation_rule = false;  // a rule speaks of this node's activation
};

/// One entry for each node of `graph`. A rule on a node that is fused into a clamp speaks
/// of the clamp's result. Throws Error(Usage) for impossible bits, unknown calibrators
/// and patterns without match; adds findings for rules that change nothing.
std::vector<NodeSettings> settings_of(const Graph& graph, const PtqConfig& config,
                                      std::vector<std::string>& findings);

/// True for a convolution or linear layer (or a product) with a constant right operand.
bool has_weights(const Graph& graph, const Node& node);

}  // namespace qopt::ptq
