// SPDX-License-Identifier: MIT
#include "lib/pipeline/compress.h"

#include "lib/core/files.h"
#include "lib/exec/interval.h"
#include "lib/export/version.h"
#include "lib/fixedpoint/lower.h"
#include "lib/pipeline/evaluate.h"
#include "lib/pipeline/findings.h"
#include "lib/pipeline/gate.h"
#include "lib/pipeline/import_model.h"
#include "lib/pipeline/layer_table.h"
#include "lib/pipeline/prepare.h"
#include "lib/pipeline/result_folder.h"
#include "lib/pipeline/sources.h"
#include "lib/pipeline/sqnr.h"
#include "lib/pipeline/steps.h"
#include "lib/pipeline/training.h"

namespace qopt::pipeline {
namespace {

report::Report begin_report(const CompressConfig& config, const ImportedModel& imported,
                            const data::Dataset& calibration) {
  report::Report report;
  report.name = config.name();
  report.qopt_version = emit::kToolVersion;
  report.config_digest = sha256_hex(resolved_yaml(config));
  report.model_digest = imported.file_digest;
  report.calibration = calibration.description();
  report.calibration_samples = calibration.size();
  report.seed = static_cast<std::uint64_t>(config.run.seed);
  report.size.original_bytes = imported.file_bytes;
  for (const Value& value : imported.canonical.values()) {
    if (value.constant) report.size.float_weight_bytes += value.constant->size_bytes();
  }
  return report;
}

}  // namespace

CompressResult compress(const CompressConfig& config, Listener& listener) {
  aten::use_one_thread_per_caller();
  const int threads = config.threads();
  const Progress progress = [&](std::int64_t d, std::int64_t n) {
    listener.progress(d, n);
  };
  Steps steps(listener, 9 + config.mixed_precision.has_value() + config.qat.has_value() +
                            config.analog.has_value());

  // Before the work: a folder that cannot be written should not cost an hour.
  require_replaceable(config.folder());
  StagedFolder staged(config.folder());
  const emit::KernelTarget target = kernel_target(config);

  const ImportedModel imported = steps.run(
      "import", [&] { return import_model(config.model.path, config.model.inputs); });
  const Prepared prepared = prepare(config, imported.canonical);
  const Graph& canonical = prepared.graph;
  const Sources sources = open_sources(config, canonical);
  report::Report report = begin_report(config, imported, *sources.calibration);

  const auto statistics = steps.run("calibrate", [&] {
    return ptq::collect_statistics(canonical, *sources.calibration, threads, progress);
  });
  ptq::PtqConfig ptq = config.ptq;
  if (config.mixed_precision) {
    Precision found = steps.run("mixed precision", [&] {
      return search_precision(config, imported.canonical, canonical, statistics, sources,
                              threads, progress);
    });
    report.mixed_precision = std::move(found.report);
    ptq = std::move(found.ptq);
  }
  ptq::PtqResult quantized =
      steps.run("quantize", [&] { return ptq::quantize(canonical, statistics, ptq); });
  if (config.qat) {
    Trained trained = steps.run("train", [&] {
      return train(config, imported, canonical, quantized.graph, threads, listener);
    });
    quantized.graph = std::move(trained.graph);
    quantized.choices = ptq::choices_of(quantized.graph, statistics);
    for (std::string& finding : trained.findings) {
      quantized.findings.push_back(std::move(finding));
    }
    report.training = std::move(trained.training);
  }
  const Graph integer =
      steps.run("lower", [&] { return lower_to_integer(quantized.graph); });
  const IntegerExecutor device(integer);

  report::Metrics judged = steps.run("evaluate", [&] {
    const aten::FloatExecutor original(imported.canonical), changed(canonical);
    const aten::FloatExecutor simulated(quantized.graph,
                                        aten::FloatExecutor::Mode::FakeQuant);
    const Readings readings{&original, &simulated, &device, nullptr,
                            config.replace_activations ? &changed : nullptr};
    const double confidence = config.constraints.max_drop.value_or(MaxDrop{}).confidence;
    if (sources.eval) {
      report.metrics = evaluate(readings, *sources.eval, confidence, threads, progress);
    }
    return sources.gate ? evaluate(readings, *sources.gate, confidence, threads, progress)
                        : report.metrics;
  });
  if (config.analog) {
    report.analog = steps.run("evaluate analog", [&] {
      return read_analog(*config.analog, quantized.graph, statistics, *sources.eval,
                         threads, progress);
    });
  }
  const auto noise = steps.run("measure layers", [&] {
    return measure_noise(canonical, quantized.graph, device, *sources.calibration,
                         config.run.sqnr_samples, threads, progress);
  });

  emit::ExportSizes sizes;
  const emit::Artifact artifact = steps.run("export", [&] {
    emit::Artifact files = build_artifact(config, quantized.graph, integer,
                                          *sources.calibration, target, threads, sizes);
    emit::write_files(files, staged.path());
    return files;
  });
  report.size.blob_bytes = sizes.blob_bytes;
  report.size.arena_bytes = sizes.arena_bytes;
  report.size.arena_lower_bound = sizes.arena_lower_bound;
  report.verify = steps.run("verify", [&] {
    return verify_result(staged.path(), config.output.verify, threads);
  });

  return steps.run("report", [&] {
    report.layers = layer_table(integer, prove_accumulators(integer),
                                emit::read_sections(artifact.files.at("model.qpk")),
                                quantized.choices, noise, target);
    report.core = target.core->name;
    report.replaced_activations =
        score_activations(prepared.activations, canonical, statistics);
    report.activations = activation_table(canonical, statistics, quantized.choices);
    report.gate = judge(config.constraints, report.size, judged);
    report.findings = gather_findings(config, imported, sources, quantized, report);
    report::Timing timing = steps.timing();
    timing.threads = threads;
    timing.config_file =
        std::filesystem::absolute(config.file).lexically_normal().string();
    write_reports(staged.path(), report, timing);
    throw_if_interrupted();
    staged.commit();
    if (config.qat) std::filesystem::remove_all(checkpoint_folder(config, imported));
    return CompressResult{report, timing, config.folder(), exit_code(report)};
  });
}

}  // namespace qopt::pipeline
