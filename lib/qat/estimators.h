// SPDX-License-Identifier: MIT
// Estimators: what stands in for the derivative of a step function while training. One
// table of plain rows; the arithmetic that reads them is in quantize_kernels.h. Knows no
// tensors and no graphs.
#pragma once

#include <span>
#include <string_view>

namespace qopt::qat {

/// What of a quantiser learns beside the latent number itself.
enum class Learns {
  Nothing,  // the step stays as calibrated (weights: recomputed where `projects`)
  Step,
  StepAndOffset,
};

/// The derivative of the quantised number by its step, for x/step = v, code q, levels
/// [lo, hi]. Below lo it is lo, above hi it is hi, except as said.
enum class StepGradient {
  None,
  Rounding,     // q - v inside (LSQ, Esser 2020, eq. 3)
  ThreeValued,  // (hi + 1) / 2 inside, 0 below (BCGD, Yin 2018, "mean")
  Clip,         // 0 inside and below (PACT, Choi 2018: only the clipped part moves it)
  Code,         // q everywhere (the exact derivative for a fixed code)
};

/// What replaces the weights' own numbers before they are rounded.
enum class Latent {
  Raw,
  Tanh,  // tanh(w) / max |tanh(w)|, step fixed by the levels (DoReFa, Zhou 2016, eq. 9)
};

/// One row: forward is decode(encode(x)) in every case but Noise; a row says the
/// backward. `below`, `above`: factor on the gradient of numbers outside the levels;
/// inside it is 1.
struct Estimator {
  std::string_view name, summary, source;
  bool for_weights, for_activations;
  float below, above;
  StepGradient step_gradient;
  Learns learns;
  Latent latent = Latent::Raw;
  bool adds_noise =
      false;  // training adds uniform noise of one step in place of rounding
  bool scales_elements = false;  // EWGS: gradient * (1 + delta sign(g) (v - q))
  bool projects = false;  // weights: step is the exact projection of the latent numbers
  bool decays = false;    // the step decays like a weight
  bool blends = false;    // weights: y <- (1 - rho) y + rho w before each step
};

/// The table; config, schema, documentation and tests walk it.
std::span<const Estimator> estimators();
/// Null when there is no such row.
const Estimator* find_estimator(std::string_view name);

}  // namespace qopt::qat
