// SPDX-License-Identifier: MIT
// How many bits packed rows of weights take, for the blob and for the choice of kernels
// that take narrow ones only.
#pragma once

#include <vector>

#include "lib/graph/graph.h"

namespace qopt::emit {

/// What an element of a constant takes where rows hold it.
struct RowBits {
  int bits = 0;      // 0: nobody reads the value, or it is no constant
  bool odd = false;  // fields say odd codes
};

/// By value index. Only convolutions read packed rows, at their `weight_bits` or more
/// where a code needs it, odd where the encoding is `o`; a constant that anything else
/// reads stays plain.
std::vector<RowBits> row_bits(const Graph& integer_graph);

}  // namespace qopt::emit
