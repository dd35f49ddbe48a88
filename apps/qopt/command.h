// SPDX-License-Identifier: MIT
// Commands: one row each. A command declares its options and leaves behind what to do;
// main runs it and turns errors into exit codes. No logic here.
#pragma once

#include <CLI/CLI.hpp>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/core/error.h"

namespace qopt::cli {

using Action = std::function<ExitCode()>;
/// Declares a subcommand of `app`; its callback sets `action`.
using AddCommand = void (*)(CLI::App& app, Action& action);

void add_init(CLI::App& app, Action& action);
void add_inspect(CLI::App& app, Action& action);
void add_compress(CLI::App& app, Action& action);
void add_eval(CLI::App& app, Action& action);
void add_verify(CLI::App& app, Action& action);
void add_bench(CLI::App& app, Action& action);
void add_compare(CLI::App& app, Action& action);
void add_sensitivity(CLI::App& app, Action& action);
void add_supported_ops(CLI::App& app, Action& action);
void add_schema(CLI::App& app, Action& action);

/// Adds `--format text|json`, stored in `format`.
void add_format(CLI::App& command, std::string& format);

/// Writes a result to standard output. Throws Error(Usage) when it cannot be written.
void print_result(std::string_view text);
/// Writes to `path`, or to standard output where it is empty.
void print_result(std::string_view text, const std::string& path);

}  // namespace qopt::cli
