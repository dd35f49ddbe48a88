// SPDX-License-Identifier: MIT
// Network::Layer: one layer with weights, what of it learns, and where it is in both
// graphs. Private to the room.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/qat/network.h"

namespace qopt::qat {

struct Network::Layer {
  std::string name;        // of its result in the Encoded graph
  ValueId encoded_output;  // Encoded graph
  ValueId weight_id;       // training graph
  std::optional<ValueId> bias_id;
  std::size_t outputs = 0;          // output channels
  std::optional<int> channel_axis;  // of the weights
  std::optional<std::size_t> norm;  // into norms()
  double eps = 0;
  double input_range = 1, weight_range = 1, output_range = 1;  // of analog training
  std::unique_ptr<FakeQuantizer> quantizer;
  at::Tensor weight, bias, gamma, beta;  // leaves; undefined where absent

  /// The weights' codes as they are stored, in the weights' shape.
  Tensor stored_codes() const;
  /// Batch norm's factors taken into the scales, which become one for each channel.
  Affine folded_encoding(const Affine& trained, const std::vector<double>& factor) const;
};

}  // namespace qopt::qat
