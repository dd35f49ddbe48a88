// SPDX-License-Identifier: MIT
// The step `mixed_precision`: raises the most sensitive layers to more bits, one by one,
// until the drop meets a target. Writes layer rules; ptq writes the encodings.
//
// Partial quantization leaves the worst layers in float (arXiv:2004.09602, section 5.1).
// What is exported here is integer throughout, so they get 8 or 16 bits instead.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lib/config/fields.h"
#include "lib/pipeline/evaluate.h"
#include "lib/ptq/ptq.h"
#include "lib/report/report.h"

namespace qopt::pipeline {

struct CompressConfig;
struct Sources;

struct MixedPrecisionStep {
  double target_drop = 1.0;
  std::string unit = "pp";  // percentage points of top-1
  std::vector<std::int64_t> bits{8, 16};
  std::optional<std::int64_t> samples{};  // the first of them; all where empty
};
void describe(config::Fields& fields, MixedPrecisionStep& step);

/// A run of the search: the configuration to quantise with, and how it was found.
struct Precision {
  ptq::PtqConfig ptq;
  report::MixedPrecision report;
};

/// The order of layers is that of measure_sensitivity on `canonical`; each state is
/// measured in exact integers against `original`, the float model as imported. All layers
/// go to the first width before any goes to the next. Ends at the first state whose drop
/// is at most the target, else takes that of the least drop (the earliest of them). A
/// raise that has no integer form is noted and passed over.
///
/// Selects on data.selection, else on data.calibration where that has labels, else on
/// data.eval. Throws Error(Data) where none has labels.
Precision search_precision(const CompressConfig& config, const Graph& original,
                           const Graph& canonical,
                           std::span<const ptq::ValueStatistics> statistics,
                           const Sources& sources, int threads,
                           const Progress& progress = {});

}  // namespace qopt::pipeline
