// SPDX-License-Identifier: MIT
#include "lib/theory/analog.h"

#include <cmath>
#include <limits>
#include <numbers>

#include "lib/core/error.h"
#include "tests/support/catch.h"

namespace qopt::theory {
namespace {

using Kind = Interpolation::Kind;

bool near(double a, double b, double relative) {
  return std::abs(a - b) <= relative * std::abs(b);
}

TEST_CASE("reduced precision takes the nearest level, ties toward zero") {
  CHECK(levels_per_unit(1) == 1);
  CHECK(levels_per_unit(4) == 15);
  CHECK_THROWS_AS(levels_per_unit(0), Error);
  CHECK_THROWS_AS(levels_per_unit(25), Error);
  // P = 4 is exact in binary, so ties are ties.
  CHECK(reduce_precision(0.125, 4) == 0);
  CHECK(reduce_precision(-0.125, 4) == 0);
  CHECK(reduce_precision(0.375, 4) == 0.25);
  CHECK(reduce_precision(-0.375, 4) == -0.25);
  CHECK(reduce_precision(std::nextafter(0.375, 1.0), 4) == 0.5);
  CHECK(reduce_precision(std::nextafter(-0.375, -1.0), 4) == -0.5);
  CHECK(reduce_precision(std::nextafter(0.375, 0.0), 4) == 0.25);
  for (const int levels : {1, 3, 15, 63, 255}) {
    for (int k = -levels; k <= levels; ++k) {
      const double level = static_cast<double>(k) / levels;
      CHECK(reduce_precision(level, levels) == level);
      CHECK(reduce_precision(level + 0.49 / levels, levels) == level);
      CHECK(reduce_precision(level - 0.49 / levels, levels) == level);
    }
  }
}

TEST_CASE("the inverse error functions undo erf and erfc to 1e-12") {
  for (int i = -9999; i <= 9999; ++i) {
    const double p = i / 10000.0;
    CHECK(std::abs(std::erf(inverse_erf(p)) - p) <= 1e-12 * std::abs(p));
    CHECK(inverse_erf(-p) == -inverse_erf(p));
  }
  for (int e = -300; e <= 0; ++e) {
    const double q = std::pow(10.0, e);
    CHECK(near(std::erfc(inverse_erfc(q)), q, 1e-12));
    CHECK(near(std::erf(inverse_erf(q / 2)), q / 2, 1e-12));
  }
  // Abramowitz and Stegun, table 26.5: normal quantiles are sqrt(2) erfinv(2 p - 1).
  CHECK(near(std::numbers::sqrt2 * inverse_erf(0.95), 1.959963984540054, 1e-14));
  CHECK(near(std::numbers::sqrt2 * inverse_erfc(0.2), 1.281551565544600, 1e-14));
  CHECK(near(inverse_erf(0.5), 0.4769362762044699, 1e-14));
  CHECK(inverse_erf(0) == 0);
  CHECK(inverse_erf(1) == std::numeric_limits<double>::infinity());
  CHECK(inverse_erfc(2) == -std::numeric_limits<double>::infinity());
  CHECK(near(inverse_erfc(1.8), -inverse_erfc(0.2), 1e-14));
  CHECK(std::isnan(inverse_erf(1.5)));
  CHECK(std::isnan(inverse_erfc(-0.1)));
}

TEST_CASE("sigma follows from leakage") {
  CHECK(near(noise_sigma(0.2, 15), 0.02601, 1e-3));
  CHECK(near(noise_sigma(0.4, 15), 0.03961, 1e-3));
  CHECK(near(noise_sigma(0.6, 63), 0.01513, 1e-3));
  CHECK(noise_sigma(0, 15) == 0);
  CHECK_THROWS_AS(noise_sigma(1, 15), Error);
  CHECK_THROWS_AS(noise_sigma(-0.1, 15), Error);
  CHECK_THROWS_AS(noise_sigma(std::nan(""), 15), Error);
}

TEST_CASE("the measured leak rate is the leakage asked for, at any number of threads") {
  for (const int bits : {4, 6}) {
    for (const double leakage : {0.2, 0.4, 0.5, 0.6}) {
      const int levels = levels_per_unit(bits);
      const double sigma = noise_sigma(leakage, levels);
      const LeakRate one = measure_leak_rate(sigma, levels, 200000, 11, 1);
      CHECK(std::abs(one.rate - leakage) <= 3 * one.standard_error);
      CHECK(one.standard_error < 0.0012);
      CHECK(measure_leak_rate(sigma, levels, 200000, 11, 3).rate == one.rate);
      CHECK(measure_leak_rate(sigma, levels, 200000, 12, 1).rate != one.rate);
    }
  }
  CHECK(measure_leak_rate(0, 15, 1000, 1).rate == 0);
}

TEST_CASE("the interpolation runs from leaky ReLU to GELU and SiLU") {
  for (const double x : {-3.0, -0.5, 0.0, 0.25, 2.0}) {
    CHECK(Interpolation{.factor = 0}(x) == std::max(0.0, x));
    CHECK(Interpolation{.factor = 0, .leak = 0.1}(x) == std::max(0.1 * x, x));
    CHECK(std::abs(Interpolation{}(x)-0.5 * x * (1 + std::erf(x / std::sqrt(2.0)))) <
          1e-15);
    CHECK(std::abs(Interpolation{.kind = Kind::Silu}(x)-x / (1 + std::exp(-x))) < 1e-15);
    for (const Kind kind : {Kind::Gelu, Kind::Silu}) {
      const Interpolation half{kind, 0.5, 1.0, 0.2};
      const Interpolation soft{kind, 1.0, 1.0, 0.2}, hard{kind, 0.0, 1.0, 0.2};
      CHECK(std::abs(half(x) - 0.5 * (soft(x) + hard(x))) < 1e-15);
      CHECK(std::abs(Interpolation{kind, 1, 1e4, 0}(x)-std::max(0.0, x)) < 1e-12);
    }
  }
}

TEST_CASE("the derivative is the slope") {
  constexpr double h = 1e-5;
  for (const Kind kind : {Kind::Gelu, Kind::Silu}) {
    for (const double factor : {0.0, 0.25, 0.5, 1.0}) {
      for (const double sharpness : {0.5, 1.0, 3.0}) {
        for (const double leak : {0.0, 0.1}) {
          const Interpolation f{kind, factor, sharpness, leak};
          for (double x = -6.01; x < 6; x += 0.1) {
            const double slope = (f(x + h) - f(x - h)) / (2 * h);
            CHECK(std::abs(f.derivative(x) - slope) < 1e-8);
          }
        }
      }
    }
  }
}

TEST_CASE("at exactly zero the derivative is the left one, and it never overflows") {
  for (const Kind kind : {Kind::Gelu, Kind::Silu}) {
    CHECK(Interpolation{kind, 0, 1, 0}.derivative(0.0) == 0);
    CHECK(Interpolation{kind, 0, 1, 0.1}.derivative(0.0) == 0.1);
    CHECK(Interpolation{kind, 0, 1, 0.1}.derivative(-0.0) == 0.1);
    CHECK(Interpolation{kind, 1, 1, 0.1}.derivative(0.0) == 0.5);
    CHECK(Interpolation{kind, 0.5, 1, 0}.derivative(0.0) == 0.25);
    for (const double x : {50.0, 1e3, 1e300}) {
      CHECK(Interpolation{kind}.derivative(x) == 1);
      CHECK(std::abs(Interpolation{kind}.derivative(-x)) < 1e-19);
      CHECK(std::abs(Interpolation{kind}(-x)) < 1e-19);
    }
  }
}

TEST_CASE("settings out of range are named") {
  CHECK_NOTHROW(Interpolation{}.check("activation"));
  CHECK_THROWS_AS((Interpolation{Kind::Gelu, 1.5, 1, 0}.check("activation")), Error);
  CHECK_THROWS_AS((Interpolation{Kind::Gelu, 1, 0, 0}.check("activation")), Error);
  CHECK_THROWS_AS((Interpolation{Kind::Gelu, 1, 1, -1}.check("activation")), Error);
  CHECK_THROWS_WITH((Interpolation{Kind::Gelu, 1, 1, 2}.check("conv1")),
                    "conv1: leak is 2, it must be in [0, 1]");
}

TEST_CASE("noise changes the gradient of ReLU far more than that of GELU and SiLU") {
  const double root = std::sqrt(2 * std::numbers::pi);
  const double relu = 0.5 * std::erfc(std::sqrt(0.5)) + (1 - std::exp(-0.5)) / root;
  // arXiv 2402.02593's comparison; figures of an independent calculation.
  struct Row {
    int bits;
    double relu, gelu, silu;
  };
  for (const Row& row : {Row{2, .313, .1035, .0658}, Row{4, .317, .0213, .0133},
                         Row{6, .319, .0050, .0032}, Row{8, .317, .0012, .0008}}) {
    const GradientErrors e = gradient_errors(row.bits);
    CHECK(near(e.relu, row.relu, 0.05));
    CHECK(near(e.gelu, row.gelu, 0.05));
    CHECK(near(e.silu, row.silu, 0.05));
    CHECK(near(e.relu, relu, 2e-3));
  }
  const GradientErrors fine = gradient_errors(12);
  CHECK(near(fine.gelu, 2 / std::numbers::pi * fine.sigma, 2e-3));
  CHECK(near(fine.silu, fine.sigma / root, 2e-3));
}

}  // namespace
}  // namespace qopt::theory
