// SPDX-License-Identifier: MIT
#include "lib/config/expand.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdlib>
#include <vector>

#include "lib/core/names.h"

namespace qopt::config {
namespace {

bool is_name(std::string_view text) {
  if (text.empty() || (text[0] >= '0' && text[0] <= '9')) return false;
  for (const char c : text) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    if (!letter && !(c >= '0' && c <= '9')) return false;
  }
  return true;
}

/// One scalar, left to right; what was substituted is not expanded again.
std::string expand_text(const std::string& text, const std::string& where,
                        const Environment& environment, Problems& problems) {
  std::string out;
  std::size_t at = 0;
  while (at < text.size()) {
    if (text.compare(at, 3, "$${") == 0) {
      out += "${";
      at += 3;
      continue;
    }
    if (text.compare(at, 2, "${") != 0) {
      out += text[at++];
      continue;
    }
    const std::size_t end = text.find('}', at);
    if (end == std::string::npos) {
      problems.add(where, fmt::format("'${{' without '}}' in '{}'", printable(text)));
      return text;
    }
    const std::string body = text.substr(at + 2, end - at - 2);
    const std::size_t split = body.find(":-");
    const std::string name = body.substr(0, split);
    if (!is_name(name)) {
      problems.add(where, fmt::format("'{}' is no variable name", printable(name)));
      return text;
    }
    std::optional<std::string> value = environment(name);
    if (split != std::string::npos && (!value || value->empty()))
      value = body.substr(split + 2);
    if (!value) {
      problems.add(where,
                   fmt::format("environment variable '{}' is not set and '${{{}}}' has "
                               "no default (write ${{{}:-default}})",
                               name, name, name));
      return text;
    }
    out += *value;
    at = end + 1;
  }
  return out;
}

std::vector<std::string> split_path(std::string_view text) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == '.' || c == '[') {
      // "a[0]" and "a.0" are the same step
      if (!parts.back().empty()) parts.emplace_back();
    } else if (c != ']') {
      parts.back() += c;
    }
  }
  return parts;
}

void relabel(Node& node, const std::string& where) {
  node.where = where;
  for (Node& item : node.items) relabel(item, where);
  for (Node::Entry& entry : node.entries) {
    relabel(entry.key, where);
    relabel(entry.value, where);
  }
}

/// The child of `node` that a step names; made where missing. Null after a problem.
Node* descend(Node& node, const std::string& step, const std::string& where,
              Problems& problems) {
  if (node.kind == Node::Kind::Null) {
    node.kind = Node::Kind::Map;
    node.where = where;
  }
  if (node.kind == Node::Kind::Map) {
    if (Node* child = node.find(step)) return child;
    Node key;
    key.kind = Node::Kind::Plain;
    key.scalar = step;
    key.where = where;
    Node child;
    child.where = where;
    node.entries.push_back({std::move(key), std::move(child)});
    return &node.entries.back().value;
  }
  if (node.kind == Node::Kind::Sequence) {
    std::size_t index = 0;
    const char* end = step.data() + step.size();
    const auto parsed = std::from_chars(step.data(), end, index);
    if (parsed.ec == std::errc() && parsed.ptr == end) {
      if (index < node.items.size()) return &node.items[index];
      problems.add(where,
                   fmt::format("index {} of a list of {}", index, node.items.size()));
      return nullptr;
    }
    for (Node& item : node.items) {
      if (item.kind == Node::Kind::Plain && item.scalar == step) {
        Node map;  // `- ptq` is short for `- ptq: {}`
        map.kind = Node::Kind::Map;
        map.where = item.where;
        map.entries.push_back({item, Node{}});
        item = std::move(map);
      }
      if (item.kind == Node::Kind::Map && item.entries.size() == 1 && item.find(step)) {
        return item.find(step);
      }
    }
    problems.add(where, fmt::format("no item '{}' in the list", printable(step)));
    return nullptr;
  }
  problems.add(where, fmt::format("'{}' is below a plain value", printable(step)));
  return nullptr;
}

}  // namespace

std::optional<std::string> process_environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  if (value == nullptr) return std::nullopt;
  return std::string(value);
}

void expand_environment(Node& node, const Environment& environment, Problems& problems) {
  if (node.kind == Node::Kind::Plain) {
    node.scalar = expand_text(node.scalar, node.where, environment, problems);
  }
  for (Node& item : node.items) expand_environment(item, environment, problems);
  for (Node::Entry& entry : node.entries) {
    expand_environment(entry.value, environment, problems);
  }
}

void apply_override(Node& root, std::string_view assignment, Problems& problems) {
  const std::size_t equals = assignment.find('=');
  const std::string key(assignment.substr(0, equals));
  const std::string where = "--set " + printable(key);
  if (equals == std::string_view::npos || key.empty()) {
    problems.add("--set " + printable(assignment), "expected KEY=VALUE");
    return;
  }
  Node value;
  try {
    value = parse_yaml(assignment.substr(equals + 1), where);
  } catch (const ConfigError& e) {
    for (const Problem& problem : e.problems()) problems.add(where, problem.what);
    return;
  }
  assign(root, key, std::move(value), where, problems);
}

void assign(Node& root, const std::string& key, Node value, const std::string& where,
            Problems& problems) {
  const std::vector<std::string> steps = split_path(key);
  if (steps.size() > kMaxDepth) {
    problems.add(where, fmt::format("more than {} steps", kMaxDepth));
    return;
  }
  Node* at = &root;
  for (const std::string& step : steps) {
    if (step.empty()) {
      problems.add(where, "an empty step in the key");
      return;
    }
    at = descend(*at, step, where, problems);
    if (at == nullptr) return;
  }
  relabel(value, where);
  *at = std::move(value);
}

}  // namespace qopt::config
