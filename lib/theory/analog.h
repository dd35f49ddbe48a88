// SPDX-License-Identifier: MIT
// Analog hardware in scalar functions: reduced precision, noise given by leakage, and the
// activations between ReLU and GELU or SiLU, with what noise does to their gradients
// (arXiv 2402.02593 and its published code). Training hooks apply these to tensors;
// nothing here knows a tensor, a layer or a config.
#pragma once

#include <cstdint>
#include <string>

namespace qopt::theory {

/// Levels per unit, P = 2^bits - 1. Error(Usage) unless 1 <= bits <= 24.
int levels_per_unit(int bits);

/// RP(x) = sign(x) ceil(|x| P - 1/2) / P: the nearest multiple of 1 / P, ties toward
/// zero. Clamping x to [-1, 1] comes before it and is the caller's.
double reduce_precision(double x, int levels);

/// x with erf(x) = p, |p| < 1, and x with erfc(x) = q, 0 < q < 2; relative error below
/// 1e-14. The second keeps its digits where p would round to 1. Outside: +-infinity at
/// the ends, NaN beyond. A closed start of relative error 2e-3 (Winitzki 2008), then
/// Halley steps against the library's erf and erfc.
double inverse_erf(double p);
double inverse_erfc(double q);

/// Standard deviation of the Gaussian noise with which a value at the middle of its bin
/// leaves that bin with probability `leakage`: P(|n| > 1 / (2P)), so sigma = 1 / (2 P
/// sqrt(2) erfinv(1 - leakage)). Error(Usage) unless 0 <= leakage < 1; leakage 0 is no
/// noise.
double noise_sigma(double leakage, int levels);

/// How often RP(RP(x) + n) != RP(x), for x uniform in [-1, 1] and n ~ N(0, sigma^2).
struct LeakRate {
  double rate = 0;
  double standard_error = 0;  // sqrt(rate (1 - rate) / samples)
  std::int64_t samples = 0;
};
/// The same result at any number of threads.
LeakRate measure_leak_rate(double sigma, int levels, std::int64_t samples,
                           std::uint64_t seed, int threads = 1);

/// f(x) = r(x) + factor (g(x) - r(x)), r = max(leak x, x), and g one of
///   Gelu: x Phi(s x), Phi the normal distribution function (exact, not the tanh form),
///   Silu: x / (1 + exp(-s x)),
/// s the sharpness. factor 0 is the (leaky) ReLU, factor 1 with s = 1 is GELU or SiLU,
/// and s to infinity tends to ReLU. The source has no sharpness for SiLU; here it takes
/// the same place as in GELU. x is finite.
struct Interpolation {
  enum class Kind { Gelu, Silu };
  Kind kind = Kind::Gelu;
  double factor = 1;
  double sharpness = 1;
  double leak = 0;

  double operator()(double x) const;
  /// f'(x), and at exactly 0 the left derivative (quantised networks hit 0 often):
  /// f'(0) = leak + factor (1/2 - leak), with either sign of zero. Finite for every
  /// finite x.
  double derivative(double x) const;
  /// Error(Usage) naming `where` unless 0 <= factor <= 1, sharpness > 0, 0 <= leak <= 1.
  void check(const std::string& where) const;
};

/// Mean |f'(x + n) - f'(x)| for x uniform in [-half_bin, half_bin] and n ~ N(0, sigma^2):
/// the mean over a grid of equally probable cells, so it has no seed; about 3 digits for
/// ReLU, whose derivative jumps, and more for the others. Closed forms: ReLU with sigma =
/// half_bin is Q(1) + (1 - exp(-1/2)) / sqrt(2 pi) = 0.3156 at any sigma (Q the normal
/// tail); for small sigma GELU tends to (2 / pi) sigma and SiLU to sigma / sqrt(2 pi).
double gradient_error(const Interpolation& f, double half_bin, double sigma);

/// One row of the source's comparison: noise of half a bin, sigma = 1 / (2P).
struct GradientErrors {
  int bits = 0;
  double sigma = 0, relu = 0, gelu = 0, silu = 0;
};
GradientErrors gradient_errors(int bits);

}  // namespace qopt::theory
