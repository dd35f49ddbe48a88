// SPDX-License-Identifier: MIT
#include "lib/calib/statistics.h"

#include <limits>
#include <numeric>

#include "tests/calib/support.h"
#include "tests/support/catch.h"

namespace qopt::calib {
namespace {

constexpr auto kBins = static_cast<std::size_t>(Statistics::kBins);

TEST_CASE("extremes and non-finite elements") {
  const std::vector<float> values = {1, -3, 2};
  CHECK(extremes_of(values).min == -3);
  CHECK(extremes_of(values).max == 2);
  CHECK(extremes_of(values).finite);
  CHECK(extremes_of({}).finite);
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
        -std::numeric_limits<float>::infinity()}) {
    CHECK_FALSE(extremes_of(std::vector<float>{1, bad, 2}).finite);
  }
  // The largest finite numbers are finite.
  constexpr float kMost = std::numeric_limits<float>::max();
  CHECK(extremes_of(std::vector<float>{kMost, -kMost, kMost}).finite);
}

TEST_CASE("bins are half open and start at zero on both sides") {
  const Statistics s =
      statistics_of(std::vector<float>{2048, 0, 0.5F, 1, 1.5F, -1, -0.25F, -0.0F});
  CHECK(s.bin_width == 1.0);
  CHECK(s.positive[0] == 3);  // 0, -0 and 0.5
  CHECK(s.positive[1] == 2);  // 1 and 1.5
  CHECK(s.positive[kBins - 1] == 1);
  CHECK(s.negative[0] == 1);
  CHECK(s.negative[1] == 1);
  CHECK(s.zeros == 2);
  CHECK(s.count == 8);
}

TEST_CASE("nothing is lost whatever the numbers") {
  for (const float scale : {1e-40F, 1e-10F, 1.0F, 1e30F}) {
    std::vector<float> values = normal(5000, 7);
    for (float& x : values) x *= scale;
    const Statistics s = statistics_of(values);
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < kBins; ++i) sum += s.positive[i] + s.negative[i];
    CHECK(sum == 5000);
  }
  const Statistics dead = statistics_of(std::vector<float>(10, 0.0F));
  CHECK(dead.bin_width == 0);
  CHECK(dead.positive[0] == 10);
  CHECK(dead.zeros == 10);
}

TEST_CASE("parts merge in any order to the same counts") {
  const std::vector<float> a = normal(1000, 1), b = normal(3000, 2);
  const std::vector<std::vector<float>> both = {a, b};
  const Statistics whole = statistics_of(both);
  Statistics first = whole, second = whole;
  finish_extremes(first);
  finish_extremes(second);
  CHECK(first.count == 0);
  Statistics other = first;
  count_values(first, a);
  count_values(second, b);
  merge_counts(other, second);
  merge_counts(other, first);
  CHECK(other.positive == whole.positive);
  CHECK(other.negative == whole.negative);
  CHECK(other.count == whole.count);
}

TEST_CASE("values that share an encoding are seen as one") {
  const Statistics a = statistics_of(normal(1000, 1)),
                   b = statistics_of(normal(1000, 2, 10.0));
  const Statistics* parts[] = {&a, &b};
  const Statistics m = merged(parts);
  CHECK(m.max == b.max);
  CHECK(m.min == b.min);
  CHECK(m.bin_width == b.bin_width);
  CHECK(m.count == 2000);
  CHECK(std::accumulate(m.positive.begin(), m.positive.end(), std::uint64_t{0}) ==
        std::accumulate(a.positive.begin(), a.positive.end(), std::uint64_t{0}) +
            std::accumulate(b.positive.begin(), b.positive.end(), std::uint64_t{0}));
}

TEST_CASE("clipped fraction counts what lies outside") {
  std::vector<float> values(900, 0.0F);
  for (int i = 1; i <= 100; ++i) values.push_back(static_cast<float>(i));
  const Statistics s = statistics_of(values);
  CHECK(clipped_fraction(s, {0, 100}) == 0);
  CHECK(clipped_fraction(s, {0, 90.5F}) == 0.01);
  CHECK(clipped_fraction(s, {0, 0}) == 0.1);
}

}  // namespace
}  // namespace qopt::calib
