// SPDX-License-Identifier: MIT
// The law of a canonical pass: the same outputs on the same random inputs, and a second
// run that changes nothing.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lib/core/rng.h"
#include "lib/graph/passes/canonicalize.h"
#include "lib/graph/text.h"
#include "lib/graph/verify.h"
#include "tests/support/catch.h"
#include "tests/support/float_evaluator.h"

namespace qopt::testing {

/// The graph of `text` with every constant drawn at random. Constants named *var* are
/// positive.
inline Graph random_graph(std::string_view text, std::uint64_t seed = 1) {
  Graph graph = parse(text, {}, true);
  Rng rng(seed);
  for (std::size_t i = 0; i < graph.values().size(); ++i) {
    Value& value = graph.value(ValueId{static_cast<std::uint32_t>(i)});
    if (!value.constant || value.dtype != DType::F32) continue;
    std::vector<float> reals(static_cast<std::size_t>(num_elements(value.shape)));
    const bool positive = value.name.find("var") != std::string::npos;
    for (float& x : reals) {
      x = static_cast<float>(positive ? 0.5 + rng.uniform() : 2.0 * rng.uniform() - 1.0);
    }
    value.constant = Tensor::from(reals, value.shape);
  }
  return graph;
}

/// |actual - expected| <= 1e-5 * (1 + |expected|) everywhere: constants are rounded to
/// float32 when folded, sums have tens of terms.
inline void require_same_outputs(const Graph& before, const Graph& after) {
  Rng rng(7);
  std::vector<Array> inputs;
  for (ValueId id : before.inputs()) {
    inputs.push_back(filled(before.value(id).shape,
                            [&](const Shape&) { return 4.0 * rng.uniform() - 2.0; }));
  }
  FloatEvaluator evaluator;
  const std::vector<Array> expected = evaluator.run(before, inputs);
  const std::vector<Array> actual = evaluator.run(after, inputs);
  REQUIRE(actual.size() == expected.size());
  for (std::size_t o = 0; o < actual.size(); ++o) {
    REQUIRE(actual[o].shape == expected[o].shape);
    double worst = 0.0;
    for (std::size_t n = 0; n < actual[o].data.size(); ++n) {
      const double e = expected[o].data[n];
      const double error = std::fabs(actual[o].data[n] - e) / (1.0 + std::fabs(e));
      worst = error <= worst ? worst : error;  // NaN is worst
    }
    CHECK(worst <= 1e-5);
  }
}

/// Canonicalises, checks the law, and returns the result's operators in order, inputs
/// left out.
inline std::vector<std::string> canonical_ops(const Graph& imported) {
  const Graph canonical = canonicalize(imported);
  require_same_outputs(imported, canonical);
  CHECK(verify(canonical).empty());
  CHECK(print(canonicalize(canonical)) == print(canonical));
  std::vector<std::string> ops;
  for (const Node& node : canonical.nodes()) {
    if (!std::holds_alternative<op::Input>(node.op)) ops.emplace_back(op_name(node.op));
  }
  return ops;
}

inline std::vector<std::string> canonical_ops(std::string_view text,
                                              std::uint64_t seed = 1) {
  return canonical_ops(random_graph(text, seed));
}

}  // namespace qopt::testing
