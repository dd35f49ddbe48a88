// SPDX-License-Identifier: MIT
#include "lib/ptq/weights.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "lib/calib/projection.h"
#include "lib/calib/statistics.h"
#include "lib/core/names.h"
#include "lib/ptq/settings.h"

namespace qopt::ptq {
namespace {

/// Elements of `tensor` at index `channel` of `axis`.
std::vector<float> channel_values(const Tensor& tensor, int axis, std::int64_t channel) {
  const Shape& shape = tensor.shape();
  const auto at = static_cast<std::size_t>(axis);
  std::size_t inner = 1;
  for (std::size_t i = at + 1; i < shape.size(); ++i)
    inner *= static_cast<std::size_t>(shape[i]);
  const std::size_t step = inner * static_cast<std::size_t>(shape[at]);
  const std::span<const float> values = tensor.values<float>();
  std::vector<float> out;
  for (std::size_t i = static_cast<std::size_t>(channel) * inner; i < values.size();
       i += step) {
    const auto part = values.subspan(i, inner);
    out.insert(out.end(), part.begin(), part.end());
  }
  return out;
}

calib::Range range_of(const std::vector<float>& values, const WeightConfig& config) {
  const bool symmetric = config.symmetric || is_symmetric(config.levels);
  const calib::Extremes extremes = calib::extremes_of(values);
  if (config.calibrator == "minmax") return {extremes.min, extremes.max};
  const calib::Statistics statistics = calib::statistics_of({&values, 1});
  calib::EstimatorOptions options{.bits = config.bits,
                                  .symmetric = symmetric,
                                  .one_sided = !symmetric || config.levels == LevelSet::U,
                                  .odd = config.levels == LevelSet::O,
                                  .percentile = config.percentile};
  return calib::find_estimator(config.calibrator)->estimate(statistics, options);
}

/// The encoding of one channel. Two and three levels take their exact projection,
/// whatever the calibrator: a range says little about them.
Affine encode_channel(const std::vector<float>& values, const WeightConfig& config) {
  float scale = 0;
  if (config.levels == LevelSet::O && config.bits == 1) {
    scale = calib::binary_scale(values);
  } else if (config.levels == LevelSet::T) {
    scale = calib::ternary_scale(values).scale;
  }
  if (scale > 0) {
    return {config.levels, config.bits, {scale}, {0}, std::nullopt};
  }
  return calib::encoding_of(range_of(values, config), config.levels, config.bits,
                            config.symmetric);
}

void report_dead(const Graph& graph, const Node& node,
                 const std::vector<std::size_t>& dead, std::size_t channels,
                 std::vector<std::string>& findings) {
  const std::string name = printable(graph.value(node.output).name);
  if (dead.size() == channels) {
    findings.push_back(fmt::format("{}: all weights are zero", name));
    return;
  }
  const std::size_t shown = std::min<std::size_t>(dead.size(), 8);
  findings.push_back(fmt::format(
      "{}: {} of {} output channels have only zero weights ({}{})", name, dead.size(),
      channels,
      fmt::join(dead.begin(), dead.begin() + static_cast<std::ptrdiff_t>(shown), ", "),
      shown < dead.size() ? ", ..." : ""));
}

}  // namespace

void require_finite_constants(const Graph& graph) {
  std::vector<std::string> names;
  for (const Value& value : graph.values()) {
    if (!value.constant || value.dtype != DType::F32) continue;
    if (!calib::extremes_of(value.constant->values<float>()).finite) {
      names.push_back(printable(value.name));
    }
  }
  if (names.empty()) return;
  throw Error(ExitCode::ModelUnsupported, "",
              fmt::format("the model's constants hold NaN or infinity: {}",
                          fmt::join(names, ", ")),
              "was training stable? load the last good checkpoint");
}

std::optional<int> channel_axis(const Graph& graph, const Node& node) {
  if (std::holds_alternative<op::Conv2d>(node.op)) return 0;
  if (std::holds_alternative<op::Linear>(node.op)) return 0;
  if (const auto* transposed = std::get_if<op::ConvTranspose2d>(&node.op)) {
    // [C, O/groups, KH, KW]: with groups, one index holds channels of every group.
    if (transposed->groups == 1) return 1;
    return std::nullopt;
  }
  const std::size_t rank = graph.value(node.inputs[1]).shape.size();
  if (std::holds_alternative<op::MatMul>(node.op) && rank == 2) return 1;
  return std::nullopt;
}

Affine encode_weights(const Graph& graph, const Node& node, const WeightConfig& config,
                      float input_scale, std::vector<std::string>& findings) {
  const Tensor& weights = *graph.value(node.inputs[1]).constant;
  std::optional<int> axis;
  if (config.granularity == Granularity::PerChannel) axis = channel_axis(graph, node);
  const std::int64_t channels =
      axis ? weights.shape()[static_cast<std::size_t>(*axis)] : 1;

  Affine out{config.levels, config.bits, {}, {}, axis};
  std::vector<std::size_t> dead;
  for (std::int64_t c = 0; c < channels; ++c) {
    const std::vector<float> values =
        axis ? channel_values(weights, *axis, c)
             : std::vector<float>(weights.values<float>().begin(),
                                  weights.values<float>().end());
    const Affine one = encode_channel(values, config);
    out.scale.push_back(one.scale[0]);
    out.zero_point.push_back(one.zero_point[0]);
    if (std::ranges::all_of(values, [](float w) { return w == 0; })) {
      dead.push_back(static_cast<std::size_t>(c));
    }
  }
  if (!dead.empty()) report_dead(graph, node, dead, out.scale.size(), findings);

  if (node.inputs.size() > 2 && graph.is_constant(node.inputs[2])) {
    raise_scales_for_bias(out, graph.value(node.inputs[2]).constant->values<float>(),
                          input_scale);
  }
  return out;
}

void raise_scales_for_bias(Affine& weights, std::span<const float> bias,
                           float input_scale) {
  for (std::size_t o = 0; o < bias.size(); ++o) {
    float& scale = weights.scale[weights.scale.size() == bias.size() ? o : 0];
    const double least = std::abs(static_cast<double>(bias[o])) / input_scale / 0x1p29;
    scale = std::max(scale, static_cast<float>(least));
  }
}

Affine encode_operand(const Tensor& constant) {
  const calib::Extremes extremes = calib::extremes_of(constant.values<float>());
  return calib::encoding_of({extremes.min, extremes.max}, LevelSet::N, 16, true);
}

calib::Statistics constant_statistics(const Tensor& constant, std::size_t samples) {
  const std::span<const float> values = constant.values<float>();
  const calib::Extremes extremes = calib::extremes_of(values);
  calib::Statistics statistics;
  statistics.sample_min.assign(samples, extremes.min);
  statistics.sample_max.assign(samples, extremes.max);
  calib::finish_extremes(statistics);
  calib::count_values(statistics, values);
  return statistics;
}

}  // namespace qopt::ptq
