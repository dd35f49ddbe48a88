// SPDX-License-Identifier: MIT
// From the imported model to the graph that methods see: other activations where they are
// wanted, layer inputs apart, layer rules matched. One way for every command.
#pragma once

#include <vector>

#include "lib/pipeline/activation_step.h"
#include "lib/pipeline/compress_config.h"

namespace qopt::pipeline {

struct Prepared {
  Graph graph;
  std::vector<ReplacedActivation> activations;
};

/// `imported` is Canonical, or its form for training. Throws Error(Usage) where an
/// activation rule fits nothing, ConfigError with every layer rule whose pattern matches
/// no layer: a misspelt name is found before the calibration, not after it.
Prepared prepare(const CompressConfig& config, const Graph& imported);

}  // namespace qopt::pipeline
