// SPDX-License-Identifier: MIT
// Sources: the data sets of a configuration, opened and guarded: every sample that comes
// out fits the model and is finite.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "lib/data/dataset.h"
#include "lib/graph/graph.h"
#include "lib/pipeline/compress_config.h"

namespace qopt::pipeline {

struct Sources {
  std::unique_ptr<data::Dataset> calibration, eval, gate;  // eval and gate may be null
};

/// What a graph of any level is fed with: real tensors in LibTorch's layout.
std::vector<frontend::InputSpec> real_inputs(const Graph& graph);

/// Opens one source; `where` is its key (`data.eval`), for messages. Random data takes
/// the shapes of `inputs`. Throws Error(Data), later too for a sample that does not fit
/// `inputs`.
std::unique_ptr<data::Dataset> open_source(const data::DatasetSpec& spec,
                                           std::string where,
                                           std::vector<frontend::InputSpec> inputs);

/// All sources of a configuration. Throws Error(Data), also when max_drop lacks labels.
Sources open_sources(const CompressConfig& config, const Graph& graph);

}  // namespace qopt::pipeline
