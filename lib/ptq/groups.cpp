// SPDX-License-Identifier: MIT
#include "lib/ptq/groups.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "lib/graph/verify.h"

namespace qopt::ptq {
namespace {

/// Union-find over value indices; the smallest index names the set.
class Sets {
 public:
  explicit Sets(std::size_t count) : parent_(count) {
    std::iota(parent_.begin(), parent_.end(), std::size_t{0});
  }
  std::size_t find(std::size_t i) {
    while (parent_[i] != i) i = parent_[i] = parent_[parent_[i]];
    return i;
  }
  void join(ValueId a, ValueId b) {
    const std::size_t x = find(a.index), y = find(b.index);
    parent_[std::max(x, y)] = std::min(x, y);
  }

 private:
  std::vector<std::size_t> parent_;
};

/// True when every number of the result is one of the operands' (or between two of them).
bool only_moves(const Op& op) {
  if (const auto* pad = std::get_if<op::Pad>(&op)) return pad->value == 0.0;
  return keeps_encoding(op) || std::holds_alternative<op::Embedding>(op);
}

/// The op an operand shares its encoding with the result of.
bool shares_encoding(const Op& op, std::size_t operand) {
  return keeps_encoding(op) ||
         (std::holds_alternative<op::Embedding>(op) && operand == 1);
}

bool is_real(const Graph& graph, ValueId id) {
  return graph.value(id).dtype == DType::F32;
}

}  // namespace

std::vector<Group> groups_of(const Graph& graph, bool unify_add) {
  const std::size_t count = graph.values().size();
  Sets sets(count);
  std::vector<bool> takes_encoding(count, false), is_source(count, false);
  for (const Node& node : graph.nodes()) {
    if (!is_real(graph, node.output) || is_fused_into_clamp(graph, node.output)) continue;
    takes_encoding[node.output.index] = true;
    is_source[node.output.index] = !only_moves(node.op);
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      const ValueId operand = node.inputs[i];
      if (!shares_encoding(node.op, i) || !is_real(graph, operand)) continue;
      sets.join(operand, node.output);
      if (graph.is_constant(operand)) {
        takes_encoding[operand.index] = is_source[operand.index] = true;
      }
    }
  }
  if (unify_add) {
    for (const Node& node : graph.nodes()) {
      const auto* binary = std::get_if<op::Binary>(&node.op);
      if (binary == nullptr || binary->kind != BinaryKind::Add) continue;
      const ValueId a = node.inputs[0], b = node.inputs[1];
      if (takes_encoding[a.index] && takes_encoding[b.index] && !graph.is_constant(a) &&
          !graph.is_constant(b)) {
        sets.join(a, b);
      }
    }
  }
  std::vector<Group> groups;
  std::map<std::size_t, std::size_t> group_of_set;
  for (std::uint32_t v = 0; v < count; ++v) {
    if (!takes_encoding[v]) continue;
    const auto [at, is_new] = group_of_set.emplace(sets.find(v), groups.size());
    if (is_new) groups.emplace_back();
    Group& group = groups[at->second];
    group.members.push_back({v});
    if (is_source[v]) group.sources.push_back({v});
  }
  return groups;
}

}  // namespace qopt::ptq
