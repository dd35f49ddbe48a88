// SPDX-License-Identifier: MIT
// Bits by reader: a value has as many bits as its readers need, and a layer with few bits
// whose input others read too gets an input of its own. Knows no statistics.
#pragma once

#include <vector>

#include "lib/ptq/ptq.h"

namespace qopt::ptq {

/// By node: true for layers that keep at least first_last_bits. The first and the last
/// layer, and what the rules on kinds of layers leave out (LayerKinds in ptq.h). Throws
/// Error(Usage) for a layer number that does not exist.
std::vector<bool> kept_layers(const Graph& graph, const PtqConfig& config);

/// By value: bits that its readers need. A layer reads activations.bits (first_last_bits
/// where it is kept), other operators residual_bits; what only moves codes needs what its
/// result needs.
std::vector<int> needed_bits(const Graph& graph, const PtqConfig& config);

}  // namespace qopt::ptq
