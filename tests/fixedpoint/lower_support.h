// SPDX-License-Identifier: MIT
// What the lowering tests share: graphs from text with seeded constants, and the sequence
// of operators a graph holds.
#pragma once

#include <string>

#include "lib/core/rng.h"
#include "lib/fixedpoint/integer_executor.h"
#include "lib/fixedpoint/lower.h"
#include "lib/graph/text.h"
#include "lib/graph/verify.h"

namespace qopt::test {

inline Tensor random_tensor(Rng& rng, const Shape& shape, double amplitude = 1.0) {
  std::vector<float> values(static_cast<std::size_t>(num_elements(shape)));
  for (float& v : values) v = static_cast<float>((2.0 * rng.uniform() - 1.0) * amplitude);
  return Tensor::from(values, shape);
}

/// Parses `text`; f32 constants that are not given get seeded values in [-1, 1].
inline Graph graph_of(std::string_view text, const Constants& given = {}) {
  Graph graph = parse(text, given, true);
  Rng rng(7);
  Constants constants = constants_of(graph);
  for (auto& [name, tensor] : constants) {
    if (given.contains(name) || tensor.dtype() != DType::F32) continue;
    tensor = random_tensor(rng, tensor.shape());
  }
  graph = parse(text, constants);
  require_valid(graph, "the test's text");
  return graph;
}

/// "qconv2d qadd": operators in order, inputs left out.
inline std::string ops(const Graph& graph) {
  std::string text;
  for (const Node& node : graph.nodes()) {
    if (std::holds_alternative<op::Input>(node.op)) continue;
    text += (text.empty() ? "" : " ") + std::string(op_name(node.op));
  }
  return text;
}

/// The first operator of a kind.
template <class T>
const T& first(const Graph& graph) {
  for (const Node& node : graph.nodes()) {
    if (const T* found = std::get_if<T>(&node.op)) return *found;
  }
  throw InternalError("no such operator");
}

inline const Value& named(const Graph& graph, std::string_view name) {
  const auto id = graph.find(name);
  QOPT_CHECK(id.has_value(), "no value '{}' in\n{}", name, print(graph));
  return graph.value(*id);
}

}  // namespace qopt::test
