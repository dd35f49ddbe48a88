// SPDX-License-Identifier: MIT
// The simple estimators and the table. To add one: write the function (a longer one in a
// file of its own), add a row, add a test.
#include "lib/calib/estimators.h"

#include <algorithm>
#include <cmath>

#include "lib/calib/histogram.h"

namespace qopt::calib {
namespace {

Range minmax(const Statistics& s, const EstimatorOptions& options) {
  return shaped({s.min, s.max}, s, options);
}

/// Each sample moves the range a little: r = momentum * r + (1 - momentum) * sample's
/// extreme. Starts with the first sample; order is that of the samples.
Range moving_average(const Statistics& s, const EstimatorOptions& options) {
  if (s.sample_min.empty()) return minmax(s, options);
  double lo = s.sample_min[0], hi = s.sample_max[0];
  for (std::size_t i = 1; i < s.sample_min.size(); ++i) {
    lo = options.momentum * lo + (1.0 - options.momentum) * s.sample_min[i];
    hi = options.momentum * hi + (1.0 - options.momentum) * s.sample_max[i];
  }
  return shaped({static_cast<float>(lo), static_cast<float>(hi)}, s, options);
}

/// Lower edge of the bin in which the running count reaches `share` of the total, where
/// the bins run through `below` (from its far end) and then `above`. A bin below zero
/// counts by its edge nearer to zero, so that `share` is symmetric between the two sides.
double quantile(const std::vector<std::uint64_t>& below,
                const std::vector<std::uint64_t>& above, double share, double bin_width,
                std::uint64_t total) {
  std::uint64_t running = 0;
  for (std::size_t i = below.size(); i-- > 0;) {
    running += below[i];
    if (static_cast<double>(running) / static_cast<double>(total) >= share) {
      return -static_cast<double>(i) * bin_width;
    }
  }
  for (std::size_t i = 0; i < above.size(); ++i) {
    running += above[i];
    if (static_cast<double>(running) / static_cast<double>(total) >= share) {
      return static_cast<double>(i) * bin_width;
    }
  }
  return static_cast<double>(above.size()) * bin_width;
}

/// `percentile` of the elements lie inside. Symmetric or one-sided: on |x|, lower edge of
/// the bin as in NVIDIA's calib/histogram.py (Wu et al. 2020, section 5.2). Otherwise
/// both tails lose half of the rest each. At least one bin wide: a value that is nearly
/// always 0 is not dead.
Range percentile(const Statistics& s, const EstimatorOptions& options) {
  if (s.count == 0 || options.percentile >= 100.0) return minmax(s, options);
  const double share = options.percentile / 100.0;
  if (options.symmetric || s.min >= 0 || s.max <= 0) {
    const std::vector<std::uint64_t> none;
    const double a = quantile(none, magnitudes(s), share, s.bin_width, s.count);
    return within(std::max(a, s.bin_width), s, options);
  }
  const double one_side = 1.0 - (1.0 - share) / 2.0;
  double hi = quantile(s.negative, s.positive, one_side, s.bin_width, s.count);
  double lo = -quantile(s.positive, s.negative, one_side, s.bin_width, s.count);
  if (hi <= 0 && lo >= 0) hi = s.bin_width, lo = -s.bin_width;
  return {static_cast<float>(std::clamp<double>(lo, s.min, 0.0)),
          static_cast<float>(std::clamp<double>(hi, 0.0, s.max))};
}

constexpr Estimator kEstimators[] = {
    {"minmax", "smallest and largest value seen", minmax},
    {"moving_average", "exponential average of each sample's extremes", moving_average},
    {"percentile", "a share of the values, on |x| where symmetric (Wu et al. 2020)",
     percentile},
    {"entropy", "least KL divergence from the histogram (Wu et al. 2020, TensorRT)",
     entropy},
    {"mse", "least expected square error over the histogram", mse},
};

}  // namespace

std::span<const Estimator> estimators() { return kEstimators; }

const Estimator* find_estimator(std::string_view name) {
  for (const Estimator& row : kEstimators) {
    if (row.name == name) return &row;
  }
  return nullptr;
}

}  // namespace qopt::calib
