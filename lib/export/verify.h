// SPDX-License-Identifier: MIT
// Verification: build an exported folder for a target, run its golden vectors, compare
// every layer's integers. Runs compilers and emulators (no shell); never compares with a
// tolerance.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace qopt::emit {

/// One row of the target table: how to compile for it and how to run the result.
struct Target {
  std::string name;      // "host", "portable", "x86-avx2", "aarch64",
                         // "aarch64-dotprod", "armv7-neon", "riscv64", ...
  std::string compiler;  // searched on PATH
  std::vector<std::string> flags;
  std::vector<std::string>
      runner;  // empty: native; else e.g. {"qemu-aarch64", "-L", ...}
  // A program that carries several instruction sets: the machine whose kernels it has
  // (isa_flags.h), and further processors that the same program must be right on.
  std::string_view machine = {};
  std::vector<std::vector<std::string>> further_runners = {};
};
/// All known targets; `host` first.
const std::vector<Target>& verify_targets();

/// The row of that name. Throws Error(Usage) that says `where` and the nearest name.
const Target& find_target(const std::string& name, const std::string& where);

enum class VerifyStatus { Passed, Failed, NotTested };
std::string_view status_name(VerifyStatus status);  // "passed", "failed", "not_tested"

struct Mismatch {
  std::string layer;
  std::string vector;
  std::int64_t index = 0;  // -1: only checksums are known, expected and got are CRC-32s
  std::int64_t expected = 0, got = 0;
};

struct VerifyResult {
  std::string target;
  VerifyStatus status = VerifyStatus::NotTested;
  std::int64_t vectors = 0;
  std::string detail;                // compiler and version, or why it was not tested
  std::optional<Mismatch> mismatch;  // the first difference in execution order
};

/// Verifies `folder` on the named targets (empty: all). Before that: the files must match
/// manifest.json's hashes, and golden/ must equal what the integer executor computes from
/// model.qir and model.qpk; a stale or edited file is a Failed result on target "golden",
/// which is always the first row. The chosen targets follow in the table's order. Throws
/// Error(Data) when the folder is no export.
std::vector<VerifyResult> verify_folder(const std::filesystem::path& folder,
                                        const std::vector<std::string>& targets,
                                        int threads);

}  // namespace qopt::emit
