// SPDX-License-Identifier: MIT
// Float semantics: a graph of any level but Integer run with LibTorch. Inside the torch
// wall, with a torch-free face so that calibration and evaluation need not include
// LibTorch.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "lib/graph/graph.h"

namespace qopt::aten {

/// Runs Imported, Canonical and Encoded graphs in float32. Construction binds the
/// constants once; `run` is const and thread-safe (each caller's LibTorch work stays on
/// its own thread: call use_one_thread_per_caller() once at start-up).
class FloatExecutor {
 public:
  enum class Mode {
    Float,
    FakeQuant
  };  // FakeQuant: decode(encode(v)) wherever v has an encoding
  explicit FloatExecutor(const Graph& graph, Mode mode = Mode::Float);
  ~FloatExecutor();
  FloatExecutor(FloatExecutor&&) noexcept;

  /// Sees every non-constant value as produced (after fake quantisation).
  using Observer = std::function<void(ValueId, const Tensor&)>;
  std::vector<Tensor> run(std::span<const Tensor> inputs,
                          const Observer& observe = {}) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Sets LibTorch's intra-op threads to one: parallelism is over samples, so that results
/// do not depend on the number of threads.
void use_one_thread_per_caller();

}  // namespace qopt::aten
