// SPDX-License-Identifier: MIT
#include "lib/calib/histogram.h"

#include <algorithm>
#include <cmath>

namespace qopt::calib {

std::vector<std::uint64_t> magnitudes(const Statistics& s) {
  std::vector<std::uint64_t> counts = s.positive;
  for (std::size_t i = 0; i < counts.size(); ++i) counts[i] += s.negative[i];
  return counts;
}

Range shaped(Range range, const Statistics& s, const EstimatorOptions& options) {
  if (!options.symmetric) return range;
  const float a = std::max(std::abs(range.lo), std::abs(range.hi));
  return {is_one_sided(s, options) ? 0.0F : -a, a};
}

Range within(double threshold, const Statistics& s, const EstimatorOptions& options) {
  const auto a = static_cast<float>(threshold);
  if (options.symmetric) return shaped({-a, a}, s, options);
  return {std::min(0.0F, std::max(-a, s.min)), std::max(0.0F, std::min(a, s.max))};
}

}  // namespace qopt::calib
