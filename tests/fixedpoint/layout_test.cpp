// SPDX-License-Identifier: MIT
#include "lib/fixedpoint/layout.h"

#include <numeric>

#include "lib/core/rng.h"
#include "tests/support/catch.h"

namespace qopt {
namespace {

Tensor counting(const Shape& shape) {
  std::vector<std::int32_t> values(static_cast<std::size_t>(num_elements(shape)));
  std::iota(values.begin(), values.end(), 0);
  return Tensor::from(values, shape);
}

Layout random_layout(Rng& rng, std::size_t rank) {
  Layout layout = identity_layout(rank);
  rng.shuffle(std::span<std::int64_t>(layout));
  return layout;
}

TEST_CASE("physical shapes and axes follow the layout") {
  CHECK(physical_shape({2, 3, 5, 7}, nhwc_layout()) == Shape{2, 5, 7, 3});
  CHECK(physical_axis(nhwc_layout(), 1) == 3);
  CHECK(physical_axes(nhwc_layout(), {1, 2}) == Ints{1, 3});
  CHECK(physical_order(nhwc_layout(), {10, 11, 12, 13}) == Ints{10, 12, 13, 11});
  CHECK(is_identity({0, 1, 2}));
  CHECK_FALSE(is_identity({0, 2, 1}));
}

TEST_CASE("axes of extent one move for free") {
  CHECK(same_bytes({2, 3, 1, 1}, identity_layout(4), nhwc_layout()));
  CHECK(same_bytes({2, 1, 4, 5}, identity_layout(4), nhwc_layout()));
  CHECK_FALSE(same_bytes({2, 3, 1, 2}, identity_layout(4), nhwc_layout()));
}

TEST_CASE("permutation_between moves the bytes that permuted moves") {
  Rng rng(3);
  for (int i = 0; i < 50; ++i) {
    const Tensor x = counting({2, 3, 4, 5});
    const Layout from = random_layout(rng, 4), to = random_layout(rng, 4);
    CHECK(permuted(permuted(x, from), permutation_between(from, to)) == permuted(x, to));
  }
}

TEST_CASE("a permute of the model changes the layout and no byte") {
  Rng rng(4);
  for (int i = 0; i < 50; ++i) {
    const Tensor x = counting({2, 3, 4, 5});
    const Layout layout = random_layout(rng, 4);
    const Ints perm = random_layout(rng, 4);
    const Layout after = permuted_layout(layout, perm);
    CHECK(permuted(permuted(x, perm), after) == permuted(x, layout));
    CHECK(unpermuted_layout(after, perm) == layout);
  }
}

TEST_CASE("leading axes come and go") {
  CHECK(with_leading_axes({1, 0}, 4) == Layout{0, 1, 3, 2});
  CHECK(without_leading_axes({0, 2, 3, 1}, 3) == Layout{1, 2, 0});
  CHECK(without_axes({0, 2, 3, 1}, {2, 3}) == Layout{0, 1});
  CHECK(without_axes({0, 2, 3, 1}, {1}) == Layout{0, 1, 2});
  CHECK(with_axis_last({0, 2, 3, 1}, 3) == Layout{0, 2, 1, 3});
  CHECK(with_tail_last({0, 2, 3, 1}, 3) == Layout{0, 1, 2, 3});
}

TEST_CASE("reshapes that cross no moved axis are free") {
  struct Case {
    Shape from, to;
    Layout layout, after;
    bool is_free;
  };
  const Case cases[] = {
      // Squeeze of a pooled map.
      {{2, 8, 1, 1}, {2, 8}, nhwc_layout(), {0, 1}, true},
      {{2, 8}, {2, 8, 1, 1}, {0, 1}, {0, 1, 2, 3}, true},
      // Image to tokens: N,C,H,W -> N,C,H*W keeps N,H*W,C in memory.
      {{2, 8, 3, 5}, {2, 8, 15}, nhwc_layout(), {0, 2, 1}, true},
      // Channel split of a shuffle.
      {{2, 8, 3, 5}, {2, 2, 4, 3, 5}, nhwc_layout(), {0, 3, 4, 1, 2}, true},
      // Flatten crosses: C must come before H and W.
      {{2, 8, 3, 5}, {2, 120}, nhwc_layout(), {0, 1}, false},
      {{1, 1}, {}, {0, 1}, {}, true},
      {{}, {1, 1}, {}, {0, 1}, true},
      {{0, 3}, {3, 0}, {0, 1}, {0, 1}, true},
  };
  for (const Case& c : cases) {
    INFO(shape_text(c.from) << " -> " << shape_text(c.to));
    if (num_elements(c.from) != num_elements(c.to)) continue;
    const ReshapePlan plan = plan_reshape(c.from, c.to, c.layout);
    CHECK(same_bytes(c.from, plan.before, c.layout) == c.is_free);
    if (c.is_free) CHECK(plan.after == c.after);
  }
  // Heads back together: [B,L,H,D] that lies as B,H,L,D moves to B,L,(H,D), inner axis
  // kept.
  const ReshapePlan merge = plan_reshape({2, 4, 3, 5}, {2, 4, 15}, {0, 2, 1, 3});
  CHECK(merge.before == Layout{0, 1, 2, 3});
  CHECK(merge.after == Layout{0, 1, 2});
}

TEST_CASE("random reshapes: the plan's bytes are the model's") {
  Rng rng(5);
  const std::vector<Shape> shapes{{24, 5},       {2, 3, 4, 5},  {6, 20},
                                  {1, 2, 12, 5}, {2, 12, 1, 5}, {120},
                                  {8, 3, 5},     {4, 30},       {2, 2, 2, 3, 5}};
  int free_ones = 0;
  for (int i = 0; i < 2000; ++i) {
    const Shape& from = shapes[rng.below(shapes.size())];
    const Shape& to = shapes[rng.below(shapes.size())];
    const Layout layout = random_layout(rng, from.size());
    const ReshapePlan plan = plan_reshape(from, to, layout);
    const Tensor x = counting(from);
    const Tensor moved = permuted(x, plan.before);
    const Tensor after = permuted(x.reshaped(to), plan.after);
    REQUIRE(std::ranges::equal(moved.bytes(), after.bytes()));
    if (same_bytes(from, plan.before, layout)) {
      ++free_ones;
      REQUIRE(plan.before == layout);
    }
  }
  CHECK(free_ones > 200);
}

TEST_CASE("a flatten of an N,H,W,C map is a column order") {
  ColumnOrder order;
  Layout after;
  REQUIRE(plan_column_order({2, 8, 3, 5}, {2, 120}, nhwc_layout(), order, after));
  CHECK(order == ColumnOrder{{8, 3, 5}, {1, 2, 0}});
  CHECK(after == Layout{0, 1});
  // Only the channel is wide: nothing moves, nothing to reorder.
  CHECK_FALSE(plan_column_order({2, 8, 1, 1}, {2, 8}, nhwc_layout(), order, after));
  // The batch is inside: no column order can help.
  CHECK_FALSE(plan_column_order({2, 8, 3, 5}, {2, 120}, {2, 3, 0, 1}, order, after));
  // The last axis is not the merged one.
  CHECK_FALSE(plan_column_order({2, 8, 3, 5}, {16, 15}, {0, 2, 3, 1}, order, after));
}

}  // namespace
}  // namespace qopt
