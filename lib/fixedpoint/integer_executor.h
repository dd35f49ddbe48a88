// SPDX-License-Identifier: MIT
// The integer executor: what the device will compute, to the bit. Written apart from the
// device kernels (they share only qrt/arith.h), so that each checks the other.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "lib/graph/graph.h"

namespace qopt {

/// How sums of products are computed. Every choice gives the same integers; tests force
/// the slow ones to check the fast ones.
enum class Arithmetic {
  Fastest,  // int16 pair products, int32 loops, BLAS or int64 loops: the first exact one
  Float32,  // float32 BLAS where proven exact, else as Float64
  Float64,  // float64 BLAS where proven exact, else int64 loops
  Plain,    // int64 loops
};

/// Runs an Integer graph. Construction prepares weights once; `run` is const and
/// thread-safe. Sums of products go through the processor's int16 pair instructions where
/// it has them and the accumulator fits 32 bits; through float32 or float64 BLAS where
/// interval analysis proves every partial sum below 2^24 or 2^53; else through plain
/// loops. Each run uses one BLAS thread (set for the process at construction): run
/// samples in parallel.
class IntegerExecutor {
 public:
  /// Throws Error(ModelUnsupported) when an accumulator may overflow its width.
  explicit IntegerExecutor(Graph graph, Arithmetic arithmetic = Arithmetic::Fastest);
  ~IntegerExecutor();
  IntegerExecutor(IntegerExecutor&&) noexcept;

  const Graph& graph() const;

  /// Stored codes in (dtype and physical shape of the graph's inputs), stored codes out.
  /// `tap`, when given, sees every non-constant value in execution order. Throws
  /// Error(Data) naming the input whose type, shape or codes are not those of the graph.
  using Tap = std::function<void(ValueId, const Tensor&)>;
  std::vector<Tensor> run(std::span<const Tensor> inputs, const Tap& tap = {}) const;

  /// Real f32 inputs in Canonical (LibTorch) layout -> codes -> run -> real f32 outputs
  /// in Canonical layout, by the encodings and layouts of the graph's inputs and outputs.
  std::vector<Tensor> run_real(std::span<const Tensor> inputs, const Tap& tap = {}) const;

 private:
  struct Plan;
  std::unique_ptr<Plan> plan_;
};

/// One input converted as run_real does it (permuted by the value's layout, then
/// encoded). A value without an encoding (indices) takes f32, i32 or i64 and is rounded
/// and clamped to its dtype.
Tensor to_stored(const Graph& graph, ValueId id, const Tensor& real);
/// One stored value back to real numbers in Canonical layout.
Tensor to_real(const Graph& graph, ValueId id, const Tensor& stored);

}  // namespace qopt
