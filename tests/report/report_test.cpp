// SPDX-License-Identifier: MIT
// The report's JSON keys are a contract; its HTML lets no name through unescaped.
#include "lib/report/report.h"

#include <functional>
#include <limits>
#include <nlohmann/json.hpp>

#include "lib/core/files.h"
#include "lib/report/format.h"
#include "tests/support/catch.h"

namespace qopt::report {
namespace {

Report sample_report(const std::string& name = "conv1") {
  Report r;
  r.name = name;
  r.qopt_version = "0.1.0";
  r.config_digest = std::string(64, 'a');
  r.model_digest = std::string(64, 'b');
  r.calibration = "idx: 2 samples " + name;
  r.calibration_samples = 2;
  r.seed = 7;
  r.metrics.data = "idx: 10 samples";
  r.metrics.samples = 10;
  const eval::Proportion p{90.0, {55.5, 99.7}, 10};
  r.metrics.float_model = Metric{p, p, {}, {}};
  r.metrics.fake_quant = Metric{p, p, {}, {}};
  r.metrics.integer = Metric{eval::Proportion{80.0, {44.4, 97.5}, 10}, p, {}, {}};
  r.metrics.drop = eval::PairedDrop{10, {-5, 25}, 20, 1, 1, 0, 10};
  r.metrics.rewritten = Metric{p, p, {}, {}};
  r.metrics.rewrite_drop = eval::PairedDrop{0, {-3, 3}, 2, 1, 0, 0, 10};
  r.replaced_activations = {{name, "relu", "gelu", 0.05, 0.17}};
  r.analog = AnalogReading{4,  0.2,      "observed", true,      "idx: 10 samples",
                           10, {80, 90}, 85,         7.07106781};
  r.mixed_precision = MixedPrecision{"idx: 10 samples",
                                     true,
                                     10,
                                     90,
                                     1,
                                     true,
                                     1,
                                     {{"", 0, 70, 20, ""}, {name, 8, 90, 0, ""}},
                                     {{name, 8, 8}}};
  r.mixed_precision->path.push_back({name, 16, {}, {}, "no softmax of 16 bits"});
  r.size = {1000, 800, 210, 512, 400};
  r.verify = {{"golden", Verification::Passed, 10, "ok"},
              {"host", Verification::Failed, 10, "layer '" + name + "', index 3"},
              {"aarch64", Verification::NotTested, 0, "no compiler"}};
  r.gate.status = GateStatus::Failed;
  r.gate.data = "idx: 10 samples";
  r.gate.checks = {{"max_drop", 0.3, 20, "pp", false},
                   {"flash", 1024, 210, "bytes", true}};
  Layer layer;
  layer.name = name;
  layer.kind = "qconv2d";
  layer.source = "net.py:3 " + name;
  layer.shape = {1, 4, 4, 8};
  layer.weight_bits = 8;
  layer.weight_encoding = "n8 per channel";
  layer.activation_bits = 8;
  layer.weight_bytes = 72;
  layer.macs = 1152;
  layer.acc_bits = 19;
  layer.acc_lo = -200000;
  layer.acc_hi = 200000;
  layer.clipped_fraction = 0.001;
  layer.sqnr_isolated_db = 40.5;
  layer.sqnr_cumulative_db = std::numeric_limits<double>::infinity();
  layer.mse_cumulative = 0;
  layer.kernel = Kernel{"bit-serial", 4200, true, "int8", 8400, false, ""};
  r.layers = {layer, layer};
  r.layers[1].name = "flat";
  r.layers[1].acc_bits.reset();
  r.layers[1].kernel = Kernel{"int8", 9000, false, "bit-serial", 8000, false, name, 512};
  r.core = "cortex-a72";
  r.layers[1].sqnr_isolated_db.reset();
  Activation a;
  a.value = name;
  a.levels = "u";
  a.range = {0, 3};
  a.max = 4;
  a.clipped_fraction = 0.01;
  a.scale = 0.01F;
  a.bin_hi = 4;
  a.histogram = {5, 3, 0, 1};
  r.activations = {a};
  r.findings = {{"warning", name, "a dead channel"}};
  return r;
}

/// A run that visits its start again, is best in the middle, and never settles.
Training sample_training(const std::string& name = "conv1") {
  Training t;
  t.data = "idx: 200 samples " + name;
  t.selection = "idx: 50 samples " + name;
  t.score_unit = "%";
  t.steps = 30;
  t.best_step = 20;
  t.start_score = 81.5;
  const std::string a(64, 'a'), b(64, 'b');
  t.visits = {{0, 0, 0.01, 0, 0, 82.25, 0, a, true},
              {10, 1, 0.0075, 1.5, 70.5, 80, 0.25, b, false},
              {20, 2, 0.0025, 0.75, 75, 88.5, 0.0625, std::string(64, 'c'), true},
              {30, 3, 0, 0.5, 77.5, 84, 0.03125, a, false}};
  t.flips = {{name, {0.5, 0.125, 0.0625}}, {"flat", {0, 0, 0}}};
  return t;
}

TEST_CASE("the stable keys of report.json") {
  const auto json = nlohmann::json::parse(to_json(sample_report()));
  CHECK(json.at("version") == 1);
  CHECK(json.at("metrics").at("float").at("top1") == 90.0);
  CHECK(json.at("metrics").at("fake_quant").at("top1") == 90.0);
  CHECK(json.at("metrics").at("integer").at("top1") == 80.0);
  CHECK(json.at("metrics").at("integer").at("top1_interval") ==
        nlohmann::json({44.4, 97.5}));
  CHECK(json.at("metrics").at("integer").at("top5") == 90.0);
  CHECK(json.at("metrics").at("integer").at("samples") == 10);
  CHECK(json.at("drop").at("points") == 10.0);
  CHECK(json.at("drop").at("upper_bound") == 20.0);
  CHECK(json.at("size").at("original_bytes") == 1000);
  CHECK(json.at("size").at("blob_bytes") == 210);
  CHECK(json.at("size").at("arena_bytes") == 512);
  REQUIRE(json.at("verify").size() == 3);
  CHECK(json.at("verify")[0] == nlohmann::json({{"target", "golden"},
                                                {"status", "passed"},
                                                {"vectors", 10},
                                                {"detail", "ok"}}));
  CHECK(json.at("verify")[1].at("status") == "failed");
  CHECK(json.at("verify")[2].at("status") == "not_tested");
  CHECK(json.at("gate").at("status") == "failed");
  CHECK(json.at("layers")[0].at("acc_bits") == 19);
  CHECK(json.at("layers")[0].at("acc_limit") == 32);
  CHECK(json.at("layers")[0].at("sqnr_cumulative_db") == "exact");
  CHECK(json.at("layers")[1].at("sqnr_isolated_db").is_null());
  CHECK(json.at("core") == "cortex-a72");
  CHECK(json.at("layers")[0].at("kernel") ==
        nlohmann::json::parse(R"({"family": "bit-serial", "cycles": 4200.0,
            "measured": true, "runner_up": {"family": "int8", "cycles": 8400.0,
            "measured": false}})"));
  CHECK_FALSE(json.contains("timing"));
  CHECK(json.at("metrics").at("rewritten").at("top1") == 90.0);
  CHECK(json.at("rewrite_drop").at("interval") == nlohmann::json({-3, 3}));
  CHECK(json.at("replaced_activations")[0].at("to") == "gelu");
  CHECK(json.at("replaced_activations")[0].at("mean_distance") == 0.05);
  CHECK(json.at("mixed_precision").at("path")[1].at("drop") == 0.0);
  CHECK(json.at("mixed_precision").at("path")[2].at("top1").is_null());
  CHECK(json.at("mixed_precision").at("layers")[0].at("weight_bits") == 8);
  CHECK(json.at("analog").at("top1") == nlohmann::json({80, 90}));
  CHECK(json.at("analog").at("deviation") == 7.07106781);
}

TEST_CASE("the text says which kernels were chosen and what the others cost") {
  const std::string text = to_text(sample_report());
  CHECK_THAT(text, has_text("kernels for cortex-a72, kilocycles (next best)\n"));
  CHECK_THAT(text, has_text("bit-serial 4.2 measured       int8 8.4 estimated\n"));
  CHECK_THAT(text, has_text(", in blocks of 512\n"));
  CHECK_THAT(text,
             has_text("int8       9 estimated        bit-serial 8 estimated, but "));
  Report large = sample_report();
  large.layers[0].kernel->cycles = 15'640'400;
  CHECK_THAT(to_text(large), has_text("bit-serial 15640 measured"));
  Report alone = sample_report();
  for (Layer& layer : alone.layers) layer.kernel->runner_up.clear();
  CHECK_THAT(to_text(alone), has_text("  2 with one family only: 13.2 estimated\n"));
  CHECK(to_text(Report{}).find("kernels") == std::string::npos);
}

TEST_CASE("gate and metrics say when there are none") {
  const auto json = nlohmann::json::parse(to_json(Report{}));
  CHECK(json.at("gate") == nlohmann::json({{"status", "not_set"}}));
  CHECK(json.at("metrics") == nlohmann::json::object());
  CHECK(json.at("drop").is_null());
  CHECK_FALSE(json.contains("replaced_activations"));
  CHECK_FALSE(json.contains("analog"));
}

TEST_CASE("a report reads back to the same bytes") {
  for (const Report& r : {sample_report(), Report{}}) {
    const std::string text = to_json(r);
    CHECK(to_json(from_json(text, "r.json")) == text);
  }
  Report unlabelled = sample_report();
  unlabelled.metrics.integer = Metric{{}, {}, 0.25, 31.5};
  CHECK(to_json(from_json(to_json(unlabelled), "r")) == to_json(unlabelled));
}

TEST_CASE("a chance too small for a normal number is written as it is") {
  Report r = sample_report();
  for (const double p : {1e-310, 5e-324, 0.0}) {
    r.metrics.drop->p_value = p;
    const std::string text = to_json(r);
    CHECK(std::abs(nlohmann::json::parse(text)["drop"]["p_value"].get<double>() - p) <=
          p * 1e-8);
    CHECK(to_json(from_json(text, "r.json")) == text);
  }
}

TEST_CASE("training is a field of its own, absent where nothing was trained") {
  CHECK_FALSE(nlohmann::json::parse(to_json(sample_report())).contains("training"));
  Report r = sample_report();
  r.training = sample_training();
  const std::string text = to_json(r);
  const auto training = nlohmann::ordered_json::parse(text).at("training");
  nlohmann::ordered_json shown = training;
  shown["visits"] = nlohmann::ordered_json::array({training.at("visits").at(2)});
  CHECK(shown.dump() ==
        R"({"data":"idx: 200 samples conv1","selection":"idx: 50 samples conv1",)"
        R"("score_unit":"%","steps":30,"best_step":20,"start_score":81.5,)"
        R"("visits":[{"step":20,"epoch":2.0,"learning_rate":0.0025,"loss":0.75,)"
        R"("accuracy":75.0,"score":88.5,"flips":0.0625,"hash":")" +
            std::string(64, 'c') +
            R"(","best":true}],)"
            R"("flips":[{"layer":"conv1","share":[0.5,0.125,0.0625]},)"
            R"({"layer":"flat","share":[0.0,0.0,0.0]}]})");
  CHECK(training.at("visits").size() == 4);

  const Report back = from_json(text, "r.json");
  REQUIRE(back.training.has_value());
  CHECK(to_json(back) == text);
  CHECK(back.training->visits[3].hash == std::string(64, 'a'));
  CHECK(back.training->flips[0].share == std::vector<double>{0.5, 0.125, 0.0625});
  CHECK_FALSE(from_json(to_json(sample_report()), "r.json").training.has_value());

  // Without labels the score is a signal-to-noise ratio, which may be infinite or absent.
  r.training->score_unit = "dB";
  r.training->start_score = std::numeric_limits<double>::infinity();
  r.training->visits[1].score = std::numeric_limits<double>::quiet_NaN();
  CHECK(to_json(from_json(to_json(r), "r")) == to_json(r));
}

TEST_CASE("a damaged training field is named") {
  Report r = sample_report();
  r.training = sample_training();
  auto json = nlohmann::json::parse(to_json(r));
  for (const char* key : {"visits", "flips", "start_score", "score_unit"}) {
    CAPTURE(key);
    auto without = json;
    without["training"].erase(key);
    CHECK_THROWS_AS(from_json(without.dump(), "r.json"), Error);
  }
}

TEST_CASE("docs/report.md lists every key") {
  const std::string page = read_file(QOPT_SOURCE_DIR "/docs/report.md");
  Report r = sample_report();
  r.training = sample_training();
  r.metrics.integer->output_mse = 0.5;
  const std::function<void(const nlohmann::json&)> walk = [&](const nlohmann::json& at) {
    for (const auto& [key, value] : at.items()) {
      if (at.is_object()) {
        CAPTURE(key);
        CHECK(page.find("`" + key + "`") != std::string::npos);
      }
      if (value.is_structured()) walk(value);
    }
  };
  walk(nlohmann::json::parse(to_json(r)));
  Timing timing;
  timing.steps = {{"import", 0.5}};
  walk(nlohmann::json::parse(to_json(timing)));
}

TEST_CASE("what is no report is named") {
  for (const char* text : {"", "{", "[]", "{\"version\": 2}", "{\"version\": \"1\"}",
                           "{\"version\": 1, \"name\": []}"}) {
    CAPTURE(text);
    try {
      from_json(text, "x/report.json");
      FAIL("accepted");
    } catch (const Error& e) {
      CHECK(e.code() == ExitCode::Data);
      CHECK(e.where() == "x/report.json");
    }
  }
}

TEST_CASE("timing lives apart and has its own keys") {
  Timing timing;
  timing.steps = {{"import", 0.5}};
  timing.total_seconds = 1.5;
  timing.peak_memory_bytes = 1 << 20;
  const auto json = nlohmann::json::parse(to_json(timing));
  CHECK(json.at("total_seconds") == 1.5);
  CHECK(json.at("peak_memory_bytes") == 1 << 20);
  CHECK(json.at("steps")[0] == nlohmann::json({{"name", "import"}, {"seconds", 0.5}}));
}

TEST_CASE("hostile names stay text in the page") {
  const std::string hostile = "</title><script>alert(1)</script>\"'&*/../\x1b[31m\xff";
  Report r = sample_report(hostile);
  r.training = sample_training(hostile);
  r.training->visits[1].hash = "</td>\"" + hostile;
  const std::string page = to_html(r);
  CHECK(page.find("<script>alert") == std::string::npos);
  CHECK(page.find("</title><script") == std::string::npos);
  CHECK(page.find('\x1b') == std::string::npos);
  CHECK(page.find('\xff') == std::string::npos);
  CHECK(page.find("&lt;script&gt;alert(1)&lt;/script&gt;") != std::string::npos);
  std::size_t scripts = 0;
  for (std::size_t at = 0; (at = page.find("<script", at)) != std::string::npos; ++at)
    ++scripts;
  CHECK(scripts == 1);
  CHECK(nlohmann::json::accept(to_json(sample_report(hostile))));
}

TEST_CASE("the page is offline and shows the verdict") {
  const std::string page = to_html(sample_report());
  for (const char* wanted :
       {"NOT BIT-EXACT", "acc 19/32 bits", "not tested", "a dead channel",
        "prefers-color-scheme", "80.00 %", "[44.40, 97.50]"}) {
    CAPTURE(wanted);
    CHECK(page.find(wanted) != std::string::npos);
  }
  for (const char* refused : {"http://", "https://", "src=", "@import", "nan", "inf,"}) {
    CAPTURE(refused);
    CHECK(page.find(refused) == std::string::npos);
  }
  CHECK(to_html(Report{}).find("was not verified") != std::string::npos);
}

std::size_t times(const std::string& page, std::string_view what) {
  std::size_t count = 0;
  for (std::size_t at = 0; (at = page.find(what, at)) != std::string::npos; ++at) ++count;
  return count;
}

TEST_CASE("the page shows how training went") {
  CHECK(times(to_html(sample_report()), "<h2>Training</h2>") == 0);
  Report r = sample_report();
  r.training = sample_training();
  const std::string page = to_html(r);
  CHECK(times(page, "<h2>Training</h2>") == 1);
  CHECK(times(page, ">before training 81.50 %<") == 1);
  CHECK(times(page, ">best 88.50 %<") == 1);
  // Only the exported state is the best, whatever was the best on the way; the last one
  // has the codes of the first.
  CHECK(times(page, "best, exported</span>") == 1);
  CHECK(times(page, "<code>cccccccc</code> <span class=\"badge good\">best") == 1);
  CHECK(times(page,
              "<code>aaaaaaaa</code> <span class=\"badge plain\">as at epoch 0.00") == 1);
  CHECK(times(page, "<circle class=\"after\"") == 1);
  CHECK(times(page, "<circle class=\"hollow\"") == 1);
  // Two layers and all together, three stretches; the largest share is opaque, shares a
  // thousand times smaller are nothing.
  CHECK(times(page, "conv1, epochs 0.00 to 1.00: 50 %") == 1);
  CHECK(times(page, "flat, epochs 2.00 to 3.00: 0 %") == 1);
  CHECK(times(page, "all layers, epochs 1.00 to 2.00: 6.25 %") == 1);
  CHECK(times(page, "fill-opacity=\"1.000\"><title>conv1") == 1);
  CHECK(times(page, "fill-opacity=\"0.000\"><title>flat") == 3);
  CHECK(times(page, "nan") == 0);
}

TEST_CASE("training of any length and outcome makes a page") {
  Report r = sample_report();
  r.training = Training{};  // nothing visited
  CHECK(times(to_html(r), "<h2>Training</h2>") == 1);

  r.training = sample_training();
  r.training->flips[0].share.assign(3, 0);  // nothing moved
  for (Training::Visit& visit : r.training->visits) visit.flips = 0, visit.score = 80;
  CHECK(times(to_html(r), "No code changed while training.") == 1);

  r.training = sample_training();
  r.training->score_unit = "dB";  // no labels, and an exact start
  for (Training::Visit& visit : r.training->visits) visit.accuracy = 0;
  r.training->visits[0].score = std::numeric_limits<double>::infinity();
  r.training->flips[0].share.resize(1);  // a file that was cut
  std::string page = to_html(r);
  CHECK(times(page, "Training accuracy") == 0);
  CHECK(times(page, ">best 88.5 dB<") == 1);
  CHECK(times(page, "nan") + times(page, "inf ") == 0);

  r.training = sample_training();
  const Training::Visit last = r.training->visits.back();
  for (int i = 0; i < 1000; ++i) {
    r.training->visits.push_back(last);
    r.training->visits.back().step = 40 + 10 * i;
    r.training->visits.back().epoch = 4 + i;
    r.training->flips[0].share.push_back(0.25);
  }
  page = to_html(r);
  CHECK(times(page, "<title>conv1, epochs") == 78);  // 13 stretches a column
  CHECK(times(page, "<circle") == 1);
  CHECK(times(page, "<details><summary>Visited states: 1004") == 1);
}

TEST_CASE("numbers for people") {
  CHECK(bytes_text(0) == "0 B");
  CHECK(bytes_text(999) == "999 B");
  CHECK(bytes_text(1150000) == "1.15 MB");
  CHECK(bytes_text(999999) == "1.00 MB");
  CHECK(count_text(41'100'000) == "41.1 M");
  CHECK(count_text(12) == "12");
  CHECK(decibels_text(std::nullopt) == "-");
  CHECK(decibels_text(31.44) == "31.4 dB");
}

TEST_CASE("the terminal summary names every failure") {
  const std::string text = to_text(sample_report());
  CHECK(text.find("verify host             failed") != std::string::npos);
  CHECK(text.find("gate max_drop: 20 pp of at most 0.3 pp: FAILED") != std::string::npos);
  CHECK(text.find("warning: conv1: a dead channel") != std::string::npos);
  CHECK(text.find("training") == std::string::npos);
}

TEST_CASE("the terminal summary says what training changed") {
  Report r = sample_report();
  r.training = sample_training();
  CHECK(to_text(r).find(
            "training: 30 steps on idx: 200 samples conv1\n"
            "  selection 81.50 % -> 88.50 % at step 20 (epoch 2.00), best of 4 states\n"
            "  codes that flip a step: 25 % at first, 3.125 % at last\n") !=
        std::string::npos);
}

}  // namespace
}  // namespace qopt::report
