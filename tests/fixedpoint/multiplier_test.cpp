// SPDX-License-Identifier: MIT
#include "lib/fixedpoint/multiplier.h"

#include <cmath>
#include <limits>

#include "lib/core/error.h"
#include "lib/core/rng.h"
#include "runtime/include/qrt/arith.h"
#include "tests/support/catch.h"

namespace qopt {
namespace {

constexpr std::int32_t kHalf = 1 << 30;
constexpr std::int32_t kMost = std::numeric_limits<std::int32_t>::max();

TEST_CASE("powers of two are exact multipliers at every shift") {
  for (int exponent = -32; exponent <= 29; ++exponent) {
    const Multiplier m = to_multiplier(std::ldexp(1.0, exponent));
    const int shift = exponent + 1;
    const bool folds = shift < 0 && shift >= -8;
    CHECK(m == (folds ? Multiplier{kHalf >> -shift, 0} : Multiplier{kHalf, shift}));
    CHECK(multiplier_value(m) == std::ldexp(1.0, exponent));
  }
}

TEST_CASE("multipliers round half to even and carry into the exponent") {
  const double unit = 0x1p-31;
  CHECK(to_multiplier((0x1p30 + 0.5) * unit) == Multiplier{kHalf, 0});
  CHECK(to_multiplier((0x1p30 + 1.5) * unit) == Multiplier{kHalf + 2, 0});
  CHECK(to_multiplier((0x1p31 - 1.0) * unit) == Multiplier{kMost, 0});
  CHECK(to_multiplier((0x1p31 - 0.75) * unit) == Multiplier{kMost, 0});
  CHECK(to_multiplier((0x1p31 - 0.5) * unit) == Multiplier{kHalf, 1});
  CHECK(to_multiplier(std::nextafter(1.0, 0.0)) == Multiplier{kHalf, 1});
}

TEST_CASE("the ends of the multiplier's range") {
  CHECK(to_multiplier(0.0) == Multiplier{0, 0});
  CHECK(to_multiplier(0x1p-32) == Multiplier{kHalf, -31});
  CHECK(to_multiplier(0x1p-32 * (1 - 0x1p-20)) == Multiplier{0, 0});
  // Rounds up into the smallest exponent.
  CHECK(to_multiplier(0x1p-32 * (1 - 0x1p-40)) == Multiplier{kHalf, -31});
  CHECK(to_multiplier(std::numeric_limits<double>::denorm_min()) == Multiplier{0, 0});
  CHECK(to_multiplier(0x1p30 - 1.0) == Multiplier{kMost - 1, 30});
  CHECK_THROWS_AS(to_multiplier(0x1p30), Error);
  CHECK_THROWS_AS(to_multiplier(std::nextafter(0x1p30, 0.0)), Error);
  CHECK_THROWS_AS(to_multiplier(-0x1p-3), Error);
  CHECK_THROWS_AS(to_multiplier(std::numeric_limits<double>::infinity()), Error);
  CHECK_THROWS_AS(to_multiplier(std::numeric_limits<double>::quiet_NaN()), Error);
}

TEST_CASE("random factors are met to 31 bits and requantise to within one") {
  Rng rng(1);
  for (int i = 0; i < 20000; ++i) {
    const double factor =
        std::ldexp(0.5 + 0.5 * rng.uniform(), static_cast<int>(rng.below(40)) - 31);
    const Multiplier m = to_multiplier(factor);
    const double precision = m.multiplier < kHalf ? 0x1p-23 : 0x1p-31;
    REQUIRE(std::fabs(multiplier_value(m) - factor) <= factor * precision);
    // An accumulator that yields a code of 16 bits or fewer.
    const double reach = std::min(32768.0 / factor, 0x1p31 - 1);
    const auto acc = static_cast<std::int32_t>((2.0 * rng.uniform() - 1.0) * reach);
    const double exact = acc * factor;
    REQUIRE(std::fabs(qrt_requant(acc, m.multiplier, m.shift) - exact) <= 1.0);
  }
}

TEST_CASE("short right shifts are folded into the multiplier, which rounds once") {
  // 3 * 0.123 * 2^-3 would be rounded to eighths first, and its ties then upwards.
  Rng rng(3);
  for (int i = 0; i < 20000; ++i) {
    const double factor =
        std::ldexp(0.5 + 0.5 * rng.uniform(), -static_cast<int>(rng.below(9)));
    const Multiplier m = to_multiplier(factor);
    REQUIRE(m.shift == 0);
    const auto acc = static_cast<std::int32_t>(rng.below(2000)) - 1000;
    const double exact = static_cast<double>(acc) * multiplier_value(m);
    REQUIRE(qrt_requant(acc, m.multiplier, m.shift) == std::floor(exact + 0.5));
  }
  CHECK(to_multiplier(std::ldexp(0.75, -9)).shift == -9);
}

TEST_CASE("sums that meet a bias keep fraction bits where their unit is coarse") {
  // Below 1/64 of a code nothing changes, at 1/64 and more the unit becomes 1/256 to
  // 1/128.
  CHECK(to_sum_multiplier(0x1p-7, 1000, 6) == to_multiplier(0x1p-7));
  CHECK(to_sum_multiplier(0x1p-6, 1000, 6) == Multiplier{1 << 23, 2});
  CHECK(to_sum_multiplier(1.0, 1000, 6) == Multiplier{1 << 23, 8});
  CHECK(to_sum_multiplier(30.0, 1000, 6) == Multiplier{15 << 20, 12});
  // The same with 11 bits.
  CHECK(to_sum_multiplier(0x1p-12, 1000, 11) == to_multiplier(0x1p-12));
  CHECK(to_sum_multiplier(0x1p-11, 1000, 11) == Multiplier{1 << 18, 2});
  CHECK(to_sum_multiplier(1.0, 1000, 11) == Multiplier{1 << 18, 13});
  // As many as 32 bits have room for, and never fewer than the factor asks.
  CHECK(to_sum_multiplier(1.0, 0x1p25, 11) == Multiplier{1 << 26, 5});
  CHECK(to_sum_multiplier(1.0, 0x1p30, 11) == to_multiplier(1.0));
  CHECK(to_sum_multiplier(1.0, 0x1p40, 11) == to_multiplier(1.0));
  CHECK(to_sum_multiplier(0.0, 1, 11) == Multiplier{0, 0});
  Rng rng(4);
  for (int i = 0; i < 20000; ++i) {
    const double factor =
        std::ldexp(0.5 + 0.5 * rng.uniform(), static_cast<int>(rng.below(20)) - 12);
    const double most = std::ldexp(1.0 + rng.uniform(), static_cast<int>(rng.below(30)));
    const int fraction = bias_fraction(rng.below(2) == 0 ? 8 : 2);
    const Multiplier m = to_sum_multiplier(factor, most, fraction);
    REQUIRE(std::fabs(multiplier_value(m) - factor) <=
            factor * std::ldexp(1.0, fraction - 29));
    if (m == to_multiplier(factor)) continue;
    REQUIRE(std::ldexp(most, m.shift) < 0x1p31);
    REQUIRE(m.multiplier >= 1 << (29 - fraction));
  }
}

TEST_CASE("add multipliers take the largest shift that 16 and 32 bits allow") {
  const Interval byte{-255, 255};
  const AddMultipliers m = to_add_multipliers(1.0, 0.5, byte, byte);
  CHECK(m == AddMultipliers{16384, 8192, 14});
  // 32767 * 2^-15 is the last factor that fits shift 15.
  CHECK(to_add_multipliers(32767.0 / 32768.0, 0.0, byte, byte) ==
        AddMultipliers{32767, 0, 15});
  CHECK(to_add_multipliers(32767.6 / 32768.0, 0.0, byte, byte).shift == 14);
  // Sixteen-bit operands: the 32-bit sum is what limits.
  const Interval word{-65535, 65535};
  const AddMultipliers wide = to_add_multipliers(0.9, 0.9, word, word);
  CHECK(wide.shift == 14);
  CHECK(std::int64_t{wide.a} * word.hi + std::int64_t{wide.b} * word.hi <= kMost);
  // Subtraction.
  CHECK(to_add_multipliers(1.0, -1.0, byte, byte) == AddMultipliers{16384, -16384, 14});
  // Tiny factors vanish at the last shift.
  CHECK(to_add_multipliers(0x1p-40, 0x1p-31, byte, byte) == AddMultipliers{0, 1, 31});
  CHECK_THROWS_AS(to_add_multipliers(32768.0, 1.0, byte, byte), Error);
  CHECK_THROWS_AS(
      to_add_multipliers(std::numeric_limits<double>::infinity(), 1.0, byte, byte),
      Error);
}

TEST_CASE("random add multipliers never leave 32 bits and cannot be doubled") {
  Rng rng(2);
  for (int i = 0; i < 5000; ++i) {
    const double a =
        std::ldexp(1.0 + rng.uniform(), static_cast<int>(rng.below(20)) - 12);
    const double b =
        -std::ldexp(1.0 + rng.uniform(), static_cast<int>(rng.below(20)) - 12);
    const std::int64_t reach = rng.below(2) == 0 ? 255 : 65535;
    const Interval x{-reach, static_cast<std::int64_t>(rng.below(1000))};
    const AddMultipliers m = to_add_multipliers(a, b, x, x);
    const std::int64_t ends[] = {m.a * x.lo, m.a * x.hi, m.b * x.lo, m.b * x.hi};
    for (std::int64_t left : {ends[0], ends[1]}) {
      for (std::int64_t right : {ends[2], ends[3]}) {
        REQUIRE(left + right <= kMost);
        REQUIRE(left + right >= -std::int64_t{kMost} - 1);
      }
    }
    REQUIRE(std::fabs(m.a - std::ldexp(a, m.shift)) <= 0.5);
    REQUIRE(std::fabs(m.b - std::ldexp(b, m.shift)) <= 0.5);
    const double doubled_a = std::nearbyint(std::ldexp(a, m.shift + 1));
    const double doubled_b = std::nearbyint(std::ldexp(b, m.shift + 1));
    const double most = std::max(std::fabs(doubled_a), std::fabs(doubled_b));
    const double sum =
        doubled_a * static_cast<double>(x.lo) + doubled_b * static_cast<double>(x.hi);
    const double other =
        doubled_a * static_cast<double>(x.hi) + doubled_b * static_cast<double>(x.lo);
    const bool could_double =
        most <= 32767 && m.shift < 31 && sum >= -0x1p31 && other < 0x1p31 &&
        std::fabs(doubled_a) * static_cast<double>(reach) < 0x1p31 &&
        std::fabs(doubled_b) * static_cast<double>(reach) < 0x1p31;
    REQUIRE_FALSE(could_double);
  }
}

}  // namespace
}  // namespace qopt
