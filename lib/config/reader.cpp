// SPDX-License-Identifier: MIT
#include "lib/config/reader.h"

#include <fmt/format.h>

#include <algorithm>

#include "lib/config/extend.h"
#include "lib/config/units.h"
#include "lib/core/names.h"

namespace qopt::config {
namespace {

std::string_view kind_text(Node::Kind kind) {
  switch (kind) {
    case Node::Kind::Null: return "nothing";
    case Node::Kind::Plain: return "a plain value";
    case Node::Kind::Sequence: return "a list";
    case Node::Kind::Map: return "a map";
  }
  throw InternalError("unknown kind of node");
}

/// "; did you mean 'x'?" or a list of what there is.
std::string suggestion(std::string_view wrong, const std::set<std::string>& known) {
  const std::string near = nearest(wrong, known);
  return near.empty() ? "" : fmt::format("; did you mean '{}'?", near);
}

bool inside(const Type& type, double value) {
  return value >= type.lo && value <= type.hi;
}

}  // namespace

std::string Reader::full_name(std::string_view name) const {
  return path_.empty() ? std::string(name) : fmt::format("{}.{}", path_, name);
}

const Node* Reader::given(const Key& key) {
  known_.insert(std::string(key.name));
  const Node* node = map_.find(key.name);
  if (node == nullptr && key.required) {
    context_.problems.add(
        map_.where, fmt::format("'{}' is missing ({})", full_name(key.name), key.help));
  }
  return node;
}

std::string Reader::where(std::string_view name) const {
  const Node* node = map_.find(name);
  return node == nullptr ? map_.where : node->where;
}

void Reader::refuse(std::string_view name, std::string what) {
  context_.problems.add(where(name), std::move(what));
}

/// The scalar as `type` wants it; a fault is reported and gives nothing.
std::optional<Scalar> Reader::convert(const Node& node, const std::string& name,
                                      const Type& type) {
  const auto expected = [&](std::string got) {
    context_.problems.add(
        node.where, fmt::format("'{}' must be {}, not {}", name, type_text(type), got));
    return std::nullopt;
  };
  if (node.kind == Node::Kind::Null) {
    context_.problems.add(node.where, fmt::format("'{}' has no value; it must be {}",
                                                  name, type_text(type)));
    return std::nullopt;
  }
  if (node.kind != Node::Kind::Plain) return expected(std::string(kind_text(node.kind)));
  const std::string shown = fmt::format("'{}'", printable(node.scalar));
  switch (type.kind) {
    case Kind::Bool: {
      const std::optional<bool> value = parse_bool(node.scalar);
      return value ? std::optional<Scalar>(*value) : expected(shown);
    }
    case Kind::Integer: {
      const std::optional<std::int64_t> value = parse_integer(node.scalar);
      if (!value || !inside(type, static_cast<double>(*value))) return expected(shown);
      if (!type.allowed.empty() && std::ranges::count(type.allowed, *value) == 0) {
        return expected(shown);
      }
      return Scalar(*value);
    }
    case Kind::Real: {
      const std::optional<double> value = parse_real(node.scalar);
      return value && inside(type, *value) ? std::optional<Scalar>(*value)
                                           : expected(shown);
    }
    case Kind::Size: {
      const std::optional<std::int64_t> value = parse_size(node.scalar);
      return value ? std::optional<Scalar>(*value) : expected(shown);
    }
    case Kind::Choice: {
      if (std::ranges::count(type.choices, node.scalar) > 0) return Scalar(node.scalar);
      const std::set<std::string> names(type.choices.begin(), type.choices.end());
      return expected(shown + suggestion(node.scalar, names));
    }
    case Kind::Text: return Scalar(node.scalar);
    case Kind::Path: {
      if (node.scalar.empty()) return expected("empty");
      if (node.scalar.find('\0') != std::string::npos) return expected(shown);
      const std::filesystem::path as_written(node.scalar);
      const std::string resolved =
          (as_written.is_absolute() ? as_written : context_.base / as_written)
              .lexically_normal()
              .string();
      context_.written[resolved] = node.scalar;
      return Scalar(resolved);
    }
  }
  throw InternalError("unknown kind of key");
}

void Reader::leaf(const Key& key, const Type& type, const std::optional<Scalar>&,
                  const std::function<void(const Scalar&)>& set) {
  const Node* node = given(key);
  if (node == nullptr) return;
  if (const std::optional<Scalar> value = convert(*node, full_name(key.name), type))
    set(*value);
}

void Reader::leaves(const Key& key, const Type& item, Count count,
                    const std::optional<std::vector<Scalar>>&,
                    const std::function<void(const std::vector<Scalar>&)>& set) {
  const Node* node = given(key);
  if (node == nullptr) return;
  const std::string name = full_name(key.name);
  std::vector<Scalar> values;
  if (node->kind == Node::Kind::Sequence) {
    bool good = true;
    for (std::size_t i = 0; i < node->items.size(); ++i) {
      const auto value = convert(node->items[i], fmt::format("{}[{}]", name, i), item);
      if (value) values.push_back(*value);
      good = good && value;
    }
    if (!good) return;
  } else if (const auto value = convert(*node, name, item)) {
    values.push_back(*value);  // a list of one may leave out the brackets
  } else {
    return;
  }
  if (values.size() < count.lo || values.size() > count.hi) {
    const std::string wanted = count.lo == count.hi ? fmt::format("{}", count.lo)
                               : values.size() < count.lo
                                   ? fmt::format("at least {}", count.lo)
                                   : fmt::format("at most {}", count.hi);
    context_.problems.add(node->where, fmt::format("'{}' has {} entries; it must have {}",
                                                   name, values.size(), wanted));
    return;
  }
  set(values);
}

void Reader::nested(const Node& node, const std::string& name,
                    const std::function<void(Fields&)>& body) {
  if (node.kind != Node::Kind::Map) {
    context_.problems.add(node.where, fmt::format("'{}' must be a map of keys, not {}",
                                                  name, kind_text(node.kind)));
    return;
  }
  Reader inner(node, name, context_);
  body(inner);
  inner.finish();
}

void Reader::block(const Key& key, bool, const std::function<void(Fields&)>& body) {
  if (const Node* node = given(key)) nested(*node, full_name(key.name), body);
}

void Reader::blocks(const Key& key, std::size_t size,
                    const std::function<void(Fields&, std::size_t)>& body) {
  const Node* node = given(key);
  if (node == nullptr) return;
  const std::string name = full_name(key.name);
  if (node->kind != Node::Kind::Sequence) {
    context_.problems.add(node->where,
                          fmt::format("'{}' must be a list ('- ...'), not {}", name,
                                      kind_text(node->kind)));
    return;
  }
  if (node->items.empty() && key.required) {
    context_.problems.add(node->where, fmt::format("'{}' is an empty list", name));
  }
  for (std::size_t i = 0; i < node->items.size(); ++i) {
    nested(node->items[i], fmt::format("{}[{}]", name, i),
           [&](Fields& inner) { body(inner, size++); });
  }
}

void Reader::steps(const Key& key, std::span<const StepField> rows) {
  const Node* node = given(key);
  if (node == nullptr) return;
  const std::string name = full_name(key.name);
  if (node->kind != Node::Kind::Sequence) {
    context_.problems.add(node->where,
                          fmt::format("'{}' must be a list ('- ...'), not {}", name,
                                      kind_text(node->kind)));
    return;
  }
  std::set<std::string> names;
  for (const StepField& row : rows) names.emplace(row.key.name);
  std::map<std::string, std::string> seen;  // step -> where
  for (const Node& item : node->items) {
    Node empty;
    empty.kind = Node::Kind::Map;
    empty.where = item.where;
    const Node* body = &empty;
    std::string step;
    if (item.kind == Node::Kind::Plain) {
      step = item.scalar;
    } else if (item.kind == Node::Kind::Map && item.entries.size() == 1) {
      step = item.entries[0].key.scalar;
      if (item.entries[0].value.kind != Node::Kind::Null) body = &item.entries[0].value;
    } else {
      context_.problems.add(item.where,
                            fmt::format("an item of '{}' must be a name, or one "
                                        "name with its keys below it",
                                        name));
      continue;
    }
    const auto row =
        std::ranges::find(rows, step, [](const StepField& r) { return r.key.name; });
    if (row == rows.end()) {
      context_.problems.add(
          item.where, fmt::format("unknown step '{}' in '{}'{}", printable(step), name,
                                  suggestion(step, names)));
    } else if (const auto first = seen.find(step); first != seen.end()) {
      context_.problems.add(
          item.where,
          fmt::format("step '{}' appears twice (first at {})", step, first->second));
    } else {
      seen.emplace(step, item.where);
      nested(*body, fmt::format("{}.{}", name, step), row->body);
    }
  }
}

void Reader::finish() {
  for (const Node::Entry& entry : map_.entries) {
    const std::string& key = entry.key.scalar;
    if (known_.count(key) > 0) continue;
    context_.problems.add(entry.key.where,
                          fmt::format("unknown key '{}'{}{}", printable(key),
                                      path_.empty() ? "" : fmt::format(" in '{}'", path_),
                                      suggestion(key, known_)));
  }
}

WrittenPaths read(const Source& source, const std::function<void(Fields&)>& describe) {
  Problems problems;
  Node root = read_tree(source.file, source.text, source.environment, problems);
  for (const std::string& assignment : source.overrides) {
    apply_override(root, assignment, problems);
  }
  WrittenPaths written;
  Reader::Context context{problems, source.file.parent_path(), written};
  Reader reader(root, "", context);
  describe(reader);
  reader.finish();
  problems.throw_if_any();
  return written;
}

}  // namespace qopt::config
