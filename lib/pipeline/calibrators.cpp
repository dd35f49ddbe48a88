// SPDX-License-Identifier: MIT
#include "lib/pipeline/calibrators.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lib/fixedpoint/lower.h"
#include "lib/pipeline/evaluate.h"
#include "lib/pipeline/import_model.h"
#include "lib/pipeline/prepare.h"
#include "lib/pipeline/sources.h"
#include "lib/pipeline/steps.h"
#include "lib/report/format.h"

namespace qopt::pipeline {

std::vector<CalibratorRow> compare_calibrators(const CompressConfig& config,
                                               Listener& listener) {
  if (!config.data.eval) {
    throw Error(ExitCode::Usage, config.file.string(), "'data.eval' is missing",
                "calibrators are compared on it");
  }
  aten::use_one_thread_per_caller();
  const int threads = config.threads();
  const auto estimators = calib::estimators();
  Steps steps(listener, 2 + static_cast<int>(estimators.size()));
  const Progress progress = [&](std::int64_t d, std::int64_t n) {
    listener.progress(d, n);
  };
  const ImportedModel imported = steps.run(
      "import", [&] { return import_model(config.model.path, config.model.inputs); });
  const Graph canonical = prepare(config, imported.canonical).graph;
  const Sources sources = open_sources(config, canonical);
  const auto statistics = steps.run("calibrate", [&] {
    return ptq::collect_statistics(canonical, *sources.calibration, threads, progress);
  });
  const aten::FloatExecutor float_model(imported.canonical);
  const bool labelled = sources.eval->sample(0).label.has_value();
  eval::Outcomes float_outcomes;
  std::vector<CalibratorRow> rows;
  for (const calib::Estimator& estimator : estimators) {
    rows.push_back(steps.run(estimator.name, [&] {
      ptq::PtqConfig ptq = config.ptq;
      ptq.activations.calibrator = estimator.name;
      const Graph encoded = ptq::quantize(canonical, statistics, ptq).graph;
      const aten::FloatExecutor fake_quant(encoded, aten::FloatExecutor::Mode::FakeQuant);
      const IntegerExecutor integer(lower_to_integer(encoded));
      const bool is_known = labelled && !rows.empty();
      const Readings readings{is_known ? nullptr : &float_model, &fake_quant, &integer,
                              &float_outcomes};
      return CalibratorRow{std::string(estimator.name),
                           evaluate(readings, *sources.eval, 0.95, threads, progress)};
    }));
  }
  return rows;
}

std::string calibrators_text(const std::vector<CalibratorRow>& rows) {
  const bool classify = !rows.empty() && rows.front().metrics.integer->top1.has_value();
  std::string out =
      classify
          ? fmt::format("{:<16}{:>9}{:>12}{:>9}{:>9}   {}\n", "calibrator", "float",
                        "fake-quant", "integer", "drop", "95 % interval of the drop")
          : fmt::format("{:<16}{:>14}{:>14}\n", "calibrator", "fake-quant", "integer");
  for (const CalibratorRow& row : rows) {
    const report::Metrics& m = row.metrics;
    if (!classify) {
      out += fmt::format("{:<16}{:>14}{:>14}\n", row.name,
                         report::decibels_text(m.fake_quant->output_sqnr_db),
                         report::decibels_text(m.integer->output_sqnr_db));
      continue;
    }
    out += fmt::format(
        "{:<16}{:>8.2f}%{:>11.2f}%{:>8.2f}%{:>+9.2f}   [{:+.2f}, {:+.2f}] pp\n", row.name,
        m.float_model->top1->percent, m.fake_quant->top1->percent,
        m.integer->top1->percent, m.drop->drop, m.drop->interval.lo, m.drop->interval.hi);
  }
  return out;
}

std::string calibrators_json(const std::vector<CalibratorRow>& rows) {
  nlohmann::ordered_json json;
  json["version"] = 1;
  json["calibrators"] = nlohmann::ordered_json::array();
  for (const CalibratorRow& row : rows) {
    report::Report one;
    one.metrics = row.metrics;
    const auto report = nlohmann::ordered_json::parse(report::to_json(one));
    json["calibrators"].push_back(
        {{"name", row.name}, {"metrics", report["metrics"]}, {"drop", report["drop"]}});
  }
  return json.dump(1) + "\n";
}

}  // namespace qopt::pipeline
