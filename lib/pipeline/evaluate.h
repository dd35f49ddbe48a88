// SPDX-License-Identifier: MIT
// Evaluation: float, simulated and exact-integer readings of one model on a whole data
// set, parallel over samples, the same for every number of threads.
#pragma once

#include <functional>

#include "lib/aten/float_executor.h"
#include "lib/data/dataset.h"
#include "lib/fixedpoint/integer_executor.h"
#include "lib/report/report.h"

namespace qopt::pipeline {

using Progress = std::function<void(std::int64_t done, std::int64_t total)>;

/// Any of the three may be null.
struct Readings {
  const aten::FloatExecutor* float_model = nullptr;
  const aten::FloatExecutor* fake_quant = nullptr;
  const IntegerExecutor* integer = nullptr;
  // Labelled sets: receives what the float model said, or, without float_model, stands in
  // for it, so that several readings of one set run the float model once.
  eval::Outcomes* float_outcomes = nullptr;
};

/// With labels: top-1 of the first output (and top-5 above five scores), and the paired
/// drop float -> integer at `confidence`. Without: error of the outputs against the float
/// model. Throws Error(Data) for a label outside the scores.
report::Metrics evaluate(const Readings& readings, const data::Dataset& samples,
                         double confidence, int threads, const Progress& progress = {});

}  // namespace qopt::pipeline
