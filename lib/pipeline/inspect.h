// SPDX-License-Identifier: MIT
// Looking at a model without compressing it: its graph with shapes, parameters and work,
// and a first configuration for it.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/frontend/import.h"

namespace qopt::pipeline {

/// "1x3x32x32", "1x128:i64" or "name=1x3x32x32". Throws Error(Usage).
frontend::InputSpec parse_input(std::string_view text);

std::string inspect_text(const std::filesystem::path& path,
                         std::span<const frontend::InputSpec> inputs);
std::string inspect_json(const std::filesystem::path& path,
                         std::span<const frontend::InputSpec> inputs);
/// The Canonical graph's text form.
std::string inspect_graph(const std::filesystem::path& path,
                          std::span<const frontend::InputSpec> inputs);

/// A commented configuration that runs as it is (on random data) with `path` relative to
/// `folder`. Without inputs, image-like shapes stand in for them and a comment says so.
std::string initial_config(const std::filesystem::path& path,
                           std::vector<frontend::InputSpec> inputs,
                           const std::filesystem::path& folder);

}  // namespace qopt::pipeline
