// SPDX-License-Identifier: MIT
// A model on analog hardware, as an executor: the chains of analog.h around every
// convolution and linear layer. A torch-free face, for evaluation.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "lib/graph/graph.h"

namespace qopt::aten {

struct AnalogOptions {
  int bits = 8;         // levels per unit: 2^bits - 1
  double leakage = 0;   // probability with which noise leaves a bin
  bool readout = true;  // noise and reduced precision after each layer too
};

/// True for what is computed in analog: convolutions and linear layers with constant
/// weights.
bool is_analog(const Graph& graph, const Node& node);

/// The real value that stands for 1, by value id: each weight and bias tensor's largest
/// magnitude (1 where it is 0), 1 for all other values.
std::vector<double> weight_clamps(const Graph& graph);

/// One programming of the hardware: weights cross once, when it is made; activations
/// cross in every run. Thread-safe as FloatExecutor is.
class AnalogExecutor {
 public:
  /// `graph` of any level but Integer; its encodings are not read. `clamps` as
  /// weight_clamps, with the activations' own. Throws Error(Usage) for bits or leakage
  /// outside their bounds.
  AnalogExecutor(const Graph& graph, const AnalogOptions& options,
                 std::vector<double> clamps, std::uint64_t seed);
  ~AnalogExecutor();
  AnalogExecutor(AnalogExecutor&&) noexcept;

  /// The outputs for one sample; its noise depends on the seed and `sample` alone.
  std::vector<Tensor> run(std::span<const Tensor> inputs, std::uint64_t sample) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace qopt::aten
