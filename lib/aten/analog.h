// SPDX-License-Identifier: MIT
// Analog hardware on tensors (arXiv:2402.02593): what crosses into or out of an analog
// layer is clamped, loses precision and gains noise. Differentiable by straight-through
// estimators. The scalar rules are lib/theory/analog.h's; knows no graph and no trainer.
#pragma once

#include <ATen/ATen.h>

#include <string>

#include "lib/core/rng.h"

namespace qopt::aten {

/// One crossing. The chain works on x / clamp, in [-1, 1] with P = 2^bits - 1 levels per
/// unit: reduced precision is RP(x) = sign(x) ceil(|x| P - 1/2) / P, and the noise is
/// Gaussian with the deviation at which a value leaves its bin with probability
/// `leakage`.
struct AnalogChain {
  int bits = 8;        // 1 to 24
  double leakage = 0;  // 0 (no noise) to below 1
  double clamp = 1;    // the real value that stands for 1, above 0
  bool operator==(const AnalogChain&) const = default;
};
/// Error(Usage) naming `where` for a chain outside these bounds.
void check(const AnalogChain& chain, const std::string& where);

// All functions take float32 tensors and return new ones. Each call draws once from
// `rng`, and element i (row-major) of its noise is normal number i of the stream seeded
// by that draw: the same for every number of threads and every device.

/// Digital to analog, before a layer: clamp, reduced precision, noise. The gradient
/// passes where |x| <= clamp.
at::Tensor analog_activation(const at::Tensor& x, const AnalogChain& chain, Rng& rng);

/// Analog to digital, after a layer: noise, clamp, reduced precision. The gradient passes
/// where |x + noise| <= clamp.
at::Tensor analog_readout(const at::Tensor& x, const AnalogChain& chain, Rng& rng);

/// Weights and biases on their way into the layer: clamp, reduced precision, noise. A
/// pseudo-parameter: the gradient with respect to the result goes to `weight` unchanged,
/// beyond the clamp too.
at::Tensor analog_weight(const at::Tensor& weight, const AnalogChain& chain, Rng& rng);

}  // namespace qopt::aten
