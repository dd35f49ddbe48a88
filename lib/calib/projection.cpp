// SPDX-License-Identifier: MIT
#include "lib/calib/projection.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <vector>

namespace qopt::calib {
namespace {

bool all_finite(std::span<const float> weights) {
  return std::ranges::all_of(weights, [](float w) { return std::isfinite(w); });
}

}  // namespace

float binary_scale(std::span<const float> weights) {
  if (weights.empty()) return 0;
  if (!all_finite(weights)) return std::numeric_limits<float>::quiet_NaN();
  double sum = 0;
  for (const float w : weights) sum += std::fabs(static_cast<double>(w));
  return static_cast<float>(sum / static_cast<double>(weights.size()));
}

TernaryScale ternary_scale(std::span<const float> weights) {
  if (!all_finite(weights)) {
    constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
    return {kNan, kNan};
  }
  std::vector<float> magnitudes(weights.begin(), weights.end());
  for (float& m : magnitudes) m = std::fabs(m);
  std::ranges::sort(magnitudes, std::greater<>());
  // |w - a q|^2 = |w|^2 - (sum of the kept)^2 / k at the best a: no |w| lies at a / 2
  // there, because taking it in and leaving it out would both be better.
  double sum = 0, best = 0, scale = 0;
  for (std::size_t i = 0; i < magnitudes.size(); ++i) {
    sum += static_cast<double>(magnitudes[i]);
    const auto count = static_cast<double>(i + 1);
    const double gain = sum * sum / count;
    if (gain > best) best = gain, scale = sum / count;
  }
  return {static_cast<float>(scale), static_cast<float>(scale / 2)};
}

}  // namespace qopt::calib
