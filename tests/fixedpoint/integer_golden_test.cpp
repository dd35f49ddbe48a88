// SPDX-License-Identifier: MIT
// Cases small enough to compute by hand from docs/numerics.md: borders with a zero point,
// weight zero points, ties, saturation, and the way in and out of the executor.
#include <thread>

#include "tests/fixedpoint/integer_case.h"

namespace qopt {
namespace {

constexpr std::int32_t kHalf = 1 << 30;  // multiplier 0.5

/// Multiplies by 1: 0.5 * 2^1.
template <class O>
void unit_scale(O& o) {
  o.multiplier = kHalf;
  o.shift = 1;
}

Tensor golden(Case& c, Op op) {
  c.node(std::move(op));
  c.check();
  return c.run();
}

}  // namespace

TEST_CASE("N20 N21 borders count as the code of zero") {
  // x - x_zero = {1, 2, 3}; w = {10, 100, 1} over three columns, padding 1.
  Case c;
  op::QConv2d o;
  o.pads = {0, 1, 0, 1};
  o.x_zero = 5;
  o.y_zero = 1;
  o.hi = 127;
  c.input(codes({6, 7, 8}, {1, 1, 3, 1}));
  c.constant(codes({1, 10, 2}, {1, 1, 3, 1}));
  c.constant(i32({-40}));  // in halves, as the shift says
  c.constant(i32({kHalf}));
  c.constant(i8({1}));
  // oh 0: 0*1 + 1*10 + 2*2 = 14; 1*1 + 2*10 + 3*2 = 27; 2*1 + 3*10 + 0 = 32; -20, +1.
  CHECK(golden(c, o) == codes({-5, 8, 13}, {1, 1, 3, 1}));
}

TEST_CASE("N19 a positive shift gives the bias fraction bits") {
  Case c;
  op::QConv2d o;
  c.input(codes({3}, {1, 1, 1, 1}));
  c.constant(codes({1, 1, 1, 1}, {4, 1, 1, 1}));
  // A sum of 3 is 3 * 2^shift of the accumulator: halves, quarters, and whole numbers.
  c.constant(i32({1, -3, 5, 5}));
  c.constant(i32({kHalf, kHalf / 2, kHalf, kHalf}));
  c.constant(i8({1, 2, 0, -1}));
  // 7 / 2 = 3.5 goes up to 4; 9 / 4 = 2.25 times 1/1; 8 / 2; 8 / 4.
  CHECK(golden(c, o) == codes({4, 2, 4, 2}, {1, 1, 1, 4}));
}

TEST_CASE("N21 weights have zero points of their own") {
  Case c;
  op::QConv2d o;
  o.x_zero = -2;
  c.input(codes({1, 4}, {1, 1, 1, 2}));  // centred 3, 6
  c.constant(codes({7, -1, 7, -1}, {2, 1, 1, 2}));
  c.constant(i32({0, 0}));
  c.constant(i32({kHalf, kHalf}));
  c.constant(i8({1, 1}));
  c.constant(i16({3, -2}));  // centred (4, -4) and (9, 1)
  CHECK(golden(c, o) == codes({-12, 33}, {1, 1, 1, 2}));
}

TEST_CASE("N21 N5 ties go up and results saturate at the clamp") {
  Case c;
  op::QConv2d o;
  o.lo = -100;
  o.hi = 90;
  c.input(codes({1}, {1, 1, 1, 1}));
  c.constant(codes({0, 0, 0, 0, 0, 0}, {6, 1, 1, 1}));
  c.constant(i32({3, -3, 1, -1, 1000, -1000}));  // accumulators
  c.constant(i32({kHalf, kHalf, kHalf, kHalf, kHalf, kHalf}));
  c.constant(i8({0, 0, 0, 0, 0, 0}));  // times one half
  CHECK(golden(c, o) == codes({2, -1, 1, 0, 90, -100}, {1, 1, 1, 6}));
}

TEST_CASE("N18 the accumulator's width chooses the rounding") {
  // acc = 3, multiplier 2^30, shift -2: two roundings give 1, one gives 0 (arith_test).
  for (const std::int64_t bits : {32, 33}) {
    Case c;
    op::QConv2d o;
    o.acc_bits = bits;
    c.input(codes({3}, {1, 1, 1, 1}));
    c.constant(codes({1}, {1, 1, 1, 1}));
    c.constant(i32({0}));
    c.constant(i32({kHalf}));
    c.constant(i8({-2}));
    c.node(o, false);
    c.check();
    CHECK(c.run().integer_at(0) == (bits == 32 ? 1 : 0));
  }
}

TEST_CASE("N22 a transposed convolution scatters without flipping") {
  Case c;
  op::QConvTranspose2d o;
  o.stride = {1, 2};
  o.output_padding = {0, 1};
  o.x_zero = 1;
  c.input(codes({2, 4}, {1, 1, 2, 1}));  // centred 1, 3
  c.constant(codes({1, 2, 3}, {1, 1, 3, 1}));
  c.constant(i32({20}));
  c.constant(i32({kHalf}));
  c.constant(i8({1}));
  // 1*(1 2 3) at 0, 3*(1 2 3) at 2: 1 2 3+3 6 9, then one more position of bias alone.
  CHECK(golden(c, o) == codes({11, 12, 16, 16, 19, 10}, {1, 1, 6, 1}));
}

TEST_CASE("N23 a product of two activations") {
  Case c;
  op::QMatMul o;
  o.a_zero = 1;
  o.b_zero = -1;
  unit_scale(o);
  c.input(codes({2, 3, 0, 1}, {2, 2}));   // centred 1 2 / -1 0
  c.input(codes({4, -1, 2, 3}, {2, 2}));  // centred 5 0 / 3 4
  CHECK(golden(c, o) == codes({11, 8, -5, 0}, {2, 2}));
}

TEST_CASE("N24 addition rounds once, half up, for both signs") {
  Case c;
  op::QAdd o;
  o.a_zero = 10;
  o.b_zero = -10;
  o.a_multiplier = 1;
  o.b_multiplier = -1;
  o.shift = 1;
  o.y_zero = 100;
  c.input(codes({13, 11, 10, 10, 127, -128}, {6}));   // centred 3 1 0 0 117 -138
  c.input(codes({-10, -10, -9, -7, -10, -10}, {6}));  // centred 0 0 1 3 0 0
  // 1.5 -> 2, 0.5 -> 1, -0.5 -> 0, -1.5 -> -1, 58.5 -> 59 saturates, -69.
  CHECK(golden(c, o) == codes({102, 101, 100, 99, 127, 31}, {6}));
}

TEST_CASE("N25 N26 products and quotients of activations") {
  Case product;
  op::QMul m;
  m.a_zero = 1;
  m.b_zero = 2;
  m.multiplier = kHalf;
  m.shift = 0;
  product.input(codes({4, 4, 101}, {3}));  // 3 3 100
  product.input(codes({3, 1, 102}, {3}));  // 1 -1 100
  CHECK(golden(product, m) == codes({2, -1, 127}, {3}));

  Case quotient;
  op::QDiv d;
  d.a_zero = d.b_zero = 0;
  d.multiplier = kHalf;
  d.shift = -19;  // 2^-20: the quotient itself
  quotient.input(codes({100, 7, -7, 5, -5, 0, 1}, {7}));
  quotient.input(codes({10, 2, 2, 0, 0, 0, 3}, {7}));
  // 3.5 -> 4, -3.5 -> -3 (the requantiser's ties go up); x / 0 = 2^30 -> 1024 -> clamp.
  CHECK(golden(quotient, d) == codes({10, 4, -3, 127, -128, 0, 0}, {7}));
}

TEST_CASE("N27 N28 rescale and tables") {
  Case rescale;
  op::Rescale r;
  r.x_zero = -128;
  r.multiplier = kHalf;
  r.shift = 0;
  r.y_zero = -100;
  rescale.input(codes({-128, -127, -126, 127}, {4}));  // 0 0.5 1 127.5
  CHECK(golden(rescale, r) == codes({-100, -99, -99, 28}, {4}));

  std::vector<int> table(512);
  for (int i = 0; i < 256; ++i) table[static_cast<std::size_t>(i)] = 127 - i;
  for (int i = 256; i < 512; ++i) table[static_cast<std::size_t>(i)] = i % 3;
  Case lut;
  lut.input(codes({-128, -128, 127, 127}, {2, 2}));
  lut.constant(codes(table, {2, 256}));
  CHECK(golden(lut, op::Lut{}) == codes({127, 1, -128, 1}, {2, 2}));
}

TEST_CASE("N29 N30 averages divide by the entry of their window") {
  Case pool;
  op::QAvgPool2d p;
  p.row_start = {0};
  p.row_end = {1};
  p.col_start = {0, 1};
  p.col_end = {2, 2};
  p.x_zero = 2;
  p.y_zero = -1;
  pool.input(codes({4, 7}, {1, 1, 2, 1}));  // centred 2, 5
  pool.constant(i32({kHalf, kHalf}));
  pool.constant(i8({0, 1}));  // halves, ones
  pool.constant(Tensor::from(std::vector<std::uint8_t>{0, 1}, {1, 2}));
  CHECK(golden(pool, p) == codes({3, 4}, {1, 1, 2, 1}));  // 3.5 -> 4 - 1; 5 - 1

  Case reduce;
  op::QReduce s;
  s.axes = {0};
  s.x_zero = 1;
  s.multiplier = kHalf;
  s.shift = 0;
  reduce.input(
      codes({1, 2, 3, -1, -3, 127}, {3, 2}));        // columns 0+2-4 = -2, 1-2+126 = 125
  CHECK(golden(reduce, s) == codes({-1, 63}, {2}));  // 62.5 goes up
}

TEST_CASE("N31 bilinear weights and ties") {
  Case c;
  c.input(codes({0, 1, -1, -2}, {1, 2, 2, 1}));
  for (int axis = 0; axis < 2; ++axis) {
    c.constant(Tensor::from(std::vector<std::int32_t>{0, 1, 1, 1}, {2, 2}));
    c.constant(codes<std::int16_t>({1024, 1024, 2048, 0}, {2, 2}));
  }
  // (0+1-1-2)/4 = -0.5 -> 0; (1-2)/2 = -0.5 -> 0; (-1-2)/2 = -1.5 -> -1; -2.
  CHECK(golden(c, op::QResize{}) == codes({0, 0, -1, -2}, {1, 2, 2, 1}));
}

TEST_CASE("N32 softmax of equal and of far codes") {
  std::vector<std::int32_t> table(256, 0);
  table[0] = 1 << 23;
  table[1] = 1 << 22;
  Case c;
  op::QSoftmax o;
  o.axis = 1;
  c.input(codes({5, 5, 5, 4, 127, -128}, {3, 2}));
  c.constant(i32(table));
  // 1/2 1/2; 2/3 1/3: 170.67 85.33; 256 clamps to 127, 0.
  CHECK(golden(c, o) == codes({0, 0, 43, -43, 127, -128}, {3, 2}));
}

TEST_CASE("N33 layer norm of two values is plus and minus one") {
  Case c;
  op::QLayerNorm o;
  o.shift = 20;
  o.y_zero = 3;
  c.input(codes({10, 20, 7, 7}, {2, 2}));
  c.constant(i32({10 << 5, 10 << 5}));  // gamma 10: shift - 15 fraction bits
  c.constant(i32({1 << 20, 1 << 19}));  // beta 1 and 0.5
  // v = 2 * 500 - 900 = 100, z = -+10 / 10; row 2 has v = 0.
  CHECK(golden(c, o) == codes({-6, 14, 4, 4}, {2, 2}));
}

TEST_CASE("N34 L2 norm of 3 and 4") {
  Case c;
  op::QL2Normalize o;
  o.axis = 1;
  o.x_zero = 1;
  o.multiplier = kHalf;
  o.shift = -7;  // Q15 * 2^-8: 128 stands for one
  c.input(codes({4, 5, 1, 1}, {2, 2}));
  CHECK(golden(c, o) == codes({77, 102, 0, 0}, {2, 2}));  // 76.8 102.4
}

TEST_CASE("N35 N36 N37 indices clamp, padding never wins, Pad writes its code") {
  Case gather;
  gather.input(Tensor::from(std::vector<std::int32_t>{-5, 1, 99}, {3}));
  gather.constant(codes({1, 2, 3, 4}, {2, 2}));
  CHECK(golden(gather, op::QGather{}) == codes({1, 2, 3, 4, 3, 4}, {3, 2}));

  Case pool;
  op::MaxPool2d p;
  p.kernel = {1, 3};
  p.pads = {0, 1, 0, 1};
  pool.input(codes({-128, -100, -120}, {1, 1, 3, 1}));
  CHECK(golden(pool, p) == codes({-100, -100, -100}, {1, 1, 3, 1}));

  Case pad;
  pad.input(codes({7}, {1, 1}));
  CHECK(golden(pad, op::Pad{{1, 0}, {0, 2}, -9.0}) ==
        codes({-9, -9, -9, 7, -9, -9}, {2, 3}));
}

TEST_CASE("N16 N17 N39 real tensors go in and out by encoding and layout") {
  Graph g(Level::Integer);
  const ValueId x = g.add_input("x", DType::I8, {1, 1, 2, 3});  // N,H,W,C of [1,3,1,2]
  g.value(x).encoding = Affine{LevelSet::U, 8, {0.5F}, {10}, {}};
  g.value(x).layout = {0, 2, 3, 1};
  op::Slice slice{2, 0, 1, 1};
  const ValueId y = g.add(slice, {x}, "y");
  g.value(y).encoding = g.value(x).encoding;
  g.value(y).layout = g.value(x).layout;
  g.add_output("y", y);
  const Tensor real = Tensor::from(
      std::vector<float>{0.25F, 0.75F, -100.0F, 1e30F, -0.25F, std::nanf("")},
      {1, 3, 1, 2});
  const Tensor stored = to_stored(g, x, real);
  // Codes 10.5 -> 10 and 11.5 -> 12 (half to even), 0, 255, 9.5 -> 10 and NaN -> 10; less
  // 128.
  CHECK(stored == codes({-118, -128, -118, -116, 127, -118}, {1, 1, 2, 3}));
  const IntegerExecutor executor(g);
  const Tensor out = executor.run_real(std::span<const Tensor>(&real, 1))[0];
  CHECK(out == Tensor::from(std::vector<float>{0.0F, -5.0F, 0.0F}, {1, 3, 1, 1}));
  CHECK(to_real(g, x, stored).shape() == Shape{1, 3, 1, 2});
}

TEST_CASE("inputs that do not fit are refused with their name") {
  Case c;
  c.input(codes({1, 2}, {2}), 4);
  op::Rescale o;
  unit_scale(o);
  c.node(o);
  const IntegerExecutor executor(c.graph);
  const auto run = [&](Tensor t) { executor.run(std::span<const Tensor>(&t, 1)); };
  CHECK_THROWS_WITH(run(codes({1}, {1})), has_text("x0") && has_text("2"));
  CHECK_THROWS_WITH(run(codes({8, 0}, {2})), has_text("[-8, 7]"));
  CHECK_THROWS_WITH(run(codes<std::int16_t>({1, 2}, {2})), has_text("i16"));
  CHECK_THROWS_AS(executor.run({}), Error);
  CHECK_THROWS_AS(to_stored(c.graph, c.ids[0], Tensor::zeros(DType::F32, {3})), Error);
}

TEST_CASE("a float operator is our own mistake") {
  Graph g(Level::Integer);
  const ValueId x = g.add_input("x", DType::I8, {2});
  Node node;
  node.op = op::Unary{};
  node.inputs = {x};
  node.output = g.add(op::Reshape{{2}}, {x}, "y");
  g.mutable_nodes().back().op = op::Unary{};
  g.add_output("y", node.output);
  CHECK_THROWS_AS(IntegerExecutor(g), InternalError);
}

TEST_CASE("samples run in parallel give the same codes, and taps see every value") {
  Rng rng(1);
  Case c;
  op::QConv2d o;
  o.pads = {1, 1, 1, 1};
  c.input(random_codes(rng, {1, 9, 9, 8}, -128, 127));
  c.constant(random_codes(rng, {16, 3, 3, 8}, -128, 127));
  c.constant(i32(std::vector<std::int32_t>(16, 100)));
  c.constant(i32(std::vector<std::int32_t>(16, kHalf)));
  c.constant(i8(std::vector<int>(16, -8)));
  c.node(o);
  const IntegerExecutor executor(c.graph);
  const Tensor expected = c.oracle();
  std::vector<int> wrong(4, 0);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < wrong.size(); ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i)
        wrong[t] += executor.run(c.inputs)[0] == expected ? 0 : 1;
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == std::vector<int>(4, 0));
  std::vector<std::string> seen;
  executor.run(c.inputs, [&](ValueId id, const Tensor& t) {
    seen.push_back(executor.graph().value(id).name);
    CHECK(t.shape() == executor.graph().value(id).shape);
  });
  CHECK(seen == std::vector<std::string>{"x0", "y"});
}

}  // namespace qopt
