// SPDX-License-Identifier: MIT
// Nodes whose operands are all constants become constants: data movement in any element
// type, arithmetic in double precision.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "lib/graph/passes/edit.h"
#include "lib/graph/passes/passes.h"

namespace qopt {
namespace {

/// A folded constant may take this many bytes; larger ones stay computed.
constexpr std::int64_t kMaxBytes = std::int64_t{64} << 20;

/// Element strides of `from` seen under the broadcast shape `to`; 0 where it repeats.
std::vector<std::int64_t> broadcast_strides(const Shape& from, const Shape& to) {
  std::vector<std::int64_t> strides(to.size(), 0);
  std::int64_t stride = 1;
  for (std::size_t i = from.size(); i-- > 0;) {
    strides[i + to.size() - from.size()] = from[i] == 1 ? 0 : stride;
    stride *= from[i];
  }
  return strides;
}

/// Calls f(offset) for each index of `shape` in row-major order.
template <class F>
void walk(const Shape& shape, const std::vector<std::int64_t>& strides,
          std::int64_t offset, F&& f) {
  std::vector<std::int64_t> index(shape.size(), 0);
  for (std::int64_t n = num_elements(shape); n > 0; --n) {
    f(offset);
    for (std::size_t axis = shape.size(); axis-- > 0;) {
      offset += strides[axis];
      if (++index[axis] < shape[axis]) break;
      offset -= strides[axis] * shape[axis];
      index[axis] = 0;
    }
  }
}

Tensor gathered(const Tensor& from, const Shape& shape,
                const std::vector<std::int64_t>& strides, std::int64_t offset) {
  Tensor out = Tensor::zeros(from.dtype(), shape);
  const std::size_t width = dtype_size(from.dtype());
  std::byte* to = out.mutable_bytes().data();
  const std::byte* bytes = from.bytes().data();
  walk(shape, strides, offset, [&](std::int64_t at) {
    std::memcpy(to, bytes + static_cast<std::size_t>(at) * width, width);
    to += width;
  });
  return out;
}

double apply(BinaryKind kind, double a, double b) {
  switch (kind) {
    case BinaryKind::Add: return a + b;
    case BinaryKind::Sub: return a - b;
    case BinaryKind::Mul: return a * b;
    case BinaryKind::Div: return a / b;
  }
  throw InternalError("unknown binary kind");
}

std::optional<Tensor> folded_binary(const Graph& graph, const Node& node,
                                    BinaryKind kind) {
  const auto a = edit::constant_reals(graph, node.inputs[0]);
  const auto b = edit::constant_reals(graph, node.inputs[1]);
  if (!a || !b) return std::nullopt;
  const Value& result = graph.value(node.output);
  std::vector<double> out;
  walk(result.shape, broadcast_strides(graph.value(node.inputs[0]).shape, result.shape),
       0, [&](std::int64_t at) { out.push_back((*a)[static_cast<std::size_t>(at)]); });
  std::size_t n = 0;
  walk(result.shape, broadcast_strides(graph.value(node.inputs[1]).shape, result.shape),
       0, [&](std::int64_t at) {
         out[n] = apply(kind, out[n], (*b)[static_cast<std::size_t>(at)]);
         ++n;
       });
  return edit::tensor_of(result.dtype, out, result.shape);
}

std::optional<Tensor> folded(const Graph& graph, const Node& node) {
  const Value& result = graph.value(node.output);
  const Tensor& x = *graph.value(node.inputs[0]).constant;
  if (std::holds_alternative<op::Reshape>(node.op)) return x.reshaped(result.shape);
  if (const auto* permute = std::get_if<op::Permute>(&node.op)) {
    return permuted(x, permute->perm);
  }
  if (std::holds_alternative<op::Expand>(node.op)) {
    return gathered(x, result.shape, broadcast_strides(x.shape(), result.shape), 0);
  }
  if (const auto* slice = std::get_if<op::Slice>(&node.op)) {
    std::vector<std::int64_t> strides(x.shape().size(), 1);
    for (std::size_t i = strides.size(); i-- > 1;)
      strides[i - 1] = strides[i] * x.shape()[i];
    const auto axis = static_cast<std::size_t>(slice->axis);
    const std::int64_t offset = slice->start * strides[axis];
    strides[axis] *= slice->step;
    return gathered(x, result.shape, strides, offset);
  }
  if (const auto* binary = std::get_if<op::Binary>(&node.op)) {
    return folded_binary(graph, node, binary->kind);
  }
  std::optional<std::vector<double>> reals = edit::constant_reals(graph, node.inputs[0]);
  if (!reals) return std::nullopt;
  if (const auto* unary = std::get_if<op::Unary>(&node.op)) {
    for (double& value : *reals) value = apply_unary(*unary, value);
    return edit::tensor_of(result.dtype, *reals, result.shape);
  }
  if (const auto* clamp = std::get_if<op::Clamp>(&node.op)) {
    for (double& value : *reals) value = std::min(std::max(value, clamp->lo), clamp->hi);
    return edit::tensor_of(result.dtype, *reals, result.shape);
  }
  return std::nullopt;
}

bool fold_at(Graph& graph, std::size_t i) {
  const Node& node = graph.nodes()[i];
  const auto constant = [&](ValueId id) { return graph.is_constant(id); };
  if (node.inputs.empty() || !std::ranges::all_of(node.inputs, constant)) return false;
  const Value& result = graph.value(node.output);
  if (num_elements(result.shape) >
      kMaxBytes / static_cast<std::int64_t>(dtype_size(result.dtype))) {
    return false;
  }
  std::optional<Tensor> tensor = folded(graph, node);
  if (!tensor) return false;
  // The value keeps its name and its users; only its maker goes.
  graph.value(node.output).constant = std::move(*tensor);
  graph.mutable_nodes().erase(graph.mutable_nodes().begin() +
                              static_cast<std::ptrdiff_t>(i));
  return true;
}

}  // namespace

bool fold_constants(Graph& graph) { return edit::rewrite_all(graph, fold_at); }

}  // namespace qopt
