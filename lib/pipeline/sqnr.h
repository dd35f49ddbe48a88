// SPDX-License-Identifier: MIT
// Signal-to-noise of every value: what its own encoding costs (isolated), and what
// everything before it has cost by then, in exact integers (cumulative).
#pragma once

#include <map>
#include <optional>
#include <string>

#include "lib/data/dataset.h"
#include "lib/eval/metrics.h"
#include "lib/fixedpoint/integer_executor.h"
#include "lib/pipeline/evaluate.h"

namespace qopt::pipeline {

struct ValueNoise {
  eval::Distortion isolated, cumulative;
};

/// By value name, for the values that the Canonical and the Integer graph share. Uses the
/// first `count` samples; `encoded` says each value's encoding.
std::map<std::string, ValueNoise> measure_noise(const Graph& canonical,
                                                const Graph& encoded,
                                                const IntegerExecutor& integer,
                                                const data::Dataset& samples,
                                                std::int64_t count, int threads,
                                                const Progress& progress = {});

}  // namespace qopt::pipeline
