// SPDX-License-Identifier: MIT
#include "lib/pipeline/analog_step.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <numeric>

#include "lib/aten/analog_executor.h"
#include "lib/core/rng.h"

namespace qopt::pipeline {
namespace {

std::vector<double> clamps_of(const AnalogStep& step, const Graph& graph,
                              std::span<const ptq::ValueStatistics> statistics) {
  if (step.range == "unit") return std::vector<double>(graph.values().size(), 1.0);
  std::vector<double> clamps = aten::weight_clamps(graph);
  for (const ptq::ValueStatistics& value : statistics) {
    const double most = static_cast<double>(
        std::max(std::fabs(value.statistics.min), std::fabs(value.statistics.max)));
    if (most > 0) clamps[value.value.index] = most;
  }
  return clamps;
}

/// Mean and standard deviation (n - 1) of the repeats.
void summarise(report::AnalogReading& reading) {
  const auto n = static_cast<double>(reading.top1.size());
  reading.mean = std::accumulate(reading.top1.begin(), reading.top1.end(), 0.0) / n;
  double squares = 0;
  for (const double percent : reading.top1)
    squares += (percent - reading.mean) * (percent - reading.mean);
  reading.deviation = n > 1 ? std::sqrt(squares / (n - 1)) : 0.0;
}

}  // namespace

void describe(config::Fields& f, AnalogStep& v) {
  f.key({.name = "bits", .help = "precision: 2^bits - 1 levels per unit"},
        config::integer(1, 24), v.bits);
  f.key({.name = "leakage", .help = "probability with which noise leaves a level's bin"},
        config::real(0, 0.999999), v.leakage);
  f.key({.name = "range",
         .help = "what 1 stands for: unit, or the largest magnitude observed"},
        config::choice({"observed", "unit"}), v.range);
  f.key({.name = "readout", .help = "noise and precision after each layer too"},
        v.readout);
  f.key({.name = "repeats", .help = "readings, each with noise of its own"},
        config::integer(1, 1000), v.repeats);
  f.key({.name = "seed", .help = "of the noise"}, config::integer(0, 1LL << 53), v.seed);
  f.key({.name = "samples",
         .help = "only the first of data.eval (absent: all)",
         .example = "1000"},
        config::integer(1, 1LL << 40), v.samples);
}

report::AnalogReading read_analog(const AnalogStep& step, const Graph& graph,
                                  std::span<const ptq::ValueStatistics> statistics,
                                  const data::Dataset& samples, int threads,
                                  const Progress& progress) {
  const aten::AnalogOptions options{step.bits, step.leakage, step.readout};
  const std::vector<double> clamps = clamps_of(step, graph, statistics);
  const std::int64_t count =
      std::min(step.samples.value_or(samples.size()), samples.size());
  report::AnalogReading reading{step.bits,
                                step.leakage,
                                step.range,
                                step.readout,
                                samples.description(),
                                count,
                                {},
                                0,
                                0};
  std::atomic<std::int64_t> done{0};
  for (std::int64_t r = 0; r < step.repeats; ++r) {
    const std::uint64_t seed =
        Rng::stream(static_cast<std::uint64_t>(step.seed), static_cast<std::uint64_t>(r))
            .next();
    const aten::AnalogExecutor hardware(graph, options, clamps, seed);
    const auto scores = [&](const data::Sample& sample, std::int64_t item) {
      Tensor output =
          hardware.run(sample.inputs, static_cast<std::uint64_t>(item)).front();
      const std::int64_t now = ++done, total = count * step.repeats;
      if (progress && (now == total || now % (total / 100 + 1) == 0))
        progress(now, total);
      return output;
    };
    reading.top1.push_back(top1_percent(samples, count, threads, scores));
  }
  summarise(reading);
  return reading;
}

}  // namespace qopt::pipeline
