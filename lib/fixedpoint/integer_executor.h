// SPDX-License-Identifier: MIT
// The integer executor: what the device will compute, to the bit. Written apart from the device
// kernels (they share only qrt/arith.h), so that each checks the other.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "lib/graph/graph.h"

namespace qopt {

/// Runs an Integer graph. Construction prepares weights once; `run` is const and thread-safe.
/// Convolutions and matrix products go through float32 or float64 BLAS exactly where interval
/// analysis proves every partial sum below 2^24 or 2^53, and through plain loops otherwise.
class IntegerExecutor {
 public:
  explicit IntegerExecutor(Graph graph);
  ~IntegerExecutor();
  IntegerExecutor(IntegerExecutor&&) noexcept;

  const Graph& graph() const;

  /// Stored codes in (dtype and physical shape of the graph's inputs), stored codes out.
  /// `tap`, when given, sees every non-constant value in execution order.
  using Tap = std::function<void(ValueId, const Tensor&)>;
  std::vector<Tensor> run(std::span<const Tensor> inputs, const Tap& tap = {}) const;

  /// Real f32 inputs in Canonical (LibTorch) layout -> codes -> run -> real f32 outputs in
  /// Canonical layout, by the encodings and layouts of the graph's inputs and outputs.
  std::vector<Tensor> run_real(std::span<const Tensor> inputs, const Tap& tap = {}) const;

 private:
  struct Plan;
  std::unique_ptr<Plan> plan_;
};

/// One input converted as run_real does it (encode, then permute by the value's layout).
Tensor to_stored(const Graph& graph, ValueId id, const Tensor& real);
/// One stored value back to real numbers in Canonical layout.
Tensor to_real(const Graph& graph, ValueId id, const Tensor& stored);

}  // namespace qopt
