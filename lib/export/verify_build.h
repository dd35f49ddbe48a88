// SPDX-License-Identifier: MIT
// Compiling an exported folder's selftest for many targets at once and running it. Speaks
// to compilers and emulators; knows nothing of golden values.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "lib/export/process.h"
#include "lib/export/verify.h"

namespace qopt::emit {

/// One target on its way to a program.
struct TargetBuild {
  const Target* target = nullptr;
  std::filesystem::path work;    // its own folder below the scratch folder
  std::string compiler_version;  // first line of --version
  std::string not_tested;        // why the target cannot be tested here; empty if it can
  std::string fault;             // a compiler's or linker's complaint about the export
  std::filesystem::path program(const std::string& name = "selftest") const {
    return work / name;
  }
};

/// Finds compiler and emulator, then compiles, links and runs an empty program, so that
/// what is missing on this machine is told apart from what is wrong with the export.
void probe(TargetBuild& build);

/// Compiles NAME.c (selftest, bench) and `kernel_files` (relative to `folder`) for every
/// build that can be tested, one compiler process a file, `threads` at once, then links.
/// Warnings are errors.
void compile_all(const std::filesystem::path& folder,
                 const std::vector<std::string>& kernel_files,
                 std::vector<TargetBuild>& builds, int threads,
                 const std::string& name = "selftest");

/// Runs the built selftest with `arguments` under the target's runner, or another.
ProcessResult run_selftest(const TargetBuild& build,
                           const std::vector<std::string>& arguments,
                           std::chrono::seconds limit,
                           const std::vector<std::string>* runner = nullptr);

}  // namespace qopt::emit
