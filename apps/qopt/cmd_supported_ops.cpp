// SPDX-License-Identifier: MIT
// qopt supported-ops: the importer's own table.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "apps/qopt/command.h"
#include "lib/frontend/import.h"

namespace qopt::cli {

void add_supported_ops(CLI::App& app, Action& action) {
  auto format = std::make_shared<std::string>("text");
  CLI::App* command =
      app.add_subcommand("supported-ops", "list the operators that can be imported");
  add_format(*command, *format);
  command->callback([format, &action] {
    action = [format] {
      std::string text =
          fmt::format("{:<38} {:<26} {}\n", "TorchScript", "becomes", "restrictions");
      nlohmann::ordered_json json = {{"version", 1},
                                     {"operators", nlohmann::ordered_json::array()}};
      for (const frontend::SupportedOp& row : frontend::supported_ops()) {
        text += fmt::format("{:<38} {:<26} {}\n", row.schema, row.becomes, row.note);
        json["operators"].push_back(
            {{"schema", row.schema}, {"becomes", row.becomes}, {"note", row.note}});
      }
      print_result(*format == "json" ? json.dump(1) + "\n" : text);
      return ExitCode::Ok;
    };
  });
}

}  // namespace qopt::cli
