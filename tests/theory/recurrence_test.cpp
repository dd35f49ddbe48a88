// SPDX-License-Identifier: MIT
#include "lib/theory/recurrence.h"

#include <cmath>
#include <numbers>

#include "lib/core/error.h"
#include "lib/theory/coarse_gradient.h"
#include "lib/theory/vectors.h"
#include "tests/support/catch.h"

namespace qopt::theory {
namespace {

constexpr WeightLevels kBinary = WeightLevels::Binary, kTernary = WeightLevels::Ternary;

std::vector<double> start(std::size_t n, Rng& rng) {
  std::vector<double> y(n);
  for (double& x : y) x = 0.1 * rng.normal();
  return y;
}

struct Setting {
  std::size_t n;
  WeightLevels levels;
  double eps;
};
constexpr Setting kSettings[] = {
    {4, kBinary, 0.5},    {8, kBinary, 0.1},     {8, kBinary, 0.3},
    {16, kBinary, 0.05},  {16, kBinary, 0.1},    {32, kBinary, 0.02},
    {8, kTernary, 0.005}, {16, kTernary, 0.002}, {16, kTernary, 0.05}};

TEST_CASE("a step of the dynamics is a step along the ReLU coarse gradient") {
  Rng rng(1);
  for (const WeightLevels levels : {kBinary, kTernary}) {
    TwoLayerModel model;
    model.v = model.v_star = {1.5, -0.5, 2.0};
    model.w_star = target_near_quantised(6, levels, 0.3, rng);
    const std::vector<double> y = start(6, rng);
    const Projection p = project(y, levels);
    for (const std::int8_t code : p.codes) model.w.push_back(p.scale * code);
    constexpr double kEta = 0.05, kRho = 0.01;
    const double c = dot(model.v, model.v) / (2 * std::sqrt(2 * std::numbers::pi));
    Recurrence recurrence(model.w_star, y, {levels, kEta * c, kRho});
    recurrence.advance();
    const std::vector<double> g = expected_coarse_gradient(model, Surrogate::Relu);
    for (std::size_t i = 0; i < y.size(); ++i) {
      const double expected = (1 - kRho) * y[i] + kRho * model.w[i] - kEta * g[i];
      CHECK(std::abs(recurrence.y()[i] - expected) < 1e-15);
    }
  }
}

TEST_CASE("visits of the optimum obey the bound") {
  constexpr std::int64_t kSteps = 40000;
  Rng rng(2);
  int says_something = 0;
  for (const Setting& s : kSettings) {
    const std::vector<double> w = target_near_quantised(s.n, s.levels, s.eps, rng);
    Recurrence recurrence(w, start(s.n, rng), {s.levels, 0.01, 0});
    const Codes best = recurrence.best_codes();
    const Visits visits = run(recurrence, kSteps);
    const double bound = visit_bound(w, s.levels);
    // At a finite number of steps the bound holds exactly for the mean direction so far,
    // which is close to its limit.
    const double finite = visit_bound(best, s.levels, visits.mean_direction);
    CHECK(visits.frequency() >= finite - 1e-9);
    CHECK(std::abs(finite - bound) < 0.01);
    const std::vector<double> limit = nearest_hull_point(w, s.levels);
    CHECK(norm(combine(1, visits.mean_direction, -1, limit)) < 2e-3);
    says_something += bound > 0;
    if (bound > 0.02) CHECK(visits.longest_absence < kSteps / 10);
  }
  CHECK(says_something >= 7);
}

TEST_CASE("for binary weights the bound is the sum over wrong signs") {
  Rng rng(3);
  for (const std::size_t n : {4U, 8U, 16U, 32U}) {
    const std::vector<double> w = target_near_quantised(n, kBinary, 0.4, rng);
    CHECK(std::abs(visit_bound(w, kBinary) - (1 - binary_wrong_signs(w))) < 1e-12);
  }
}

TEST_CASE("flips never stop unless the target is quantised") {
  constexpr std::int64_t kSteps = 40000;
  Rng rng(4);
  for (const Setting& s : kSettings) {
    const std::vector<double> w = target_near_quantised(s.n, s.levels, s.eps, rng);
    Recurrence recurrence(w, start(s.n, rng), {s.levels, 0.01, 0});
    const Visits moving = run(recurrence, kSteps);
    CHECK(moving.flips_late > 0.4 * static_cast<double>(moving.flips));
    if (s.levels == kBinary)
      CHECK(std::abs(moving.flip_rate() - 2 * binary_wrong_signs(w)) < 0.01);
    const std::vector<double> quantised = unit(project(w, s.levels).codes);
    Recurrence settled(quantised, start(s.n, rng), {s.levels, 0.01, 0});
    const Visits visits = run(settled, kSteps);
    CHECK(visits.flips_late == 0);
    CHECK(settled.at_optimum());
  }
}

TEST_CASE(
    "locked phases miss the optimum for ever, other phases of the same target do not") {
  const PeriodicOrbit orbit = orbit_that_misses_the_optimum();
  CHECK(norm(orbit.w_star) == 1);
  Recurrence locked(orbit.w_star, orbit.y, {kBinary, orbit.step, 0});
  std::vector<Codes> codes;
  std::vector<std::vector<double>> y;
  constexpr std::int64_t kSteps = 4000;
  for (std::int64_t t = 0; t < kSteps; ++t) {
    CHECK_FALSE(locked.at_optimum());
    codes.push_back(locked.codes());
    y.push_back(locked.y());
    locked.advance();
  }
  const auto period = static_cast<std::size_t>(orbit.period);
  for (std::size_t t = period; t < codes.size(); ++t) {
    CHECK(codes[t] == codes[t - period]);
    for (std::size_t i = orbit.large; i < y[t].size(); ++i)
      CHECK(y[t][i] == y[t - period][i]);  // to the bit
  }
  CHECK(codes[1] != codes[0]);
  CHECK(visit_bound(orbit.w_star, kBinary) == 1 - 9.0 / 8);

  std::vector<double> same(16, 0.5 / 16);
  Recurrence in_step(orbit.w_star, same, {kBinary, orbit.step, 0});
  CHECK(run(in_step, 8000).visits == 7000);
}

TEST_CASE("settings that are none are refused") {
  CHECK_THROWS_AS(Recurrence({1, 1}, {0, 0}, {}), InternalError);
  CHECK_THROWS_AS(Recurrence({1, 0}, {0}, {}), InternalError);
  CHECK_THROWS_AS(Recurrence({1, 0}, {0, 0}, {kBinary, 0, 0}), InternalError);
  CHECK_THROWS_AS(Recurrence({1, 0}, {0, 0}, {kBinary, 1, 1}), InternalError);
}

}  // namespace
}  // namespace qopt::theory
