// SPDX-License-Identifier: MIT
#include "lib/ptq/signs.h"

#include <algorithm>

#include "lib/graph/verify.h"

namespace qopt::ptq {
namespace {

/// `operands`: none of them can be negative.
bool unary_result(const op::Unary& unary, bool operands) {
  switch (unary.kind) {
    case UnaryKind::HardSigmoid:
    case UnaryKind::Sigmoid:
    case UnaryKind::Softplus:
    case UnaryKind::Exp:
    case UnaryKind::Sqrt:
    case UnaryKind::Rsqrt:
    case UnaryKind::Abs:
    case UnaryKind::Square: return true;
    case UnaryKind::Log:
    case UnaryKind::Neg: return false;
    case UnaryKind::LeakyRelu:
    case UnaryKind::HardSwish:
    case UnaryKind::Tanh:
    case UnaryKind::Silu:
    case UnaryKind::Gelu:
    case UnaryKind::GeluTanh:
    case UnaryKind::Elu:
    case UnaryKind::Mish:
    case UnaryKind::Reciprocal: return operands;
    case UnaryKind::InterpolatedGelu:
    case UnaryKind::InterpolatedSilu:
      // A mean of relu and a gate's product, both at least 0 for positive operands.
      return (operands && unary.a >= 0 && unary.a <= 1) || (unary.a == 0 && unary.c == 0);
  }
  throw InternalError("unknown unary kind");
}

bool result(const Op& op, bool operands) {
  if (const auto* clamp = std::get_if<op::Clamp>(&op)) return clamp->lo >= 0 || operands;
  if (const auto* unary = std::get_if<op::Unary>(&op))
    return unary_result(*unary, operands);
  if (const auto* binary = std::get_if<op::Binary>(&op)) {
    return binary->kind != BinaryKind::Sub && operands;
  }
  if (const auto* reduce = std::get_if<op::Reduce>(&op)) {
    return reduce->kind == ReduceKind::L2Norm || operands;
  }
  if (const auto* pad = std::get_if<op::Pad>(&op)) return pad->value >= 0 && operands;
  if (std::holds_alternative<op::Softmax>(op)) return true;
  // A bias or slope among the operands counts as well, so weights need no rule of their
  // own.
  const bool sums_products = std::holds_alternative<op::Conv2d>(op) ||
                             std::holds_alternative<op::ConvTranspose2d>(op) ||
                             std::holds_alternative<op::Linear>(op) ||
                             std::holds_alternative<op::MatMul>(op) ||
                             std::holds_alternative<op::PRelu>(op);
  const bool averages = std::holds_alternative<op::AvgPool2d>(op) ||
                        std::holds_alternative<op::AdaptiveAvgPool2d>(op) ||
                        std::holds_alternative<op::L2Normalize>(op);
  return (sums_products || averages || keeps_encoding(op)) && operands;
}

}  // namespace

std::vector<bool> never_negative(const Graph& graph) {
  std::vector<bool> known(graph.values().size(), false);
  for (std::size_t i = 0; i < known.size(); ++i) {
    const Value& value = graph.values()[i];
    if (!value.constant || value.dtype != DType::F32) continue;
    known[i] = std::ranges::all_of(value.constant->values<float>(),
                                   [](float x) { return x >= 0; });
  }
  for (const Node& node : graph.nodes()) {
    if (std::holds_alternative<op::Input>(node.op)) continue;
    if (std::holds_alternative<op::Embedding>(node.op)) {
      known[node.output.index] = known[node.inputs[1].index];
      continue;
    }
    known[node.output.index] =
        result(node.op, std::ranges::all_of(node.inputs, [&](ValueId id) {
                 return static_cast<bool>(known[id.index]);
               }));
  }
  return known;
}

}  // namespace qopt::ptq
