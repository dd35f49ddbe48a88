// SPDX-License-Identifier: MIT
// Metrics: accuracy with its uncertainty, and signal-to-noise of quantised values. Pure
// functions of predictions and numbers.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace qopt::eval {

/// What one model said about each sample of a labelled set.
struct Outcomes {
  std::vector<std::uint8_t> top1,
      top5;  // 1 where the label is the best / among the best five
};

/// Rank of the label: how many classes score strictly higher, or equal with a lower
/// index.
std::int64_t rank_of(std::span<const float> scores, std::int64_t label);

struct Interval95 {
  double lo = 0, hi = 0;
};

/// Percentage of ones, with the exact (Clopper-Pearson) 95 % interval.
struct Proportion {
  double percent = 0;
  Interval95 interval;
  std::int64_t count = 0;
};
Proportion proportion(std::span<const std::uint8_t> outcomes);

/// Drop in percentage points from `before` to `after` on the same samples, with the
/// paired 95 % interval of the difference of proportions (Newcombe 1998, method 10,
/// square-and-add with the phi correction) and McNemar's exact two-sided p. `upper_bound`
/// is the one-sided bound at `confidence`, which the gate uses.
struct PairedDrop {
  double drop = 0;  // percentage points, positive = worse
  Interval95 interval;
  double upper_bound = 0;
  double p_value = 1;
  std::int64_t lost = 0, gained = 0, count = 0;
};
PairedDrop paired_drop(std::span<const std::uint8_t> before,
                       std::span<const std::uint8_t> after, double confidence = 0.95);

/// Running mean square error and signal power between a reference and its approximation.
/// `add` calls in a fixed order give the same result for every number of threads.
class Distortion {
 public:
  void add(std::span<const float> reference, std::span<const float> approximation);
  void merge(const Distortion& other);
  double mse() const;
  /// 10 log10(signal power / error power); +infinity when exact, empty when the signal is
  /// zero.
  std::optional<double> sqnr_db() const;

 private:
  double signal_ = 0, error_ = 0;
  std::int64_t count_ = 0;
};

}  // namespace qopt::eval
