// SPDX-License-Identifier: MIT
// `qopt compress --dry-run`: everything that can be checked before the work, and what the
// work would be. Runs nothing on samples, writes nothing.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "lib/frontend/import.h"
#include "lib/pipeline/compress_config.h"

namespace qopt::pipeline {

struct Plan {
  std::filesystem::path model, folder;
  std::size_t nodes = 0;  // of the Canonical graph
  std::int64_t macs = 0;
  std::vector<frontend::InputSpec> inputs, outputs;
  std::string calibration;  // descriptions of the data sets
  std::optional<std::string> eval, gate;
};

/// Imports the model, opens the data, matches the layer rules. Throws the errors that
/// compress() would throw for them.
Plan make_plan(const CompressConfig& config);

std::string plan_text(const Plan& plan);
std::string plan_json(const Plan& plan);

}  // namespace qopt::pipeline
