// SPDX-License-Identifier: MIT
// Every primitive of qrt/arith.h (numerics N1 to N14) against its equation in 128-bit
// integers.
#include "runtime/include/qrt/arith.h"

#include <cmath>
#include <limits>
#include <vector>

#include "lib/core/rng.h"
#include "tests/support/catch.h"

namespace {

using Wide = __int128;
using qopt::Rng;

constexpr std::int32_t kMin = INT32_MIN, kMax = INT32_MAX;

Wide floor_div(Wide a, Wide b) {  // b > 0
  const Wide q = a / b;
  return q * b > a ? q - 1 : q;
}
Wide power(int n) { return Wide{1} << n; }
std::int32_t sat(Wide x) {
  return x > kMax ? kMax : (x < kMin ? kMin : static_cast<std::int32_t>(x));
}

// The equations of docs/numerics.md, literally.
std::int32_t oracle_mul_high(std::int32_t a, std::int32_t b) {
  return sat(floor_div(2 * Wide{a} * b + power(31), power(32)));
}
Wide oracle_shift_right(Wide x, int n) {
  return n == 0 ? x : floor_div(x + power(n - 1), power(n));
}
std::int32_t oracle_requant(std::int32_t acc, std::int32_t m, int s) {
  const std::int32_t left = sat(Wide{acc} * power(s > 0 ? s : 0));
  return static_cast<std::int32_t>(
      oracle_shift_right(oracle_mul_high(left, m), s > 0 ? 0 : -s));
}
std::int32_t oracle_requant64(std::int64_t acc, std::int32_t m, int s) {
  return sat(floor_div(Wide{acc} * m + power(30 - s), power(31 - s)));
}

std::vector<std::int32_t> edges32() {
  std::vector<std::int32_t> e{kMin, kMin + 1, -1, 0, 1, kMax - 1, kMax};
  for (int bit = 1; bit < 31; ++bit) {
    for (int d = -1; d <= 1; ++d) {
      e.push_back((1 << bit) + d);
      e.push_back(-(1 << bit) + d);
    }
  }
  return e;
}

std::int32_t random32(Rng& rng) {
  // All magnitudes alike: ties and saturation are at the ends of the scale.
  return static_cast<std::int32_t>(rng.next()) >> rng.below(32);
}
std::int64_t random62(Rng& rng) {
  return static_cast<std::int64_t>(rng.next()) >> (2 + rng.below(60));
}
std::int32_t random_multiplier(Rng& rng) {
  return (1 << 30) + static_cast<std::int32_t>(rng.below(1u << 30));
}

}  // namespace

TEST_CASE("N1 saturates to 32 bits") {
  CHECK(qrt_saturate32(std::int64_t{kMax} + 1) == kMax);
  CHECK(qrt_saturate32(std::int64_t{kMin} - 1) == kMin);
  CHECK(qrt_saturate32(kMax) == kMax);
  CHECK(qrt_saturate32(kMin) == kMin);
  CHECK(qrt_saturate32(-1) == -1);
  CHECK(qrt_saturate32(INT64_MAX) == kMax);
  CHECK(qrt_saturate32(INT64_MIN) == kMin);
  CHECK(qrt_clamp(5, -3, 3) == 3);
  CHECK(qrt_clamp(-5, -3, 3) == -3);
  CHECK(qrt_clamp(2, -3, 3) == 2);
}

TEST_CASE("N2 high multiply rounds half up and saturates once") {
  CHECK(qrt_mul_high(kMin, kMin) == kMax);
  CHECK(qrt_mul_high(kMin, kMax) == kMin + 1);
  CHECK(qrt_mul_high(1, 1 << 30) == 1);    // 0.5 goes up
  CHECK(qrt_mul_high(-1, 1 << 30) == 0);   // -0.5 goes up
  CHECK(qrt_mul_high(-3, 1 << 30) == -1);  // -1.5 goes up
  CHECK(qrt_mul_high(3, 1 << 30) == 2);
  CHECK(qrt_mul_high(0, kMax) == 0);
  for (const std::int32_t a : edges32()) {
    for (const std::int32_t b : edges32()) {
      if (qrt_mul_high(a, b) != oracle_mul_high(a, b)) FAIL(a << " * " << b);
    }
  }
}

TEST_CASE("N3 rounding shift right sends ties toward plus infinity") {
  CHECK(qrt_shift_right(-3, 1) == -1);
  CHECK(qrt_shift_right(3, 1) == 2);
  CHECK(qrt_shift_right(-1, 1) == 0);
  CHECK(qrt_shift_right(kMax, 1) == 1 << 30);  // the sum does not wrap
  CHECK(qrt_shift_right(kMax, 31) == 1);
  CHECK(qrt_shift_right(kMin, 31) == -1);
  CHECK(qrt_shift_right(-(1 << 30), 31) == 0);
  CHECK(qrt_shift_right(kMin, 0) == kMin);
  for (const std::int32_t x : edges32()) {
    for (int n = 0; n <= 31; ++n) {
      if (qrt_shift_right(x, n) != oracle_shift_right(x, n)) FAIL(x << " >> " << n);
    }
  }
  Rng rng(1);
  const std::int64_t limit = (std::int64_t{1} << 62) - 1;
  for (int n = 0; n <= 62; ++n) {
    for (const std::int64_t x : {limit, -limit, std::int64_t{0}, std::int64_t{-1}}) {
      CHECK(qrt_shift_right64(x, n) ==
            static_cast<std::int64_t>(oracle_shift_right(x, n)));
    }
    for (int i = 0; i < 1000; ++i) {
      const std::int64_t x = random62(rng);
      if (qrt_shift_right64(x, n) != oracle_shift_right(x, n)) FAIL(x << " >> " << n);
    }
  }
}

TEST_CASE("N4 shift left saturates") {
  CHECK(qrt_shift_left(1, 30) == 1 << 30);
  CHECK(qrt_shift_left(2, 30) == kMax);
  CHECK(qrt_shift_left(-2, 30) == kMin);
  CHECK(qrt_shift_left(-3, 30) == kMin);
  for (const std::int32_t x : edges32()) {
    for (int n = 0; n <= 30; ++n) {
      if (qrt_shift_left(x, n) != sat(Wide{x} * power(n))) FAIL(x << " << " << n);
    }
  }
}

TEST_CASE("N5 the requantiser rounds in two steps") {
  // One rounding of 3 * 2^30 * 2^-33 = 0.375 gives 0; high multiply gives 2 (1.5 up), and
  // 2 >> 2 is a tie that goes up to 1.
  CHECK(qrt_requant(3, 1 << 30, -2) == 1);
  CHECK(qrt_requant64(3, 1 << 30, -2) == 0);
  CHECK(qrt_requant(kMax, kMax, 30) == kMax - 1);
  CHECK(qrt_requant(kMin, kMax, 30) == kMin + 1);
  CHECK(qrt_requant(kMin, 0, 30) == 0);
  CHECK(qrt_requant(-1, 1 << 30, 0) == 0);
  CHECK(qrt_requant(1, 1 << 30, 0) == 1);
  std::vector<std::int32_t> multipliers{0,        1 << 30, (1 << 30) + 1,
                                        kMax - 1, kMax,    0x60000000};
  for (const std::int32_t acc : edges32()) {
    for (const std::int32_t m : multipliers) {
      for (int s = -31; s <= 30; ++s) {
        if (qrt_requant(acc, m, s) != oracle_requant(acc, m, s)) {
          FAIL(acc << " * " << m << " s " << s);
        }
      }
    }
  }
  Rng rng(2);
  for (int i = 0; i < 200000; ++i) {
    const std::int32_t acc = random32(rng), m = random_multiplier(rng);
    const int s = static_cast<int>(rng.below(62)) - 31;
    if (qrt_requant(acc, m, s) != oracle_requant(acc, m, s))
      FAIL(acc << " " << m << " " << s);
  }
}

TEST_CASE("N6 the wide requantiser rounds once") {
  const std::int64_t limit = (std::int64_t{1} << 62) - 1;
  std::vector<std::int64_t> accs{0, 1, -1, 2, -2, 3, -3, limit, -limit};
  for (int bit = 2; bit < 62; ++bit) {
    for (int d = -1; d <= 1; ++d) {
      accs.push_back((std::int64_t{1} << bit) + d);
      accs.push_back(-(std::int64_t{1} << bit) + d);
    }
  }
  for (const std::int32_t m : {0, 1 << 30, (1 << 30) + 1, 0x60000000, kMax}) {
    for (int s = -31; s <= 30; ++s) {
      for (const std::int64_t acc : accs) {
        if (qrt_requant64(acc, m, s) != oracle_requant64(acc, m, s)) {
          FAIL(acc << " * " << m << " s " << s);
        }
      }
    }
  }
  Rng rng(3);
  for (int i = 0; i < 500000; ++i) {
    const std::int64_t acc = random62(rng);
    const std::int32_t m = random_multiplier(rng);
    const int s = static_cast<int>(rng.below(62)) - 31;
    if (qrt_requant64(acc, m, s) != oracle_requant64(acc, m, s)) {
      FAIL(acc << " " << m << " " << s);
    }
  }
}

TEST_CASE("N6 ties of every shift go up") {
  // acc * 2^30 / 2^(31 - s) is a tie where acc = odd * 2^-s: m = 2^30 leaves a factor
  // 1/2.
  for (int s = -31; s <= 0; ++s) {
    const std::int64_t unit = std::int64_t{1} << -s;
    CHECK(qrt_requant64(unit, 1 << 30, s) == 1);
    CHECK(qrt_requant64(-unit, 1 << 30, s) == 0);
    CHECK(qrt_requant64(3 * unit, 1 << 30, s) == 2);
    CHECK(qrt_requant64(-3 * unit, 1 << 30, s) == -1);
    CHECK(qrt_requant64(unit - 1, 1 << 30, s) == 0);
    if (s < 0) CHECK(qrt_requant64(-unit - 1, 1 << 30, s) == -1);
  }
}

TEST_CASE("N7 finish adds, saturates, clamps") {
  CHECK(qrt_finish(kMax, 127, -128, 127) == 127);
  CHECK(qrt_finish(kMin, -128, -128, 127) == -128);
  CHECK(qrt_finish(10, -128, -128, 127) == -118);
  CHECK(qrt_finish(-1, 5, 5, 127) == 5);
  CHECK(qrt_finish(kMax, 32767, -32768, 32767) == 32767);
}

TEST_CASE("N8 division rounds half away from zero") {
  CHECK(qrt_div_round(1, 2) == 1);
  CHECK(qrt_div_round(-1, 2) == -1);
  CHECK(qrt_div_round(1, -2) == -1);
  CHECK(qrt_div_round(3, 2) == 2);
  CHECK(qrt_div_round(-3, 2) == -2);
  CHECK(qrt_div_round(1, 3) == 0);
  CHECK(qrt_div_round(2, 3) == 1);
  CHECK(qrt_div_round(0, -7) == 0);
  const std::int64_t limit = (std::int64_t{1} << 62) - 1;
  CHECK(qrt_div_round(limit, 1) == limit);
  CHECK(qrt_div_round(-limit, 1) == -limit);
  CHECK(qrt_div_round(1, INT64_MIN) == 0);
  CHECK(qrt_div_round(limit, INT64_MAX) == 0);      // just below one half
  CHECK(qrt_div_round(limit, INT64_MAX - 1) == 1);  // one half
  Rng rng(4);
  for (int i = 0; i < 200000; ++i) {
    const std::int64_t num = random62(rng);
    std::int64_t den = static_cast<std::int64_t>(rng.next()) >> rng.below(63);
    if (den == 0) den = -1;
    const Wide n = num < 0 ? -Wide{num} : num, d = den < 0 ? -Wide{den} : den;
    const Wide magnitude = (2 * n + d) / (2 * d);
    const Wide expected = (num < 0) != (den < 0) ? -magnitude : magnitude;
    if (qrt_div_round(num, den) != expected) FAIL(num << " / " << den);
  }
}

TEST_CASE("N9 quotient of activations") {
  CHECK(qrt_div_q(1, 0, 20) == 1 << 30);
  CHECK(qrt_div_q(-1, 0, 20) == -(1 << 30));
  CHECK(qrt_div_q(0, 0, 20) == 0);
  CHECK(qrt_div_q(0, -5, 14) == 0);
  CHECK(qrt_div_q(255, 1, QRT_DIV_FRACTION8) == 255 << 20);
  CHECK(qrt_div_q(-255, 1, QRT_DIV_FRACTION8) == -(255 << 20));
  CHECK(qrt_div_q(1, 3, QRT_DIV_FRACTION8) == 349525);
  CHECK(qrt_div_q(65535, 1, QRT_DIV_FRACTION16) == 65535 << 14);
  CHECK(qrt_div_q(kMax, 1, 20) == 1 << 30);  // saturates
  CHECK(qrt_div_q(kMin, 1, 20) == -(1 << 30));
  for (int num = -255; num <= 255; ++num) {
    for (int den = -255; den <= 255; ++den) {
      if (den == 0) continue;
      const std::int64_t n = std::int64_t{num < 0 ? -num : num} << 20,
                         d = den < 0 ? -den : den;
      const std::int64_t magnitude = (2 * n + d) / (2 * d);
      const std::int64_t expected = (num < 0) != (den < 0) ? -magnitude : magnitude;
      if (qrt_div_q(num, den, 20) != expected) FAIL(num << " / " << den);
    }
  }
}

TEST_CASE("N10 square root is the floor for every x") {
  const auto check = [](std::uint64_t x) {
    const std::uint64_t r = qrt_isqrt(x);
    const auto square = static_cast<unsigned __int128>(r) * r;
    const auto next = static_cast<unsigned __int128>(r + 1) * (r + 1);
    if (!(square <= x && next > x)) FAIL(x);
  };
  for (std::uint64_t x = 0; x < 200000; ++x) check(x);
  for (std::uint64_t r = 1; r < (std::uint64_t{1} << 32); r = r * 5 / 3 + 1) {
    check(r * r);
    check(r * r - 1);
    check(r * r + 1);
  }
  for (int bit = 0; bit < 64; ++bit) {
    check(std::uint64_t{1} << bit);
    check((std::uint64_t{1} << bit) - 1);
  }
  check(UINT64_MAX);
  CHECK(qrt_isqrt(UINT64_MAX) == UINT32_MAX);
  Rng rng(5);
  for (int i = 0; i < 100000; ++i) check(rng.next() >> rng.below(64));
}

TEST_CASE("N11 reciprocal root stays within its error bound") {
  const std::uint64_t limit = (std::uint64_t{1} << 62) - 1;
  for (const std::uint64_t v :
       {std::uint64_t{1}, std::uint64_t{2}, std::uint64_t{3}, limit,
        std::uint64_t{1} << 60, (std::uint64_t{1} << 60) - 1}) {
    const qrt_root r = qrt_root_of(v);
    CHECK(r.root >= 1u << 30);
    CHECK(r.root <= static_cast<std::uint32_t>(kMax));
    CHECK(r.f >= 0);
    CHECK((v << (2 * r.f)) <= limit);
    CHECK((r.f == 31 || (static_cast<unsigned __int128>(v) << (2 * r.f + 2)) > limit));
  }
  CHECK(qrt_over_root(1, qrt_root_of(1)) == 1 << 15);
  CHECK(qrt_over_root(-3, qrt_root_of(4)) == -(3 << 14));
  CHECK(qrt_over_root(0, qrt_root_of(7)) == 0);
  Rng rng(6);
  for (int i = 0; i < 200000; ++i) {
    const std::uint64_t v = 1 + (rng.next() >> (2 + rng.below(60)));
    if (v > limit) continue;
    const long double root = sqrtl(static_cast<long double>(v));
    // |n| <= 2^15 * sqrt(v), all magnitudes.
    const long double scale = ldexpl(1.0L, static_cast<int>(rng.below(16)));
    auto n =
        static_cast<std::int64_t>(root * scale * static_cast<long double>(rng.uniform()));
    if (rng.below(2) != 0) n = -n;
    const long double exact = static_cast<long double>(n) / root;
    const long double got = static_cast<long double>(qrt_over_root(n, qrt_root_of(v)));
    const long double bound = 0.5L + fabsl(exact) * 0x1.0p-15L + 1e-6L;
    if (fabsl(got - exact * 32768.0L) > bound) FAIL(n << " / sqrt " << v);
  }
}

TEST_CASE("N12 softmax quotient") {
  CHECK(qrt_softmax_out(1 << 23, 1 << 23, 8) == 256);
  CHECK(qrt_softmax_out(1 << 23, 1 << 24, 8) == 128);
  CHECK(qrt_softmax_out(0, 1 << 23, 16) == 0);
  CHECK(qrt_softmax_out(1, 2, 1) == 1);
  CHECK(qrt_softmax_out(1, 512, 8) == 1);                            // 0.5 goes up
  CHECK(qrt_softmax_out(1, 513, 8) == 0);                            // just below
  CHECK(qrt_softmax_out(1 << 23, std::uint64_t{1} << 40, 16) == 1);  // 0.5
  Rng rng(7);
  for (int i = 0; i < 100000; ++i) {
    const auto e = static_cast<std::uint32_t>(rng.below((1u << 23) + 1));
    const std::uint64_t sum = e + 1 + rng.below(std::uint64_t{1} << 35);
    const int bits = 1 + static_cast<int>(rng.below(16));
    const Wide expected = (Wide{e} * power(bits) + sum / 2) / sum;
    if (qrt_softmax_out(e, sum, bits) != expected) FAIL(e << " " << sum);
  }
}

TEST_CASE("N13 layer norm output") {
  CHECK(qrt_layer_norm_out(1 << 15, 1 << 5, 0, 20) == 1);
  CHECK(qrt_layer_norm_out(0, 0, -(1 << 19), 20) == 0);  // -0.5 goes up
  CHECK(qrt_layer_norm_out(0, 0, -(1 << 19) - 1, 20) == -1);
  CHECK(qrt_layer_norm_out(1 << 30, kMax, kMax, 0) == kMax);  // saturates
  CHECK(qrt_layer_norm_out(1 << 30, kMin, kMin, 0) == kMin);
  Rng rng(8);
  for (int i = 0; i < 100000; ++i) {
    const std::int32_t z = random32(rng) / 2, gamma = random32(rng), beta = random32(rng);
    const int shift = static_cast<int>(rng.below(63));
    const std::int32_t expected = sat(oracle_shift_right(Wide{z} * gamma + beta, shift));
    if (qrt_layer_norm_out(z, gamma, beta, shift) != expected) FAIL(z << " " << gamma);
  }
}

TEST_CASE("N14 bilinear weights are Q11") {
  CHECK(QRT_RESIZE_FRACTION == 11);
  CHECK(QRT_DIV_FRACTION8 == 20);
  CHECK(QRT_DIV_FRACTION16 == 14);
}
