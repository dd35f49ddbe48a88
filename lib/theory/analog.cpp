// SPDX-License-Identifier: MIT
#include "lib/theory/analog.h"

#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

#include "lib/core/error.h"
#include "lib/theory/blocks.h"

namespace qopt::theory {
namespace {

constexpr double kPi = std::numbers::pi;
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

/// Winitzki's closed approximation of |erfinv(p)|, from L = ln(1 - p^2).
double winitzki(double log_complement) {
  constexpr double a = 0.147;
  const double b = 2.0 / (kPi * a) + 0.5 * log_complement;
  return std::sqrt(std::max(0.0, std::sqrt(b * b - log_complement / a) - b));
}

/// Halley's step for F(x) = 0 with F' = slope and F'' = -2 x F', which holds for erf and
/// erfc.
double halley(double x, double residual, double slope) {
  const double newton = residual / slope;
  return x - newton / (1.0 + x * newton);
}

double erf_slope(double x) { return 2.0 / std::sqrt(kPi) * std::exp(-x * x); }

/// x > 0 with erfc(x) = q, 0 < q < 1.
double inverse_erfc_tail(double q) {
  double x = winitzki(std::log(q * (2.0 - q)));
  for (int i = 0; i < 4; ++i) x = halley(x, std::erfc(x) - q, -erf_slope(x));
  return x;
}

double sigmoid(double x) {
  if (x >= 0) return 1.0 / (1.0 + std::exp(-x));
  const double e = std::exp(x);
  return e / (1.0 + e);
}

/// erfc keeps the digits of the left tail, where 1 + erf cancels.
double normal_cdf(double x) { return 0.5 * std::erfc(-x / std::numbers::sqrt2); }

struct Leaks {
  std::int64_t left = 0;
  void merge(const Leaks& other) { left += other.left; }
};

}  // namespace

int levels_per_unit(int bits) {
  if (bits < 1 || bits > 24)
    throw Error(ExitCode::Usage, "bits",
                fmt::format("{} is not a precision; 1 to 24 are", bits));
  return (1 << bits) - 1;
}

double reduce_precision(double x, int levels) {
  const double level = std::ceil(std::abs(x * levels) - 0.5);
  return (x < 0 ? -level : level) / levels;
}

double inverse_erf(double p) {
  if (!(std::abs(p) <= 1)) return kNaN;
  if (p < 0) return -inverse_erf(-p);
  if (p > 0.5) return inverse_erfc(1.0 - p);  // exact: 1 - p has no rounding here
  double x = winitzki(std::log1p(-p * p));
  for (int i = 0; i < 3; ++i) x = halley(x, std::erf(x) - p, erf_slope(x));
  return x;
}

double inverse_erfc(double q) {
  if (!(q >= 0 && q <= 2)) return kNaN;
  if (q == 0) return kInfinity;
  if (q > 1) return q == 2 ? -kInfinity : -inverse_erfc(2.0 - q);
  return q >= 0.5 ? inverse_erf(1.0 - q) : inverse_erfc_tail(q);
}

double noise_sigma(double leakage, int levels) {
  if (!(leakage >= 0 && leakage < 1))
    throw Error(ExitCode::Usage, "leakage",
                fmt::format("{} is not a probability in [0, 1)", leakage));
  if (leakage == 0) return 0;
  return 1.0 / (2.0 * levels * std::numbers::sqrt2 * inverse_erfc(leakage));
}

LeakRate measure_leak_rate(double sigma, int levels, std::int64_t samples,
                           std::uint64_t seed, int threads) {
  QOPT_CHECK(samples > 0 && levels > 0, "{} samples, {} levels", samples, levels);
  const Leaks leaks =
      sample_in_blocks(samples, seed, threads, Leaks{}, [&](Rng& rng, Leaks& result) {
        const double x = reduce_precision(2.0 * rng.uniform() - 1.0, levels);
        result.left += reduce_precision(x + sigma * rng.normal(), levels) != x;
      });
  const auto count = static_cast<double>(samples);
  const double rate = static_cast<double>(leaks.left) / count;
  return {rate, std::sqrt(rate * (1.0 - rate) / count), samples};
}

double Interpolation::operator()(double x) const {
  const double hard = x <= 0 ? leak * x : x;
  const double s = sharpness * x;
  const double smooth = x * (kind == Kind::Gelu ? normal_cdf(s) : sigmoid(s));
  return hard + factor * (smooth - hard);
}

double Interpolation::derivative(double x) const {
  const double hard = x <= 0 ? leak : 1.0;
  const double s = sharpness * x;
  double smooth = 0;
  if (kind == Kind::Gelu) {
    smooth = normal_cdf(s) + s * std::exp(-0.5 * s * s) / std::sqrt(2.0 * kPi);
  } else {
    // Not e^x (1 + x + e^x) / (1 + e^x)^2, as published: that overflows.
    const double gate = sigmoid(s);
    smooth = gate * (1.0 + s * sigmoid(-s));
  }
  return hard + factor * (smooth - hard);
}

void Interpolation::check(const std::string& where) const {
  const auto refuse = [&](const char* name, double given, const char* range) {
    throw Error(ExitCode::Usage, where,
                fmt::format("{} is {}, it must be {}", name, given, range));
  };
  if (!(factor >= 0 && factor <= 1)) refuse("factor", factor, "in [0, 1]");
  if (!(sharpness > 0 && std::isfinite(sharpness)))
    refuse("sharpness", sharpness, "positive and finite");
  if (!(leak >= 0 && leak <= 1)) refuse("leak", leak, "in [0, 1]");
}

double gradient_error(const Interpolation& f, double half_bin, double sigma) {
  constexpr int kInputs = 128, kNoises = 1024;
  std::vector<double> noise(kNoises);
  for (int j = 0; j < kNoises; ++j)
    noise[static_cast<std::size_t>(j)] =
        sigma * std::numbers::sqrt2 * inverse_erf((2.0 * j + 1.0) / kNoises - 1.0);
  double sum = 0;
  for (int i = 0; i < kInputs; ++i) {
    const double x = half_bin * ((2.0 * i + 1.0) / kInputs - 1.0);
    const double clean = f.derivative(x);
    for (const double n : noise) sum += std::abs(f.derivative(x + n) - clean);
  }
  return sum / (static_cast<double>(kInputs) * kNoises);
}

GradientErrors gradient_errors(int bits) {
  const double half_bin = 0.5 / levels_per_unit(bits);
  const Interpolation relu{.factor = 0}, gelu{}, silu{.kind = Interpolation::Kind::Silu};
  return {bits, half_bin, gradient_error(relu, half_bin, half_bin),
          gradient_error(gelu, half_bin, half_bin),
          gradient_error(silu, half_bin, half_bin)};
}

}  // namespace qopt::theory
