// SPDX-License-Identifier: MIT
// The gate: what a result must keep, judged on what was measured.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lib/core/error.h"
#include "lib/pipeline/compress_config.h"
#include "lib/report/report.h"

namespace qopt::pipeline {

/// Compares the constraints with the report's sizes and with `judged`, the metrics on the
/// gate set (or the evaluation set).
report::Gate judge(const Constraints& constraints, const report::Sizes& sizes,
                   const report::Metrics& judged);

/// Why the result must not be used, one sentence each; empty when it may.
std::vector<std::string> rejections(const report::Report& report);

/// The exit code of a finished run: 7 before 6 before 5 before 0.
ExitCode exit_code(const report::Report& report);

}  // namespace qopt::pipeline
