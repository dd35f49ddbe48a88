// SPDX-License-Identifier: MIT
// qopt compress: the main job.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "apps/qopt/command.h"
#include "apps/qopt/console.h"
#include "lib/core/names.h"
#include "lib/pipeline/compress.h"
#include "lib/pipeline/gate.h"
#include "lib/pipeline/plan.h"
#include "lib/report/format.h"

namespace qopt::cli {
namespace {

struct Options {
  std::string config, output, format = "text";
  std::vector<std::string> overrides;
  int threads = -1;
  bool dry_run = false;
};

std::string text_of(const pipeline::CompressResult& result) {
  const std::string folder = printable(result.folder.string());
  return report::to_text(result.report) +
         fmt::format("{:.1f} s, {} peak memory\nartefact {}\nreport   {}/report.html\n",
                     result.timing.total_seconds,
                     report::bytes_text(result.timing.peak_memory_bytes), folder, folder);
}

/// The report without its long tables (report.json has them), and where it lies.
std::string json_of(const pipeline::CompressResult& result) {
  auto json = nlohmann::ordered_json::parse(report::to_json(result.report));
  json.erase("layers");
  json.erase("activations");
  if (json.contains("training")) json["training"].erase("flips");
  json["folder"] = result.folder.string();
  json["exit_code"] = static_cast<int>(result.code);
  json["rejected"] = pipeline::rejections(result.report);
  return json.dump(1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) +
         "\n";
}

ExitCode run(const Options& options) {
  std::vector<std::string> overrides = options.overrides;
  if (options.threads >= 0)
    overrides.push_back(fmt::format("run.threads={}", options.threads));
  pipeline::CompressConfig config = pipeline::read_config(options.config, overrides);
  if (!options.output.empty()) config.output.dir = options.output;
  if (options.dry_run) {
    const pipeline::Plan plan = pipeline::make_plan(config);
    print_result(options.format == "json" ? pipeline::plan_json(plan)
                                          : pipeline::plan_text(plan));
    return ExitCode::Ok;
  }
  Console console;
  const pipeline::CompressResult result = pipeline::compress(config, console);
  print_result(options.format == "json" ? json_of(result) : text_of(result));
  for (const std::string& reason : pipeline::rejections(result.report)) {
    spdlog::error("REJECTED: {}", printable(reason));
  }
  return result.code;
}

}  // namespace

void add_compress(CLI::App& app, Action& action) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("compress", "compress, export, verify and report");
  command->add_option("config", options->config, "configuration (YAML)")->required();
  command->add_option("-o,--output", options->output, "folder to write (export.dir)");
  command
      ->add_option("--set", options->overrides, "KEY=VALUE, as passes.ptq.weights.bits=4")
      ->take_all();
  command->add_option("--threads", options->threads, "threads; 0 means every core")
      ->check(CLI::Range(0, 1024));
  command->add_flag("--dry-run", options->dry_run,
                    "check everything, run and write nothing");
  add_format(*command, options->format);
  command->callback([options, &action] { action = [options] { return run(*options); }; });
}

}  // namespace qopt::cli
