// SPDX-License-Identifier: MIT
// The bridge, fake quantisation to the bit, and the executor around them.
#include "lib/aten/float_executor.h"

#include <atomic>
#include <cmath>
#include <limits>
#include <vector>

#include "lib/aten/bridge.h"
#include "lib/aten/semantics.h"
#include "lib/core/parallel.h"
#include "lib/core/rng.h"
#include "lib/graph/graph.h"
#include "tests/support/catch.h"
#include "tests/support/level_sets.h"

namespace {

using namespace qopt;

/// Values around every code boundary, ties, extremes and noise.
std::vector<float> awkward_values(const Affine& e, std::size_t count) {
  Rng rng(static_cast<std::uint64_t>(e.bits) * 31 + static_cast<std::uint64_t>(e.levels));
  const float scale = e.scale[0];
  std::vector<float> values = {0.0F,
                               -0.0F,
                               NAN,
                               INFINITY,
                               -INFINITY,
                               std::numeric_limits<float>::max(),
                               std::numeric_limits<float>::lowest(),
                               std::numeric_limits<float>::denorm_min(),
                               1e30F,
                               -1e30F};
  while (values.size() < count) {
    const auto code = static_cast<float>(rng.below(1U << std::min(e.bits, 9))) -
                      static_cast<float>(1U << (std::min(e.bits, 9) - 1));
    const float tie = (code + 0.5F) * scale;
    values.push_back(tie);
    values.push_back(std::nextafter(tie, INFINITY));
    values.push_back(std::nextafter(tie, -INFINITY));
    const float whole = code * scale;  // a tie of odd codes
    values.push_back(whole);
    values.push_back(std::nextafter(whole, -INFINITY));
    values.push_back(static_cast<float>(rng.normal()) * scale *
                     static_cast<float>(1 << (e.bits - 1)));
  }
  values.resize(count);
  return values;
}

bool same_bits(float a, float b) {
  return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b);
}

Graph small_network() {
  Graph graph(Level::Canonical);
  const ValueId x = graph.add_input("x", DType::F32, {1, 3, 5, 5});
  Rng rng(4);
  Tensor w = Tensor::zeros(DType::F32, {4, 3, 3, 3});
  for (float& v : w.mutable_values<float>()) v = static_cast<float>(rng.normal());
  const ValueId weight = graph.add_constant("conv.weight", w);
  const ValueId conv = graph.add(op::Conv2d{}, {x, weight}, "conv");
  graph.add_output("y", graph.add(op::Clamp{}, {conv}, "relu"));
  return graph;
}

std::vector<Tensor> noise(const Graph& graph, std::uint64_t seed) {
  Rng rng(seed);
  Tensor t = Tensor::zeros(DType::F32, graph.value(graph.inputs()[0]).shape);
  for (float& v : t.mutable_values<float>()) v = static_cast<float>(rng.normal());
  return {t};
}

}  // namespace

TEST_CASE("every element type crosses the bridge and back") {
  for (DType dtype : {DType::F32, DType::F64, DType::I8, DType::U8, DType::I16,
                      DType::I32, DType::I64, DType::Bool}) {
    CHECK(aten::to_dtype(aten::to_scalar_type(dtype)) == dtype);
    Tensor t = Tensor::zeros(dtype, {2, 3});
    for (std::size_t i = 0; i < t.size_bytes(); ++i) {
      t.mutable_bytes()[i] = static_cast<std::byte>(dtype == DType::Bool ? i % 2 : i);
    }
    const at::Tensor theirs = aten::to_at(t);
    CHECK(theirs.element_size() == static_cast<std::int64_t>(dtype_size(dtype)));
    CHECK(theirs.data_ptr() == t.bytes().data());  // a view, not a copy
    CHECK(aten::from_at(theirs) == t);
    CHECK(aten::from_at(theirs.t()).shape() == Shape{3, 2});
  }
  CHECK_FALSE(aten::to_dtype(at::kHalf).has_value());
  CHECK_THROWS_AS(aten::from_at(at::zeros({2}, at::kHalf)), Error);
  CHECK(aten::from_at(at::zeros({0, 3})).size() == 0);
  CHECK(aten::from_at(aten::to_at(Tensor::zeros(DType::F32, {}))).shape().empty());
}

TEST_CASE("a view outlives the tensor it came from") {
  at::Tensor view;
  { view = aten::to_at(Tensor::of(std::vector<float>{1.0F, 2.0F, 3.0F})); }
  CHECK(view.sum().item<float>() == 6.0F);
}

TEST_CASE("short reasons carry no stack") {
  CHECK(aten::short_reason("first line\nsecond") == "first line");
  CHECK(aten::short_reason("a message\nException raised from f at x.cpp:1") ==
        "a message");
  CHECK(aten::short_reason("Traceback ...\nRuntimeError: the reason\n") == "the reason");
  CHECK(aten::short_reason("") == "no reason given");
  CHECK(aten::short_reason(std::string(1000, 'x')).size() < 310);
}

TEST_CASE("fake quantisation is decode of encode, to the bit, per tensor") {
  for (const auto [levels, bits] : testing::all_level_sets()) {
    for (float scale : {0.0625F, 0.1F, 3.1e-3F, 7.7F}) {
      const std::int32_t lo = code_min(levels, bits), hi = code_max(levels, bits);
      for (std::int32_t zero : {lo, (lo + hi) / 2, 0, hi}) {
        if (is_symmetric(levels) && zero != 0) continue;
        const Affine e{levels, bits, {scale}, {zero}, {}};
        const std::vector<float> values = awkward_values(e, 600);
        const Tensor x = Tensor::of(values);
        const Tensor y = aten::from_at(aten::fake_quantize(aten::to_at(x), e));
        int wrong = 0;
        for (std::size_t i = 0; i < values.size(); ++i) {
          const float wanted = decode(encode(values[i], e), e);
          if (!same_bits(y.values<float>()[i], wanted)) ++wrong;
        }
        INFO(level_set_name(levels) << bits << " scale " << scale << " zero " << zero);
        CHECK(wrong == 0);
      }
    }
  }
}

TEST_CASE("fake quantisation is decode of encode, to the bit, per channel") {
  for (const auto [levels, bits] : testing::all_level_sets()) {
    for (int axis : {0, 1, 2}) {
      const Shape shape = {3, 4, 5};
      Affine e{levels, bits, {}, {}, axis};
      Rng rng(static_cast<std::uint64_t>(axis) + 9);
      const std::int32_t lo = code_min(levels, bits), hi = code_max(levels, bits);
      for (std::int64_t c = 0; c < shape[static_cast<std::size_t>(axis)]; ++c) {
        e.scale.push_back(static_cast<float>(0.01 + rng.uniform()));
        e.zero_point.push_back(is_symmetric(levels)
                                   ? 0
                                   : std::min(hi, lo + static_cast<std::int32_t>(c % 3)));
      }
      Affine first = e;
      first.scale.resize(1);
      const Tensor x = Tensor::from(awkward_values(first, 60), shape);
      const Tensor y = aten::from_at(aten::fake_quantize(aten::to_at(x), e));
      CHECK(y == decode_tensor(encode_tensor(x, e), e));
    }
  }
}

TEST_CASE("fake-quant mode encodes weights once and activations as produced") {
  Graph graph = small_network();
  graph.set_level(Level::Encoded);
  Affine weights{LevelSet::N, 4, {}, {}, 0};
  for (int c = 0; c < 4; ++c) {
    weights.scale.push_back(0.1F * static_cast<float>(c + 1));
    weights.zero_point.push_back(0);
  }
  const Affine in{LevelSet::S, 8, {0.02F}, {3}, {}}, out{LevelSet::U, 5, {0.2F}, {0}, {}};
  graph.value(*graph.find("conv.weight")).encoding = weights;
  graph.value(*graph.find("x")).encoding = in;
  graph.value(*graph.find("relu")).encoding =
      out;  // conv is merged into relu: no encoding
  const std::vector<Tensor> x = noise(graph, 8);

  // The same by hand: a float graph with the weights replaced, inputs and result rounded.
  Graph rounded = small_network();
  Value& weight = rounded.value(*rounded.find("conv.weight"));
  weight.constant = decode_tensor(encode_tensor(*weight.constant, weights), weights);
  const std::vector<Tensor> rounded_x = {decode_tensor(encode_tensor(x[0], in), in)};
  const Tensor plain = aten::FloatExecutor(rounded).run(rounded_x)[0];
  const Tensor wanted = decode_tensor(encode_tensor(plain, out), out);

  const aten::FloatExecutor fake(graph, aten::FloatExecutor::Mode::FakeQuant);
  CHECK(fake.run(x)[0] == wanted);
  CHECK(aten::FloatExecutor(graph).run(x)[0] != wanted);  // Float mode ignores encodings

  std::vector<std::string> seen;
  Tensor observed;
  fake.run(x, [&](ValueId id, const Tensor& t) {
    seen.push_back(graph.value(id).name);
    if (graph.value(id).name == "x") observed = t;
  });
  CHECK(seen == std::vector<std::string>{"x", "conv", "relu"});
  CHECK(observed == rounded_x[0]);  // after fake quantisation
}

TEST_CASE("inputs of another number, shape or type are refused") {
  const Graph graph = small_network();
  const aten::FloatExecutor executor(graph);
  CHECK_THROWS_AS(executor.run({}), Error);
  CHECK_THROWS_AS(
      executor.run(std::vector<Tensor>{Tensor::zeros(DType::F32, {1, 3, 5, 6})}), Error);
  CHECK_THROWS_AS(
      executor.run(std::vector<Tensor>{Tensor::zeros(DType::I32, {1, 3, 5, 5})}), Error);
}

TEST_CASE("Integer graphs and operators have no float meaning") {
  Graph graph = small_network();
  graph.set_level(Level::Integer);
  CHECK_THROWS_AS(aten::FloatExecutor(graph), InternalError);
  const Graph empty(Level::Canonical);
  const aten::FloatSemantics semantics(empty);
  Graph lut(Level::Integer);
  const ValueId x = lut.add_input("x", DType::I8, {4});
  const ValueId table = lut.add_constant("t", Tensor::zeros(DType::I8, {256}));
  lut.add_output("y", lut.add(op::Lut{}, {x, table}, "y"));
  CHECK_THROWS_AS(semantics.apply(lut, lut.nodes().back(), {}), InternalError);
}

TEST_CASE("one executor serves several threads with equal results") {
  aten::use_one_thread_per_caller();
  const Graph graph = small_network();
  const aten::FloatExecutor executor(graph);
  std::vector<Tensor> wanted;
  for (std::uint64_t i = 0; i < 32; ++i)
    wanted.push_back(executor.run(noise(graph, i))[0]);
  std::atomic<int> wrong = 0;
  parallel_for(32, 4, [&](std::int64_t i, int) {
    if (executor.run(noise(graph, static_cast<std::uint64_t>(i)))[0] !=
        wanted[static_cast<std::size_t>(i)]) {
      ++wrong;
    }
  });
  CHECK(wrong == 0);
}

TEST_CASE("gradients flow to a constant bound as a leaf") {
  const Graph graph = small_network();
  aten::FloatSemantics semantics(graph);
  const ValueId weight = *graph.find("conv.weight");
  const at::Tensor leaf = semantics.bound(weight).clone().requires_grad_(true);
  semantics.bind(weight, leaf);
  const at::Tensor x = at::ones({1, 3, 5, 5});
  at::Tensor y = x;
  for (const Node& node : graph.nodes()) {
    if (std::holds_alternative<op::Input>(node.op)) continue;
    std::vector<at::Tensor> in{y};
    if (node.inputs.size() > 1) in.push_back(semantics.bound(node.inputs[1]));
    y = semantics.apply(graph, node, in);
  }
  y.sum().backward();
  CHECK(leaf.grad().defined());
  CHECK(leaf.grad().abs().sum().item<float>() > 0.0F);
}
