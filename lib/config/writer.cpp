// SPDX-License-Identifier: MIT
#include "lib/config/writer.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "lib/config/units.h"

namespace qopt::config {
namespace {

bool is_plain(const std::string& text) {
  if (text.empty() || text == "~" || text == "null" || text == "true" ||
      text == "false") {
    return false;
  }
  const auto safe = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '_' || c == '.' || c == '/' || c == '-' || c == '+';
  };
  for (const char c : text) {
    if (!safe(c)) return false;
  }
  return text[0] != '-' && text[0] != '.' ? true : text.find('/') != std::string::npos;
}

class YamlWriter : public Fields {
 public:
  YamlWriter(std::string& out, YamlStyle style, const WrittenPaths& written, int depth,
             bool commented_out)
      : out_(out),
        style_(style),
        written_(written),
        depth_(depth),
        dead_(commented_out) {}

  void leaf(const Key& key, const Type& type, const std::optional<Scalar>& value,
            const std::function<void(const Scalar&)>&) override {
    if (!shown(key, value.has_value())) return;
    line(key, value ? one(type, *value) : fallback(key, type), !value, type);
  }

  void leaves(const Key& key, const Type& item, Count,
              const std::optional<std::vector<Scalar>>& values,
              const std::function<void(const std::vector<Scalar>&)>&) override {
    if (!shown(key, values.has_value())) return;
    std::vector<std::string> texts;
    if (values) {
      for (const Scalar& value : *values) texts.push_back(one(item, value));
    }
    line(key, values ? fmt::format("[{}]", fmt::join(texts, ", ")) : fallback(key, item),
         !values, item);
  }

  void block(const Key& key, bool present,
             const std::function<void(Fields&)>& body) override {
    if (!shown(key, present)) return;
    // What lies in an absent block cannot be described without making it: name the key
    // only.
    if (!present) {
      heading(key, true);
      return;
    }
    std::string inside;
    YamlWriter inner(inside, style_, written_, depth_ + 1, dead_);
    body(inner);
    if (inside.empty()) return;
    heading(key, false);
    out_ += inside;
  }

  void blocks(const Key& key, std::size_t size,
              const std::function<void(Fields&, std::size_t)>& body) override {
    if (!shown(key, size > 0)) return;
    heading(key, size == 0);
    for (std::size_t i = 0; i < size; ++i) {
      item([&](Fields& inner) { body(inner, i); });
    }
  }

  void steps(const Key& key, std::span<const StepField> rows) override {
    heading(key, false);
    for (const StepField& row : rows) {
      if (!row.present && style_ == YamlStyle::Commented) {
        // Its keys cannot be described without making it: name the step only.
        const std::string text = fmt::format("{}  # - {}:", indent(), row.key.name);
        out_ += fmt::format("{:<34}  # {} (docs/config.md)\n", text, row.key.help);
      }
      if (!row.present) continue;
      item([&](Fields& inner) { inner.block(row.key, true, row.body); });
    }
  }

 private:
  bool shown(const Key& key, bool present) const {
    return style_ == YamlStyle::Commented || (present && key.recorded);
  }

  std::string one(const Type& type, const Scalar& value) const {
    std::string text = scalar_text(type, value);
    if (type.kind == Kind::Path) {
      if (const auto found = written_.find(text); found != written_.end())
        text = found->second;
    }
    const bool texty = type.kind == Kind::Path || type.kind == Kind::Text;
    return texty ? yaml_scalar(text) : text;
  }

  std::string fallback(const Key& key, const Type& type) const {
    if (!key.example.empty()) return std::string(key.example);
    return type.kind == Kind::Choice ? type.choices.front() : "";
  }

  void line(const Key& key, const std::string& value, bool absent, const Type& type) {
    const bool dead = dead_ || (absent && !key.required);
    std::string text = fmt::format("{}{}{}:{}{}", indent(), dead ? "# " : "", key.name,
                                   value.empty() ? "" : " ", value);
    if (style_ == YamlStyle::Commented) {
      const bool listed = type.kind == Kind::Choice || !type.allowed.empty();
      text += fmt::format("{:<{}}  # {}{}", "", text.size() < 34 ? 34 - text.size() : 0,
                          key.help, listed ? ": " + type_text(type) : "");
    }
    out_ += text + '\n';
  }

  void heading(const Key& key, bool dead) {
    std::string text =
        fmt::format("{}{}{}:", indent(), dead || dead_ ? "# " : "", key.name);
    if (style_ == YamlStyle::Commented) {
      text += fmt::format("{:<{}}  # {}", "", text.size() < 34 ? 34 - text.size() : 0,
                          key.help);
    }
    out_ += text + '\n';
  }

  /// One list item: the body's first line starts with the dash.
  void item(const std::function<void(Fields&)>& body) {
    std::string inside;
    YamlWriter inner(inside, style_, written_, depth_ + 2, dead_);
    body(inner);
    const std::size_t at = static_cast<std::size_t>(depth_ + 1) * 2;
    if (inside.size() > at) inside[at] = '-';
    out_ += inside;
  }

  std::string indent() const {
    return std::string(static_cast<std::size_t>(depth_) * 2, ' ');
  }

  std::string& out_;
  YamlStyle style_;
  const WrittenPaths& written_;
  int depth_;
  bool dead_;
};

/// Collects one table a map, parents before children.
class ReferenceWriter : public Fields {
 public:
  struct Table {
    std::string title, help, rows;
  };
  ReferenceWriter(std::vector<Table>& tables, std::string path, std::string help)
      : tables_(tables), path_(std::move(path)), at_(tables.size()) {
    tables_.push_back({path_, std::move(help), ""});
  }

  void leaf(const Key& key, const Type& type, const std::optional<Scalar>& value,
            const std::function<void(const Scalar&)>&) override {
    row(key, type_text(type), value ? scalar_text(type, *value) : "");
  }
  void leaves(const Key& key, const Type& item, Count,
              const std::optional<std::vector<Scalar>>& values,
              const std::function<void(const std::vector<Scalar>&)>&) override {
    std::vector<std::string> texts;
    if (values) {
      for (const Scalar& value : *values) texts.push_back(scalar_text(item, value));
    }
    row(key, "list: " + type_text(item),
        values ? fmt::format("[{}]", fmt::join(texts, ", ")) : "");
  }
  void block(const Key& key, bool, const std::function<void(Fields&)>& body) override {
    row(key, "map", "");
    ReferenceWriter inner(tables_, sub(key.name), std::string(key.help));
    body(inner);
  }
  void blocks(const Key& key, std::size_t size,
              const std::function<void(Fields&, std::size_t)>& body) override {
    row(key, "list of maps", "");
    ReferenceWriter inner(tables_, sub(key.name) + "[]", std::string(key.help));
    body(inner, size);
  }
  void steps(const Key& key, std::span<const StepField> rows) override {
    row(key, "list of steps", "");
    for (const StepField& step : rows) {
      ReferenceWriter inner(tables_, fmt::format("{}.{}", sub(key.name), step.key.name),
                            std::string(step.key.help));
      step.body(inner);
    }
  }

 private:
  std::string sub(std::string_view name) const {
    return path_.empty() ? std::string(name) : fmt::format("{}.{}", path_, name);
  }
  void row(const Key& key, const std::string& type, const std::string& value) {
    tables_[at_].rows += fmt::format("| `{}` | {} | {} | {} |\n", key.name, type,
                                     key.required    ? "required"
                                     : value.empty() ? "none"
                                                     : "`" + value + "`",
                                     key.help);
  }

  std::vector<Table>& tables_;
  std::string path_;
  std::size_t at_;
};

}  // namespace

std::string yaml_scalar(const std::string& text) {
  if (is_plain(text) && !parse_real(text)) return text;
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '{' && out.back() == '$') {
      out.insert(out.size() - 1, 1, '$');  // a literal ${ is written $${
      out += c;
    } else if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte == 0x7F) {
      out += fmt::format("\\x{:02X}", byte);
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string write_yaml(const std::function<void(Fields&)>& describe, YamlStyle style,
                       const WrittenPaths& written) {
  std::string out;
  YamlWriter writer(out, style, written, 0, false);
  describe(writer);
  return out;
}

std::string write_reference(const std::function<void(Fields&)>& describe) {
  std::vector<ReferenceWriter::Table> tables;
  ReferenceWriter root(tables, "", "");
  describe(root);
  std::string out;
  for (const ReferenceWriter::Table& table : tables) {
    out += fmt::format(
        "## {}\n\n{}| Key | Type | Default | Meaning |\n|---|---|---|---|\n{}\n",
        table.title.empty() ? "Top level" : "`" + table.title + "`",
        table.help.empty() ? "" : table.help + ".\n\n", table.rows);
  }
  return out;
}

}  // namespace qopt::config
