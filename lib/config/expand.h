// SPDX-License-Identifier: MIT
// Expansion of ${NAME} and ${NAME:-default} in scalars, and `--set` overrides: what
// happens to the tree before any key is read.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "lib/config/problems.h"
#include "lib/config/tree.h"

namespace qopt::config {

/// Looks a variable up; empty where it is not set.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;
/// The environment of this process.
std::optional<std::string> process_environment(const std::string& name);

/// Replaces ${NAME} and ${NAME:-default} (default also where NAME is empty) in every
/// scalar of the tree; `$${` gives a literal `${`. An unset name without a default is a
/// problem.
void expand_environment(Node& node, const Environment& environment, Problems& problems);

/// Applies one `a.b.c=VALUE`. VALUE is YAML (so `[1, 2]` is a list). Steps on the way are
/// made where missing; in a list a step is an index, or the key of the one-key item
/// (`passes.ptq.`).
void apply_override(Node& root, std::string_view assignment, Problems& problems);

/// The same for a VALUE that is read already; `where` is its place.
void assign(Node& root, const std::string& key, Node value, const std::string& where,
            Problems& problems);

}  // namespace qopt::config
