// SPDX-License-Identifier: MIT
// Layer names as users write them: the error for a pattern that no layer has. Knows names
// only.
#pragma once

#include <string>
#include <string_view>

#include "lib/graph/graph.h"

namespace qopt {

/// Throws Error(Usage) at `where`: `pattern` matches no node of `graph`; names the near
/// ones, or some.
[[noreturn]] void no_such_layer(const Graph& graph, std::string_view pattern,
                                const std::string& where);

}  // namespace qopt
