// SPDX-License-Identifier: MIT
// The story of post-training quantization: settings, groups, ranges, encodings, weights.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "lib/calib/statistics.h"
#include "lib/core/names.h"
#include "lib/graph/verify.h"
#include "lib/ptq/groups.h"
#include "lib/ptq/ptq.h"
#include "lib/ptq/settings.h"
#include "lib/ptq/signs.h"
#include "lib/ptq/weights.h"

namespace qopt::ptq {
namespace {

/// The real numbers that codes can say.
calib::Range reach(const Affine& e) {
  return {decode(code_min(e.levels, e.bits), e), decode(code_max(e.levels, e.bits), e)};
}

class Quantizer {
 public:
  Quantizer(const Graph& canonical, std::span<const ValueStatistics> statistics,
            const PtqConfig& config)
      : config_(config), given_(statistics) {
    result_.graph = canonical;
    for (const ValueStatistics& value : statistics) {
      statistics_[value.value.index] = &value.statistics;
      samples_ = value.statistics.sample_min.size();
    }
  }

  PtqResult run() {
    never_negative_ = never_negative(result_.graph);
    settings_ = settings_of(result_.graph, config_, result_.findings);
    const WidthOf width_of = [&](ValueId id) {
      const calib::Statistics& seen = statistics(id);
      return static_cast<double>(std::max(seen.max, 0.0F)) -
             static_cast<double>(std::min(seen.min, 0.0F));
    };
    for (const Group& group : groups_of(graph(), width_of, config_.unify_add)) {
      encode(group);
    }
    encode_constants();
    result_.graph.set_level(Level::Encoded);
    result_.choices = choices_of(result_.graph, given_);
    return std::move(result_);
  }

 private:
  Graph& graph() { return result_.graph; }
  const std::string& name(ValueId id) { return graph().value(id).name; }

  const calib::Statistics& statistics(ValueId id) {
    const auto found = statistics_.find(id.index);
    QOPT_CHECK(found != statistics_.end(), "no statistics of '{}'", name(id));
    return *found->second;
  }

  /// One configuration for all members: that of the members a rule speaks of, else of
  /// all; of several, the one with most bits.
  ActivationConfig settings(const Group& group) {
    const ActivationConfig* chosen = nullptr;
    bool by_rule = false, differ = false;
    for (const ValueId id : group.members) {
      const auto producer = graph().producer(id);
      if (!producer) continue;
      const NodeSettings& node = settings_[*producer];
      if (by_rule && !node.has_activation_rule) continue;
      const bool is_first = chosen == nullptr || by_rule != node.has_activation_rule;
      differ = !is_first && (differ || (by_rule && !(node.activations == *chosen)));
      if (is_first || node.activations.bits > chosen->bits) chosen = &node.activations;
      by_rule = node.has_activation_rule;
    }
    QOPT_CHECK(chosen != nullptr, "a group of constants");
    if (differ) {
      result_.findings.push_back(fmt::format(
          "{} and {} others share one encoding but have different rules; {} bits were "
          "taken",
          printable(name(group.members[0])), group.members.size() - 1, chosen->bits));
    }
    return *chosen;
  }

  bool is_softmax(ValueId id) {
    const auto producer = graph().producer(id);
    return producer && std::holds_alternative<op::Softmax>(graph().nodes()[*producer].op);
  }

  void encode(const Group& group) {
    QOPT_CHECK(!group.sources.empty(), "nothing decides the range of '{}'",
               name(group.members[0]));
    const ActivationConfig config = settings(group);
    // A softmax result is a code over 2^bits by definition (runtime/include/qrt/arith.h,
    // N12).
    const bool fixed =
        std::ranges::all_of(group.sources, [&](ValueId id) { return is_softmax(id); });
    const Affine encoding =
        fixed
            ? Affine{LevelSet::U, config.bits, {std::ldexp(1.0F, -config.bits)}, {0}, {}}
            : calibrated(group, config);
    for (const ValueId id : group.members) {
      // Constants follow below: they may need another encoding elsewhere.
      if (graph().is_constant(id)) {
        shared_[id.index] = encoding;
      } else {
        graph().value(id).encoding = encoding;
      }
    }
  }

  Affine calibrated(const Group& group, const ActivationConfig& config) {
    std::vector<calib::Statistics> of_constants;
    of_constants.reserve(group.sources.size());
    std::vector<const calib::Statistics*> parts;
    for (const ValueId id : group.sources) {
      if (graph().is_constant(id)) {
        of_constants.push_back(
            constant_statistics(*graph().value(id).constant, samples_));
        parts.push_back(&of_constants.back());
      } else {
        parts.push_back(&statistics(id));
      }
    }
    const calib::Statistics all = calib::merged(parts);
    const bool non_negative = all.min >= 0;
    const LevelSet levels =
        config.levels.value_or(non_negative ? LevelSet::U : LevelSet::S);
    const bool symmetric = config.symmetric || is_symmetric(levels);
    const calib::EstimatorOptions options{
        .bits = config.bits,
        .symmetric = symmetric,
        .one_sided = !symmetric || levels == LevelSet::U,
        .percentile = config.percentile,
        .momentum = config.momentum};
    calib::Range range = calib::find_estimator(config.calibrator)->estimate(all, options);
    if (levels == LevelSet::U && non_negative) range.lo = 0;
    if (all.min == 0 && all.max == 0) {
      for (const ValueId id : group.sources) {
        result_.findings.push_back(
            fmt::format("{}: always 0 on the calibration samples", printable(name(id))));
      }
    } else if (non_negative && levels == LevelSet::U) {
      report_one_sided(group);
    }
    return calib::encoding_of(range, levels, config.bits, symmetric);
  }

  void report_one_sided(const Group& group) {
    for (const ValueId id : group.sources) {
      const auto producer = graph().producer(id);
      if (!producer || std::holds_alternative<op::Input>(graph().nodes()[*producer].op) ||
          never_negative_[id.index]) {
        continue;
      }
      result_.findings.push_back(fmt::format(
          "{}: never negative on the calibration samples, so it has no negative "
          "codes, though the operator could make negative numbers",
          printable(name(id))));
    }
  }

  float input_scale(const Node& node) {
    const auto& encoding = graph().value(node.inputs[0]).encoding;
    return encoding ? std::get<Affine>(*encoding).scale[0] : 1.0F;
  }

  std::optional<Affine> wanted(std::size_t node_index, std::size_t operand) {
    const Node& node = graph().nodes()[node_index];
    const ValueId id = node.inputs[operand];
    if (graph().value(id).dtype != DType::F32) return std::nullopt;
    if (keeps_encoding(node.op) ||
        (std::holds_alternative<op::Embedding>(node.op) && operand == 1)) {
      return shared_.at(id.index);
    }
    if (operand == 1 && has_weights(graph(), node)) {
      return encode_weights(graph(), node, settings_[node_index].weights,
                            input_scale(node), result_.findings);
    }
    if (std::holds_alternative<op::MatMul>(node.op) ||
        std::holds_alternative<op::Binary>(node.op)) {
      return encode_operand(*graph().value(id).constant);
    }
    return std::nullopt;
  }

  /// A constant that is used in two ways that need two encodings (tied weights, say)
  /// becomes two constants over the same bytes.
  void encode_constants() {
    struct Use {
      std::optional<Affine> encoding;
      ValueId id;
    };
    std::map<std::uint32_t, std::vector<Use>> uses;
    for (std::size_t n = 0; n < graph().nodes().size(); ++n) {
      for (std::size_t i = 0; i < graph().nodes()[n].inputs.size(); ++i) {
        const ValueId id = graph().nodes()[n].inputs[i];
        if (!graph().is_constant(id)) continue;
        std::optional<Affine> encoding = wanted(n, i);
        std::vector<Use>& known = uses[id.index];
        auto same = std::ranges::find(known, encoding, &Use::encoding);
        if (same == known.end()) {
          const Tensor bytes = *graph().value(id).constant;
          const ValueId own = known.empty() ? id : graph().add_constant(name(id), bytes);
          if (encoding) graph().value(own).encoding = *encoding;
          same = known.insert(known.end(), {std::move(encoding), own});
        }
        graph().mutable_nodes()[n].inputs[i] = same->id;
      }
    }
  }

  const PtqConfig& config_;
  std::span<const ValueStatistics> given_;
  PtqResult result_;
  std::map<std::uint32_t, const calib::Statistics*> statistics_;
  std::size_t samples_ = 0;
  std::vector<NodeSettings> settings_;
  std::vector<bool> never_negative_;
  std::map<std::uint32_t, Affine> shared_;  // of constants in groups
};

}  // namespace

std::vector<Choice> choices_of(const Graph& encoded,
                               std::span<const ValueStatistics> statistics) {
  std::map<std::uint32_t, const calib::Statistics*> seen;
  for (const ValueStatistics& value : statistics) {
    seen[value.value.index] = &value.statistics;
  }
  std::vector<Choice> choices;
  for (const Node& node : encoded.nodes()) {
    const Value& value = encoded.value(node.output);
    if (!value.encoding) continue;
    const auto& encoding = std::get<Affine>(*value.encoding);
    const calib::Range range = reach(encoding);
    // Within half a step of the last code nothing is lost but by rounding.
    const float half = 0.5F * encoding.scale[0];
    const calib::Range kept{range.lo - half, range.hi + half};
    choices.push_back({value.name, range,
                       calib::clipped_fraction(*seen.at(node.output.index), kept),
                       encoding});
  }
  return choices;
}

PtqResult quantize(const Graph& canonical, std::span<const ValueStatistics> statistics,
                   const PtqConfig& config) {
  QOPT_CHECK(canonical.level() == Level::Canonical, "quantize takes a Canonical graph");
  require_finite_constants(canonical);
  PtqResult result = Quantizer(canonical, statistics, config).run();
  require_valid(result.graph, "post-training quantization");
  return result;
}

}  // namespace qopt::ptq
