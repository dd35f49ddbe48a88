// SPDX-License-Identifier: MIT
// Sensitivity: what each layer's quantization costs, alone and as the one exception
// (arXiv:2004.09602, section 5). Measured on the fake-quantised model; changes nothing.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lib/data/dataset.h"
#include "lib/pipeline/compress_config.h"
#include "lib/pipeline/evaluate.h"
#include "lib/pipeline/listener.h"

namespace qopt::pipeline {

/// How good one variant of the model is. `mse` and `sqnr_db` compare its outputs with the
/// float model's.
struct Reading {
  std::optional<double> top1{}, top5{};  // percent, where there are labels
  double mse = 0;
  std::optional<double> sqnr_db{};
};

struct LayerSensitivity {
  std::string layer;       // name of the node that holds the weights
  std::string activation;  // name of the value it reads
  int weight_bits = 0, activation_bits = 0;
  Reading alone;   // only this layer quantised: its weights and what it reads
  Reading spared;  // all others quantised, this one in float
};

struct Sensitivity {
  std::string data;
  std::int64_t samples = 0;
  Reading float_model, all;
  std::vector<LayerSensitivity> layers;  // most damage alone first
};

/// Reads `encoded` (Encoded) against `canonical` on the first `count` samples, once for
/// every layer with weights and once more where `with_spared`. A layer is its weights and
/// the activation it reads, back through operators that keep its encoding; layers that
/// read one value share it. Sorted by top-1 lost alone, in whole standard errors, then by
/// mse, then by execution. The same for every number of threads.
Sensitivity measure_sensitivity(const Graph& canonical, const Graph& encoded,
                                const data::Dataset& samples, std::int64_t count,
                                bool with_spared, int threads,
                                const Progress& progress = {});

/// Bits of a value's encoding; 0 where it has none.
int bits_of(const Graph& encoded, ValueId id);

/// `qopt sensitivity`: the configuration's model as its `ptq` says, on `count` samples of
/// data.eval. Throws Error(Usage) without data.eval.
Sensitivity sensitivity(const CompressConfig& config, std::int64_t count,
                        Listener& listener);

std::string sensitivity_text(const Sensitivity& sensitivity);
std::string sensitivity_json(const Sensitivity& sensitivity);

}  // namespace qopt::pipeline
