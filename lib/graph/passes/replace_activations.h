// SPDX-License-Identifier: MIT
// Replacing activations: a rewrite that changes what a Canonical graph means, so it runs
// only where it is asked for. Pure graph-to-graph; measures nothing.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/graph/graph.h"

namespace qopt {

/// What may be replaced, by the names users know: relu, relu6, hardtanh (any other
/// clamp), prelu, and the names of the activations among the Unary kinds.
std::span<const std::string_view> replaceable_activations();
/// The name of node's activation among these; empty where it is none.
std::string_view activation_name(const Op& op);

/// What they may become, and which parameters that takes.
struct ActivationTarget {
  std::string_view name;
  bool factor, sharpness, leak;
};
std::span<const ActivationTarget> activation_targets();

struct ActivationParameters {
  std::optional<double> factor;     // 0 relu .. 1 smooth; default 1
  std::optional<double> sharpness;  // above 0; default 1
  std::optional<double> leak;       // slope below 0, 0 .. 1; default 0
};
/// The operator of a row of activation_targets(). Throws Error(Usage) at `where` for an
/// unknown name, a parameter that the row does not take, or one outside its bounds.
Op activation_op(std::string_view name, const ActivationParameters& parameters,
                 const std::string& where);

struct ActivationRule {
  std::vector<std::string> from{"relu", "relu6"};  // of replaceable_activations()
  Op to = op::Unary{UnaryKind::Gelu};
  std::vector<std::string> layers{"*"};  // patterns of the activations' names
  std::string where{};                   // file:line:col, for messages
};

struct ReplacedActivation {
  std::string layer, input;  // names of the activation's result and of what it reads
  std::string from;          // its old name
  // The old function of one variable; for prelu one leaky_relu for each slope.
  std::vector<Op> old;
  Op now;
};

/// Puts `rule.to` in the place of every activation that is called so and matches; the
/// results keep their names. Throws Error(Usage) for a pattern that matches no layer, or
/// no activation of `rule.from` that is not `rule.to` already.
std::vector<ReplacedActivation> replace_activations(Graph& canonical,
                                                    const ActivationRule& rule);

/// f(x) of a Clamp or Unary operator.
double apply_activation(const Op& op, double x);

}  // namespace qopt
