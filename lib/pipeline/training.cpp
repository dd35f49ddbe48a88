// SPDX-License-Identifier: MIT
#include "lib/pipeline/training.h"

#include <fmt/format.h>

#include "lib/core/files.h"
#include "lib/data/subset.h"
#include "lib/fixedpoint/lower.h"
#include "lib/graph/passes/canonicalize.h"
#include "lib/pipeline/prepare.h"
#include "lib/pipeline/sources.h"
#include "lib/qat/qat.h"

namespace qopt::pipeline {
namespace {

std::string identity_of(const CompressConfig& config, const ImportedModel& imported) {
  return sha256_hex(resolved_yaml(config) + imported.file_digest);
}

/// Higher is better: top-1 in percent, or without labels (then with the float model,
/// which is null otherwise) the outputs' SQNR in dB.
double score(const aten::FloatExecutor* original, const Graph& candidate,
             const data::Dataset& selection, int threads) {
  const IntegerExecutor device(lower_to_integer(candidate));
  const Readings readings{.float_model = original, .integer = &device};
  const report::Metrics metrics = evaluate(readings, selection, 0.95, threads);
  if (original == nullptr) return metrics.integer->top1->percent;
  return metrics.integer->output_sqnr_db.value_or(0);
}

report::Training report_of(const qat::QatResult& result, const data::Dataset& train,
                           const data::Dataset& selection, bool labelled) {
  report::Training training;
  training.data = train.description();
  training.selection = selection.description();
  training.score_unit = labelled ? "%" : "dB";
  training.steps = result.steps, training.best_step = result.best_step;
  training.start_score = result.start_score;
  for (const qat::Visit& visit : result.visits) {
    training.visits.push_back({visit.step, visit.epoch, visit.learning_rate, visit.loss,
                               visit.accuracy, visit.score, visit.flips, visit.hash,
                               visit.best});
  }
  for (const qat::LayerFlips& layer : result.flips) {
    training.flips.push_back({layer.layer, layer.share});
  }
  return training;
}

}  // namespace

Graph training_graph(const CompressConfig& config, const ImportedModel& imported) {
  const std::int64_t part = config.qat->batch / config.qat->shards;
  std::vector<frontend::InputSpec> inputs = config.model.inputs;
  for (frontend::InputSpec& input : inputs) {
    if (input.shape.empty() || input.shape[0] != 1) {
      throw Error(ExitCode::Usage, "model.inputs",
                  fmt::format("training needs the batch as first axis; '{}' is {}",
                              input.name, shape_text(input.shape)),
                  "give the shape of one sample, 1 first");
    }
    input.shape[0] = part;
  }
  return prepare(config, canonicalize_for_training(imported.model.import(inputs))).graph;
}

std::filesystem::path checkpoint_folder(const CompressConfig& config,
                                        const ImportedModel& imported) {
  std::filesystem::path folder = config.folder();
  folder += ".checkpoint-" + identity_of(config, imported).substr(0, 12);
  return folder;
}

Trained train(const CompressConfig& config, const ImportedModel& imported,
              const Graph& canonical, const Graph& encoded, int threads,
              Listener& listener) {
  const auto seed = static_cast<std::uint64_t>(config.run.seed);
  const std::vector<frontend::InputSpec> inputs = real_inputs(canonical);
  const auto whole = open_source(*config.data.train, "data.train", inputs);
  const auto chosen = config.data.selection
                          ? open_source(*config.data.selection, "data.selection", inputs)
                          : nullptr;
  data::Split split;
  if (!chosen) {
    split = data::hold_out(whole->size(), config.qat->selection_samples, seed);
  }
  const data::Subset rest(*whole, split.rest, "to train on");
  const data::Subset held_out(*whole, split.held_out, "held out to select");
  const data::Dataset& training_set =
      chosen ? *whole : static_cast<const data::Dataset&>(rest);
  const data::Dataset& selection =
      chosen ? *chosen : static_cast<const data::Dataset&>(held_out);

  const bool labelled = selection.sample(0).label.has_value();
  std::optional<aten::FloatExecutor> original;
  if (!labelled) original.emplace(canonical);

  const Graph training = training_graph(config, imported);
  const qat::QatRun run{
      .training = training,
      .encoded = encoded,
      .samples = training_set,
      .judge =
          [&](const Graph& candidate) {
            return score(original ? &*original : nullptr, candidate, selection, threads);
          },
      .seed = seed,
      .threads = threads,
      .cuda = config.run.device == Device::Cuda,
      .checkpoint = checkpoint_folder(config, imported),
      .identity = identity_of(config, imported),
      .progress = [&](std::int64_t done, std::int64_t n) { listener.progress(done, n); },
      .status = [&](const std::string& text) { listener.status(text); },
      .note = [&](const std::string& text) { listener.note(text); }};
  qat::QatResult result = qat::train(*config.qat, run);
  return {std::move(result.graph), report_of(result, training_set, selection, labelled),
          result.findings};
}

}  // namespace qopt::pipeline
