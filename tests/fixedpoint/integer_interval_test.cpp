// SPDX-License-Identifier: MIT
// The proof against the arithmetic: no input leaves the proven intervals, and the inputs
// that should reach their ends do (numerics N38).
#include "tests/fixedpoint/integer_case.h"

namespace qopt {
namespace {

struct Layer {
  Tensor x, w, bias, zero;
  op::QConv2d o;
};

/// The extreme accumulators over all inputs in `codes`, found by choosing each input's
/// worst code separately: [least, greatest] of the complete sum, channel by channel.
Interval reachable(const Layer& l, Interval codes) {
  const std::int64_t outputs = l.w.shape()[0], taps = l.w.size() / outputs;
  Interval all{0, 0};
  for (std::int64_t o = 0; o < outputs; ++o) {
    Interval acc{l.bias.integer_at(o), l.bias.integer_at(o)};
    for (std::int64_t k = 0; k < taps; ++k) {
      const std::int64_t d = l.w.integer_at(o * taps + k) - l.zero.integer_at(o);
      const std::int64_t a = (codes.lo - l.o.x_zero) * d, b = (codes.hi - l.o.x_zero) * d;
      acc.lo += std::min(a, b);
      acc.hi += std::max(a, b);
    }
    all = {std::min(all.lo, acc.lo), std::max(all.hi, acc.hi)};
  }
  return all;
}

}  // namespace

TEST_CASE("every partial sum in every order stays inside the proof") {
  Rng rng(1);
  for (int round = 0; round < 200; ++round) {
    Layer l;
    const std::int64_t outputs = between(rng, 1, 4), taps = between(rng, 1, 30);
    const int bits = static_cast<int>(between(rng, 2, 8));
    const std::int64_t lo = -(1 << (bits - 1)), hi = -lo - 1;
    l.x = random_codes(rng, {1, 1, 1, taps}, lo, hi);
    l.w = random_codes(rng, {outputs, 1, 1, taps}, -128, 127);
    l.o.x_zero = between(rng, lo, hi);
    std::vector<std::int32_t> bias;
    std::vector<int> zero;
    for (std::int64_t o = 0; o < outputs; ++o) {
      bias.push_back(static_cast<std::int32_t>(between(rng, -100000, 100000)));
      zero.push_back(rng.below(2) != 0 ? 0 : static_cast<int>(between(rng, -128, 127)));
    }
    l.bias = i32(bias);
    l.zero = i16(zero);
    Case c;
    c.input(l.x, bits);
    c.constant(l.w);
    c.constant(l.bias);
    c.constant(
        i32(std::vector<std::int32_t>(static_cast<std::size_t>(outputs), 1 << 30)));
    c.constant(i8(std::vector<int>(static_cast<std::size_t>(outputs), -8)));
    c.constant(l.zero);
    c.node(l.o);
    const AccumulatorProof proof = prove_accumulators(c.graph).at(0);
    const auto inside = [&](std::int64_t acc, const char* form) {
      if (acc < proof.accumulator.lo || acc > proof.accumulator.hi) {
        FAIL(form << " " << acc << " leaves [" << proof.accumulator.lo << ", "
                  << proof.accumulator.hi << "] in round " << round);
      }
    };
    std::vector<std::int64_t> order;
    for (std::int64_t k = 0; k < taps; ++k) order.push_back(k);
    for (std::int64_t o = 0; o < outputs; ++o) {
      rng.shuffle(std::span<std::int64_t>(order));
      const std::int64_t w_zero = l.zero.integer_at(o);
      std::int64_t weights = 0;
      for (std::int64_t k = 0; k < taps; ++k)
        weights += l.w.integer_at(o * taps + k) - w_zero;
      std::int64_t centred = 0, with_bias = l.bias.integer_at(o);
      std::int64_t folded = l.bias.integer_at(o) - l.o.x_zero * weights, raw = folded;
      for (const std::int64_t k : order) {
        const std::int64_t x = l.x.integer_at(k), w = l.w.integer_at(o * taps + k);
        inside(centred += (x - l.o.x_zero) * (w - w_zero), "centred");
        inside(with_bias += (x - l.o.x_zero) * (w - w_zero), "centred with bias");
        inside(folded += x * (w - w_zero), "folded");
        inside(raw += x * w, "raw");
        inside(raw -= x * w_zero, "raw");
      }
      CHECK(folded == with_bias);
      CHECK(raw == with_bias);
    }
    const Interval reach = reachable(l, {lo, hi});
    CHECK(proof.accumulator.lo <= reach.lo);
    CHECK(proof.accumulator.hi >= reach.hi);
  }
}

TEST_CASE("extreme inputs reach the bound of a convolution") {
  // Without zero points and bias the three forms coincide, so the proof is tight: the
  // input that follows the signs of the weights makes an accumulator equal to its end.
  Rng rng(2);
  Layer l;
  l.w = random_codes(rng, {3, 1, 1, 50}, -128, 127);
  l.bias = i32({0, 0, 0});
  l.zero = i16({0, 0, 0});
  Case c;
  c.input(Tensor::zeros(DType::I8, {1, 1, 1, 50}));
  c.constant(l.w);
  c.constant(l.bias);
  c.constant(i32({1 << 30, 1 << 30, 1 << 30}));
  c.constant(i8({-9, -9, -9}));
  c.node(l.o);
  const AccumulatorProof proof = prove_accumulators(c.graph).at(0);
  CHECK(proof.accumulator == reachable(l, {-128, 127}));
  CHECK(proof.bits == signed_bits(proof.accumulator));
  CHECK(std::get<op::QConv2d>(c.graph.nodes().back().op).acc_bits == proof.bits);
}

TEST_CASE("an overflowing accumulator is refused") {
  const auto make = [](std::int64_t taps, std::int64_t acc_bits, std::int64_t bias) {
    Case c;
    op::QConv2d o;
    o.acc_bits = acc_bits;
    o.x_zero = 0;
    c.input(Tensor::zeros(DType::I8, {1, 1, 1, taps}));
    Tensor w = Tensor::zeros(DType::I8, {1, 1, 1, taps});
    for (auto& v : w.mutable_values<std::int8_t>()) v = -128;
    c.constant(w);
    c.constant(Tensor::of(std::vector<std::int64_t>{bias}));
    c.constant(i32({1 << 30}));
    c.constant(i8({-20}));
    c.node(o, false);
    return c;
  };
  // 128 * 128 * 131071 < 2^31 <= 128 * 128 * 131072.
  CHECK_NOTHROW(IntegerExecutor(make(131071, 32, 0).graph));
  CHECK_THROWS_WITH(IntegerExecutor(make(131072, 32, 0).graph),
                    has_text("'y' needs 33 bits of 32"));
  CHECK_NOTHROW(IntegerExecutor(make(131072, 64, 0).graph));
  CHECK_THROWS_WITH(IntegerExecutor(make(1, 32, std::int64_t{1} << 31).graph),
                    has_text("'y'"));
  CHECK_THROWS_WITH(IntegerExecutor(make(1, 64, std::int64_t{1} << 62).graph),
                    has_text("needs 64 bits of 64"));
  Case filled = make(131072, 32, 0);
  assign_accumulator_bits(filled.graph);
  CHECK(std::get<op::QConv2d>(filled.graph.nodes().back().op).acc_bits == 33);
  CHECK_NOTHROW(IntegerExecutor(filled.graph));
}

TEST_CASE("codes stay inside their intervals through a small network") {
  Rng rng(3);
  for (int round = 0; round < 20; ++round) {
    Graph g(Level::Integer);
    const ValueId x = g.add_input("x", DType::I8, {1, 6, 6, 4});
    g.value(x).encoding = Affine{LevelSet::U, 4, {1.0F}, {3}, {}};
    const auto constant = [&](Tensor t) { return g.add_constant("c", std::move(t)); };
    op::QConv2d conv;
    conv.pads = {1, 1, 1, 1};
    conv.x_zero = 3;
    conv.lo = between(rng, -128, 0);
    conv.hi = between(rng, 1, 127);
    conv.y_zero = between(rng, conv.lo, conv.hi);
    const ValueId a =
        g.add(conv,
              {x, constant(random_codes(rng, {8, 3, 3, 4}, -20, 20)),
               constant(i32(std::vector<std::int32_t>(
                   8, static_cast<std::int32_t>(between(rng, -300, 300))))),
               constant(i32(std::vector<std::int32_t>(
                   8, static_cast<std::int32_t>(random_multiplier(rng))))),
               constant(i8(std::vector<int>(8, static_cast<int>(between(rng, -7, -2)))))},
              "conv");
    const ValueId b =
        g.add(op::Lut{}, {a, constant(random_codes(rng, {256}, -60, 60))}, "lut");
    op::QAdd add;
    add.a_zero = conv.y_zero;
    add.b_zero = 7;
    add.a_multiplier = between(rng, -100, 100);
    add.b_multiplier = between(rng, -100, 100);
    add.shift = 7;
    const ValueId s = g.add(add, {a, b}, "add");
    op::QMul mul;
    mul.multiplier = random_multiplier(rng);
    mul.shift = -5;
    const ValueId m = g.add(mul, {s, b}, "mul");
    op::QReduce mean;
    mean.axes = {1, 2};
    mean.multiplier = random_multiplier(rng);
    mean.shift = -4;
    g.add_output("y", g.add(mean, {m}, "mean"));
    assign_accumulator_bits(g);
    const IntervalAnalysis proof = analyze_intervals(g);
    const IntegerExecutor executor(g);
    for (int sample = 0; sample < 10; ++sample) {
      const Tensor in = random_codes(rng, {1, 6, 6, 4}, 0, 15);
      executor.run(std::span<const Tensor>(&in, 1), [&](ValueId id, const Tensor& t) {
        const Interval range = proof.codes[id.index];
        for (std::int64_t i = 0; i < t.size(); ++i) {
          const std::int64_t code = t.integer_at(i);
          if (code < range.lo || code > range.hi) {
            FAIL(g.value(id).name << ": " << code << " leaves [" << range.lo << ", "
                                  << range.hi << "]");
          }
        }
      });
    }
  }
}

}  // namespace qopt
