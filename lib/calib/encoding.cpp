// SPDX-License-Identifier: MIT
// From a range to an encoding: scale and zero point.
#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/calib/estimators.h"

namespace qopt::calib {
namespace {

/// Positive and finite whatever the range; denormal scales would lose their precision.
float usable_scale(double scale) {
  constexpr double kLeast = std::numeric_limits<float>::min();
  constexpr double kMost = std::numeric_limits<float>::max();
  return static_cast<float>(std::clamp(scale, kLeast, kMost));
}

}  // namespace

Affine encoding_of(const Range& range, LevelSet levels, int bits, bool symmetric) {
  QOPT_CHECK(std::isfinite(range.lo) && std::isfinite(range.hi) && range.lo <= range.hi,
             "range [{}, {}]", range.lo, range.hi);
  const double lo = std::min(range.lo, 0.0F), hi = std::max(range.hi, 0.0F);
  const std::int32_t first = code_min(levels, bits), last = code_max(levels, bits);
  Affine encoding{levels, bits, {1.0F}, {0}, std::nullopt};
  const bool is_dead = lo == 0 && hi == 0;
  if (is_symmetric(levels) || symmetric) {
    // S keeps its extra code -2^(b-1) out of the scale: a code and its negative mean
    // negatives.
    double reach = last;
    if (levels == LevelSet::U && lo < 0) {
      encoding.zero_point = {1 << (bits - 1)};
      reach = last - encoding.zero_point[0];
    }
    if (reach == 0) reach = 1;  // 1 bit: the one other code lies below zero
    if (!is_dead || !has_zero(levels)) {
      encoding.scale = {usable_scale(std::max(-lo, hi) / reach)};
    }
    return encoding;
  }
  if (is_dead) return encoding;
  const float scale = usable_scale((hi - lo) / (static_cast<double>(last) - first));
  const double zero = static_cast<double>(first) - std::nearbyint(lo / scale);
  encoding.scale = {scale};
  encoding.zero_point = {static_cast<std::int32_t>(
      std::clamp(zero, static_cast<double>(first), static_cast<double>(last)))};
  return encoding;
}

}  // namespace qopt::calib
