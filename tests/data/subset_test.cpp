// SPDX-License-Identifier: MIT
#include "lib/data/subset.h"

#include <algorithm>

#include "tests/support/catch.h"

namespace qopt::data {
namespace {

class Numbered : public Dataset {
 public:
  std::int64_t size() const override { return 50; }
  Sample sample(std::int64_t index) const override { return {{}, index}; }
  const std::vector<std::string>& class_names() const override { return names_; }
  std::string description() const override { return "numbers"; }

 private:
  std::vector<std::string> names_{"one"};
};

TEST_CASE("a subset has the samples it names, in that order") {
  const Numbered whole;
  const Subset subset(whole, {7, 3, 7}, "picked");
  CHECK(subset.size() == 3);
  CHECK(subset.sample(0).label == 7);
  CHECK(subset.sample(1).label == 3);
  CHECK(subset.description() == "numbers, 3 samples picked");
  CHECK(subset.class_names() == std::vector<std::string>{"one"});
  CHECK_THROWS_AS(subset.sample(3), InternalError);
  CHECK_THROWS_AS(Subset(whole, {50}, ""), InternalError);
}

TEST_CASE("what is held out and the rest are the whole, by the seed") {
  const Split split = hold_out(50, 10, 3);
  CHECK(split.held_out.size() == 10);
  CHECK(std::ranges::is_sorted(split.held_out));
  CHECK(std::ranges::is_sorted(split.rest));
  std::vector<std::int64_t> all = split.rest;
  all.insert(all.end(), split.held_out.begin(), split.held_out.end());
  std::ranges::sort(all);
  for (std::int64_t i = 0; i < 50; ++i) CHECK(all.at(static_cast<std::size_t>(i)) == i);
  CHECK(hold_out(50, 10, 3).held_out == split.held_out);
  CHECK(hold_out(50, 10, 4).held_out != split.held_out);
  CHECK(hold_out(2, 1, 1).rest.size() == 1);
  for (const std::int64_t count : {0, 50, 51, -1}) {
    CHECK_THROWS_AS(hold_out(50, count, 1), Error);
  }
}

}  // namespace
}  // namespace qopt::data
