// SPDX-License-Identifier: MIT
// The configuration of compress: every key, every rule across keys, and what is derived
// from it.
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "lib/config/problems.h"
#include "lib/config/writer.h"
#include "lib/core/files.h"
#include "lib/pipeline/compress_config.h"
#include "lib/pipeline/gate.h"
#include "lib/pipeline/inspect.h"
#include "lib/qat/estimators.h"
#include "tests/support/catch.h"
#include "tests/support/temp_folder.h"

namespace qopt::pipeline {
namespace {

const std::string kHead =
    "version: 1\n"
    "model: {path: m.pt, inputs: [{shape: [1, 4]}]}\n";
const std::string kTail = "passes: [ptq]\n";
const std::string kData = "data: {calibration: {format: random}}\n";

struct Case {
  TempFolder folder;
  std::filesystem::path file = folder.path() / "c.yaml";
  explicit Case(const std::string& text) { std::ofstream(file) << text; }
  CompressConfig read(const std::vector<std::string>& overrides = {}) const {
    return read_config(file, overrides);
  }
  /// The faults with the folder's path cut away.
  std::string faults(const std::vector<std::string>& overrides = {}) const {
    try {
      read(overrides);
    } catch (const config::ConfigError& e) {
      std::string text = e.what();
      const std::string path = file.string();
      for (std::size_t at; (at = text.find(path)) != std::string::npos;) {
        text.replace(at, path.size(), "c.yaml");
      }
      return text;
    }
    return "";
  }
};

TEST_CASE("the least configuration has the documented defaults") {
  const CompressConfig c = Case(kHead + kData + kTail).read();
  CHECK(c.name() == "m");
  CHECK(c.folder() == "out/m");
  CHECK(c.has_ptq);
  CHECK(c.ptq.weights == ptq::WeightConfig{});
  CHECK(c.ptq.activations == ptq::ActivationConfig{});
  CHECK(c.output.verify == std::vector<std::string>{"host"});
  CHECK_FALSE(c.data.eval);
  CHECK_FALSE(c.constraints.max_drop);
  CHECK(c.threads() >= 1);
}

TEST_CASE("every estimator can be configured where it has a use, and is in the schema") {
  const Case job(kHead +
                 "data: {calibration: {format: random}, train: {format: random}}\n"
                 "passes: [ptq, qat]\n");
  const std::string schema = config_json_schema();
  for (const qat::Estimator& row : qat::estimators()) {
    const std::string name(row.name);
    INFO(name);
    CHECK(job.faults({"passes.qat.weights=" + name}).empty() == row.for_weights);
    CHECK(job.faults({"passes.qat.activations=" + name}).empty() == row.for_activations);
    CHECK(schema.find('"' + name + '"') != std::string::npos);
  }
}

TEST_CASE("every key arrives where it belongs") {
  const Case full(
      "version: 1\n"
      "model: {path: ../m.pt, inputs: [{name: a, shape: [1, 2], dtype: i64}, {shape: "
      "[3]}]}\n"
      "data:\n"
      "  calibration: {format: image_folder, folder: pics, samples: 8, seed: 4, "
      "preprocess:\n"
      "    {resize_shorter: 40, crop: [32, 32], scale: 1/255, mean: [0.5], std: [0.25],\n"
      "     channels: 3}}\n"
      "  eval: {format: npy, files: [a.npy, b.npy], labels: l.npy}\n"
      "  gate: {format: cifar, files: g.bin}\n"
      "passes:\n"
      "  - replace_activations: {from: [relu6, prelu], to: interpolated_silu,\n"
      "      factor: 0.5, sharpness: 2, leak: 0.1, layers: ['layer3.*']}\n"
      "  - ptq:\n"
      "      weights: {bits: 4, levels: s, symmetric: false, granularity: per_tensor,\n"
      "        calibrator: percentile, percentile: 99.9}\n"
      "      activations: {bits: 16, levels: u, symmetric: true, calibrator: "
      "moving_average,\n"
      "        percentile: 99.9999, momentum: 0.5}\n"
      "      first_last_bits: 16\n"
      "      unify_add: true\n"
      "  - mixed_precision: {target_drop: 0.5, bits: [6, 8], samples: 77}\n"
      "evaluate: {analog: {bits: 6, leakage: 0.3, range: unit, readout: false,\n"
      "  repeats: 3, seed: 4, samples: 11}}\n"
      "layers:\n"
      "  - match: {name: 'conv*'}\n"
      "    weights: {bits: 8, levels: n, granularity: per_channel}\n"
      "    activations: {bits: 6, levels: s, symmetric: true, calibrator: entropy,\n"
      "      percentile: 99}\n"
      "constraints: {max_drop: {value: 0.5, unit: pp, confidence: 0.9}, flash: 1KiB, "
      "ram: 2kB}\n"
      "export: {dir: o, name: n, target: {core: cortex-a72, measurements: [b.json]},"
      " verify: [portable, aarch64], golden_samples: 2,\n"
      "  sim_torchscript: true}\n"
      "run: {seed: 9, threads: 3, sqnr_samples: 5}\n");
  const CompressConfig c = full.read();
  CHECK(c.model.path == (full.folder.path().parent_path() / "m.pt").string());
  REQUIRE(c.model.inputs.size() == 2);
  CHECK(c.model.inputs[0].name == "a");
  CHECK(c.model.inputs[0].dtype == DType::I64);
  CHECK(c.model.inputs[1].shape == Shape{3});
  const data::DatasetSpec& d = c.data.calibration;
  CHECK(d.folder == full.folder.path() / "pics");
  CHECK(d.samples == 8);
  CHECK(d.seed == 4);
  CHECK(d.preprocess.resize_shorter == 40);
  CHECK(d.preprocess.crop == std::array<std::int64_t, 2>{32, 32});
  CHECK(d.preprocess.scale == 1.0 / 255);
  CHECK(d.preprocess.stddev == std::vector<double>{0.25});
  CHECK(d.preprocess.channels == 3);
  CHECK(c.data.eval->labels.size() == 1);
  CHECK(c.data.gate->format == "cifar");
  CHECK(c.ptq.weights == ptq::WeightConfig{4, LevelSet::S, false,
                                           ptq::Granularity::PerTensor, "percentile",
                                           99.9});
  CHECK(c.ptq.activations ==
        ptq::ActivationConfig{16, LevelSet::U, true, "moving_average", 99.9999, 0.5});
  CHECK(c.ptq.first_last_bits == 16);
  CHECK(c.ptq.unify_add);
  REQUIRE(c.ptq.layers.size() == 1);
  const ptq::LayerRule& rule = c.ptq.layers[0];
  CHECK(rule.pattern == "conv*");
  CHECK(rule.where == full.file.string() + ":23:19");
  CHECK(rule.weight_bits == 8);
  CHECK(rule.activation_bits == 6);
  CHECK(rule.granularity == ptq::Granularity::PerChannel);
  CHECK(rule.calibrator == "entropy");
  REQUIRE(c.replace_activations);
  CHECK(c.replace_activations->from == std::vector<std::string>{"relu6", "prelu"});
  CHECK(c.replace_activations->to == "interpolated_silu");
  CHECK(c.replace_activations->parameters.factor == 0.5);
  CHECK(c.replace_activations->parameters.sharpness == 2.0);
  CHECK(c.replace_activations->parameters.leak == 0.1);
  CHECK(c.replace_activations->layers == std::vector<std::string>{"layer3.*"});
  REQUIRE(c.mixed_precision);
  CHECK(c.mixed_precision->target_drop == 0.5);
  CHECK(c.mixed_precision->bits == std::vector<std::int64_t>{6, 8});
  CHECK(c.mixed_precision->samples == 77);
  REQUIRE(c.analog);
  CHECK(c.analog->bits == 6);
  CHECK(c.analog->leakage == 0.3);
  CHECK(c.analog->range == "unit");
  CHECK_FALSE(c.analog->readout);
  CHECK(c.analog->repeats == 3);
  CHECK(c.analog->seed == 4);
  CHECK(c.analog->samples == 11);
  CHECK(c.constraints.max_drop->value == 0.5);
  CHECK(c.constraints.flash == 1024);
  CHECK(c.constraints.ram == 2000);
  CHECK(c.output.dir == full.folder.path() / "o");
  CHECK(c.output.target.core == "cortex-a72");
  CHECK(c.output.target.measurements ==
        std::vector<std::filesystem::path>{full.folder.path() / "b.json"});
  CHECK(c.output.verify == std::vector<std::string>{"portable", "aarch64"});
  CHECK(c.run.threads == 3);
  CHECK(c.run.sqnr_samples == 5);

  SECTION("and survives the resolved dump") {
    const std::string once = resolved_yaml(c);
    CHECK(once.find("threads") == std::string::npos);
    CHECK(once.find("\n  dir:") == std::string::npos);
    CHECK(once.find("path: ../m.pt") != std::string::npos);
    std::ofstream(full.folder.path() / "r.yaml") << once;
    const CompressConfig again = read_config(full.folder.path() / "r.yaml", {});
    CHECK(resolved_yaml(again) == once);
    CHECK(again.ptq.activations == c.ptq.activations);
    CHECK(again.data.eval == c.data.eval);
    CHECK(again.data.calibration == c.data.calibration);
  }
}

TEST_CASE("faults name file, line and column") {
  CHECK(Case(kHead + "data: {calibration: {format: idx}}\n" + kTail).faults() ==
        "c.yaml:3:30: error: format idx needs 'files'");
  CHECK(Case(kHead + "data: {calibration: {format: image_folder, files: x}}\n" + kTail)
            .faults() == "c.yaml:3:30: error: format image_folder needs 'folder'");
  CHECK(Case(kHead + "data: {calibration: {format: cifr, files: x}}\n" + kTail)
            .faults()
            .find("did you mean 'cifar'?") != std::string::npos);
  CHECK(
      Case(kHead + kData + kTail + "constraints:\n  max_drop: {value: 1}\n").faults() ==
      "c.yaml:6:3: error: 'constraints.max_drop' needs labelled samples in 'data.eval'");
  CHECK(Case(kHead + kData + kTail + "export: {verify: [host, all]}\n").faults() ==
        "c.yaml:5:18: error: 'all' and 'none' stand alone in 'export.verify'");
  CHECK(Case(kHead + kData + kTail + "export: {target: {core: cortex-72}}\n")
            .faults()
            .find("did you mean 'cortex-a72'?") != std::string::npos);
  CHECK(Case(kHead + kData + kTail + "export: {verify: [hots]}\n")
            .faults()
            .find("c.yaml:5:19: error: 'export.verify[0]' must be one of host,") == 0);
  CHECK(Case("version: 2\n" + kHead.substr(11) + kData + kTail).faults() ==
        "c.yaml:1:10: error: 'version' must be one of 1, not '2'");
  CHECK(
      Case(kHead + kData + "passes:\n  - ptq:\n      weights: {granularty: per_tensor}\n")
          .faults() ==
      "c.yaml:6:17: error: unknown key 'granularty' in 'passes.ptq.weights'; "
      "did you mean 'granularity'?");
  CHECK(
      Case(kHead + kData + "passes: [ptq: {weights: {bits: 9}}]\n").faults() ==
      "c.yaml:4:32: error: 'passes.ptq.weights.bits' must be one of 1, 2, 3, 4, 5, 6, 7, "
      "8, 16, "
      "not '9'");
  CHECK(Case(kHead + kData + kTail + "layers: [{weights: {bits: 4}}]\n").faults() ==
        "c.yaml:5:10: error: 'layers[0].match' is missing (which layers)");
  CHECK(Case(kHead + kData + kTail)
            .faults({"passes.ptq.activations.calibrator=mes"})
            .find("--set passes.ptq.activations.calibrator: error:") == 0);
  CHECK(Case(kHead + kData +
             "passes: [{replace_activations: {to: gelu, leak: 0.1}}, ptq]\n")
            .faults()
            .find("c.yaml:4:37: error: gelu takes no leak (interpolated_gelu") == 0);
  CHECK(Case(kHead + kData + "passes: [{replace_activations: {to: gely}}, ptq]\n")
            .faults()
            .find("did you mean 'gelu'?") != std::string::npos);
  CHECK(
      Case(kHead + kData + "passes: [mixed_precision]\n").faults() ==
      "c.yaml:4:9: error: 'mixed_precision' needs the step 'ptq', which it starts from");
  CHECK(Case(kHead + kData + "passes: [ptq, mixed_precision: {bits: [16, 8]}]\n")
            .faults()
            .find("'bits' must not decrease") != std::string::npos);
  CHECK(Case(kHead + kData + kTail + "evaluate: {analog: {}}\n")
            .faults()
            .find("'evaluate.analog' needs labelled samples in 'data.eval'") !=
        std::string::npos);
  CHECK(
      Case(kHead + kData + kTail).read({"passes.ptq.weights.bits=4"}).ptq.weights.bits ==
      4);
}

TEST_CASE("a missing file is a usage error") {
  try {
    read_config("/nonexistent/c.yaml", {});
    FAIL("read");
  } catch (const Error& e) {
    CHECK(std::string(e.what()).find("/nonexistent/c.yaml") != std::string::npos);
  }
}

TEST_CASE("the configurations that we ship can be read") {
  for (const auto& entry :
       std::filesystem::directory_iterator(QOPT_SOURCE_DIR "/configs")) {
    if (entry.path().extension() != ".yaml") continue;
    CAPTURE(entry.path().string());
    CHECK_NOTHROW(read_config(entry.path(), {}));
  }
}

TEST_CASE("every estimator has a configuration that we ship") {
  std::set<std::string> used;
  for (const auto& entry :
       std::filesystem::directory_iterator(QOPT_SOURCE_DIR "/configs")) {
    if (entry.path().extension() != ".yaml") continue;
    const CompressConfig config = read_config(entry.path(), {});
    if (!config.qat) continue;
    used.insert(config.qat->weight_estimator);
    used.insert(config.qat->activation_estimator);
  }
  for (const qat::Estimator& row : qat::estimators()) {
    CAPTURE(row.name);
    CHECK(used.contains(std::string(row.name)));
  }
}

TEST_CASE("schema and reference come from the same description") {
  const auto root = nlohmann::json::parse(config_json_schema());
  CHECK(root.at("$schema") == "https://json-schema.org/draft/2020-12/schema");
  CHECK(root.at("if").at("required") == nlohmann::json({"extends"}));
  CHECK(root.at("then").at("required") == nlohmann::json({"extends"}));
  const nlohmann::json& schema = root.at("else");
  CHECK(schema.at("additionalProperties") == false);
  CHECK(schema.at("required") == nlohmann::json({"version", "model", "data", "passes"}));
  const auto& ptq = schema.at("properties").at("passes").at("items").at("anyOf").at(3);
  const auto& weights =
      ptq.at("properties").at("ptq").at("properties").at("weights").at("properties");
  CHECK(weights.at("bits").at("default") == 8);
  CHECK(weights.at("levels").at("anyOf")[0].at("enum") ==
        nlohmann::json({"u", "s", "n", "o", "t"}));

  const std::string reference = config_reference();
  const std::string page = read_file(QOPT_SOURCE_DIR "/docs/config.md");
  INFO("docs/config.md holds the output of `qopt schema --markdown`");
  CHECK(page.find(reference) != std::string::npos);
}

TEST_CASE("input shapes on the command line") {
  CHECK(parse_input("1x3x224x224").shape == Shape{1, 3, 224, 224});
  CHECK(parse_input("1,7").shape == Shape{1, 7});
  CHECK(parse_input("ids=1x128:i64").name == "ids");
  CHECK(parse_input("ids=1x128:i64").dtype == DType::I64);
  for (const char* wrong : {"", "x", "1x", "1x0", "1x-3", "1x3:f99", "1x3:f64",
                            "99999999x1", "1x3.5", "1x1x1x1x1x1x1x1x1"}) {
    CAPTURE(wrong);
    try {
      parse_input(wrong);
      FAIL("was accepted");
    } catch (const Error& e) {
      CHECK(e.code() == ExitCode::Usage);
      CHECK(e.where() == "--input");
    }
  }
}

TEST_CASE("the gate compares bounds, not estimates") {
  report::Metrics metrics;
  metrics.data = "d";
  metrics.drop = eval::PairedDrop{};
  metrics.drop->drop = 0.2;
  metrics.drop->upper_bound = 0.4;
  report::Sizes sizes;
  sizes.blob_bytes = 1000;
  sizes.arena_bytes = 500;
  report::Report r;
  Constraints limits;
  CHECK(judge(limits, sizes, metrics).status == report::GateStatus::NotSet);
  limits.max_drop = MaxDrop{0.4, "pp", 0.95};
  r.gate = judge(limits, sizes, metrics);
  CHECK(r.gate.status == report::GateStatus::Passed);
  CHECK(exit_code(r) == ExitCode::Ok);
  limits.max_drop->value = 0.3;
  r.gate = judge(limits, sizes, metrics);
  CHECK(r.gate.status == report::GateStatus::Failed);
  CHECK(exit_code(r) == ExitCode::GateFailed);
  CHECK(rejections(r) ==
        std::vector<std::string>{
            "max_drop: the 95 % upper bound of the drop is 0.4 pp, allowed "
            "are 0.3"});
  limits.max_drop.reset();
  limits.flash = 999;
  limits.ram = 500;
  r.gate = judge(limits, sizes, metrics);
  CHECK(r.gate.checks[0].passed == false);
  CHECK(r.gate.checks[1].passed == true);
  CHECK(exit_code(r) == ExitCode::Infeasible);
  r.verify = {{"host", report::Verification::Failed, 1, "x"}};
  CHECK(exit_code(r) == ExitCode::NotBitExact);
}

}  // namespace
}  // namespace qopt::pipeline
