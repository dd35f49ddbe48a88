// SPDX-License-Identifier: MIT
// Tree: YAML as plain nodes with positions, read under limits so that hostile text can
// neither exhaust the stack nor memory. Knows no keys and no types.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace qopt::config {

/// Limits on untrusted YAML. Ours are far above any real configuration.
inline constexpr std::size_t kMaxTextBytes = 1 << 20;
inline constexpr std::size_t kMaxDepth = 64;  // yaml-cpp and we recurse once a level
inline constexpr std::size_t kMaxNodes =
    100'000;  // aliases count as often as they are used

struct Node {
  enum class Kind { Null, Plain, Sequence, Map };
  struct Entry;

  Kind kind = Kind::Null;
  std::string scalar;          // Plain: the text
  std::string where;           // file:line:col, or "--set KEY"
  std::vector<Node> items;     // Sequence
  std::vector<Entry> entries;  // Map; keys differ

  const Node* find(std::string_view key) const;
  Node* find(std::string_view key);
};

struct Node::Entry {
  Node key, value;  // the key is Plain
};

/// Parses one YAML document. `file` names it in positions. Throws ConfigError for text
/// that is no YAML, for duplicate keys (all of them), for more than one document and
/// beyond the limits.
Node parse_yaml(std::string_view text, std::string_view file);

}  // namespace qopt::config
