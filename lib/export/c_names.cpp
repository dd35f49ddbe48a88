// SPDX-License-Identifier: MIT
#include "lib/export/c_names.h"

#include <fmt/ranges.h>

#include "lib/core/error.h"
#include "lib/core/names.h"

namespace qopt::emit {
namespace {

std::string upper(std::string text) {
  for (char& c : text) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return text;
}

PortCode port(const Graph& graph, const std::string& direction, std::size_t number,
              ValueId id, const std::string& label, const std::string& macro_prefix) {
  const Value& value = graph.value(id);
  PortCode code;
  code.direction = direction;
  code.number = number;
  code.label = printable(label);
  code.c_type = c_type(value.dtype);
  code.argument = fmt::format("{}{}", direction == "input" ? "in" : "out", number);
  code.macro = fmt::format("{}_{}{}", macro_prefix, upper(direction), number);
  code.value = id;
  code.elements = static_cast<std::uint64_t>(num_elements(value.shape));
  code.bytes = code.elements * dtype_size(value.dtype);
  if (value.encoding) {
    const Affine& affine = std::get<Affine>(*value.encoding);
    if (!affine.axis) code.affine = &affine;
  }
  return code;
}

}  // namespace

std::string c_type(DType dtype) {
  switch (dtype) {
    case DType::I8: return "int8_t";
    case DType::U8:
    case DType::Bool: return "uint8_t";
    case DType::I16: return "int16_t";
    case DType::I32: return "int32_t";
    case DType::I64: return "int64_t";
    case DType::F32:
    case DType::F64: break;
  }
  throw InternalError(fmt::format("{} in an integer graph", dtype_name(dtype)));
}

std::string shape_comment(const Shape& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

std::string port_parameters(const CodeNames& names) {
  std::string text;
  for (const PortCode& in : names.inputs) {
    text +=
        fmt::format("{}const {}* {}", text.empty() ? "" : ", ", in.c_type, in.argument);
  }
  for (const PortCode& out : names.outputs) {
    text += fmt::format("{}{}* {}", text.empty() ? "" : ", ", out.c_type, out.argument);
  }
  return text;
}

CodeNames code_names(const Graph& graph, const ModelCode& code, std::string_view name) {
  CodeNames names;
  names.prefix = c_identifier(name);
  // The runtime owns names that begin with qrt.
  if (upper(names.prefix).starts_with("QRT")) names.prefix = "m_" + names.prefix;
  names.macro_prefix = upper(names.prefix);
  const std::vector<ValueId> inputs = graph.inputs();
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    names.inputs.push_back(port(graph, "input", i, inputs[i], graph.value(inputs[i]).name,
                                names.macro_prefix));
  }
  for (std::size_t i = 0; i < graph.outputs().size(); ++i) {
    const Output& output = graph.outputs()[i];
    names.outputs.push_back(
        port(graph, "output", i, output.value, output.name, names.macro_prefix));
  }
  for (std::size_t i = 0; i < graph.nodes().size(); ++i) {
    const Node& node = graph.nodes()[i];
    names.layer_functions.emplace_back();
    if (std::holds_alternative<op::Input>(node.op)) continue;
    if (!code.layers[i].calls.empty()) {
      names.layer_functions.back() =
          fmt::format("layer{}_{}", names.layers.size(),
                      c_identifier(graph.value(node.output).name).substr(0, 40));
    }
    names.layers.push_back(i);
  }
  return names;
}

}  // namespace qopt::emit
