// SPDX-License-Identifier: MIT
// The proof and the costs by hand: bits of an interval, code intervals of operators,
// accumulator bounds of small nodes, refusal of overflow.
#include "lib/exec/interval.h"

#include <limits>

#include "tests/support/catch.h"

namespace qopt {
namespace {

struct OneNode {
  Graph graph{Level::Integer};
  std::vector<ValueId> ids;

  OneNode& input(Shape shape, LevelSet levels = LevelSet::S, int bits = 8) {
    const Affine affine{levels, bits, {1.0F}, {0}, {}};
    ids.push_back(graph.add_input("x" + std::to_string(ids.size()), storage_dtype(affine),
                                  std::move(shape)));
    graph.value(ids.back()).encoding = affine;
    return *this;
  }
  template <class T>
  OneNode& constant(const std::vector<T>& values, Shape shape) {
    ids.push_back(graph.add_constant("c", Tensor::from(values, std::move(shape))));
    return *this;
  }
  OneNode& node(Op op) {
    graph.add_output("y", graph.add(std::move(op), ids, "y"));
    return *this;
  }
  AccumulatorProof proof() const { return prove_accumulators(graph).at(0); }
  Interval codes() const {
    return analyze_intervals(graph).codes[graph.outputs()[0].value.index];
  }
};

using Bytes = std::vector<std::int8_t>;
using Words = std::vector<std::int32_t>;

}  // namespace

TEST_CASE("signed_bits counts two's complement bits") {
  CHECK(signed_bits({0, 0}) == 1);
  CHECK(signed_bits({-1, 0}) == 1);
  CHECK(signed_bits({0, 1}) == 2);
  CHECK(signed_bits({-2, 1}) == 2);
  CHECK(signed_bits({-128, 127}) == 8);
  CHECK(signed_bits({-128, 128}) == 9);
  CHECK(signed_bits({-129, 0}) == 9);
  CHECK(signed_bits({std::numeric_limits<std::int32_t>::min(), 0}) == 32);
  CHECK(signed_bits({0, std::int64_t{1} << 31}) == 33);
  CHECK(signed_bits({std::numeric_limits<std::int64_t>::min(), 0}) == 64);
}

TEST_CASE("a convolution's bound separates positive and negative parts") {
  // x in [-8, 7], w = {3, -2}, bias 5: terms [-24, 21] and [-14, 16].
  OneNode n;
  n.input({1, 1, 1, 2}, LevelSet::S, 4)
      .constant(Bytes{3, -2}, {1, 1, 1, 2})
      .constant(Words{5}, {1})
      .constant(Words{1 << 30}, {1})
      .constant(Bytes{0}, {1})
      .node(op::QConv2d{});
  CHECK(n.proof().accumulator == Interval{-38, 42});
  CHECK(n.proof().bits == 7);
  CHECK(n.proof().limit == 32);
  CHECK(n.proof().node == "y");
  CHECK(n.proof().node_index == 1);
  // Complete sums are in [-33, 42]: halved, [-16, 21], with one step of slack.
  CHECK(n.codes().lo <= -16);
  CHECK(n.codes().lo >= -18);
  CHECK(n.codes().hi >= 21);
  CHECK(n.codes().hi <= 23);
}

TEST_CASE("a positive shift scales the sums, not the bias") {
  OneNode n;
  n.input({1, 1, 1, 2}, LevelSet::S, 4)
      .constant(Bytes{3, -2}, {1, 1, 1, 2})
      .constant(Words{5}, {1})
      .constant(Words{1 << 27}, {1})
      .constant(Bytes{3}, {1})
      .node(op::QConv2d{});
  CHECK(n.proof().accumulator == Interval{-38 * 8, 37 * 8 + 5});
  CHECK(n.codes().lo <= (5 - 38 * 8) / 16);
  CHECK(n.codes().hi >= (5 + 37 * 8) / 16);
}

TEST_CASE("the folded form counts too") {
  // Centred: (x - 100) * 1 with x in [-128, 127]: [-228, 27]. Folded: bias -100 and x
  // itself.
  OneNode n;
  op::QConv2d o;
  o.x_zero = 100;
  n.input({1, 1, 1, 1})
      .constant(Bytes{1}, {1, 1, 1, 1})
      .constant(Words{0}, {1})
      .constant(Words{1 << 30}, {1})
      .constant(Bytes{0}, {1})
      .node(o);
  CHECK(n.proof().accumulator == Interval{-228, 127});
}

TEST_CASE("weight zero points are counted apart as well") {
  // w - w_zero = 1, but kernels may sum 101 * x and -100 * x.
  OneNode n;
  n.input({1, 1, 1, 1})
      .constant(Bytes{101}, {1, 1, 1, 1})
      .constant(Words{0}, {1})
      .constant(Words{1 << 30}, {1})
      .constant(Bytes{0}, {1})
      .constant(std::vector<std::int16_t>{100}, {1})
      .node(op::QConv2d{});
  CHECK(n.proof().accumulator == Interval{-128 * 101 - 12700, 127 * 101 + 12800});
}

TEST_CASE("padding can put zero where codes never are") {
  OneNode n;
  op::QConv2d o;
  o.x_zero = -20;
  o.pads = {1, 1, 1, 1};
  n.input({1, 3, 3, 1}, LevelSet::U, 4)  // codes 0..15, padded with -20
      .constant(Bytes{-1}, {1, 1, 1, 1})
      .constant(Words{0}, {1})
      .constant(Words{1 << 30}, {1})
      .constant(Bytes{1}, {1})
      .node(o);
  CHECK(n.proof().accumulator.lo <= -35);
  CHECK(n.codes().hi >= 0);  // the padded positions themselves
}

TEST_CASE("tables and clamps narrow codes") {
  std::vector<std::int8_t> table(256);
  for (int i = 0; i < 256; ++i)
    table[static_cast<std::size_t>(i)] = static_cast<std::int8_t>(i - 128);
  OneNode n;
  n.input({4}, LevelSet::U, 3).constant(table, {256}).node(op::Lut{});
  CHECK(n.codes() == Interval{0, 7});

  OneNode r;
  op::Rescale o;
  o.multiplier = 1 << 30;
  o.shift = 1;
  o.lo = -3;
  o.hi = 5;
  r.input({4}).node(o);
  CHECK(r.codes() == Interval{-3, 5});

  OneNode p;
  p.input({2, 2}, LevelSet::U, 2).node(op::Pad{{0, 0}, {0, 1}, -7.0});
  CHECK(p.codes() == Interval{-7, 3});
}

TEST_CASE("sums and products of activations") {
  OneNode m;
  op::QMatMul o;
  o.multiplier = 1 << 30;
  m.input({2, 10}, LevelSet::S, 4).input({10, 3}, LevelSet::U, 4).node(o);
  CHECK(m.proof().accumulator == Interval{-10 * 8 * 15, 10 * 7 * 15});

  OneNode s;
  op::QReduce r;
  r.axes = {0};
  r.multiplier = 1 << 30;
  s.input({1000}, LevelSet::S, 8).node(r);
  CHECK(s.proof().accumulator == Interval{-128000, 127000});

  OneNode a;
  op::QAdd add;
  add.a_multiplier = 3;
  add.b_multiplier = -2;
  a.input({2}).input({2}).node(add);
  CHECK(a.proof().accumulator == Interval{-384 - 254, 381 + 256});
}

TEST_CASE("QAdd never has more than 32 bits") {
  OneNode a;
  op::QAdd add;
  add.a_multiplier = std::int64_t{1} << 25;
  add.acc_bits = 64;
  a.input({2}).input({2}).node(add);
  CHECK(a.proof().bits == 33);
  CHECK(a.proof().limit == 32);
  CHECK(a.proof().overflows());
}

TEST_CASE("norms and softmax must stay below 2^62") {
  OneNode n;
  n.input({1, 40000}, LevelSet::S, 16)
      .constant(Words(40000, 1), {40000})
      .constant(Words(40000, 0), {40000})
      .node(op::QLayerNorm{});
  CHECK(n.proof().limit == 64);
  CHECK_FALSE(n.proof().overflows());
  OneNode big;
  big.input({1, 70000}, LevelSet::S, 16)
      .constant(Words(70000, 1), {70000})
      .constant(Words(70000, 0), {70000})
      .node(op::QLayerNorm{});
  CHECK(big.proof().overflows());
}

TEST_CASE("overflow names every node, its interval and a remedy") {
  AccumulatorProof good{"fine", {-5, 5}, 4, 32, 0};
  AccumulatorProof bad{"conv1", {0, std::int64_t{1} << 31}, 33, 32, 1};
  AccumulatorProof wide{"conv2", {0, std::int64_t{1} << 62}, 64, 64, 2};
  CHECK_NOTHROW(require_no_overflow({good}));
  CHECK_THROWS_WITH(require_no_overflow({good, bad, wide}),
                    has_text("'conv1' needs 33 bits of 32 for [0, 2147483648]") &&
                        has_text("'conv2' needs 64 bits") && has_text("fewer bits"));
  try {
    require_no_overflow({bad});
  } catch (const Error& e) {
    CHECK(e.code() == ExitCode::ModelUnsupported);
    CHECK(e.where() == "conv1");
  }
}

TEST_CASE("assign_accumulator_bits fills what the proof needs") {
  OneNode n;
  n.input({1, 1, 1, 2}, LevelSet::S, 4)
      .constant(Bytes{3, -2}, {1, 1, 1, 2})
      .constant(Words{5}, {1})
      .constant(Words{1 << 30}, {1})
      .constant(Bytes{0}, {1})
      .node(op::QConv2d{});
  assign_accumulator_bits(n.graph);
  CHECK(std::get<op::QConv2d>(n.graph.nodes().back().op).acc_bits == 7);
  CHECK(n.proof().bits == 7);
}

TEST_CASE("multiply-accumulates at every level") {
  Graph g(Level::Canonical);
  const ValueId x = g.add_input("x", DType::F32, {2, 6, 8, 8});
  const ValueId w = g.add_constant("w", Tensor::zeros(DType::F32, {4, 3, 3, 3}));
  op::Conv2d conv;
  conv.groups = 2;
  const ValueId y = g.add(conv, {x, w}, "conv");  // [2,4,6,6]
  const ValueId tw = g.add_constant("tw", Tensor::zeros(DType::F32, {4, 5, 2, 2}));
  const ValueId t = g.add(op::ConvTranspose2d{}, {y, tw}, "deconv");
  const ValueId r = g.add(op::Clamp{}, {t}, "relu");
  const ValueId flat = g.add(op::Reshape{{2, 5 * 7 * 7}}, {r}, "flat");
  const ValueId lw = g.add_constant("lw", Tensor::zeros(DType::F32, {10, 245}));
  g.add_output("y", g.add(op::Linear{}, {flat, lw}, "linear"));
  const std::vector<std::int64_t> expected{
      0, 2 * 4 * 6 * 6 * 27, 2 * 4 * 6 * 6 * 5 * 4, 0, 0, 2 * 10 * 245};
  CHECK(count_macs(g) == expected);

  OneNode q;
  op::QConvTranspose2d o;
  o.groups = 2;
  q.input({1, 3, 3, 4})
      .constant(Bytes(6 * 2 * 2 * 2, 1), {6, 2, 2, 2})
      .constant(Words(6, 0), {6})
      .constant(Words(6, 1 << 30), {6})
      .constant(Bytes(6, 0), {6})
      .node(o);
  CHECK(count_macs(q.graph) == std::vector<std::int64_t>{0, 3 * 3 * 4 * 3 * 4});

  OneNode m;
  m.input({3, 2, 10}).input({10, 7}).node(op::QMatMul{});
  CHECK(count_macs(m.graph) == std::vector<std::int64_t>{0, 0, 3 * 2 * 7 * 10});
}

}  // namespace qopt
