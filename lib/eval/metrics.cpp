// SPDX-License-Identifier: MIT
#include "lib/eval/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/core/error.h"
#include "lib/eval/binomial.h"

namespace qopt::eval {
namespace {

/// Wilson's score interval for `successes` of `count`, as distances below and above the
/// proportion.
struct Wilson {
  double below = 0, above = 0;
};
Wilson wilson(std::int64_t successes, std::int64_t count, double z) {
  const auto x = static_cast<double>(successes), n = static_cast<double>(count);
  const double p = x / n, z2 = z * z;
  const double centre = 2.0 * x + z2;
  const double spread = z * std::sqrt(z2 + 4.0 * x * (1.0 - p));
  const double lo = (centre - spread) / (2.0 * (n + z2));
  const double hi = (centre + spread) / (2.0 * (n + z2));
  return {p - std::max(0.0, lo), std::min(1.0, hi) - p};
}

/// The 2x2 table of paired outcomes.
struct Table {
  std::int64_t both = 0, lost = 0, gained = 0, neither = 0;
  std::int64_t count() const { return both + lost + gained + neither; }
};

/// Newcombe 1998, method 10: Wilson's distances joined by square-and-add, less the
/// correlation phi, whose numerator is reduced by n/2 (not below 0) where it is positive.
Interval95 newcombe10(const Table& t, double z) {
  const auto a = static_cast<double>(t.both), b = static_cast<double>(t.lost);
  const auto c = static_cast<double>(t.gained), d = static_cast<double>(t.neither);
  const double n = a + b + c + d;
  const Wilson first = wilson(t.both + t.lost, t.count(), z);
  const Wilson second = wilson(t.both + t.gained, t.count(), z);
  const double margins = (a + b) * (c + d) * (a + c) * (b + d);
  double phi = 0;
  if (margins > 0) {
    double numerator = a * d - b * c;
    if (numerator > 0) numerator = std::max(numerator - n / 2.0, 0.0);
    phi = numerator / std::sqrt(margins);
  }
  const auto joined = [&](double x, double y) {
    return std::sqrt(std::max(0.0, x * x - 2.0 * phi * x * y + y * y));
  };
  const double difference = (b - c) / n;
  return {difference - joined(first.below, second.above),
          difference + joined(first.above, second.below)};
}

}  // namespace

std::int64_t rank_of(std::span<const float> scores, std::int64_t label) {
  const auto count = static_cast<std::int64_t>(scores.size());
  if (label < 0 || label >= count) {
    throw Error(ExitCode::Data, "",
                fmt::format("label {} for a model with {} outputs", label, count),
                "do the labels belong to this model?");
  }
  // NaN is below every number, so a broken model never counts as right.
  const auto beats = [](float a, float b) {
    return std::isnan(b) ? !std::isnan(a) : a > b;
  };
  const float own = scores[static_cast<std::size_t>(label)];
  std::int64_t rank = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    const float other = scores[static_cast<std::size_t>(i)];
    const bool ties = !beats(other, own) && !beats(own, other);
    if (beats(other, own) || (ties && i < label)) ++rank;
  }
  return rank;
}

Proportion proportion(std::span<const std::uint8_t> outcomes) {
  Proportion result;
  result.count = static_cast<std::int64_t>(outcomes.size());
  result.interval = {0, 100};
  if (outcomes.empty()) return result;
  const std::int64_t ones =
      std::count_if(outcomes.begin(), outcomes.end(),
                    [](std::uint8_t outcome) { return outcome != 0; });
  const auto x = static_cast<double>(ones), n = static_cast<double>(result.count);
  result.percent = 100.0 * x / n;
  if (ones > 0)
    result.interval.lo = 100.0 * incomplete_beta_inverse(x, n - x + 1.0, 0.025);
  if (ones < result.count) {
    result.interval.hi = 100.0 * incomplete_beta_inverse(x + 1.0, n - x, 0.975);
  }
  return result;
}

PairedDrop paired_drop(std::span<const std::uint8_t> before,
                       std::span<const std::uint8_t> after, double confidence) {
  QOPT_CHECK(before.size() == after.size(), "{} and {} outcomes", before.size(),
             after.size());
  QOPT_CHECK(confidence > 0 && confidence < 1, "confidence {}", confidence);
  Table t;
  for (std::size_t i = 0; i < before.size(); ++i) {
    const bool was = before[i] != 0, is = after[i] != 0;
    ++(was ? (is ? t.both : t.lost) : (is ? t.gained : t.neither));
  }
  PairedDrop result;
  result.count = t.count();
  result.lost = t.lost;
  result.gained = t.gained;
  result.interval = {-100, 100};
  result.upper_bound = 100;
  if (result.count == 0) return result;
  result.drop =
      100.0 * static_cast<double>(t.lost - t.gained) / static_cast<double>(t.count());
  const Interval95 two_sided = newcombe10(t, normal_quantile(0.975));
  result.interval = {100.0 * two_sided.lo, 100.0 * two_sided.hi};
  result.upper_bound = 100.0 * newcombe10(t, normal_quantile(confidence)).hi;
  result.p_value = mcnemar_exact(t.lost, t.gained);
  return result;
}

void Distortion::add(std::span<const float> reference,
                     std::span<const float> approximation) {
  QOPT_CHECK(reference.size() == approximation.size(), "{} and {} values",
             reference.size(), approximation.size());
  double signal = 0, error = 0;
  for (std::size_t i = 0; i < reference.size(); ++i) {
    const double r = reference[i], e = r - static_cast<double>(approximation[i]);
    signal += r * r;
    error += e * e;
  }
  signal_ += signal;
  error_ += error;
  count_ += static_cast<std::int64_t>(reference.size());
}

void Distortion::merge(const Distortion& other) {
  signal_ += other.signal_;
  error_ += other.error_;
  count_ += other.count_;
}

double Distortion::mse() const {
  return count_ == 0 ? 0 : error_ / static_cast<double>(count_);
}

std::optional<double> Distortion::sqnr_db() const {
  if (signal_ == 0) return std::nullopt;
  if (error_ == 0) return std::numeric_limits<double>::infinity();
  return 10.0 * std::log10(signal_ / error_);
}

}  // namespace qopt::eval
