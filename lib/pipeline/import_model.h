// SPDX-License-Identifier: MIT
// From a model file to the Canonical graph, with the checks that belong to neither the
// front end nor the rewrites: finite weights, and the same outputs as LibTorch's own
// forward.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "lib/data/dataset.h"
#include "lib/frontend/import.h"

namespace qopt::pipeline {

struct ImportedModel {
  frontend::Model model;
  Graph canonical;
  std::uint64_t file_bytes = 0;
  std::string file_digest;  // SHA-256
};

/// Throws Error(ModelUnsupported) for what cannot be loaded or imported and for weights
/// that are not finite, naming each.
ImportedModel import_model(const std::filesystem::path& path,
                           std::span<const frontend::InputSpec> inputs);

/// Compares the Canonical graph with the model's own forward on one sample; says what is
/// wrong when an output differs by more than 1e-4 of its largest value.
std::optional<std::string> import_fault(const ImportedModel& imported,
                                        const data::Sample& sample);

}  // namespace qopt::pipeline
