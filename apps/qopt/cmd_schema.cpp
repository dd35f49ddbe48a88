// SPDX-License-Identifier: MIT
// qopt schema: the configuration's keys for editors, or for people.
#include "apps/qopt/command.h"
#include "lib/pipeline/compress_config.h"

namespace qopt::cli {

void add_schema(CLI::App& app, Action& action) {
  auto markdown = std::make_shared<bool>(false);
  CLI::App* command = app.add_subcommand(
      "schema", "print the configuration's JSON Schema (draft 2020-12)");
  command->add_flag("--markdown", *markdown,
                    "print the reference of docs/config.md instead");
  command->callback([markdown, &action] {
    action = [markdown] {
      print_result(*markdown ? pipeline::config_reference()
                             : pipeline::config_json_schema());
      return ExitCode::Ok;
    };
  });
}

}  // namespace qopt::cli
