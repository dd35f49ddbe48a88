// SPDX-License-Identifier: MIT
// Multipliers from doubles: one frexp, one rounding.
#include "lib/fixedpoint/multiplier.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/core/error.h"

namespace qopt {
namespace {

constexpr int kMinShift = -31, kMaxShift = 30;
// Right shifts up to this go into the multiplier, which then rounds once and keeps 23
// bits: 2^-24 of any accumulator that gives a code of 16 bits. A shift of n after the
// multiplication would round twice, and one result in 2^(n+1) up where it is below half.
constexpr int kMaxFold = 8;
constexpr std::int64_t kMaxAddMultiplier = 32767;  // a NEON lane of 16 bits

bool fits32(const Interval& x) {
  return x.lo >= std::numeric_limits<std::int32_t>::min() &&
         x.hi <= std::numeric_limits<std::int32_t>::max();
}

Interval scaled(const Interval& x, std::int64_t m) {
  return {std::min(x.lo * m, x.hi * m), std::max(x.lo * m, x.hi * m)};
}

}  // namespace

double round_half_even(double x) { return std::nearbyint(x); }

Multiplier to_multiplier(double factor) {
  if (!std::isfinite(factor) || factor < 0.0) {
    throw Error(ExitCode::ModelUnsupported, "",
                fmt::format("the ratio of scales is {}", factor));
  }
  if (factor == 0.0) return {};
  int exponent = 0;
  const double fraction = std::frexp(factor, &exponent);  // in [1/2, 1)
  auto mantissa = static_cast<std::int64_t>(round_half_even(std::ldexp(fraction, 31)));
  if (mantissa == std::int64_t{1} << 31) {
    mantissa >>= 1;
    ++exponent;
  }
  if (exponent < 0 && exponent >= -kMaxFold) {
    return {static_cast<std::int32_t>(round_half_even(std::ldexp(factor, 31))), 0};
  }
  if (exponent < kMinShift) return {};
  if (exponent > kMaxShift) {
    throw Error(ExitCode::ModelUnsupported, "",
                fmt::format("the ratio of scales is {}, above 2^30", factor),
                "the result's range is far too small for its operands");
  }
  return {static_cast<std::int32_t>(mantissa), exponent};
}

Multiplier to_sum_multiplier(double factor, double most, int fraction) {
  const Multiplier plain = to_multiplier(factor);
  int exponent = 0;
  std::frexp(factor, &exponent);  // factor < 2^exponent
  if (factor == 0.0 || exponent <= -fraction) return plain;
  int room = 0;
  std::frexp(most, &room);  // most < 2^room
  const int shift = std::min({exponent + fraction + 1, 31 - room, kMaxShift});
  if (shift <= plain.shift) return plain;
  return {static_cast<std::int32_t>(round_half_even(std::ldexp(factor, 31 - shift))),
          shift};
}

double multiplier_value(Multiplier m) {
  return std::ldexp(static_cast<double>(m.multiplier), m.shift - 31);
}

AddMultipliers to_add_multipliers(double a_factor, double b_factor, const Interval& a,
                                  const Interval& b) {
  for (double factor : {a_factor, b_factor}) {
    if (!std::isfinite(factor)) {
      throw Error(ExitCode::ModelUnsupported, "",
                  fmt::format("the ratio of scales is {}", factor));
    }
  }
  for (int shift = 31; shift >= 0; --shift) {
    const double am = round_half_even(std::ldexp(a_factor, shift));
    const double bm = round_half_even(std::ldexp(b_factor, shift));
    const double limit = static_cast<double>(kMaxAddMultiplier);
    if (std::fabs(am) > limit || std::fabs(bm) > limit) continue;
    const Interval left = scaled(a, static_cast<std::int64_t>(am));
    const Interval right = scaled(b, static_cast<std::int64_t>(bm));
    // Zero belongs to every interval: a padded or partial sum may lack either product.
    const Interval sum{std::min<std::int64_t>(0, left.lo + right.lo),
                       std::max<std::int64_t>(0, left.hi + right.hi)};
    if (fits32(left) && fits32(right) && fits32(sum)) {
      return {static_cast<std::int32_t>(am), static_cast<std::int32_t>(bm), shift};
    }
  }
  throw Error(ExitCode::ModelUnsupported, "",
              fmt::format("operands scaled by {} and {} do not fit a 32-bit sum",
                          a_factor, b_factor),
              "the result's range is far too small for its operands");
}

}  // namespace qopt
