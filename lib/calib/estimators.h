// SPDX-License-Identifier: MIT
// Range estimators: choose [lo, hi] from what was seen of a value. Pure functions of
// statistics; know nothing of graphs, torch or files.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "lib/graph/encoding.h"

namespace qopt::calib {

/// Fixed-size statistics of one value. Filled in two passes over the samples: extremes
/// first, then counts over bins of the width the extremes gave. Every part merges
/// independently of order, except `sample_min/max`, which are indexed by sample. Beyond
/// kMostExtremes (statistics.h) samples a run of neighbours, a batch, shares an entry, so
/// that memory grows neither with the elements nor with the samples.
struct Statistics {
  static constexpr int kBins = 2048;
  std::vector<float> sample_min, sample_max;  // by sample or run
  float min = 0, max = 0;                     // over all samples
  double bin_width = 0;                       // max(|min|, |max|) / kBins
  std::vector<std::uint64_t> positive;        // kBins counts of x in [i, i+1) * bin_width
  std::vector<std::uint64_t> negative;        // kBins counts of -x, x < 0
  std::uint64_t zeros = 0;  // x == 0 exactly (also counted in positive[0])
  std::uint64_t count = 0;
};

struct Range {
  float lo = 0, hi = 0;
};

/// What an estimator may know beside the statistics.
struct EstimatorOptions {
  int bits = 8;
  bool symmetric = true;  // range will be [-a, a] (or [0, a] for one-sided data)
  // Data on one side of zero get codes on that side only. False where the level set is
  // symmetric and signed, so that half of the codes lie beyond zero unused.
  bool one_sided = true;
  // Codes are the odd multiples of the step, as in level set o; goes with symmetric and
  // not one_sided. Only mse asks.
  bool odd = false;
  double percentile = 99.99;  // percentile only
  double momentum = 0.9;      // moving average only
};

struct Estimator {
  std::string_view name;     // "minmax", "moving_average", "percentile", "entropy", "mse"
  std::string_view summary;  // with its source
  Range (*estimate)(const Statistics&, const EstimatorOptions&);
};

/// The table; config, report and tests walk it.
std::span<const Estimator> estimators();
const Estimator* find_estimator(std::string_view name);

/// The encoding of a range: scale and zero point for the level set. Symmetric level sets
/// centre on zero; `u` and affine `s` place the zero point so that real 0 has a code. The
/// range is widened to contain 0. A range of [0, 0] (dead value) gives scale 1, and the
/// least normal float for `o`, which has no zero.
Affine encoding_of(const Range& range, LevelSet levels, int bits, bool symmetric);

}  // namespace qopt::calib
