// SPDX-License-Identifier: MIT
// FakeQuantizer: an encoding that trains. Forward it is decode(encode(x)) to the bit,
// backward an estimator's row; frozen it is an Affine again. Knows no graphs and no
// schedules.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <optional>

#include "lib/core/rng.h"
#include "lib/graph/encoding.h"
#include "lib/qat/quantize_kernels.h"

namespace qopt::qat {

/// What a quantiser is for decides its parameters' gradient scale: 1 / sqrt(N hi), N the
/// numbers one step serves (LSQ, section 2.2).
enum class Role { Weights, Activations };

class FakeQuantizer {
 public:
  /// `start` gives the levels and the first step, `delta` is EWGS's scaling factor.
  /// Activations carry their samples along axis 0.
  FakeQuantizer(Affine start, const Estimator& estimator, Role role, float delta = 0,
                at::Device device = at::kCPU);

  /// x fake-quantised, shaped as x; differentiable in x, step and offset. With an axis,
  /// channels lie along it. `noise` is needed by estimators that add noise and may be
  /// null otherwise; without it they round, as they do when evaluated.
  at::Tensor forward(const at::Tensor& x, Rng* noise = nullptr) const;

  /// The encoding as it stands: what forward rounds to.
  Affine encoding() const;

  /// Weights: the exact (or best found) step for the latent numbers, for estimators that
  /// project; others keep theirs.
  void project(const at::Tensor& latent);
  /// Weights: the best step for other latent numbers than the calibrated ones, whatever
  /// the estimator.
  void restart(const at::Tensor& latent);
  /// After an optimizer's step: keeps steps positive.
  void restrict_steps();

  const Estimator& estimator() const { return *estimator_; }
  const Affine& start() const { return start_; }
  /// Leaves that train; undefined where the estimator learns neither.
  at::Tensor& step() { return step_; }
  at::Tensor& offset() { return offset_; }
  const at::Tensor& step() const { return step_; }
  bool learns_step() const { return estimator_->learns != Learns::Nothing; }
  /// Symmetric level sets keep their zero point at 0 whatever the estimator.
  bool learns_offset() const {
    return estimator_->learns == Learns::StepAndOffset && !is_symmetric(start_.levels);
  }

 private:
  Levels levels(std::size_t channel) const;
  void fit(const at::Tensor& latent);
  std::int32_t encoding_zero(std::size_t channel) const;

  Affine start_;
  const Estimator* estimator_;
  Role role_;
  float delta_;
  at::Tensor step_;    // f32 [channels or 1]
  at::Tensor offset_;  // f32 [1], the real number of code 0
};

}  // namespace qopt::qat
