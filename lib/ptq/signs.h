// SPDX-License-Identifier: MIT
// Signs: which values can never be negative, whatever the input. Knows operators, no
// samples.
#pragma once

#include <vector>

#include "lib/graph/graph.h"

namespace qopt::ptq {

/// By value index: true where the operators' definitions (and the constants) keep every
/// element at 0 or above. False where they do not, or it is not known: graph inputs, for
/// one.
std::vector<bool> never_negative(const Graph& graph);

}  // namespace qopt::ptq
