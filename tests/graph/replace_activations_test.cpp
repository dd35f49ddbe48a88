// SPDX-License-Identifier: MIT
// replace_activations: what is replaced, what is left alone, and what is refused.
#include "lib/graph/passes/replace_activations.h"

#include "tests/support/preserves_meaning.h"

namespace qopt {
namespace {

constexpr std::string_view kNet = R"(graph canonical
  #s : f32[3]
  x : f32[1,3,4,4] = input()
  a.relu = clamp(x)
  b.relu = clamp(a.relu)
  b.six = clamp(b.relu; hi=6)
  c.tanh = clamp(b.six; lo=-1, hi=1)
  c.prelu = prelu(c.tanh, #s)
  c.swish = unary(c.prelu; kind=hardswish)
  d.root = unary(c.swish; kind=square)
  -> y = d.root
)";

Op gelu() { return op::Unary{UnaryKind::Gelu}; }

std::string kind_at(const Graph& graph, std::string_view name) {
  return std::string(
      activation_name(graph.nodes()[*graph.producer(*graph.find(name))].op));
}

std::string refusal(const ActivationRule& rule) {
  Graph graph = testing::random_graph(kNet);
  try {
    replace_activations(graph, rule);
  } catch (const Error& e) {
    CHECK(e.code() == ExitCode::Usage);
    return e.what();
  }
  return "nothing refused";
}

bool contains(const std::string& text, std::string_view part) {
  INFO(text);
  return text.find(part) != std::string::npos;
}

TEST_CASE("activations are replaced by kind and by layer") {
  Graph graph = testing::random_graph(kNet);
  const auto done = replace_activations(graph, {{"relu"}, gelu(), {"b.*"}, ""});
  REQUIRE(done.size() == 1);
  CHECK(done[0].layer == "b.relu");
  CHECK(done[0].input == "a.relu");
  CHECK(done[0].from == "relu");
  CHECK(done[0].old == std::vector<Op>{op::Clamp{}});
  CHECK(done[0].now == gelu());
  CHECK(kind_at(graph, "a.relu") == "relu");
  CHECK(kind_at(graph, "b.relu") == "gelu");
  CHECK(kind_at(graph, "b.six") == "relu6");

  graph = testing::random_graph(kNet);
  const auto all = replace_activations(
      graph, {{"relu", "relu6", "hardtanh", "hardswish"}, gelu(), {"*"}, ""});
  CHECK(all.size() == 5);
  CHECK(kind_at(graph, "c.prelu") == "prelu");
  CHECK(kind_at(graph, "d.root") == "");
}

TEST_CASE("prelu goes with its slopes, which are told") {
  Graph graph = testing::random_graph(kNet);
  const auto slopes = graph.value(*graph.find("s")).constant->values<float>();
  const std::vector<float> expected(slopes.begin(), slopes.end());
  const auto done = replace_activations(graph, {{"prelu"}, gelu(), {"*"}, ""});
  REQUIRE(done.size() == 1);
  REQUIRE(done[0].old.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(apply_activation(done[0].old[i], -1.0) ==
          -1.0 * static_cast<double>(expected[i]));
    CHECK(apply_activation(done[0].old[i], 2.0) == 2.0);
  }
  CHECK_FALSE(graph.find("s"));
}

TEST_CASE("a rule without effect is an error that says what there is") {
  CHECK(contains(refusal({{"relu"}, gelu(), {"b.relo"}, "c.yaml:3:5"}),
                 "c.yaml:3:5: pattern 'b.relo' matches no layer (did you mean 'b.relu'"));
  const std::string kinds = refusal({{"relu6"}, gelu(), {"b.*", "a.*"}, "here"});
  CHECK(contains(kinds, "no layer that 'a.*' matches is relu6 and would change"));
  CHECK(contains(kinds, "relu (2)"));
  CHECK(contains(refusal({{"relu"}, op::Clamp{}, {"*"}, ""}), "would change"));
}

TEST_CASE("targets take their own parameters only") {
  CHECK(activation_op("relu", {}, "") == Op(op::Clamp{}));
  CHECK(activation_op("softplus", {{}, 2.0, {}}, "") ==
        Op(op::Unary{UnaryKind::Softplus, 2.0, 20.0}));
  CHECK(activation_op("interpolated_gelu", {0.5, 2.0, 0.1}, "") ==
        Op(op::Unary{UnaryKind::InterpolatedGelu, 0.5, 2.0, 0.1}));
  CHECK(activation_op("interpolated_silu", {}, "") ==
        Op(op::Unary{UnaryKind::InterpolatedSilu, 1.0, 1.0, 0.0}));
  for (const ActivationTarget& row : activation_targets()) {
    INFO(row.name);
    CHECK(activation_name(activation_op(row.name, {}, "")) == row.name);
    const auto refuses = [&](const ActivationParameters& p) {
      try {
        activation_op(row.name, p, "here");
      } catch (const Error& e) {
        return contains(e.what(), std::string(row.name) + " takes no");
      }
      return false;
    };
    CHECK(refuses({0.5, {}, {}}) != row.factor);
    CHECK(refuses({{}, 2.0, {}}) != row.sharpness);
    CHECK(refuses({{}, {}, 0.1}) != row.leak);
  }
  CHECK_THROWS_AS(activation_op("interpolated_gelu", {1.5, {}, {}}, ""), Error);
  CHECK_THROWS_AS(activation_op("interpolated_gelu", {{}, 0.0, {}}, ""), Error);
  CHECK_THROWS_AS(activation_op("leaky_relu", {{}, {}, -0.1}, ""), Error);
  CHECK_THROWS_AS(activation_op("relu7", {}, ""), Error);
}

}  // namespace
}  // namespace qopt
