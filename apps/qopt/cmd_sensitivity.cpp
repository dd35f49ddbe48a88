// SPDX-License-Identifier: MIT
// qopt sensitivity: what each layer's quantization costs.
#include "apps/qopt/command.h"
#include "apps/qopt/console.h"
#include "lib/pipeline/sensitivity.h"

namespace qopt::cli {
namespace {

struct Options {
  std::string config, format = "text";
  std::vector<std::string> overrides;
  std::int64_t samples = 1000;
};

ExitCode run(const Options& options) {
  const auto config = pipeline::read_config(options.config, options.overrides);
  Console console;
  const auto result = pipeline::sensitivity(config, options.samples, console);
  print_result(options.format == "json" ? pipeline::sensitivity_json(result)
                                        : pipeline::sensitivity_text(result));
  return ExitCode::Ok;
}

}  // namespace

void add_sensitivity(CLI::App& app, Action& action) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "sensitivity", "quantize each layer alone, and all but each, on data.eval");
  command->add_option("config", options->config, "YAML configuration")->required();
  command->add_option("--samples", options->samples, "the first of data.eval")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 40))
      ->capture_default_str();
  command->add_option("--set", options->overrides, "KEY=VALUE on the configuration")
      ->take_all();
  add_format(*command, options->format);
  command->callback([options, &action] { action = [options] { return run(*options); }; });
}

}  // namespace qopt::cli
