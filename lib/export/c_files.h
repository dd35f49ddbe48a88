// SPDX-License-Identifier: MIT
// The generated files of an export, each as one function from the planned code to text.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lib/export/artifact.h"
#include "lib/export/c_layer.h"
#include "lib/export/c_names.h"
#include "lib/export/kernel_choice.h"

namespace qopt::emit {

/// Everything a generated file may speak of.
struct CodeContext {
  const Graph& graph;
  const Blob& blob;
  const ModelCode& code;
  const CodeNames& names;
  const std::vector<std::optional<LayerChoice>>& choices;  // by node index
  std::string_view core;                                   // that they were made for
};

std::string model_header(const CodeContext& context);     // include/model.h
std::string model_source(const CodeContext& context);     // src/model.c
std::string selftest_source(const CodeContext& context);  // selftest.c
std::string bench_source(const CodeContext& context);     // bench.c
std::string build_file(const CodeContext& context,
                       const std::vector<std::string>& kernel_files);

/// The runtime's files that the texts in `sources` need: all headers, the kernels named
/// in `kernels` ("conv2d_s8"), and whatever those call. kernels.inc keeps only their
/// rows; and what models may use to run on threads. Paths begin with "include/qrt/",
/// "src/qrt/" and "threads/".
std::map<std::string, std::string> runtime_files(const std::vector<std::string>& kernels,
                                                 const std::vector<std::string>& sources);

}  // namespace qopt::emit
