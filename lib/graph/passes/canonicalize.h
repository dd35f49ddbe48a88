// SPDX-License-Identifier: MIT
// Canonicalisation: the fixed list of rewrites that takes an Imported graph to Canonical,
// each keeping its float meaning. Pure graph-to-graph; runs nothing.
#pragma once

#include <span>
#include <string_view>

#include "lib/graph/graph.h"

namespace qopt {

/// One rewrite; `run` returns true when it changed the graph.
struct GraphPass {
  std::string_view name, summary;
  bool (*run)(Graph&);
};

/// The passes in the order in which they run.
std::span<const GraphPass> canonical_passes();

/// Runs all passes, verifying after each, and sets Level::Canonical.
Graph canonicalize(Graph imported);

}  // namespace qopt
