// SPDX-License-Identifier: MIT
// What the estimators share: the histogram of |x|, and a threshold on |x| as a range.
// Private to the room.
#pragma once

#include <cstdint>
#include <vector>

#include "lib/calib/estimators.h"

namespace qopt::calib {

/// Counts of |x|: kBins entries. A copy, so that no estimator changes what the next one
/// sees.
std::vector<std::uint64_t> magnitudes(const Statistics& statistics);

/// True when no value was negative and all codes serve the positive side.
inline bool is_one_sided(const Statistics& statistics, const EstimatorOptions& options) {
  return statistics.min >= 0 && options.one_sided;
}

/// `range` in the form the options ask for: symmetric ranges become [-a, a], one-sided
/// data [0, a].
Range shaped(Range range, const Statistics& statistics, const EstimatorOptions& options);

/// The range of a threshold a on |x|: shaped, and not symmetric: [-a, a] cut to [min,
/// max].
Range within(double threshold, const Statistics& statistics,
             const EstimatorOptions& options);

/// The searches with files of their own.
Range entropy(const Statistics& statistics, const EstimatorOptions& options);
Range mse(const Statistics& statistics, const EstimatorOptions& options);

}  // namespace qopt::calib
