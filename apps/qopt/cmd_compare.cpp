// SPDX-License-Identifier: MIT
// qopt compare: two results, or one configuration under every calibrator.
#include "apps/qopt/command.h"
#include "apps/qopt/console.h"
#include "lib/pipeline/calibrators.h"
#include "lib/pipeline/compare.h"

namespace qopt::cli {
namespace {

struct Options {
  std::vector<std::string> results, overrides;
  std::string calibrators, format = "text";
};

ExitCode run(const Options& options) {
  const bool is_json = options.format == "json";
  if (!options.calibrators.empty()) {
    const auto config = pipeline::read_config(options.calibrators, options.overrides);
    Console console;
    const auto rows = pipeline::compare_calibrators(config, console);
    print_result(is_json ? pipeline::calibrators_json(rows)
                         : pipeline::calibrators_text(rows));
    return ExitCode::Ok;
  }
  if (options.results.size() != 2) {
    throw Error(ExitCode::Usage, "compare", "two results are needed",
                "give two folders or report.json files, or --calibrators CONFIG");
  }
  const report::Report a = pipeline::load_report(options.results[0]);
  const report::Report b = pipeline::load_report(options.results[1]);
  print_result(is_json ? pipeline::compare_json(a, b) : pipeline::compare_text(a, b));
  return ExitCode::Ok;
}

}  // namespace

void add_compare(CLI::App& app, Action& action) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "compare", "compare two results, or all calibrators on one model");
  command->add_option("results", options->results, "two folders or report.json files")
      ->expected(0, 2);
  command->add_option("--calibrators", options->calibrators,
                      "configuration to run with every calibrator in turn");
  command->add_option("--set", options->overrides, "KEY=VALUE on the configuration")
      ->take_all();
  add_format(*command, options->format);
  command->callback([options, &action] { action = [options] { return run(*options); }; });
}

}  // namespace qopt::cli
