// SPDX-License-Identifier: MIT
// Model: a loaded TorchScript module, its own forward, and its import by way of the
// recorder.
#include <fmt/format.h>
#include <torch/csrc/jit/api/function_impl.h>
#include <torch/csrc/jit/ir/ir.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/script.h>

#include <system_error>
#include <utility>

#include "lib/aten/bridge.h"
#include "lib/frontend/arguments.h"
#include "lib/frontend/composites.h"
#include "lib/frontend/import.h"
#include "lib/frontend/recorder.h"
#include "lib/frontend/script.h"
#include "lib/frontend/silence.h"
#include "lib/graph/verify.h"

namespace qopt::frontend {
namespace {

namespace jit = torch::jit;
namespace fs = std::filesystem;

void refuse_unreadable(const fs::path& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  const auto refuse = [&](const std::string& what) {
    throw Error(ExitCode::ModelUnsupported, path.string(), what);
  };
  if (!fs::exists(status)) refuse("no such file");
  if (fs::is_directory(status)) refuse("is a folder; a TorchScript file is wanted");
  if (!fs::is_regular_file(status)) refuse("is no regular file");
  if (fs::file_size(path, error) == 0) refuse("is empty");
}

jit::Module load_module(const fs::path& path) {
  try {
    return jit::load(path.string(), at::Device(at::kCPU));
  } catch (const std::exception& e) {
    throw Error(ExitCode::ModelUnsupported, path.string(),
                fmt::format("cannot be loaded as TorchScript: {}", reason_of(e)),
                "save the model with torch.jit.script or torch.jit.trace and .save()");
  }
}

/// Devices written into the code (torch.zeros(..., device='cuda:0'), x.cuda()) become the
/// CPU.
void move_code_to_cpu(jit::Block& block) {
  std::vector<jit::Node*> replaced;
  for (jit::Node* node : block.nodes()) {
    for (jit::Block* inner : node->blocks()) move_code_to_cpu(*inner);
    if (node->kind() == c10::Symbol::fromQualString("aten::cuda")) {
      node->replaceWithNewSymbol(c10::Symbol::fromQualString("aten::cpu"));
      replaced.push_back(node);
    } else if (node->kind() == c10::prim::Constant && !node->outputs().empty() &&
               node->output()->type()->kind() == c10::TypeKind::DeviceObjType &&
               node->hasAttribute(c10::attr::value)) {
      node->s_(c10::attr::value, "cpu");
    }
  }
  for (jit::Node* node : replaced) node->destroy();
}

/// Half and double precision parameters become float32, which everything here computes
/// in.
void make_float(jit::Module& module) {
  const at::NoGradGuard no_grad;
  const auto convert = [](at::Tensor tensor) {
    if (tensor.is_floating_point() && tensor.scalar_type() != at::kFloat) {
      tensor.set_data(tensor.to(at::kFloat));
    }
  };
  for (const at::Tensor& t : module.parameters()) convert(t);
  for (const at::Tensor& t : module.buffers()) convert(t);
}

std::string describe(const std::vector<Finding>& findings) {
  std::string text = fmt::format("{} unsupported operator{}:", findings.size(),
                                 findings.size() == 1 ? "" : "s");
  for (const Finding& f : findings) {
    text += fmt::format("\n  {}", f.op);
    if (!f.source.empty()) text += fmt::format(" at {}", f.source);
    if (f.count > 1) text += fmt::format(" ({} times)", f.count);
    if (!f.reason.empty()) text += fmt::format(": {}", f.reason);
  }
  return text;
}

}  // namespace

struct Model::Impl {
  jit::Module module;
  std::string path;
};

Model::Model(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Model::~Model() = default;
Model::Model(Model&&) noexcept = default;

Model Model::load(const fs::path& path) {
  const Silence silence;
  refuse_unreadable(path);
  register_missing_operators();
  auto impl = std::make_unique<Impl>(Impl{load_module(path), path.string()});
  if (!impl->module.find_method("forward")) {
    throw Error(ExitCode::ModelUnsupported, impl->path,
                "the model has no method 'forward'");
  }
  try {
    impl->module.eval();
    for (jit::Function* function :
         impl->module._ivalue()->compilation_unit()->get_functions()) {
      if (jit::GraphFunction* scripted = jit::tryToGraphFunction(*function)) {
        move_code_to_cpu(*scripted->graph()->block());
      }
    }
    make_float(impl->module);
  } catch (const std::exception& e) {
    throw Error(ExitCode::ModelUnsupported, impl->path,
                fmt::format("cannot be put into evaluation mode: {}", reason_of(e)));
  }
  return Model(std::move(impl));
}

std::vector<std::string> Model::argument_names() const {
  return leaf_names(impl_->module);
}

Graph Model::import(std::span<const InputSpec> inputs) const {
  const Silence silence;
  constexpr std::int64_t kLargestInput = std::int64_t{1}
                                         << 28;  // elements: 1 GiB of float32
  std::vector<at::Tensor> examples;
  for (const InputSpec& spec : inputs) {
    if (num_elements(spec.shape) > kLargestInput) {
      throw Error(
          ExitCode::ModelUnsupported, spec.name,
          fmt::format("an input of shape {} is too large", shape_text(spec.shape)));
    }
    examples.push_back(at::zeros(
        spec.shape, at::TensorOptions().dtype(aten::to_scalar_type(spec.dtype))));
  }
  BoundArguments arguments = bind_arguments(impl_->module, examples);
  Builder builder;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const std::string& name =
        inputs[i].name.empty() ? arguments.names[i] : inputs[i].name;
    builder.bind(examples[i],
                 builder.graph().add_input(name, inputs[i].dtype, inputs[i].shape));
  }
  Recording recording;
  try {
    recording = record(builder, impl_->module, std::move(arguments.values));
  } catch (const c10::Error& e) {
    throw Error(ExitCode::ModelUnsupported, impl_->path,
                fmt::format("cannot be imported: {}", reason_of(e)));
  }
  if (!recording.findings.empty()) {
    throw Error(ExitCode::ModelUnsupported, impl_->path, describe(recording.findings),
                "'qopt supported-ops' lists what is supported");
  }
  const std::vector<NamedTensor> outputs = flatten_result(recording.result);
  if (outputs.empty()) {
    throw Error(ExitCode::ModelUnsupported, impl_->path, "the model returns no tensor");
  }
  for (const NamedTensor& output : outputs) {
    try {
      builder.graph().add_output(output.name, builder.value(output.tensor, output.name));
    } catch (const Unsupported& e) {
      throw Error(ExitCode::ModelUnsupported, output.name, "the output " + e.reason);
    }
  }
  Graph graph = std::move(builder.graph());
  graph.remove_dead();
  require_valid(graph, "import");
  return graph;
}

std::vector<Tensor> Model::forward(std::span<const Tensor> inputs) const {
  const Silence silence;
  const at::NoGradGuard no_grad;
  // Plain execution: no profiling runs, no fusion, the same result every time.
  const jit::GraphOptimizerEnabledGuard plain(false);
  std::vector<at::Tensor> tensors;
  // Copies: a model may change its inputs in place, ours may not change.
  for (const Tensor& input : inputs) tensors.push_back(aten::to_at(input).clone());
  BoundArguments arguments = bind_arguments(impl_->module, tensors);
  c10::IValue result;
  try {
    jit::Module module = impl_->module;
    result = module.forward(std::move(arguments.values));
  } catch (const std::exception& e) {
    throw Error(ExitCode::ModelUnsupported, impl_->path,
                fmt::format("the model cannot be run: {}", reason_of(e)));
  }
  std::vector<Tensor> outputs;
  for (const NamedTensor& output : flatten_result(result)) {
    outputs.push_back(aten::from_at(output.tensor));
  }
  return outputs;
}

}  // namespace qopt::frontend
