// SPDX-License-Identifier: MIT
// qopt bench: times an exported folder layer by layer, or counts its instructions.
#include "apps/qopt/command.h"
#include "lib/core/parallel.h"
#include "lib/export/bench.h"

namespace qopt::cli {
namespace {

struct Options {
  std::string folder, target = "host", format = "text", output;
  std::int64_t iterations = 10;
  int threads = 0;
};

ExitCode run(const Options& options) {
  const int threads = options.threads > 0 ? options.threads : default_threads();
  const emit::BenchResult result =
      emit::bench_folder(options.folder, options.target, options.iterations, threads);
  print_result(
      options.format == "json" ? emit::bench_json(result) : emit::bench_text(result),
      options.output);
  return ExitCode::Ok;
}

}  // namespace

void add_bench(CLI::App& app, Action& action) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "bench", "time an export layer by layer; emulated: count its instructions");
  command->add_option("folder", options->folder, "folder written by qopt compress")
      ->required();
  command->add_option("--target", options->target, "one target of qopt verify")
      ->capture_default_str();
  command->add_option("--iterations", options->iterations, "runs of the whole model")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  command->add_option("-o", options->output, "file to write (default: standard output)");
  command
      ->add_option("--threads", options->threads,
                   "threads that compile; 0 means every core")
      ->check(CLI::Range(0, 1024));
  add_format(*command, options->format);
  command->callback([options, &action] { action = [options] { return run(*options); }; });
}

}  // namespace qopt::cli
