// SPDX-License-Identifier: MIT
// The result folder: what goes where, and that nothing which is not ours gets replaced.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "lib/export/artifact.h"
#include "lib/export/c_backend.h"
#include "lib/pipeline/compress_config.h"
#include "lib/report/report.h"

namespace qopt::pipeline {

/// Throws Error(Usage) when `folder` exists, is not empty and was not written by qopt.
void require_replaceable(const std::filesystem::path& folder);

/// The configured core with its measurements. Throws Error(Data) where one cannot be
/// read.
emit::KernelTarget kernel_target(const CompressConfig& config);

/// Sources, blob, golden vectors of the first calibration samples, the resolved
/// configuration and, where wanted, model.sim.pt, under one manifest.
emit::Artifact build_artifact(const CompressConfig& config, const Graph& encoded,
                              const Graph& integer, const data::Dataset& calibration,
                              const emit::KernelTarget& target, int threads,
                              emit::ExportSizes& sizes);

/// Verifies a written folder on the configured targets (none: an empty list).
std::vector<report::VerifyRow> verify_result(const std::filesystem::path& folder,
                                             const std::vector<std::string>& targets,
                                             int threads);

/// report.json, report.html, timing.json, and REJECTED where there are reasons.
void write_reports(const std::filesystem::path& folder, const report::Report& report,
                   const report::Timing& timing);

}  // namespace qopt::pipeline
