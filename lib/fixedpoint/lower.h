// SPDX-License-Identifier: MIT
// Lowering: an Encoded graph becomes an Integer graph that means the same on codes.
// Chooses multipliers, shifts, tables and physical layouts; measures nothing, knows no
// backend.
#pragma once

#include <optional>
#include <string>

#include "lib/graph/graph.h"

namespace qopt {

/// The Integer graph. Physical layouts are chosen here: images become N,H,W,C, linear
/// layers 1x1 convolutions, a Permute appears only where bytes really move. Values that
/// have a Canonical counterpart keep its name and say their `layout`. Graph inputs and
/// outputs keep order and names. The result has passed verify and require_no_overflow.
/// Throws Error(ModelUnsupported) listing every node that has no integer form, or whose
/// accumulator could overflow.
Graph lower_to_integer(const Graph& encoded);

/// Why a node of an Encoded graph has no integer form whatever feeds it; empty when it
/// has one.
std::optional<std::string> no_integer_form(const Graph& encoded, const Node& node);

}  // namespace qopt
