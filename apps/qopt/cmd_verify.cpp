// SPDX-License-Identifier: MIT
// qopt verify: compiles an exported folder, runs it and compares integers.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "apps/qopt/command.h"
#include "lib/core/names.h"
#include "lib/core/parallel.h"
#include "lib/pipeline/result_folder.h"

namespace qopt::cli {
namespace {

struct Options {
  std::string folder, format = "text";
  std::vector<std::string> targets;
  int threads = 0;
};

ExitCode run(const Options& options) {
  const int threads = options.threads > 0 ? options.threads : default_threads();
  const std::vector<report::VerifyRow> rows = pipeline::verify_result(
      options.folder,
      options.targets.empty() ? std::vector<std::string>{"all"} : options.targets,
      threads);
  nlohmann::ordered_json json = {{"version", 1},
                                 {"verify", nlohmann::ordered_json::array()}};
  std::string text;
  bool failed = false;
  for (const report::VerifyRow& row : rows) {
    failed = failed || row.status == report::Verification::Failed;
    const std::string_view status = report::verification_name(row.status);
    text += fmt::format("{:<16} {:<10} {:>3} vectors  {}\n", row.target, status,
                        row.vectors, printable(row.detail));
    json["verify"].push_back({{"target", row.target},
                              {"status", status},
                              {"vectors", row.vectors},
                              {"detail", row.detail}});
  }
  using Json = nlohmann::ordered_json;
  print_result(options.format == "json"
                   ? json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n"
                   : text);
  return failed ? ExitCode::NotBitExact : ExitCode::Ok;
}

}  // namespace

void add_verify(CLI::App& app, Action& action) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "verify", "compile an export, run it, compare every layer's integers");
  command->add_option("folder", options->folder, "folder written by qopt compress")
      ->required();
  command->add_option("--target", options->targets, "targets (default: all)")
      ->delimiter(',');
  command->add_option("--threads", options->threads, "threads; 0 means every core")
      ->check(CLI::Range(0, 1024));
  add_format(*command, options->format);
  command->callback([options, &action] { action = [options] { return run(*options); }; });
}

}  // namespace qopt::cli
