// SPDX-License-Identifier: MIT
// A graph whose convolutions and linear layers are analog: float semantics with the
// chains of analog.h at the crossings. Runs under the one walker; chooses no ranges.
#pragma once

#include <span>
#include <vector>

#include "lib/aten/analog.h"
#include "lib/aten/analog_executor.h"
#include "lib/aten/semantics.h"

namespace qopt::aten {

/// One forward pass. `digital` holds weights that have crossed already (analog_weights,
/// or analog_weight on trainable leaves). `clamps` has the real value that stands for 1
/// of every value by id (entries of other values are not read); `rng` is drawn from once
/// a crossing, in the order of the graph.
class AnalogSemantics {
 public:
  using Value = at::Tensor;

  AnalogSemantics(const FloatSemantics& digital, const AnalogOptions& options,
                  std::span<const double> clamps, Rng rng)
      : digital_(digital), options_(options), clamps_(clamps), rng_(rng) {}

  at::Tensor constant(const Graph& graph, ValueId id, const Tensor& tensor) const {
    return digital_.constant(graph, id, tensor);
  }
  at::Tensor apply(const Graph& graph, const Node& node, std::span<const at::Tensor> in);

 private:
  AnalogChain chain(ValueId id) const {
    return {options_.bits, options_.leakage, clamps_[id.index]};
  }

  const FloatSemantics& digital_;
  AnalogOptions options_;
  std::span<const double> clamps_;
  Rng rng_;
};

/// Binds every weight and bias of an analog layer to itself after analog_weight: one
/// programming of the hardware.
void analog_weights(const Graph& graph, const AnalogOptions& options,
                    std::span<const double> clamps, Rng rng, FloatSemantics& semantics);

}  // namespace qopt::aten
