// SPDX-License-Identifier: MIT
// Groups: values that must share one encoding, because operators between them only move
// codes. Knows the graph, no numbers.
#pragma once

#include <vector>

#include "lib/graph/graph.h"

namespace qopt::ptq {

/// Values in id order. `sources` are the members whose numbers decide the range: all
/// others are made from them by moving.
struct Group {
  std::vector<ValueId> members, sources;
};

/// Every f32 value that takes an encoding of its own is in exactly one group: results and
/// graph inputs (not those fused into a clamp), and constants that meet them in an
/// operator that moves codes. Groups are in order of their first member. `unify_add`
/// joins the operands of additions as well.
std::vector<Group> groups_of(const Graph& graph, bool unify_add);

}  // namespace qopt::ptq
