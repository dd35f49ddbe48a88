// SPDX-License-Identifier: MIT
#include "lib/pipeline/result_folder.h"

#include <fmt/format.h>

#include <algorithm>

#include "lib/core/files.h"
#include "lib/core/names.h"
#include "lib/export/export.h"
#include "lib/export/manifest.h"
#include "lib/export/verify.h"
#include "lib/fixedpoint/integer_executor.h"
#include "lib/pipeline/gate.h"
#include "lib/pipeline/sim_torchscript.h"

namespace qopt::pipeline {
namespace {

report::Verification status_of(emit::VerifyStatus status) {
  switch (status) {
    case emit::VerifyStatus::Passed: return report::Verification::Passed;
    case emit::VerifyStatus::Failed: return report::Verification::Failed;
    case emit::VerifyStatus::NotTested: return report::Verification::NotTested;
  }
  throw InternalError("unknown verification status");
}

std::string detail_of(const emit::VerifyResult& result) {
  if (!result.mismatch) return result.detail;
  const emit::Mismatch& m = *result.mismatch;
  return fmt::format("layer '{}', vector '{}', index {}: expected {}, got {}; {}",
                     m.layer, m.vector, m.index, m.expected, m.got, result.detail);
}

}  // namespace

void require_replaceable(const std::filesystem::path& folder) {
  std::error_code error;
  if (!std::filesystem::exists(folder, error)) return;
  const bool is_folder = std::filesystem::is_directory(folder, error);
  if (is_folder && std::filesystem::is_empty(folder, error)) return;
  const bool is_ours = is_folder &&
                       std::filesystem::exists(folder / "manifest.json", error) &&
                       std::filesystem::exists(folder / "model.qpk", error);
  if (is_ours) return;
  throw Error(ExitCode::Usage, printable(folder.string()),
              is_folder
                  ? "the folder holds something else than an export; it is not replaced"
                  : "exists and is not a folder",
              "give another folder with -o");
}

emit::KernelTarget kernel_target(const CompressConfig& config) {
  emit::KernelTarget target{&emit::find_core(config.output.target.core), {}};
  for (const std::filesystem::path& file : config.output.target.measurements) {
    target.measured.push_back(emit::read_measurement(file));
  }
  return target;
}

emit::Artifact build_artifact(const CompressConfig& config, const Graph& encoded,
                              const Graph& integer, const data::Dataset& calibration,
                              const emit::KernelTarget& target, int threads,
                              emit::ExportSizes& sizes) {
  std::vector<std::vector<Tensor>> samples;
  const std::int64_t count = std::min(config.output.golden_samples, calibration.size());
  const std::vector<ValueId> inputs = integer.inputs();
  for (std::int64_t i = 0; i < count; ++i) {
    const data::Sample sample = calibration.sample(i);
    std::vector<Tensor>& stored = samples.emplace_back();
    for (std::size_t k = 0; k < inputs.size(); ++k) {
      stored.push_back(to_stored(integer, inputs[k], sample.inputs[k]));
    }
  }
  emit::Artifact artifact =
      emit::export_folder(integer, samples, {.name = config.name(), .target = target},
                          static_cast<std::uint64_t>(config.run.seed), threads, &sizes);
  artifact.add("qopt.resolved.yaml", resolved_yaml(config));
  if (config.output.sim_torchscript) add_sim_torchscript(artifact, encoded);
  emit::add_manifest(artifact, config.name());
  return artifact;
}

std::vector<report::VerifyRow> verify_result(const std::filesystem::path& folder,
                                             const std::vector<std::string>& targets,
                                             int threads) {
  if (targets == std::vector<std::string>{"none"}) return {};
  const bool is_all = targets == std::vector<std::string>{"all"};
  std::vector<report::VerifyRow> rows;
  for (const emit::VerifyResult& result : emit::verify_folder(
           folder, is_all ? std::vector<std::string>() : targets, threads)) {
    rows.push_back(
        {result.target, status_of(result.status), result.vectors, detail_of(result)});
  }
  return rows;
}

void write_reports(const std::filesystem::path& folder, const report::Report& report,
                   const report::Timing& timing) {
  write_file_atomic(folder / "report.json", report::to_json(report));
  write_file_atomic(folder / "report.html", report::to_html(report));
  write_file_atomic(folder / "timing.json", report::to_json(timing));
  std::string reasons;
  for (const std::string& reason : rejections(report))
    reasons += printable(reason) + '\n';
  if (!reasons.empty()) write_file_atomic(folder / "REJECTED", reasons);
}

}  // namespace qopt::pipeline
