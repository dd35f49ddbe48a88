// SPDX-License-Identifier: MIT
// Quantised directions: the nearest binary or ternary vector of unit length, and the
// convex hull of all of them. Geometry only; the dynamics that stand on it are in
// recurrence.h.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace qopt::theory {

/// Codes of one weight: {-1, 1} or {-1, 0, 1}, all weights sharing one scale.
enum class WeightLevels { Binary, Ternary };

using Codes = std::vector<std::int8_t>;

/// The exact L2 projection of y on {scale * codes}: binary, scale = mean |y|, codes =
/// sign(y) with sign(0) = 1; ternary, the k largest |y| kept where (sum of them)^2 / k is
/// greatest, scale their mean (ties: the fewest kept, the lowest index first). At least
/// one is kept. Also the codes whose unit vector has the largest inner product with y.
struct Projection {
  Codes codes;
  double scale = 0;
};
Projection project(std::span<const double> y, WeightLevels levels);

/// codes / |codes|.
std::vector<double> unit(const Codes& codes);

/// 1 - <q, q*> for the quantised direction q != q* that comes nearest to q*: 2/n for
/// binary. For ternary with k kept of n, the least of 1 - sqrt(k / (k + 1)) (one more
/// kept), 1 - sqrt((k - 1) / k) (one less), 1/k (one exchanged), 2/k (one flipped), where
/// possible.
double gap_to_next(const Codes& codes, WeightLevels levels);

/// The point nearest to w in the convex hull of all quantised directions. Binary: the
/// cube of half-width 1/sqrt(n), so w clamped to it. Ternary: pairwise Frank-Wolfe, error
/// below 1e-7.
std::vector<double> nearest_hull_point(std::span<const double> w, WeightLevels levels);

/// The same by pairwise Frank-Wolfe for either kind (Lacoste-Julien and Jaggi,
/// arXiv 1511.05932), whose linear subproblem is `project`.
std::vector<double> nearest_hull_point_by_search(std::span<const double> w,
                                                 WeightLevels levels);

}  // namespace qopt::theory
