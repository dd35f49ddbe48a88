// SPDX-License-Identifier: MIT
// The rules that hold at every level and those of Canonical and Encoded graphs; the
// Integer level's own are in verify_integer.cpp. docs/ir.md lists them all.
#include "lib/graph/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "lib/graph/shape.h"
#include "lib/graph/verify_rules.h"

namespace qopt {
namespace verify_rules {
namespace {

constexpr std::size_t kNone = static_cast<std::size_t>(-1);

/// Who makes and who uses each value, in one walk.
struct Links {
  std::vector<std::size_t> producer;   // node index or kNone
  std::vector<std::size_t> only_user;  // meaningful when uses == 1
  std::vector<std::size_t> uses;       // outputs not counted
  std::vector<bool> is_output;
};

Links links_of(const Graph& graph) {
  const std::size_t count = graph.values().size();
  Links links{std::vector(count, kNone), std::vector(count, kNone),
              std::vector<std::size_t>(count, 0), std::vector<bool>(count, false)};
  for (std::size_t i = 0; i < graph.nodes().size(); ++i) {
    links.producer[graph.nodes()[i].output.index] = i;
    for (ValueId id : graph.nodes()[i].inputs) {
      links.only_user[id.index] = i;
      ++links.uses[id.index];
    }
  }
  for (const Output& output : graph.outputs()) links.is_output[output.value.index] = true;
  return links;
}

/// Operators whose integer form ends in an accumulator, a requantiser and a clamp.
bool has_accumulator(const Op& op) {
  if (const auto* reduce = std::get_if<op::Reduce>(&op)) {
    return reduce->kind != ReduceKind::L2Norm;
  }
  return std::holds_alternative<op::Conv2d>(op) ||
         std::holds_alternative<op::ConvTranspose2d>(op) ||
         std::holds_alternative<op::Linear>(op) ||
         std::holds_alternative<op::MatMul>(op) ||
         std::holds_alternative<op::Binary>(op) ||
         std::holds_alternative<op::AvgPool2d>(op) ||
         std::holds_alternative<op::AdaptiveAvgPool2d>(op);
}

bool fused_into_clamp(const Graph& graph, const Links& links, std::size_t value) {
  if (links.is_output[value] || links.uses[value] != 1 ||
      links.producer[value] == kNone) {
    return false;
  }
  const Node& user = graph.nodes()[links.only_user[value]];
  return std::holds_alternative<op::Clamp>(user.op) &&
         has_accumulator(graph.nodes()[links.producer[value]].op);
}

std::string shown(const Value& value) { return type_text({value.dtype, value.shape}); }

/// Ids, names, order and outputs. False when ids are wild, so that no other rule may
/// look.
bool check_structure(const Graph& graph, Report& report) {
  const std::size_t count = graph.values().size();
  const auto exists = [&](ValueId id) { return id.index < count; };
  bool sound = true;
  for (const Node& node : graph.nodes()) {
    sound = sound && exists(node.output) && std::ranges::all_of(node.inputs, exists);
  }
  for (const Output& output : graph.outputs()) sound = sound && exists(output.value);
  if (!sound) {
    report.add("graph", "a node or output refers to a value that does not exist");
    return false;
  }

  std::set<std::string_view> names;
  for (const Value& value : graph.values()) {
    if (!names.insert(value.name).second)
      report.add(value.name, "two values of this name");
  }
  std::vector<bool> made(count, false);
  for (std::size_t i = 0; i < count; ++i)
    made[i] = graph.values()[i].constant.has_value();
  std::vector<bool> produced(count, false);
  for (const Node& node : graph.nodes()) {
    const std::string& name = graph.value(node.output).name;
    for (ValueId id : node.inputs) {
      if (!made[id.index]) {
        report.add(name,
                   fmt::format("uses '{}' before it is made", graph.value(id).name));
      }
    }
    if (produced[node.output.index]) report.add(name, "made by two nodes");
    if (graph.is_constant(node.output)) report.add(name, "a constant made by a node");
    produced[node.output.index] = made[node.output.index] = true;
  }
  for (std::size_t i = 0; i < count; ++i) {
    if (!made[i])
      report.add(graph.values()[i].name, "neither constant nor made by a node");
  }
  if (graph.outputs().empty()) report.add("graph", "has no output");
  return true;
}

void check_inputs(const Graph& graph, Report& report) {
  std::set<std::int64_t> seen;
  std::int64_t count = 0;
  for (const Node& node : graph.nodes()) {
    count += std::holds_alternative<op::Input>(node.op) ? 1 : 0;
  }
  for (const Node& node : graph.nodes()) {
    const auto* input = std::get_if<op::Input>(&node.op);
    if (input == nullptr) continue;
    const std::string& name = graph.value(node.output).name;
    if (!seen.insert(input->index).second) {
      report.add(name, fmt::format("second input number {}", input->index));
    } else if (input->index < 0 || input->index >= count) {
      report.add(name, fmt::format("input number {} of {}", input->index, count));
    }
  }
}

void check_values(const Graph& graph, Report& report) {
  for (const Value& value : graph.values()) {
    try {
      require_possible(value.shape);
    } catch (const Error& e) {
      report.add(value.name, e.message());
      continue;
    }
    if (value.constant &&
        (!value.constant->defined() || value.constant->dtype() != value.dtype ||
         value.constant->shape() != value.shape)) {
      report.add(
          value.name,
          fmt::format("declared {}, its bytes are {}", shown(value),
                      type_text({value.constant->dtype(), value.constant->shape()})));
    }
    if (value.encoding) {
      if (const auto fault = encoding_fault(*value.encoding, value.shape)) {
        report.add(value.name, "encoding: " + *fault);
      } else if (const LevelSet levels = std::get<Affine>(*value.encoding).levels;
                 !value.constant && !has_zero(levels)) {
        report.add(value.name, fmt::format("encoding: {} has no code for zero, so only "
                                           "constants may have it",
                                           level_set_name(levels)));
      }
    }
    if (value.layout.empty()) continue;
    Ints sorted = value.layout;
    std::ranges::sort(sorted);
    for (std::size_t i = 0; i < sorted.size(); ++i) {
      if (sorted.size() != value.shape.size() ||
          sorted[i] != static_cast<std::int64_t>(i)) {
        report.add(value.name, "layout is no permutation of its axes");
        break;
      }
    }
    if (graph.level() != Level::Integer) {
      report.add(value.name, "a layout below the integer level");
    }
  }
}

void check_types(const Graph& graph, Report& report) {
  std::vector<ValueType> types;
  for (const Node& node : graph.nodes()) {
    const Value& result = graph.value(node.output);
    if (std::holds_alternative<op::Input>(node.op)) {
      if (!node.inputs.empty()) report.add(result.name, "an input takes no operands");
      continue;
    }
    types.clear();
    for (ValueId id : node.inputs) {
      types.push_back({graph.value(id).dtype, graph.value(id).shape});
    }
    try {
      const ValueType type = infer(node.op, types, graph.level());
      // At the Integer level a clamp may lie inside 8 bits though the encoding has 16.
      const bool widened = graph.level() == Level::Integer && type.dtype == DType::I8 &&
                           result.dtype == DType::I16 && is_integer_op(node.op);
      if ((type.dtype != result.dtype && !widened) || type.shape != result.shape) {
        report.add(result.name, fmt::format("declared {}, {} gives {}", shown(result),
                                            op_name(node.op), type_text(type)));
      }
    } catch (const Error& e) {
      report.add(result.name, e.what());
    }
  }
}

void check_dead(const Graph& graph, const Links& links, Report& report) {
  for (std::size_t i = 0; i < graph.values().size(); ++i) {
    if (links.uses[i] > 0 || links.is_output[i]) continue;
    const std::size_t producer = links.producer[i];
    const bool is_input = producer != kNone &&
                          std::holds_alternative<op::Input>(graph.nodes()[producer].op);
    if (!is_input) report.add(graph.values()[i].name, "nobody uses it");
  }
}

void check_canonical_ops(const Graph& graph, Report& report) {
  for (const Node& node : graph.nodes()) {
    if (std::holds_alternative<op::Attention>(node.op) ||
        std::holds_alternative<op::PixelShuffle>(node.op) ||
        std::holds_alternative<op::BatchNorm>(node.op)) {
      report.add(graph.value(node.output).name,
                 fmt::format("{} must be gone after canonicalisation", op_name(node.op)));
    }
  }
}

/// The axis along which a constant operand may have one scale a channel; empty: none may.
std::optional<int> channel_axis(const Op& op, std::size_t operand, const Value& value) {
  if (operand != 1) return std::nullopt;
  if (std::holds_alternative<op::Conv2d>(op) || std::holds_alternative<op::Linear>(op)) {
    return 0;
  }
  if (std::holds_alternative<op::ConvTranspose2d>(op)) return 1;
  if (std::holds_alternative<op::MatMul>(op))
    return static_cast<int>(value.shape.size()) - 1;
  return std::nullopt;
}

/// True when a float constant in this position needs an encoding.
bool operand_needs_encoding(const Op& op, std::size_t operand) {
  if (std::holds_alternative<op::Conv2d>(op) || std::holds_alternative<op::Linear>(op) ||
      std::holds_alternative<op::ConvTranspose2d>(op)) {
    return operand == 1;
  }
  return std::holds_alternative<op::MatMul>(op) ||
         std::holds_alternative<op::Binary>(op) || keeps_encoding(op);
}

void check_operand_encodings(const Graph& graph, const Node& node, Report& report) {
  const Value& result = graph.value(node.output);
  for (std::size_t i = 0; i < node.inputs.size(); ++i) {
    const Value& operand = graph.value(node.inputs[i]);
    if (operand.constant && operand.dtype == DType::F32 &&
        operand_needs_encoding(node.op, i)) {
      if (!operand.encoding) {
        report.add(operand.name,
                   fmt::format("operand of '{}' needs an encoding", result.name));
      } else if (const auto& axis = std::get<Affine>(*operand.encoding).axis;
                 axis && axis != channel_axis(node.op, i, operand)) {
        report.add(operand.name,
                   fmt::format("operand of '{}' cannot have scales along axis {}",
                               result.name, *axis));
      }
    }
    // Lowering rescales an operand of a concat, so that one wide operand need not cost
    // the others their resolution.
    if (std::holds_alternative<op::Concat>(node.op) && !operand.constant) continue;
    if (keeps_encoding(node.op) && operand.encoding != result.encoding) {
      report.add(result.name, fmt::format("{} keeps codes, but its encoding differs from "
                                          "that of '{}'",
                                          op_name(node.op), operand.name));
    }
  }
}

void check_encoded(const Graph& graph, const Links& links, Report& report) {
  for (const Node& node : graph.nodes()) {
    const Value& result = graph.value(node.output);
    check_operand_encodings(graph, node, report);
    if (result.dtype == DType::F64) report.add(result.name, "must be f32, is f64");
    if (result.dtype != DType::F32) continue;
    if (!result.encoding) {
      if (!fused_into_clamp(graph, links, node.output.index)) {
        report.add(result.name, "needs an encoding");
      }
    } else if (std::get<Affine>(*result.encoding).axis) {
      report.add(result.name, "an activation cannot have one scale a channel");
    }
  }
}

}  // namespace
}  // namespace verify_rules

std::vector<Diagnostic> verify(const Graph& graph) {
  using namespace verify_rules;  // NOLINT(google-build-using-namespace): its public face
  Report report;
  if (!check_structure(graph, report)) return report.found;
  check_inputs(graph, report);
  check_values(graph, report);
  check_types(graph, report);
  const Links links = links_of(graph);
  switch (graph.level()) {
    case Level::Imported: break;
    case Level::Encoded: check_encoded(graph, links, report); [[fallthrough]];
    case Level::Canonical: check_canonical_ops(graph, report); [[fallthrough]];
    case Level::Integer: check_dead(graph, links, report);
  }
  if (graph.level() == Level::Integer) {
    check_integer(graph, report);
  } else {
    for (const Node& node : graph.nodes()) {
      if (!is_integer_op(node.op)) continue;
      report.add(graph.value(node.output).name,
                 fmt::format("{} belongs to the integer level", op_name(node.op)));
    }
  }
  return report.found;
}

void require_valid(const Graph& graph, std::string_view after) {
  const std::vector<Diagnostic> found = verify(graph);
  if (found.empty()) return;
  std::string text =
      fmt::format("invalid {} graph after {}", level_name(graph.level()), after);
  for (std::size_t i = 0; i < found.size() && i < 20; ++i) {
    text += fmt::format("\n  {}: {}", found[i].where, found[i].what);
  }
  if (found.size() > 20) text += fmt::format("\n  and {} more", found.size() - 20);
  throw InternalError(text);
}

bool is_fused_into_clamp(const Graph& graph, ValueId value) {
  graph.value(value);
  return verify_rules::fused_into_clamp(graph, verify_rules::links_of(graph),
                                        value.index);
}

bool keeps_encoding(const Op& op) {
  return std::holds_alternative<op::Reshape>(op) ||
         std::holds_alternative<op::Permute>(op) ||
         std::holds_alternative<op::Slice>(op) ||
         std::holds_alternative<op::Expand>(op) ||
         std::holds_alternative<op::Concat>(op) ||
         std::holds_alternative<op::MaxPool2d>(op) ||
         std::holds_alternative<op::Resize>(op) || std::holds_alternative<op::Pad>(op);
}

}  // namespace qopt
