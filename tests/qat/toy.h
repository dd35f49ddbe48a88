// SPDX-License-Identifier: MIT
// A small complete training job in memory: images of three classes, networks as text at
// any batch size, and the Encoded graph that training starts from.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "lib/aten/float_executor.h"
#include "lib/core/rng.h"
#include "lib/fixedpoint/integer_executor.h"
#include "lib/fixedpoint/lower.h"
#include "lib/graph/passes/canonicalize.h"
#include "lib/graph/text.h"
#include "lib/graph/verify.h"
#include "lib/ptq/ptq.h"
#include "lib/qat/qat.h"

namespace qopt::qat {

/// 8x8 images: class 0 is bright on the left, 1 on top, 2 in the middle, all in noise.
class ToyImages : public data::Dataset {
 public:
  ToyImages(std::int64_t count, std::uint64_t seed) {
    Rng rng(seed);
    for (std::int64_t i = 0; i < count; ++i) {
      const auto label = static_cast<std::int64_t>(rng.below(3));
      std::vector<float> x;
      for (int p = 0; p < 64; ++p) {
        const int row = p / 8, column = p % 8;
        const bool bright = label == 0   ? column < 3
                            : label == 1 ? row < 3
                                         : row > 2 && row < 6 && column > 2 && column < 6;
        x.push_back(static_cast<float>((bright ? 1.0 : -0.3) + 0.8 * rng.normal()));
      }
      samples_.push_back({{Tensor::from(x, {1, 1, 8, 8})}, label});
    }
  }
  std::int64_t size() const override {
    return static_cast<std::int64_t>(samples_.size());
  }
  data::Sample sample(std::int64_t i) const override {
    if (before_sample) before_sample(i);
    return samples_.at(static_cast<std::size_t>(i));
  }
  const std::vector<std::string>& class_names() const override { return names_; }
  std::string description() const override { return "toy images"; }

  /// Called with the index of each sample that is fetched, from any thread.
  mutable std::function<void(std::int64_t)> before_sample = {};

 private:
  std::vector<data::Sample> samples_;
  std::vector<std::string> names_;
};

/// Batch norm, a residual sum, max pooling, a layer without batch norm; {0} is the batch.
constexpr const char* kResidualNet = R"(graph imported
  #w1 : f32[6,1,3,3]
  #g1 : f32[6]
  #b1 : f32[6]
  #m1 : f32[6]
  #var1 : f32[6]
  #w2 : f32[6,6,3,3]
  #c2 : f32[6]
  #g2 : f32[6]
  #b2 : f32[6]
  #m2 : f32[6]
  #var2 : f32[6]
  #w3 : f32[8,6,3,3]
  #c3 : f32[8]
  #fw : f32[3,128]
  #fb : f32[3]
  x : f32[{0},1,8,8] = input()
  conv1 = conv2d(x, #w1; pads=[1,1,1,1])
  bn1 = batch_norm(conv1, #g1, #b1, #m1, #var1)
  relu1 = clamp(bn1)
  conv2 = conv2d(relu1, #w2, #c2; pads=[1,1,1,1])
  bn2 = batch_norm(conv2, #g2, #b2, #m2, #var2)
  sum = binary(bn2, relu1)
  relu2 = clamp(sum)
  pool = max_pool2d(relu2; kernel=[2,2], stride=[2,2])
  conv3 = conv2d(pool, #w3, #c3; pads=[1,1,1,1])
  relu3 = clamp(conv3)
  flat = reshape(relu3; shape=[{0},128])
  fc = linear(flat, #fw, #fb)
  -> logits = fc
)";

constexpr const char* kLinearNet = R"(graph imported
  #w1 : f32[16,64]
  #b1 : f32[16]
  #w2 : f32[12,16]
  #w3 : f32[3,12]
  #b3 : f32[3]
  x : f32[{0},1,8,8] = input()
  flat = reshape(x; shape=[{0},64])
  fc1 = linear(flat, #w1, #b1)
  relu1 = clamp(fc1)
  fc2 = linear(relu1, #w2)
  relu2 = clamp(fc2)
  fc3 = linear(relu2, #w3, #b3)
  -> logits = fc3
)";

/// The network at a batch size. Constants are noise by name, scaled to keep the signal's
/// size; "var" is positive, every third of "g" negative.
inline Graph imported_at(const char* net, std::int64_t batch) {
  const std::string text = fmt::format(fmt::runtime(net), batch);
  Constants constants;
  std::uint64_t seed = 40;
  const Graph shapes = parse(text, {}, true);
  for (const Value& value : shapes.values()) {
    if (!value.constant) continue;
    Rng rng(++seed);
    std::vector<float> x(static_cast<std::size_t>(num_elements(value.shape)));
    const bool is_weight = value.shape.size() > 1;
    const double fan_in =
        is_weight ? static_cast<double>(x.size()) / static_cast<double>(value.shape[0])
                  : 1;
    for (std::size_t i = 0; i < x.size(); ++i) {
      double number =
          is_weight ? rng.normal() * std::sqrt(2 / fan_in) : 0.1 * rng.normal();
      if (value.name.starts_with("var")) number = 0.5 + rng.uniform();
      if (value.name.starts_with("g"))
        number = (i % 3 == 2 ? -1 : 1) * (0.5 + rng.uniform());
      x[i] = static_cast<float>(number);
    }
    constants.emplace(value.name, Tensor::from(x, value.shape));
  }
  Graph graph = parse(text, constants);
  require_valid(graph, "the test's text");
  return graph;
}

/// Everything that a run of training needs.
struct ToyJob {
  explicit ToyJob(ptq::PtqConfig settings = {}, const char* net = kResidualNet,
                  std::int64_t part = 8)
      : ptq(std::move(settings)),
        canonical(ptq::separate_layer_inputs(canonicalize(imported_at(net, 1)), ptq)),
        training(ptq::separate_layer_inputs(
            canonicalize_for_training(imported_at(net, part)), ptq)),
        encoded(
            ptq::quantize(canonical, ptq::collect_statistics(canonical, samples, 1), ptq)
                .graph) {
    aten::use_one_thread_per_caller();
  }

  QatRun run() const {
    return {.training = training,
            .encoded = encoded,
            .samples = samples,
            .judge = [this](const Graph& g) { return accuracy(g); },
            .seed = 3,
            .identity = "toy"};
  }

  /// Percent of the selection samples that the integers of `g` get right.
  double accuracy(const Graph& g) const {
    const IntegerExecutor device(lower_to_integer(g));
    int right = 0;
    for (std::int64_t i = 0; i < selection.size(); ++i) {
      const data::Sample sample = selection.sample(i);
      right += best(device.run_real(sample.inputs).at(0)) == *sample.label ? 1 : 0;
    }
    return 100.0 * right / static_cast<double>(selection.size());
  }

  static std::int64_t best(const Tensor& scores) {
    const auto s = scores.values<float>();
    return std::ranges::max_element(s) - s.begin();
  }

  ptq::PtqConfig ptq;
  ToyImages samples{160, 1}, selection{60, 2};
  Graph canonical, training, encoded;
};

inline ptq::PtqConfig bits(int weights, int activations, LevelSet levels = LevelSet::S) {
  ptq::PtqConfig config;
  config.weights.bits = weights, config.weights.levels = levels;
  config.activations.bits = activations;
  return config;
}

/// A short run: batches of 16 in two parts, ten steps an epoch.
inline QatConfig short_training() {
  QatConfig config;
  config.batch = 16, config.shards = 2, config.epochs = 2;
  config.learning_rate = 0.02, config.reestimate_batches = 4;
  config.evaluate_every = 0.5, config.checkpoint_seconds = 1e6;
  return config;
}

}  // namespace qopt::qat
