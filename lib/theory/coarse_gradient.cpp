// SPDX-License-Identifier: MIT
#include "lib/theory/coarse_gradient.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "lib/core/error.h"
#include "lib/theory/blocks.h"
#include "lib/theory/vectors.h"

namespace qopt::theory {
namespace {

constexpr double kPi = std::numbers::pi;
const double kRoot2Pi = std::sqrt(2.0 * kPi);

double normal_pdf(double x) { return std::exp(-0.5 * x * x) / kRoot2Pi; }
double normal_cdf(double x) { return 0.5 * std::erfc(-x / std::numbers::sqrt2); }

/// a'(I + 11')b with weight `diagonal` on I.
double quadratic(std::span<const double> a, double diagonal, std::span<const double> b) {
  return diagonal * dot(a, b) + sum(a) * sum(b);
}

/// The part of w* at right angles to w.
std::vector<double> perpendicular(const TwoLayerModel& model) {
  const std::vector<double> e = normalised(model.w);
  return combine(1, model.w_star, -dot(e, model.w_star), e);
}

/// h of lemma 4.
double h_of(const TwoLayerModel& model) {
  const double s = sum(model.v);
  return dot(model.v, model.v) + s * s - s * sum(model.v_star) +
         dot(model.v, model.v_star);
}

/// Running sums of vectors and of their squares.
class Moments {
 public:
  explicit Moments(std::size_t size) : first_(size), second_(size) {}
  void add(std::size_t i, double x) { first_[i] += x, second_[i] += x * x; }
  void merge(const Moments& other) {
    for (std::size_t i = 0; i < first_.size(); ++i) {
      first_[i] += other.first_[i];
      second_[i] += other.second_[i];
    }
  }
  Estimate estimate(double count) const {
    Estimate out;
    for (std::size_t i = 0; i < first_.size(); ++i) {
      const double mean = first_[i] / count;
      const double variance =
          std::max(0.0, second_[i] / count - mean * mean) * count / (count - 1.0);
      out.mean.push_back(mean);
      out.standard_error.push_back(std::sqrt(variance / count));
    }
    return out;
  }

 private:
  std::vector<double> first_, second_;
};

/// One draw after the other into the sums of all estimates.
class Sampler {
 public:
  Sampler(const TwoLayerModel& model, double cap, double h)
      : model_(&model),
        cap_(cap),
        h_(h),
        z_(model.v.size() * model.w.size()),
        product_(model.v.size()),
        loss(1),
        v(model.v.size()),
        identity(model.w.size()),
        relu(model.w.size()),
        clipped(model.w.size()),
        difference(model.w.size()) {}

  void draw(Rng& rng) {
    const std::size_t m = model_->v.size(), n = model_->w.size();
    for (double& z : z_) z = rng.normal();
    double y = 0, target = 0;
    for (std::size_t i = 0; i < m; ++i) {
      product_[i] = dot(row(i), model_->w);
      if (product_[i] > 0) y += model_->v[i];
      if (dot(row(i), model_->w_star) > 0) target += model_->v_star[i];
    }
    const double residual = y - target;
    loss.add(0, 0.5 * residual * residual);
    for (std::size_t i = 0; i < m; ++i) v.add(i, product_[i] > 0 ? residual : 0);
    for (std::size_t k = 0; k < n; ++k) {
      double all = 0, positive = 0, inside = 0, above = 0, below = 0;
      for (std::size_t i = 0; i < m; ++i) {
        const double z = z_[i * n + k], term = z * model_->v[i];
        all += term;
        if (product_[i] > 0) positive += term;
        if (product_[i] > 0 && product_[i] < cap_) inside += term;
        if (product_[i] + h_ * z > 0) above += model_->v[i];
        if (product_[i] - h_ * z > 0) below += model_->v[i];
      }
      identity.add(k, all * residual);
      relu.add(k, positive * residual);
      clipped.add(k, inside * residual);
      above -= target, below -= target;
      difference.add(k, (above * above - below * below) / (4.0 * h_));
    }
  }
  void merge(const Sampler& other) {
    loss.merge(other.loss), v.merge(other.v), identity.merge(other.identity);
    relu.merge(other.relu), clipped.merge(other.clipped);
    difference.merge(other.difference);
  }

 private:
  std::span<const double> row(std::size_t i) const {
    const std::size_t n = model_->w.size();
    return std::span<const double>(z_).subspan(i * n, n);
  }
  const TwoLayerModel* model_;
  double cap_, h_;
  std::vector<double> z_, product_;  // Z (m x n), Z w

 public:
  Moments loss, v, identity, relu, clipped, difference;
};

}  // namespace

void TwoLayerModel::check() const {
  QOPT_CHECK(!v.empty() && v.size() == v_star.size(), "v {}, v* {}", v.size(),
             v_star.size());
  QOPT_CHECK(!w.empty() && w.size() == w_star.size(), "w {}, w* {}", w.size(),
             w_star.size());
  QOPT_CHECK(norm(w) > 0 && std::abs(norm(w_star) - 1) <= 1e-9, "|w| {}, |w*| {}",
             norm(w), norm(w_star));
}

double TwoLayerModel::theta() const {
  // atan2, not acos: acos loses half the digits near 0 and pi.
  return std::atan2(norm(perpendicular(*this)), dot(normalised(w), w_star));
}

double population_loss(const TwoLayerModel& model) {
  model.check();
  return (quadratic(model.v, 1, model.v) -
          2.0 * quadratic(model.v, 1.0 - 2.0 * model.theta() / kPi, model.v_star) +
          quadratic(model.v_star, 1, model.v_star)) /
         8.0;
}

std::vector<double> population_gradient_v(const TwoLayerModel& model) {
  model.check();
  std::vector<double> out =
      combine(0.25, model.v, -0.25 * (1.0 - 2.0 * model.theta() / kPi), model.v_star);
  for (double& x : out) x += 0.25 * (sum(model.v) - sum(model.v_star));
  return out;
}

std::vector<double> population_gradient_w(const TwoLayerModel& model) {
  model.check();
  const std::vector<double> u = perpendicular(model);
  const double length = norm(u);
  if (length < 1e-14)
    return  // rounding only: parallel
        std::vector<double>(model.w.size());
  return scaled(-dot(model.v, model.v_star) / (2.0 * kPi * norm(model.w) * length), u);
}

std::vector<double> expected_coarse_gradient(const TwoLayerModel& model,
                                             Surrogate surrogate, double cap) {
  model.check();
  const std::vector<double> e = normalised(model.w);
  const double overlap = dot(model.v, model.v_star);
  if (surrogate == Surrogate::Identity)
    return combine(dot(model.v, model.v) / kRoot2Pi, e, -overlap / kRoot2Pi,
                   model.w_star);
  const double h = h_of(model);
  if (surrogate == Surrogate::Relu)
    return combine((h - overlap) / (2.0 * kRoot2Pi), e, -overlap / (2.0 * kRoot2Pi),
                   model.w_star);
  // Parallel w and w* divide by zero here, and the infinities give the right limits.
  const double c = cap / norm(model.w);
  const double cosine = dot(e, model.w_star), sine = norm(perpendicular(model));
  const double along =
      0.5 * normal_pdf(0) - normal_pdf(c) * normal_cdf(c * cosine / sine);
  const double toward = (normal_cdf(c / sine) - 0.5) / kRoot2Pi;
  return combine(0.5 * h * (normal_pdf(0) - normal_pdf(c)) - overlap * along, e,
                 -overlap * toward, model.w_star);
}

double descent_product(const TwoLayerModel& model, Surrogate surrogate) {
  model.check();
  QOPT_CHECK(surrogate != Surrogate::ClippedRelu, "no closed form");
  const double overlap = dot(model.v, model.v_star);
  const double identity = std::sin(model.theta()) * overlap * overlap /
                          (kRoot2Pi * kRoot2Pi * kRoot2Pi * norm(model.w));
  return surrogate == Surrogate::Identity ? identity : 0.5 * identity;
}

TwoLayerModel spurious_minimum(std::span<const double> v_star,
                               std::span<const double> w_star) {
  // (I + 11')^-1 = I - 11'/(m + 1), so v = 2 (1'v*) / (m + 1) 1 - v*.
  TwoLayerModel model{scaled(-1, v_star),
                      {v_star.begin(), v_star.end()},
                      scaled(-1, w_star),
                      {w_star.begin(), w_star.end()}};
  const double shift = 2.0 * sum(v_star) / (static_cast<double>(v_star.size()) + 1.0);
  for (double& x : model.v) x += shift;
  return model;
}

double identity_norm_at_spurious_minimum(std::span<const double> v_star) {
  const auto m = static_cast<double>(v_star.size());
  const double s = sum(v_star);
  return 2.0 * (m - 1.0) / (kRoot2Pi * (m + 1.0) * (m + 1.0)) * s * s;
}

SampledGradients sample_gradients(const TwoLayerModel& model, double cap, double h,
                                  std::int64_t samples, std::uint64_t seed, int threads) {
  model.check();
  QOPT_CHECK(samples >= 2 && h > 0, "{} samples, h = {}", samples, h);
  const Sampler all = sample_in_blocks(samples, seed, threads, Sampler(model, cap, h),
                                       [](Rng& rng, Sampler& s) { s.draw(rng); });
  const auto count = static_cast<double>(samples);
  return {all.loss.estimate(count),     all.v.estimate(count),
          all.identity.estimate(count), all.relu.estimate(count),
          all.clipped.estimate(count),  all.difference.estimate(count)};
}

}  // namespace qopt::theory
