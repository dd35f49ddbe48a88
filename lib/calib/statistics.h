// SPDX-License-Identifier: MIT
// Filling Statistics: first the extremes of every sample, then counts over bins. Pure
// functions over spans of numbers; know nothing of graphs or threads.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "lib/calib/estimators.h"

namespace qopt::calib {

/// Most entries of `sample_min/max`.
constexpr std::int64_t kMostExtremes = 4096;

struct Extremes {
  float min = 0, max = 0;
  bool finite =
      true;  // false when an element is infinite or NaN; min and max then mean nothing
};
/// Smallest and largest element; 0 and 0 for none.
Extremes extremes_of(std::span<const float> values);

/// After the first pass: min, max and bin_width from sample_min and sample_max; counts
/// emptied.
void finish_extremes(Statistics& statistics);

/// Second pass: counts `values` (finite) in bins of `statistics.bin_width`.
void count_values(Statistics& statistics, std::span<const float> values);

/// Adds the counts of `part` (same bin_width). Integers, so any order gives the same
/// result.
void merge_counts(Statistics& into, const Statistics& part);

/// Both passes over samples held in memory.
Statistics statistics_of(std::span<const std::vector<float>> samples);

/// Statistics of values that will share one encoding: extremes by sample, counts rebinned
/// to the widest bin (a bin's count goes to the bin that holds its centre).
Statistics merged(std::span<const Statistics* const> parts);

/// Fraction of the counted elements outside [lo, hi], by whole bins; 0 where nothing was
/// counted.
double clipped_fraction(const Statistics& statistics, const Range& range);

}  // namespace qopt::calib
