// SPDX-License-Identifier: MIT
// qopt init: a commented configuration for a model.
#include <filesystem>

#include "apps/qopt/command.h"
#include "lib/pipeline/inspect.h"

namespace qopt::cli {

void add_init(CLI::App& app, Action& action) {
  struct Options {
    std::string model, output;
    std::vector<std::string> inputs;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("init", "write a commented configuration for a model");
  command->add_option("model", options->model, "TorchScript file")->required();
  command->add_option("--input", options->inputs,
                      "shape of each input, as 1x3x32x32, 1x128:i64 or name=1x3x32x32");
  command->add_option("-o,--output", options->output,
                      "file to write (default: standard output)");
  command->callback([options, &action] {
    action = [options] {
      std::vector<frontend::InputSpec> inputs;
      for (const std::string& text : options->inputs) {
        inputs.push_back(pipeline::parse_input(text));
      }
      const std::filesystem::path output = options->output;
      if (!output.empty() && std::filesystem::exists(output)) {
        throw Error(ExitCode::Usage, output.string(),
                    "exists already; it is not replaced");
      }
      print_result(
          pipeline::initial_config(options->model, inputs,
                                   output.has_parent_path() ? output.parent_path() : "."),
          options->output);
      return ExitCode::Ok;
    };
  });
}

}  // namespace qopt::cli
