// SPDX-License-Identifier: MIT
// The front end: a TorchScript file becomes a Graph. Inside the torch wall, torch-free
// face.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/graph/graph.h"

namespace qopt::frontend {

/// What the model is called with, in order of its forward arguments. Tuples and dicts of
/// tensors are given by their leaves, named "arg.0", "arg.key".
struct InputSpec {
  std::string name;  // empty: the model's own argument name
  Shape shape;
  DType dtype = DType::F32;
};

/// A loaded TorchScript module, on the CPU, in evaluation mode.
class Model {
 public:
  /// Throws Error(ModelUnsupported) naming the path when it is no TorchScript archive or
  /// cannot be loaded. Tensors saved on other devices are mapped to the CPU.
  static Model load(const std::filesystem::path& path);
  ~Model();
  Model(Model&&) noexcept;

  /// Argument names (and element counts of tuple arguments) of forward, for `init` and
  /// messages.
  std::vector<std::string> argument_names() const;

  /// Freezes, re-traces with inputs of these shapes and converts to a graph at level
  /// Imported. Throws Error(ModelUnsupported) listing every unsupported operator with its
  /// source line, or saying which input does not fit.
  Graph import(std::span<const InputSpec> inputs) const;

  /// LibTorch's own forward of the original module on one set of inputs; outputs
  /// flattened in the order of the graph's outputs. Thread-safe.
  std::vector<Tensor> forward(std::span<const Tensor> inputs) const;

  struct Impl;

 private:
  explicit Model(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// One row of the importer's table: what `qopt supported-ops` prints.
struct SupportedOp {
  std::string_view schema;   // "aten::conv2d"
  std::string_view becomes;  // graph operators, "conv2d"
  std::string_view note;     // restrictions, may be empty
};
std::span<const SupportedOp> supported_ops();

}  // namespace qopt::frontend
