// SPDX-License-Identifier: MIT
// The little linear algebra this room needs, on spans of double.
#pragma once

#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

namespace qopt::theory {

inline double dot(std::span<const double> a, std::span<const double> b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}
inline double norm(std::span<const double> a) { return std::sqrt(dot(a, a)); }
inline double sum(std::span<const double> a) {
  double total = 0;
  for (const double x : a) total += x;
  return total;
}
/// p a + q b.
inline std::vector<double> combine(double p, std::span<const double> a, double q,
                                   std::span<const double> b) {
  std::vector<double> out(a.size());
  for (std::size_t i = 0; i < a.size(); ++i) out[i] = p * a[i] + q * b[i];
  return out;
}
inline std::vector<double> scaled(double p, std::span<const double> a) {
  return combine(p, a, 0, a);
}
/// a / |a|; a nonzero.
inline std::vector<double> normalised(std::span<const double> a) {
  return scaled(1.0 / norm(a), a);
}

}  // namespace qopt::theory
