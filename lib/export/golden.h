// SPDX-License-Identifier: MIT
// Golden vectors: inputs, and the integers every layer must give for them, by the integer
// executor. Real samples, extremes, rounding ties and saturation.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lib/export/artifact.h"
#include "lib/fixedpoint/integer_executor.h"

namespace qopt::emit {

struct GoldenVector {
  std::string name;  // "sample0", "all_min", "all_max", "ramp", "checker", "noise3"
  std::vector<Tensor> inputs;  // stored codes
};

/// `samples` real inputs (stored codes) plus constructed ones: all minimum, all maximum,
/// all zero point, alternating extremes, a ramp through every code, seeded noise.
std::vector<GoldenVector> make_vectors(const Graph& integer_graph,
                                       const std::vector<std::vector<Tensor>>& samples,
                                       std::uint64_t seed);

/// golden/: vectors.bin (inputs), expected.bin (every layer's stored codes, execution
/// order) and index.json (names, offsets, SHA-256). Adds the files to `artifact`.
/// golden/requant.bin holds arguments and results of the requantiser, ties and limits
/// included.
void add_golden(Artifact& artifact, const IntegerExecutor& executor,
                const std::vector<GoldenVector>& vectors, int threads = 1);

}  // namespace qopt::emit
