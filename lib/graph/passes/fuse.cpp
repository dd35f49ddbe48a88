// SPDX-License-Identifier: MIT
// Patterns of small operators that are one operator here: L2 normalisation, gates,
// products by a constant matrix.
#include "lib/graph/passes/edit.h"
#include "lib/graph/passes/passes.h"

namespace qopt {
namespace {

bool fuse_normalize_at(Graph& graph, std::size_t i) {
  const Node& divide = graph.nodes()[i];
  const auto* binary = std::get_if<op::Binary>(&divide.op);
  if (binary == nullptr || binary->kind != BinaryKind::Div) return false;
  const ValueId x = divide.inputs[0];
  ValueId norm = divide.inputs[1];
  if (const Node* expand = edit::maker<op::Expand>(graph, norm)) norm = expand->inputs[0];
  const Node* bound = edit::maker<op::Clamp>(graph, norm);
  if (bound == nullptr) return false;
  const auto& clamp = std::get<op::Clamp>(bound->op);
  if (clamp.hi != std::numeric_limits<double>::infinity() || !(clamp.lo >= 0.0))
    return false;
  const Node* norm_node = edit::maker<op::Reduce>(graph, bound->inputs[0]);
  if (norm_node == nullptr || norm_node->inputs[0] != x) return false;
  const auto& reduce = std::get<op::Reduce>(norm_node->op);
  if (reduce.kind != ReduceKind::L2Norm || reduce.axes.size() != 1 || !reduce.keepdim) {
    return false;
  }
  edit::become(graph, i, op::L2Normalize{reduce.axes[0], clamp.lo}, {x});
  return true;
}

std::optional<UnaryKind> gated(UnaryKind gate) {
  if (gate == UnaryKind::Sigmoid) return UnaryKind::Silu;
  if (gate == UnaryKind::HardSigmoid) return UnaryKind::HardSwish;
  return std::nullopt;
}

bool fuse_gate_at(Graph& graph, std::size_t i) {
  const Node& node = graph.nodes()[i];
  const auto* binary = std::get_if<op::Binary>(&node.op);
  if (binary == nullptr || binary->kind != BinaryKind::Mul) return false;
  for (std::size_t side = 0; side < 2; ++side) {
    const ValueId x = node.inputs[side];
    const Node* gate = edit::maker<op::Unary>(graph, node.inputs[1 - side]);
    if (gate == nullptr || gate->inputs[0] != x) continue;
    if (const auto kind = gated(std::get<op::Unary>(gate->op).kind)) {
      edit::become(graph, i, op::Unary{*kind}, {x});
      return true;
    }
  }
  return false;
}

bool linear_at(Graph& graph, std::size_t i) {
  const Node& node = graph.nodes()[i];
  if (!std::holds_alternative<op::MatMul>(node.op)) return false;
  const ValueId x = node.inputs[0];
  const Value& matrix = graph.value(node.inputs[1]);
  if (!matrix.constant || matrix.shape.size() != 2 || graph.is_constant(x)) return false;
  const Ints swap{1, 0};
  const ValueId weight =
      graph.add_constant(matrix.name, permuted(*matrix.constant, swap));
  edit::become(graph, i, op::Linear{}, {x, weight});
  return true;
}

}  // namespace

bool fuse_l2_normalize(Graph& graph) {
  return edit::rewrite_all(graph, fuse_normalize_at);
}
bool fuse_gates(Graph& graph) { return edit::rewrite_all(graph, fuse_gate_at); }
bool matmul_to_linear(Graph& graph) { return edit::rewrite_all(graph, linear_at); }

}  // namespace qopt
