// SPDX-License-Identifier: MIT
// OperatorRecorder: runs one operator on real tensors and, where it touches the model's
// inputs, records it by way of the table. Owns names, in-place writes and the list of
// what is unsupported; knows no control flow.
#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <string>
#include <vector>

#include "lib/frontend/builder.h"
#include "lib/frontend/recorder.h"
#include "lib/frontend/table.h"

namespace qopt::frontend {

/// One run of a module's method; functions called from it share it.
struct ModuleCall {
  std::string path;
  bool is_leaf = false;   // the module has no submodules
  bool is_named = false;  // a node of this call goes by the module's path
};

class OperatorRecorder {
 public:
  explicit OperatorRecorder(Builder& builder) : builder_(builder) {}

  /// Results of the node's operator on `args`. Throws Error(ModelUnsupported) with the
  /// source line when LibTorch refuses the arguments.
  std::vector<c10::IValue> run(const torch::jit::Node* node,
                               const std::vector<c10::IValue>& args, ModuleCall& module);

  /// Notes something the graph cannot express; the same at the same place is counted.
  void find(const torch::jit::Node* node, const std::string& op,
            const std::string& reason);
  const std::vector<Finding>& findings() const { return findings_; }

 private:
  using IValues = std::vector<c10::IValue>;
  bool any_tensor(const IValues& args,
                  bool (Builder::*test)(const at::Tensor&) const) const;
  bool writes_state(const c10::FunctionSchema& schema, const IValues& args) const;
  IValues execute(const torch::jit::Node* node, const c10::FunctionSchema& schema,
                  const IValues& args);
  IValues run_on_constants(const torch::jit::Node* node,
                           const c10::FunctionSchema& schema, const IValues& args);
  void name_results(const IValues& args, const IValues& results);
  IValues opaque(const c10::FunctionSchema& schema, const IValues& args, IValues results);
  IValues record_call(const torch::jit::Node* node, const c10::FunctionSchema& schema,
                      const Row& row, const IValues& args, ModuleCall& module);
  void bind_results(const c10::FunctionSchema& schema, const Call& call, bool written);

  Builder& builder_;
  std::vector<Finding> findings_;
};

}  // namespace qopt::frontend
