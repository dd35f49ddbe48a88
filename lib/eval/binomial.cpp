// SPDX-License-Identifier: MIT
#include "lib/eval/binomial.h"

#include <algorithm>
#include <cmath>

namespace qopt::eval {
namespace {

double continued_fraction(double a, double b, double x) {
  constexpr double kTiny = 1e-300, kEnough = 1e-15;
  // The fraction settles within O(sqrt(max(a, b))) terms.
  const int most = 1000 + static_cast<int>(20 * std::sqrt(std::max(a, b)));
  const auto nonzero = [](double v) { return std::abs(v) < kTiny ? kTiny : v; };
  double c = 1.0, d = 1.0 / nonzero(1.0 - (a + b) * x / (a + 1.0)), h = d;
  for (int m = 1; m <= most; ++m) {
    const double even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
    d = 1.0 / nonzero(1.0 + even * d);
    c = nonzero(1.0 + even / c);
    h *= d * c;
    const double odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
    d = 1.0 / nonzero(1.0 + odd * d);
    c = nonzero(1.0 + odd / c);
    h *= d * c;
    if (std::abs(d * c - 1.0) < kEnough) break;
  }
  return h;
}

}  // namespace

double incomplete_beta(double a, double b, double x) {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  const double front = std::exp(std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b) +
                                a * std::log(x) + b * std::log1p(-x));
  // The fraction converges fast below the mean; above it, use the other tail.
  if (x < (a + 1.0) / (a + b + 2.0)) return front * continued_fraction(a, b, x) / a;
  return 1.0 - front * continued_fraction(b, a, 1.0 - x) / b;
}

double incomplete_beta_inverse(double a, double b, double p) {
  double lo = 0, hi = 1;
  for (int i = 0; i < 200 && lo < hi; ++i) {
    const double middle = 0.5 * (lo + hi);
    if (middle <= lo || middle >= hi) break;
    (incomplete_beta(a, b, middle) < p ? lo : hi) = middle;
  }
  return 0.5 * (lo + hi);
}

double normal_quantile(double p) {
  double lo = -40, hi = 40;
  for (int i = 0; i < 200; ++i) {
    const double middle = 0.5 * (lo + hi);
    if (middle <= lo || middle >= hi) break;
    (0.5 * std::erfc(-middle / std::sqrt(2.0)) < p ? lo : hi) = middle;
  }
  return 0.5 * (lo + hi);
}

double mcnemar_exact(std::int64_t lost, std::int64_t gained) {
  if (lost == gained) return 1;
  const auto fewer = static_cast<double>(std::min(lost, gained));
  const auto n = static_cast<double>(lost + gained);
  // P(X <= k) for X ~ Bin(n, 1/2) is I_{1/2}(n - k, k + 1).
  return std::min(1.0, 2.0 * incomplete_beta(n - fewer, fewer + 1.0, 0.5));
}

}  // namespace qopt::eval
