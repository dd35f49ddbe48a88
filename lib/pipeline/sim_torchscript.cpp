// SPDX-License-Identifier: MIT
#include "lib/pipeline/sim_torchscript.h"

#include <torch/csrc/jit/frontend/tracer.h>
#include <torch/script.h>

#include <map>
#include <sstream>

#include "lib/aten/bridge.h"
#include "lib/aten/semantics.h"
#include "lib/exec/executor.h"

namespace qopt::pipeline {
namespace {

using torch::jit::Stack;

/// An encoding's numbers as tensors that broadcast against the value. Made before the
/// trace: tensors that are filled while it records would be recorded as empty ones.
struct Quantizer {
  at::Tensor scale, zero;
  double lo = 0, hi = 0;
};

at::Tensor constant(const std::vector<float>& entries, const Affine& e,
                    std::size_t rank) {
  const at::Tensor flat = at::tensor(entries);
  if (!e.axis) return flat.reshape({}).clone();
  std::vector<std::int64_t> shape(rank, 1);
  shape.at(static_cast<std::size_t>(*e.axis)) = flat.numel();
  return flat.reshape(shape).clone();
}

std::map<ValueId, Quantizer> quantizers_of(const Graph& encoded) {
  std::map<ValueId, Quantizer> quantizers;
  for (const Node& node : encoded.nodes()) {
    const Value& value = encoded.value(node.output);
    if (!value.encoding) continue;
    const Affine& e = std::get<Affine>(*value.encoding);
    const std::vector<float> zero(e.zero_point.begin(), e.zero_point.end());
    quantizers[node.output] = {constant(e.scale, e, value.shape.size()),
                               constant(zero, e, value.shape.size()),
                               static_cast<double>(code_min(e.levels, e.bits)),
                               static_cast<double>(code_max(e.levels, e.bits))};
  }
  return quantizers;
}

/// The operators of aten::fake_quantize, which a test holds equal to the bit.
at::Tensor apply(const Quantizer& q, const at::Tensor& x) {
  const at::Tensor code =
      at::clamp(at::add(at::round(at::div(x, q.scale)), q.zero), q.lo, q.hi);
  return at::nan_to_num(at::mul(at::sub(code, q.zero), q.scale), 0.0);
}

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
  const std::map<ValueId, Quantizer> quantizers = quantizers_of(encoded);
  const auto run = [&](const Stack& stack) -> Stack {
    std::vector<at::Tensor> inputs;
    for (const c10::IValue& value : stack) inputs.push_back(value.toTensor());
    const std::vector<at::Tensor> outputs =
        execute(encoded, semantics, std::span<const at::Tensor>(inputs),
                [&](ValueId id, at::Tensor value) {
                  const auto found = quantizers.find(id);
                  return found == quantizers.end() ? value : apply(found->second, value);
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
