// SPDX-License-Identifier: MIT
#include "lib/calib/estimators.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <string>

#include "tests/calib/support.h"
#include "tests/support/catch.h"

namespace qopt::calib {
namespace {

Range estimate(std::string_view name, const Statistics& s,
               const EstimatorOptions& options) {
  const Estimator* row = find_estimator(name);
  REQUIRE(row != nullptr);
  return row->estimate(s, options);
}

std::vector<std::uint64_t> absolute_histogram(const Statistics& s) {
  std::vector<std::uint64_t> bins = s.positive;
  for (std::size_t i = 0; i < bins.size(); ++i) bins[i] += s.negative[i];
  return bins;
}

// ------------------------------------------------------------ literal re-implementations

/// NVIDIA pytorch-quantization, _compute_amax_percentile, line by line.
double literal_percentile(const std::vector<std::uint64_t>& histogram, double bin_width,
                          double percentile) {
  const double total = static_cast<double>(
      std::accumulate(histogram.begin(), histogram.end(), std::uint64_t{0}));
  std::vector<double> cdf;
  std::uint64_t running = 0;
  for (std::uint64_t count : histogram) {
    running += count;
    cdf.push_back(static_cast<double>(running) / total);
  }
  const auto idx =
      std::lower_bound(cdf.begin(), cdf.end(), percentile / 100) - cdf.begin();
  return static_cast<double>(idx) * bin_width;
}

/// NVIDIA pytorch-quantization, _compute_amax_entropy, line by line; scipy.stats.entropy
/// normalises both distributions.
int literal_entropy(std::vector<double> bins, int num_bits, bool is_unsigned) {
  bins[0] = bins[1];
  const int nbins = 1 << (num_bits - 1 + (is_unsigned ? 1 : 0));
  const int start = 128, stop = static_cast<int>(bins.size());
  std::vector<double> divergences;
  for (int i = start; i <= stop; ++i) {
    std::vector<double> density_counts(static_cast<std::size_t>(nbins), 0.0);
    std::vector<int> space(static_cast<std::size_t>(i)),
        members(density_counts.size(), 0);
    for (int k = 0; k < i; ++k) {
      int digit = 0;  // np.digitize over np.linspace(0, i, nbins + 1), less one
      while (digit + 1 <= nbins && static_cast<double>(digit + 1) * i / nbins <= k)
        ++digit;
      const auto at = static_cast<std::size_t>(k);
      space[at] = bins[at] == 0 ? -1 : digit;
      if (space[at] < 0) continue;
      density_counts[static_cast<std::size_t>(digit)] += bins[at];
      ++members[static_cast<std::size_t>(digit)];
    }
    std::vector<double> p(bins.begin(), bins.begin() + i),
        q(static_cast<std::size_t>(i), 0.0);
    for (std::size_t k = 0; k < q.size(); ++k) {
      if (space[k] < 0) continue;
      const auto g = static_cast<std::size_t>(space[k]);
      q[k] = density_counts[g] / members[g];
    }
    p.back() += std::accumulate(bins.begin() + i, bins.end(), 0.0);
    const double p_sum = std::accumulate(p.begin(), p.end(), 0.0);
    const double q_sum = std::accumulate(q.begin(), q.end(), 0.0);
    double divergence = 0;
    for (std::size_t k = 0; k < p.size(); ++k) {
      if (p[k] == 0) continue;
      divergence += q[k] == 0 ? std::numeric_limits<double>::infinity()
                              : p[k] / p_sum * std::log(p[k] / p_sum / (q[k] / q_sum));
    }
    divergences.push_back(divergence);
  }
  int last_argmin = 0;
  for (std::size_t k = 0; k < divergences.size(); ++k) {
    if (divergences[k] <= divergences[static_cast<std::size_t>(last_argmin)]) {
      last_argmin = static_cast<int>(k);
    }
  }
  return last_argmin + start;
}

std::vector<std::vector<float>> shapes_of_data() {
  std::vector<float> heavy = normal(20000, 3);
  for (float& x : heavy) x = x * x * x;
  std::vector<float> outlier = normal(20000, 4);
  outlier[77] = 60;
  std::vector<float> shifted = normal(20000, 5);
  for (float& x : shifted) x = 0.3F * x - 2.0F;
  return {normal(20000, 1), relu(normal(20000, 2)), heavy, relu(heavy), outlier, shifted};
}

TEST_CASE("percentile is NVIDIA's on |x|") {
  for (const std::vector<float>& values : shapes_of_data()) {
    const Statistics s = statistics_of(values);
    for (const double p : {50.0, 99.0, 99.9, 99.99, 99.999, 99.9999}) {
      const Range range = estimate("percentile", s, {.symmetric = true, .percentile = p});
      const double a = std::max(literal_percentile(absolute_histogram(s), s.bin_width, p),
                                s.bin_width);
      CHECK(range.hi == static_cast<float>(a));
      CHECK(range.lo == (s.min >= 0 ? 0.0F : -range.hi));
    }
  }
}

TEST_CASE("entropy is NVIDIA's") {
  for (const std::vector<float>& values : shapes_of_data()) {
    const Statistics s = statistics_of(values);
    const std::vector<std::uint64_t> counts = absolute_histogram(s);
    const std::vector<double> bins(counts.begin(), counts.end());
    for (const int bits : {4, 8}) {
      const Range range = estimate("entropy", s, {.bits = bits, .symmetric = true});
      const int expected = literal_entropy(bins, bits, s.min >= 0);
      const double kept =
          std::accumulate(bins.begin(), bins.begin() + expected, 0.0) / 20000;
      if (kept < 0.5) {
        // Our one difference: the original keeps one lone element of data far from zero.
        CHECK(kept < 0.001);
        CHECK(clipped_fraction(s, range) < 0.5);
        continue;
      }
      CHECK(range.hi == static_cast<float>(expected * s.bin_width));
      // A signed level set has half of the codes for one-sided data.
      if (s.min >= 0) {
        const Range half =
            estimate("entropy", s, {.bits = bits, .symmetric = true, .one_sided = false});
        CHECK(half.hi ==
              static_cast<float>(literal_entropy(bins, bits, false) * s.bin_width));
      }
    }
  }
}

TEST_CASE("no estimator changes what the next one sees") {
  const Statistics s = statistics_of(normal(10000, 9));
  const Range before = estimate("percentile", s, {});
  for (const Estimator& row : estimators()) row.estimate(s, {});
  CHECK(estimate("percentile", s, {}).hi == before.hi);
}

// ----------------------------------------------------------------- planted failures

TEST_CASE("one outlier in 1e5 ruins min-max, and the other estimators do not follow it") {
  std::vector<float> values = normal(200000, 5);
  values[123] = 1000;
  values[4567] = -1000;
  const std::vector<float> clean = normal(200000, 5);
  const Statistics s = statistics_of(values);
  const auto error = [&](std::string_view name) {
    const EstimatorOptions options{.symmetric = false, .percentile = 99.99};
    return error_of(clean,
                    encoding_of(estimate(name, s, options), LevelSet::S, 8, false));
  };
  // min-max: a step of 2000 / 255 leaves nothing of a standard normal value.
  CHECK(error("minmax") > 0.5);
  CHECK(error("percentile") < 0.01);
}

TEST_CASE("a heavy tail that matters is lost at 99.9 and kept at 99.999") {
  // One element in 500 is 30 times larger, and carries most of the energy, as in BERT.
  std::vector<float> values = normal(100000, 6);
  for (std::size_t i = 0; i < values.size(); i += 2000)
    values[i] = i % 4000 ? 60.0F : -60.0F;
  const Statistics s = statistics_of(values);
  const auto error = [&](double percentile) {
    const EstimatorOptions options{.symmetric = true, .percentile = percentile};
    return error_of(
        values, encoding_of(estimate("percentile", s, options), LevelSet::N, 8, true));
  };
  CHECK(error(99.9) > 1.0);
  CHECK(error(99.999) < 0.05);
}

TEST_CASE("the zeros of ReLU do not decide the entropy threshold") {
  // 19 of 20 elements are exactly 0; the rest is half a normal distribution.
  std::vector<float> values = relu(normal(40000, 8));
  const float reach = estimate("entropy", statistics_of(values), {.symmetric = true}).hi;
  values.resize(values.size() * 20, 0.0F);
  const float with_zeros =
      estimate("entropy", statistics_of(values), {.symmetric = true}).hi;
  CHECK(with_zeros == reach);
}

TEST_CASE("entropy does not collapse on few values far from zero") {
  std::vector<float> values;
  for (int i = 0; i < 500; ++i) values.push_back(0.5F + 0.001F * static_cast<float>(i));
  const Statistics s = statistics_of(values);
  const Range range = estimate("entropy", s, {.symmetric = true});
  CHECK(clipped_fraction(s, range) < 0.1);
}

TEST_CASE("a value that is nearly always zero is not dead") {
  std::vector<float> values(100000, 0.0F);
  values[5] = 3;
  for (const bool symmetric : {true, false}) {
    const Range range =
        estimate("percentile", statistics_of(values), {.symmetric = symmetric});
    CHECK(range.hi > 0);
  }
}

// ---------------------------------------------------------------------- single ones

TEST_CASE("moving average goes by sample in order") {
  const std::vector<std::vector<float>> samples = {{-1, 2}, {-3, 4}, {0, 10}};
  const Range range = estimate("moving_average", statistics_of(samples),
                               {.symmetric = false, .momentum = 0.5});
  CHECK(range.lo == -1.0F);  // ((-1 * .5 + -3 * .5) * .5 + 0 * .5)
  CHECK(range.hi == 6.5F);
  const Range both = estimate("moving_average", statistics_of(samples),
                              {.symmetric = true, .momentum = 0.5});
  CHECK(both.lo == -6.5F);
}

TEST_CASE("mse finds the least error there is") {
  for (const std::vector<float>& values : shapes_of_data()) {
    const Statistics s = statistics_of(values);
    for (const int bits : {3, 4, 8}) {
      const bool one_sided = s.min >= 0;
      const LevelSet levels = one_sided ? LevelSet::U : LevelSet::N;
      const Range found = estimate("mse", s, {.bits = bits, .symmetric = true});
      const double error = error_of(values, encoding_of(found, levels, bits, true));
      const float most = std::max(-s.min, s.max);
      for (int k = 1; k <= 64; ++k) {
        const float a = most * static_cast<float>(k) / 64;
        const double other =
            error_of(values, encoding_of({one_sided ? 0 : -a, a}, levels, bits, true));
        CHECK(error <= other * 1.02);
      }
    }
  }
}

TEST_CASE("mse finds the least error of odd and of ternary levels") {
  for (const std::vector<float>& values : shapes_of_data()) {
    const Statistics s = statistics_of(values);
    struct Row {
      LevelSet levels;
      int bits;
    };
    for (const auto& [levels, bits] :
         {Row{LevelSet::O, 1}, Row{LevelSet::O, 2}, Row{LevelSet::O, 3},
          Row{LevelSet::O, 7}, Row{LevelSet::T, 2}, Row{LevelSet::N, 2}}) {
      const EstimatorOptions options{.bits = bits,
                                     .symmetric = true,
                                     .one_sided = false,
                                     .odd = levels == LevelSet::O};
      const Range found = estimate("mse", s, options);
      const double error = error_of(values, encoding_of(found, levels, bits, true));
      const float most = std::max(-s.min, s.max);
      INFO(level_set_name(levels) << bits);
      for (int k = 1; k <= 64; ++k) {
        const float a = most * static_cast<float>(k) / 64;
        const double other = error_of(values, encoding_of({-a, a}, levels, bits, true));
        CHECK(error <= other * 1.03);
      }
    }
  }
}

TEST_CASE("asymmetric mse is near the best of a fine grid, and beats min-max") {
  for (const std::vector<float>& values : shapes_of_data()) {
    const Statistics s = statistics_of(values);
    if (s.min >= 0) continue;
    for (const int bits : {3, 8}) {
      const Range found = estimate("mse", s, {.bits = bits, .symmetric = false});
      CHECK(found.lo >= s.min);
      CHECK(found.hi <= std::max(0.0F, s.max));
      const double error = error_of(values, encoding_of(found, LevelSet::S, bits, false));
      double best = std::numeric_limits<double>::infinity();
      for (int i = 0; i <= 24; ++i) {
        for (int j = 0; j <= 24; ++j) {
          const float lo = std::min(0.0F, s.min) * static_cast<float>(i) / 24;
          const float hi = std::max(0.0F, s.max) * static_cast<float>(j) / 24;
          if (lo == hi) continue;
          best = std::min(
              best, error_of(values, encoding_of({lo, hi}, LevelSet::S, bits, false)));
        }
      }
      CHECK(error <= best * 1.05);
    }
  }
}

// ------------------------------------------------------------------- laws of every row

TEST_CASE(
    "every estimator: ranges are finite, ordered, inside the data, and deterministic") {
  for (const Estimator& row : estimators()) {
    INFO(row.name);
    for (const std::vector<float>& values : shapes_of_data()) {
      const Statistics s = statistics_of(values);
      for (const bool symmetric : {true, false}) {
        for (const int bits : {1, 2, 4, 8, 16}) {
          const EstimatorOptions options{.bits = bits, .symmetric = symmetric};
          const Range range = row.estimate(s, options);
          const float most = std::max(-s.min, s.max);
          CHECK(range.lo <= range.hi);
          CHECK(range.hi <= most);
          CHECK(range.lo >= -most);
          CHECK(range.hi - range.lo > 0);
          if (symmetric && s.min < 0) CHECK(range.lo == -range.hi);
          const Range again = row.estimate(s, options);
          CHECK((again.lo == range.lo && again.hi == range.hi));
        }
      }
    }
  }
}

TEST_CASE("every estimator: twice the numbers, twice the range; dead values stay dead") {
  for (const Estimator& row : estimators()) {
    INFO(row.name);
    for (std::vector<float> values : shapes_of_data()) {
      for (const bool symmetric : {true, false}) {
        const EstimatorOptions options{.symmetric = symmetric};
        const Range once = row.estimate(statistics_of(values), options);
        std::vector<float> doubled = values;
        for (float& x : doubled) x *= 2;
        const Range twice = row.estimate(statistics_of(doubled), options);
        CHECK(twice.lo == 2 * once.lo);
        CHECK(twice.hi == 2 * once.hi);
      }
    }
    const Range dead = row.estimate(statistics_of(std::vector<float>(100, 0.0F)), {});
    CHECK(dead.lo == 0);
    CHECK(dead.hi == 0);
    for (const float constant : {3.0F, -3.0F}) {
      const Range range = row.estimate(statistics_of(std::vector<float>(100, constant)),
                                       {.symmetric = false});
      const Affine e = encoding_of(range, LevelSet::S, 8, false);
      // A percentile takes the lower edge of its bin, 1/2048 below.
      CHECK(std::abs(decode(encode(constant, e), e) - constant) < 0.02F);
    }
  }
}

TEST_CASE("a higher percentile never gives a narrower range") {
  for (const std::vector<float>& values : shapes_of_data()) {
    const Statistics s = statistics_of(values);
    for (const bool symmetric : {true, false}) {
      Range before;  // [0, 0]; encodings always contain 0
      for (const double p : {90.0, 99.0, 99.9, 99.99, 99.999, 99.9999, 100.0}) {
        const Range range =
            estimate("percentile", s, {.symmetric = symmetric, .percentile = p});
        CHECK(std::max(0.0F, range.hi) >= before.hi);
        CHECK(std::min(0.0F, range.lo) <= before.lo);
        before = {std::min(0.0F, range.lo), std::max(0.0F, range.hi)};
      }
      const float most = std::max(-s.min, s.max);
      CHECK(before.hi == (symmetric ? most : std::max(0.0F, s.max)));
    }
  }
}

TEST_CASE("the table finds its rows and no others") {
  CHECK(estimators().size() == 5);
  for (const Estimator& row : estimators()) CHECK(find_estimator(row.name) == &row);
  CHECK(find_estimator("median") == nullptr);
}

}  // namespace
}  // namespace qopt::calib
