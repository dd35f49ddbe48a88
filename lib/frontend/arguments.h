// SPDX-License-Identifier: MIT
// Arguments: the model's nested arguments and results as flat lists of tensors, in one
// order.
#pragma once

#include <torch/script.h>

#include <span>
#include <string>
#include <vector>

namespace qopt::frontend {

/// Names of the tensors that forward takes at least, in order: "x", "state.0", "state.1".
std::vector<std::string> leaf_names(const torch::jit::Module& module);

struct BoundArguments {
  std::vector<c10::IValue> values;  // one for each argument of forward, self not included
  std::vector<std::string> names;   // one for each tensor
};

/// Packs tensors into forward's arguments. Optional arguments take a tensor while there
/// are more than the others need; a list takes what is left. Throws Error(code) when the
/// count does not fit or an argument takes no tensors and has no default.
BoundArguments bind_arguments(const torch::jit::Module& module,
                              std::span<const at::Tensor> tensors);

struct NamedTensor {
  std::string name;
  at::Tensor tensor;
};

/// Tensors of a result: "out0", "out1.0", a dict's key ("out"). None and numbers are left
/// out.
std::vector<NamedTensor> flatten_result(const c10::IValue& result);

}  // namespace qopt::frontend
