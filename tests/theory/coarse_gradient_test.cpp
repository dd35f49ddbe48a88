// SPDX-License-Identifier: MIT
#include "lib/theory/coarse_gradient.h"

#include <cmath>
#include <numbers>

#include "lib/core/error.h"
#include "lib/core/rng.h"
#include "lib/theory/vectors.h"
#include "tests/support/catch.h"

namespace qopt::theory {
namespace {

std::vector<double> gaussian(Rng& rng, std::size_t size) {
  std::vector<double> out(size);
  for (double& x : out) x = rng.normal();
  return out;
}

TwoLayerModel random_model(std::uint64_t seed, std::size_t m, std::size_t n) {
  Rng rng(seed);
  TwoLayerModel model;
  model.v = gaussian(rng, m);
  model.v_star = gaussian(rng, m);
  model.w = gaussian(rng, n);
  model.w_star = normalised(gaussian(rng, n));
  return model;
}

double largest(std::span<const double> a) {
  double out = 0;
  for (const double x : a) out = std::max(out, std::abs(x));
  return out;
}

/// Largest distance from the closed form in standard errors.
double worst_z(const Estimate& estimate, std::span<const double> exact) {
  REQUIRE(estimate.mean.size() == exact.size());
  double out = 0;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    REQUIRE(estimate.standard_error[i] > 0);
    out =
        std::max(out, std::abs(estimate.mean[i] - exact[i]) / estimate.standard_error[i]);
  }
  return out;
}

TEST_CASE("closed forms equal Monte Carlo within three standard errors") {
  // 40 comparisons: one pair of seeds in ten exceeds 3 by chance (over 60 seeds 4 of 1200
  // do, 3.2 are expected, and the mean square is 0.98), and these two do not.
  constexpr double kCap = 0.8, kStep = 0.05;
  for (const std::uint64_t seed : {2, 3}) {
    const TwoLayerModel model = random_model(seed, 3, 4);
    const SampledGradients s = sample_gradients(model, kCap, kStep, 200000, seed);
    CHECK(worst_z(s.loss, std::vector<double>{population_loss(model)}) < 3);
    CHECK(worst_z(s.v, population_gradient_v(model)) < 3);
    CHECK(worst_z(s.identity, expected_coarse_gradient(model, Surrogate::Identity)) < 3);
    CHECK(worst_z(s.relu, expected_coarse_gradient(model, Surrogate::Relu)) < 3);
    CHECK(worst_z(s.clipped,
                  expected_coarse_gradient(model, Surrogate::ClippedRelu, kCap)) < 3);
    std::vector<double> difference;
    for (std::size_t k = 0; k < model.w.size(); ++k) {
      TwoLayerModel above = model, below = model;
      above.w[k] += kStep, below.w[k] -= kStep;
      difference.push_back((population_loss(above) - population_loss(below)) /
                           (2 * kStep));
    }
    CHECK(worst_z(s.w_difference, difference) < 3);
    // Three standard errors see an error of a few percent.
    CHECK(3 * largest(s.relu.standard_error) <
          0.1 * norm(expected_coarse_gradient(model, Surrogate::Relu)));
  }
}

TEST_CASE("sampling gives the same bits at any number of threads") {
  const TwoLayerModel model = random_model(3, 2, 3);
  const SampledGradients one = sample_gradients(model, 1, 0.1, 50000, 7, 1);
  const SampledGradients three = sample_gradients(model, 1, 0.1, 50000, 7, 3);
  CHECK(one.relu.mean == three.relu.mean);
  CHECK(one.w_difference.standard_error == three.w_difference.standard_error);
  CHECK(one.relu.mean != sample_gradients(model, 1, 0.1, 50000, 8, 1).relu.mean);
}

TEST_CASE("the true gradients are the slopes of the loss") {
  constexpr double h = 1e-6;
  for (const std::uint64_t seed : {4, 5, 6}) {
    const TwoLayerModel model = random_model(seed, 5, 6);
    const std::vector<double> dv = population_gradient_v(model);
    const std::vector<double> dw = population_gradient_w(model);
    for (std::size_t k = 0; k < model.w.size(); ++k) {
      TwoLayerModel above = model, below = model;
      above.w[k] += h, below.w[k] -= h;
      CHECK(std::abs((population_loss(above) - population_loss(below)) / (2 * h) -
                     dw[k]) < 1e-8);
    }
    for (std::size_t k = 0; k < model.v.size(); ++k) {
      TwoLayerModel above = model, below = model;
      above.v[k] += h, below.v[k] -= h;
      CHECK(std::abs((population_loss(above) - population_loss(below)) / (2 * h) -
                     dv[k]) < 1e-8);
    }
    CHECK(std::abs(dot(dw, model.w)) < 1e-14);  // f does not depend on |w|
  }
}

TEST_CASE("coarse gradients descend by the amount the lemma says") {
  for (std::uint64_t seed = 10; seed < 30; ++seed) {
    const TwoLayerModel model = random_model(seed, 1 + seed % 5, 2 + seed % 7);
    const std::vector<double> dw = population_gradient_w(model);
    for (const Surrogate surrogate : {Surrogate::Identity, Surrogate::Relu}) {
      const double product = dot(expected_coarse_gradient(model, surrogate), dw);
      CHECK(std::abs(product - descent_product(model, surrogate)) < 1e-13);
      CHECK(product >= 0);
    }
    CHECK(dot(expected_coarse_gradient(model, Surrogate::ClippedRelu, 0.7), dw) >= 0);
    const std::vector<double> wide =
        expected_coarse_gradient(model, Surrogate::ClippedRelu, 1e3);
    const std::vector<double> relu = expected_coarse_gradient(model, Surrogate::Relu);
    CHECK(largest(combine(1, wide, -1, relu)) < 1e-12);
  }
  CHECK_THROWS_AS(descent_product(random_model(1, 2, 2), Surrogate::ClippedRelu),
                  InternalError);
}

TEST_CASE("at the spurious minimum ReLU rests and identity does not") {
  for (const std::size_t m : {2U, 3U, 8U}) {
    const TwoLayerModel random = random_model(40 + m, m, 5);
    const TwoLayerModel model = spurious_minimum(random.v_star, random.w_star);
    CHECK(model.theta() == std::numbers::pi);
    CHECK(largest(population_gradient_v(model)) < 1e-14);
    CHECK(norm(expected_coarse_gradient(model, Surrogate::Relu)) < 1e-14);
    CHECK(norm(expected_coarse_gradient(model, Surrogate::ClippedRelu, 0.5)) < 1e-14);
    const double expected = identity_norm_at_spurious_minimum(model.v_star);
    CHECK(expected > 1e-3);
    CHECK(std::abs(norm(expected_coarse_gradient(model, Surrogate::Identity)) -
                   expected) < 1e-13);
  }
}

TEST_CASE("at the optimum every coarse gradient vanishes") {
  TwoLayerModel model = random_model(50, 4, 6);
  model.v = model.v_star;
  model.w = scaled(3, model.w_star);
  CHECK(std::abs(population_loss(model)) < 1e-7);
  for (const Surrogate surrogate :
       {Surrogate::Identity, Surrogate::Relu, Surrogate::ClippedRelu})
    CHECK(norm(expected_coarse_gradient(model, surrogate, 2)) < 1e-7);
}

TEST_CASE("with v = v* the coarse gradients are c (w / |w| - w*)") {
  TwoLayerModel model = random_model(60, 4, 6);
  model.v = model.v_star;
  const std::vector<double> direction = combine(1, normalised(model.w), -1, model.w_star);
  const double c = dot(model.v, model.v) / std::sqrt(2 * std::numbers::pi);
  const auto gradient = [&](Surrogate s) { return expected_coarse_gradient(model, s); };
  CHECK(norm(combine(1, gradient(Surrogate::Identity), -c, direction)) < 1e-14);
  CHECK(norm(combine(1, gradient(Surrogate::Relu), -c / 2, direction)) < 1e-14);
}

TEST_CASE("a model that is none is refused") {
  TwoLayerModel model = random_model(70, 2, 2);
  model.w_star = {1, 1};
  CHECK_THROWS_AS(population_loss(model), InternalError);
  model = random_model(70, 2, 2);
  model.w = {0, 0};
  CHECK_THROWS_AS(expected_coarse_gradient(model, Surrogate::Relu), InternalError);
  model.v.push_back(1);
  CHECK_THROWS_AS(population_gradient_v(model), InternalError);
}

}  // namespace
}  // namespace qopt::theory
