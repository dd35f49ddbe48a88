// SPDX-License-Identifier: MIT
// The little statistics the metrics stand on: incomplete beta, binomial limits, normal
// quantile.
#pragma once

#include <cstdint>

namespace qopt::eval {

/// Regularised incomplete beta I_x(a, b), a, b > 0, x in [0, 1]; about 1e-13 relative
/// (continued fraction, DLMF 8.17.22, by Lentz's method).
double incomplete_beta(double a, double b, double x);

/// x with I_x(a, b) = p, by bisection to the last bits.
double incomplete_beta_inverse(double a, double b, double p);

/// Standard normal quantile, p in (0, 1).
double normal_quantile(double p);

/// McNemar's exact two-sided p: 2 P(X <= min(lost, gained)) for X ~ Bin(lost + gained,
/// 1/2), at most 1.
double mcnemar_exact(std::int64_t lost, std::int64_t gained);

}  // namespace qopt::eval
