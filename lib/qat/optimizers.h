// SPDX-License-Identifier: MIT
// Optimizers: LibTorch's SGD and AdamW over a network's parameter groups, with a state
// that can be stored and put back. Knows no losses and no data.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "lib/qat/checkpoint.h"
#include "lib/qat/network.h"

namespace qopt::qat {

class Optimizers {
 public:
  /// Weights decay, PACT's bounds too; biases, batch norm, steps and offsets do not.
  Optimizers(std::vector<Parameter>& parameters, const QatConfig& config);
  ~Optimizers();

  /// One step at this learning rate with these gradients (undefined: none), clipped to
  /// the configured norm. The gradients may be changed.
  void step(std::vector<at::Tensor>& gradients, double learning_rate);

  /// Momenta and the like, named after their parameters.
  std::vector<Checkpoint::Entry> state() const;
  /// Puts back what state() gave; false when an entry is missing or fits
  /// no parameter.
  bool restore(const std::vector<Checkpoint::Entry>& entries);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace qopt::qat
