// SPDX-License-Identifier: MIT
// The one walker: runs a graph under any semantics (float tensors, exact integers,
// intervals, costs). Owns order, release of dead values and error context; knows no
// arithmetic.
#pragma once

#include <concepts>
#include <optional>
#include <span>
#include <vector>

#include "lib/graph/graph.h"

namespace qopt {

/// A semantics says what a value is and what an operator does to values.
template <class S>
concept Semantics = requires(S& s, const Graph& g, const Node& node, ValueId id,
                             const Tensor& t, std::span<const typename S::Value> in) {
  { s.constant(g, id, t) } -> std::convertible_to<typename S::Value>;
  { s.apply(g, node, in) } -> std::convertible_to<typename S::Value>;
};

/// Runs `graph` on `inputs` (in input order) and returns its outputs in order.
/// `hook(id, value)` sees every non-constant value as it is produced (inputs too) and
/// returns the value to use in its place: observers return it unchanged, fake
/// quantisation replaces it. Errors gain "in node NAME".
template <Semantics S, class Hook>
std::vector<typename S::Value> execute(const Graph& graph, S& semantics,
                                       std::span<const typename S::Value> inputs,
                                       Hook&& hook) {
  using V = typename S::Value;
  const std::size_t count = graph.values().size();
  std::vector<std::size_t> uses_left(count, 0);
  for (const Node& node : graph.nodes()) {
    for (ValueId id : node.inputs) ++uses_left[id.index];
  }
  for (const Output& output : graph.outputs()) ++uses_left[output.value.index];
  std::vector<std::optional<V>> live(count);
  std::vector<V> arguments;
  for (const Node& node : graph.nodes()) {
    if (const auto* input = std::get_if<op::Input>(&node.op)) {
      const auto index = static_cast<std::size_t>(input->index);
      QOPT_CHECK(index < inputs.size(), "graph input {} of {} given", index,
                 inputs.size());
      live[node.output.index] = hook(node.output, V(inputs[index]));
      continue;
    }
    arguments.clear();
    for (ValueId id : node.inputs) {
      const Value& value = graph.value(id);
      if (value.constant) {
        arguments.push_back(semantics.constant(graph, id, *value.constant));
      } else {
        QOPT_CHECK(live[id.index].has_value(), "'{}' used before it is made", value.name);
        arguments.push_back(*live[id.index]);
      }
    }
    for (ValueId id : node.inputs) {
      if (--uses_left[id.index] == 0) live[id.index].reset();
    }
    try {
      live[node.output.index] = hook(
          node.output, V(semantics.apply(graph, node, std::span<const V>(arguments))));
    } catch (const Error& e) {
      throw Error(e.code(), "in node " + graph.value(node.output).name, e.what());
    }
  }
  std::vector<V> outputs;
  for (const Output& output : graph.outputs()) {
    const Value& value = graph.value(output.value);
    if (value.constant) {
      outputs.push_back(semantics.constant(graph, output.value, *value.constant));
    } else {
      QOPT_CHECK(live[output.value.index].has_value(), "output '{}' never made",
                 output.name);
      outputs.push_back(*live[output.value.index]);
    }
  }
  return outputs;
}

template <Semantics S>
std::vector<typename S::Value> execute(const Graph& graph, S& semantics,
                                       std::span<const typename S::Value> inputs) {
  return execute(graph, semantics, inputs,
                 [](ValueId, typename S::Value value) { return value; });
}

}  // namespace qopt
