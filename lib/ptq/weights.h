// SPDX-License-Identifier: MIT
// Encodings of constants: weights by channel, constant operands of arithmetic. Knows no
// samples.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lib/ptq/ptq.h"

namespace qopt::ptq {

/// Error(ModelUnsupported) naming every f32 constant that holds NaN or infinity.
void require_finite_constants(const Graph& graph);

/// The axis of a layer's weights along which each index has a scale of its own; empty
/// where the operator allows one scale only.
std::optional<int> channel_axis(const Graph& graph, const Node& node);

/// Encoding of the weights of `node` (has_weights), scales raised for its bias. A channel
/// of zeros has scale 1 (in `o`, the least float) and is a finding. `o` of 1 bit and `t`
/// take the exact projections of lib/calib/projection.h.
Affine encode_weights(const Graph& graph, const Node& node, const WeightConfig& config,
                      float input_scale, std::vector<std::string>& findings);

/// Keeps each channel's scale so large that its bias stays below 2^29 in codes, so that
/// weights that are zero but for noise do not cost a wide accumulator. `input_scale` is
/// that of the activation the layer reads.
void raise_scales_for_bias(Affine& weights, std::span<const float> bias,
                           float input_scale);

/// A constant operand of a sum, product or quotient: n16, one scale.
Affine encode_operand(const Tensor& constant);

/// Statistics of a constant that shares an encoding with activations seen on `samples`
/// samples.
calib::Statistics constant_statistics(const Tensor& constant, std::size_t samples);

}  // namespace qopt::ptq
