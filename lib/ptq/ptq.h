// SPDX-License-Identifier: MIT
// Post-training quantization: choose an encoding for every value of a Canonical graph
// from data. Writes encodings, nothing else; knows neither lowering nor export.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lib/calib/estimators.h"
#include "lib/data/dataset.h"
#include "lib/graph/graph.h"

namespace qopt::ptq {

enum class Granularity { PerTensor, PerChannel };

/// How weights are encoded. Weights use the extremes unless `calibrator` says otherwise;
/// `o` of 1 bit and `t` use their exact projections always.
struct WeightConfig {
  int bits = 8;
  LevelSet levels = LevelSet::N;
  bool symmetric = true;
  Granularity granularity = Granularity::PerChannel;
  std::string calibrator = "minmax";
  double percentile = 99.99;
  bool operator==(const WeightConfig&) const = default;
};

/// How activations are encoded. With `levels` empty: `u` for values that are never
/// negative, else `s` (affine when not symmetric).
struct ActivationConfig {
  int bits = 8;
  std::optional<LevelSet> levels{};
  bool symmetric = false;
  std::string calibrator = "mse";
  double percentile = 99.99;
  double momentum = 0.9;
  bool operator==(const ActivationConfig&) const = default;
};

/// Overrides for nodes whose name matches `pattern` (glob). Later rules win. A pattern
/// that matches no node is Error(Usage) naming the pattern and near names.
struct LayerRule {
  std::string pattern{};
  std::string where{};  // file:line:col of the rule, for messages
  std::optional<int> weight_bits{}, activation_bits{};
  std::optional<LevelSet> weight_levels{}, activation_levels{};
  std::optional<Granularity> granularity{};
  std::optional<bool> symmetric{};
  std::optional<std::string> calibrator{};
  std::optional<double> percentile{};
};

/// Kinds of layers that keep at least first_last_bits, in the words of Deeplite Neutrino.
/// Convolutions are counted from 0 in the order in which they run.
struct LayerKinds {
  bool quantize_conv11 = true;              // convolutions with 1x1 kernels
  bool quantize_group = true;               // grouped and depthwise convolutions
  std::vector<std::int64_t> skip_layers{};  // these convolutions
  double skip_layers_ratio = 0;             // the first ones, as a share of all
};

struct PtqConfig {
  WeightConfig weights{};
  ActivationConfig activations{};
  // First and last layer with weights: at least this many bits. Odd and ternary levels
  // become n there.
  int first_last_bits = 8;
  int residual_bits = 8;  // values read by others than layers: at least this many
  LayerKinds kinds{};
  bool unify_add =
      false;  // one scale for both operands of an add (concat always has one)
  std::vector<LayerRule> layers{};
};

/// Where a layer reads fewer bits than other readers of the same value need, puts an
/// unbounded clamp called "LAYER.input" between them, which takes an encoding of its own
/// and computes nothing. Layers that need the same share it. The graph is Canonical, or
/// what canonicalize_for_training makes of the same model.
Graph separate_layer_inputs(const Graph& canonical, const PtqConfig& config);

/// Statistics of every non-constant float value of `canonical`, in two passes over
/// `samples`, parallel over samples; the same for every number of threads.
/// `progress(done, total)`.
struct ValueStatistics {
  ValueId value;
  calib::Statistics statistics;
};
using Progress = std::function<void(std::int64_t done, std::int64_t total)>;
std::vector<ValueStatistics> collect_statistics(const Graph& canonical,
                                                const data::Dataset& samples, int threads,
                                                const Progress& progress = {});

/// What was chosen for one value, for the report.
struct Choice {
  std::string value;
  calib::Range range;
  double clipped_fraction = 0;  // of the calibration elements outside the range
  Affine encoding;
};

struct PtqResult {
  Graph graph;                  // Level::Encoded
  std::vector<Choice> choices;  // activations, in graph order
  std::vector<std::string>
      findings;  // dead channels, one-sided ranges, patterns without effect
};

/// The encodings of an Encoded graph's activations beside the statistics of the Canonical
/// graph that it was made of (same value ids).
std::vector<Choice> choices_of(const Graph& encoded,
                               std::span<const ValueStatistics> statistics);

/// Writes encodings by the rules above: weights and activations, one encoding across
/// operators that keep it (verify.h keeps_encoding) and across concat, none on values
/// fused into a clamp.
PtqResult quantize(const Graph& canonical, std::span<const ValueStatistics> statistics,
                   const PtqConfig& config);

}  // namespace qopt::ptq
