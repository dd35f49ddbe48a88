// SPDX-License-Identifier: MIT
#include "lib/eval/metrics.h"

#include <cmath>
#include <limits>

#include "lib/core/error.h"
#include "lib/core/rng.h"
#include "lib/eval/binomial.h"
#include "tests/support/catch.h"

namespace qopt::eval {
namespace {

bool near(double a, double b, double relative) {
  return std::abs(a - b) <= relative * std::abs(b);
}

std::vector<std::uint8_t> ones(std::size_t count, std::size_t of) {
  std::vector<std::uint8_t> out(of, 0);
  std::fill(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(count),
            std::uint8_t{1});
  return out;
}

// Expected values: SciPy 1.10 (betainc, betaincinv, ndtri).
TEST_CASE("incomplete beta, its inverse and the normal quantile") {
  CHECK(near(incomplete_beta(2.5, 7, 0.3), 0.6412224629717211, 1e-12));
  CHECK(near(incomplete_beta(9000, 1001, 0.9), 0.5084210392532518, 1e-9));
  CHECK(incomplete_beta(2, 3, 0) == 0);
  CHECK(incomplete_beta(2, 3, 1) == 1);
  CHECK(near(incomplete_beta(1, 1, 0.25), 0.25, 1e-14));
  CHECK(near(incomplete_beta_inverse(95, 6, 0.025), 0.8871650888945373, 1e-12));
  CHECK(near(incomplete_beta_inverse(9001, 1000, 0.975), 0.9058127882662294, 1e-11));
  CHECK(near(normal_quantile(0.95), 1.6448536269514722, 1e-12));
  CHECK(near(normal_quantile(0.975), 1.959963984540054, 1e-12));
}

TEST_CASE("proportion has the exact Clopper-Pearson interval") {
  const Proportion p = proportion(ones(95, 100));
  CHECK(p.percent == 95.0);
  CHECK(p.count == 100);
  CHECK(near(p.interval.lo, 88.71650888945373, 1e-11));
  CHECK(near(p.interval.hi, 98.35681208178479, 1e-11));
  const Proportion big = proportion(ones(9000, 10000));
  CHECK(near(big.interval.lo, 89.39531000963677, 1e-10));
  CHECK(near(big.interval.hi, 90.58127882662294, 1e-10));
  const Proportion none = proportion(ones(0, 10));
  CHECK(none.interval.lo == 0);
  CHECK(near(none.interval.hi, 100 * (1 - std::pow(0.025, 0.1)), 1e-12));
  const Proportion all = proportion(ones(10, 10));
  CHECK(near(all.interval.lo, 100 * std::pow(0.025, 0.1), 1e-12));
  CHECK(all.interval.hi == 100);
  const Proportion empty = proportion({});
  CHECK(empty.interval.lo == 0);
  CHECK(empty.interval.hi == 100);
}

/// before/after outcomes with the given 2x2 table.
struct Paired {
  std::vector<std::uint8_t> before, after;
  Paired(int both, int lost, int gained, int neither) {
    const auto put = [&](int times, std::uint8_t b, std::uint8_t a) {
      for (int i = 0; i < times; ++i) before.push_back(b), after.push_back(a);
    };
    put(both, 1, 1), put(lost, 1, 0), put(gained, 0, 1), put(neither, 0, 0);
  }
};

// Newcombe 1998 (Statistics in Medicine 17:2635), table II, method 10, as percentages.
TEST_CASE("the paired interval is Newcombe's method 10") {
  struct Row {
    int both, lost, gained, neither;
    double lo, hi;
  };
  for (const Row& row :
       {Row{20, 12, 2, 16, 0.0562, 0.3292}, Row{0, 0, 0, 54, -0.0664, 0.0664},
        Row{54, 0, 0, 0, -0.0664, 0.0664}, Row{36, 12, 2, 0, 0.0569, 0.3404},
        Row{30, 0, 0, 24, -0.0358, 0.0358}}) {
    const Paired p(row.both, row.lost, row.gained, row.neither);
    const PairedDrop drop = paired_drop(p.before, p.after);
    CHECK(std::abs(drop.interval.lo - 100 * row.lo) < 0.0051);
    CHECK(std::abs(drop.interval.hi - 100 * row.hi) < 0.0051);
  }
}

TEST_CASE("the drop counts what was lost and gained") {
  const Paired p(80, 6, 2, 12);
  const PairedDrop drop = paired_drop(p.before, p.after, 0.95);
  CHECK(drop.drop == 4.0);
  CHECK(drop.lost == 6);
  CHECK(drop.gained == 2);
  CHECK(drop.count == 100);
  CHECK(drop.interval.lo < 4.0);
  CHECK(drop.interval.hi > 4.0);
  CHECK(drop.upper_bound < drop.interval.hi);
  CHECK(drop.upper_bound > 4.0);
  // At 97.5 % the one-sided bound is the upper end of the two-sided 95 % interval.
  CHECK(near(paired_drop(p.before, p.after, 0.975).upper_bound, drop.interval.hi, 1e-12));
  // Swapped: the same with the other sign.
  const PairedDrop back = paired_drop(p.after, p.before, 0.95);
  CHECK(back.drop == -4.0);
  CHECK(near(back.interval.lo, -drop.interval.hi, 1e-9));
}

TEST_CASE("McNemar's exact test") {
  // 2 * (1 + 8 + 28) / 256
  CHECK(near(mcnemar_exact(6, 2), 0.2890625, 1e-12));
  CHECK(near(mcnemar_exact(10, 0), 2.0 / 1024, 1e-12));
  CHECK(near(mcnemar_exact(0, 1), 1.0, 1e-12));
  CHECK(mcnemar_exact(5, 5) == 1.0);
  CHECK(mcnemar_exact(0, 0) == 1.0);
}

TEST_CASE("the interval of the drop covers the truth about as often as it says") {
  Rng rng(42);
  int covered = 0, bounded = 0;
  constexpr int kRounds = 2000;
  for (int round = 0; round < kRounds; ++round) {
    int table[4] = {};
    for (int i = 0; i < 300; ++i) {
      const double u = rng.uniform();  // both 0.85, lost 0.05, gained 0.03, neither 0.07
      ++table[u < 0.85 ? 0 : (u < 0.90 ? 1 : (u < 0.93 ? 2 : 3))];
    }
    const Paired p(table[0], table[1], table[2], table[3]);
    const PairedDrop drop = paired_drop(p.before, p.after, 0.95);
    covered += drop.interval.lo <= 2.0 && 2.0 <= drop.interval.hi;
    bounded += 2.0 <= drop.upper_bound;
  }
  CHECK(covered > 0.93 * kRounds);
  CHECK(bounded > 0.93 * kRounds);
  CHECK(bounded < 0.99 * kRounds);
}

TEST_CASE("rank: ties go to the lower index, NaN is last") {
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  CHECK(rank_of(std::vector<float>{1, 3, 2}, 1) == 0);
  CHECK(rank_of(std::vector<float>{1, 3, 2}, 0) == 2);
  CHECK(rank_of(std::vector<float>{2, 2, 2}, 0) == 0);
  CHECK(rank_of(std::vector<float>{2, 2, 2}, 2) == 2);
  CHECK(rank_of(std::vector<float>{kNaN, -1e30F, kNaN}, 1) == 0);
  CHECK(rank_of(std::vector<float>{kNaN, 5, kNaN}, 2) == 2);
  CHECK(rank_of(std::vector<float>{kNaN, 5, kNaN}, 0) == 1);
  CHECK(rank_of(std::vector<float>{-std::numeric_limits<float>::infinity(), kNaN}, 0) ==
        0);
  CHECK_THROWS_AS(rank_of(std::vector<float>{1, 2}, 2), Error);
  CHECK_THROWS_AS(rank_of(std::vector<float>{1, 2}, -1), Error);
}

TEST_CASE("distortion is the mean square error and its ratio to the signal") {
  Distortion d;
  CHECK(d.mse() == 0);
  CHECK_FALSE(d.sqnr_db().has_value());
  const std::vector<float> a = {3, 4}, b = {3, 4.5F};
  d.add(a, b);
  CHECK(d.mse() == 0.125);
  CHECK(near(*d.sqnr_db(), 20.0, 1e-12));  // 25 / 0.25
  Distortion exact;
  exact.add(a, a);
  CHECK(*exact.sqnr_db() == std::numeric_limits<double>::infinity());
  exact.merge(d);
  CHECK(exact.mse() == 0.0625);
}

}  // namespace
}  // namespace qopt::eval
