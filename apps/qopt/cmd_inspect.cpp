// SPDX-License-Identifier: MIT
// qopt inspect: what is in a model.
#include "apps/qopt/command.h"
#include "lib/pipeline/inspect.h"

namespace qopt::cli {

void add_inspect(CLI::App& app, Action& action) {
  struct Options {
    std::string model, format = "text";
    std::vector<std::string> inputs;
    bool graph = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("inspect", "show a model's operators and shapes");
  command->add_option("model", options->model, "TorchScript file")->required();
  command->add_option("--input", options->inputs, "shape of each input, as 1x3x224x224")
      ->required();
  command->add_flag("--graph", options->graph, "print the canonical graph's text form");
  add_format(*command, options->format);
  command->callback([options, &action] {
    action = [options] {
      std::vector<frontend::InputSpec> inputs;
      for (const std::string& text : options->inputs) {
        inputs.push_back(pipeline::parse_input(text));
      }
      print_result(options->graph ? pipeline::inspect_graph(options->model, inputs)
                   : options->format == "json"
                       ? pipeline::inspect_json(options->model, inputs)
                       : pipeline::inspect_text(options->model, inputs));
      return ExitCode::Ok;
    };
  });
}

}  // namespace qopt::cli
