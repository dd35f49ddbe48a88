// SPDX-License-Identifier: MIT
// MSE calibration: the range with the least expected square error, elements taken as
// spread evenly inside their bins. The integral is exact, so thresholds of fewer bins
// than levels are judged as fairly as wide ones.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "lib/calib/histogram.h"

namespace qopt::calib {
namespace {

/// Sum of square errors of one side of the histogram, rounding to multiples of `step` and
/// clamping at `last` steps. Exact zeros have no error.
///
/// The integral of (t - Q(t))^2 from 0 to x is n step^3 / 12 + r^3 / 3 with x = n step +
/// r and n the nearest code; beyond the last code n stays and r grows.
double side_error(const std::vector<std::uint64_t>& bins, std::uint64_t zeros,
                  double bin_width, double step, double last) {
  constexpr auto kBins = static_cast<std::size_t>(Statistics::kBins);
  std::array<double, kBins + 1> integral;
  const double per_step = 1.0 / step, cell = step * step * step / 12.0;
  for (std::size_t i = 0; i <= kBins; ++i) {
    const double x = static_cast<double>(i) * bin_width;
    const double nearest = std::min(x * per_step + 0.5, last);  // last < 2^16
    const auto n = static_cast<double>(static_cast<std::int32_t>(nearest));
    const double r = x - n * step;
    integral[i] = n * cell + r * r * r / 3.0;
  }
  double sum = 0;
  for (std::size_t i = 0; i < kBins; ++i) {
    const std::uint64_t count = bins[i] - (i == 0 ? zeros : 0);
    sum += static_cast<double>(count) * (integral[i + 1] - integral[i]);
  }
  return sum / bin_width;
}

/// The same where the codes are the odd multiples of `step` up to `last` of them. With
/// n pairs of steps below x, the integral of (t - (2n + 1) step)^2 from 0 to x is
/// 2 n step^3 / 3 + (r^3 + step^3) / 3, r = x - (2n + 1) step. A zero errs by one step.
double odd_side_error(const std::vector<std::uint64_t>& bins, std::uint64_t zeros,
                      double bin_width, double step, double last) {
  const double cube = step * step * step;
  const auto integral = [&](double x) {
    const double n = std::min(std::floor(x / (2.0 * step)), (last - 1.0) / 2.0);
    const double r = x - (2.0 * n + 1.0) * step;
    return (2.0 * n * cube + r * r * r + cube) / 3.0;
  };
  double sum = 0, before = integral(0);
  for (std::size_t i = 0; i < bins.size(); ++i) {
    const std::uint64_t count = bins[i] - (i == 0 ? zeros : 0);
    const double after = integral(static_cast<double>(i + 1) * bin_width);
    sum += static_cast<double>(count) * (after - before);
    before = after;
  }
  return sum / bin_width + static_cast<double>(zeros) * step * step;
}

/// Error over both sides, where codes reach `below` steps below zero and `above` above
/// it.
double total_error(const Statistics& s, double step, double below, double above) {
  double error = side_error(s.positive, s.zeros, s.bin_width, step, above);
  if (s.min < 0) error += side_error(s.negative, 0, s.bin_width, step, below);
  return error;
}

double odd_error(const Statistics& s, double step, double last) {
  return odd_side_error(s.positive, s.zeros, s.bin_width, step, last) +
         odd_side_error(s.negative, 0, s.bin_width, step, last);
}

/// Thresholds of whole bins: eighths of octaves first, then ever smaller steps from the
/// best of them while that helps.
Range symmetric_search(const Statistics& s, const EstimatorOptions& options) {
  const bool all_bits = options.odd || is_one_sided(s, options);
  // At least 1: of two codes with a sign one is zero, the other lies one step away.
  const double levels =
      std::max(1.0, std::ldexp(1.0, options.bits - (all_bits ? 0 : 1)) - 1.0);
  double best = std::numeric_limits<double>::infinity();
  int threshold = Statistics::kBins;
  const auto improves = [&](int bins) {
    if (bins < 1 || bins > Statistics::kBins) return false;
    const double step = bins * s.bin_width / levels;
    const double error =
        options.odd ? odd_error(s, step, levels) : total_error(s, step, levels, levels);
    if (!(error < best)) return false;
    best = error;
    threshold = bins;
    return true;
  };
  for (int eighth = 0; eighth <= 8 * 11; ++eighth) {  // 2048 bins are 11 octaves
    improves(static_cast<int>(std::lround(Statistics::kBins * std::exp2(-eighth / 8.0))));
  }
  for (int step = std::max(1, threshold / 16);;) {
    const int from = threshold;
    const bool moved = improves(from - step) | improves(from + step);
    if (!moved && step == 1) break;
    if (!moved) step = (step + 1) / 2;
  }
  return within(threshold * s.bin_width, s, options);
}

/// Both ends at once: a common reduction by quarter octaves finds the scale, then each
/// end moves on its own by ever smaller factors while that helps. At most 48 + 5 * 2 * 64
/// evaluations.
Range joint_search(const Statistics& s, const EstimatorOptions& options) {
  const double steps = std::ldexp(1.0, options.bits) - 1.0;
  const double min = std::min(0.0F, s.min), max = std::max(0.0F, s.max);
  const auto error_of = [&](double lo, double hi) {
    const double step = (hi - lo) / steps;
    // The grid that encoding_of will make: zero falls on a code.
    const double zero = std::round(-lo / step);
    return total_error(s, step, zero, steps - zero);
  };
  double lo = min, hi = max, best = error_of(lo, hi);
  for (int quarter = 1; quarter < 48; ++quarter) {
    const double factor = std::exp2(-quarter / 4.0);
    const double error = error_of(min * factor, max * factor);
    if (error < best) best = error, lo = min * factor, hi = max * factor;
  }
  for (const double octaves : {1.0, 0.5, 0.25, 0.125, 0.0625}) {
    for (int move = 0; move < 64; ++move) {
      double new_lo = lo, new_hi = hi;
      for (const double factor : {std::exp2(-octaves), std::exp2(octaves)}) {
        const double to_lo = std::max(min, lo * factor),
                     to_hi = std::min(max, hi * factor);
        if (const double e = error_of(to_lo, hi); e < best)
          best = e, new_lo = to_lo, new_hi = hi;
        if (const double e = error_of(lo, to_hi); e < best)
          best = e, new_lo = lo, new_hi = to_hi;
      }
      if (new_lo == lo && new_hi == hi) break;
      lo = new_lo, hi = new_hi;
    }
  }
  return {static_cast<float>(lo), static_cast<float>(hi)};
}

}  // namespace

Range mse(const Statistics& s, const EstimatorOptions& options) {
  if (s.count == 0 || s.bin_width <= 0) return within(0.0, s, options);
  // With data on one side only, one end is 0 and the plain search covers everything.
  if (options.symmetric || s.min >= 0) return symmetric_search(s, options);
  return joint_search(s, options);
}

}  // namespace qopt::calib
