// SPDX-License-Identifier: MIT
// What lowering computes at build time: codes, biases, multipliers, tables, clamps, and
// what it refuses.
#include <cmath>

#include "lib/exec/interval.h"
#include "lib/fixedpoint/multiplier.h"
#include "tests/fixedpoint/lower_support.h"
#include "tests/support/catch.h"

namespace qopt {
namespace {

using test::first;
using test::graph_of;
using test::named;
using test::ops;

Tensor f32(std::vector<float> values, const Shape& shape) {
  return Tensor::from(values, shape);
}

std::vector<std::int64_t> integers(const Graph& graph, std::string_view name) {
  const Tensor& t = *named(graph, name).constant;
  std::vector<std::int64_t> out;
  for (std::int64_t i = 0; i < t.size(); ++i) out.push_back(t.integer_at(i));
  return out;
}

using List = std::vector<std::int64_t>;

TEST_CASE("a convolution's bias, multipliers and clamp") {
  const Graph integer =
      lower_to_integer(graph_of(R"(graph encoded
  #w : f32[2,1,1,2] {n8 axis 0 scale [0.5,0.25]}
  #b : f32[2]
  x : f32[1,1,3,4] {u8 scale [0.125] zero [3]} = input()
  c : f32[1,2,3,3] = conv2d(x, #w, #b)
  y : f32[1,2,3,3] {u8 scale [0.25]} = clamp(c; hi=6)
  -> out = y
)",
                                {{"w", f32({1.0F, -2.0F, 0.5F, 31.75F}, {2, 1, 1, 2})},
                                 {"b", f32({0.21875F, -0.28125F}, {2})}}));
  CHECK(ops(integer) == "qconv2d");
  const auto& conv = first<op::QConv2d>(integer);
  CHECK(conv.x_zero == 3 - 128);
  CHECK(conv.y_zero == -128);
  CHECK(conv.lo == -128);
  CHECK(conv.hi == 24 - 128);  // 6 / 0.25
  CHECK(integers(integer, "w") == List{2, -4, 2, 127});
  // Factors 0.25 and 0.125, 0.21875 / 0.0625 = 3.5 with 6 fraction bits, -0.28125 /
  // 0.03125 = -9 with 5.
  CHECK(integers(integer, "b") == List{224, -288});
  CHECK(integers(integer, "c.multiplier") == List{1 << 23, 1 << 23});
  CHECK(integers(integer, "c.shift") == List{6, 5});
  CHECK_FALSE(integer.find("c.w_zero").has_value());
  CHECK_FALSE(integer.find("c").has_value());
  CHECK(named(integer, "y").encoding.has_value());
  CHECK(integer.outputs()[0].name == "out");
  CHECK(conv.acc_bits == prove_accumulators(integer)[0].bits);
}

TEST_CASE("where codes of the accumulator are fine, a bias is a whole number of them") {
  const Graph integer =
      lower_to_integer(graph_of(R"(graph encoded
  #w : f32[2,2] {n8 axis 0 scale [0.03125,0.0625]}
  #b : f32[2]
  x : f32[1,2] {s8 scale [0.125]} = input()
  y : f32[1,2] {s8 scale [0.5]} = linear(x, #w, #b)
  -> y = y
)",
                                {{"w", f32({1.0F, -2.0F, 0.5F, 3.0F}, {2, 2})},
                                 {"b", f32({0.013671875F, 0.021484375F}, {2})}}));
  // Factor 2^-7: 3.5 codes go to even 4. Factor 2^-6: 2.75 codes with two fraction bits.
  CHECK(integers(integer, "b") == List{4, 11});
  CHECK(integers(integer, "y.shift") == List{0, 2});
}

TEST_CASE("values of few codes, not weights, give biases more fraction bits") {
  const auto lowered = [](const std::string& weights, const std::string& x) {
    return lower_to_integer(graph_of(
        "graph encoded\n  #w : f32[2,2] {" + weights +
            " axis 0 scale [0.03125,0.0625]}\n  #b : f32[2]\n  x : f32[1,2] {" + x +
            " scale [0.125]} = input()\n"
            "  y : f32[1,2] {s8 scale [0.5]} = linear(x, #w, #b)\n  -> y = y\n",
        {{"w", f32({0.0625F, -0.125F, 0.125F, 0.1875F}, {2, 2})},
         {"b", f32({0.013671875F, 0.021484375F}, {2})}}));
  };
  // Factors 2^-7 and 2^-6, biases 3.5 and 2.75 codes.
  for (const char* weights : {"n4", "n8"}) {
    CHECK(integers(lowered(weights, "s5"), "b") == List{4, 11});
    CHECK(integers(lowered(weights, "s5"), "y.shift") == List{0, 2});
    CHECK(integers(lowered(weights, "s4"), "b") == List{224, 352});
    CHECK(integers(lowered(weights, "s4"), "y.shift") == List{6, 7});
  }
}

TEST_CASE("unsigned weights become signed codes with a zero point") {
  for (int bits : {2, 4, 8, 16}) {
    const float scale = 1.0F;
    const std::int64_t half = std::int64_t{1} << (bits - 1);
    const Graph integer =
        lower_to_integer(graph_of(fmt::format(R"(graph encoded
  #w : f32[1,3] {{u{} scale [{}] zero [{}]}}
  x : f32[2,3] {{s8 scale [0.1]}} = input()
  y : f32[2,1] {{s8 scale [1]}} = linear(x, #w)
  -> y = y
)",
                                              bits, scale, 1),
                                  {{"w", f32({-1.0F, 0.0F, 1.0F}, {1, 3})}}));
    CHECK(integers(integer, "w") == List{-half, 1 - half, 2 - half});
    CHECK(integers(integer, "y.w_zero") == List{1 - half});
    CHECK(first<op::QConv2d>(integer).weight_bits == bits);
    CHECK(named(integer, "w").dtype == (bits == 16 ? DType::I16 : DType::I8));
    CHECK(named(integer, "w").shape == Shape{1, 1, 1, 3});
  }
}

TEST_CASE("dead channels keep their bias and cost no wide accumulator") {
  const Graph graph = graph_of(R"(graph encoded
  #w : f32[3,2,1,1] {n8 axis 0 scale [1,1e-30,0.5]}
  #b : f32[3]
  x : f32[1,2,1,1] {s8 scale [0.5]} = input()
  y : f32[1,3,1,1] {s8 scale [0.25]} = conv2d(x, #w, #b)
  -> y = y
)",
                               {{"w", f32({0, 0, 1e-30F, -1e-30F, 1, 1}, {3, 2, 1, 1})},
                                {"b", f32({2.0F, -3.0F, 0.0F}, {3})}});
  const Graph integer = lower_to_integer(graph);
  CHECK(named(integer, "b").dtype == DType::I32);
  CHECK(integers(integer, "w") == List{0, 0, 0, 0, 2, 2});
  CHECK(first<op::QConv2d>(integer).acc_bits <= 32);
  const IntegerExecutor executor(integer);
  const std::vector<Tensor> y =
      executor.run_real(std::vector<Tensor>{f32({1, 2}, {1, 2, 1, 1})});
  CHECK(y[0] == f32({2.0F, -3.0F, 3.0F}, {1, 3, 1, 1}));
}

TEST_CASE("weights of few levels become their codes") {
  struct Row {
    const char* encoding;
    List codes;
  };
  const Row rows[] = {{"o1", {-1, -1, 1, 1, 1, 1}},  {"o2", {-3, -1, 1, 1, 3, 3}},
                      {"o3", {-5, -1, 1, 1, 3, 7}},  {"t2", {-1, 0, 0, 0, 1, 1}},
                      {"n2", {-1, 0, 0, 0, 1, 1}},   {"s2", {-2, 0, 0, 0, 1, 1}},
                      {"s1", {-1, 0, 0, 0, 0, 0}},   {"u1", {-1, -1, -1, -1, 0, 0}},
                      {"u2", {-2, -2, -2, -2, 0, 1}}};
  for (const Row& row : rows) {
    INFO(row.encoding);
    const Graph integer = lower_to_integer(
        graph_of(fmt::format(R"(graph encoded
  #w : f32[1,6] {{{} scale [0.5]}}
  x : f32[2,6] {{u2 scale [0.5]}} = input()
  y : f32[2,1] {{s8 scale [0.25]}} = linear(x, #w)
  -> y = y
)",
                             row.encoding),
                 {{"w", f32({-2.4F, -0.2F, 0.0F, 0.2F, 1.2F, 9.0F}, {1, 6})}}));
    CHECK(integers(integer, "w") == row.codes);
    CHECK(verify(integer).empty());
    const Affine& e = std::get<Affine>(*named(integer, "w").encoding);
    for (const std::int64_t code : row.codes)
      CHECK(is_code(static_cast<std::int32_t>(code), e.levels, e.bits));
    // Any sum of six products of at most 3 * 7.
    CHECK(first<op::QConv2d>(integer).acc_bits <= 9);
  }
}

TEST_CASE("dead channels of odd weights keep their bias in 32 bits") {
  for (const char* levels : {"o1", "o2"}) {
    const Graph graph =
        graph_of(fmt::format(R"(graph encoded
  #w : f32[3,2,1,1] {{{} axis 0 scale [2e-38,1e-30,0.5]}}
  #b : f32[3]
  x : f32[1,2,1,1] {{s8 scale [0.5]}} = input()
  y : f32[1,3,1,1] {{s8 scale [0.25]}} = conv2d(x, #w, #b)
  -> y = y
)",
                             levels),
                 {{"w", f32({0, 0, 1e-30F, -1e-30F, 0.5F, 0.5F}, {3, 2, 1, 1})},
                  {"b", f32({2.0F, -3.0F, 0.0F}, {3})}});
    const Graph integer = lower_to_integer(graph);
    CHECK(verify(integer).empty());
    CHECK(named(integer, "b").dtype == DType::I32);
    CHECK(first<op::QConv2d>(integer).acc_bits <= 32);
    const IntegerExecutor executor(integer);
    for (const float x : {0.5F, 60.0F, -60.0F}) {
      const std::vector<Tensor> y =
          executor.run_real(std::vector<Tensor>{f32({x, x}, {1, 2, 1, 1})});
      CHECK(y[0].values<float>()[0] == 2.0F);
      CHECK(y[0].values<float>()[1] == -3.0F);
    }
  }
}

TEST_CASE("a bias beyond 32 bits takes a 64-bit accumulator") {
  const Graph integer = lower_to_integer(
      graph_of(R"(graph encoded
  #w : f32[1,2,1,1] {n8 scale [1e-6]}
  #b : f32[1]
  x : f32[1,2,1,1] {s8 scale [0.0001]} = input()
  y : f32[1,1,1,1] {s16 scale [1e-4]} = conv2d(x, #w, #b)
  -> y = y
)",
               {{"w", f32({1e-6F, -1e-6F}, {1, 2, 1, 1})}, {"b", f32({3.0F}, {1})}}));
  // 3 / 1e-10 is beyond 2^31; the weights' part, below 1/3000 of a code, is left out
  // instead.
  CHECK(named(integer, "b").dtype == DType::I32);
  const Graph wide = lower_to_integer(
      graph_of(R"(graph encoded
  #w : f32[1,2,1,1] {n8 scale [1e-6]}
  #b : f32[1]
  x : f32[1,2,1,1] {s16 scale [0.0001]} = input()
  y : f32[1,1,1,1] {s16 scale [1e-4]} = conv2d(x, #w, #b)
  -> y = y
)",
               {{"w", f32({1e-4F, -1e-4F}, {1, 2, 1, 1})}, {"b", f32({3.0F}, {1})}}));
  REQUIRE(first<op::QConv2d>(wide).acc_bits > 32);
  const auto& b = wide.nodes()[1].inputs[2];
  CHECK(wide.value(b).dtype == DType::I64);
  const IntegerExecutor executor(wide);
  const Tensor y =
      executor.run_real(std::vector<Tensor>{f32({3.0F, -3.0F}, {1, 2, 1, 1})})[0];
  // 3 / 1e-4 and 3 * 2 * 100e-6 / 1e-4: 30006 codes, half a code of leeway for x's own
  // code.
  CHECK(std::fabs(static_cast<double>(y.values<float>()[0]) - 3.0006) < 1e-4);
}

TEST_CASE("an accumulator that outgrows 32 bits is widened, its bias with it") {
  const Graph integer = lower_to_integer(graph_of(R"(graph encoded
  #w : f32[4,4096] {s16 scale [0.00004]}
  #b : f32[4]
  x : f32[1,4096] {s16 scale [0.00004]} = input()
  y : f32[1,4] {s16 scale [0.1]} = linear(x, #w, #b)
  -> y = y
)"));
  const auto& conv = first<op::QConv2d>(integer);
  CHECK(conv.acc_bits > 32);
  for (const Node& node : integer.nodes()) {
    if (std::holds_alternative<op::QConv2d>(node.op)) {
      CHECK(integer.value(node.inputs[2]).dtype == DType::I64);
    }
  }
  for (const AccumulatorProof& proof : prove_accumulators(integer))
    CHECK_FALSE(proof.overflows());
}

TEST_CASE("a clamp to few codes keeps 16-bit storage") {
  const Graph integer = lower_to_integer(graph_of(R"(graph encoded
  #w : f32[2,2,1,1] {n8 scale [0.01]}
  x : f32[1,2,2,2] {s8 scale [0.01]} = input()
  c : f32[1,2,2,2] = conv2d(x, #w)
  y : f32[1,2,2,2] {s16 scale [0.1]} = clamp(c; lo=-1, hi=1)
  -> y = y
)"));
  CHECK(first<op::QConv2d>(integer).hi == 10);
  CHECK(named(integer, "y").dtype == DType::I16);
  const IntegerExecutor executor(integer);
  const Tensor x = f32({1, -1, 0.5F, 0, 1, 1, 0, -0.5F}, {1, 2, 2, 2});
  CHECK(executor.run_real(std::vector<Tensor>{x})[0].shape() == Shape{1, 2, 2, 2});
}

TEST_CASE("tables hold the function of every code") {
  const Graph integer = lower_to_integer(graph_of(R"(graph encoded
  x : f32[1,8] {s4 scale [0.5]} = input()
  y : f32[1,8] {s8 scale [0.1]} = unary(x; kind=square)
  -> y = y
)"));
  const List table = integers(integer, "y.table");
  REQUIRE(table.size() == 256);
  CHECK(table[128] == 0);
  CHECK(table[128 + 3] == 22);  // 2.25 / 0.1 = 22.5, to even
  CHECK(table[128 - 7] ==
        122);  // 12.25 / 0.1 in double: 122.5 less the scale's own error
  CHECK(table[128 + 100] == table[128 + 7]);  // no code of s4: as the nearest one
  const Graph words = lower_to_integer(graph_of(R"(graph encoded
  x : f32[1,8] {u16 scale [0.5] zero [32768]} = input()
  y : f32[1,8] {s8 scale [0.1]} = unary(x; kind=neg)
  -> y = y
)"));
  CHECK(integers(words, "y.table").size() == 65536);
  CHECK(integers(words, "y.table")[32768 + 4] == -20);
}

TEST_CASE(
    "softmax: the quotient is the code where the scale allows, else a rescale follows") {
  const auto lowered = [](std::string_view encoding) {
    return lower_to_integer(graph_of(fmt::format(R"(graph encoded
  x : f32[2,5] {{s8 scale [0.1]}} = input()
  y : f32[2,5] {{{}}} = softmax(x; axis=1)
  -> y = y
)",
                                                 encoding)));
  };
  const Graph direct = lowered("u8 scale [0.00390625]");
  CHECK(ops(direct) == "qsoftmax");
  CHECK(first<op::QSoftmax>(direct).out_bits == 8);
  CHECK(first<op::QSoftmax>(direct).y_zero == -128);
  CHECK(first<op::QSoftmax>(lowered("s8 scale [0.0078125]")).out_bits == 7);
  const Graph rescaled = lowered("u8 scale [0.004]");
  CHECK(ops(rescaled) == "qsoftmax rescale");
  CHECK(named(rescaled, "y.quotient").dtype == DType::I16);
  const List table = integers(direct, "y.table");
  CHECK(table[0] == 1 << 23);
  CHECK(table[1] == std::llround(std::exp(-static_cast<double>(0.1F)) * 0x1p23));
}

TEST_CASE("concat of different encodings rescales, constants are encoded anew") {
  // The verifier forbids it in encoded graphs; lowering repairs it all the same.
  Graph graph(Level::Encoded);
  const auto encode = [&](ValueId id, float scale) {
    graph.value(id).encoding = Affine{LevelSet::S, 8, {scale}, {0}, {}};
    return id;
  };
  const ValueId a = encode(graph.add_input("a", DType::F32, {1, 2}), 0.5F);
  const ValueId b = encode(graph.add_input("b", DType::F32, {1, 2}), 0.25F);
  const ValueId c = encode(graph.add_constant("c", f32({1, 2}, {1, 2})), 0.5F);
  graph.add_output("y", encode(graph.add(op::Concat{1}, {a, b, c}, "y"), 0.25F));
  const Graph integer = lower_to_integer(graph);
  CHECK(ops(integer) == "rescale concat");
  CHECK(integers(integer, "c") == List{4, 8});
  const IntegerExecutor executor(integer);
  const std::vector<Tensor> in{f32({1, -2}, {1, 2}), f32({0.25F, 3}, {1, 2})};
  CHECK(executor.run_real(in)[0] == f32({1, -2, 0.25F, 3, 1, 2}, {1, 6}));
}

TEST_CASE("arithmetic with scalars is one requantisation") {
  const Graph integer =
      lower_to_integer(graph_of(R"(graph encoded
  #k : f32[1] {n8 scale [0.001]}
  #d : f32[1] {n8 scale [0.1]}
  x : f32[2,3] {s8 scale [0.1]} = input()
  a : f32[2,3] {s8 scale [0.05]} = binary(x, #k; kind=mul)
  b : f32[2,3] {s8 scale [0.05]} = binary(#k, a; kind=mul)
  y : f32[2,3] {s8 scale [0.05]} = binary(b, #d; kind=div)
  -> y = y
)",
                                {{"k", f32({0.125F}, {1})}, {"d", f32({2}, {1})}}));
  CHECK(ops(integer) == "rescale rescale rescale");
  const Graph negative = lower_to_integer(graph_of(R"(graph encoded
  #k : f32[1] {n8 scale [0.001]}
  x : f32[2,3] {s8 scale [0.1]} = input()
  y : f32[2,3] {s8 scale [0.05]} = binary(x, #k; kind=mul)
  -> y = y
)",
                                                   {{"k", f32({-0.125F}, {1})}}));
  CHECK(ops(negative) == "qmul");
}

TEST_CASE("average pools list each divisor once") {
  const Graph integer = lower_to_integer(graph_of(R"(graph encoded
  x : f32[1,2,5,5] {s8 scale [0.1]} = input()
  y : f32[1,2,3,3] {s8 scale [0.1]} = avg_pool2d(x; kernel=[3,3], stride=[2,2], pads=[1,1,1,1], count_include_pad=false)
  -> y = y
)"));
  const auto& pool = first<op::QAvgPool2d>(integer);
  CHECK(pool.row_start == Ints{0, 1, 3});
  CHECK(pool.row_end == Ints{2, 4, 5});
  CHECK(integers(integer, "y.which") == List{0, 1, 0, 1, 2, 1, 0, 1, 0});
  CHECK(named(integer, "y.which").dtype == DType::U8);
  CHECK(integers(integer, "y.multiplier") == List{to_multiplier(1.0 / 4).multiplier,
                                                  to_multiplier(1.0 / 6).multiplier,
                                                  to_multiplier(1.0 / 9).multiplier});
}

TEST_CASE("embedding tables hold the result's codes, indices become 32-bit") {
  const Graph integer =
      lower_to_integer(graph_of(R"(graph encoded
  #t : f32[4,2] {n8 scale [0.25]}
  i : i64[3] = input()
  y : f32[3,2] {s8 scale [0.5]} = embedding(i, #t)
  -> y = y
)",
                                {{"t", f32({0, 1, 2, 3, 4, 5, 6, 7}, {4, 2})}}));
  CHECK(ops(integer) == "qgather");
  CHECK(named(integer, "i").dtype == DType::I32);
  CHECK(integers(integer, "t") == List{0, 2, 4, 6, 8, 10, 12, 14});
  const IntegerExecutor executor(integer);
  const Tensor i = Tensor::of(std::vector<std::int64_t>{3, 0, 1});
  CHECK(executor.run_real(std::vector<Tensor>{i})[0] == f32({6, 7, 0, 1, 2, 3}, {3, 2}));
}

TEST_CASE("matmul by a constant matrix is a linear layer") {
  const Graph integer =
      lower_to_integer(graph_of(R"(graph encoded
  #w : f32[2,3] {n8 axis 1 scale [1,0.5,0.25]}
  x : f32[4,2] {s8 scale [0.1]} = input()
  y : f32[4,3] {s8 scale [0.1]} = matmul(x, #w)
  -> y = y
)",
                                {{"w", f32({1, 2, 3, 4, 5, 6}, {2, 3})}}));
  CHECK(ops(integer) == "reshape qconv2d reshape");
  CHECK(integers(integer, "w") == List{1, 4, 4, 10, 12, 24});
  CHECK(named(integer, "w").shape == Shape{3, 1, 1, 2});
}

TEST_CASE("names of the model survive, helpers give way") {
  const Graph integer = lower_to_integer(graph_of(R"(graph encoded
  #w : f32[3,2] {n8 scale [0.01]}
  x : f32[4,2] {s8 scale [0.1]} = input()
  fc : f32[4,3] {s8 scale [0.1]} = linear(x, #w)
  fc.linear : f32[4,3] {s8 scale [0.1]} = unary(fc; kind=tanh)
  -> y = fc.linear
)"));
  CHECK(named(integer, "fc.linear").shape == Shape{4, 3});
  CHECK(named(integer, "fc.linear_").shape == Shape{1, 1, 4, 3});
}

TEST_CASE("tied weights are stored once") {
  const Graph integer = lower_to_integer(graph_of(R"(graph encoded
  #w : f32[2,2] {n8 scale [0.01]}
  x : f32[4,2] {s8 scale [0.1]} = input()
  a : f32[4,2] {s8 scale [0.1]} = linear(x, #w)
  b : f32[4,2] {s8 scale [0.1]} = linear(a, #w)
  -> y = b
)"));
  CHECK(integer.find("w").has_value());
  CHECK_FALSE(integer.find("w_1").has_value());
}

TEST_CASE("everything without an integer form is listed at once") {
  const Graph graph = graph_of(R"(graph encoded
  x : f32[4,6] {s16 scale [0.1]} = input()
  n : f32[4] {s8 scale [0.1]} = reduce(x; kind=l2_norm, axes=[1])
  k : f32[4,6] {s8 scale [0.1]} = softmax(x; axis=1)
  u : f32[4] {s8 scale [0.1]} = unary(n; kind=exp)
  -> a = u
  -> b = k
)");
  try {
    lower_to_integer(graph);
    FAIL("lowered");
  } catch (const Error& e) {
    CHECK(e.code() == ExitCode::ModelUnsupported);
    const std::string text = e.what();
    for (const char* part : {"2 nodes", "'n'", "'k'"}) {
      INFO(text);
      CHECK(text.find(part) != std::string::npos);
    }
    CHECK(text.find("'u'") == std::string::npos);  // only a victim of 'n'
  }
  CHECK(no_integer_form(graph, graph.nodes()[1]).has_value());
  CHECK_FALSE(no_integer_form(graph, graph.nodes()[3]).has_value());
}

TEST_CASE("a result far too narrow for its operands is refused, not saturated silently") {
  const Graph graph = graph_of(R"(graph encoded
  a : f32[4] {s8 scale [1000000]} = input()
  b : f32[4] {s8 scale [1]} = input(index=1)
  y : f32[4] {s8 scale [0.001]} = binary(a, b; kind=add)
  -> y = y
)");
  CHECK_THROWS_AS(lower_to_integer(graph), Error);
}

}  // namespace
}  // namespace qopt
