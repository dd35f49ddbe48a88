// SPDX-License-Identifier: MIT
// FloatExecutor: the one walker under float semantics, with fake quantisation and
// observation as hooks. Knows no arithmetic.
#include "lib/aten/float_executor.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <dlfcn.h>

#include <utility>

#include "lib/aten/bridge.h"
#include "lib/aten/semantics.h"
#include "lib/exec/executor.h"

namespace qopt::aten {

struct FloatExecutor::Impl {
  Graph graph;
  Mode mode;
  FloatSemantics semantics;
  std::vector<ValueId> inputs;
};

FloatExecutor::FloatExecutor(const Graph& graph, Mode mode)
    : impl_(new Impl{graph, mode, FloatSemantics(graph), graph.inputs()}) {
  QOPT_CHECK(graph.level() != Level::Integer, "an Integer graph has no float meaning");
  if (mode != Mode::FakeQuant) return;
  const at::NoGradGuard no_grad;
  for (std::size_t i = 0; i < graph.values().size(); ++i) {
    const Value& value = graph.values()[i];
    if (!value.constant || !value.encoding) continue;
    const ValueId id{static_cast<std::uint32_t>(i)};
    impl_->semantics.bind(id, fake_quantize(impl_->semantics.bound(id), *value.encoding));
  }
}

FloatExecutor::~FloatExecutor() = default;
FloatExecutor::FloatExecutor(FloatExecutor&&) noexcept = default;

std::vector<Tensor> FloatExecutor::run(std::span<const Tensor> inputs,
                                       const Observer& observe) const {
  const Graph& graph = impl_->graph;
  if (inputs.size() != impl_->inputs.size()) {
    throw Error(ExitCode::Data, "",
                fmt::format("the model takes {} inputs, {} given", impl_->inputs.size(),
                            inputs.size()));
  }
  const c10::InferenceMode no_grad;
  std::vector<at::Tensor> arguments;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const Value& value = graph.value(impl_->inputs[i]);
    if (inputs[i].shape() != value.shape || inputs[i].dtype() != value.dtype) {
      throw Error(
          ExitCode::Data, value.name,
          fmt::format("the model takes {} {}, given is {} {}", dtype_name(value.dtype),
                      shape_text(value.shape), dtype_name(inputs[i].dtype()),
                      shape_text(inputs[i].shape())));
    }
    arguments.push_back(to_at(inputs[i]));
  }
  const auto hook = [&](ValueId id, at::Tensor tensor) {
    const Value& value = graph.value(id);
    if (impl_->mode == Mode::FakeQuant && value.encoding) {
      tensor = fake_quantize(tensor, *value.encoding);
    }
    if (observe) observe(id, from_at(tensor));
    return tensor;
  };
  const FloatSemantics& semantics = impl_->semantics;
  const std::vector<at::Tensor> results =
      execute(graph, semantics, std::span<const at::Tensor>(arguments), hook);
  std::vector<Tensor> outputs;
  for (const at::Tensor& result : results) outputs.push_back(from_at(result));
  return outputs;
}

void use_one_thread_per_caller() {
  at::set_num_threads(1);
  // OpenBLAS keeps threads of its own beside LibTorch's; ask for one where it is what is
  // linked.
  if (void* set_threads = dlsym(RTLD_DEFAULT, "openblas_set_num_threads")) {
    reinterpret_cast<void (*)(int)>(set_threads)(1);
  }
}

}  // namespace qopt::aten
