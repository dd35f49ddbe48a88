// SPDX-License-Identifier: MIT
#include "lib/graph/passes/edit.h"

#include <utility>

#include "lib/graph/shape.h"

namespace qopt::edit {

bool rewrite_all(Graph& graph, bool (*rewrite)(Graph&, std::size_t)) {
  bool changed = false;
  for (std::size_t i = 0; i < graph.nodes().size();) {
    if (rewrite(graph, i)) {
      changed = true;
    } else {
      ++i;
    }
  }
  if (changed) graph.remove_dead();
  return changed;
}

void become(Graph& graph, std::size_t i, Op op, std::vector<ValueId> inputs) {
  Node& node = graph.mutable_nodes()[i];
  node.op = std::move(op);
  node.inputs = std::move(inputs);
}

void bypass(Graph& graph, std::size_t i, ValueId value) {
  const ValueId old = graph.nodes()[i].output;
  graph.replace_uses(old, value);
  graph.mutable_nodes().erase(graph.mutable_nodes().begin() +
                              static_cast<std::ptrdiff_t>(i));
}

std::optional<std::size_t> sole_producer(const Graph& graph, ValueId value) {
  if (graph.is_output(value) || graph.users(value).size() != 1) return std::nullopt;
  return graph.producer(value);
}

std::optional<std::vector<double>> constant_reals(const Graph& graph, ValueId value) {
  const std::optional<Tensor>& tensor = graph.value(value).constant;
  if (!tensor) return std::nullopt;
  if (tensor->dtype() == DType::F32) {
    const auto from = tensor->values<float>();
    return std::vector<double>(from.begin(), from.end());
  }
  if (tensor->dtype() == DType::F64) {
    const auto from = tensor->values<double>();
    return std::vector<double>(from.begin(), from.end());
  }
  return std::nullopt;
}

Tensor tensor_of(DType dtype, const std::vector<double>& reals, Shape shape) {
  if (dtype == DType::F64) return Tensor::from(reals, std::move(shape));
  QOPT_CHECK(dtype == DType::F32, "real numbers as {}", dtype_name(dtype));
  return Tensor::from(std::vector<float>(reals.begin(), reals.end()), std::move(shape));
}

void set_constant(Graph& graph, std::size_t i, std::size_t operand, Tensor tensor,
                  const std::string& name) {
  if (operand == graph.nodes()[i].inputs.size()) {
    const ValueId id = graph.add_constant(name, std::move(tensor));
    graph.mutable_nodes()[i].inputs.push_back(id);
    return;
  }
  const ValueId old = graph.nodes()[i].inputs[operand];
  if (graph.users(old).size() != 1 || graph.is_output(old)) {
    const ValueId id = graph.add_constant(graph.value(old).name, std::move(tensor));
    graph.mutable_nodes()[i].inputs[operand] = id;
    return;
  }
  Value& value = graph.value(old);
  value.dtype = tensor.dtype();
  value.shape = tensor.shape();
  value.constant = std::move(tensor);
}

std::optional<AxisVector> axis_vector(const Graph& graph, ValueId value,
                                      const Shape& result) {
  std::optional<std::vector<double>> entries = constant_reals(graph, value);
  const Shape& shape = graph.value(value).shape;
  if (!entries || entries->empty() || shape.size() > result.size()) return std::nullopt;
  AxisVector found{std::nullopt, std::move(*entries)};
  const std::size_t lead = result.size() - shape.size();
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] == 1) continue;
    if (found.axis || shape[i] != result[lead + i]) return std::nullopt;
    found.axis = lead + i;
  }
  return found;
}

}  // namespace qopt::edit
