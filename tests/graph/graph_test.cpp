// SPDX-License-Identifier: MIT
#include "lib/graph/graph.h"

#include "lib/graph/text.h"
#include "lib/graph/verify.h"
#include "tests/support/catch.h"

namespace qopt {
namespace {

Tensor ones(Shape shape) {
  const std::vector<float> values(static_cast<std::size_t>(num_elements(shape)), 1.0F);
  return Tensor::from(values, std::move(shape));
}

TEST_CASE("a graph is built in order with inferred types") {
  Graph graph;
  const ValueId x = graph.add_input("x", DType::F32, {1, 3, 8, 8});
  const ValueId w = graph.add_constant("w", ones({4, 3, 3, 3}));
  const ValueId y = graph.add(op::Conv2d{}, {x, w}, "conv", "net.py:7");
  graph.add_output("out", y);
  CHECK(graph.value(y).shape == Shape{1, 4, 6, 6});
  CHECK(graph.is_constant(w));
  CHECK_FALSE(graph.producer(w));
  CHECK(graph.producer(y) == 1);
  CHECK(graph.users(x) == std::vector<std::size_t>{1});
  CHECK(graph.is_output(y));
  CHECK_FALSE(graph.is_output(x));
  CHECK(graph.find("conv") == y);
  CHECK_FALSE(graph.find("nobody"));
  CHECK(graph.nodes()[1].source == "net.py:7");
  CHECK(verify(graph).empty());
}

TEST_CASE("names are made unique") {
  Graph graph;
  const ValueId x = graph.add_input("x", DType::F32, {2});
  const ValueId a = graph.add(op::Clamp{}, {x}, "x");
  const ValueId b = graph.add(op::Clamp{}, {a}, "x");
  CHECK(graph.value(a).name == "x_1");
  CHECK(graph.value(b).name == "x_2");
}

TEST_CASE("inputs come in the order of their index") {
  const Graph graph = parse(R"(graph imported
    b : f32[2] = input(index=1)
    a : f32[3] = input()
    -> a = a
    -> b = b)",
                            {});
  const std::vector<ValueId> inputs = graph.inputs();
  REQUIRE(inputs.size() == 2);
  CHECK(graph.value(inputs[0]).name == "a");
  CHECK(graph.value(inputs[1]).name == "b");
}

TEST_CASE("a node that does not fit is refused by its name, and leaves nothing") {
  Graph graph;
  const ValueId x = graph.add_input("x", DType::F32, {1, 3, 8, 8});
  const ValueId w = graph.add_constant("w", ones({4, 2, 3, 3}));
  try {
    graph.add(op::Conv2d{}, {x, w}, "features.0");
    FAIL("accepted");
  } catch (const Error& e) {
    CHECK(e.code() == ExitCode::ModelUnsupported);
    CHECK(e.where() == "features.0");
    CHECK(e.message().find("conv2d(f32[1,3,8,8], f32[4,2,3,3])") != std::string::npos);
  }
  CHECK(graph.nodes().size() == 1);
  CHECK(graph.values().size() == 2);
  CHECK_THROWS_AS(graph.add_input("y", DType::F32, {-1}), Error);
}

TEST_CASE("insert keeps the order, replace_uses reaches outputs") {
  Graph graph;
  const ValueId x = graph.add_input("x", DType::F32, {2});
  const ValueId y = graph.add(op::Clamp{}, {x}, "y");
  graph.add_output("out", y);
  const ValueId before = graph.insert(1, op::Unary{UnaryKind::Tanh}, {x}, "tanh");
  graph.mutable_nodes()[2].inputs[0] = before;
  CHECK(graph.producer(before) == 1);
  CHECK(graph.producer(y) == 2);
  CHECK(verify(graph).empty());
  graph.replace_uses(y, before);
  CHECK(graph.outputs()[0].value == before);
}

TEST_CASE("remove_dead drops what nobody uses, but never an input") {
  Graph graph;
  const ValueId x = graph.add_input("x", DType::F32, {2});
  graph.add_input("unused", DType::F32, {2});
  const ValueId c = graph.add_constant("c", ones({2}));
  const ValueId dead = graph.add(op::Binary{}, {x, c}, "dead");
  graph.add(op::Clamp{}, {dead}, "deader");
  const ValueId y = graph.add(op::Clamp{}, {x}, "y");
  graph.add_output("out", y);
  CHECK(graph.remove_dead());
  CHECK(print(graph) == R"(graph imported
  x : f32[2] = input()
  unused : f32[2] = input(index=1)
  y : f32[2] = clamp(x)
  -> out = y
)");
  CHECK_FALSE(graph.remove_dead());
  CHECK(verify(graph).empty());
}

TEST_CASE("a copy is an undo") {
  Graph graph;
  const ValueId x = graph.add_input("x", DType::F32, {2});
  graph.add_output("out", graph.add(op::Clamp{}, {x}, "y"));
  const Graph copy = graph;
  graph.value(x).name = "renamed";
  graph.set_level(Level::Canonical);
  CHECK(copy.value(x).name == "x");
  CHECK(copy.level() == Level::Imported);
}

TEST_CASE("levels have names") {
  for (Level level :
       {Level::Imported, Level::Canonical, Level::Encoded, Level::Integer}) {
    CHECK(parse_level(level_name(level)) == level);
  }
  CHECK_FALSE(parse_level("raw"));
}

}  // namespace
}  // namespace qopt
