// SPDX-License-Identifier: MIT
#include "lib/pipeline/sources.h"

#include <fmt/format.h>

#include <cmath>

#include "lib/core/names.h"

namespace qopt::pipeline {
namespace {

/// Random noise for an input of indices: 0 or 1, which every table has.
Tensor indices_of(const Tensor& noise, DType dtype) {
  Tensor out = Tensor::zeros(dtype, noise.shape());
  const auto fill = [&](auto indices) {
    for (std::size_t i = 0; i < indices.size(); ++i)
      indices[i] = noise.values<float>()[i] > 0 ? 1 : 0;
  };
  if (dtype == DType::I64) {
    fill(out.mutable_values<std::int64_t>());
  } else {
    fill(out.mutable_values<std::int32_t>());
  }
  return out;
}

/// Checks each sample against the model's inputs.
class CheckedDataset : public data::Dataset {
 public:
  CheckedDataset(std::unique_ptr<data::Dataset> inner, bool is_random, std::string where,
                 std::vector<frontend::InputSpec> inputs)
      : inner_(std::move(inner)),
        is_random_(is_random),
        where_(std::move(where)),
        inputs_(std::move(inputs)) {}

  std::int64_t size() const override { return inner_->size(); }
  const std::vector<std::string>& class_names() const override {
    return inner_->class_names();
  }
  std::string description() const override { return inner_->description(); }

  data::Sample sample(std::int64_t index) const override {
    data::Sample sample = inner_->sample(index);
    if (sample.inputs.size() != inputs_.size()) {
      fail(index, fmt::format("{} tensors, but the model takes {}", sample.inputs.size(),
                              inputs_.size()));
    }
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      const DType wanted = inputs_[i].dtype;
      if (is_random_ && wanted != DType::F32)
        sample.inputs[i] = indices_of(sample.inputs[i], wanted);
      check(index, i, sample.inputs[i]);
    }
    return sample;
  }

 private:
  [[noreturn]] void fail(std::int64_t index, const std::string& what) const {
    throw Error(ExitCode::Data, fmt::format("{} sample {}", where_, index), what,
                "check model.inputs and the preprocessing");
  }

  void check(std::int64_t index, std::size_t i, const Tensor& tensor) const {
    const frontend::InputSpec& input = inputs_[i];
    if (tensor.shape() != input.shape || tensor.dtype() != input.dtype) {
      fail(index,
           fmt::format("{} {}, but model input '{}' is {} {}", dtype_name(tensor.dtype()),
                       shape_text(tensor.shape()), printable(input.name),
                       dtype_name(input.dtype), shape_text(input.shape)));
    }
    if (tensor.dtype() != DType::F32) return;
    for (const float value : tensor.values<float>()) {
      if (!std::isfinite(value)) fail(index, "a value is not finite");
    }
  }

  std::unique_ptr<data::Dataset> inner_;
  bool is_random_;
  std::string where_;
  std::vector<frontend::InputSpec> inputs_;
};

}  // namespace

std::vector<frontend::InputSpec> real_inputs(const Graph& graph) {
  std::vector<frontend::InputSpec> inputs;
  for (const ValueId id : graph.inputs()) {
    const Value& value = graph.value(id);
    frontend::InputSpec spec{value.name, value.shape, value.dtype};
    for (std::size_t i = 0; i < value.layout.size(); ++i) {
      spec.shape[static_cast<std::size_t>(value.layout[i])] = value.shape[i];
    }
    if (value.encoding) spec.dtype = DType::F32;
    inputs.push_back(std::move(spec));
  }
  return inputs;
}

std::unique_ptr<data::Dataset> open_source(const data::DatasetSpec& spec,
                                           std::string where,
                                           std::vector<frontend::InputSpec> inputs) {
  data::DatasetSpec filled = spec;
  if (filled.format == "random" && filled.shapes.empty()) {
    for (const frontend::InputSpec& input : inputs) filled.shapes.push_back(input.shape);
  }
  std::unique_ptr<data::Dataset> inner = data::open_dataset(filled);
  if (inner->size() == 0) throw Error(ExitCode::Data, where, "the data set is empty");
  auto checked = std::make_unique<CheckedDataset>(
      std::move(inner), filled.format == "random", std::move(where), std::move(inputs));
  checked->sample(0);  // a wrong shape should not wait for the first step that reads
  return checked;
}

Sources open_sources(const CompressConfig& config, const Graph& graph) {
  Sources sources;
  const std::vector<frontend::InputSpec> inputs = real_inputs(graph);
  sources.calibration = open_source(config.data.calibration, "data.calibration", inputs);
  if (config.data.eval)
    sources.eval = open_source(*config.data.eval, "data.eval", inputs);
  if (config.data.gate)
    sources.gate = open_source(*config.data.gate, "data.gate", inputs);
  if (config.constraints.max_drop) {
    const data::Dataset& judge = sources.gate ? *sources.gate : *sources.eval;
    if (!judge.sample(0).label) {
      throw Error(ExitCode::Data, sources.gate ? "data.gate" : "data.eval",
                  "has no labels, but constraints.max_drop needs them");
    }
  }
  return sources;
}

}  // namespace qopt::pipeline
