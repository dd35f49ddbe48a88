// SPDX-License-Identifier: MIT
#include "lib/theory/directions.h"

#include <cmath>
#include <limits>

#include "lib/core/error.h"
#include "lib/core/rng.h"
#include "lib/theory/recurrence.h"
#include "lib/theory/vectors.h"
#include "tests/support/catch.h"

namespace qopt::theory {
namespace {

constexpr WeightLevels kBoth[] = {WeightLevels::Binary, WeightLevels::Ternary};

/// Every code vector of n weights, the zero vector left out.
std::vector<Codes> all_codes(std::size_t n, WeightLevels levels) {
  std::vector<Codes> out;
  const int base = levels == WeightLevels::Binary ? 2 : 3;
  const int count = static_cast<int>(std::lround(std::pow(base, n)));
  for (int index = 0; index < count; ++index) {
    Codes codes;
    bool any = false;
    for (int rest = index; codes.size() < n; rest /= base) {
      codes.push_back(
          static_cast<std::int8_t>(base == 2 ? rest % 2 * 2 - 1 : rest % 3 - 1));
      any = any || codes.back() != 0;
    }
    if (any) out.push_back(codes);
  }
  return out;
}

std::vector<double> gaussian(Rng& rng, std::size_t size) {
  std::vector<double> out(size);
  for (double& x : out) x = rng.normal();
  return out;
}

double distance(std::span<const double> y, double scale, const Codes& codes) {
  double total = 0;
  for (std::size_t i = 0; i < y.size(); ++i)
    total += (y[i] - scale * codes[i]) * (y[i] - scale * codes[i]);
  return total;
}

TEST_CASE("the projection is the nearest of all scaled codes") {
  Rng rng(1);
  for (const WeightLevels levels : kBoth) {
    for (std::size_t n = 1; n <= 5; ++n) {
      for (int round = 0; round < 20; ++round) {
        const std::vector<double> y = gaussian(rng, n);
        const Projection p = project(y, levels);
        double best = std::numeric_limits<double>::infinity(), product = -best;
        for (const Codes& codes : all_codes(n, levels)) {
          const std::vector<double> real(codes.begin(), codes.end());
          const double scale = std::max(0.0, dot(y, real) / dot(real, real));
          best = std::min(best, distance(y, scale, codes));
          product = std::max(product, dot(y, unit(codes)));
        }
        CHECK(std::abs(distance(y, p.scale, p.codes) - best) < 1e-12);
        CHECK(std::abs(dot(y, unit(p.codes)) - product) < 1e-12);
      }
    }
  }
  const std::vector<double> zero(3);
  CHECK(project(zero, WeightLevels::Binary).codes == Codes{1, 1, 1});
  CHECK(project(zero, WeightLevels::Ternary).codes == Codes{1, 0, 0});
  CHECK_THROWS_AS(project({}, WeightLevels::Binary), InternalError);
}

TEST_CASE("the gap is the distance to the nearest other direction") {
  for (const WeightLevels levels : kBoth) {
    for (std::size_t n = 1; n <= 5; ++n) {
      const std::vector<Codes> all = all_codes(n, levels);
      for (const Codes& codes : all) {
        double gap = std::numeric_limits<double>::infinity();
        for (const Codes& other : all)
          if (other != codes) gap = std::min(gap, 1 - dot(unit(codes), unit(other)));
        CHECK(std::abs(gap - gap_to_next(codes, levels)) < 1e-14);
      }
    }
  }
}

TEST_CASE("the nearest hull point is inside and no direction leads closer") {
  Rng rng(2);
  for (int round = 0; round < 20; ++round) {
    const std::vector<double> w = normalised(gaussian(rng, 4));
    for (const WeightLevels levels : kBoth) {
      const std::vector<double> p = nearest_hull_point(w, levels);
      const std::vector<double> outward = combine(1, w, -1, p);
      double reach = -1;
      for (const Codes& codes : all_codes(4, levels))
        reach = std::max(reach, dot(outward, unit(codes)));
      // Nearest: the hull lies behind the plane through p; inside: p reaches that plane.
      CHECK(std::abs(reach - dot(outward, p)) < 1e-7);
      CHECK(norm(outward) > 0);
    }
    const std::vector<double> clamped = nearest_hull_point(w, WeightLevels::Binary);
    const std::vector<double> found =
        nearest_hull_point_by_search(w, WeightLevels::Binary);
    CHECK(norm(combine(1, clamped, -1, found)) < 1e-7);
  }
  // A quantised direction is a corner.
  const std::vector<double> corner = unit({1, 0, -1, 1});
  CHECK(norm(combine(1, nearest_hull_point(corner, WeightLevels::Ternary), -1, corner)) <
        1e-15);
}

}  // namespace
}  // namespace qopt::theory
