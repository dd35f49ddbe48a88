// SPDX-License-Identifier: MIT
#include "lib/ptq/settings.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <set>

#include "lib/core/names.h"
#include "lib/graph/layer_names.h"
#include "lib/graph/verify.h"
#include "lib/ptq/layer_bits.h"

namespace qopt::ptq {
namespace {

/// Without level set, the widths that some level set has.
void check_bits(std::optional<LevelSet> levels, int bits, const std::string& where,
                const std::string& key) {
  const auto fault = bits_fault(levels.value_or(LevelSet::U), bits);
  if (!fault) return;
  throw Error(ExitCode::Usage, where, fmt::format("{}: {} bits", key, bits),
              levels ? *fault : "1 to 8, or 16");
}

void check_activation_levels(std::optional<LevelSet> levels, const std::string& where) {
  if (!levels || has_zero(*levels)) return;
  throw Error(ExitCode::Usage, where,
              fmt::format("activations.levels: {} has no code for zero, which padding "
                          "needs",
                          level_set_name(*levels)),
              "o is for weights; u or s of 1 bit for activations of two levels");
}

void check_calibrator(const std::string& name, const std::string& where) {
  if (calib::find_estimator(name) != nullptr) return;
  std::set<std::string> names;
  for (const calib::Estimator& row : calib::estimators()) names.emplace(row.name);
  const std::string near = nearest(name, names);
  throw Error(ExitCode::Usage, where,
              fmt::format("unknown calibrator '{}'", printable(name)),
              near.empty() ? fmt::format("one of {}", fmt::join(names, ", "))
                           : fmt::format("did you mean '{}'?", near));
}

void check_percentile(double percentile, const std::string& where) {
  if (percentile > 0 && percentile <= 100) return;
  throw Error(ExitCode::Usage, where, fmt::format("percentile {}", percentile),
              "above 0, at most 100; usual are 99.9 to 99.9999");
}

void check(const PtqConfig& config) {
  check_bits(config.weights.levels, config.weights.bits, "", "weights.bits");
  check_activation_levels(config.activations.levels, "");
  check_bits(config.activations.levels, config.activations.bits, "", "activations.bits");
  check_bits(std::nullopt, config.first_last_bits, "", "first_last_bits");
  check_bits(std::nullopt, config.residual_bits, "", "residual_bits");
  check_calibrator(config.weights.calibrator, "");
  check_calibrator(config.activations.calibrator, "");
  check_percentile(config.weights.percentile, "");
  check_percentile(config.activations.percentile, "");
  const double momentum = config.activations.momentum;
  if (!(momentum >= 0 && momentum < 1)) {
    throw Error(ExitCode::Usage, "", fmt::format("momentum {}", momentum),
                "at least 0, below 1");
  }
  for (const LayerRule& rule : config.layers) {
    check_activation_levels(rule.activation_levels, rule.where);
    if (rule.weight_bits)
      check_bits(rule.weight_levels, *rule.weight_bits, rule.where, "weight_bits");
    if (rule.activation_bits)
      check_bits(rule.activation_levels, *rule.activation_bits, rule.where,
                 "activation_bits");
    if (rule.calibrator) check_calibrator(*rule.calibrator, rule.where);
    if (rule.percentile) check_percentile(*rule.percentile, rule.where);
  }
}

bool speaks_of_weights(const LayerRule& rule) {
  return rule.weight_bits || rule.weight_levels || rule.granularity;
}
bool speaks_of_activations(const LayerRule& rule) {
  return rule.activation_bits || rule.activation_levels || rule.symmetric ||
         rule.calibrator || rule.percentile;
}

void apply_to_weights(const LayerRule& rule, WeightConfig& weights) {
  if (rule.weight_bits) weights.bits = *rule.weight_bits;
  if (rule.weight_levels) weights.levels = *rule.weight_levels;
  if (rule.granularity) weights.granularity = *rule.granularity;
}
void apply_to_activations(const LayerRule& rule, ActivationConfig& activations) {
  if (rule.activation_bits) activations.bits = *rule.activation_bits;
  if (rule.activation_levels) activations.levels = *rule.activation_levels;
  if (rule.symmetric) activations.symmetric = *rule.symmetric;
  if (rule.calibrator) activations.calibrator = *rule.calibrator;
  if (rule.percentile) activations.percentile = *rule.percentile;
}

/// The node whose result carries the encoding of node `i`: itself, or the clamp it is
/// fused into.
std::size_t carrier(const Graph& graph, std::size_t i) {
  const ValueId output = graph.nodes()[i].output;
  return is_fused_into_clamp(graph, output) ? graph.users(output)[0] : i;
}

/// At least `bits`. Odd and ternary levels, which are for few, become n.
template <class Config>
void raise(Config& config, int bits) {
  if (config.bits >= bits) return;
  config.bits = bits;
  if (config.levels == LevelSet::O || config.levels == LevelSet::T) {
    config.levels = LevelSet::N;
  }
}

/// What follows from who reads a value and from the kinds of layers. Layer rules come
/// later and win.
void apply_readers(const Graph& graph, const PtqConfig& config,
                   std::vector<NodeSettings>& settings) {
  const std::vector<bool> kept = kept_layers(graph, config);
  const std::vector<int> needed = needed_bits(graph, config);
  for (std::size_t i = 0; i < settings.size(); ++i) {
    if (kept[i]) raise(settings[i].weights, config.first_last_bits);
    raise(settings[i].activations, needed[graph.nodes()[i].output.index]);
  }
}

}  // namespace

bool has_weights(const Graph& graph, const Node& node) {
  const bool is_layer = std::holds_alternative<op::Conv2d>(node.op) ||
                        std::holds_alternative<op::ConvTranspose2d>(node.op) ||
                        std::holds_alternative<op::Linear>(node.op) ||
                        std::holds_alternative<op::MatMul>(node.op);
  return is_layer && graph.is_constant(node.inputs[1]);
}

std::vector<NodeSettings> settings_of(const Graph& graph, const PtqConfig& config,
                                      std::vector<std::string>& findings) {
  check(config);
  std::vector<NodeSettings> settings(
      graph.nodes().size(), NodeSettings{config.weights, config.activations, false});
  apply_readers(graph, config, settings);
  std::vector<std::string> weights_by(settings.size()), activations_by(settings.size());
  for (const LayerRule& rule : config.layers) {
    bool matched = false, reaches_weights = false;
    for (std::size_t i = 0; i < settings.size(); ++i) {
      const Node& node = graph.nodes()[i];
      if (!glob_match(rule.pattern, graph.value(node.output).name)) continue;
      matched = true;
      reaches_weights = reaches_weights || has_weights(graph, node);
      apply_to_weights(rule, settings[i].weights);
      if (speaks_of_weights(rule)) weights_by[i] = rule.where;
      if (!speaks_of_activations(rule)) continue;
      NodeSettings& carrying = settings[carrier(graph, i)];
      apply_to_activations(rule, carrying.activations);
      carrying.has_activation_rule = true;
      activations_by[carrier(graph, i)] = rule.where;
    }
    if (!matched) no_such_layer(graph, rule.pattern, rule.where);
    if (speaks_of_weights(rule) && !reaches_weights) {
      findings.push_back(
          fmt::format("{}: rule '{}' sets weights, but no layer that it matches "
                      "has any",
                      rule.where, printable(rule.pattern)));
    } else if (!speaks_of_weights(rule) && !speaks_of_activations(rule)) {
      findings.push_back(
          fmt::format("{}: rule '{}' sets nothing", rule.where, printable(rule.pattern)));
    }
  }
  // Bits of one rule and levels of another must go together.
  for (std::size_t i = 0; i < settings.size(); ++i) {
    const std::string name = printable(graph.value(graph.nodes()[i].output).name);
    const auto& [weights, activations, has_rule] = settings[i];
    if (has_weights(graph, graph.nodes()[i])) {
      check_bits(weights.levels, weights.bits, weights_by[i], name + ": weights");
    }
    check_bits(activations.levels, activations.bits, activations_by[i],
               name + ": activations");
  }
  return settings;
}

}  // namespace qopt::ptq
