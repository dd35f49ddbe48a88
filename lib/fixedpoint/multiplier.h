// SPDX-License-Identifier: MIT
// Multipliers: real factors as the integer pairs that the requantisers take
// (docs/numerics.md N5 and N24). Pure arithmetic; knows no graph.
#pragma once

#include <cstdint>

#include "lib/exec/interval.h"

namespace qopt {

/// multiplier * 2^(shift - 31): multiplier 0, or in [2^30, 2^31 - 1] with shift in [-31,
/// 30], or in [2^22, 2^30) with shift 0 (a right shift up to 8 is folded into it), or
/// after to_sum_multiplier in [2^18, 2^30) with a positive shift.
struct Multiplier {
  std::int32_t multiplier = 0;
  int shift = 0;
  bool operator==(const Multiplier&) const = default;
};

/// The nearest Multiplier (ties to even). A factor below the smallest one becomes (0, 0).
/// Throws Error(ModelUnsupported) when `factor` is negative, not finite, or 2^30 and
/// more.
Multiplier to_multiplier(double factor);

/// The Multiplier of sums of products that meet a bias (N19), where `most` bounds the
/// magnitude of every sum on the way and of the bias, in units of a sum. Where one unit
/// is worth 2^-fraction of a result's code or more, the shift gives the bias fraction
/// bits: as many as make its unit less than half of that, or as 32 bits have room for.
/// The multiplier is at least 2^(29 - fraction). Throws as to_multiplier.
Multiplier to_sum_multiplier(double factor, double most, int fraction);

/// `fraction` for a graph whose values have `bits` bits or more: where a code is one of
/// 16 or fewer, a wrong one is no small error, and the layers behind multiply it.
/// Rounding of the bias and of the multiplier weigh the same at 11 bits.
constexpr int bias_fraction(int bits) { return bits <= 4 ? 11 : 6; }

/// The real number that a Multiplier stands for.
double multiplier_value(Multiplier m);

/// (a * a_multiplier + b * b_multiplier) >> shift with 16-bit signed multipliers.
struct AddMultipliers {
  std::int32_t a = 0, b = 0;
  int shift = 0;
  bool operator==(const AddMultipliers&) const = default;
};

/// Multipliers for a_factor * a + b_factor * b, where `a` and `b` are the intervals of
/// the operands less their zero points: the largest shift in [0, 31] at which both
/// multipliers stay within +-32767 and every product and the sum within 32 bits. Each
/// multiplier is off by at most 2^-(shift + 1). Throws Error(ModelUnsupported) when no
/// shift will do.
AddMultipliers to_add_multipliers(double a_factor, double b_factor, const Interval& a,
                                  const Interval& b);

/// Nearest integer, ties to even (the default rounding of the floating-point
/// environment).
double round_half_even(double x);

}  // namespace qopt
