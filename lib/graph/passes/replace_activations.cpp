// SPDX-License-Identifier: MIT
#include "lib/graph/passes/replace_activations.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "lib/core/error.h"
#include "lib/core/names.h"
#include "lib/graph/layer_names.h"
#include "lib/graph/passes/edit.h"
#include "lib/graph/verify.h"

namespace qopt {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kSoftplusThreshold = 20.0;  // torch's default: e^-20 is below float32

constexpr std::string_view kReplaceable[] = {"relu",
                                             "relu6",
                                             "hardtanh",
                                             "prelu",
                                             "leaky_relu",
                                             "hardswish",
                                             "hardsigmoid",
                                             "sigmoid",
                                             "tanh",
                                             "silu",
                                             "gelu",
                                             "gelu_tanh",
                                             "elu",
                                             "softplus",
                                             "mish",
                                             "interpolated_gelu",
                                             "interpolated_silu"};

constexpr ActivationTarget kTargets[] = {
    // factor, sharpness, leak
    {"relu", false, false, false},           {"leaky_relu", false, false, true},
    {"hardswish", false, false, false},      {"silu", false, false, false},
    {"gelu", false, false, false},           {"softplus", false, true, false},
    {"interpolated_gelu", true, true, true}, {"interpolated_silu", true, true, true},
};

Op op_of(std::string_view name, double factor, double sharpness, double leak) {
  if (name == "relu") return op::Clamp{0.0, kInf};
  op::Unary unary{*parse_unary(name)};
  if (name == "leaky_relu") unary.a = leak;
  if (name == "softplus") unary.a = sharpness, unary.b = kSoftplusThreshold;
  if (name == "interpolated_gelu" || name == "interpolated_silu")
    unary.a = factor, unary.b = sharpness, unary.c = leak;
  return unary;
}

/// The parameter or its default, checked.
double parameter(std::string_view target, const char* key, bool is_taken,
                 const std::optional<double>& value, double otherwise, double lo,
                 double hi, const std::string& where) {
  if (!value) return otherwise;
  if (!is_taken) {
    throw Error(
        ExitCode::Usage, where, fmt::format("{} takes no {}", target, key),
        "interpolated_gelu and interpolated_silu take factor, sharpness and leak");
  }
  if (!(*value >= lo && *value <= hi)) {
    throw Error(ExitCode::Usage, where, fmt::format("{} {}", key, *value),
                fmt::format("{} to {}", lo, hi));
  }
  return *value;
}

/// The activation's function of one variable, or one for each slope.
std::vector<Op> functions_of(const Graph& graph, const Node& node) {
  if (!std::holds_alternative<op::PRelu>(node.op)) return {node.op};
  std::vector<Op> all;
  if (const auto slopes = edit::constant_reals(graph, node.inputs.at(1))) {
    for (const double slope : *slopes)
      all.emplace_back(op::Unary{UnaryKind::LeakyRelu, slope});
  }
  return all;
}

std::string text_of_activations(const Graph& graph) {
  std::map<std::string_view, int> counts;
  for (const Node& node : graph.nodes()) {
    if (const auto name = activation_name(node.op); !name.empty()) ++counts[name];
  }
  std::vector<std::string> parts;
  for (const auto& [name, count] : counts)
    parts.push_back(fmt::format("{} ({})", name, count));
  return parts.empty() ? "the model has no activations"
                       : fmt::format("the model has {}", fmt::join(parts, ", "));
}

/// Which nodes are meant, by index. Every pattern must find one.
std::vector<bool> chosen(const Graph& graph, const ActivationRule& rule) {
  std::vector<bool> all(graph.nodes().size(), false);
  for (const std::string& pattern : rule.layers) {
    bool is_named = false, is_found = false;
    for (std::size_t i = 0; i < all.size(); ++i) {
      const Node& node = graph.nodes()[i];
      if (!glob_match(pattern, graph.value(node.output).name)) continue;
      is_named = true;
      if (std::ranges::count(rule.from, activation_name(node.op)) == 0) continue;
      if (node.op == rule.to) continue;
      is_found = all[i] = true;
    }
    if (is_found) continue;
    if (!is_named) no_such_layer(graph, pattern, rule.where);
    throw Error(ExitCode::Usage, rule.where,
                fmt::format("no layer that '{}' matches is {} and would change",
                            printable(pattern), fmt::join(rule.from, " or ")),
                text_of_activations(graph));
  }
  return all;
}

}  // namespace

std::span<const std::string_view> replaceable_activations() { return kReplaceable; }
std::span<const ActivationTarget> activation_targets() { return kTargets; }

std::string_view activation_name(const Op& op) {
  if (const auto* clamp = std::get_if<op::Clamp>(&op)) {
    if (clamp->lo == -kInf && clamp->hi == kInf) return {};  // ptq's requantisation
    if (clamp->lo != 0.0) return "hardtanh";
    return clamp->hi == kInf ? "relu" : clamp->hi == 6.0 ? "relu6" : "hardtanh";
  }
  if (std::holds_alternative<op::PRelu>(op)) return "prelu";
  const auto* unary = std::get_if<op::Unary>(&op);
  if (unary == nullptr) return {};
  const std::string_view name = unary_name(unary->kind);
  return std::ranges::count(kReplaceable, name) > 0 ? name : std::string_view();
}

Op activation_op(std::string_view name, const ActivationParameters& parameters,
                 const std::string& where) {
  constexpr double kLeast = 1e-3, kMost = 1e6;  // sharpness that float32 still resolves
  const auto* row = std::ranges::find(kTargets, name, &ActivationTarget::name);
  if (row == std::end(kTargets)) {
    throw Error(ExitCode::Usage, where,
                fmt::format("unknown activation '{}'", printable(name)));
  }
  const double factor =
      parameter(name, "factor", row->factor, parameters.factor, 1.0, 0.0, 1.0, where);
  const double sharpness = parameter(name, "sharpness", row->sharpness,
                                     parameters.sharpness, 1.0, kLeast, kMost, where);
  const double leak =
      parameter(name, "leak", row->leak, parameters.leak, 0.0, 0.0, 1.0, where);
  return op_of(name, factor, sharpness, leak);
}

std::vector<ReplacedActivation> replace_activations(Graph& canonical,
                                                    const ActivationRule& rule) {
  QOPT_CHECK(canonical.level() <= Level::Canonical,
             "replace_activations takes a float graph");
  const std::vector<bool> wanted = chosen(canonical, rule);
  std::vector<ReplacedActivation> replaced;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (!wanted[i]) continue;
    const Node& node = canonical.nodes()[i];
    const ValueId input = node.inputs.at(0);
    replaced.push_back({canonical.value(node.output).name, canonical.value(input).name,
                        std::string(activation_name(node.op)),
                        functions_of(canonical, node), rule.to});
    edit::become(canonical, i, rule.to, {input});
  }
  canonical.remove_dead();  // slopes of prelu
  require_valid(canonical, "replace_activations");
  return replaced;
}

double apply_activation(const Op& op, double x) {
  if (const auto* clamp = std::get_if<op::Clamp>(&op))
    return std::min(std::max(x, clamp->lo), clamp->hi);
  const auto* unary = std::get_if<op::Unary>(&op);
  QOPT_CHECK(unary != nullptr, "{} is no function of one variable", op_name(op));
  return apply_unary(*unary, x);
}

}  // namespace qopt
