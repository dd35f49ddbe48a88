// SPDX-License-Identifier: MIT
#include "lib/export/bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <sstream>

#include "lib/core/error.h"
#include "lib/core/files.h"
#include "lib/core/names.h"
#include "lib/exec/interval.h"
#include "lib/export/blob.h"
#include "lib/export/golden_file.h"
#include "lib/export/instruction_counter.h"
#include "lib/export/kernel_choice.h"
#include "lib/export/manifest.h"
#include "lib/export/verify_build.h"

namespace qopt::emit {
namespace {

constexpr std::chrono::seconds kRunLimit{3600};
constexpr std::chrono::seconds kProbeLimit{60};

[[noreturn]] void failed(const std::filesystem::path& folder, const std::string& why) {
  throw Error(ExitCode::Data, printable(folder.string()), why);
}

/// Layers as the export runs them, without figures.
std::vector<BenchLayer> layers_of(const Graph& graph,
                                  const std::vector<Section>& sections) {
  const std::vector<std::int64_t> macs = count_macs(graph);
  std::map<std::uint32_t, bool> has_panels;  // by value index of the constant
  auto section = sections.begin();
  for (std::size_t i = 0; i < graph.values().size(); ++i) {
    if (!graph.values()[i].constant) continue;
    QOPT_CHECK(section != sections.end(), "the blob is not this graph's");
    has_panels[static_cast<std::uint32_t>(i)] = section->panels.has_value();
    ++section;
  }
  std::vector<BenchLayer> layers;
  for (std::size_t i = 0; i < graph.nodes().size(); ++i) {
    const Node& node = graph.nodes()[i];
    if (std::holds_alternative<op::Input>(node.op)) continue;
    BenchLayer layer;
    layer.name = graph.value(node.output).name;
    layer.kind = op_name(node.op);
    layer.macs = macs[i];
    if (std::holds_alternative<op::QConv2d>(node.op)) {
      layer.family = exported_family(graph, node, has_panels[node.inputs[1].index]);
    }
    layers.push_back(std::move(layer));
  }
  return layers;
}

/// Times as bench.c prints them: "layer K median M min L" for each layer, then "total
/// ...".
void read_times(const std::filesystem::path& folder, std::string_view output,
                BenchResult& result) {
  std::size_t next = 0;
  bool has_total = false;
  while (!output.empty()) {
    const std::size_t end = std::min(output.find('\n'), output.size());
    const std::string line(output.substr(0, end));
    output.remove_prefix(std::min(end + 1, output.size()));
    std::size_t number = 0;
    BenchFigure figure;
    if (std::sscanf(line.c_str(), "layer %zu median %lf min %lf", &number, &figure.median,
                    &figure.min) == 3) {
      if (number != next || next >= result.layers.size()) break;
      result.layers[next++].figure = figure;
    } else if (std::sscanf(line.c_str(), "total median %lf min %lf", &figure.median,
                           &figure.min) == 2) {
      result.total = figure;
      has_total = true;
    } else if (line.starts_with("kernels ")) {
      result.kernels = printable(line.substr(8));
    }
  }
  if (next != result.layers.size() || !has_total) {
    failed(folder, "bench.c does not time its layers: export the model again");
  }
}

/// Families as bench.c prints them: "family K NAME". An older export does not.
void read_families(std::string_view output, BenchResult& result) {
  std::istringstream lines{std::string(output)};
  std::string word, name;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream in(line);
    std::size_t layer = 0;
    if (!(in >> word >> layer >> name) || word != "family") continue;
    const std::optional<Family> family = family_named(name);
    if (family && layer < result.layers.size()) result.layers[layer].family = family;
  }
}

BenchFigure figure_of(std::vector<double> values) {
  std::ranges::sort(values);
  const std::size_t middle = values.size() / 2;
  const double median =
      values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
  return {median, values.front()};
}

/// Marks of every iteration: 0 at its beginning, k + 1 behind layer k.
void read_counts(const std::filesystem::path& folder, const std::vector<Mark>& marks,
                 BenchResult& result) {
  const std::size_t stride = result.layers.size() + 1;
  const auto iterations = static_cast<std::size_t>(result.iterations);
  bool is_whole = marks.size() == stride * iterations;
  for (std::size_t i = 0; i < marks.size() && is_whole; ++i) {
    is_whole = marks[i].number == static_cast<std::int64_t>(i % stride) &&
               (i == 0 || marks[i].instructions >= marks[i - 1].instructions);
  }
  if (!is_whole)
    failed(folder, "bench.c does not mark its layers: export the model again");
  std::vector<double> values(iterations);
  for (std::size_t k = 0; k < stride; ++k) {
    for (std::size_t n = 0; n < iterations; ++n) {
      const Mark* const at = &marks[n * stride];
      const std::uint64_t before = k == 0 ? at[0].instructions : at[k - 1].instructions;
      const std::uint64_t after =
          k == 0 ? at[stride - 1].instructions : at[k].instructions;
      values[n] = static_cast<double>(after - before);
    }
    (k == 0 ? result.total : result.layers[k - 1].figure) = figure_of(values);
  }
}

std::string run_failure(const ProcessResult& run) {
  if (run.timed_out)
    return fmt::format("bench did not end within {} s", kRunLimit.count());
  return fmt::format("bench ended with code {}: {}", run.exit_code,
                     printable(run.output.substr(0, 300)));
}

/// Why this emulator cannot count; empty where it can.
std::string counter_fault(const TargetBuild& build) {
  if (const std::string fault = build_counter(build.work); !fault.empty()) return fault;
  std::vector<std::string> call = build.target->runner;
  const std::filesystem::path marks = build.work / "probe.marks";
  for (std::string& argument : counter_arguments(build.work, marks)) {
    call.push_back(std::move(argument));
  }
  call.push_back((build.work / "probe").string());
  const ProcessResult run = run_process(call, build.work, kProbeLimit);
  if (run.exit_code == 0 && read_marks(marks)) return {};
  return fmt::format("{} does not load the counter: {}", build.target->runner[0],
                     printable(run.output.substr(0, 300)));
}

void count_instructions(const std::filesystem::path& folder, const TargetBuild& build,
                        BenchResult& result) {
  const std::filesystem::path marks = build.work / "bench.marks";
  std::vector<std::string> call = build.target->runner;
  for (std::string& argument : counter_arguments(build.work, marks)) {
    call.push_back(std::move(argument));
  }
  call.insert(call.end(), {build.program("bench").string(), folder.string(),
                           fmt::format("{}", result.iterations), "--marks"});
  const ProcessResult run = run_process(call, build.work, kRunLimit);
  if (run.exit_code != 0) failed(folder, run_failure(run));
  const std::size_t kernels = run.output.find("kernels ");
  if (kernels != std::string::npos) {
    const std::size_t begin = kernels + 8;
    result.kernels =
        printable(run.output.substr(begin, run.output.find('\n', begin) - begin));
  }
  read_families(run.output, result);
  const std::optional<std::vector<Mark>> counted = read_marks(marks);
  if (!counted) failed(folder, "the counter's list is damaged");
  read_counts(folder, *counted, result);
  result.unit = "instructions";
}

void time_layers(const std::filesystem::path& folder, const TargetBuild& build,
                 BenchResult& result) {
  const ProcessResult run =
      run_process({build.program("bench").string(), folder.string(),
                   fmt::format("{}", result.iterations), "--layers"},
                  build.work, kRunLimit);
  if (run.exit_code != 0) failed(folder, run_failure(run));
  read_times(folder, run.output, result);
  read_families(run.output, result);
  result.unit = "ns";
}

std::string figure_text(const BenchFigure& figure, const std::string& unit) {
  if (unit == "ns") {
    return fmt::format("{:>12.1f} {:>12.1f}", figure.median / 1e3, figure.min / 1e3);
  }
  return fmt::format("{:>12.0f} {:>12.0f}", figure.median, figure.min);
}

}  // namespace

BenchResult bench_folder(const std::filesystem::path& given, const std::string& target,
                         std::int64_t iterations, int threads) {
  BenchResult result;
  TargetBuild build;
  build.target = &find_target(target, "bench");
  result.target = target;
  result.iterations = iterations;
  const Manifest manifest = read_manifest(given);
  const std::filesystem::path folder = std::filesystem::canonical(given);
  if (const auto changed = changed_files(folder, manifest); !changed.empty()) {
    failed(folder, printable(changed[0]) + " differs from manifest.json");
  }
  const Graph graph = load_export_unchecked(folder);
  const std::vector<BenchLayer> layers =
      layers_of(graph, read_sections(read_file(folder / "model.qpk")));

  const ScratchFolder scratch;
  build.work = scratch.path();
  probe(build);
  result.compiler = build.compiler_version;
  if (build.not_tested.empty() && !build.target->runner.empty()) {
    build.not_tested = counter_fault(build);
  }
  if (!build.not_tested.empty()) {
    result.not_counted = build.not_tested;
    return result;
  }
  std::vector<std::string> kernels;
  for (const auto& [path, entry] : manifest.files) {
    if (path.starts_with("src/qrt/") && path.ends_with(".c")) kernels.push_back(path);
  }
  std::vector<TargetBuild> builds{build};
  compile_all(folder, kernels, builds, threads, "bench");
  if (!builds[0].fault.empty()) failed(folder, builds[0].fault);
  result.layers = layers;
  if (build.target->runner.empty()) {
    time_layers(folder, builds[0], result);
  } else {
    count_instructions(folder, builds[0], result);
  }
  return result;
}

std::string bench_text(const BenchResult& result) {
  std::string text =
      fmt::format("target {}{}{}{}\n", result.target, result.compiler.empty() ? "" : ", ",
                  result.compiler, result.kernels.empty() ? "" : ", " + result.kernels);
  if (!result.not_counted.empty()) {
    return text + "not counted: " + printable(result.not_counted) + "\n";
  }
  text += fmt::format("{} over {} iterations, median and least\n",
                      result.unit == "ns" ? "microseconds" : "executed instructions",
                      result.iterations);
  for (const BenchLayer& layer : result.layers) {
    text += fmt::format("  {:<28} {:<16} {:<10} {}\n", printable(layer.name), layer.kind,
                        layer.family ? family_name(*layer.family) : "-",
                        figure_text(layer.figure, result.unit));
  }
  return text + fmt::format("  {:<28} {:<16} {:<10} {}\n", "total", "", "",
                            figure_text(result.total, result.unit));
}

std::string bench_json(const BenchResult& result) {
  using Json = nlohmann::ordered_json;
  const auto or_null = [](const std::string& text) {
    return text.empty() ? Json(nullptr) : Json(text);
  };
  Json json = {{"version", 1},
               {"target", result.target},
               {"compiler", or_null(result.compiler)},
               {"kernels", or_null(result.kernels)},
               {"unit", or_null(result.unit)},
               {"not_counted", or_null(result.not_counted)},
               {"iterations", result.iterations}};
  json["total"] = result.unit.empty()
                      ? Json(nullptr)
                      : Json{{"median", result.total.median}, {"min", result.total.min}};
  json["layers"] = Json::array();
  for (const BenchLayer& layer : result.layers) {
    json["layers"].push_back(
        {{"name", layer.name},
         {"kind", layer.kind},
         {"family", layer.family ? Json(family_name(*layer.family)) : Json(nullptr)},
         {"macs", layer.macs},
         {"median", layer.figure.median},
         {"min", layer.figure.min}});
  }
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace qopt::emit
