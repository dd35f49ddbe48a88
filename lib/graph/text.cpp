// SPDX-License-Identifier: MIT
// Printing of graphs. The grammar is in docs/ir.md; text_parse.cpp reads it back.
#include "lib/graph/text.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "lib/graph/shape.h"

namespace qopt {
namespace {

bool is_bare(std::string_view name) {
  return !name.empty() && std::ranges::all_of(name, [](unsigned char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           c == '_' || c == '.';
  });
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (unsigned char c : text) {
    if (c == '"' || c == '\\') {
      out += {'\\', static_cast<char>(c)};
    } else if (c < 0x20 || c > 0x7E) {
      out += fmt::format("\\x{:02X}", c);
    } else {
      out += static_cast<char>(c);
    }
  }
  return out + '"';
}

std::string name_text(std::string_view name) {
  return is_bare(name) ? std::string(name) : quoted(name);
}

/// Collects (name, text) of every attribute.
struct AttributeTexts {
  std::vector<std::pair<std::string_view, std::string>> rows;

  template <class T>
  void operator()(std::string_view name, const T& field) {
    rows.emplace_back(name, text(field));
  }

  static std::string text(std::int64_t x) { return fmt::format("{}", x); }
  static std::string text(double x) { return fmt::format("{}", x); }
  static std::string text(bool x) { return x ? "true" : "false"; }
  static std::string text(UnaryKind kind) { return std::string(unary_name(kind)); }
  static std::string text(BinaryKind kind) { return std::string(binary_name(kind)); }
  static std::string text(ReduceKind kind) { return std::string(reduce_name(kind)); }
  static std::string text(ResizeMode mode) { return std::string(resize_name(mode)); }
  template <class T>
  static std::string text(const std::vector<T>& xs) {
    return fmt::format("[{}]", fmt::join(xs, ","));
  }
  template <class T, std::size_t N>
  static std::string text(const std::array<T, N>& xs) {
    return fmt::format("[{}]", fmt::join(xs, ","));
  }
};

/// "pads=[1,1,1,1], groups=8": attributes that differ from their default.
std::string attributes_text(const Op& op) {
  AttributeTexts actual, defaults;
  std::visit(
      [&](auto o) {
        decltype(o) plain{};
        o.describe(actual);
        plain.describe(defaults);
      },
      op);
  std::string out;
  for (std::size_t i = 0; i < actual.rows.size(); ++i) {
    if (actual.rows[i] == defaults.rows[i]) continue;
    out += fmt::format("{}{}={}", out.empty() ? "" : ", ", actual.rows[i].first,
                       actual.rows[i].second);
  }
  return out;
}

std::string encoding_text(const Affine& e) {
  std::string out = fmt::format("{{{}{}", level_set_name(e.levels), e.bits);
  if (e.axis) out += fmt::format(" axis {}", *e.axis);
  out += fmt::format(" scale [{}]", fmt::join(e.scale, ","));
  const bool all_zero = std::ranges::all_of(e.zero_point, [](auto z) { return z == 0; });
  if (!all_zero || e.zero_point.size() != e.scale.size()) {
    out += fmt::format(" zero [{}]", fmt::join(e.zero_point, ","));
  }
  return out + "}";
}

/// " : f32[1,8,28,28] {s8 scale [0.1]} layout [0,2,3,1]"
std::string type_and_encoding(const Value& value) {
  std::string out = " : " + type_text({value.dtype, value.shape});
  if (value.encoding) {
    out += " " +
           std::visit([](const Affine& e) { return encoding_text(e); }, *value.encoding);
  }
  if (!value.layout.empty()) {
    out += fmt::format(" layout [{}]", fmt::join(value.layout, ","));
  }
  return out;
}

std::string reference(const Value& value) {
  return (value.constant ? "#" : "") + name_text(value.name);
}

}  // namespace

std::string print(const Graph& graph) {
  std::string out = fmt::format("graph {}\n", level_name(graph.level()));
  for (const Value& value : graph.values()) {
    if (value.constant) {
      out += fmt::format("  {}{}\n", reference(value), type_and_encoding(value));
    }
  }
  for (const Node& node : graph.nodes()) {
    const Value& result = graph.value(node.output);
    std::vector<std::string> inputs;
    for (ValueId id : node.inputs) inputs.push_back(reference(graph.value(id)));
    const std::string attributes = attributes_text(node.op);
    const bool both = !inputs.empty() && !attributes.empty();
    out += fmt::format("  {}{} = {}({}{}{})", name_text(result.name),
                       type_and_encoding(result), op_name(node.op),
                       fmt::join(inputs, ", "), both ? "; " : "", attributes);
    if (!node.source.empty()) out += " @ " + quoted(node.source);
    out += '\n';
  }
  for (const Output& output : graph.outputs()) {
    out += fmt::format("  -> {} = {}\n", name_text(output.name),
                       reference(graph.value(output.value)));
  }
  return out;
}

Constants constants_of(const Graph& graph) {
  Constants constants;
  for (const Value& value : graph.values()) {
    if (value.constant) constants.emplace(value.name, *value.constant);
  }
  return constants;
}

}  // namespace qopt
