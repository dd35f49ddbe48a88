// SPDX-License-Identifier: MIT
// The whole way on a small model: what is written, what it says, that it is always the
// same.
#include "lib/pipeline/compress.h"

#include <algorithm>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>

#include "lib/aten/bridge.h"
#include "lib/core/files.h"
#include "lib/core/interrupt.h"
#include "lib/export/manifest.h"
#include "lib/fixedpoint/lower.h"
#include "lib/pipeline/calibrators.h"
#include "lib/pipeline/compare.h"
#include "lib/pipeline/evaluate.h"
#include "lib/pipeline/evaluate_target.h"
#include "lib/pipeline/import_model.h"
#include "lib/pipeline/inspect.h"
#include "lib/pipeline/plan.h"
#include "lib/pipeline/sim_torchscript.h"
#include "lib/pipeline/sources.h"
#include "lib/pipeline/sqnr.h"
#include "tests/pipeline/workbench.h"
#include "tests/support/catch.h"

namespace qopt::pipeline {
namespace {

CompressResult run(const Workbench& bench, const std::string& out,
                   std::vector<std::string> overrides = {}) {
  overrides.push_back("export.dir=" + out);
  SilentListener silent;
  return compress(read_config(bench / "config.yaml", overrides), silent);
}

/// Every file but the timings, by relative path.
std::map<std::string, std::string> contents(const std::filesystem::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file() || entry.path().filename() == "timing.json") continue;
    files[entry.path().lexically_relative(folder).string()] = read_file(entry.path());
  }
  return files;
}

Error fault_of(const Workbench& bench, std::vector<std::string> overrides) {
  try {
    run(bench, "out", std::move(overrides));
  } catch (const Error& e) {
    CHECK_FALSE(std::filesystem::exists(bench / "out"));
    return e;
  }
  FAIL("no fault");
  throw InternalError("unreachable");
}

TEST_CASE("compress writes a verified, complete folder") {
  const Workbench bench;
  const CompressResult result = run(bench, "out", {"export.sim_torchscript=true"});
  CHECK(result.code == ExitCode::Ok);
  const report::Report& r = result.report;
  REQUIRE(r.metrics.float_model);
  CHECK(r.metrics.samples == 200);
  CHECK(r.metrics.float_model->top1->percent > 90);
  CHECK(r.metrics.drop->drop <= 2);
  CHECK_FALSE(r.metrics.integer->top5);  // three classes
  REQUIRE(r.verify.size() == 2);
  for (const report::VerifyRow& row : r.verify) {
    CAPTURE(row.target, row.detail);
    CHECK(row.status == report::Verification::Passed);
    CHECK(row.vectors > 4);
  }
  CHECK(r.size.blob_bytes > 800);  // 36 + 768 weights
  CHECK(r.size.arena_bytes >= r.size.arena_lower_bound);
  CHECK(r.total_macs() == 64 * 4 * 9 + 3 * 256);
  bool has_conv = false;
  for (const report::Layer& layer : r.layers) {
    if (layer.kind != "qconv2d") continue;
    has_conv = true;
    CAPTURE(layer.name);
    CHECK(layer.weight_bits == 8);
    CHECK(layer.acc_bits);
    CHECK(*layer.acc_bits <= layer.acc_limit);
    CHECK(layer.sqnr_cumulative_db.value_or(0) > 25);
    CHECK(layer.weight_bytes > 0);
  }
  CHECK(has_conv);
  REQUIRE_FALSE(r.activations.empty());
  for (const report::Activation& a : r.activations) {
    CAPTURE(a.value);
    CHECK(a.histogram.size() <= 101);
    CHECK(a.bin_lo <= a.min);
    CHECK(a.bin_hi >= a.max * 0.999);
  }
  const auto files = contents(bench / "out");
  for (const char* name : {"model.qpk", "model.qir", "manifest.json", "report.json",
                           "report.html", "qopt.resolved.yaml", "model.sim.pt"}) {
    CAPTURE(name);
    CHECK(files.count(name) == 1);
  }
  CHECK(files.count("REJECTED") == 0);
  CHECK(files.at("report.json") == report::to_json(r));
  CHECK(std::filesystem::exists(bench / "out/timing.json"));
  CHECK(emit::changed_files(bench / "out", emit::read_manifest(bench / "out")).empty());
  CHECK(report::to_json(load_report(bench / "out")) == report::to_json(r));

  SECTION("eval of the folder gives the same integers' accuracy") {
    SilentListener silent;
    EvalRequest request;
    request.target = bench / "out";
    const report::Metrics metrics = evaluate_target(request, silent);
    CHECK(metrics.integer->top1->percent == r.metrics.integer->top1->percent);
    request.target = bench / "model.pt";
    request.config = read_config(bench / "config.yaml", {});
    CHECK(evaluate_target(request, silent).float_model->top1->percent ==
          r.metrics.float_model->top1->percent);
  }
  SECTION("a second result replaces the first, nothing else is replaced") {
    CHECK(run(bench, "out").code == ExitCode::Ok);
    std::filesystem::create_directory(bench / "mine");
    bench.write("mine/thesis.tex", "x");
    CHECK_THROWS_AS(run(bench, "mine"), Error);
    CHECK(bench.read("mine/thesis.tex") == "x");
  }
  SECTION("two results compare") {
    const auto json = nlohmann::json::parse(compare_json(r, r));
    CHECK(json.at("rows")[0].at("a") == json.at("rows")[0].at("b"));
    CHECK(compare_text(r, r).find("integer top-1") != std::string::npos);
  }
}

TEST_CASE("one and two bits are exported and verified as eight are") {
  const Workbench bench;
  struct Row {
    std::string weights;  // level set and bits
    int activation_bits;
  };
  for (const Row& row : {Row{"o1", 1}, Row{"t2", 2}, Row{"s2", 4}, Row{"u1", 1}}) {
    CAPTURE(row.weights, row.activation_bits);
    const CompressResult result =
        run(bench, "out",
            {"passes.ptq.weights.levels=" + row.weights.substr(0, 1),
             "passes.ptq.weights.bits=" + row.weights.substr(1),
             "passes.ptq.weights.symmetric=false",
             fmt::format("passes.ptq.activations.bits={}", row.activation_bits),
             "passes.ptq.first_last_bits=1", "passes.ptq.residual_bits=1"});
    REQUIRE(result.report.verify.size() == 2);
    for (const report::VerifyRow& verified : result.report.verify) {
      CAPTURE(verified.target, verified.detail);
      CHECK(verified.status == report::Verification::Passed);
    }
    // Unsigned weights are stored signed, with a zero point.
    const std::string stored = row.weights[0] == 'u' ? "s1" : row.weights;
    for (const report::Layer& layer : result.report.layers) {
      if (layer.kind != "qconv2d") continue;
      CAPTURE(layer.name);
      CHECK(layer.weight_encoding == stored + " per channel");
    }
    std::filesystem::remove_all(bench / "out");
  }
}

TEST_CASE("kernels are chosen for the configured core, or by what was measured") {
  const Workbench bench;
  const auto kernels = [&](std::vector<std::string> overrides) {
    std::vector<report::Kernel> all;
    const report::Report r = run(bench, "out", std::move(overrides)).report;
    for (const report::Layer& layer : r.layers) {
      if (layer.kernel) all.push_back(*layer.kernel);
    }
    return std::pair(r.core, all);
  };
  const auto [core, plain] = kernels({"export.target.core=cortex-a53"});
  CHECK(core == "cortex-a53");
  CHECK(kernels({}).first == "generic");
  REQUIRE(!plain.empty());
  CHECK(plain[0].cycles > 1);
  CHECK_FALSE(plain[0].measured);

  const report::Report r = run(bench, "out").report;
  std::string rows;
  for (const report::Layer& layer : r.layers) {
    if (!layer.kernel) continue;
    rows += rows.empty() ? "" : ",";
    rows += R"({"name": ")" + layer.name + R"(", "family": ")" + layer.kernel->family +
            R"(", "median": 77})";
  }
  bench.write("bench.json",
              R"({"version": 1, "unit": "cycles", "layers": [)" + rows + "]}");
  const auto measured = kernels({"export.target.measurements=[bench.json]"}).second;
  REQUIRE(measured.size() == plain.size());
  CHECK(std::ranges::any_of(
      measured, [](const report::Kernel& k) { return k.measured && k.cycles == 77; }));

  std::filesystem::remove_all(bench / "out");
  CHECK(fault_of(bench, {"export.target.measurements=[none.json]"}).code() ==
        ExitCode::Data);
  bench.write("bench.json", "{}");
  CHECK(fault_of(bench, {"export.target.measurements=[bench.json]"}).code() ==
        ExitCode::Data);
}

TEST_CASE("the same bytes for every run and every number of threads") {
  const Workbench bench;
  run(bench, "a", {"run.threads=1", "export.sim_torchscript=true"});
  run(bench, "b", {"run.threads=1", "export.sim_torchscript=true"});
  run(bench, "c", {"run.threads=3", "export.sim_torchscript=true"});
  const auto a = contents(bench / "a"), b = contents(bench / "b"),
             c = contents(bench / "c");
  REQUIRE(a.size() > 10);
  for (const auto& [name, bytes] : a) {
    CAPTURE(name);
    CHECK(b.at(name) == bytes);
    CHECK(c.at(name) == bytes);
  }
  CHECK(a.size() == b.size());
  CHECK(a.size() == c.size());
}

TEST_CASE("a gate that fails rejects, and keeps the result") {
  const Workbench bench;
  const CompressResult gate = run(bench, "out", {"constraints.max_drop.value=-50"});
  CHECK(gate.code == ExitCode::GateFailed);
  CHECK(bench.read("out/REJECTED").find("max_drop") == 0);
  CHECK(nlohmann::json::parse(bench.read("out/report.json")).at("gate").at("status") ==
        "failed");
  CHECK(std::filesystem::exists(bench / "out/model.qpk"));
  CHECK(run(bench, "out", {"constraints.flash=10B"}).code == ExitCode::Infeasible);
  CHECK(bench.read("out/REJECTED").find("flash") == 0);
  CHECK(run(bench, "out", {"constraints.max_drop.value=50"}).code == ExitCode::Ok);
  CHECK_FALSE(std::filesystem::exists(bench / "out/REJECTED"));
}

TEST_CASE("data that does not fit the model is refused before the work") {
  const Workbench bench;
  CHECK(fault_of(bench, {"model.inputs.0.shape=[1, 1, 9, 9]"}).code() ==
        ExitCode::ModelUnsupported);
  bench.write("small.idx", Workbench::idx_header(3, {1, 4, 4}) + std::string(16, 'x'));
  const Error shape =
      fault_of(bench, {"data.calibration.files=small.idx", "data.calibration.samples=1"});
  CHECK(shape.code() == ExitCode::Data);
  INFO(shape.what());
  CHECK(std::string(shape.what()).find("1x1x4x4, but model input 'x' is f32 1x1x8x8") !=
        std::string::npos);
  bench.write("none.idx", Workbench::idx_header(3, {0, 8, 8}));
  CHECK(fault_of(bench, {"data.eval.files=none.idx"}).code() == ExitCode::Data);
  bench.write("labels9.idx", Workbench::idx_header(1, {200}) + std::string(200, '\x09'));
  const Error label = fault_of(bench, {"data.eval.labels=labels9.idx"});
  CHECK(label.code() == ExitCode::Data);
  CHECK(std::string(label.what()).find("label 9 but the model gives 3 scores") !=
        std::string::npos);
  CHECK(fault_of(bench, {"data.gate={format: random}", "constraints.max_drop.value=1"})
            .code() == ExitCode::Data);
}

TEST_CASE("weights that are not finite are named") {
  const Workbench bench;
  for (const float bad : {NAN, INFINITY}) {
    torch::jit::Module module = Workbench::model();
    module.attr("linear").toTensor()[1][2] = bad;
    bench.save_model(module, "model.pt");
    const Error e = fault_of(bench, {});
    CHECK(e.code() == ExitCode::ModelUnsupported);
    CHECK(std::string(e.what()).find("linear") != std::string::npos);
  }
}

TEST_CASE("a dead channel is a finding, not a failure") {
  const Workbench bench;
  torch::jit::Module module = Workbench::model();
  module.attr("conv").toTensor()[2].zero_();
  module.attr("conv_bias").toTensor()[2].zero_();
  bench.save_model(module, "model.pt");
  const CompressResult result = run(bench, "out");
  CHECK(result.code == ExitCode::Ok);
  bool found = false;
  for (const report::Finding& f : result.report.findings) {
    found = found || f.what.find("channel") != std::string::npos;
  }
  CHECK(found);
}

TEST_CASE("patterns that match nothing are errors with their places, before the work") {
  const Workbench bench;
  bench.write("config.yaml", Workbench::config("layers:\n  - match: {name: 'cnov*'}\n"
                                               "    weights: {bits: 4}\n"
                                               "  - match: {name: '*'}\n"
                                               "  - match: {name: 'liner_1'}\n"));
  const std::string file = (bench / "config.yaml").string();
  const CompressConfig config = read_config(file, {"export.dir=out"});
  struct Listener : SilentListener {
    std::string steps;
    void step_started(int, int, std::string_view name) override { steps += name; }
  } listener;
  const std::function<void()> ways[] = {[&] { compress(config, listener); },
                                        [&] { compare_calibrators(config, listener); },
                                        [&] { make_plan(config); }};
  for (const auto& way : ways) {
    try {
      way();
      FAIL("no fault");
    } catch (const Error& e) {
      CHECK(e.code() == ExitCode::Usage);
      const std::string text = e.what();
      INFO(text);
      CHECK(text.find(file + ":10:19: error: pattern 'cnov*' matches no layer") == 0);
      CHECK(text.find("\n" + file +
                      ":13:19: error: pattern 'liner_1' matches no layer; "
                      "did you mean 'linear_1'?") != std::string::npos);
      CHECK(std::ranges::count(text, '\n') == 1);
    }
  }
  CHECK(listener.steps == "importimport");
  CHECK_FALSE(std::filesystem::exists(bench / "out"));
}

TEST_CASE("activations are replaced, scored and exported as exact tables") {
  const Workbench bench;
  const auto with = [](const std::string& step) {
    return std::vector<std::string>{"passes=[{replace_activations: " + step + "}, ptq]"};
  };
  const CompressResult plain = run(bench, "plain");
  CHECK_FALSE(plain.report.metrics.rewritten);
  const CompressResult result = run(bench, "gelu", with("{to: gelu}"));
  const report::Report& r = result.report;
  for (const report::VerifyRow& row : r.verify)
    CHECK(row.status == report::Verification::Passed);
  REQUIRE(r.replaced_activations.size() == 1);
  const report::ReplacedActivation& row = r.replaced_activations[0];
  CHECK(row.from == "relu");
  CHECK(row.to == "gelu");
  // |relu - gelu| = |x| Phi(-|x|), at most 0.16997 (at 0.7518).
  CHECK(row.max_distance > 0.16);
  CHECK(row.max_distance <= 0.16998);
  CHECK(row.mean_distance > 0.02);
  CHECK(row.mean_distance < row.max_distance);
  REQUIRE(r.metrics.rewritten);
  REQUIRE(r.metrics.rewrite_drop);
  CHECK(r.metrics.float_model->top1->percent ==
        plain.report.metrics.float_model->top1->percent);
  CHECK(r.metrics.rewritten->output_mse.has_value() == false);
  CHECK(report::to_text(r).find("relu -> gelu") != std::string::npos);
  CHECK(report::to_html(r).find("Replaced activations") != std::string::npos);
  CHECK(report::to_json(load_report(bench / "gelu")) == report::to_json(r));

  // Halfway: half the distance, to the bin.
  const CompressResult half =
      run(bench, "half", with("{to: interpolated_gelu, factor: 0.5, from: relu}"));
  const report::ReplacedActivation& less = half.report.replaced_activations.at(0);
  CHECK(less.to == "interpolated_gelu(factor=0.5, sharpness=1, leak=0)");
  CHECK(less.mean_distance == Approx(row.mean_distance / 2).epsilon(1e-9));
  for (const report::VerifyRow& v : half.report.verify)
    CHECK(v.status == report::Verification::Passed);

  const Error none = fault_of(bench, with("{from: hardswish, to: gelu}"));
  CHECK(none.code() == ExitCode::Usage);
  CHECK(std::string(none.what()).find("relu (1)") != std::string::npos);
}

TEST_CASE("analog readings vary with the noise alone") {
  const Workbench bench;
  const auto read = [&](const std::string& out, const std::string& settings,
                        const std::string& threads = "2") {
    return *run(bench, out, {"evaluate.analog=" + settings, "run.threads=" + threads})
                .report.analog;
  };
  const report::AnalogReading fine = read("a", "{bits: 12, leakage: 0, repeats: 2}");
  CHECK(fine.samples == 200);
  CHECK(fine.deviation == 0);
  CHECK(fine.mean > 90);
  const std::string noisy = "{bits: 2, leakage: 0.5, repeats: 4, seed: 5, samples: 150}";
  const report::AnalogReading two = read("b", noisy), one = read("c", noisy, "1");
  CHECK(two.top1 == one.top1);
  CHECK(two.top1.size() == 4);
  CHECK(two.samples == 150);
  CHECK(two.deviation > 0);
  CHECK(two.mean < fine.mean);
  CHECK(read("d", "{bits: 2, leakage: 0.5, repeats: 4, seed: 6, samples: 150}").top1 !=
        two.top1);
}

TEST_CASE("an interrupted run leaves nothing") {
  const Workbench bench;
  struct Interrupter : SilentListener {
    void step_finished(std::string_view name, double) override {
      if (name == "quantize") set_interrupted(true);
    }
  } interrupter;
  const CompressConfig config = read_config(bench / "config.yaml", {"export.dir=out"});
  try {
    compress(config, interrupter);
    FAIL("ran to the end");
  } catch (const Error& e) {
    CHECK(e.code() == ExitCode::Interrupted);
  }
  set_interrupted(false);
  for (const auto& entry : std::filesystem::directory_iterator(bench / "")) {
    CHECK(entry.path().filename().string().find("out") == std::string::npos);
  }
}

TEST_CASE("a dry run writes nothing") {
  const Workbench bench;
  const Plan plan = make_plan(read_config(bench / "config.yaml", {"export.dir=out"}));
  const std::string text = plan_text(plan);
  CHECK(text.find("input        x f32 1x1x8x8\n") != std::string::npos);
  CHECK(text.find("output       out0 f32 1x3\n") != std::string::npos);
  CHECK(text.find("calibration  idx") != std::string::npos);
  const auto json = nlohmann::json::parse(plan_json(plan));
  CHECK(json.at("inputs").at(0).at("shape") == std::vector<int>{1, 1, 8, 8});
  CHECK(json.at("model").at("macs") == plan.macs);
  CHECK(json.at("eval") == *plan.eval);
  CHECK(json.at("gate").is_null());
  CHECK_FALSE(std::filesystem::exists(bench / "out"));
}

struct Encoded {
  ImportedModel imported;
  std::unique_ptr<data::Dataset> samples;
  Graph graph;
};

Encoded encode_model(const Workbench& bench) {
  const CompressConfig config = read_config(bench / "config.yaml", {});
  Encoded e{import_model(config.model.path, config.model.inputs), nullptr, Graph()};
  e.samples = open_source(config.data.calibration, "data.calibration",
                          real_inputs(e.imported.canonical));
  e.graph = ptq::quantize(e.imported.canonical,
                          ptq::collect_statistics(e.imported.canonical, *e.samples, 1),
                          config.ptq)
                .graph;
  return e;
}

TEST_CASE("model.sim.pt computes what the simulation computes") {
  const Workbench bench;
  const Encoded e = encode_model(bench);
  bench.write("sim.pt", simulated_torchscript(e.graph));
  torch::jit::Module module = torch::jit::load((bench / "sim.pt").string());
  const aten::FloatExecutor simulated(e.graph, aten::FloatExecutor::Mode::FakeQuant);
  for (std::int64_t i = 0; i < 8; ++i) {
    const data::Sample sample = e.samples->sample(i);
    const at::Tensor got = module.forward({aten::to_at(sample.inputs[0])}).toTensor();
    const Tensor mine = simulated.run(sample.inputs)[0];
    INFO(got << " " << aten::to_at(mine));
    CHECK(aten::from_at(got) == mine);
  }
}

TEST_CASE("noise is zero against itself and grows along the way") {
  const Workbench bench;
  const Encoded e = encode_model(bench);
  const IntegerExecutor integer(lower_to_integer(e.graph));
  const auto one =
      measure_noise(e.imported.canonical, e.graph, integer, *e.samples, 8, 1);
  const auto three =
      measure_noise(e.imported.canonical, e.graph, integer, *e.samples, 8, 3);
  REQUIRE(one.size() >= 2);
  for (const auto& [name, noise] : one) {
    CAPTURE(name);
    CHECK(noise.cumulative.mse() == three.at(name).cumulative.mse());
    CHECK(noise.isolated.mse() == three.at(name).isolated.mse());
    CHECK(noise.cumulative.sqnr_db().value_or(0) > 20);
    CHECK(noise.cumulative.mse() >= 0.5 * noise.isolated.mse());
  }
}

TEST_CASE("unlabelled data measures the outputs") {
  const Workbench bench;
  const CompressResult result = run(bench, "out",
                                    {"data.calibration={format: random}",
                                     "data.eval={format: random, samples: 20, seed: 2}"});
  REQUIRE(result.report.metrics.integer);
  CHECK_FALSE(result.report.metrics.integer->top1);
  CHECK(result.report.metrics.integer->output_sqnr_db.value_or(0) > 10);
  CHECK(result.report.metrics.float_model->output_mse == 0);
  CHECK_FALSE(result.report.metrics.drop);
}

TEST_CASE("all calibrators in one table") {
  const Workbench bench;
  SilentListener silent;
  const auto rows = compare_calibrators(read_config(bench / "config.yaml", {}), silent);
  REQUIRE(rows.size() == calib::estimators().size());
  const std::string text = calibrators_text(rows);
  for (const CalibratorRow& row : rows) {
    CAPTURE(row.name);
    CHECK(row.metrics.float_model->top1->percent ==
          rows[0].metrics.float_model->top1->percent);
    CHECK(row.metrics.drop->drop < 5);
    CHECK(text.find(row.name) != std::string::npos);
  }
  const auto json = nlohmann::json::parse(calibrators_json(rows));
  CHECK(json.at("calibrators").size() == rows.size());
}

TEST_CASE("random data fits every input") {
  const std::vector<frontend::InputSpec> inputs = {{"ids", {1, 9}, DType::I64},
                                                   {"x", {1, 4}, DType::F32},
                                                   {"more", {1, 2}, DType::I32}};
  const auto source = open_source({.format = "random"}, "data.calibration", inputs);
  const data::Sample sample = source->sample(3);
  CHECK(sample.inputs.at(0).dtype() == DType::I64);
  CHECK(sample.inputs.at(2).dtype() == DType::I32);
}

TEST_CASE("init writes a configuration that runs") {
  const Workbench bench;
  bench.write("new.yaml",
              initial_config(bench / "model.pt", {parse_input("x=1x1x8x8")}, bench / ""));
  CAPTURE(bench.read("new.yaml"));
  SilentListener silent;
  const CompressResult result =
      compress(read_config(bench / "new.yaml", {"export.dir=out"}), silent);
  CHECK(result.code == ExitCode::Ok);
  CHECK(bench.read("new.yaml").find("path: model.pt") != std::string::npos);
}

TEST_CASE("inspect lists operators, parameters and work") {
  const Workbench bench;
  const std::vector<frontend::InputSpec> inputs = {parse_input("1x1x8x8")};
  const std::string text = inspect_text(bench / "model.pt", inputs);
  CHECK(text.find("conv2d") != std::string::npos);
  CHECK(text.find("1x4x8x8") != std::string::npos);
  CHECK(nlohmann::json::parse(inspect_json(bench / "model.pt", inputs))
            .at("nodes")
            .size() >= 4);
  CHECK(inspect_graph(bench / "model.pt", inputs).find("linear") != std::string::npos);
}

}  // namespace
}  // namespace qopt::pipeline
