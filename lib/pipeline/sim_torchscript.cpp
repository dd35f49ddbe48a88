// SPDX-License-Identifier: MIT
#include "lib/pipeline/sim_torchscript.h"

#include <torch/csrc/jit/frontend/tracer.h>
#include <torch/script.h>

#include <sstream>

#include "lib/aten/bridge.h"
#include "lib/aten/semantics.h"
#include "lib/exec/executor.h"

namespace qopt::pipeline {
namespace {

using torch::jit::Stack;

/// The float semantics with every weight already fake-quantised.
aten::FloatSemantics simulated_semantics(const Graph& encoded) {
  aten::FloatSemantics semantics(encoded);
  for (std::uint32_t i = 0; i < encoded.values().size(); ++i) {
    const Value& value = encoded.values()[i];
    if (!value.constant) continue;
    const ValueId id{i};
    // A copy of its own: the archive must not refer to bytes that Tensor owns.
    const at::Tensor bound = semantics.bound(id).clone();
    semantics.bind(id,
                   value.encoding ? aten::fake_quantize(bound, *value.encoding) : bound);
  }
  return semantics;
}

Stack example_inputs(const Graph& graph) {
  Stack inputs;
  for (const ValueId id : graph.inputs()) {
    const Value& value = graph.value(id);
    inputs.emplace_back(at::zeros(value.shape, aten::to_scalar_type(value.dtype)));
  }
  return inputs;
}

}  // namespace

std::string simulated_torchscript(const Graph& encoded) {
  const at::NoGradGuard no_grad;
  const aten::FloatSemantics semantics = simulated_semantics(encoded);
  const auto run = [&](const Stack& stack) -> Stack {
    std::vector<at::Tensor> inputs;
    for (const c10::IValue& value : stack) inputs.push_back(value.toTensor());
    const std::vector<at::Tensor> outputs =
        execute(encoded, semantics, std::span<const at::Tensor>(inputs),
                [&](ValueId id, at::Tensor value) {
                  const auto& encoding = encoded.value(id).encoding;
                  return encoding ? aten::fake_quantize(value, *encoding) : value;
                });
    if (outputs.size() == 1) return {outputs.front()};
    std::vector<c10::IValue> values(outputs.begin(), outputs.end());
    return {c10::ivalue::Tuple::create(std::move(values))};
  };
  // The tracer records the very calls that the simulation makes; there is no second
  // meaning.
  torch::jit::Module module("__torch__.Simulated");
  const auto traced = torch::jit::tracer::trace(
      example_inputs(encoded), run, [](const at::Tensor&) { return std::string(); },
      /*strict=*/true, /*force_outplace=*/true, &module);
  const c10::QualifiedName name(*module.type()->name(), "forward");
  module.type()->addMethod(
      module._ivalue()->compilation_unit()->create_function(name, traced.first->graph));
  std::ostringstream out;
  module.save(out);
  return std::move(out).str();
}

void add_sim_torchscript(emit::Artifact& artifact, const Graph& encoded) {
  artifact.add("model.sim.pt", simulated_torchscript(encoded));
}

}  // namespace qopt::pipeline
