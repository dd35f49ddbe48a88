// SPDX-License-Identifier: MIT
// The export room's front door: from an Integer graph to the complete artifact, and the
// order in which its parts are made.
#pragma once

#include <vector>

#include "lib/export/artifact.h"
#include "lib/export/c_backend.h"
#include "lib/graph/graph.h"

namespace qopt::emit {

/// The whole folder of one model: sources, model.qpk, model.qir, golden vectors and
/// manifest.json (which covers exactly these files; call add_manifest again after adding
/// more). `samples` are real inputs as stored codes (to_stored), one tensor for each
/// graph input; they may be none. `sizes` receives the report's figures when not null.
/// Same arguments, same bytes, whatever `threads` is. Throws Error(ModelUnsupported)
/// naming the layer the runtime cannot hold.
Artifact export_folder(const Graph& integer_graph,
                       const std::vector<std::vector<Tensor>>& samples,
                       const CodeOptions& options, std::uint64_t seed, int threads,
                       ExportSizes* sizes = nullptr);

}  // namespace qopt::emit
