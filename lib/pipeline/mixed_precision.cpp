// SPDX-License-Identifier: MIT
#include "lib/pipeline/mixed_precision.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "lib/fixedpoint/lower.h"
#include "lib/pipeline/compress_config.h"
#include "lib/pipeline/sensitivity.h"
#include "lib/pipeline/sources.h"
#include "lib/ptq/settings.h"

namespace qopt::pipeline {
namespace {

ptq::LayerRule rule_for(const std::string& name) {
  ptq::LayerRule rule;
  rule.pattern = name;
  rule.where = "mixed_precision";
  return rule;
}

class Search {
 public:
  Search(const MixedPrecisionStep& step, const ptq::PtqConfig& start,
         const Graph& canonical, std::span<const ptq::ValueStatistics> statistics,
         const data::Dataset& selection, int threads, const Progress& progress)
      : step_(step),
        canonical_(canonical),
        statistics_(statistics),
        selection_(selection),
        count_(std::min(step.samples.value_or(selection.size()), selection.size())),
        threads_(threads),
        progress_(progress),
        now_(start) {}

  Precision run(const Graph& original) {
    encoded_ = ptq::quantize(canonical_, statistics_, now_).graph;
    const Sensitivity sensitivity = measure_sensitivity(
        canonical_, encoded_, selection_, count_, false, threads_, progress_);
    const aten::FloatExecutor model(original);
    best_.report.float_top1 = top1_percent(selection_, count_, threads_,
                                           [&](const data::Sample& sample, std::int64_t) {
                                             return model.run(sample.inputs).front();
                                           });
    best_.report.samples = count_;
    best_.report.target = step_.target_drop;
    visit({}, 0);
    for (const std::int64_t bits : step_.bits) {
      for (const LayerSensitivity& layer : sensitivity.layers) {
        if (best_.report.reached) break;
        raise(layer, static_cast<int>(bits));
      }
    }
    best_.report.path = std::move(path_);
    list_layers();
    return std::move(best_);
  }

 private:
  /// Measures the present state and keeps it where it is the best so far.
  void visit(const std::string& raised, int bits) {
    const IntegerExecutor device(lower_to_integer(encoded_));
    const double top1 = top1_percent(selection_, count_, threads_,
                                     [&](const data::Sample& sample, std::int64_t) {
                                       return device.run_real(sample.inputs).front();
                                     });
    const double drop = best_.report.float_top1 - top1;
    const bool is_better = path_.empty() || drop < best_drop_;
    path_.push_back({raised, bits, top1, drop, {}});
    if (!is_better) return;
    best_drop_ = drop;
    best_.ptq = now_;
    best_.report.chosen = static_cast<std::int64_t>(path_.size()) - 1;
    best_.report.reached = drop <= step_.target_drop;
  }

  void raise(const LayerSensitivity& layer, int bits) {
    const Node& node = encoded_.nodes()[*encoded_.producer(*encoded_.find(layer.layer))];
    const bool weights = bits_of(encoded_, node.inputs[1]) < bits;
    const bool activation = bits_of(encoded_, node.inputs[0]) < bits;
    if (!weights && !activation) return;
    const ptq::PtqConfig before = now_;
    const Graph encoded_before = encoded_;
    if (weights) {
      now_.layers.push_back(rule_for(layer.layer));
      now_.layers.back().weight_bits = bits;
      if (is_narrow(encoded_, node.inputs[1]))
        now_.layers.back().weight_levels = LevelSet::N;
    }
    if (activation) {
      now_.layers.push_back(rule_for(layer.activation));
      now_.layers.back().activation_bits = bits;
      if (is_narrow(encoded_, node.inputs[0]))
        now_.layers.back().activation_levels = LevelSet::S;
    }
    try {
      encoded_ = ptq::quantize(canonical_, statistics_, now_).graph;
      visit(layer.layer, bits);
    } catch (const Error& e) {
      if (e.code() != ExitCode::ModelUnsupported) throw;
      now_ = before;
      encoded_ = encoded_before;
      path_.push_back({layer.layer, bits, {}, {}, e.message()});
    }
  }

  /// Level sets that have no form of more bits.
  static bool is_narrow(const Graph& graph, ValueId id) {
    const auto& encoding = graph.value(id).encoding;
    const LevelSet levels = encoding ? std::get<Affine>(*encoding).levels : LevelSet::N;
    return levels == LevelSet::O || levels == LevelSet::T;
  }

  /// The widths of the state that was chosen, in execution order.
  void list_layers() {
    const Graph encoded = ptq::quantize(canonical_, statistics_, best_.ptq).graph;
    for (const Node& node : encoded.nodes()) {
      const int weights = node.inputs.size() > 1 && encoded.is_constant(node.inputs[1])
                              ? bits_of(encoded, node.inputs[1])
                              : 0;
      if (weights == 0 || encoded.is_constant(node.inputs[0])) continue;
      best_.report.layers.push_back(
          {encoded.value(node.output).name, weights, bits_of(encoded, node.inputs[0])});
    }
  }

  const MixedPrecisionStep& step_;
  const Graph& canonical_;
  std::span<const ptq::ValueStatistics> statistics_;
  const data::Dataset& selection_;
  std::int64_t count_;
  int threads_;
  const Progress& progress_;
  ptq::PtqConfig now_;
  Graph encoded_;  // by now_
  double best_drop_ = 0;
  std::vector<report::PrecisionState> path_;
  Precision best_;
};

}  // namespace

void describe(config::Fields& f, MixedPrecisionStep& v) {
  f.key({.name = "target_drop", .help = "top-1 that may be lost on the selection data"},
        config::real(-100, 100), v.target_drop);
  f.key({.name = "unit", .help = "pp: percentage points of top-1"},
        config::choice({"pp"}), v.unit);
  f.list({.name = "bits", .help = "widths to raise layers to, in this order"},
         config::integer_of({2, 3, 4, 5, 6, 7, 8, 16}), config::Count{1, 8}, v.bits);
  f.key({.name = "samples",
         .help = "only the first of the selection data (absent: all)",
         .example = "1000"},
        config::integer(1, 1LL << 40), v.samples);
  if (!std::ranges::is_sorted(v.bits)) f.refuse("bits", "'bits' must not decrease");
}

Precision search_precision(const CompressConfig& config, const Graph& original,
                           const Graph& canonical,
                           std::span<const ptq::ValueStatistics> statistics,
                           const Sources& sources, int threads,
                           const Progress& progress) {
  const std::unique_ptr<data::Dataset> own =
      config.data.selection
          ? open_source(*config.data.selection, "data.selection", real_inputs(canonical))
          : nullptr;
  const auto is_labelled = [](const data::Dataset* set) {
    return set != nullptr && set->sample(0).label.has_value();
  };
  for (const data::Dataset* selection :
       {own.get(), sources.calibration.get(), sources.eval.get()}) {
    if (!is_labelled(selection)) continue;
    Precision found = Search(*config.mixed_precision, config.ptq, canonical, statistics,
                             *selection, threads, progress)
                          .run(original);
    found.report.is_eval = selection == sources.eval.get();
    found.report.data = selection->description();
    return found;
  }
  throw Error(ExitCode::Data, "passes.mixed_precision",
              "none of data.selection, data.calibration and data.eval has labels",
              "give one of them labels");
}

}  // namespace qopt::pipeline
