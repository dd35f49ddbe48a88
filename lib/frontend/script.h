// SPDX-License-Identifier: MIT
// Script: facts about TorchScript nodes and the values that nodes without an operator
// build. Knows nothing of graphs or recording.
#pragma once

#include <torch/csrc/jit/api/function_impl.h>
#include <torch/csrc/jit/ir/ir.h>

#include <exception>
#include <functional>
#include <string>
#include <vector>

namespace qopt::frontend {

/// What LibTorch says went wrong, in one line, without stacks and source excerpts.
std::string reason_of(const std::exception& error);

/// Where the operator stands in the author's source if the file says so, else in the
/// archive's: "models.py:34". Empty when unknown.
std::string source_of(const torch::jit::Node* node);

/// Operators that handle containers or identity and never look into a tensor.
bool is_structural(const std::string& name, const std::vector<c10::IValue>& args);
/// prim operators whose result follows from types and shapes alone.
bool is_type_query(const std::string& name);
/// Tensor arguments that the operator writes in place.
std::vector<at::Tensor> written_arguments(const c10::FunctionSchema& schema,
                                          const std::vector<c10::IValue>& args);

/// The value of a ListConstruct, DictConstruct or TupleConstruct node.
c10::IValue construct_list(const torch::jit::Node* node,
                           const std::vector<c10::IValue>& elements);
c10::IValue construct_dict(const torch::jit::Node* node,
                           const std::vector<c10::IValue>& entries);
c10::IValue construct_tuple(const torch::jit::Node* node,
                            std::vector<c10::IValue> elements);
/// The value of an isinstance node.
bool is_instance(const torch::jit::Node* node, const c10::IValue& value);

/// Calls `visit` for every node of the function and of the functions and methods that it
/// names, each function once.
void for_each_reachable_node(torch::jit::Function& function,
                             const std::function<void(const torch::jit::Node*)>& visit);

}  // namespace qopt::frontend
