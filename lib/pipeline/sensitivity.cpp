// SPDX-License-Identifier: MIT
#include "lib/pipeline/sensitivity.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <set>

#include "lib/core/parallel.h"
#include "lib/graph/verify.h"
#include "lib/pipeline/import_model.h"
#include "lib/pipeline/prepare.h"
#include "lib/pipeline/sources.h"
#include "lib/pipeline/steps.h"
#include "lib/ptq/settings.h"

namespace qopt::pipeline {
namespace {

/// The value and, where an operator only moves its codes, what that operator reads.
void add_with_sources(const Graph& graph, ValueId id, std::set<ValueId>& ids) {
  if (graph.is_constant(id) || !ids.insert(id).second) return;
  const auto producer = graph.producer(id);
  if (!producer || !keeps_encoding(graph.nodes()[*producer].op)) return;
  for (const ValueId source : graph.nodes()[*producer].inputs)
    add_with_sources(graph, source, ids);
}

struct Layer {
  std::size_t node = 0;
  std::set<ValueId> values;  // whose encodings are the layer's
};

std::vector<Layer> layers_of(const Graph& encoded) {
  std::vector<Layer> layers;
  for (std::size_t i = 0; i < encoded.nodes().size(); ++i) {
    const Node& node = encoded.nodes()[i];
    if (!ptq::has_weights(encoded, node)) continue;
    Layer layer{i, {}};
    add_with_sources(encoded, node.inputs[0], layer.values);
    layer.values.insert(node.inputs[1]);
    layers.push_back(std::move(layer));
  }
  return layers;
}

/// `encoded` with the encodings of `values` only, or of all others.
Graph with_encodings(const Graph& encoded, const std::set<ValueId>& values, bool keep) {
  Graph graph = encoded;
  for (std::size_t i = 0; i < graph.values().size(); ++i) {
    const ValueId id{static_cast<std::uint32_t>(i)};
    if (values.contains(id) != keep) graph.value(id).encoding.reset();
  }
  return graph;
}

/// Reads variants of one model on the same samples.
class Reader {
 public:
  Reader(const Graph& canonical, const data::Dataset& samples, std::int64_t count,
         int threads, std::int64_t variants, const Progress& progress)
      : samples_(samples),
        count_(std::min(count, samples.size())),
        threads_(threads),
        total_(count_ * (variants + 1)),
        progress_(progress),
        labelled_(samples.sample(0).label.has_value()),
        reference_(static_cast<std::size_t>(count_)) {
    const aten::FloatExecutor model(canonical);
    float_model_ = read(model, true);
  }

  std::int64_t count() const { return count_; }
  const Reading& float_model() const { return float_model_; }
  Reading read(const Graph& variant) {
    return read(aten::FloatExecutor(variant, aten::FloatExecutor::Mode::FakeQuant),
                false);
  }

 private:
  Reading read(const aten::FloatExecutor& model, bool is_reference) {
    std::vector<std::uint8_t> right(static_cast<std::size_t>(count_)), near(right);
    std::vector<eval::Distortion> parts(right.size());
    parallel_for(count_, threads_, [&](std::int64_t item, int) {
      const auto i = static_cast<std::size_t>(item);
      const data::Sample sample = samples_.sample(item);
      std::vector<Tensor> outputs = model.run(sample.inputs);
      if (labelled_) {
        const auto rank = label_rank(samples_, item, sample, outputs.front());
        right[i] = rank == 0, near[i] = rank < 5;
      }
      if (is_reference) reference_[i] = outputs;
      for (std::size_t k = 0; k < outputs.size(); ++k)
        parts[i].add(reference_[i][k].values<float>(), outputs[k].values<float>());
      const std::int64_t now = ++done_;
      if (progress_ && (now == total_ || now % (total_ / 200 + 1) == 0))
        progress_(now, total_);
    });
    eval::Distortion sum;
    for (const eval::Distortion& part : parts) sum.merge(part);
    Reading reading{.mse = sum.mse(), .sqnr_db = sum.sqnr_db()};
    if (labelled_) {
      reading.top1 = eval::proportion(right).percent;
      reading.top5 = eval::proportion(near).percent;
    }
    return reading;
  }

  const data::Dataset& samples_;
  std::int64_t count_;
  int threads_;
  std::int64_t total_;
  const Progress& progress_;
  bool labelled_;
  std::vector<std::vector<Tensor>> reference_;
  std::atomic<std::int64_t> done_{0};
  Reading float_model_;
};

/// Differences of top-1 below one standard error say nothing, so losses are compared in
/// whole ones, and then the distortion decides, which has no such noise.
void sort_by_damage(Sensitivity& result) {
  const double share = result.float_model.top1.value_or(0) / 100;
  const auto n = static_cast<double>(result.samples);
  const double error = 100 * std::max(std::sqrt(share * (1 - share) / n), 1 / n);
  const auto lost = [&](const LayerSensitivity& layer) {
    if (!layer.alone.top1) return 0LL;
    return std::llround((*result.float_model.top1 - *layer.alone.top1) / error);
  };
  std::ranges::stable_sort(result.layers, [&](const auto& a, const auto& b) {
    if (lost(a) != lost(b)) return lost(a) > lost(b);
    return a.alone.mse > b.alone.mse;
  });
}

}  // namespace

Sensitivity measure_sensitivity(const Graph& canonical, const Graph& encoded,
                                const data::Dataset& samples, std::int64_t count,
                                bool with_spared, int threads, const Progress& progress) {
  const std::vector<Layer> layers = layers_of(encoded);
  const auto variants =
      static_cast<std::int64_t>(layers.size()) * (with_spared ? 2 : 1) + 1;
  Reader reader(canonical, samples, count, threads, variants, progress);
  Sensitivity result{samples.description(),
                     reader.count(),
                     reader.float_model(),
                     reader.read(encoded),
                     {}};
  for (const Layer& layer : layers) {
    const Node& node = encoded.nodes()[layer.node];
    LayerSensitivity row{encoded.value(node.output).name,
                         encoded.value(node.inputs[0]).name,
                         bits_of(encoded, node.inputs[1]),
                         bits_of(encoded, node.inputs[0]),
                         {},
                         {}};
    row.alone = reader.read(with_encodings(encoded, layer.values, true));
    if (with_spared)
      row.spared = reader.read(with_encodings(encoded, layer.values, false));
    result.layers.push_back(std::move(row));
  }
  sort_by_damage(result);
  return result;
}

int bits_of(const Graph& encoded, ValueId id) {
  const auto& encoding = encoded.value(id).encoding;
  return encoding ? std::get<Affine>(*encoding).bits : 0;
}

Sensitivity sensitivity(const CompressConfig& config, std::int64_t count,
                        Listener& listener) {
  if (!config.data.eval) {
    throw Error(ExitCode::Usage, config.file.string(), "'data.eval' is missing",
                "layers are measured on it");
  }
  aten::use_one_thread_per_caller();
  const int threads = config.threads();
  const Progress progress = [&](std::int64_t d, std::int64_t n) {
    listener.progress(d, n);
  };
  Steps steps(listener, 4);
  const ImportedModel imported = steps.run(
      "import", [&] { return import_model(config.model.path, config.model.inputs); });
  const Graph canonical = prepare(config, imported.canonical).graph;
  const Sources sources = open_sources(config, canonical);
  const auto statistics = steps.run("calibrate", [&] {
    return ptq::collect_statistics(canonical, *sources.calibration, threads, progress);
  });
  const Graph encoded = steps.run(
      "quantize", [&] { return ptq::quantize(canonical, statistics, config.ptq).graph; });
  return steps.run("measure layers", [&] {
    return measure_sensitivity(canonical, encoded, *sources.eval, count, true, threads,
                               progress);
  });
}

}  // namespace qopt::pipeline
