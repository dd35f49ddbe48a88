// SPDX-License-Identifier: MIT
#include "lib/pipeline/evaluate_target.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lib/core/files.h"
#include "lib/core/names.h"
#include "lib/core/parallel.h"
#include "lib/export/manifest.h"
#include "lib/pipeline/evaluate.h"
#include "lib/pipeline/import_model.h"
#include "lib/pipeline/sources.h"
#include "lib/pipeline/steps.h"
#include "lib/report/format.h"

namespace qopt::pipeline {
namespace {

/// The configuration that made `folder`, where it can still be read.
std::optional<CompressConfig> config_of(const std::filesystem::path& folder) {
  try {
    const auto timing = nlohmann::json::parse(read_file(folder / "timing.json", 1 << 20));
    return read_config(timing.at("config_file").get<std::string>(), {});
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  } catch (const Error&) {
    return std::nullopt;
  }
}

data::DatasetSpec data_of(const EvalRequest& request, bool is_folder) {
  if (request.data) return *request.data;
  const std::optional<CompressConfig> config =
      request.config || !is_folder ? request.config : config_of(request.target);
  if (!config) {
    throw Error(ExitCode::Usage, "eval", "no data to evaluate on",
                "give --config FILE, or --data format=...");
  }
  if (!config->data.eval) {
    throw Error(ExitCode::Usage, config->file.string(), "'data.eval' is missing");
  }
  return *config->data.eval;
}

std::vector<frontend::InputSpec> inputs_of(const EvalRequest& request) {
  if (!request.inputs.empty()) return request.inputs;
  if (request.config) return request.config->model.inputs;
  throw Error(ExitCode::Usage, "eval", "the model's input shapes are not known",
              "give --config FILE or --input 1x3x32x32");
}

}  // namespace

report::Metrics evaluate_target(const EvalRequest& request, Listener& listener) {
  aten::use_one_thread_per_caller();
  const int threads = request.threads > 0 ? request.threads : default_threads();
  const Progress progress = [&](std::int64_t d, std::int64_t n) {
    listener.progress(d, n);
  };
  Steps steps(listener, 2);
  std::error_code error;
  if (!std::filesystem::exists(request.target, error)) {
    throw Error(ExitCode::ModelUnsupported, printable(request.target.string()),
                "no such file");
  }
  const bool is_folder = std::filesystem::is_directory(request.target, error);
  const data::DatasetSpec spec = data_of(request, is_folder);
  if (is_folder) {
    const IntegerExecutor integer(
        steps.run("load", [&] { return emit::load_export(request.target); }));
    const auto samples = open_source(spec, "data.eval", real_inputs(integer.graph()));
    return steps.run("evaluate", [&] {
      return evaluate({nullptr, nullptr, &integer}, *samples, 0.95, threads, progress);
    });
  }
  const std::vector<frontend::InputSpec> inputs = inputs_of(request);
  const ImportedModel imported =
      steps.run("import", [&] { return import_model(request.target, inputs); });
  const aten::FloatExecutor model(imported.canonical);
  const auto samples = open_source(spec, "data.eval", real_inputs(imported.canonical));
  return steps.run("evaluate", [&] {
    return evaluate({&model, nullptr, nullptr}, *samples, 0.95, threads, progress);
  });
}

data::DatasetSpec parse_data(const std::vector<std::string>& assignments) {
  data::DatasetSpec spec;
  config::Source source;
  source.file = "--data";
  source.overrides = assignments;
  config::read(source, [&](config::Fields& fields) { describe(fields, spec); });
  return spec;
}

std::string metrics_json(const report::Metrics& metrics) {
  report::Report report;
  report.metrics = metrics;
  const auto all = nlohmann::ordered_json::parse(report::to_json(report));
  nlohmann::ordered_json json;
  json["version"] = 1;
  json["metrics"] = all.at("metrics");
  return json.dump(1) + "\n";
}

std::string metrics_text(const report::Metrics& metrics) {
  std::string out =
      fmt::format("{} samples, {}\n", metrics.samples, printable(metrics.data));
  const auto line = [&](const char* name, const std::optional<report::Metric>& metric) {
    if (!metric) return;
    const auto part = [&](const char* what, const std::optional<eval::Proportion>& p) {
      if (!p) return;
      out += fmt::format("{} {} {:.2f} % [{:.2f}, {:.2f}]\n", name, what, p->percent,
                         p->interval.lo, p->interval.hi);
    };
    part("top-1", metric->top1);
    part("top-5", metric->top5);
    if (!metric->top1)
      out += fmt::format("{}: no labels, nothing to compare with\n", name);
  };
  line("float", metrics.float_model);
  line("integer", metrics.integer);
  return out;
}

}  // namespace qopt::pipeline
