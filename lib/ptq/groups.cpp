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

/// True when a use of `member` other than moving its codes into `concat` wants its own
/// resolution.
bool is_used_elsewhere(const Graph& graph, ValueId member, const Node& concat) {
  if (graph.is_output(member)) return true;
  for (const std::size_t user : graph.users(member)) {
    const Node& node = graph.nodes()[user];
    if (&node != &concat && !only_moves(node.op)) return true;
  }
  return false;
}

/// The sets while they grow, with what concats need to know of them.
class Builder {
 public:
  Builder(const Graph& graph, const WidthOf& width_of)
      : graph_(graph),
        width_of_(width_of),
        sets_(graph.values().size()),
        takes_encoding_(graph.values().size(), false),
        is_source_(graph.values().size(), false) {}

  void join_moves() {
    for (const Node& node : graph_.nodes()) {
      const ValueId result = node.output;
      if (!is_real(graph_, result) || is_fused_into_clamp(graph_, result)) continue;
      takes_encoding_[result.index] = true;
      is_source_[result.index] = !only_moves(node.op);
      const bool is_concat = std::holds_alternative<op::Concat>(node.op);
      for (std::size_t i = 0; i < node.inputs.size(); ++i) {
        const ValueId operand = node.inputs[i];
        if (!shares_encoding(node.op, i) || !is_real(graph_, operand)) continue;
        if (graph_.is_constant(operand)) {
          takes_encoding_[operand.index] = is_source_[operand.index] = true;
        } else if (is_concat && !concat_may_join(node, operand)) {
          is_source_[result.index] = true;
          continue;
        }
        sets_.join(operand, result);
      }
    }
  }

  void join_additions() {
    for (const Node& node : graph_.nodes()) {
      const auto* binary = std::get_if<op::Binary>(&node.op);
      if (binary == nullptr || binary->kind != BinaryKind::Add) continue;
      const ValueId a = node.inputs[0], b = node.inputs[1];
      if (takes_encoding_[a.index] && takes_encoding_[b.index] &&
          !graph_.is_constant(a) && !graph_.is_constant(b)) {
        sets_.join(a, b);
      }
    }
  }

  std::vector<Group> groups() {
    std::vector<Group> groups;
    std::map<std::size_t, std::size_t> group_of_set;
    for (std::uint32_t v = 0; v < graph_.values().size(); ++v) {
      if (!takes_encoding_[v]) continue;
      const auto [at, is_new] = group_of_set.emplace(sets_.find(v), groups.size());
      if (is_new) groups.emplace_back();
      Group& group = groups[at->second];
      group.members.push_back({v});
      if (is_source_[v]) group.sources.push_back({v});
    }
    return groups;
  }

 private:
  bool concat_may_join(const Node& concat, ValueId operand) {
    double group_width = 0;
    bool used_elsewhere = false;
    const std::size_t set = sets_.find(operand.index);
    for (std::uint32_t v = 0; v < graph_.values().size(); ++v) {
      if (!takes_encoding_[v] || graph_.is_constant({v}) || sets_.find(v) != set)
        continue;
      group_width = std::max(group_width, width_of_({v}));
      used_elsewhere = used_elsewhere || is_used_elsewhere(graph_, {v}, concat);
    }
    const double width = width_of_(concat.output);
    return group_width <= 2 * width && (width <= 2 * group_width || !used_elsewhere);
  }

  const Graph& graph_;
  const WidthOf& width_of_;
  Sets sets_;
  std::vector<bool> takes_encoding_, is_source_;
};

}  // namespace

std::vector<Group> groups_of(const Graph& graph, const WidthOf& width_of,
                             bool unify_add) {
  Builder builder(graph, width_of);
  builder.join_moves();
  if (unify_add) builder.join_additions();
  return builder.groups();
}

}  // namespace qopt::ptq
