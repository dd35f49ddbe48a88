// SPDX-License-Identifier: MIT
#include "lib/pipeline/activation_step.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "lib/core/names.h"

namespace qopt::pipeline {
namespace {

/// Mean and largest |f - g| over a histogram.
class Distance {
 public:
  Distance(const Op& f, const Op& g) : f_(f), g_(g) {}

  void add(double x, std::uint64_t count) {
    if (count == 0) return;
    const double apart = std::fabs(apply_activation(f_, x) - apply_activation(g_, x));
    sum_ += static_cast<double>(count) * apart;
    count_ += count;
    most_ = std::max(most_, apart);
  }
  void add(const calib::Statistics& seen) {
    add(0.0, seen.zeros);
    for (std::size_t i = 0; i < seen.positive.size(); ++i) {
      const double centre = (static_cast<double>(i) + 0.5) * seen.bin_width;
      add(centre, seen.positive[i] - (i == 0 ? seen.zeros : 0));
      add(-centre, seen.negative[i]);
    }
  }
  double mean() const { return count_ == 0 ? 0.0 : sum_ / static_cast<double>(count_); }
  double most() const { return most_; }

 private:
  const Op &f_, &g_;
  double sum_ = 0, most_ = 0;
  std::uint64_t count_ = 0;
};

std::string text_of(const Op& op) {
  const std::string name(activation_name(op));
  const auto* unary = std::get_if<op::Unary>(&op);
  if (unary == nullptr) return name;
  switch (unary->kind) {
    case UnaryKind::InterpolatedGelu:
    case UnaryKind::InterpolatedSilu:
      return fmt::format("{}(factor={}, sharpness={}, leak={})", name, unary->a, unary->b,
                         unary->c);
    case UnaryKind::Softplus: return fmt::format("{}(sharpness={})", name, unary->a);
    case UnaryKind::LeakyRelu: return fmt::format("{}(leak={})", name, unary->a);
    default: return name;
  }
}

template <class Rows, class NameOf>
config::Type choice_of(const Rows& rows, NameOf name_of) {
  std::vector<std::string> names;
  for (const auto& row : rows) names.emplace_back(name_of(row));
  return config::choice(std::move(names));
}

}  // namespace

void describe(config::Fields& f, ActivationStep& v) {
  v.where = f.where();
  f.list({.name = "from", .help = "activations to replace"},
         choice_of(replaceable_activations(), [](std::string_view name) { return name; }),
         config::Count{1, 32}, v.from);
  f.key({.name = "to", .help = "what they become"},
        choice_of(activation_targets(),
                  [](const ActivationTarget& row) { return row.name; }),
        v.to);
  f.key({.name = "factor",
         .help = "of interpolated_*: from 0, (leaky) relu, to 1, smooth",
         .example = "0.5"},
        config::real(0, 1), v.parameters.factor);
  f.key({.name = "sharpness",
         .help = "of interpolated_* and softplus: how fast it bends (default 1)",
         .example = "2"},
        config::real(1e-3, 1e6), v.parameters.sharpness);
  f.key({.name = "leak",
         .help = "of interpolated_* and leaky_relu: slope below 0 (default 0)",
         .example = "0.01"},
        config::real(0, 1), v.parameters.leak);
  f.list({.name = "layers", .help = "name patterns of * and ? of the activations"},
         config::text(), config::Count{1, 4096}, v.layers);
  try {
    activation_op(v.to, v.parameters, "");
  } catch (const Error& e) {
    f.refuse("to", e.message() + (e.hint().empty() ? "" : " (" + e.hint() + ")"));
  }
}

Rewritten rewrite_activations(const std::optional<ActivationStep>& step,
                              const Graph& imported) {
  Rewritten rewritten{imported, {}};
  if (!step) return rewritten;
  const ActivationRule rule{step->from,
                            activation_op(step->to, step->parameters, step->where),
                            step->layers, step->where};
  rewritten.activations = replace_activations(rewritten.graph, rule);
  return rewritten;
}

std::vector<report::ReplacedActivation> score_activations(
    std::span<const ReplacedActivation> activations, const Graph& canonical,
    std::span<const ptq::ValueStatistics> statistics) {
  std::vector<report::ReplacedActivation> rows;
  for (const ReplacedActivation& activation : activations) {
    report::ReplacedActivation row{activation.layer, activation.from,
                                   text_of(activation.now), 0, 0};
    const auto input = canonical.find(activation.input);
    QOPT_CHECK(input, "no value '{}'", activation.input);
    const auto seen = std::ranges::find(statistics, *input, &ptq::ValueStatistics::value);
    QOPT_CHECK(seen != statistics.end(), "no statistics of '{}'", activation.input);
    for (const Op& old : activation.old) {
      Distance distance(old, activation.now);
      distance.add(seen->statistics);
      row.mean_distance += distance.mean() / static_cast<double>(activation.old.size());
      row.max_distance = std::max(row.max_distance, distance.most());
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace qopt::pipeline
