// SPDX-License-Identifier: MIT
// The step that trains: opens the training set, holds out what selects, and judges
// candidates in exact integers. Knows no estimators and no losses.
#pragma once

#include <functional>
#include <string>

#include "lib/pipeline/compress_config.h"
#include "lib/pipeline/evaluate.h"
#include "lib/pipeline/import_model.h"
#include "lib/pipeline/listener.h"
#include "lib/report/report.h"

namespace qopt::pipeline {

struct Trained {
  Graph graph;  // Encoded
  report::Training training;
  std::vector<std::string> findings;
};

/// Trains `encoded`, which post-training quantization made of `canonical` (layer inputs
/// separated). Checkpoints go beside the result's folder, under a name made of the run's
/// identity, so that the same command goes on where a killed run was; whoever writes the
/// result takes them away.
Trained train(const CompressConfig& config, const ImportedModel& imported,
              const Graph& canonical, const Graph& encoded, int threads,
              Listener& listener);

/// The graph that trains: the model traced again with a part of a batch at once. Throws
/// Error(Usage) when an input has no batch axis.
Graph training_graph(const CompressConfig& config, const ImportedModel& imported);

/// The folder of this run's checkpoints.
std::filesystem::path checkpoint_folder(const CompressConfig& config,
                                        const ImportedModel& imported);

}  // namespace qopt::pipeline
