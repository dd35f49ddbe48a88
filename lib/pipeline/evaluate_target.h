// SPDX-License-Identifier: MIT
// `qopt eval`: the quality of one thing, an exported folder (exact integers) or a
// TorchScript file (float), on declared data.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "lib/pipeline/compress_config.h"
#include "lib/pipeline/listener.h"
#include "lib/report/report.h"

namespace qopt::pipeline {

struct EvalRequest {
  std::filesystem::path target;
  std::optional<CompressConfig> config;     // gives data.eval, and the inputs of a file
  std::optional<data::DatasetSpec> data;    // wins over the configuration's
  std::vector<frontend::InputSpec> inputs;  // of a file, without a configuration
  int threads = 0;                          // 0: all cores
};

/// Fills `integer` for a folder, `float_model` for a file. A folder without configuration
/// and data takes those it was made with, as far as they are still there.
report::Metrics evaluate_target(const EvalRequest& request, Listener& listener);

/// `KEY=VALUE` pairs of `--data`, with the keys of data.eval; paths start at the current
/// folder.
data::DatasetSpec parse_data(const std::vector<std::string>& assignments);

std::string metrics_json(const report::Metrics& metrics);
std::string metrics_text(const report::Metrics& metrics);

}  // namespace qopt::pipeline
