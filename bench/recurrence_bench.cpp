// SPDX-License-Identifier: MIT
// The theory the trainer stands on, shown: coarse gradients in closed form against
// sampling, visits of the optimum against their bound, flips, and an orbit that misses
// the optimum. bench_recurrence [PLOT.svg]; exit code 1 when a statement does not hold.
// Always the same figures: seeds are fixed and threads do not matter.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "bench/recurrence_plot.h"
#include "lib/core/error.h"
#include "lib/core/files.h"
#include "lib/core/parallel.h"
#include "lib/theory/coarse_gradient.h"
#include "lib/theory/recurrence.h"
#include "lib/theory/vectors.h"

namespace {

using namespace qopt;
using namespace qopt::theory;

constexpr WeightLevels kBinary = WeightLevels::Binary, kTernary = WeightLevels::Ternary;

std::vector<double> gaussian(Rng& rng, std::size_t size, double sigma = 1) {
  std::vector<double> out(size);
  for (double& x : out) x = sigma * rng.normal();
  return out;
}

bool say(bool holds, const char* statement) {
  std::printf("%s: %s\n\n", holds ? "holds" : "DOES NOT HOLD", statement);
  return holds;
}

/// Distances from the closed forms in standard errors.
struct Scores {
  int count = 0, beyond3 = 0;
  double squares = 0;

  void compare(const std::string& model, const char* what, const Estimate& estimate,
               std::span<const double> exact) {
    std::size_t worst = 0;
    double worst_z = 0;
    for (std::size_t i = 0; i < exact.size(); ++i) {
      const double z = (estimate.mean[i] - exact[i]) / estimate.standard_error[i];
      squares += z * z;
      ++count;
      beyond3 += !(std::abs(z) <= 3);
      if (std::abs(z) >= std::abs(worst_z)) worst = i, worst_z = z;
    }
    std::printf("%-16s %-18s %2zu %12.6f %12.6f %10.6f %+6.2f\n", model.c_str(), what,
                exact.size(), exact[worst], estimate.mean[worst],
                estimate.standard_error[worst], worst_z);
  }
};

void compare_model(const std::string& name, const TwoLayerModel& model,
                   std::uint64_t seed, Scores& scores) {
  constexpr double kCap = 0.8, kStep = 0.05;
  constexpr std::int64_t kSamples = 2'000'000;
  const SampledGradients s =
      sample_gradients(model, kCap, kStep, kSamples, seed, default_threads());
  std::vector<double> difference;
  for (std::size_t k = 0; k < model.w.size(); ++k) {
    TwoLayerModel above = model, below = model;
    above.w[k] += kStep, below.w[k] -= kStep;
    difference.push_back((population_loss(above) - population_loss(below)) / (2 * kStep));
  }
  const auto coarse = [&](Surrogate surrogate) {
    return expected_coarse_gradient(model, surrogate, kCap);
  };
  scores.compare(name, "loss", s.loss, std::vector<double>{population_loss(model)});
  scores.compare(name, "dloss/dv", s.v, population_gradient_v(model));
  scores.compare(name, "df/dw, difference", s.w_difference, difference);
  scores.compare(name, "g identity", s.identity, coarse(Surrogate::Identity));
  scores.compare(name, "g ReLU", s.relu, coarse(Surrogate::Relu));
  scores.compare(name, "g clipped ReLU", s.clipped, coarse(Surrogate::ClippedRelu));
}

bool coarse_gradients() {
  std::printf(
      "Coarse gradients, closed form against 2,000,000 draws (cap 0.8); of each "
      "vector its worst coordinate\n%-16s %-18s %2s %12s %12s %10s %6s\n",
      "model", "quantity", "of", "closed form", "mean", "std error", "z");
  Rng rng(1);
  Scores scores;
  for (const auto& [m, n] : {std::pair<std::size_t, std::size_t>{3, 4}, {8, 3}}) {
    TwoLayerModel model;
    model.v = gaussian(rng, m), model.v_star = gaussian(rng, m);
    model.w = gaussian(rng, n), model.w_star = normalised(gaussian(rng, n));
    compare_model(fmt::format("m = {}, n = {}", m, n), model, m, scores);
  }
  const std::vector<double> v_star = {1.0, 0.5, 1.5};
  const TwoLayerModel spurious =
      spurious_minimum(v_star, normalised(std::vector<double>{1, -2, 2, 0}));
  compare_model("spurious minimum", spurious, 3, scores);
  std::printf(
      "at the spurious minimum |E g identity| = %.6f, lemma %.6f; |E g ReLU| = %.1e\n",
      norm(expected_coarse_gradient(spurious, Surrogate::Identity)),
      identity_norm_at_spurious_minimum(v_star),
      norm(expected_coarse_gradient(spurious, Surrogate::Relu)));
  std::printf(
      "%d comparisons, %d beyond 3 standard errors (%.1f expected by chance), "
      "mean square %.2f\n",
      scores.count, scores.beyond3, 0.0027 * scores.count, scores.squares / scores.count);
  return say(scores.beyond3 == 0, "closed forms equal sampling within 3 standard errors");
}

struct Setting {
  WeightLevels levels;
  std::size_t n;
  double eps;
};

bool visits() {
  constexpr Setting kSettings[] = {
      {kBinary, 4, 0.5},    {kBinary, 8, 0.1},     {kBinary, 8, 0.3},
      {kBinary, 16, 0.05},  {kBinary, 16, 0.1},    {kBinary, 16, 0.8},
      {kBinary, 32, 0.02},  {kBinary, 32, 0.05},   {kTernary, 8, 0.005},
      {kTernary, 8, 0.02},  {kTernary, 16, 0.002}, {kTernary, 16, 0.01},
      {kTernary, 16, 0.05}, {kTernary, 16, 0.5}};
  constexpr std::int64_t kSteps = 400'000;
  std::printf(
      "Visits of the optimum in %lld steps. finite: the bound with the mean direction "
      "of the run in place of its limit\n%-8s %3s %6s %8s %8s %8s %9s %9s %9s\n",
      static_cast<long long>(kSteps), "weights", "n", "eps", "bound", "finite", "visits",
      "absence", "flips", "in theory");
  Rng rng(2);
  bool holds = true;
  for (const Setting& s : kSettings) {
    const std::vector<double> w = target_near_quantised(s.n, s.levels, s.eps, rng);
    Recurrence recurrence(w, gaussian(rng, s.n, 0.1), {s.levels, 0.01, 0});
    const Codes best = recurrence.best_codes();
    const Visits v = run(recurrence, kSteps);
    const double bound = visit_bound(w, s.levels);
    const double finite = visit_bound(best, s.levels, v.mean_direction);
    const std::string theory =
        s.levels == kBinary ? fmt::format("{:.4f}", 2 * binary_wrong_signs(w)) : "";
    std::printf("%-8s %3zu %6.3f %8.4f %8.4f %8.4f %9lld %9.4f %9s\n",
                s.levels == kBinary ? "binary" : "ternary", s.n, s.eps, bound, finite,
                v.frequency(), static_cast<long long>(v.longest_absence), v.flip_rate(),
                theory.c_str());
    // 2e-3 is what 400,000 steps leave of the start; `finite` needs no allowance but
    // rounding.
    holds = holds && v.frequency() >= finite - 1e-9 && v.frequency() >= bound - 2e-3 &&
            v.flips_late > 0;
    if (bound > 0) holds = holds && v.longest_absence < kSteps / 100;
    if (s.levels == kBinary)
      holds = holds && std::abs(v.flip_rate() - 2 * binary_wrong_signs(w)) < 2e-3;
  }
  return say(holds,
             "visits obey the bound, flips never stop and are as many as in theory");
}

bool flips(bench::RecurrencePicture& picture) {
  constexpr std::int64_t kSteps = 4000;
  constexpr int kPieces = 200;
  struct Line {
    double eps, blend;
    const char *name, *colour;
  };
  constexpr Line kLines[] = {{0.3, 0, "eps 0.3", "#0b3c6f"},
                             {0.1, 0, "eps 0.1", "#1f6cae"},
                             {0.1, 0.01, "eps 0.1, blend 0.01", "#7a5aa8"},
                             {0, 0, "quantised target", bench::kRed}};
  std::printf("Flips, binary, n = 16, %lld steps\n%-22s %10s %10s %9s %8s\n",
              static_cast<long long>(10 * kSteps), "target", "flips", "late half",
              "flips", "visits");
  bool holds = true;
  picture.curve_steps = kSteps;
  for (const Line& line : kLines) {
    Rng rng(3);  // the same signs and noise for every line
    std::vector<double> w = target_near_quantised(16, kBinary, line.eps, rng);
    const std::vector<double> y = gaussian(rng, 16, 0.1);
    if (line.eps == 0) w = unit(project(w, kBinary).codes);  // to the last bit
    const RecurrenceSettings settings{kBinary, 0.05, line.blend};
    Recurrence whole(w, y, settings), drawn(w, y, settings);
    const Visits v = run(whole, 10 * kSteps);
    std::printf("%-22s %10lld %10lld %9.4f %8.4f\n", line.name,
                static_cast<long long>(v.flips), static_cast<long long>(v.flips_late),
                v.flip_rate(), v.frequency());
    holds = holds && (line.eps == 0 ? v.flips_late == 0 && whole.at_optimum()
                                    : v.flips_late > 0.4 * static_cast<double>(v.flips));
    bench::FlipCurve curve{line.name, line.colour, {0}};
    for (int i = 0; i < kPieces; ++i)
      curve.flips.push_back(curve.flips.back() + run(drawn, kSteps / kPieces).flips);
    picture.curves.push_back(std::move(curve));
  }
  return say(holds, "flips stop only where the target is itself quantised");
}

bench::Start follow(const char* name, const PeriodicOrbit& orbit, std::vector<double> y) {
  bench::Start start{name, {}, 0};
  Recurrence recurrence(orbit.w_star, std::move(y), {kBinary, orbit.step, 0});
  for (int t = 0; t < 32; ++t, recurrence.advance())
    start.at_optimum.push_back(recurrence.at_optimum());
  start.frequency = run(recurrence, 800).frequency();
  return start;
}

bool orbit(bench::RecurrencePicture& picture) {
  const PeriodicOrbit orbit = orbit_that_misses_the_optimum();
  Recurrence recurrence(orbit.w_star, orbit.y, {kBinary, orbit.step, 0});
  std::printf(
      "An orbit that misses the optimum: n = 16, w* = (5 x7, 3 x9)/16, step 1, bound "
      "%.3f\nstep  signs of the nine small weights\n",
      visit_bound(orbit.w_star, kBinary));
  picture.period = orbit.period;
  picture.traces.assign(16 - orbit.large, {});
  std::vector<Codes> codes;
  bool holds = true;
  for (int t = 0; t < 8000; ++t, recurrence.advance()) {
    holds = holds && !recurrence.at_optimum();
    codes.push_back(recurrence.codes());
    if (t >= 8) holds = holds && codes.back() == codes[codes.size() - 9];
    if (t <= 32)
      for (std::size_t i = orbit.large; i < 16; ++i)
        picture.traces[i - orbit.large].push_back(recurrence.y()[i]);
    if (t > 8) continue;
    std::printf("%4d  ", t);
    for (std::size_t i = orbit.large; i < 16; ++i)
      std::printf("%c ", codes.back()[i] < 0 ? '-' : '+');
    std::printf("%s\n", t == 8 ? "  as at step 0" : "");
  }
  holds = holds && codes[0] != codes[1];
  // Starts at random: a weight's phase is one of eight and never changes, so a start
  // misses the optimum when nine weights take all eight phases: 8! S(9, 8) / 8^9 = 1.08
  // %.
  constexpr int kStarts = 4000;
  Rng rng(4);
  int missed = 0;
  double share = 0;
  std::vector<double> example;
  for (int i = 0; i < kStarts; ++i) {
    std::vector<double> y(16, 1.0);
    for (std::size_t k = orbit.large; k < 16; ++k)
      y[k] = (static_cast<double>(rng.below(8)) - 0.5) / 16;
    if (i == 0) example = y;
    Recurrence other(orbit.w_star, std::move(y), {kBinary, orbit.step, 0});
    const double frequency = run(other, 8).frequency();
    missed += frequency == 0;
    share += frequency / kStarts;
  }
  const double chance = 40320.0 * 36 / std::pow(8.0, 9), mean = std::pow(7.0 / 8, 9);
  std::printf(
      "%d random phases: %.2f %% of starts never visit (%.2f %% in theory), "
      "%.2f %% of steps at the optimum (%.2f %%)\n",
      kStarts, 100.0 * missed / kStarts, 100 * chance, 100 * share, 100 * mean);
  holds = holds &&
          std::abs(missed - kStarts * chance) <= 3 * std::sqrt(kStarts * chance) &&
          std::abs(share - mean) < 0.02;
  std::vector<double> same = orbit.y;
  std::fill(same.begin() + static_cast<std::ptrdiff_t>(orbit.large), same.end(),
            0.5 / 16);
  picture.starts = {follow("locked", orbit, orbit.y), follow("random", orbit, example),
                    follow("in step", orbit, same)};
  return say(holds, "the orbit has period 8 and never meets the optimum");
}

bool many_targets(bench::RecurrencePicture& picture) {
  constexpr std::int64_t kTargets = 180, kSteps = 20000;
  picture.points.resize(kTargets);
  std::vector<std::uint8_t> obeys(kTargets);
  parallel_for(kTargets, default_threads(), [&](std::int64_t i, int) {
    Rng rng(Rng(1000 + static_cast<std::uint64_t>(i)).next());
    const WeightLevels levels = i % 6 < 4 ? kBinary : kTernary;
    constexpr std::size_t kSizes[] = {4, 8, 16, 32, 8, 16};
    const std::size_t n = kSizes[i % 6];
    // The bound falls about as eps n for binary and eps n^2 for ternary weights.
    const double reach = levels == kBinary ? 6.0 / static_cast<double>(n)
                                           : 4.0 / static_cast<double>(n * n);
    const std::vector<double> w =
        target_near_quantised(n, levels, reach * rng.uniform(), rng);
    Recurrence recurrence(w, gaussian(rng, n, 0.1), {levels, 0.05, 0});
    const Codes best = recurrence.best_codes();
    const Visits v = run(recurrence, kSteps);
    const auto at = static_cast<std::size_t>(i);
    picture.points[at] = {levels, n, visit_bound(w, levels), v.frequency()};
    obeys[at] = v.frequency() >= visit_bound(best, levels, v.mean_direction) - 1e-9 &&
                v.frequency() >= picture.points[at].bound - 0.01;
  });
  int good = 0;
  for (const std::uint8_t o : obeys) good += o;
  std::printf("%d of %lld random targets obey the bound in %lld steps\n", good,
              static_cast<long long>(kTargets), static_cast<long long>(kSteps));
  return say(good == kTargets, "every random target obeys the bound");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 2) {
    std::fprintf(stderr, "usage: bench_recurrence [PLOT.svg]\n");
    return static_cast<int>(ExitCode::Usage);
  }
  try {
    bench::RecurrencePicture picture;
    bool holds = coarse_gradients();
    holds = visits() && holds;
    holds = flips(picture) && holds;
    holds = orbit(picture) && holds;
    holds = many_targets(picture) && holds;
    if (argc == 2) write_file_atomic(argv[1], bench::draw(picture));
    return holds ? EXIT_SUCCESS : EXIT_FAILURE;
  } catch (const Error& error) {
    std::fprintf(stderr, "bench_recurrence: %s\n", error.what());
    return static_cast<int>(error.code());
  }
}
