// SPDX-License-Identifier: MIT
#include "lib/theory/directions.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "lib/core/error.h"
#include "lib/theory/vectors.h"

namespace qopt::theory {
namespace {

/// How many of the largest |y| an exact ternary projection keeps; `order` sorts |y|
/// downwards.
std::size_t kept(std::span<const double> y, std::span<const std::size_t> order) {
  double total = 0, best = -1;
  std::size_t count = 0;
  for (std::size_t k = 1; k <= y.size(); ++k) {
    total += std::abs(y[order[k - 1]]);
    const double score = total * total / static_cast<double>(k);
    if (score > best) best = score, count = k;
  }
  return count;
}

std::int8_t sign(double x) { return x < 0 ? -1 : 1; }

struct Atom {
  std::vector<double> direction;
  double weight = 0;
};

}  // namespace

Projection project(std::span<const double> y, WeightLevels levels) {
  QOPT_CHECK(!y.empty(), "nothing to project");
  Projection out;
  if (levels == WeightLevels::Binary) {
    for (const double x : y) {
      out.codes.push_back(sign(x));
      out.scale += std::abs(x) / static_cast<double>(y.size());
    }
    return out;
  }
  std::vector<std::size_t> order(y.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return std::abs(y[a]) > std::abs(y[b]);
  });
  const std::size_t count = kept(y, order);
  out.codes.assign(y.size(), 0);
  for (std::size_t i = 0; i < count; ++i) {
    out.codes[order[i]] = sign(y[order[i]]);
    out.scale += std::abs(y[order[i]]) / static_cast<double>(count);
  }
  return out;
}

std::vector<double> unit(const Codes& codes) {
  return normalised(std::vector<double>(codes.begin(), codes.end()));
}

double gap_to_next(const Codes& codes, WeightLevels levels) {
  const auto n = static_cast<double>(codes.size());
  if (levels == WeightLevels::Binary) return 2.0 / n;
  const double k = n - static_cast<double>(std::count(codes.begin(), codes.end(), 0));
  double gap = 2.0 / k;
  if (k < n) gap = std::min({gap, 1.0 - std::sqrt(k / (k + 1.0)), 1.0 / k});
  if (k > 1) gap = std::min(gap, 1.0 - std::sqrt((k - 1.0) / k));
  return gap;
}

std::vector<double> nearest_hull_point(std::span<const double> w, WeightLevels levels) {
  if (levels == WeightLevels::Ternary) return nearest_hull_point_by_search(w, levels);
  const double half = 1.0 / std::sqrt(static_cast<double>(w.size()));
  std::vector<double> out(w.begin(), w.end());
  for (double& x : out) x = std::clamp(x, -half, half);
  return out;
}

std::vector<double> nearest_hull_point_by_search(std::span<const double> w,
                                                 WeightLevels levels) {
  // The duality gap bounds half the squared distance to the answer.
  constexpr double kEnough = 1e-15;
  std::vector<Atom> atoms = {{unit(project(w, levels).codes), 1.0}};
  std::vector<double> point = atoms[0].direction;
  for (int iteration = 0; iteration < 1000000; ++iteration) {
    const std::vector<double> residual = combine(1, w, -1, point);
    std::vector<double> forward = unit(project(residual, levels).codes);
    const auto away =
        std::min_element(atoms.begin(), atoms.end(), [&](const Atom& a, const Atom& b) {
          return dot(residual, a.direction) < dot(residual, b.direction);
        });
    const std::vector<double> move = combine(1, forward, -1, away->direction);
    const double gain = dot(residual, move);
    if (gain <= kEnough) return point;
    const double length = std::min(away->weight, gain / dot(move, move));
    point = combine(1, point, length, move);
    if (length == away->weight)
      atoms.erase(away);
    else
      away->weight -= length;
    const auto same = std::find_if(atoms.begin(), atoms.end(), [&](const Atom& atom) {
      return atom.direction == forward;
    });
    if (same == atoms.end())
      atoms.push_back({std::move(forward), length});
    else
      same->weight += length;
  }
  QOPT_CHECK(false, "no convergence at {} weights", w.size());
  return point;
}

}  // namespace qopt::theory
