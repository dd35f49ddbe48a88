// SPDX-License-Identifier: MIT
// The report's tables of layers and activations, gathered from what the steps found out.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "lib/exec/interval.h"
#include "lib/export/blob.h"
#include "lib/export/kernel_choice.h"
#include "lib/pipeline/sqnr.h"
#include "lib/ptq/ptq.h"
#include "lib/report/report.h"

namespace qopt::pipeline {

/// One row for each computing node of the Integer graph, in execution order; reshapes,
/// which move nothing, have none.
std::vector<report::Layer> layer_table(const Graph& integer,
                                       std::span<const AccumulatorProof> proofs,
                                       const std::vector<emit::Section>& sections,
                                       std::span<const ptq::Choice> choices,
                                       const std::map<std::string, ValueNoise>& noise,
                                       const emit::KernelTarget& target);

/// One row for each encoded activation, with its histogram reduced to about 100 bins.
std::vector<report::Activation> activation_table(
    const Graph& canonical, std::span<const ptq::ValueStatistics> statistics,
    std::span<const ptq::Choice> choices);

}  // namespace qopt::pipeline
