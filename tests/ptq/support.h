// SPDX-License-Identifier: MIT
// What the PTQ tests share: samples in memory, graphs from text with seeded constants,
// and short ways to ask for an encoding.
#pragma once

#include <string>
#include <vector>

#include "lib/core/rng.h"
#include "lib/graph/text.h"
#include "lib/graph/verify.h"
#include "lib/ptq/ptq.h"
#include "tests/support/catch.h"

namespace qopt::ptq {

inline Tensor noise(const Shape& shape, std::uint64_t seed, double sigma = 1.0) {
  Tensor out = Tensor::zeros(DType::F32, shape);
  Rng rng(seed);
  for (float& x : out.mutable_values<float>())
    x = static_cast<float>(sigma * rng.normal());
  return out;
}

/// Seeded normal noise for each input, or the given samples.
class Samples : public data::Dataset {
 public:
  Samples(const std::vector<Shape>& shapes, int count, std::uint64_t seed = 1) {
    for (int i = 0; i < count; ++i) {
      data::Sample sample;
      for (std::size_t k = 0; k < shapes.size(); ++k) {
        sample.inputs.push_back(
            noise(shapes[k], seed * 1000003 + static_cast<std::uint64_t>(i) * 17 + k));
      }
      samples_.push_back(std::move(sample));
    }
  }
  explicit Samples(std::vector<Tensor> inputs) {
    for (Tensor& input : inputs) samples_.push_back({{std::move(input)}, std::nullopt});
  }
  std::int64_t size() const override {
    return static_cast<std::int64_t>(samples_.size());
  }
  data::Sample sample(std::int64_t i) const override {
    return samples_.at(static_cast<std::size_t>(i));
  }
  const std::vector<std::string>& class_names() const override { return names_; }
  std::string description() const override { return "samples in memory"; }

 private:
  std::vector<data::Sample> samples_;
  std::vector<std::string> names_;
};

/// Parses a graph; constants are noise by name unless `constants` has them.
inline Graph graph_of(std::string_view text, Constants constants = {}) {
  const Graph shapes = parse(text, {}, true);
  std::uint64_t seed = 100;
  for (const Value& value : shapes.values()) {
    if (!value.constant || constants.contains(value.name)) continue;
    constants.emplace(value.name, noise(value.shape, ++seed, 0.3));
  }
  Graph graph = parse(text, constants);
  require_valid(graph, "the test's text");
  return graph;
}

inline std::vector<Shape> input_shapes(const Graph& graph) {
  std::vector<Shape> shapes;
  for (ValueId id : graph.inputs()) shapes.push_back(graph.value(id).shape);
  return shapes;
}

inline PtqResult quantized(const Graph& graph, const PtqConfig& config = {}) {
  const Samples samples(input_shapes(graph), 8);
  return quantize(graph, collect_statistics(graph, samples, 1), config);
}

inline const Value& value_of(const Graph& graph, std::string_view name) {
  const auto id = graph.find(name);
  INFO(name);
  REQUIRE(id.has_value());
  return graph.value(*id);
}

inline const Affine& encoding_of(const Graph& graph, std::string_view name) {
  const Value& value = value_of(graph, name);
  REQUIRE(value.encoding.has_value());
  return std::get<Affine>(*value.encoding);
}

inline bool any_has(const std::vector<std::string>& findings, std::string_view part) {
  for (const std::string& text : findings) {
    if (text.find(part) != std::string::npos) return true;
  }
  return false;
}

inline std::string error_of(const std::function<void()>& run, ExitCode code) {
  try {
    run();
  } catch (const Error& e) {
    CHECK(e.code() == code);
    return e.what();
  }
  return {};
}

}  // namespace qopt::ptq
