// SPDX-License-Identifier: MIT
#include "lib/ptq/settings.h"

#include "lib/ptq/layer_bits.h"
#include "tests/ptq/support.h"

namespace qopt::ptq {
namespace {

Graph net() {
  return graph_of(R"(graph canonical
  #w1 : f32[4,3,1,1]
  #w2 : f32[4,4,1,1]
  #w3 : f32[4,4,1,1]
  x : f32[1,3,4,4] = input()
  layer1.conv = conv2d(x, #w1)
  layer1.relu = clamp(layer1.conv)
  layer2.conv = conv2d(layer1.relu, #w2)
  layer2.relu = clamp(layer2.conv)
  flat = reshape(layer2.relu; shape=[1,4,4,4])
  head = conv2d(flat, #w3)
  -> y = head
)");
}

TEST_CASE(
    "first and last layer keep their bits, with what they read and what is returned") {
  PtqConfig config;
  config.weights.bits = config.activations.bits = 4;
  const PtqResult result = quantized(net(), config);
  const auto bits = [&](const char* name) {
    return encoding_of(result.graph, name).bits;
  };
  CHECK(bits("w1") == 8);
  CHECK(bits("w2") == 4);
  CHECK(bits("w3") == 8);
  CHECK(bits("x") == 8);
  CHECK(bits("layer1.relu") == 4);
  CHECK(bits("flat") == 8);
  CHECK(bits("layer2.relu") == 8);  // one encoding with flat
  CHECK(bits("head") == 8);
}

TEST_CASE(
    "rules: later ones win, a fused layer speaks of its clamp, words beat defaults") {
  PtqConfig config;
  config.layers = {
      {.pattern = "*", .weight_bits = 6, .activation_bits = 6},
      {.pattern = "layer1.*",
       .activation_bits = 5,
       .symmetric = true,
       .calibrator = "minmax"},
      {.pattern = "layer?.conv", .weight_bits = 3, .activation_levels = LevelSet::N},
  };
  const PtqResult result = quantized(net(), config);
  const auto encoding = [&](const char* name) { return encoding_of(result.graph, name); };
  CHECK(encoding("w1").bits == 3);
  CHECK(encoding("w3").bits == 6);
  CHECK(encoding("x").bits == 6);
  CHECK(encoding("layer1.relu").bits == 5);
  CHECK(encoding("layer1.relu").levels == LevelSet::N);
  CHECK(encoding("layer2.relu").bits == 6);
  CHECK(encoding("layer2.relu").levels == LevelSet::N);
  CHECK(encoding("head").bits == 6);
  CHECK(any_has(result.findings,
                "layer2.relu and 1 others share one encoding but have "
                "different rules; 6 bits were taken"));
}

TEST_CASE("layers that are left out by kind or by position keep their bits") {
  const Graph graph = graph_of(R"(graph canonical
  #w0 : f32[4,3,3,3]
  #w1 : f32[4,4,1,1]
  #w2 : f32[4,1,3,3]
  #w3 : f32[4,4,3,3]
  #w4 : f32[4,4,3,3]
  x : f32[1,3,9,9] = input()
  stem = conv2d(x, #w0)
  pointwise = conv2d(stem, #w1)
  grouped = conv2d(pointwise, #w2; groups=4)
  plain = conv2d(grouped, #w3)
  last = conv2d(plain, #w4)
  -> y = last
)");
  PtqConfig config;
  config.weights.bits = config.activations.bits = 2;
  const auto kept = [&] {
    const std::vector<bool> nodes = kept_layers(graph, config);
    std::string names;
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      if (nodes[i]) names += graph.value(graph.nodes()[i].output).name + " ";
    }
    return names;
  };
  CHECK(kept() == "stem last ");
  config.kinds.quantize_conv11 = false;
  CHECK(kept() == "stem pointwise last ");
  const Graph encoded = quantized(graph, config).graph;
  CHECK(encoding_of(encoded, "w1").bits == 8);
  CHECK(encoding_of(encoded, "stem").bits == 8);  // what the kept layer reads
  CHECK(encoding_of(encoded, "w2").bits == 2);
  CHECK(encoding_of(encoded, "pointwise").bits == 2);
  config.kinds = {.quantize_group = false};
  CHECK(kept() == "stem grouped last ");
  config.kinds = {.skip_layers = {3, 1}};
  CHECK(kept() == "stem pointwise plain last ");
  config.kinds = {.skip_layers_ratio = 0.7};  // floor(0.7 * 5) = 3 from the front
  CHECK(kept() == "stem pointwise grouped last ");
  config.kinds = {.skip_layers = {5}};
  const std::string fault =
      error_of([&] { kept_layers(graph, config); }, ExitCode::Usage);
  CHECK(fault.find("no convolution number 5") != std::string::npos);
  CHECK(fault.find("the model has 5, counted from 0") != std::string::npos);
}

TEST_CASE("few levels: the first and last layer fall back to n, rules have their way") {
  PtqConfig config;
  config.weights.bits = 1;
  config.weights.levels = LevelSet::O;
  config.activations.bits = 1;
  const auto encodings = [&] {
    const Graph graph = quantized(net(), config).graph;
    const auto word = [&](const char* name) {
      const Affine& e = encoding_of(graph, name);
      return fmt::format("{}{}", level_set_name(e.levels), e.bits);
    };
    return fmt::format("{} {} {} {}", word("w1"), word("w2"), word("w3"),
                       word("layer1.relu"));
  };
  CHECK(encodings() == "n8 o1 n8 u1");
  config.first_last_bits = 4;
  CHECK(encodings() == "n4 o1 n4 u1");
  config.first_last_bits = 1;
  CHECK(encodings() == "o1 o1 o1 u1");
  config.weights = {.bits = 2, .levels = LevelSet::T};
  config.first_last_bits = 8;
  CHECK(encodings() == "n8 t2 n8 u1");
  config.layers = {{.pattern = "head", .weight_bits = 1, .weight_levels = LevelSet::O}};
  CHECK(encodings() == "n8 t2 o1 u1");
}

TEST_CASE("a pattern that matches nothing is an error with near names") {
  PtqConfig config;
  const auto error = [&](LayerRule rule) {
    rule.where = "c.yaml:7:5";
    config.layers = {std::move(rule)};
    return error_of([&] { quantized(net(), config); }, ExitCode::Usage);
  };
  CHECK(error({.pattern = "layer1.convv"})
            .find("c.yaml:7:5: pattern 'layer1.convv' matches no layer (did you mean "
                  "'layer1.conv'") != std::string::npos);
  CHECK(error({.pattern = "layer1.conv2.*"}).find("did you mean") != std::string::npos);
  CHECK(
      error({.pattern = "zzzzzzzz*"}).find("layers are called flat, head, layer1.conv") !=
      std::string::npos);
}

TEST_CASE("rules without effect are findings") {
  PtqConfig config;
  config.layers = {{.pattern = "flat", .where = "c.yaml:1:1", .weight_bits = 4},
                   {.pattern = "head", .where = "c.yaml:2:1"}};
  const PtqResult result = quantized(net(), config);
  CHECK(any_has(result.findings, "c.yaml:1:1: rule 'flat' sets weights, but no layer"));
  CHECK(any_has(result.findings, "c.yaml:2:1: rule 'head' sets nothing"));
  CHECK(result.findings.size() == 2);
}

TEST_CASE("impossible settings are errors that say where") {
  const auto error = [&](const PtqConfig& config) {
    return error_of([&] { quantized(net(), config); }, ExitCode::Usage);
  };
  PtqConfig config;
  config.weights.bits = 9;
  CHECK(error(config).find("weights.bits: 9 bits") != std::string::npos);
  config = {};
  config.activations.bits = 0;
  CHECK(error(config).find("activations.bits: 0 bits (1 to 8, or 16)") !=
        std::string::npos);
  config = {};
  config.weights.bits = 1;
  CHECK(error(config).find("weights.bits: 1 bits (n has 2 to 8 bits, or 16)") !=
        std::string::npos);
  config = {};
  config.weights.levels = LevelSet::O;
  CHECK(error(config).find("weights.bits: 8 bits (o has 1 to 7 bits)") !=
        std::string::npos);
  config = {};
  config.weights.levels = LevelSet::T;
  CHECK(error(config).find("weights.bits: 8 bits (t has 2 bits)") != std::string::npos);
  config = {};
  config.activations.levels = LevelSet::O;
  CHECK(error(config).find("activations.levels: o has no code for zero") !=
        std::string::npos);
  config = {};
  config.layers = {{.pattern = "*", .where = "f:5:1", .activation_levels = LevelSet::O}};
  CHECK(error(config).find("f:5:1: activations.levels: o has no code") !=
        std::string::npos);
  config = {};
  config.layers = {
      {.pattern = "*", .where = "f:5:1", .weight_bits = 3},
      {.pattern = "layer2.conv", .where = "f:6:1", .weight_levels = LevelSet::T}};
  CHECK(error(config).find("f:6:1: layer2.conv: weights: 3 bits (t has 2 bits)") !=
        std::string::npos);
  config = {};
  config.layers = {
      {.pattern = "layer1.conv", .where = "f:7:1", .activation_bits = 1},
      {.pattern = "layer1.relu", .where = "f:8:1", .activation_levels = LevelSet::N}};
  CHECK(error(config).find("f:8:1: layer1.relu: activations: 1 bits (n has 2 to 8") !=
        std::string::npos);
  config = {};
  config.activations.calibrator = "entrpy";
  CHECK(error(config).find("did you mean 'entropy'") != std::string::npos);
  config = {};
  config.activations.percentile = 0;
  CHECK(error(config).find("percentile 0") != std::string::npos);
  config = {};
  config.activations.momentum = 1;
  CHECK(error(config).find("momentum 1") != std::string::npos);
  config = {};
  config.layers = {{.pattern = "*", .where = "f:3:1", .activation_bits = 12}};
  CHECK(error(config).find("f:3:1: activation_bits: 12 bits") != std::string::npos);
}

}  // namespace
}  // namespace qopt::ptq
