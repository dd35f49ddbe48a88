// SPDX-License-Identifier: MIT
#include <limits>

#include "lib/calib/estimators.h"
#include "tests/support/catch.h"
#include "tests/support/level_sets.h"

namespace qopt::calib {
namespace {

TEST_CASE("symmetric encodings centre on zero and leave -2^(b-1) out of the scale") {
  const Affine n = encoding_of({-1, 2.54F}, LevelSet::N, 8, true);
  CHECK(n.zero_point[0] == 0);
  CHECK(n.scale[0] == static_cast<float>(static_cast<double>(2.54F) / 127));
  const Affine s = encoding_of({-2.54F, 1}, LevelSet::S, 8, true);
  CHECK(s.scale == n.scale);
  CHECK(s.zero_point[0] == 0);
  const Affine u = encoding_of({0, 2.55F}, LevelSet::U, 8, true);
  CHECK(u.scale[0] == static_cast<float>(static_cast<double>(2.55F) / 255));
  CHECK(u.zero_point[0] == 0);
  CHECK(encoding_of({-1, 1}, LevelSet::U, 8, true).zero_point[0] == 128);
  // N is symmetric even when asked not to be.
  CHECK(encoding_of({0, 1}, LevelSet::N, 8, false).zero_point[0] == 0);
}

TEST_CASE(
    "affine encodings give real zero a code and cover the range within half a step") {
  for (const LevelSet levels : {LevelSet::U, LevelSet::S}) {
    for (const int bits : {2, 3, 4, 8, 16}) {
      for (const Range range : {Range{-1, 3}, Range{-3, 0.1F}, Range{2, 5}, Range{-5, -2},
                                Range{-1e-3F, 1e3F}, Range{0, 7}}) {
        const Affine e = encoding_of(range, levels, bits, false);
        CHECK_FALSE(encoding_fault(e, {4}).has_value());
        CHECK(decode(encode(0.0F, e), e) == 0.0F);
        const float half_step = 0.501F * e.scale[0];
        CHECK(std::abs(decode(encode(range.lo, e), e) - range.lo) <= half_step);
        CHECK(std::abs(decode(encode(range.hi, e), e) - range.hi) <= half_step);
      }
    }
  }
}

TEST_CASE("encodings of few levels") {
  CHECK(encoding_of({-1, 3}, LevelSet::O, 1, false) ==
        Affine{LevelSet::O, 1, {3.0F}, {0}, std::nullopt});
  CHECK(encoding_of({-1, 3}, LevelSet::O, 2, true).scale[0] == 1.0F);
  CHECK(encoding_of({-1, 3}, LevelSet::T, 2, false).scale[0] == 3.0F);
  CHECK(encoding_of({0, 3}, LevelSet::U, 1, false).scale[0] == 3.0F);
  CHECK(encoding_of({0, 3}, LevelSet::U, 1, true).scale[0] == 3.0F);
  // One bit with a sign: one code is zero, the other lies below it.
  const Affine u = encoding_of({-2, 1}, LevelSet::U, 1, true);
  CHECK((u.scale[0] == 2.0F && u.zero_point[0] == 1));
  const Affine s = encoding_of({-2, 1}, LevelSet::S, 1, true);
  CHECK((s.scale[0] == 2.0F && s.zero_point[0] == 0));
  for (const auto [levels, bits] : testing::all_level_sets()) {
    for (const bool symmetric : {true, false}) {
      for (const Range range : {Range{-1, 3}, Range{-3, 0}, Range{0, 2}, Range{0, 0}}) {
        CHECK_FALSE(
            encoding_fault(encoding_of(range, levels, bits, symmetric), {1}).has_value());
      }
    }
  }
}

TEST_CASE("dead and extreme ranges still give valid encodings") {
  constexpr float kMost = std::numeric_limits<float>::max();
  constexpr float kLeast = std::numeric_limits<float>::denorm_min();
  CHECK(encoding_of({0, 0}, LevelSet::O, 2, true).scale[0] ==
        std::numeric_limits<float>::min());  // it has no zero
  for (const LevelSet levels : {LevelSet::U, LevelSet::S, LevelSet::N}) {
    for (const bool symmetric : {true, false}) {
      const Affine dead = encoding_of({0, 0}, levels, 8, symmetric);
      CHECK(dead.scale[0] == 1.0F);
      CHECK_FALSE(encoding_fault(dead, {1}).has_value());
      for (const Range range : {Range{-kMost, kMost}, Range{0, kLeast}, Range{-kLeast, 0},
                                Range{-kLeast, kMost}}) {
        CHECK_FALSE(
            encoding_fault(encoding_of(range, levels, 8, symmetric), {1}).has_value());
      }
    }
  }
}

}  // namespace
}  // namespace qopt::calib
