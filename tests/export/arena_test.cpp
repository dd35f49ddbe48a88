// SPDX-License-Identifier: MIT
#include "lib/export/arena.h"

#include <algorithm>
#include <ranges>

#include "lib/export/c_layer.h"
#include "tests/export/toy_graphs.h"
#include "tests/support/catch.h"

using namespace qopt;
using namespace qopt::emit;

namespace {

bool overlap(std::uint64_t a, std::uint64_t a_size, std::uint64_t b,
             std::uint64_t b_size) {
  return a < b + b_size && b < a + a_size;
}

void require_disjoint(const std::vector<Lifetime>& buffers,
                      const std::vector<std::uint64_t>& at, std::uint64_t bytes) {
  for (std::size_t i = 0; i < buffers.size(); ++i) {
    REQUIRE(at[i] % 64 == 0);
    REQUIRE(at[i] + buffers[i].size_bytes <= bytes);
    for (std::size_t j = 0; j < i; ++j) {
      const bool together =
          buffers[i].first <= buffers[j].last && buffers[j].first <= buffers[i].last;
      if (!together) continue;
      REQUIRE_FALSE(overlap(at[i], buffers[i].size_bytes, at[j], buffers[j].size_bytes));
    }
  }
}

}  // namespace

TEST_CASE("buffers that live together never overlap", "[export]") {
  Rng rng(5);
  double excess = 0;
  for (int round = 0; round < 200; ++round) {
    std::vector<Lifetime> buffers(1 + rng.below(60));
    for (Lifetime& buffer : buffers) {
      buffer.first = rng.below(50);
      buffer.last = buffer.first + rng.below(12);
      buffer.size_bytes = 1 + rng.below(5000);
    }
    const ArenaLayout layout = plan_offsets(buffers);
    require_disjoint(buffers, layout.offsets, layout.bytes);
    REQUIRE(layout.lower_bound <= layout.bytes);
    excess += static_cast<double>(layout.bytes) / static_cast<double>(layout.lower_bound);
  }
  // Not a proof, but a plan far above the bound would be a fault: 1.04 when written.
  CHECK(excess / 200 < 1.10);
}

TEST_CASE("a chain needs its two largest neighbours", "[export]") {
  const std::vector<Lifetime> chain = {{0, 1, 640}, {1, 2, 128}, {2, 3, 64}, {3, 4, 512}};
  const ArenaLayout layout = plan_offsets(chain);
  CHECK(layout.lower_bound == 768);
  CHECK(layout.bytes == 768);
}

TEST_CASE("graph plans: reshapes alias, inputs and outputs stay with the caller",
          "[export]") {
  const Graph graph = qopt::testing::conv_net();
  const StoragePlan plan = plan_storage(graph);
  const auto place = [&](const char* name) {
    return plan.places[graph.find(name)->index];
  };
  CHECK(place("image").kind == Place::Kind::Input);
  CHECK(place("conv1.w").kind == Place::Kind::Constant);
  CHECK(place("mean").kind == Place::Kind::Arena);
  CHECK(place("flat").kind == Place::Kind::Arena);
  CHECK(place("flat").offset == place("mean").offset);
  CHECK(place("logits").kind == Place::Kind::Output);
  CHECK(place("linear").kind == Place::Kind::Output);
  CHECK(plan.copies.empty());
  // conv1, conv2, conv3 and mean; the sum is written over conv1, which dies there.
  CHECK(place("sum").offset == place("conv1").offset);
  CHECK(plan.slots.size() == 4);
  CHECK(plan.bytes == 2 * 512);
  CHECK(plan.lower_bound == 2 * 512);

  const ArenaPlan arena = plan_arena(graph);
  CHECK(arena.arena_bytes % 64 == 0);
  CHECK(arena.scratch_bytes > 0);
  CHECK(arena.arena_bytes <= plan.bytes + arena.scratch_bytes);
  CHECK(arena.lower_bound <= arena.arena_bytes);
}

TEST_CASE("live slots of a large graph never overlap", "[export]") {
  const Graph graph = qopt::testing::all_ops();
  const StoragePlan plan = plan_storage(graph);
  REQUIRE(plan.scratch == std::vector<std::uint64_t>(graph.nodes().size(), 0));
  std::vector<std::uint64_t> offsets;
  for (const ArenaPlan::Slot& slot : plan.slots) offsets.push_back(slot.offset);
  require_disjoint(plan.lifetimes, offsets, plan.bytes);
  // Lifetimes themselves: each use of a slot's value, aliases included, lies inside.
  for (std::size_t step = 0; step < graph.nodes().size(); ++step) {
    for (const ValueId id : graph.nodes()[step].inputs) {
      const Place& place = plan.places[id.index];
      if (place.kind != Place::Kind::Arena) continue;
      const bool alive = std::ranges::any_of(
          std::views::iota(std::size_t{0}, plan.slots.size()), [&](std::size_t i) {
            return plan.slots[i].offset == place.offset &&
                   plan.lifetimes[i].first <= step && step <= plan.lifetimes[i].last;
          });
      INFO(graph.value(id).name);
      CHECK(alive);
    }
  }
  // An input, a constant and a repeated output are copied.
  CHECK(plan.copies.size() == 3);
}

TEST_CASE("unit axes move without a copy", "[export]") {
  Graph graph(Level::Integer);
  const ValueId x = graph.add_input("x", DType::I8, {1, 4, 1, 3});
  graph.add(op::Permute{{2, 1, 0, 3}}, {x}, "unit");
  graph.add(op::Permute{{0, 3, 2, 1}}, {x}, "real");
  graph.add(op::Expand{{1, 4, 1, 3}}, {x}, "same");
  graph.add(op::Expand{{2, 4, 1, 3}}, {x}, "bigger");
  graph.add(op::Slice{1, 0, 4, 1}, {x}, "all");
  graph.add(op::Slice{1, 0, 3, 1}, {x}, "some");
  std::vector<bool> alias;
  for (const Node& node : graph.nodes()) alias.push_back(is_alias(graph, node));
  CHECK(alias == std::vector<bool>{false, true, false, true, false, true, false});
}

TEST_CASE("scratch lives beside the values of its step", "[export]") {
  const Graph graph = qopt::testing::all_ops();
  std::vector<std::uint64_t> scratch;
  for (std::size_t i = 0; i < graph.nodes().size(); ++i) scratch.push_back(i % 5 * 100);
  const StoragePlan plan = plan_storage(graph, scratch);
  std::vector<Lifetime> buffers = plan.lifetimes;
  std::vector<std::uint64_t> offsets;
  for (const ArenaPlan::Slot& slot : plan.slots) offsets.push_back(slot.offset);
  for (std::size_t i = 0; i < scratch.size(); ++i) {
    if (scratch[i] == 0) continue;
    buffers.push_back({i, i, scratch[i]});
    offsets.push_back(plan.scratch[i]);
  }
  require_disjoint(buffers, offsets, plan.bytes);
}

namespace {

/// x, then a sum of `left` and `right` (indices of values), then what reads `also` later.
struct Sum {
  Graph graph{Level::Integer};
  ValueId x, a, b, sum;

  explicit Sum(bool reads_a_later, bool is_output, bool has_wide_result) {
    x = graph.add_input("x", DType::I8, {1, 4, 4, 3});
    op::Rescale rescale;
    a = graph.add(rescale, {x}, "a");
    b = graph.add(rescale, {x}, "b");
    op::QAdd add;
    if (has_wide_result) add.lo = -32768, add.hi = 32767;
    sum = graph.add(add, {a, b}, "sum");
    if (reads_a_later) graph.add_output("late", graph.add(rescale, {a}, "late"));
    if (is_output) graph.add_output("a", a);
    graph.add_output("y", graph.add(rescale, {sum}, "y"));
  }
  /// Which operand the sum lies in: 'a', 'b', or '-'.
  char place() const {
    const StoragePlan plan = plan_storage(graph);
    const auto same = [&](ValueId other) {
      const Place &p = plan.places[sum.index], &q = plan.places[other.index];
      return p.kind == q.kind && p.index == q.index && p.offset == q.offset;
    };
    return same(a) ? 'a' : same(b) ? 'b' : '-';
  }
};

}  // namespace

TEST_CASE("a result is written over a dying operand and no other", "[export]") {
  CHECK(Sum(false, false, false).place() == 'a');
  CHECK(Sum(true, false, false).place() == 'b');
  CHECK(Sum(false, true, false).place() == 'b');
  const Graph graph = Sum(false, false, true).graph;
  const Node& sum = graph.nodes()[3];
  CHECK(may_overwrite(graph, sum, 0) == (dtype_size(graph.value(sum.output).dtype) == 1));
  // A graph's input is the caller's.
  const StoragePlan plan = plan_storage(graph);
  CHECK(plan.places[graph.nodes()[1].output.index].kind == Place::Kind::Arena);
}
