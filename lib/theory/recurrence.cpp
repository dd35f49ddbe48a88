// SPDX-License-Identifier: MIT
#include "lib/theory/recurrence.h"

#include <algorithm>
#include <cmath>

#include "lib/core/error.h"
#include "lib/theory/vectors.h"

namespace qopt::theory {

Recurrence::Recurrence(std::vector<double> w_star, std::vector<double> y,
                       RecurrenceSettings settings)
    : w_star_(std::move(w_star)), y_(std::move(y)), settings_(settings) {
  QOPT_CHECK(y_.size() == w_star_.size(), "y {}, w* {}", y_.size(), w_star_.size());
  QOPT_CHECK(std::abs(norm(w_star_) - 1) <= 1e-9, "|w*| is {}", norm(w_star_));
  QOPT_CHECK(settings_.step > 0 && settings_.blend >= 0 && settings_.blend < 1,
             "step {}, blend {}", settings_.step, settings_.blend);
  best_ = project(w_star_, settings_.levels).codes;
  now_ = project(y_, settings_.levels);
}

void Recurrence::advance() {
  const std::vector<double> e = unit(now_.codes);
  for (std::size_t i = 0; i < y_.size(); ++i) {
    const double w = now_.scale * now_.codes[i];
    y_[i] += settings_.blend * (w - y_[i]) - settings_.step * (e[i] - w_star_[i]);
  }
  Projection next = project(y_, settings_.levels);
  flips_ = 0;
  for (std::size_t i = 0; i < y_.size(); ++i) flips_ += next.codes[i] != now_.codes[i];
  now_ = std::move(next);
}

Visits run(Recurrence& recurrence, std::int64_t steps) {
  QOPT_CHECK(steps > 0, "{} steps", steps);
  Visits out;
  out.steps = steps;
  out.mean_direction.assign(recurrence.y().size(), 0.0);
  std::int64_t absence = 0;
  for (std::int64_t t = 0; t < steps; ++t) {
    const bool here = recurrence.at_optimum();
    out.visits += here;
    absence = here ? 0 : absence + 1;
    out.longest_absence = std::max(out.longest_absence, absence);
    out.mean_direction = combine(1, out.mean_direction, 1.0 / static_cast<double>(steps),
                                 unit(recurrence.codes()));
    recurrence.advance();
    out.flips += recurrence.flips();
    if (t >= steps / 2) out.flips_late += recurrence.flips();
  }
  return out;
}

double binary_wrong_signs(std::span<const double> w_star) {
  const double root = std::sqrt(static_cast<double>(w_star.size()));
  double total = 0;
  for (const double w : w_star) total += 0.5 * (1.0 - std::min(1.0, root * std::abs(w)));
  return total;
}

double visit_bound(std::span<const double> w_star, WeightLevels levels) {
  return visit_bound(project(w_star, levels).codes, levels,
                     nearest_hull_point(w_star, levels));
}

double visit_bound(const Codes& best, WeightLevels levels,
                   std::span<const double> mean_direction) {
  return 1.0 - (1.0 - dot(mean_direction, unit(best))) / gap_to_next(best, levels);
}

std::vector<double> target_near_quantised(std::size_t n, WeightLevels levels, double eps,
                                          Rng& rng) {
  std::vector<double> w(n);
  for (std::size_t i = 0; i < n; ++i) {
    const bool keep = levels == WeightLevels::Binary || i < (n + 1) / 2;
    w[i] = keep ? (rng.below(2) == 0 ? -1.0 : 1.0) : 0.0;
  }
  for (double& x : w) x += eps * rng.normal();
  return normalised(w);
}

PeriodicOrbit orbit_that_misses_the_optimum() {
  PeriodicOrbit orbit;
  for (std::size_t i = 0; i < orbit.large; ++i) {
    orbit.w_star.push_back(5.0 / 16.0);
    orbit.y.push_back(1.0);
  }
  // A right sign moves a small weight by 3/16 - 1/4 = -1/16, a wrong one by +7/16: each
  // runs through (k - 1/2) / 16, k = 0 .. 7, and is wrong at k = 0.
  for (std::size_t i = orbit.large; i < 16; ++i) {
    orbit.w_star.push_back(3.0 / 16.0);
    orbit.y.push_back((static_cast<double>((i - orbit.large) % 8) - 0.5) / 16.0);
  }
  return orbit;
}

}  // namespace qopt::theory
