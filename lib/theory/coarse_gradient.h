// SPDX-License-Identifier: MIT
// The two-layer Gaussian model of "Understanding Straight-Through Estimator in Training
// Activation Quantized Neural Nets" (Yin et al., arXiv 1903.05662): population loss, its
// true gradients and the expected coarse gradients in closed form, and the same by
// sampling. This is what the trainer's estimators are derived from; nothing here knows
// the trainer.
//
//   y = v' sigma(Z w),  Z (m x n) of independent N(0, 1),  sigma(x) = 1{x > 0},
//   loss = (y - y*)^2 / 2 against a teacher (v*, w*), ||w*|| = 1, theta = angle(w, w*).
// sigma' is zero almost everywhere, so back-propagation puts mu' in its place:
//   g_mu = Z' (mu'(Z w) o v) (v' sigma(Z w) - y*).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace qopt::theory {

struct TwoLayerModel {
  std::vector<double> v, v_star;  // m
  std::vector<double> w, w_star;  // n; w nonzero, w_star of unit length

  /// InternalError unless the sizes agree, w is nonzero and |w*| = 1 to 1e-9.
  void check() const;
  /// Angle between w and w*, in [0, pi].
  double theta() const;
};

/// mu': 1, 1{x > 0} and 1{0 < x < cap}.
enum class Surrogate { Identity, Relu, ClippedRelu };

/// f = [v'(I + 11')v - 2 v'((1 - 2 theta / pi) I + 11')v* + v*'(I + 11')v*] / 8 (lemma
/// 1).
double population_loss(const TwoLayerModel& model);

/// E[d loss / dv] = (I + 11')v / 4 - ((1 - 2 theta / pi) I + 11')v* / 4 (lemma 2); size
/// m.
std::vector<double> population_gradient_v(const TwoLayerModel& model);

/// df/dw = -v'v* / (2 pi |w|) u, u the unit vector along (I - ww'/|w|^2)w* (lemma 2);
/// size n. Zero where w and w* are parallel: f has a kink there, and no gradient.
std::vector<double> population_gradient_w(const TwoLayerModel& model);

/// E[g_mu], size n. With e = w/|w| and h = |v|^2 + (1'v)^2 - (1'v)(1'v*) + v'v*:
///   identity  (|v|^2 e - v'v* w*) / sqrt(2 pi)                              (lemma 7)
///   ReLU      (h e - v'v* (e + w*)) / (2 sqrt(2 pi))                        (lemma 4)
///             written there with cos(theta/2) (e + w*)/|e + w*|, which is (e + w*)/2 and
///             has no 0/0 at theta = pi
///   clipped   h (phi(0) - phi(c)) / 2 e
///             - v'v* [(phi(0)/2 - phi(c) Phi(c cot theta)) e + T w*],
///             c = cap/|w|, T = (Phi(c / sin theta) - 1/2) / sqrt(2 pi); derived here by
///             parts from the integrals of lemma 5, tends to ReLU as cap grows.
/// `cap` is used by ClippedRelu only.
std::vector<double> expected_coarse_gradient(const TwoLayerModel& model,
                                             Surrogate surrogate, double cap = 1);

/// <E[g], df/dw> for identity and ReLU = (v'v*)^2 sin(theta) / ((sqrt(2 pi))^3 |w|),
/// halved for ReLU (lemmas 5, 8): never negative, so both are descent directions.
/// InternalError for ClippedRelu, whose product is not of this form.
double descent_product(const TwoLayerModel& model, Surrogate surrogate);

/// The spurious minimum: w = -w*, v = (I + 11')^-1 (11' - I) v*. E[g_relu] vanishes here
/// and E[g_id] does not: its norm is 2 (m - 1) / (sqrt(2 pi) (m + 1)^2) (1'v*)^2.
TwoLayerModel spurious_minimum(std::span<const double> v_star,
                               std::span<const double> w_star);
double identity_norm_at_spurious_minimum(std::span<const double> v_star);

/// Sample mean and its standard error, per coordinate.
struct Estimate {
  std::vector<double> mean, standard_error;
};
struct SampledGradients {
  Estimate loss;  // size 1
  Estimate v;     // d loss / dv
  Estimate identity, relu, clipped;
  /// [f(w + h e_k) - f(w - h e_k)] / 2h from the same draws on both sides: the true
  /// gradient, which no single sample's back-propagation can see.
  Estimate w_difference;
};
/// From `samples` (at least 2) draws of Z; the same at any number of threads.
SampledGradients sample_gradients(const TwoLayerModel& model, double cap, double h,
                                  std::int64_t samples, std::uint64_t seed,
                                  int threads = 1);

}  // namespace qopt::theory
