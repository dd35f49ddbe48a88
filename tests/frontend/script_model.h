// SPDX-License-Identifier: MIT
// Small TorchScript modules out of source text, saved and loaded as any other file.
#pragma once

#include <torch/script.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "lib/frontend/import.h"

namespace qopt {

/// A folder of its own, removed at the end.
class ScratchFolder {
 public:
  ScratchFolder()
      : path_(std::filesystem::temp_directory_path() /
              ("qopt_frontend_test_" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(path_);
  }
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

using Weights = std::vector<std::pair<std::string, Shape>>;

/// A module with seeded normal parameters and one forward. Weights whose name begins with
/// "var" are positive.
inline torch::jit::Module make_module(const std::string& source,
                                      const Weights& weights = {}) {
  torch::jit::Module module("M");
  module.register_attribute("training", c10::BoolType::get(), true);
  at::manual_seed(11);
  for (const auto& [name, shape] : weights) {
    at::Tensor tensor = at::randn(shape) * 0.5;
    if (name.starts_with("var")) tensor = tensor.abs() + 0.1;
    module.register_parameter(name, tensor, /*is_buffer=*/false);
  }
  module.define(source);
  return module;
}

inline frontend::Model reload(const torch::jit::Module& module,
                              const ScratchFolder& folder) {
  const std::filesystem::path path = folder / "module.pt";
  module.save(path.string());
  return frontend::Model::load(path);
}

}  // namespace qopt
