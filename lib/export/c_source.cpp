// SPDX-License-Identifier: MIT
// src/model.c: one static function for each layer with everything baked in, and the calls
// in execution order.
#include <algorithm>

#include "lib/core/error.h"
#include "lib/core/names.h"
#include "lib/export/c_files.h"

namespace qopt::emit {
namespace {

/// "i8[1, 8, 8, 64]", and how it lies where not as codes.
std::string value_comment(const CodeContext& context, ValueId id) {
  const Value& value = context.graph.value(id);
  std::string text = std::string(dtype_name(value.dtype)) + shape_comment(value.shape);
  const auto planes = context.code.planes.find(id.index);
  if (planes != context.code.planes.end()) {
    text += fmt::format(" in {} bit plane{}", planes->second.bits,
                        planes->second.bits == 1 ? "" : "s");
  }
  return text;
}

std::string layer_comment(const CodeContext& context, std::size_t number) {
  const Graph& graph = context.graph;
  const std::size_t at = context.names.layers[number];
  const Node& node = graph.nodes()[at];
  const Value& out = graph.value(node.output);
  std::string text =
      fmt::format("Layer {}, {}: {} ->", number, op_name(node.op), printable(out.name));
  text += " " + value_comment(context, node.output);
  for (std::size_t i = 0; i < node.inputs.size(); ++i) {
    const Value& in = graph.value(node.inputs[i]);
    text += fmt::format("\n  {}: {} {}", i, printable(in.name),
                        value_comment(context, node.inputs[i]));
    const auto section = context.code.sections.find(node.inputs[i].index);
    if (section != context.code.sections.end()) {
      text += fmt::format(", section {}", section->second.index);
      if (section->second.bits < 8)
        text += fmt::format(", {} bits{}", section->second.bits,
                            section->second.odd ? ", odd" : "");
    }
  }
  if (context.choices[at]) {
    text += "\n  kernel: " + choice_text(*context.choices[at], context.core);
  }
  return text;
}

void write_layer(CWriter& w, const CodeContext& context, std::size_t number) {
  const std::size_t at = context.names.layers[number];
  const LayerCode& layer = context.code.layers[at];
  w.blank();
  w.comment(layer_comment(context, number));
  if (layer.calls.empty()) return;
  std::vector<std::string> parameters;
  if (layer.uses_model) {
    parameters.push_back(fmt::format("const {}_model* m", context.names.prefix));
  }
  for (const std::size_t i : layer.activations)
    parameters.push_back(fmt::format("const void* x{}", i));
  parameters.emplace_back("void* y");
  if (layer.scratch_bytes != 0) parameters.emplace_back("void* scratch");
  if (layer.uses_team) parameters.emplace_back("const qrt_team* team");
  std::string head = "static void " + context.names.layer_functions[at] + "(";
  for (std::size_t i = 0; i < parameters.size(); ++i)
    head += (i ? ", " : "") + parameters[i];
  const auto block = w.block(head + ")");
  for (const ArrayCode& array : layer.arrays)
    w.array(array.type, array.name, array.values);
  for (std::size_t i = 0; i < layer.calls.size(); ++i) {
    w.constant(layer.calls[i].params_type, fmt::format("p{}", i), layer.calls[i].params);
  }
  for (std::size_t i = 0; i < layer.calls.size(); ++i) {
    std::vector<std::string> arguments{fmt::format("&p{}", i)};
    const KernelCall& call = layer.calls[i];
    arguments.insert(arguments.end(), call.operands.begin(), call.operands.end());
    const std::string kernel = "qrt." + call.kernel;
    if (call.runner.empty()) {
      w.call(kernel, arguments);
    } else {
      arguments.insert(arguments.begin(), {"team", kernel});
      w.call(call.runner, arguments);
    }
  }
}

/// C expression for the storage of a value inside the run function.
std::string place_text(const CodeContext& context, ValueId id) {
  const Place& place = context.code.storage.places[id.index];
  switch (place.kind) {
    case Place::Kind::Arena: return fmt::format("a + {}", place.offset);
    case Place::Kind::Input: return context.names.inputs.at(place.index).argument;
    case Place::Kind::Output: return context.names.outputs.at(place.index).argument;
    case Place::Kind::Constant:
      return fmt::format("model->weights[{}]",
                         context.code.sections.at(place.index).index);
  }
  throw InternalError("unknown place");
}

/// The statements of the run function, and which of its parameters they use.
struct RunBody {
  CWriter text;
  bool uses_model = false, uses_arena = false, uses_team = false;
  std::vector<bool> uses_input;

  void use(const CodeContext& context, ValueId id) {
    const Place& place = context.code.storage.places[id.index];
    if (place.kind == Place::Kind::Arena) uses_arena = true;
    if (place.kind == Place::Kind::Input) uses_input[place.index] = true;
    if (place.kind == Place::Kind::Constant) uses_model = true;
  }
};

void write_calls(RunBody& body, const CodeContext& context) {
  const CodeNames& names = context.names;
  for (std::size_t number = 0; number < names.layers.size(); ++number) {
    const std::size_t at = names.layers[number];
    const Node& node = context.graph.nodes()[at];
    const LayerCode& layer = context.code.layers[at];
    const std::string y = place_text(context, node.output);
    body.use(context, node.output);
    if (!layer.calls.empty()) {
      std::vector<std::string> arguments;
      if (layer.uses_model) arguments.emplace_back("model");
      body.uses_model = body.uses_model || layer.uses_model;
      for (const std::size_t i : layer.activations) {
        arguments.push_back(place_text(context, node.inputs[i]));
        body.use(context, node.inputs[i]);
      }
      arguments.push_back(y);
      if (layer.scratch_bytes != 0) {
        arguments.push_back(fmt::format("a + {}", context.code.storage.scratch[at]));
        body.uses_arena = true;
      }
      if (layer.uses_team) {
        arguments.emplace_back("team");
        body.uses_team = true;
      }
      body.text.call(names.layer_functions[at], arguments);
    }
    body.text.statement(fmt::format("{}_TAP({}, {}, {})", names.macro_prefix, number, y,
                                    context.code.value_bytes[node.output.index]));
  }
  for (const std::size_t k : context.code.storage.copies) {
    const PortCode& out = names.outputs[k];
    body.use(context, out.value);
    body.text.call("memcpy", {out.argument, place_text(context, out.value),
                              fmt::format("{}_BYTES", out.macro)});
  }
}

void write_run(CWriter& w, const CodeContext& context) {
  const CodeNames& names = context.names;
  RunBody body;
  body.uses_input.assign(names.inputs.size(), false);
  write_calls(body, context);
  const std::string parameters = port_parameters(names);
  w.blank();
  const auto block =
      w.block(fmt::format("void {0}_run_parallel(const {0}_model* model, void* arena, "
                          "struct qrt_parallel* parallel{1}{2})",
                          names.prefix, parameters.empty() ? "" : ", ", parameters));
  if (body.uses_arena || body.uses_team) {
    w.statement("unsigned char* const a = (unsigned char*)arena");
  } else {
    w.statement("(void)arena");
  }
  if (body.uses_team) {
    w.statement("qrt_team own");
    w.statement(fmt::format(
        "const qrt_team* const team = qrt_team_of(&own, parallel, a + {}, {})",
        context.code.arena_bytes, context.code.part_scratch_bytes));
  } else {
    w.statement("(void)parallel");
  }
  if (!body.uses_model) w.statement("(void)model");
  for (std::size_t i = 0; i < names.inputs.size(); ++i) {
    if (!body.uses_input[i])
      w.statement(fmt::format("(void){}", names.inputs[i].argument));
  }
  std::string_view rest = body.text.text();
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    w.line(rest.substr(0, end));
    rest.remove_prefix(end + 1);
  }
}

/// The run without threads.
void write_lone_run(CWriter& w, const CodeContext& context) {
  const CodeNames& names = context.names;
  const std::string parameters = port_parameters(names);
  w.blank();
  const auto block =
      w.block(fmt::format("void {0}_run(const {0}_model* model, void* arena{1}{2})",
                          names.prefix, parameters.empty() ? "" : ", ", parameters));
  std::vector<std::string> arguments{"model", "arena", "NULL"};
  for (const PortCode& in : names.inputs) arguments.push_back(in.argument);
  for (const PortCode& out : names.outputs) arguments.push_back(out.argument);
  w.call(names.prefix + "_run_parallel", arguments);
}

void write_static_run(CWriter& w, const CodeContext& context) {
  const CodeNames& names = context.names;
  const std::string parameters = port_parameters(names);
  w.blank();
  w.directive("ifdef " + names.macro_prefix + "_STATIC_ARENA");
  w.statement(fmt::format("static unsigned char static_arena[{}_ARENA_BYTES + 63]",
                          names.macro_prefix));
  {
    const auto block =
        w.block(fmt::format("void {0}_run_static(const {0}_model* model{1}{2})",
                            names.prefix, parameters.empty() ? "" : ", ", parameters));
    w.statement("const size_t over = (size_t)((uintptr_t)static_arena & 63u)");
    std::vector<std::string> arguments{"model", "static_arena + (64u - over) % 64u"};
    for (const PortCode& in : names.inputs) arguments.push_back(in.argument);
    for (const PortCode& out : names.outputs) arguments.push_back(out.argument);
    w.call(names.prefix + "_run", arguments);
  }
  w.directive("endif");
}

void write_init(CWriter& w, const CodeContext& context) {
  const std::string& name = context.names.prefix;
  const std::string& macro = context.names.macro_prefix;
  w.blank();
  const auto block = w.block(
      fmt::format("int {0}_init({0}_model* model, const void* blob, size_t size)", name));
  w.statement("const unsigned char* const bytes = (const unsigned char*)blob");
  w.statement("qrt_blob opened");
  if (!context.blob.sections.empty()) w.statement("uint32_t i");
  w.statement("const qrt_status status = qrt_blob_open(blob, size, &opened)");
  w.statement("model->weights[0] = NULL");
  w.statement("if (status != QRT_OK) return (int)status");
  w.comment("The header's CRC covers the CRC of every section.");
  w.line("if (opened.section_count != " + macro + "_SECTIONS ||");
  w.line(
      "    ((uint32_t)bytes[60] | (uint32_t)bytes[61] << 8 | (uint32_t)bytes[62] << 16 "
      "|");
  w.line("     (uint32_t)bytes[63] << 24) != " + macro + "_BLOB_CRC) {");
  w.line("  return " + macro + "_WRONG_BLOB;");
  w.line("}");
  if (!context.blob.sections.empty()) {
    const auto loop = w.block("for (i = 0; i < " + macro + "_SECTIONS; ++i)");
    w.statement("qrt_section section");
    w.statement(
        "if (qrt_blob_section(&opened, i, &section) != QRT_OK) return "
        "QRT_BLOB_NO_SECTION");
    w.statement("model->weights[i] = section.bytes");
  }
  w.directive("if defined(QRT_DISPATCH)");
  w.statement("qrt_select_kernels()");
  w.directive("endif");
  w.statement("return 0");
}

void write_conversions(CWriter& w, const CodeContext& context) {
  for (const PortCode& in : context.names.inputs) {
    if (in.affine == nullptr) continue;
    w.blank();
    const auto block =
        w.block(fmt::format("void {}_quantize_input{}(const float* real, {}* codes)",
                            context.names.prefix, in.number, in.c_type));
    w.call("qrt_quantize_f32",
           {"real", in.macro + "_COUNT", in.macro + "_SCALE", in.macro + "_ZERO_POINT",
            in.macro + "_MIN", in.macro + "_MAX", "(int)sizeof *codes", "codes"});
  }
  for (const PortCode& out : context.names.outputs) {
    if (out.affine == nullptr) continue;
    w.blank();
    const auto block =
        w.block(fmt::format("void {}_dequantize_output{}(const {}* codes, float* real)",
                            context.names.prefix, out.number, out.c_type));
    w.call("qrt_dequantize_f32",
           {"codes", out.macro + "_COUNT", out.macro + "_SCALE",
            out.macro + "_ZERO_POINT", "(int)sizeof *codes", "real"});
  }
}

}  // namespace

std::string model_source(const CodeContext& context) {
  const std::string& macro = context.names.macro_prefix;
  CWriter w;
  w.comment(fmt::format(
      "The model \"{}\", written by qopt: one function for each layer, with shapes,\n"
      "zero points and shifts baked in; weights come from the blob by section.",
      context.names.prefix));
  w.include_local("model.h");
  w.blank();
  if (!context.code.storage.copies.empty()) {
    w.include_system("string.h");
    w.blank();
  }
  w.include_local("qrt/blob.h");
  w.include_local("qrt/parallel.h");
  w.include_local("qrt/qrt.h");
  w.blank();
  w.comment("Called after every layer with its number, result and bytes; for tests.");
  w.directive("ifndef " + macro + "_TAP");
  w.define(macro + "_TAP(layer, pointer, bytes)", "((void)0)");
  w.directive("endif");
  for (std::size_t number = 0; number < context.names.layers.size(); ++number) {
    write_layer(w, context, number);
  }
  write_run(w, context);
  write_lone_run(w, context);
  write_static_run(w, context);
  write_init(w, context);
  write_conversions(w, context);
  return "/* SPDX-License-Identifier: MIT */\n" + w.text();
}

}  // namespace qopt::emit
