// SPDX-License-Identifier: MIT
#include "lib/export/export.h"

#include "lib/export/golden.h"
#include "lib/export/manifest.h"
#include "lib/fixedpoint/integer_executor.h"

namespace qopt::emit {

Artifact export_folder(const Graph& graph,
                       const std::vector<std::vector<Tensor>>& samples,
                       const CodeOptions& options, std::uint64_t seed, int threads,
                       ExportSizes* sizes) {
  const Blob blob = write_blob(graph, options.target);
  Artifact artifact = emit_c(graph, blob, options);
  add_graph(artifact, graph);
  const IntegerExecutor executor(graph);
  add_golden(artifact, executor, make_vectors(graph, samples, seed), threads);
  add_manifest(artifact, options.name);
  if (sizes != nullptr) {
    const ArenaPlan arena = plan_arena(graph, options.target);
    *sizes = {blob.bytes.size(), arena.arena_bytes, arena.lower_bound};
  }
  return artifact;
}

}  // namespace qopt::emit
