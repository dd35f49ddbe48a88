// SPDX-License-Identifier: MIT
// The step `replace_activations`: its settings, the rewrite of the imported model, and
// its score. What it writes is a graph; what it costs is measured by others.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lib/config/fields.h"
#include "lib/graph/passes/replace_activations.h"
#include "lib/ptq/ptq.h"
#include "lib/report/report.h"

namespace qopt::pipeline {

struct ActivationStep {
  std::vector<std::string> from{"relu", "relu6"};
  std::string to = "gelu";
  ActivationParameters parameters;
  std::vector<std::string> layers{"*"};
  std::string where;  // file:line:col, for messages
};
void describe(config::Fields& fields, ActivationStep& step);

/// The model as the methods see it.
struct Rewritten {
  Graph graph;
  std::vector<ReplacedActivation> activations;
};
/// `imported` (Canonical, or its form for training), with the step's activations in
/// place. Throws Error(Usage) as replace_activations does.
Rewritten rewrite_activations(const std::optional<ActivationStep>& step,
                              const Graph& imported);

/// How far apart old and new function are on `statistics` of `canonical`: the mean of
/// |f - g| over the histogram of the value read, and its largest value at a bin that is
/// not empty. Several old functions (prelu) count alike.
std::vector<report::ReplacedActivation> score_activations(
    std::span<const ReplacedActivation> activations, const Graph& canonical,
    std::span<const ptq::ValueStatistics> statistics);

}  // namespace qopt::pipeline
