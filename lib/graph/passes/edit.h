// SPDX-License-Identifier: MIT
// What the passes share: walking with a rewrite, looking back along single uses, reading
// and replacing constants. Private to lib/graph/passes.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lib/graph/graph.h"

namespace qopt::edit {

/// Applies `rewrite(graph, i)` at every node until it returns false there, then removes
/// what died. The rewrite may insert before node i, change it, or drop it.
bool rewrite_all(Graph& graph, bool (*rewrite)(Graph&, std::size_t));

/// Turns node i into `op` of `inputs`, in place: the result keeps its name, type and
/// users.
void become(Graph& graph, std::size_t i, Op op, std::vector<ValueId> inputs);
/// Makes the users of node i use `value`, and drops the node.
void bypass(Graph& graph, std::size_t i, ValueId value);

/// Index of the producer of `value` if node number `user` is its only use; else empty.
std::optional<std::size_t> sole_producer(const Graph& graph, ValueId value);

/// The node that makes `value` when it holds operator O, else null. Valid until the next
/// edit.
template <class O>
const Node* maker(const Graph& graph, ValueId value) {
  const std::optional<std::size_t> i = graph.producer(value);
  if (!i || !std::holds_alternative<O>(graph.nodes()[*i].op)) return nullptr;
  return &graph.nodes()[*i];
}

/// Elements of a float tensor; empty optional when the value is no f32 or f64 constant.
std::optional<std::vector<double>> constant_reals(const Graph& graph, ValueId value);
/// `reals` rounded to `dtype` (F32 or F64).
Tensor tensor_of(DType dtype, const std::vector<double>& reals, Shape shape);
/// Sets operand `operand` of node i to this constant: in place, keeping the name, when
/// nobody else uses the old one. An operand one past the last is appended as a constant
/// called `name`.
void set_constant(Graph& graph, std::size_t i, std::size_t operand, Tensor tensor,
                  const std::string& name);

/// A constant that varies along at most one axis of a result: x * factor or x + factor.
struct AxisVector {
  std::optional<std::size_t> axis;  // empty: one scalar
  std::vector<double> entries;      // one, or one for each index along the axis
};
/// The constant as a vector along an axis of a value of shape `result`; empty when
/// `value` is no float constant, varies along several axes, or would enlarge the shape by
/// broadcasting.
std::optional<AxisVector> axis_vector(const Graph& graph, ValueId value,
                                      const Shape& result);

}  // namespace qopt::edit
