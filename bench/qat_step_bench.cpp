// SPDX-License-Identifier: MIT
// What a step of quantization-aware training costs beside the same float step: one
// process, alternating, medians. bench_qat_step CONFIG [STEPS] [both|float|qat]; with one
// kind alone the peak memory is that kind's.
#include <ATen/Parallel.h>
#include <sys/resource.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "lib/core/parallel.h"
#include "lib/pipeline/import_model.h"
#include "lib/pipeline/prepare.h"
#include "lib/pipeline/sources.h"
#include "lib/pipeline/training.h"
#include "lib/qat/batches.h"
#include "lib/qat/losses.h"
#include "lib/qat/network.h"
#include "lib/qat/optimizers.h"

namespace {

using namespace qopt;

/// One network with its optimiser, stepped in float or quantised.
class Steps {
 public:
  Steps(const Graph& training, const Graph& encoded, const qat::QatConfig& config,
        qat::Network::Mode mode, int threads)
      : config_(config),
        mode_(mode),
        threads_(threads),
        network_(training, encoded, config),
        optimizers_(network_.parameters(), config) {}

  double run(const qat::Batches& batches, std::int64_t step) {
    const auto begin = std::chrono::steady_clock::now();
    std::vector<at::Tensor> leaves;
    for (const qat::Parameter& p : network_.parameters()) leaves.push_back(p.tensor);
    std::vector<std::vector<at::Tensor>> parts(static_cast<std::size_t>(config_.shards));
    parallel_for(config_.shards, threads_, [&](std::int64_t shard, int) {
      at::init_num_threads();
      const qat::Batch batch = batches.part(step, shard);
      qat::LossInputs in;
      in.labels = batch.labels;
      in.scores = network_.forward(batch.inputs, {.mode = mode_}).at(0);
      qat::LossConfig loss;  // cross entropy alone: the float step has no teacher
      parts[static_cast<std::size_t>(shard)] =
          torch::autograd::grad({qat::loss_of(loss, in)}, leaves, {}, false, false, true);
    });
    std::vector<at::Tensor> sum = parts[0];
    for (std::size_t p = 1; p < parts.size(); ++p) {
      for (std::size_t i = 0; i < sum.size(); ++i) {
        if (sum[i].defined()) sum[i] = sum[i] + parts[p][i];
      }
    }
    optimizers_.step(sum, 1e-4);
    if (mode_ == qat::Network::Mode::Train) network_.after_step();
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - begin;
    return time.count();
  }

 private:
  qat::QatConfig config_;
  qat::Network::Mode mode_;
  int threads_;
  qat::Network network_;
  qat::Optimizers optimizers_;
};

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values.empty() ? 0 : values[values.size() / 2];
}

int run(const std::string& file, std::int64_t steps, const std::string& kind) {
  const pipeline::CompressConfig config = pipeline::read_config(file, {});
  if (!config.qat) throw Error(ExitCode::Usage, file, "has no pass 'qat'");
  aten::use_one_thread_per_caller();
  const int threads = config.threads();
  const pipeline::ImportedModel imported =
      pipeline::import_model(config.model.path, config.model.inputs);
  const Graph canonical = pipeline::prepare(config, imported.canonical).graph;
  const pipeline::Sources sources = pipeline::open_sources(config, canonical);
  const auto statistics =
      ptq::collect_statistics(canonical, *sources.calibration, threads);
  const Graph encoded = ptq::quantize(canonical, statistics, config.ptq).graph;
  const Graph training = pipeline::training_graph(config, imported);
  const auto samples = pipeline::open_source(*config.data.train, "data.train",
                                             pipeline::real_inputs(canonical));
  qat::Batches batches(*samples, config.qat->batch / config.qat->shards,
                       config.qat->shards, config.qat->augment, 1);
  batches.begin_step(0);

  using Mode = qat::Network::Mode;
  Steps real(training, encoded, *config.qat, Mode::TrainFloat, threads);
  Steps quantised(training, encoded, *config.qat, Mode::Train, threads);
  std::vector<double> real_times, quantised_times, ratios;
  for (std::int64_t i = 0; i < steps; ++i) {
    const std::int64_t step = i % batches.steps_per_epoch();
    double a = 0, b = 0;
    if (kind != "qat") a = real.run(batches, step);
    if (kind != "float") b = quantised.run(batches, step);
    if (i < 2) continue;  // first touches
    real_times.push_back(a), quantised_times.push_back(b);
    if (a > 0) ratios.push_back(b / a);
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  std::printf(
      "float %.1f ms  qat %.1f ms  ratio of medians %.3f  median of ratios %.3f  "
      "peak %.0f MB  (%lld steps, batch %lld in %lld shards, %d threads)\n",
      1e3 * median(real_times), 1e3 * median(quantised_times),
      median(quantised_times) / std::max(median(real_times), 1e-9), median(ratios),
      static_cast<double>(usage.ru_maxrss) / 1024.0, static_cast<long long>(steps - 2),
      static_cast<long long>(config.qat->batch),
      static_cast<long long>(config.qat->shards), threads);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: bench_qat_step CONFIG [STEPS] [both|float|qat]\n");
    return 2;
  }
  try {
    return run(argv[1], argc > 2 ? std::stoll(argv[2]) : 22, argc > 3 ? argv[3] : "both");
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
