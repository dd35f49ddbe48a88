// SPDX-License-Identifier: MIT
// How well a graph's float execution agrees with the model's own forward.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "lib/aten/float_executor.h"
#include "lib/core/rng.h"
#include "lib/frontend/import.h"

namespace qopt {

struct Agreement {
  double relative_error = 0.0;  // largest over outputs of max |a - b| / max |b|
  double largest = 0.0;         // max |b|: a model that answers 0 proves nothing
};

/// Seeded inputs for a graph: standard normal numbers, or small indices for integer
/// inputs.
inline std::vector<Tensor> random_inputs(const Graph& graph, std::uint64_t seed) {
  Rng rng(seed);
  std::vector<Tensor> inputs;
  for (ValueId id : graph.inputs()) {
    const Value& value = graph.value(id);
    Tensor t = Tensor::zeros(value.dtype, value.shape);
    if (value.dtype == DType::F32) {
      for (float& x : t.mutable_values<float>()) x = static_cast<float>(rng.normal());
    } else if (value.dtype == DType::I64) {
      for (std::int64_t& x : t.mutable_values<std::int64_t>()) {
        x = static_cast<std::int64_t>(rng.below(4));
      }
    } else if (value.dtype == DType::I32) {
      for (std::int32_t& x : t.mutable_values<std::int32_t>()) {
        x = static_cast<std::int32_t>(rng.below(4));
      }
    }
    inputs.push_back(std::move(t));
  }
  return inputs;
}

inline Agreement compare(const frontend::Model& model, const Graph& graph,
                         const std::vector<Tensor>& inputs) {
  const std::vector<Tensor> wanted = model.forward(inputs);
  const std::vector<Tensor> got = aten::FloatExecutor(graph).run(inputs);
  Agreement agreement;
  if (wanted.size() != got.size()) return {INFINITY, 0.0};
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i].shape() != got[i].shape() || wanted[i].dtype() != got[i].dtype()) {
      return {INFINITY, 0.0};
    }
    if (wanted[i].dtype() != DType::F32) {
      if (wanted[i] != got[i]) return {INFINITY, 0.0};
      continue;
    }
    double difference = 0.0, largest = 0.0;
    const auto a = got[i].values<float>(), b = wanted[i].values<float>();
    for (std::size_t k = 0; k < a.size(); ++k) {
      const double d = std::abs(static_cast<double>(a[k]) - b[k]);
      difference = std::isnan(d) ? INFINITY : std::max(difference, d);
      largest = std::max(largest, std::abs(static_cast<double>(b[k])));
    }
    const double relative =
        difference == 0.0 ? 0.0 : difference / std::max(largest, 1e-30);
    agreement.relative_error = std::max(agreement.relative_error, relative);
    agreement.largest = std::max(agreement.largest, largest);
  }
  return agreement;
}

inline Agreement compare(const frontend::Model& model, const Graph& graph,
                         std::uint64_t seed) {
  return compare(model, graph, random_inputs(graph, seed));
}

}  // namespace qopt
