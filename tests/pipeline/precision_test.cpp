// SPDX-License-Identifier: MIT
// Sensitivity and mixed precision on a network with one planted sensitive layer: its
// needed channel is 20 times smaller than the others, so that 4 bits for the whole tensor
// round it to zero. All other layers survive 4 bits exactly.
#include <nlohmann/json.hpp>

#include "lib/pipeline/compress.h"
#include "lib/pipeline/sensitivity.h"
#include "tests/pipeline/workbench.h"
#include "tests/support/catch.h"

namespace qopt::pipeline {
namespace {

/// The workbench's classifier with three 1x1 convolutions in it: planted, its inverse
/// gain, and one that copies.
void save_planted(const Workbench& bench) {
  torch::jit::Module module = Workbench::model();
  at::Tensor planted = at::eye(4).reshape({4, 4, 1, 1});
  planted[0] *= 0.05;
  at::Tensor gain = at::zeros({4, 4, 1, 1});
  gain.select(1, 0).fill_(20.0);  // every channel reads the needed one
  module.register_parameter("planted", planted, false);
  module.register_parameter("gain", gain, false);
  module.register_parameter("copy", at::eye(4).reshape({4, 4, 1, 1}), false);
  torch::jit::Module deep("Deep");
  for (const auto& parameter : module.named_parameters())
    deep.register_parameter(parameter.name, parameter.value, false);
  deep.define(
      "def forward(self, x):\n"
      "    h = torch.relu(torch.conv2d(x, self.conv, self.conv_bias, [1, 1], [1, 1]))\n"
      "    h = torch.relu(torch.conv2d(h, self.planted))\n"
      "    h = torch.relu(torch.conv2d(h, self.gain))\n"
      "    h = torch.relu(torch.conv2d(h, self.copy))\n"
      "    return torch.linear(torch.flatten(h, 1), self.linear, self.linear_bias)\n");
  bench.save_model(deep, "model.pt");
}

CompressConfig config_of(const Workbench& bench, const std::string& passes,
                         std::vector<std::string> overrides = {}) {
  overrides.push_back("passes=" + passes);
  overrides.push_back("export.verify=none");
  return read_config(bench / "config.yaml", overrides);
}

const std::string kFourBits = "{ptq: {weights: {bits: 4, granularity: per_tensor}}}";

std::string finding_of(const report::Report& report) {
  for (const report::Finding& finding : report.findings) {
    if (finding.where == "mixed_precision") return finding.what;
  }
  return {};
}

TEST_CASE("sensitivity finds the planted layer") {
  const Workbench bench;
  save_planted(bench);
  SilentListener silent;
  const Sensitivity found =
      sensitivity(config_of(bench, "[" + kFourBits + "]"), 150, silent);
  CHECK(found.samples == 150);
  REQUIRE(found.layers.size() == 5);
  CHECK(*found.float_model.top1 > 90);
  CHECK(*found.all.top1 < 60);
  CHECK(*found.all.top5 > *found.all.top1);
  CHECK(*found.float_model.top5 == 100);
  CHECK(found.float_model.mse == 0);
  const LayerSensitivity& worst = found.layers[0];
  CHECK(worst.weight_bits == 4);
  CHECK(*worst.alone.top1 < 60);
  CHECK(*worst.spared.top1 > 90);
  for (std::size_t i = 1; i < found.layers.size(); ++i) {
    INFO(found.layers[i].layer);
    CHECK(*found.layers[i].alone.top1 > 90);
    CHECK(*found.layers[i].spared.top1 < 60);
    CHECK(found.layers[i].alone.mse < worst.alone.mse);
  }
  const auto json = nlohmann::json::parse(sensitivity_json(found));
  CHECK(json.at("layers")[0].at("layer") == worst.layer);
  CHECK(json.at("layers")[0].at("all_others").at("top5") == *worst.spared.top5);
  CHECK(sensitivity_text(found).find(worst.layer) != std::string::npos);

  CompressConfig other = config_of(bench, "[" + kFourBits + "]", {"run.threads=3"});
  CHECK(sensitivity_json(sensitivity(other, 150, silent)) == sensitivity_json(found));
  other.data.eval.reset();
  CHECK_THROWS_AS(sensitivity(other, 10, silent), Error);
}

TEST_CASE("without labels sensitivity is the distortion of the outputs") {
  const Workbench bench;
  save_planted(bench);
  SilentListener silent;
  CompressConfig config = config_of(bench, "[" + kFourBits + "]");
  config.data.eval->labels.clear();
  const Sensitivity found = sensitivity(config, 20, silent);
  CHECK_FALSE(found.layers[0].alone.top1);
  CHECK(found.layers[0].weight_bits == 4);
  CHECK(*found.layers[0].alone.sqnr_db < 1);
  CHECK(*found.layers[1].alone.sqnr_db > 10);
  CHECK(sensitivity_text(found).find("dB") != std::string::npos);
}

TEST_CASE("mixed precision raises exactly the planted layer") {
  const Workbench bench;
  save_planted(bench);
  SilentListener silent;
  const std::string passes =
      "[" + kFourBits + ", {mixed_precision: {target_drop: 3, bits: [8, 16]}}]";
  const CompressResult result =
      compress(config_of(bench, passes,
                         {"data.calibration.labels=labels.idx", "export.dir=out",
                          "data.calibration.samples=100"}),
               silent);
  REQUIRE(result.report.mixed_precision);
  const report::MixedPrecision& mixed = *result.report.mixed_precision;
  CHECK(mixed.reached);
  CHECK_FALSE(mixed.is_eval);
  CHECK(mixed.samples == 100);
  REQUIRE(mixed.path.size() == 2);
  CHECK(*mixed.path[0].drop > 30);
  CHECK(mixed.path[1].bits == 8);
  CHECK(*mixed.path[1].drop <= 3);
  CHECK(mixed.chosen == 1);
  REQUIRE(mixed.layers.size() == 5);
  CHECK(mixed.path[1].layer == mixed.layers[1].name);
  std::vector<int> bits;
  for (const report::PrecisionLayer& layer : mixed.layers)
    bits.push_back(layer.weight_bits);
  CHECK(bits == std::vector<int>{8, 8, 4, 4, 8});  // first and last by default
  CHECK(finding_of(result.report).empty());
  CHECK(result.report.metrics.integer->top1->percent > 90);
  CHECK(report::to_text(result.report).find("reached") != std::string::npos);
}

TEST_CASE("a target out of reach keeps the best state and says so") {
  const Workbench bench;
  save_planted(bench);
  SilentListener silent;
  const auto run = [&](const std::string& out, const char* threads) {
    const std::string passes =
        "[" + kFourBits + ", {mixed_precision: {target_drop: -50, samples: 60}}]";
    return compress(
               config_of(bench, passes,
                         {"export.dir=" + out, std::string("run.threads=") + threads}),
               silent)
        .report;
  };
  const report::Report r = run("a", "1");
  const report::MixedPrecision& mixed = *r.mixed_precision;
  CHECK_FALSE(mixed.reached);
  CHECK(mixed.is_eval);
  CHECK(mixed.samples == 60);
  double least = 1e9;
  for (const report::PrecisionState& state : mixed.path)
    if (state.drop) least = std::min(least, *state.drop);
  CHECK(*mixed.path[static_cast<std::size_t>(mixed.chosen)].drop == least);
  CHECK(mixed.path.size() == 1 + 3 + 5);  // three layers to 8 bits, then five to 16
  CHECK(finding_of(r).find("no state met -50 pp") == 0);
  CHECK(report::to_json(run("b", "3")) == report::to_json(r));
}

}  // namespace
}  // namespace qopt::pipeline
