// SPDX-License-Identifier: MIT
// The exact projections against every choice there is.
#include "lib/calib/projection.h"

#include <cmath>
#include <limits>
#include <vector>

#include "lib/core/rng.h"
#include "lib/graph/encoding.h"
#include "tests/support/catch.h"

namespace qopt::calib {
namespace {

/// Least |w - a q|^2 over all assignments q of the given codes, each with its best a.
double brute_force(const std::vector<float>& w, const std::vector<int>& codes) {
  std::size_t count = 1;
  for (std::size_t i = 0; i < w.size(); ++i) count *= codes.size();
  double least = std::numeric_limits<double>::infinity();
  for (std::size_t choice = 0; choice < count; ++choice) {
    double wq = 0, qq = 0, ww = 0;
    std::size_t rest = choice;
    for (const float x : w) {
      const int q = codes[rest % codes.size()];
      rest /= codes.size();
      wq += static_cast<double>(x) * q, qq += q * q, ww += static_cast<double>(x) * x;
    }
    least = std::min(least, qq > 0 && wq > 0 ? ww - wq * wq / qq : ww);
  }
  return least;
}

double error_of(const std::vector<float>& w, const Affine& e) {
  double error = 0;
  for (const float x : w) {
    const double d =
        static_cast<double>(x) - static_cast<double>(decode(encode(x, e), e));
    error += d * d;
  }
  return error;
}

std::vector<float> draw(Rng& rng, std::size_t count, int kind) {
  std::vector<float> w(count);
  for (float& x : w) {
    const auto normal = static_cast<float>(rng.normal());
    x = kind == 0   ? normal
        : kind == 1 ? normal * normal * normal    // few large ones
        : kind == 2 ? std::round(normal * 2) / 4  // ties and zeros
                    : (normal < 0 ? -1.0F : 1.0F) * (1 + 0.01F * normal);
  }
  return w;
}

TEST_CASE("binary and ternary scales are the exact projections") {
  Rng rng(3);
  for (int round = 0; round < 60; ++round) {
    for (int kind = 0; kind < 4; ++kind) {
      const std::vector<float> w =
          draw(rng, 1 + static_cast<std::size_t>(round) % 9, kind);
      double norm = 0;
      for (const float x : w) norm += static_cast<double>(x) * x;
      INFO("kind " << kind << ", " << w.size() << " weights");
      const float binary = binary_scale(w);
      const TernaryScale ternary = ternary_scale(w);
      if (norm == 0) {
        CHECK((binary == 0 && ternary.scale == 0));
        continue;
      }
      const double slack = 1e-6 * norm;  // the scale is rounded to float
      CHECK(error_of(w, {LevelSet::O, 1, {binary}, {0}, {}}) <=
            brute_force(w, {-1, 1}) + slack);
      CHECK(error_of(w, {LevelSet::T, 2, {ternary.scale}, {0}, {}}) <=
            brute_force(w, {-1, 0, 1}) + slack);
      double kept = 0;
      int count = 0;
      for (const float x : w) {
        if (std::fabs(x) > ternary.threshold) kept += std::fabs(x), ++count;
      }
      CHECK(std::fabs(kept / count - static_cast<double>(ternary.scale)) <= 1e-7 * kept);
    }
  }
}

TEST_CASE("the ternary scale of many weights beats every other scale") {
  Rng rng(4);
  for (int kind = 0; kind < 4; ++kind) {
    const std::vector<float> w = draw(rng, 5000, kind);
    const TernaryScale found = ternary_scale(w);
    const double error = error_of(w, {LevelSet::T, 2, {found.scale}, {0}, {}});
    for (float factor = 0.2F; factor < 3; factor += 0.02F) {
      const double other = error_of(w, {LevelSet::T, 2, {found.scale * factor}, {0}, {}});
      CHECK(error <= other * (1 + 1e-6));
    }
    std::vector<float> turned(w.rbegin(), w.rend());
    CHECK(ternary_scale(turned).scale == found.scale);
  }
}

TEST_CASE("projections of nothing, of zeros and of NaN") {
  CHECK(binary_scale({}) == 0);
  CHECK(ternary_scale({}).scale == 0);
  const std::vector<float> zeros(7, -0.0F);
  CHECK(binary_scale(zeros) == 0);
  CHECK(ternary_scale(zeros).threshold == 0);
  for (const float odd : {std::numeric_limits<float>::quiet_NaN(),
                          std::numeric_limits<float>::infinity()}) {
    const std::vector<float> sick{1, odd, -2};
    CHECK(std::isnan(binary_scale(sick)));
    CHECK(std::isnan(ternary_scale(sick).scale));
  }
  const std::vector<float> huge(9, std::numeric_limits<float>::max());
  CHECK(binary_scale(huge) == std::numeric_limits<float>::max());
  CHECK(ternary_scale(huge).scale == std::numeric_limits<float>::max());
}

}  // namespace
}  // namespace qopt::calib
