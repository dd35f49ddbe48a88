// SPDX-License-Identifier: MIT
// include/model.h: sizes, shapes, scales and the four calls of an exported model.
#include <fmt/ranges.h>

#include "lib/core/names.h"
#include "lib/export/c_files.h"

namespace qopt::emit {
namespace {

void define_port(CWriter& w, const Graph& graph, const PortCode& port) {
  const Value& value = graph.value(port.value);
  std::string text = fmt::format("{} {} \"{}\": {} {}", port.direction, port.number,
                                 port.label, port.c_type, shape_comment(value.shape));
  if (!value.layout.empty()) {
    text +=
        fmt::format(", axes {} of the model's own order", fmt::join(value.layout, ", "));
  }
  if (port.affine != nullptr) {
    text += "\nreal = SCALE * (code - ZERO_POINT), codes MIN to MAX.";
  }
  w.blank();
  w.comment(text);
  w.define(port.macro + "_RANK", fmt::format("{}", value.shape.size()));
  if (!value.shape.empty()) {
    w.define(port.macro + "_SHAPE", fmt::format("{{{}}}", fmt::join(value.shape, ", ")));
  }
  w.define(port.macro + "_COUNT", fmt::format("{}", port.elements));
  w.define(port.macro + "_BYTES", fmt::format("{}", port.bytes));
  if (port.affine == nullptr) return;
  w.define(port.macro + "_SCALE", c_float(port.affine->scale[0]));
  w.define(port.macro + "_ZERO_POINT",
           fmt::format("({})", stored_zero_point(*port.affine)));
  w.define(port.macro + "_MIN", fmt::format("({})", stored_min(*port.affine)));
  w.define(port.macro + "_MAX", fmt::format("({})", stored_max(*port.affine)));
}

}  // namespace

std::string model_header(const CodeContext& context) {
  const CodeNames& names = context.names;
  const std::string& name = names.prefix;
  const std::string& macro = names.macro_prefix;
  const std::string parameters = port_parameters(names);
  const std::string separator = parameters.empty() ? "" : ", ";
  CWriter w;
  w.comment(fmt::format(
      "The model \"{}\" as C99, written by qopt. Integers only; no allocation,\n"
      "no state but the caller's. Tensors are dense and row-major; images are\n"
      "N,H,W,C. Little-endian targets. Buffers must not overlap.",
      name));
  const std::string guard = macro + "_MODEL_H";
  w.directive("ifndef " + guard);
  w.define(guard, "");
  w.blank();
  w.include_system("stddef.h");
  w.include_system("stdint.h");
  w.blank();
  w.directive("ifdef __cplusplus");
  w.line("extern \"C\" {");
  w.directive("endif");
  w.blank();
  w.comment("Activations and the kernels' scratch.");
  w.define(macro + "_ARENA_BYTES", fmt::format("{}", context.code.arena_bytes));
  w.define(macro + "_ARENA_ALIGNMENT", "64");
  w.comment(
      "The arena of a run with so many threads: each has its own scratch behind it.");
  w.define(macro + "_ARENA_BYTES_FOR(threads)",
           fmt::format("((size_t){} + ((threads) > 1 ? (size_t)(threads) * {} : 0))",
                       context.code.arena_bytes, context.code.part_scratch_bytes));
  w.comment("The weight blob (model.qpk) this code was written with.");
  w.define(macro + "_BLOB_BYTES", fmt::format("{}", context.blob.bytes.size()));
  w.define(macro + "_BLOB_CRC", fmt::format("0x{:08X}u", context.blob.header_crc));
  w.define(macro + "_SECTIONS", fmt::format("{}", context.blob.sections.size()));
  w.define(macro + "_LAYERS", fmt::format("{}", names.layers.size()));
  w.define(macro + "_INPUTS", fmt::format("{}", names.inputs.size()));
  w.define(macro + "_OUTPUTS", fmt::format("{}", names.outputs.size()));
  for (const PortCode& port : names.inputs) define_port(w, context.graph, port);
  for (const PortCode& port : names.outputs) define_port(w, context.graph, port);

  w.blank();
  w.comment("An opened blob; valid while its bytes are.");
  {
    const auto block = w.block("typedef struct", fmt::format("}} {}_model;", name));
    w.statement(fmt::format("const void* weights[{}]",
                            std::max<std::size_t>(context.blob.sections.size(), 1)));
  }
  w.blank();
  w.comment(
      "Status of init beside the qrt_status values of qrt/blob.h: a sound blob, but not\n"
      "the one this code was written with.");
  w.define(macro + "_WRONG_BLOB", "100");
  w.blank();
  w.statement("struct qrt_parallel");
  w.blank();
  w.comment(
      "Checks all of the blob (aligned to 8 bytes, size bytes) and lends its sections "
      "to\n"
      "the model. 0 when usable.");
  w.statement(
      fmt::format("int {0}_init({0}_model* model, const void* blob, size_t size)", name));
  w.blank();
  w.comment(fmt::format(
      "One inference. arena: {0}_ARENA_BYTES, aligned to {0}_ARENA_ALIGNMENT,\n"
      "contents before and after are of no meaning.",
      macro));
  w.statement(fmt::format("void {0}_run(const {0}_model* model, void* arena{1}{2})", name,
                          separator, parameters));
  w.comment(fmt::format(
      "The same with layers cut into parts that the threads of a hook of\n"
      "qrt/parallel.h run; NULL: none. The results are the same for any number of\n"
      "threads. arena: {}_ARENA_BYTES_FOR(parallel->threads).",
      macro));
  w.statement(
      fmt::format("void {0}_run_parallel(const {0}_model* model, void* arena, "
                  "struct qrt_parallel* parallel{1}{2})",
                  name, separator, parameters));
  w.directive("ifdef " + macro + "_STATIC_ARENA");
  w.comment("The same in an arena that model.c owns; not for two threads at once.");
  w.statement(fmt::format("void {0}_run_static(const {0}_model* model{1}{2})", name,
                          separator, parameters));
  w.directive("endif");
  for (const PortCode& in : names.inputs) {
    if (in.affine == nullptr) continue;
    w.blank();
    w.comment(
        "Codes of real numbers: nearest, ties to even, clamped; NaN becomes real zero.");
    w.statement(fmt::format("void {}_quantize_input{}(const float* real, {}* codes)",
                            name, in.number, in.c_type));
  }
  for (const PortCode& out : names.outputs) {
    if (out.affine == nullptr) continue;
    w.blank();
    w.comment("Real numbers of codes.");
    w.statement(fmt::format("void {}_dequantize_output{}(const {}* codes, float* real)",
                            name, out.number, out.c_type));
  }
  w.blank();
  w.directive("ifdef __cplusplus");
  w.line("}");
  w.directive("endif");
  w.blank();
  w.directive("endif");
  return "/* SPDX-License-Identifier: MIT */\n" + w.text();
}

}  // namespace qopt::emit
