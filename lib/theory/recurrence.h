// SPDX-License-Identifier: MIT
// The recurrence of the optimum (arXiv 2012.05529): projected coarse gradient descent on
// the two-layer Gaussian model with v = v*, in expectation and so exact. The quantised
// weights do not settle; they visit the optimum again and again, unless phases lock. No
// data, no network.
//
//   y <- (1 - rho) y + rho w - eta c (e - w*),  w = project(y),  e = w / |w|,
// gradient at the quantised w, applied to the float y, y never reset. With v = v* the
// coarse gradient is c (e - w*), c = |v|^2 / sqrt(2 pi) for identity and half of it for
// ReLU (coarse_gradient.h). rho > 0 is blended descent (BCGD, arXiv 1808.05240), 0 the
// plain one.
//
// Why it recurs: e maximises <e, y> over the quantised directions, so for rho = 0 this is
// the Frank-Wolfe method on |q - w*|^2 with step 1/t, also called herding. The mean of e
// over time therefore tends to P, the point nearest to w* in their convex hull, and with
// gap = min over q != q* of 1 - <q, q*>,
//   fraction of steps at the optimum q*  >=  1 - (1 - <P, q*>) / gap.
// For binary weights P is w* clamped to 1/sqrt(n) and this is
//   1 - sum_i (1 - min(1, sqrt(n) |w*_i|)) / 2,
// so the optimum is visited infinitely often where that sum is below 1.
// With rho > 0 codes cannot rest for ever either: while e stays, the scale |w| / sqrt(n)
// of binary weights sinks by eta c (1 - <w*, e>) / sqrt(n) a step.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "lib/core/rng.h"
#include "lib/theory/directions.h"

namespace qopt::theory {

struct RecurrenceSettings {
  WeightLevels levels = WeightLevels::Binary;
  double step = 0.01;  // eta c
  double blend = 0;    // rho
};

class Recurrence {
 public:
  /// w_star of unit length, y of the same size, 0 <= blend < 1, step > 0; InternalError
  /// otherwise.
  Recurrence(std::vector<double> w_star, std::vector<double> y,
             RecurrenceSettings settings);

  void advance();
  const std::vector<double>& y() const { return y_; }
  const Codes& codes() const { return now_.codes; }
  const Codes& best_codes() const { return best_; }  // of project(w*)
  bool at_optimum() const { return now_.codes == best_; }
  int flips() const { return flips_; }  // codes that the last step changed

 private:
  std::vector<double> w_star_, y_;
  RecurrenceSettings settings_;
  Codes best_;
  Projection now_;
  int flips_ = 0;
};

/// What `steps` steps did, counted over the states at which a gradient was taken.
struct Visits {
  std::int64_t steps = 0;
  std::int64_t visits = 0;           // steps at the optimum
  std::int64_t flips = 0;            // codes changed, all together
  std::int64_t flips_late = 0;       // of these in the second half
  std::int64_t longest_absence = 0;  // most steps in a row away from the optimum
  std::vector<double> mean_direction;

  double frequency() const {
    return static_cast<double>(visits) / static_cast<double>(steps);
  }
  double flip_rate() const {
    return static_cast<double>(flips) / static_cast<double>(steps);
  }
};
Visits run(Recurrence& recurrence, std::int64_t steps);

/// sum_i (1 - min(1, sqrt(n) |w*_i|)) / 2: the fraction of steps on which each binary
/// weight has the wrong sign, summed. Below 1 the optimum is visited infinitely often.
/// Each wrong step costs two sign flips, so twice this is the number of flips a step:
/// positive unless w* is itself quantised, and then the flips end.
double binary_wrong_signs(std::span<const double> w_star);

/// The lower bound above on the long-run frequency of visits; may be negative (it then
/// says nothing).
double visit_bound(std::span<const double> w_star, WeightLevels levels);

/// The same with the mean direction of a finite run in place of its limit P: holds
/// exactly, at any number of steps.
double visit_bound(const Codes& best, WeightLevels levels,
                   std::span<const double> mean_direction);

/// Unit vector near a random quantised direction: codes + eps * N(0, I), normalised.
/// Ternary keeps half of the weights.
std::vector<double> target_near_quantised(std::size_t n, WeightLevels levels, double eps,
                                          Rng& rng);

/// A target whose optimum is missed for ever from `y`, although other starts visit it: n
/// = 16, w* = (5 x 7 times, 3 x 9 times) / 16, step 1. The nine small weights have the
/// wrong sign on one step in eight; here their phases cover all eight. The codes have
/// period 8 (y itself has none: the large weights drift). All figures are dyadic, so the
/// orbit is exact in double.
struct PeriodicOrbit {
  std::vector<double> w_star, y;
  double step = 1;
  std::int64_t period = 8;
  std::size_t large = 7;  // the first of the small, oscillating weights
};
PeriodicOrbit orbit_that_misses_the_optimum();

}  // namespace qopt::theory
