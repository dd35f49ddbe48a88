// SPDX-License-Identifier: MIT
#include "lib/calib/statistics.h"

#include <algorithm>
#include <cmath>

namespace qopt::calib {
namespace {

constexpr auto kBins = static_cast<std::size_t>(Statistics::kBins);

void clear_counts(Statistics& s) {
  s.positive.assign(kBins, 0);
  s.negative.assign(kBins, 0);
  s.zeros = s.count = 0;
}

}  // namespace

Extremes extremes_of(std::span<const float> values) {
  if (values.empty()) return {};
  Extremes e{values[0], values[0], true};
  // x - x is 0 for finite x and NaN otherwise; NaN survives the sum.
  float poison = 0;
  for (float x : values) {
    e.min = x < e.min ? x : e.min;
    e.max = x > e.max ? x : e.max;
    poison += x - x;
  }
  e.finite = poison == 0;
  return e;
}

void finish_extremes(Statistics& s) {
  QOPT_CHECK(s.sample_min.size() == s.sample_max.size(), "extremes of {} and {} samples",
             s.sample_min.size(), s.sample_max.size());
  s.min = s.max = 0;
  if (!s.sample_min.empty()) {
    s.min = *std::min_element(s.sample_min.begin(), s.sample_min.end());
    s.max = *std::max_element(s.sample_max.begin(), s.sample_max.end());
  }
  s.bin_width = std::max(std::abs(static_cast<double>(s.min)),
                         std::abs(static_cast<double>(s.max))) /
                kBins;
  clear_counts(s);
}

void count_values(Statistics& s, std::span<const float> values) {
  const double per_bin = s.bin_width > 0 ? 1.0 / s.bin_width : 0.0;
  constexpr double kLast = static_cast<double>(kBins - 1);
  std::uint64_t* const positive = s.positive.data();
  std::uint64_t* const negative = s.negative.data();
  for (float x : values) {
    // The largest element lies on the upper edge and belongs to the last bin.
    const double at = std::min(std::abs(static_cast<double>(x)) * per_bin, kLast);
    ++(x < 0 ? negative : positive)[static_cast<std::size_t>(at)];
    s.zeros += x == 0;
  }
  s.count += values.size();
}

void merge_counts(Statistics& into, const Statistics& part) {
  QOPT_CHECK(into.bin_width == part.bin_width, "bins of {} and {}", into.bin_width,
             part.bin_width);
  for (std::size_t i = 0; i < kBins; ++i) {
    into.positive[i] += part.positive[i];
    into.negative[i] += part.negative[i];
  }
  into.zeros += part.zeros;
  into.count += part.count;
}

Statistics statistics_of(std::span<const std::vector<float>> samples) {
  Statistics s;
  for (const std::vector<float>& values : samples) {
    const Extremes e = extremes_of(values);
    s.sample_min.push_back(e.min);
    s.sample_max.push_back(e.max);
  }
  finish_extremes(s);
  for (const std::vector<float>& values : samples) count_values(s, values);
  return s;
}

Statistics merged(std::span<const Statistics* const> parts) {
  QOPT_CHECK(!parts.empty(), "nothing to merge");
  Statistics out = *parts[0];
  if (parts.size() == 1) return out;
  for (const Statistics* part : parts) {
    QOPT_CHECK(part->sample_min.size() == out.sample_min.size(), "{} and {} samples",
               part->sample_min.size(), out.sample_min.size());
    for (std::size_t i = 0; i < out.sample_min.size(); ++i) {
      out.sample_min[i] = std::min(out.sample_min[i], part->sample_min[i]);
      out.sample_max[i] = std::max(out.sample_max[i], part->sample_max[i]);
    }
    out.min = std::min(out.min, part->min);
    out.max = std::max(out.max, part->max);
    out.bin_width = std::max(out.bin_width, part->bin_width);
  }
  clear_counts(out);
  for (const Statistics* part : parts) {
    const double ratio = out.bin_width > 0 ? part->bin_width / out.bin_width : 0.0;
    for (std::size_t i = 0; i < kBins; ++i) {
      const auto to = std::min(
          kBins - 1, static_cast<std::size_t>((static_cast<double>(i) + 0.5) * ratio));
      out.positive[to] += part->positive[i];
      out.negative[to] += part->negative[i];
    }
    out.zeros += part->zeros;
    out.count += part->count;
  }
  return out;
}

double clipped_fraction(const Statistics& s, const Range& range) {
  if (s.count == 0) return 0;
  std::uint64_t outside = 0;
  for (std::size_t i = 0; i < kBins; ++i) {
    const double centre = (static_cast<double>(i) + 0.5) * s.bin_width;
    if (centre > range.hi) outside += s.positive[i];
    if (-centre < range.lo) outside += s.negative[i];
  }
  // Exact zeros are inside every range, which always holds 0.
  if (0.5 * s.bin_width > range.hi) outside -= s.zeros;
  return static_cast<double>(outside) / static_cast<double>(s.count);
}

}  // namespace qopt::calib
