// SPDX-License-Identifier: MIT
// Names and types of the generated C, derived from the graph once and used by every file
// of the export. The only place where a model's words become C words.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lib/export/c_layer.h"
#include "lib/graph/graph.h"

namespace qopt::emit {

/// One buffer of the caller: a graph input or output.
struct PortCode {
  std::string direction;  // "input" or "output"
  std::size_t number = 0;
  std::string label;     // the model's name for it, printable
  std::string c_type;    // "int8_t"
  std::string argument;  // "in0"
  std::string macro;     // "NET_INPUT0"
  ValueId value;
  std::uint64_t elements = 0, bytes = 0;
  const Affine* affine = nullptr;  // per-tensor encoding; null for plain numbers
};

struct CodeNames {
  std::string prefix;        // "net"
  std::string macro_prefix;  // "NET"
  std::vector<PortCode> inputs, outputs;
  std::vector<std::string>
      layer_functions;              // by node index; empty for nodes without calls
  std::vector<std::size_t> layers;  // node index of each layer number
};

/// `graph` must outlive the result.
CodeNames code_names(const Graph& graph, const ModelCode& code, std::string_view name);

std::string c_type(DType dtype);
/// "[1, 28, 28, 1]" for comments.
std::string shape_comment(const Shape& shape);
/// Arguments of the run function: "const int8_t* in0, int8_t* out0".
std::string port_parameters(const CodeNames& names);

}  // namespace qopt::emit
