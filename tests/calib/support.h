// SPDX-License-Identifier: MIT
// What the calibration tests share: distributions with known shape, and the square error
// that a range causes on real numbers.
#pragma once

#include <cmath>
#include <vector>

#include "lib/calib/statistics.h"
#include "lib/core/rng.h"

namespace qopt::calib {

inline std::vector<float> normal(std::size_t count, std::uint64_t seed,
                                 double sigma = 1.0) {
  Rng rng(seed);
  std::vector<float> out(count);
  for (float& x : out) x = static_cast<float>(sigma * rng.normal());
  return out;
}

inline std::vector<float> relu(std::vector<float> values) {
  for (float& x : values) x = x < 0 ? 0.0F : x;
  return values;
}

inline Statistics statistics_of(const std::vector<float>& values) {
  return statistics_of(std::span<const std::vector<float>>(&values, 1));
}

/// Mean square error of decode(encode(x)).
inline double error_of(const std::vector<float>& values, const Affine& e) {
  double sum = 0;
  for (float x : values) {
    const double d =
        static_cast<double>(x) - static_cast<double>(decode(encode(x, e), e));
    sum += d * d;
  }
  return sum / static_cast<double>(values.size());
}

}  // namespace qopt::calib
