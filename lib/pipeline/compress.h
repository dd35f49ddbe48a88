// SPDX-License-Identifier: MIT
// `qopt compress`: the whole way from a model file to a verified folder with its report.
#pragma once

#include <filesystem>
#include <string>

#include "lib/core/error.h"
#include "lib/pipeline/compress_config.h"
#include "lib/pipeline/listener.h"
#include "lib/report/report.h"

namespace qopt::pipeline {

struct CompressResult {
  report::Report report;
  report::Timing timing;
  std::filesystem::path folder;
  ExitCode code = ExitCode::Ok;  // Ok, GateFailed, Infeasible or NotBitExact
};

/// Runs the job. The folder appears complete or not at all; a result that fails its gate
/// or its verification is written too, with a file REJECTED that says why. Throws Error
/// for everything that gives no result, Error(Interrupted) after Ctrl-C.
CompressResult compress(const CompressConfig& config, Listener& listener);

}  // namespace qopt::pipeline
