// SPDX-License-Identifier: MIT
// model.sim.pt: a TorchScript file that computes the simulated (fake-quantised) model,
// for use wherever the original was used.
#pragma once

#include <string>

#include "lib/export/artifact.h"
#include "lib/graph/graph.h"

namespace qopt::pipeline {

/// TorchScript archive of an Encoded graph: the same numbers as FloatExecutor in
/// FakeQuant mode. One output is returned as a tensor, several as a tuple in the graph's
/// order.
std::string simulated_torchscript(const Graph& encoded);

/// Adds it as model.sim.pt.
void add_sim_torchscript(emit::Artifact& artifact, const Graph& encoded);

}  // namespace qopt::pipeline
