// SPDX-License-Identifier: MIT
// OperatorRecorder: which operators run on constants, which are recorded, which are
// reported.
#include "lib/frontend/operator_recorder.h"

#include <fmt/format.h>
#include <torch/csrc/jit/runtime/operator.h>

#include <algorithm>
#include <set>
#include <utility>

#include "lib/frontend/call.h"
#include "lib/frontend/script.h"

namespace qopt::frontend {
namespace {

namespace jit = torch::jit;
using c10::IValue;

constexpr const char* kWritesState = "changes the model's own state";

/// "layer1.0.conv1" for the first computing operator of a module without submodules,
/// else "layer1.0.add". The graph makes repeated names differ.
std::string name_for(ModuleCall& module, const Call& call, const Row& row) {
  if (module.path.empty()) return call.op();
  if (!module.is_leaf || module.is_named || is_move(row)) {
    return fmt::format("{}.{}", module.path, call.op());
  }
  module.is_named = true;
  return module.path;
}

}  // namespace

void OperatorRecorder::find(const jit::Node* node, const std::string& op,
                            const std::string& reason) {
  const std::string source = source_of(node);
  for (Finding& known : findings_) {
    if (known.op == op && known.reason == reason && known.source == source) {
      ++known.count;
      return;
    }
  }
  findings_.push_back({op, reason, source, 1});
}

std::vector<IValue> OperatorRecorder::execute(const jit::Node* node,
                                              const c10::FunctionSchema& schema,
                                              const IValues& args) {
  jit::Stack stack = args;
  // The module is not ours to change: what writes to its tensors writes to a copy. That
  // is reported anyway.
  for (std::size_t i = 0; i < schema.arguments().size() && i < stack.size(); ++i) {
    const c10::AliasInfo* alias = schema.arguments()[i].alias_info();
    if (alias == nullptr || !alias->isWrite() || !stack[i].isTensor()) continue;
    if (builder_.is_state(stack[i].toTensor())) stack[i] = stack[i].toTensor().clone();
  }
  if (schema.is_vararg()) stack.emplace_back(static_cast<std::int64_t>(args.size()));
  try {
    node->getOperation()(stack);
  } catch (const std::exception& e) {
    throw Error(ExitCode::ModelUnsupported, source_of(node),
                fmt::format("{} cannot be computed: {}", schema.name(), reason_of(e)),
                "do the shapes and types of the inputs fit the model?");
  }
  return stack;
}

bool OperatorRecorder::any_tensor(const IValues& args,
                                  bool (Builder::*test)(const at::Tensor&) const) const {
  bool found = false;
  for (const IValue& arg : args) {
    for_each_tensor(arg,
                    [&](const at::Tensor& t) { found = found || (builder_.*test)(t); });
  }
  return found;
}

std::vector<IValue> OperatorRecorder::run(const jit::Node* node, const IValues& args,
                                          ModuleCall& module) {
  const c10::FunctionSchema* schema = &node->schema();
  const std::string& name = schema->name();
  // As if gradients were wanted: the model's own code then keeps to plain operators
  // instead of fused inference-only ones.
  if (name == "aten::is_grad_enabled" || name == "prim::requires_grad") {
    return {true};
  }
  const Row* row = find_row(name);
  const bool touches_inputs = any_tensor(args, &Builder::is_activation);
  if (row == nullptr && node->isNondeterministic()) {
    find(node, name, "draws random numbers");
    return opaque(*schema, args, execute(node, *schema, args));
  }
  if (!touches_inputs) return run_on_constants(node, *schema, args);
  if (is_structural(name, args) || is_type_query(name) ||
      (row != nullptr && !row->convert)) {
    return execute(node, *schema, args);
  }
  if (row == nullptr) {
    IValues results = execute(node, *schema, args);
    const bool reads_values = std::ranges::none_of(results, [](const IValue& r) {
      bool tensors = false;
      for_each_tensor(r, [&](const at::Tensor&) { tensors = true; });
      return tensors;
    });
    find(node, name,
         writes_state(*schema, args)        ? kWritesState
         : reads_values && !results.empty() ? "depends on the values of the inputs"
                                            : "");
    return opaque(*schema, args, std::move(results));
  }
  return record_call(node, *schema, *row, args, module);
}

bool OperatorRecorder::writes_state(const c10::FunctionSchema& schema,
                                    const IValues& args) const {
  return std::ranges::any_of(written_arguments(schema, args),
                             [&](const at::Tensor& t) { return builder_.is_state(t); });
}

std::vector<IValue> OperatorRecorder::run_on_constants(const jit::Node* node,
                                                       const c10::FunctionSchema& schema,
                                                       const IValues& args) {
  if (writes_state(schema, args)) find(node, schema.name(), kWritesState);
  if (!written_arguments(schema, args).empty()) builder_.forget_constants();
  IValues results = execute(node, schema, args);
  name_results(args, results);
  return results;
}

/// What is computed from one named constant (transposed, detached, ...) goes by its
/// name.
void OperatorRecorder::name_results(const IValues& args, const IValues& results) {
  std::set<std::string> names;
  for (const IValue& arg : args) {
    for_each_tensor(arg, [&](const at::Tensor& t) {
      if (std::string n = builder_.constant_name(t); !n.empty())
        names.insert(std::move(n));
    });
  }
  if (names.size() != 1 || results.size() != 1 || !results[0].isTensor()) return;
  builder_.name_constant(results[0].toTensor(), *names.begin(), /*is_state=*/false);
}

std::vector<IValue> OperatorRecorder::opaque(const c10::FunctionSchema& schema,
                                             const IValues& args, IValues results) {
  const bool from_opaque = any_tensor(args, &Builder::is_opaque);
  const std::vector<at::Tensor> written = written_arguments(schema, args);
  for (const at::Tensor& t : written) builder_.bind_opaque(t, /*written=*/true);
  for (const IValue& result : results) {
    for_each_tensor(result, [&](const at::Tensor& t) {
      if (builder_.is_opaque(t)) return;
      from_opaque || !written.empty() ? builder_.bind_opaque(t)
                                      : builder_.bind_stand_in(t);
    });
  }
  return results;
}

std::vector<IValue> OperatorRecorder::record_call(const jit::Node* node,
                                                  const c10::FunctionSchema& schema,
                                                  const Row& row, const IValues& args,
                                                  ModuleCall& module) {
  const std::vector<at::Tensor> written = written_arguments(schema, args);
  // The converter must see constants as they were before the call wrote to them.
  IValues before = args;
  for (IValue& arg : before) {
    if (!arg.isTensor() || builder_.is_activation(arg.toTensor())) continue;
    const bool is_written = std::ranges::any_of(
        written, [&](const at::Tensor& t) { return t.is_same(arg.toTensor()); });
    if (is_written) arg = arg.toTensor().clone();
  }
  IValues results = execute(node, schema, args);
  if (writes_state(schema, args)) find(node, schema.name(), kWritesState);
  if (writes_state(schema, args) || any_tensor(args, &Builder::is_opaque)) {
    return opaque(schema, args, std::move(results));
  }
  Call unnamed(builder_, schema, before, results, "", "");
  Call call(builder_, schema, before, results, name_for(module, unnamed, row),
            source_of(node));
  try {
    row.convert(call);
  } catch (const Unsupported& e) {
    find(node, schema.name(), e.reason);
    return opaque(schema, args, std::move(results));
  }
  bind_results(schema, call, !written.empty());
  return results;
}

void OperatorRecorder::bind_results(const c10::FunctionSchema& schema, const Call& call,
                                    bool written) {
  const std::vector<at::Tensor> tensors = call.result_tensors();
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    if (i >= call.returned().size()) {
      builder_.bind_opaque(tensors[i]);
      continue;
    }
    const ValueId id = call.returned()[i];
    const at::IntArrayRef sizes = tensors[i].sizes();
    QOPT_CHECK(at::IntArrayRef(call.shape(id)) == sizes, "{} became {}, LibTorch says {}",
               schema.name(), shape_text(call.shape(id)),
               shape_text(Shape(sizes.begin(), sizes.end())));
    builder_.bind(tensors[i], id, written);
  }
}

}  // namespace qopt::frontend
