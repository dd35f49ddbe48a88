// SPDX-License-Identifier: MIT
// qopt eval: the quality of an export or of a model file.
#include "apps/qopt/command.h"
#include "apps/qopt/console.h"
#include "lib/pipeline/evaluate_target.h"
#include "lib/pipeline/inspect.h"

namespace qopt::cli {
namespace {

struct Options {
  std::string target, config, format = "text";
  std::vector<std::string> data, inputs, overrides;
  int threads = 0;
};

ExitCode run(const Options& options) {
  pipeline::EvalRequest request;
  request.target = options.target;
  if (!options.config.empty()) {
    request.config = pipeline::read_config(options.config, options.overrides);
  }
  if (!options.data.empty()) request.data = pipeline::parse_data(options.data);
  for (const std::string& text : options.inputs) {
    request.inputs.push_back(pipeline::parse_input(text));
  }
  request.threads = options.threads;
  Console console;
  const report::Metrics metrics = pipeline::evaluate_target(request, console);
  print_result(options.format == "json" ? pipeline::metrics_json(metrics)
                                        : pipeline::metrics_text(metrics));
  return ExitCode::Ok;
}

}  // namespace

void add_eval(CLI::App& app, Action& action) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "eval", "measure an exported folder (exact integers) or a model file");
  command->add_option("target", options->target, "folder or TorchScript file")
      ->required();
  command->add_option("--config", options->config, "configuration with data.eval");
  command
      ->add_option("--data", options->data,
                   "KEY=VALUE of a data source, as format=idx files=images.gz")
      ->take_all();
  command->add_option("--input", options->inputs, "shape of each input of a model file");
  command->add_option("--set", options->overrides, "KEY=VALUE on the configuration")
      ->take_all();
  command->add_option("--threads", options->threads, "threads; 0 means every core")
      ->check(CLI::Range(0, 1024));
  add_format(*command, options->format);
  command->callback([options, &action] { action = [options] { return run(*options); }; });
}

}  // namespace qopt::cli
