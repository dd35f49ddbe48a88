// SPDX-License-Identifier: MIT
#include "lib/pipeline/evaluate.h"

#include <fmt/format.h>

#include <array>
#include <atomic>

#include "lib/core/parallel.h"

namespace qopt::pipeline {
namespace {

/// What is kept of one model while the set runs: fixed size a sample, indexed by sample.
struct Tally {
  std::vector<std::uint8_t> top1, top5;
  std::vector<eval::Distortion> distortion;
};

bool has_five(const Tensor& scores) { return scores.size() > 5; }

void judge(Tally& tally, std::size_t i, std::int64_t rank) {
  tally.top1[i] = rank == 0 ? 1 : 0;
  tally.top5[i] = rank < 5 ? 1 : 0;
}

void compare(Tally& tally, std::size_t i, const std::vector<Tensor>& reference,
             const std::vector<Tensor>& outputs) {
  for (std::size_t k = 0; k < reference.size(); ++k) {
    tally.distortion[i].add(reference[k].values<float>(), outputs[k].values<float>());
  }
}

report::Metric summarise(const Tally& tally, bool labelled, bool five) {
  report::Metric metric;
  if (labelled) {
    metric.top1 = eval::proportion(tally.top1);
    if (five) metric.top5 = eval::proportion(tally.top5);
    return metric;
  }
  eval::Distortion total;
  for (const eval::Distortion& part : tally.distortion) total.merge(part);
  metric.output_mse = total.mse();
  metric.output_sqnr_db = total.sqnr_db();
  return metric;
}

}  // namespace

std::int64_t label_rank(const data::Dataset& samples, std::int64_t index,
                        const data::Sample& sample, const Tensor& scores) {
  if (!sample.label || *sample.label < 0 || *sample.label >= scores.size()) {
    throw Error(ExitCode::Data,
                fmt::format("{}, sample {}", samples.description(), index),
                sample.label ? fmt::format("label {} but the model gives {} scores",
                                           *sample.label, scores.size())
                             : "has no label");
  }
  return eval::rank_of(scores.values<float>(), *sample.label);
}

double top1_percent(const data::Dataset& samples, std::int64_t count, int threads,
                    const Scores& scores) {
  std::vector<std::uint8_t> right(static_cast<std::size_t>(count));
  parallel_for(count, threads, [&](std::int64_t item, int) {
    const data::Sample sample = samples.sample(item);
    right[static_cast<std::size_t>(item)] =
        label_rank(samples, item, sample, scores(sample, item)) == 0;
  });
  return eval::proportion(right).percent;
}

report::Metrics evaluate(const Readings& readings, const data::Dataset& samples,
                         double confidence, int threads, const Progress& progress) {
  const std::int64_t count = samples.size();
  const bool labelled = samples.sample(0).label.has_value();
  const auto n = static_cast<std::size_t>(count);
  // float, fake-quant, integer, rewritten
  const std::array<bool, 4> present = {
      readings.float_model != nullptr, readings.fake_quant != nullptr,
      readings.integer != nullptr, readings.rewritten != nullptr};
  std::array<Tally, 4> tallies;
  for (std::size_t m = 0; m < tallies.size(); ++m) {
    if (!present[m]) continue;
    tallies[m].top1.resize(n), tallies[m].top5.resize(n);
    if (!labelled) tallies[m].distortion.resize(n);
  }
  std::atomic<bool> five{false};
  std::atomic<std::int64_t> done{0};
  parallel_for(count, threads, [&](std::int64_t item, int) {
    const auto i = static_cast<std::size_t>(item);
    const data::Sample sample = samples.sample(item);
    std::array<std::vector<Tensor>, 4> outputs;
    if (present[0]) outputs[0] = readings.float_model->run(sample.inputs);
    if (present[1]) outputs[1] = readings.fake_quant->run(sample.inputs);
    if (present[2]) outputs[2] = readings.integer->run_real(sample.inputs);
    if (present[3]) outputs[3] = readings.rewritten->run(sample.inputs);
    for (std::size_t m = 0; m < outputs.size(); ++m) {
      if (!present[m]) continue;
      if (!labelled) {
        if (present[0]) compare(tallies[m], i, outputs[0], outputs[m]);
        continue;
      }
      const Tensor& scores = outputs[m].front();
      judge(tallies[m], i, label_rank(samples, item, sample, scores));
      if (has_five(scores)) five.store(true, std::memory_order_relaxed);
    }
    const std::int64_t now = ++done;
    if (progress && (now == count || now % (count / 100 + 1) == 0)) progress(now, count);
  });
  report::Metrics metrics;
  metrics.data = samples.description();
  metrics.samples = count;
  const std::array<std::optional<report::Metric>*, 4> slots = {
      &metrics.float_model, &metrics.fake_quant, &metrics.integer, &metrics.rewritten};
  for (std::size_t m = 0; m < slots.size(); ++m) {
    if (present[m]) *slots[m] = summarise(tallies[m], labelled, five);
  }
  if (!labelled) return metrics;
  eval::Outcomes* known = readings.float_outcomes;
  if (known != nullptr && present[0]) *known = {tallies[0].top1, tallies[0].top5};
  if (known != nullptr && !present[0]) {
    tallies[0].top1 = known->top1, tallies[0].top5 = known->top5;
    metrics.float_model = summarise(tallies[0], labelled, five);
  }
  if (metrics.float_model && present[2]) {
    metrics.drop = eval::paired_drop(tallies[0].top1, tallies[2].top1, confidence);
  }
  if (metrics.float_model && present[3]) {
    metrics.rewrite_drop =
        eval::paired_drop(tallies[0].top1, tallies[3].top1, confidence);
  }
  return metrics;
}

}  // namespace qopt::pipeline
