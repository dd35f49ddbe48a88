// SPDX-License-Identifier: MIT
// Measuring an exported folder: its bench program built for a target, each layer and the
// whole timed natively, or its instructions counted under emulation. Emulated time is
// never given as speed. Compiles and runs what the folder holds.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "lib/export/cost_model.h"

namespace qopt::emit {

/// Median and least of all iterations.
struct BenchFigure {
  double median = 0, min = 0;
};

struct BenchLayer {
  std::string name, kind;        // of the result; the operator
  std::optional<Family> family;  // of convolutions
  std::int64_t macs = 0;
  BenchFigure figure;
};

struct BenchResult {
  std::string target, compiler;  // first line of the compiler's --version
  std::string kernels;           // what a program that dispatches chose; else empty
  std::string unit;         // "ns" or "instructions"; empty where nothing was counted
  std::string not_counted;  // why, then; else empty
  std::int64_t iterations = 0;
  BenchFigure total;
  std::vector<BenchLayer> layers;  // in execution order; empty where nothing was counted
};

/// Builds and runs the bench of `folder` on the named target of verify_targets(). What
/// this machine lacks (a compiler, an emulator that counts) is `not_counted`. Throws
/// Error(Usage) for an unknown target, Error(Data) when the folder is no export, was
/// changed, or its bench does not build or run.
BenchResult bench_folder(const std::filesystem::path& folder, const std::string& target,
                         std::int64_t iterations, int threads);

/// A table for people, and the JSON that `export.target.measurements` reads.
std::string bench_text(const BenchResult& result);
std::string bench_json(const BenchResult& result);

}  // namespace qopt::emit
