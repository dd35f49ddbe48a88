// SPDX-License-Identifier: MIT
// Exact projections of weights on two and three levels. Pure functions of numbers; know
// no graphs and no encodings.
#pragma once

#include <span>

namespace qopt::calib {

/// The scale a that makes a * sign(w) nearest to `weights` in the square norm: mean |w|
/// (XNOR-Net, Rastegari 2016, eq. 6). 0 where all weights are zero or there are none, NaN
/// where one is not finite. Encoding at this scale with `o` of 1 bit is the projection.
float binary_scale(std::span<const float> weights);

/// a * {-1, 0, 1} nearest to the weights.
struct TernaryScale {
  float scale = 0;      // a: the mean of the |w| that stay
  float threshold = 0;  // a / 2: exactly the |w| above it stay
};

/// The exact ternary projection: with |w| sorted downwards, the k with the greatest
/// (sum of the first k)^2 / k stay, and the scale is their mean (Yin 2016, "Training
/// Ternary Neural Networks with Exact Proximal Operator"; TWN's 0.7 mean |w| is an
/// approximation of it). Does not depend on the order of the weights. Zeros and NaN as
/// binary_scale. Encoding at this scale with `t` is the projection. O(n log n).
TernaryScale ternary_scale(std::span<const float> weights);

}  // namespace qopt::calib
