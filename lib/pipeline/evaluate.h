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

/// Any of the models may be null.
struct Readings {
  const aten::FloatExecutor* float_model = nullptr;
  const aten::FloatExecutor* fake_quant = nullptr;
  const IntegerExecutor* integer = nullptr;
  // Labelled sets: receives what the float model said, or, without float_model, stands in
  // for it, so that several readings of one set run the float model once.
  eval::Outcomes* float_outcomes = nullptr;
  const aten::FloatExecutor* rewritten = nullptr;  // float, with other activations
};

/// With labels: top-1 of the first output (and top-5 above five scores), and the paired
/// drops float -> integer and float -> rewritten at `confidence`. Without: error of the
/// outputs against the float model. Throws Error(Data) for a label outside the scores.
report::Metrics evaluate(const Readings& readings, const data::Dataset& samples,
                         double confidence, int threads, const Progress& progress = {});

/// Rank of the sample's label among `scores` (0: the best). Throws Error(Data) naming the
/// sample where it has none, or one outside the scores.
std::int64_t label_rank(const data::Dataset& samples, std::int64_t index,
                        const data::Sample& sample, const Tensor& scores);

/// Top-1 in percent of a model on the first `count` samples, by the scores that it gives
/// sample number `index`; parallel over samples, the same for every number of threads.
/// Throws as label_rank.
using Scores = std::function<Tensor(const data::Sample& sample, std::int64_t index)>;
double top1_percent(const data::Dataset& samples, std::int64_t count, int threads,
                    const Scores& scores);

}  // namespace qopt::pipeline
