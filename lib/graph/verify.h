// SPDX-License-Identifier: MIT
// The verifier: what must hold of a graph at its level. Reports everything at once.
#pragma once

#include <string>
#include <vector>

#include "lib/graph/graph.h"

namespace qopt {

struct Diagnostic {
  std::string where;  // value or node name
  std::string what;
};

/// All violations of the graph's level (docs/ir.md lists the rules); empty means valid.
std::vector<Diagnostic> verify(const Graph& graph);

/// Throws InternalError listing the diagnostics, naming `after` (the step that just ran).
void require_valid(const Graph& graph, std::string_view after);

/// True when `value` takes no encoding of its own because its only user is a Clamp that
/// lowering merges into the producer (a convolution, linear, matmul, add, mul, ... with
/// an accumulator). The clamp's result carries the encoding instead.
bool is_fused_into_clamp(const Graph& graph, ValueId value);

/// True when the operator only moves codes, so that its input and output share one
/// encoding (reshape, permute, slice, expand, concat, max pool, pad, resize). An operand
/// of a concat that is no constant may differ all the same: lowering rescales it.
bool keeps_encoding(const Op& op);

}  // namespace qopt
