// SPDX-License-Identifier: MIT
// Two passes of the float model over the calibration samples: extremes, then counts.
#include <fmt/format.h>

#include <algorithm>
#include <mutex>

#include "lib/aten/float_executor.h"
#include "lib/calib/statistics.h"
#include "lib/core/interrupt.h"
#include "lib/core/names.h"
#include "lib/core/parallel.h"
#include "lib/ptq/ptq.h"
#include "lib/ptq/weights.h"

namespace qopt::ptq {
namespace {

constexpr std::size_t kNotObserved = static_cast<std::size_t>(-1);

class Progressing {
 public:
  Progressing(const Progress& progress, std::int64_t total)
      : progress_(progress), total_(total) {}
  void step() {
    if (!progress_) return;
    const std::lock_guard lock(mutex_);
    progress_(++done_, total_);
  }

 private:
  const Progress& progress_;
  std::int64_t total_, done_ = 0;
  std::mutex mutex_;
};

/// Error(Data) unless the sample is what the model takes.
void check_sample(const Graph& graph, const data::Sample& sample, std::int64_t index) {
  const std::vector<ValueId> inputs = graph.inputs();
  const std::string where = fmt::format("calibration sample {}", index);
  if (sample.inputs.size() != inputs.size()) {
    throw Error(ExitCode::Data, where,
                fmt::format("has {} tensors, the model takes {}", sample.inputs.size(),
                            inputs.size()));
  }
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const Value& value = graph.value(inputs[i]);
    const Tensor& given = sample.inputs[i];
    if (given.shape() == value.shape && given.dtype() == value.dtype) continue;
    throw Error(ExitCode::Data, where,
                fmt::format("is {} {}, the model's input '{}' takes {} {}",
                            dtype_name(given.dtype()), shape_text(given.shape()),
                            printable(value.name), dtype_name(value.dtype),
                            shape_text(value.shape)),
                "check the input shape and the data's preprocessing");
  }
}

/// The first sample of the run: `count` samples are cut into `runs` runs of nearly equal
/// length. Needs runs * count < 2^63, which data sets of at most 2^40 samples keep.
std::int64_t first_of_run(std::int64_t run, std::int64_t runs, std::int64_t count) {
  return run * count / runs;
}

[[noreturn]] void not_finite(const Graph& graph, ValueId id, std::int64_t index) {
  const auto producer = graph.producer(id);
  const std::string name = printable(graph.value(id).name);
  if (producer && std::holds_alternative<op::Input>(graph.nodes()[*producer].op)) {
    throw Error(ExitCode::Data, fmt::format("calibration sample {}", index),
                fmt::format("holds NaN or infinity (input '{}')", name));
  }
  throw Error(ExitCode::ModelUnsupported, name,
              fmt::format("is NaN or infinite for calibration sample {}", index),
              "do weights and preprocessing belong together?");
}

}  // namespace

std::vector<ValueStatistics> collect_statistics(const Graph& canonical,
                                                const data::Dataset& samples, int threads,
                                                const Progress& progress) {
  require_finite_constants(canonical);
  const std::int64_t count = samples.size();
  const std::int64_t runs = std::min(count, calib::kMostExtremes);
  std::vector<ValueStatistics> result;
  std::vector<std::size_t> slot(canonical.values().size(), kNotObserved);
  for (const Node& node : canonical.nodes()) {
    if (canonical.value(node.output).dtype != DType::F32) continue;
    slot[node.output.index] = result.size();
    calib::Statistics statistics;
    statistics.sample_min.resize(static_cast<std::size_t>(runs));
    statistics.sample_max.resize(static_cast<std::size_t>(runs));
    result.push_back({node.output, std::move(statistics)});
  }
  const aten::FloatExecutor executor(canonical);
  Progressing progressing(progress, 2 * count);

  parallel_for(runs, threads, [&](std::int64_t run, int) {
    const std::int64_t begin = first_of_run(run, runs, count);
    const std::int64_t end = first_of_run(run + 1, runs, count);
    const auto at = static_cast<std::size_t>(run);
    for (std::int64_t item = begin; item < end; ++item) {
      throw_if_interrupted();
      const data::Sample sample = samples.sample(item);
      check_sample(canonical, sample, item);
      executor.run(sample.inputs, [&](ValueId id, const Tensor& tensor) {
        if (slot[id.index] == kNotObserved) return;
        const calib::Extremes extremes = calib::extremes_of(tensor.values<float>());
        if (!extremes.finite) not_finite(canonical, id, item);
        calib::Statistics& statistics = result[slot[id.index]].statistics;
        float& min = statistics.sample_min[at];
        float& max = statistics.sample_max[at];
        min = item == begin ? extremes.min : std::min(min, extremes.min);
        max = item == begin ? extremes.max : std::max(max, extremes.max);
      });
      progressing.step();
    }
  });
  for (ValueStatistics& value : result) calib::finish_extremes(value.statistics);

  // Each worker counts for itself; sums of integers do not depend on who counted what.
  const auto workers = static_cast<std::size_t>(
      std::clamp<std::int64_t>(threads, 1, std::max<std::int64_t>(count, 1)));
  std::vector<std::vector<calib::Statistics>> partial(workers);
  for (std::vector<calib::Statistics>& of_worker : partial) {
    for (const ValueStatistics& value : result) {
      calib::Statistics empty;
      empty.bin_width = value.statistics.bin_width;
      empty.positive = value.statistics.positive;
      empty.negative = value.statistics.negative;
      of_worker.push_back(std::move(empty));
    }
  }
  parallel_for(count, threads, [&](std::int64_t item, int worker) {
    const data::Sample sample = samples.sample(item);
    std::vector<calib::Statistics>& of_worker = partial[static_cast<std::size_t>(worker)];
    executor.run(sample.inputs, [&](ValueId id, const Tensor& tensor) {
      if (slot[id.index] == kNotObserved) return;
      calib::count_values(of_worker[slot[id.index]], tensor.values<float>());
    });
    progressing.step();
  });
  for (const std::vector<calib::Statistics>& of_worker : partial) {
    for (std::size_t i = 0; i < result.size(); ++i) {
      calib::merge_counts(result[i].statistics, of_worker[i]);
    }
  }
  return result;
}

}  // namespace qopt::ptq
