// SPDX-License-Identifier: MIT
#include "lib/config/extend.h"

#include <fmt/format.h>

#include "lib/core/error.h"
#include "lib/core/files.h"
#include "lib/core/names.h"

namespace qopt::config {
namespace {

Node own_map(const std::filesystem::path& file, std::string_view text,
             const Environment& environment, Problems& problems) {
  Node root = parse_yaml(text, file.string());
  if (root.kind == Node::Kind::Null) {
    root.kind = Node::Kind::Map;
    root.where = file.string() + ":1:1";
  }
  if (root.kind != Node::Kind::Map) {
    problems.add(root.where, "a configuration is a map of keys (`version: 1` ...)");
    problems.throw_if_any();
  }
  expand_environment(root, environment, problems);
  return root;
}

/// A name in the same folder: paths then mean the same in both files.
bool is_plain_name(const Node& node) {
  const std::string& name = node.scalar;
  return node.kind == Node::Kind::Plain && !name.empty() && name != "." && name != ".." &&
         name.find_first_of(std::string_view("/\\\0", 3)) == std::string::npos;
}

void apply_differences(const Node& own, Node& base, Problems& problems) {
  for (const Node::Entry& entry : own.entries) {
    const std::string& key = entry.key.scalar;
    if (key == "version") {
      assign(base, key, entry.value, entry.key.where, problems);
    } else if (key == "set" && entry.value.kind == Node::Kind::Map) {
      for (const Node::Entry& one : entry.value.entries) {
        assign(base, one.key.scalar, one.value, one.key.where, problems);
      }
    } else if (key == "set") {
      problems.add(entry.value.where, "'set' must be a map of `a.b.c: VALUE`");
    } else if (key != "extends") {
      problems.add(entry.key.where,
                   fmt::format("'{}' stands beside 'extends'; differences belong below "
                               "'set', as `a.b.c: VALUE`",
                               printable(key)));
    }
  }
}

Node read_tree(const std::filesystem::path& file, std::string_view text,
               const Environment& environment, Problems& problems, int extensions) {
  Node own = own_map(file, text, environment, problems);
  const Node* extends = own.find("extends");
  if (extends == nullptr) return own;
  const auto refuse = [&](std::string what) {
    problems.add(extends->where, std::move(what));
    problems.throw_if_any();
  };
  if (!is_plain_name(*extends)) {
    refuse("'extends' must be the name of a configuration in the same folder");
  }
  if (extensions >= kMaxExtensions) {
    refuse(fmt::format("more than {} configurations extend one another", kMaxExtensions));
  }
  const std::filesystem::path other = file.parent_path() / extends->scalar;
  std::string inherited;
  try {
    inherited = read_file(other, kMaxTextBytes);
  } catch (const Error& e) {
    refuse(fmt::format("'extends': {}: {}", printable(other.string()), e.message()));
  }
  Node base = read_tree(other, inherited, environment, problems, extensions + 1);
  apply_differences(own, base, problems);
  return base;
}

}  // namespace

Node read_tree(const std::filesystem::path& file, std::string_view text,
               const Environment& environment, Problems& problems) {
  return read_tree(file, text, environment, problems, 0);
}

}  // namespace qopt::config
