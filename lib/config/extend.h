// SPDX-License-Identifier: MIT
// Extension: one configuration said by its difference from another. Knows no keys but its
// own two.
#pragma once

#include <filesystem>
#include <string_view>

#include "lib/config/expand.h"
#include "lib/config/problems.h"
#include "lib/config/tree.h"

namespace qopt::config {

/// How many configurations may extend one another in a row.
inline constexpr int kMaxExtensions = 8;

/// The map that `text`, the contents of `file`, says, its environment expanded. Where it
/// has the key `extends`, the name of a configuration in the same folder, that one's map,
/// with each `a.b.c: VALUE` below `set` applied in order as `--set` would. Faults become
/// problems; throws ConfigError where a text is no YAML or no map.
Node read_tree(const std::filesystem::path& file, std::string_view text,
               const Environment& environment, Problems& problems);

}  // namespace qopt::config
