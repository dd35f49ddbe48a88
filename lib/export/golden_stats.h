// SPDX-License-Identifier: MIT
// How hard the golden vectors are: rounding ties and clamped results that they reach,
// counted on a fixed sample of each layer's results by the formulas of docs/numerics.md.
#pragma once

#include <cstdint>
#include <functional>

#include "lib/core/tensor.h"
#include "lib/graph/graph.h"

namespace qopt::emit {

struct RoundingStats {
  std::int64_t sampled = 0;  // results looked at
  std::int64_t ties = 0;     // the last rounding was exactly half way
  std::int64_t clamped = 0;  // the result lay outside [lo, hi] before the clamp
};

/// Adds up to `samples` evenly spread results of `node` (qconv2d, qadd, rescale; others
/// add nothing). `value_of` gives the stored codes of an input, constants included.
void count_rounding(const Graph& integer_graph, const Node& node, std::int64_t samples,
                    const std::function<const Tensor&(ValueId)>& value_of,
                    RoundingStats& stats);

}  // namespace qopt::emit
