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

/// The same rewrites, but a batch norm behind a layer stays a node of its own, so that
/// training can normalise with the batch's statistics. The result is still
/// Level::Imported (Canonical has no batch norm) and computes the same; its values carry
/// the names they have in the Canonical graph.
Graph canonicalize_for_training(Graph imported);

}  // namespace qopt
