// SPDX-License-Identifier: MIT
// What a verification concludes: hashes, golden values against the executor, and each
// target's selftest, with the first difference named.
#include "lib/export/verify.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <set>

#include "lib/core/error.h"
#include "lib/core/files.h"
#include "lib/core/names.h"
#include "lib/core/parallel.h"
#include "lib/exec/interval.h"
#include "lib/export/golden_file.h"
#include "lib/export/manifest.h"
#include "lib/export/verify_build.h"
#include "lib/fixedpoint/integer_executor.h"

namespace qopt::emit {
namespace {

/// Multiply-accumulates spent on one target: an emulated one runs as many vectors as fit,
/// at least one; results say how many. Chosen so that a 224x224 network takes seconds,
/// not minutes.
constexpr std::int64_t kNativeMacs = 16'000'000'000;
constexpr std::int64_t kEmulatedMacs = 2'000'000'000;
constexpr std::chrono::seconds kRunLimit{900};

/// A loaded export: what the integers must be.
struct Truth {
  IntegerExecutor executor;
  GoldenLayout layout;
  std::vector<GoldenVector> vectors;
  std::vector<Expected> expected;

  const Graph& graph() const { return executor.graph(); }
  std::string layer_name(std::size_t layer) const {
    return graph().value(layout.layers[layer]).name;
  }
  std::string output_name(std::size_t output) const {
    return graph().outputs()[output].name;
  }
};

Truth load_truth(const std::filesystem::path& folder) {
  Truth truth{IntegerExecutor(load_export_unchecked(folder)), {}, {}, {}};
  truth.layout = golden_layout(truth.graph());
  truth.vectors =
      read_vectors(truth.graph(), truth.layout, read_file(folder / "golden/vectors.bin"));
  truth.expected = read_expected(truth.layout, read_file(folder / "golden/expected.bin"));
  if (truth.vectors.size() != truth.expected.size() || truth.vectors.empty()) {
    throw Error(ExitCode::Data, (folder / "golden").string(),
                fmt::format("{} vectors with {} expected results", truth.vectors.size(),
                            truth.expected.size()));
  }
  return truth;
}

/// First element in layer order where `got` (every layer, then the outputs) is not
/// `want`.
std::optional<Mismatch> locate(const Truth& truth, std::size_t vector,
                               std::string_view want, std::string_view got) {
  std::uint64_t at = 0;
  const auto compare = [&](const std::string& name, ValueId id,
                           std::uint64_t bytes) -> std::optional<Mismatch> {
    const std::optional<Difference> difference = first_difference(
        truth.graph().value(id).dtype, want.substr(at, bytes), got.substr(at, bytes));
    at += bytes;
    if (!difference) return std::nullopt;
    return Mismatch{name, truth.vectors[vector].name, difference->index,
                    difference->expected, difference->got};
  };
  for (std::size_t i = 0; i < truth.layout.layers.size(); ++i) {
    if (auto found = compare(truth.layer_name(i), truth.layout.layers[i],
                             truth.layout.layer_bytes[i])) {
      return found;
    }
  }
  for (std::size_t k = 0; k < truth.layout.outputs.size(); ++k) {
    const Value& value = truth.graph().value(truth.layout.outputs[k]);
    const std::uint64_t bytes =
        static_cast<std::uint64_t>(num_elements(value.shape)) * dtype_size(value.dtype);
    if (auto found = compare(truth.output_name(k), truth.layout.outputs[k], bytes))
      return found;
  }
  return std::nullopt;
}

/// Where the recorded values of one vector differ from what the executor computes.
std::optional<Mismatch> check_vector(const Truth& truth, std::size_t v) {
  const Recording run = record_run(truth.executor, truth.layout, truth.vectors[v].inputs);
  const Expected& file = truth.expected[v];
  if (file.full) {
    auto found = locate(truth, v, run.layers + run.outputs, file.layers + file.outputs);
    if (found) return found;
  }
  const std::vector<std::uint32_t> crcs = layer_crcs(truth.layout, run.layers);
  for (std::size_t i = 0; i < crcs.size(); ++i) {
    if (crcs[i] == file.crc[i]) continue;
    // Only the CRC is on file; there is no second value to show.
    return Mismatch{truth.layer_name(i), truth.vectors[v].name, -1, crcs[i], file.crc[i]};
  }
  if (file.full) return std::nullopt;
  return locate(truth, v, run.layers + run.outputs, run.layers + file.outputs);
}

VerifyResult check_golden(const std::filesystem::path& folder, const Truth& truth,
                          int threads) {
  VerifyResult result{"golden", VerifyStatus::Passed, 0, {}, std::nullopt};
  std::vector<std::optional<Mismatch>> found(truth.vectors.size());
  parallel_for(static_cast<std::int64_t>(found.size()), threads,
               [&](std::int64_t v, int) {
                 const auto i = static_cast<std::size_t>(v);
                 found[i] = check_vector(truth, i);
               });
  result.vectors = static_cast<std::int64_t>(found.size());
  for (const std::optional<Mismatch>& mismatch : found) {
    if (!mismatch) continue;
    result.status = VerifyStatus::Failed;
    result.mismatch = mismatch;
    result.detail = "golden/expected.bin is not what the integer executor computes";
    return result;
  }
  if (read_file(folder / "golden/requant.bin") != requant_table()) {
    result.status = VerifyStatus::Failed;
    result.detail = "golden/requant.bin is not what the requantiser computes";
    return result;
  }
  result.detail = "files match the manifest and the integer executor";
  return result;
}

/// The line of a selftest's output that tells its verdict.
std::string verdict(std::string_view output) {
  while (!output.empty()) {
    const std::size_t end = std::min(output.find('\n'), output.size());
    const std::string_view line = output.substr(0, end);
    if (line.starts_with("FAIL ") || line.starts_with("PASS ")) return std::string(line);
    output.remove_prefix(std::min(end + 1, output.size()));
  }
  return {};
}

/// Only CRCs were compared: dumps that vector's layers on the target and names the
/// element.
std::optional<Mismatch> locate_by_dump(const std::filesystem::path& folder,
                                       const Truth& truth, const TargetBuild& build,
                                       std::size_t vector) {
  const std::filesystem::path dump = build.work / "dump.bin";
  run_selftest(
      build,
      {folder.string(), "--vector", fmt::format("{}", vector), "--dump", dump.string()},
      kRunLimit);
  std::error_code fault;
  const Recording run =
      record_run(truth.executor, truth.layout, truth.vectors[vector].inputs);
  const std::string want = run.layers + run.outputs;
  if (std::filesystem::file_size(dump, fault) != want.size() || fault)
    return std::nullopt;
  return locate(truth, vector, want, read_file(dump));
}

std::optional<Mismatch> parse_failure(const std::filesystem::path& folder,
                                      const Truth& truth, const TargetBuild& build,
                                      const std::string& line) {
  unsigned long vector = 0, number = 0;
  Mismatch mismatch;
  char kind[8] = {};
  const int fields = std::sscanf(
      line.c_str(),
      "FAIL vector=%lu %6[a-z]=%lu index=%" SCNd64 " expected=%" SCNd64 " got=%" SCNd64,
      &vector, kind, &number, &mismatch.index, &mismatch.expected, &mismatch.got);
  if (fields < 3 || vector >= truth.vectors.size()) return std::nullopt;
  const bool is_layer = std::string_view(kind) == "layer";
  if (number >= (is_layer ? truth.layout.layers.size() : truth.layout.outputs.size())) {
    return std::nullopt;
  }
  mismatch.vector = truth.vectors[vector].name;
  mismatch.layer = is_layer ? truth.layer_name(number) : truth.output_name(number);
  if (fields == 6) return mismatch;
  if (auto found = locate_by_dump(folder, truth, build, vector)) return found;
  mismatch.index = -1;
  return mismatch;
}

std::int64_t affordable_vectors(const Truth& truth, bool is_emulated) {
  std::int64_t macs = 1;
  for (const std::int64_t node : count_macs(truth.graph())) macs += node;
  const std::int64_t fitting = (is_emulated ? kEmulatedMacs : kNativeMacs) / macs;
  return std::clamp<std::int64_t>(fitting, 1,
                                  static_cast<std::int64_t>(truth.vectors.size()));
}

/// "; cortex-a72: c neon" of a program that says which kernels it chose; else empty.
std::string chosen_kernels(const std::string& output,
                           const std::vector<std::string>& runner) {
  constexpr std::string_view kWord = "kernels ";
  const std::size_t at = output.starts_with(kWord) ? 0 : output.find("\nkernels ");
  if (at == std::string::npos) return {};
  const std::size_t begin = output.find(kWord, at) + kWord.size();
  return fmt::format("; {}: {}", runner.empty() ? "here" : runner.back(),
                     printable(output.substr(begin, output.find('\n', begin) - begin)));
}

/// One run of the selftest under `runner`; adds to a result that has passed so far.
void run_on(const std::filesystem::path& folder, const Truth& truth,
            const TargetBuild& build, const std::vector<std::string>& runner,
            VerifyResult& result) {
  const std::int64_t vectors = affordable_vectors(truth, !runner.empty());
  const ProcessResult run =
      run_selftest(build, {folder.string(), "--vectors", fmt::format("{}", vectors)},
                   kRunLimit, &runner);
  const std::string line = verdict(run.output);
  result.detail += chosen_kernels(run.output, runner);
  if (run.exit_code == 0 && line.starts_with("PASS ")) {
    const bool is_first = result.vectors == 0;
    result.vectors = vectors;
    if (is_first && static_cast<std::size_t>(vectors) < truth.vectors.size()) {
      result.detail += fmt::format(" ({} of {} vectors)", vectors, truth.vectors.size());
    }
    return;
  }
  result.status = VerifyStatus::Failed;
  if (run.timed_out) {
    result.detail += fmt::format(": did not end within {} s", kRunLimit.count());
  } else if (line.empty()) {
    result.detail += fmt::format(": ended with code {}: {}", run.exit_code,
                                 printable(run.output.substr(0, 300)));
  } else {
    result.detail += ": " + printable(line);
    result.mismatch = parse_failure(folder, truth, build, line);
  }
}

VerifyResult run_target(const std::filesystem::path& folder, const Truth& truth,
                        const TargetBuild& build) {
  VerifyResult result{build.target->name, VerifyStatus::NotTested, 0, build.not_tested,
                      std::nullopt};
  if (!build.not_tested.empty()) return result;
  result.status = VerifyStatus::Failed;
  result.detail = build.compiler_version;
  if (!build.fault.empty()) {
    result.detail += ": " + build.fault;
    return result;
  }
  result.status = VerifyStatus::Passed;
  run_on(folder, truth, build, build.target->runner, result);
  for (const std::vector<std::string>& runner : build.target->further_runners) {
    if (result.status == VerifyStatus::Passed) {
      run_on(folder, truth, build, runner, result);
    }
  }
  return result;
}

std::vector<const Target*> chosen_targets(const std::vector<std::string>& names) {
  for (const std::string& name : names) find_target(name, "verify");
  std::vector<const Target*> chosen;
  for (const Target& target : verify_targets()) {
    if (names.empty() || std::ranges::find(names, target.name) != names.end()) {
      chosen.push_back(&target);
    }
  }
  return chosen;
}

std::vector<VerifyResult> check_targets(const std::filesystem::path& folder,
                                        const Truth& truth, const Manifest& manifest,
                                        const std::vector<const Target*>& targets,
                                        int threads) {
  const ScratchFolder scratch;
  std::vector<TargetBuild> builds(targets.size());
  for (std::size_t i = 0; i < targets.size(); ++i) {
    builds[i].target = targets[i];
    builds[i].work = scratch.path() / targets[i]->name;
    std::filesystem::create_directory(builds[i].work);
  }
  const auto count = static_cast<std::int64_t>(builds.size());
  parallel_for(count, threads,
               [&](std::int64_t i, int) { probe(builds[static_cast<std::size_t>(i)]); });
  std::vector<std::string> kernels;
  for (const auto& [path, entry] : manifest.files) {
    if (path.starts_with("src/qrt/") && path.ends_with(".c")) kernels.push_back(path);
  }
  compile_all(folder, kernels, builds, threads);
  std::vector<VerifyResult> results(builds.size());
  parallel_for(count, threads, [&](std::int64_t item, int) {
    const auto i = static_cast<std::size_t>(item);
    results[i] = run_target(folder, truth, builds[i]);
  });
  return results;
}

}  // namespace

std::vector<VerifyResult> verify_folder(const std::filesystem::path& given,
                                        const std::vector<std::string>& names,
                                        int threads) {
  const std::vector<const Target*> targets = chosen_targets(names);
  const Manifest manifest = read_manifest(given);
  const std::filesystem::path folder = std::filesystem::canonical(given);
  const std::vector<std::string> changed = changed_files(folder, manifest);

  std::vector<VerifyResult> results;
  std::optional<Truth> truth;
  try {
    truth.emplace(load_truth(folder));
  } catch (const Error& e) {
    if (e.code() == ExitCode::Interrupted) throw;
    results.push_back({"golden", VerifyStatus::Failed, 0, e.what(), std::nullopt});
    for (const Target* target : targets) {
      results.push_back({target->name, VerifyStatus::NotTested, 0,
                         "the export cannot be loaded", std::nullopt});
    }
    return results;
  }
  results.push_back(check_golden(folder, *truth, threads));
  if (!changed.empty()) {
    results[0].status = VerifyStatus::Failed;
    results[0].detail =
        fmt::format("{}{} differs from manifest.json", printable(changed[0]),
                    changed.size() > 1 ? fmt::format(" (and {} more)", changed.size() - 1)
                                       : std::string());
  }
  for (VerifyResult& result : check_targets(folder, *truth, manifest, targets, threads)) {
    results.push_back(std::move(result));
  }
  return results;
}

}  // namespace qopt::emit
