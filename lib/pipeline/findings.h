// SPDX-License-Identifier: MIT
// Findings: what a run noticed and a person should know, gathered in one list.
#pragma once

#include <vector>

#include "lib/pipeline/compress_config.h"
#include "lib/pipeline/import_model.h"
#include "lib/pipeline/sources.h"
#include "lib/report/report.h"

namespace qopt::pipeline {

/// In a fixed order: import, data, quantization, sizes, verification.
std::vector<report::Finding> gather_findings(const CompressConfig& config,
                                             const ImportedModel& imported,
                                             const Sources& sources,
                                             const ptq::PtqResult& quantized,
                                             const report::Report& report);

}  // namespace qopt::pipeline
