// SPDX-License-Identifier: MIT
// Groups: values that must share one encoding, because operators between them only move
// codes. Knows the graph, no numbers.
#pragma once

#include <functional>
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
///
/// A concat joins with an operand unless that costs a bit of resolution or more: where
/// the operand's group is over twice as wide as the result (it would coarsen the result),
/// or the result over twice as wide as a group that is used elsewhere too (it would
/// coarsen those uses). Such an operand keeps its own encoding, and lowering rescales it.
/// `width_of` says how wide the numbers of a value are, zero included.
using WidthOf = std::function<double(ValueId)>;
std::vector<Group> groups_of(const Graph& graph, const WidthOf& width_of, bool unify_add);

}  // namespace qopt::ptq
