// SPDX-License-Identifier: MIT
// `evaluate.analog`: the float model read again and again on simulated analog hardware.
// Changes nothing that is exported.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "lib/config/fields.h"
#include "lib/data/dataset.h"
#include "lib/pipeline/evaluate.h"
#include "lib/ptq/ptq.h"
#include "lib/report/report.h"

namespace qopt::pipeline {

struct AnalogStep {
  int bits = 4;
  double leakage = 0.2;
  std::string range = "observed";  // or "unit"
  bool readout = true;
  std::int64_t repeats = 5, seed = 1;
  std::optional<std::int64_t> samples{};  // the first of data.eval; all where empty
};
void describe(config::Fields& fields, AnalogStep& step);

/// Top-1 of `graph` (Canonical, or Encoded, whose encodings are not read) in each repeat:
/// weights cross into the hardware once a repeat, activations for every sample. With
/// range `observed` 1 stands for the largest magnitude of a weight tensor, or of a value
/// in `statistics`. The same for every number of threads. Throws Error(Data) for samples
/// without labels.
report::AnalogReading read_analog(const AnalogStep& step, const Graph& graph,
                                  std::span<const ptq::ValueStatistics> statistics,
                                  const data::Dataset& samples, int threads,
                                  const Progress& progress = {});

}  // namespace qopt::pipeline
