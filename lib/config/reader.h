// SPDX-License-Identifier: MIT
// Reader: fills structs from a tree by their description. Gathers every fault with its
// place; unknown keys are faults. After reading nobody sees YAML.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>

#include "lib/config/expand.h"
#include "lib/config/fields.h"
#include "lib/config/problems.h"
#include "lib/config/tree.h"

namespace qopt::config {

/// Paths as they were written (after expansion), by what they were resolved to. Dumps use
/// it, so that an artefact does not depend on where its sources lie.
using WrittenPaths = std::map<std::string, std::string>;

struct Source {
  std::filesystem::path file;  // named in positions; its folder anchors paths
  std::string text;
  std::vector<std::string> overrides;  // "a.b=c", applied in order
  Environment environment = process_environment;
};

/// Parses, expands, extends, overrides, then reads `describe`. Throws ConfigError with
/// everything found.
WrittenPaths read(const Source& source, const std::function<void(Fields&)>& describe);

/// One map of the tree. `read` makes the outermost.
class Reader : public Fields {
 public:
  struct Context {
    Problems& problems;
    std::filesystem::path base;  // relative paths start here
    WrittenPaths& written;
  };
  Reader(const Node& map, std::string path, Context& context)
      : map_(map), path_(std::move(path)), context_(context) {}

  void leaf(const Key& key, const Type& type, const std::optional<Scalar>& value,
            const std::function<void(const Scalar&)>& set) override;
  void leaves(const Key& key, const Type& item, Count count,
              const std::optional<std::vector<Scalar>>& values,
              const std::function<void(const std::vector<Scalar>&)>& set) override;
  void block(const Key& key, bool present,
             const std::function<void(Fields&)>& body) override;
  void blocks(const Key& key, std::size_t size,
              const std::function<void(Fields&, std::size_t)>& body) override;
  void steps(const Key& key, std::span<const StepField> rows) override;

  std::string where() const override { return map_.where; }
  std::string where(std::string_view name) const override;
  void refuse(std::string_view name, std::string what) override;

  /// Reports the keys that nobody described.
  void finish();

 private:
  const Node* given(const Key& key);
  std::string full_name(std::string_view name) const;
  std::optional<Scalar> convert(const Node& node, const std::string& name,
                                const Type& type);
  void nested(const Node& node, const std::string& name,
              const std::function<void(Fields&)>& body);

  const Node& map_;
  std::string path_;
  Context& context_;
  std::set<std::string> known_;
};

}  // namespace qopt::config
