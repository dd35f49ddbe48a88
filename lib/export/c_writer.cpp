// SPDX-License-Identifier: MIT
// The text of CWriter: two-space indents, lines of at most 90 columns.
#include "lib/export/c_writer.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "lib/core/error.h"
#include "lib/core/names.h"

namespace qopt::emit {
namespace {
constexpr std::size_t kColumns = 90;
}

std::string c_integer(std::int64_t value) {
  // The magnitude of a type's minimum is no literal of that type.
  if (value == std::numeric_limits<std::int32_t>::min()) return "(-2147483647 - 1)";
  if (value == std::numeric_limits<std::int64_t>::min()) {
    return "(-INT64_C(9223372036854775807) - 1)";
  }
  if (value > std::numeric_limits<std::int32_t>::max() ||
      value < std::numeric_limits<std::int32_t>::min()) {
    return value < 0 ? fmt::format("(-INT64_C({}))", -value)
                     : fmt::format("INT64_C({})", value);
  }
  return fmt::format("{}", value);
}

std::string c_float(float value) {
  QOPT_CHECK(std::isfinite(value), "float literal {}", value);
  std::string text = fmt::format("{}", value);  // the shortest that reads back the same
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text + "f";
}

std::string c_string(std::string_view bytes) {
  std::string text = "\"";
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    // '?' could start a trigraph; three octal digits cannot swallow what follows.
    const bool plain = byte >= 0x20 && byte < 0x7F && c != '"' && c != '\\' && c != '?';
    text += plain ? std::string(1, c) : fmt::format("\\{:03o}", byte);
  }
  return text + "\"";
}

void CWriter::line(std::string_view text) {
  if (!text.empty()) text_.append(static_cast<std::size_t>(depth_) * 2, ' ');
  text_ += text;
  text_ += '\n';
}

void CWriter::blank() {
  if (!text_.empty() && !text_.ends_with("\n\n") && !text_.ends_with("{\n"))
    text_ += '\n';
}

void CWriter::comment(std::string_view text) {
  std::string body;
  bool first = true;
  while (true) {
    const std::size_t end = text.find('\n');
    body += (first ? "/* " : " * ") + c_comment(text.substr(0, end));
    if (end == std::string_view::npos) break;
    line(body);
    body.clear();
    text.remove_prefix(end + 1);
    first = false;
  }
  line(body + " */");
}

void CWriter::include_system(std::string_view header) {
  line(fmt::format("#include <{}>", header));
}
void CWriter::include_local(std::string_view header) {
  line(fmt::format("#include \"{}\"", header));
}
void CWriter::define(std::string_view name, std::string_view value) {
  line(value.empty() ? fmt::format("#define {}", name)
                     : fmt::format("#define {} {}", name, value));
}
void CWriter::directive(std::string_view text) {
  text_ += '#';
  text_ += text;
  text_ += '\n';
}

CWriter::Block CWriter::block(std::string_view head, std::string tail) {
  line(head.empty() ? "{" : fmt::format("{} {{", head));
  ++depth_;
  return Block(*this, std::move(tail));
}

void CWriter::close(std::string_view tail) {
  --depth_;
  line(tail);
}

void CWriter::statement(std::string_view text) { line(fmt::format("{};", text)); }

void CWriter::list(std::string_view open, const std::vector<std::string>& items,
                   std::string_view close_text) {
  const std::size_t indent = static_cast<std::size_t>(depth_) * 2;
  std::string row(open);
  for (std::size_t i = 0; i < items.size(); ++i) {
    const std::string item =
        items[i] + (i + 1 < items.size() ? "," : std::string(close_text));
    const bool glued = row.empty() || row.ends_with('(') || row.ends_with('{');
    if (indent + row.size() + (glued ? 0 : 1) + item.size() > kColumns && !row.empty()) {
      line(row);
      row = "    " + item;
    } else {
      row += (glued ? "" : " ") + item;
    }
  }
  if (items.empty()) row += close_text;
  line(row);
}

void CWriter::call(std::string_view function, const std::vector<std::string>& arguments) {
  list(fmt::format("{}(", function), arguments, ");");
}

void CWriter::array(std::string_view type, std::string_view name,
                    std::span<const std::int64_t> values) {
  QOPT_CHECK(!values.empty(), "C has no empty array ('{}')", name);
  std::vector<std::string> items;
  items.reserve(values.size());
  for (const std::int64_t value : values) items.push_back(c_integer(value));
  list(fmt::format("static const {} {}[{}] = {{", type, name, values.size()), items,
       "};");
}

void CWriter::constant(std::string_view type, std::string_view name,
                       std::span<const Field> fields) {
  std::vector<std::string> items;
  items.reserve(fields.size());
  for (const Field& field : fields)
    items.push_back(fmt::format(".{} = {}", field.name, field.value));
  list(fmt::format("static const {} {} = {{", type, name), items, "};");
}

}  // namespace qopt::emit
