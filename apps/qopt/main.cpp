// SPDX-License-Identifier: MIT
// qopt: declares the commands, runs the chosen one, turns errors into one clear message
// and an exit code. The only place that catches.
#include <spdlog/spdlog.h>

#include <cstdio>
#include <exception>
#include <new>
#include <set>
#include <string>

#include "apps/qopt/command.h"
#include "apps/qopt/console.h"
#include "lib/config/problems.h"
#include "lib/core/files.h"
#include "lib/core/interrupt.h"
#include "lib/core/names.h"
#include "lib/export/version.h"

namespace qopt::cli {
namespace {

constexpr AddCommand kCommands[] = {
    add_init,  add_inspect, add_compress,    add_eval,          add_verify,
    add_bench, add_compare, add_sensitivity, add_supported_ops, add_schema,
};

/// Messages may quote a model or a file: control bytes are shown, line ends kept.
std::string safe(std::string_view text) {
  std::string out;
  while (true) {
    const std::size_t end = text.find('\n');
    out += printable(text.substr(0, end));
    if (end == std::string_view::npos) return out;
    out += '\n';
    text.remove_prefix(end + 1);
  }
}

int report(ExitCode code, const std::string& text) {
  spdlog::error("{}", safe(text));
  return static_cast<int>(code);
}

/// What to say of a first argument that is neither an option nor a command.
std::string unknown_command(const CLI::App& app, std::string_view first) {
  std::set<std::string> names;
  for (const CLI::App* command : app.get_subcommands(nullptr)) {
    names.insert(command->get_name());
  }
  if (first.starts_with('-') || names.contains(std::string(first))) return {};
  const std::string near = nearest(first, names);
  return "error: unknown command '" + std::string(first) + "'" +
         (near.empty() ? " (see qopt --help)" : "; did you mean '" + near + "'?");
}

int run(int argc, char** argv) {
  CLI::App app("Compresses TorchScript models to bit-exact integer code.", "qopt");
  app.set_version_flag("--version", "qopt " + std::string(emit::kToolVersion));
  app.require_subcommand(1);
  app.footer(
      "Exit codes: 0 done, 1 internal error, 2 usage or configuration, 3 model "
      "unsupported,\n"
      "4 data, 5 constraint infeasible, 6 accuracy gate failed, 7 not bit-exact,\n"
      "130 interrupted.");
  Action action;
  for (const AddCommand add : kCommands) add(app, action);
  if (argc > 1) {
    const std::string text = unknown_command(app, argv[1]);
    if (!text.empty()) return report(ExitCode::Usage, text);
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return app.exit(e);  // --help, --version
    return report(ExitCode::Usage,
                  std::string("error: ") + e.what() + " (see qopt --help)");
  }
  return static_cast<int>(action());
}

}  // namespace

void add_format(CLI::App& command, std::string& format) {
  command.add_option("--format", format, "text or json")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
}

void print_result(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() ||
      std::fflush(stdout) != 0) {
    throw Error(ExitCode::Usage, "standard output", "cannot be written");
  }
}

void print_result(std::string_view text, const std::string& path) {
  if (path.empty()) {
    print_result(text);
  } else {
    write_file_atomic(path, text);
  }
}

}  // namespace qopt::cli

int main(int argc, char** argv) {
  using namespace qopt;
  cli::set_up_log();
  install_interrupt_handlers();
  try {
    return cli::run(argc, argv);
  } catch (const config::ConfigError& e) {
    return cli::report(e.code(), e.what());  // each line already says where and "error"
  } catch (const Error& e) {
    return cli::report(e.code(), std::string("error: ") + e.what());
  } catch (const std::bad_alloc&) {
    return cli::report(ExitCode::Internal, "error: out of memory");
  } catch (const std::exception& e) {
    const std::string_view text(e.what());
    return cli::report(ExitCode::Internal,
                       "internal error: " + std::string(text.substr(0, text.find('\n'))) +
                           " (a mistake of qopt: please report it)");
  }
}
