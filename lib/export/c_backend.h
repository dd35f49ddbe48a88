// SPDX-License-Identifier: MIT
// The C backend: an Integer graph becomes a self-contained C99 folder (model.h, model.c,
// the runtime files it uses, CMakeLists.txt, selftest.c, bench.c). Prints, decides no
// numbers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lib/export/artifact.h"
#include "lib/export/blob.h"
#include "lib/export/kernel_choice.h"
#include "lib/graph/graph.h"

namespace qopt::emit {

/// Where each activation lives in the static arena.
struct ArenaPlan {
  struct Slot {
    ValueId value;
    std::uint64_t offset = 0, size_bytes = 0;
  };
  std::vector<Slot> slots;  // one for each value that needs memory, in execution order
  std::uint64_t scratch_bytes = 0;  // of the layer that needs most, inside the arena
  std::uint64_t arena_bytes = 0;    // total, a multiple of 64
  std::uint64_t lower_bound =
      0;  // largest sum of what one step needs: live values, scratch
};
/// Liveness of values and scratch, then greedy best-fit; reshapes alias, elementwise
/// layers write over a dying input; 64-byte alignment.
ArenaPlan plan_arena(const Graph& integer_graph, const KernelTarget& target = {});

struct CodeOptions {
  std::string name = "model";  // C prefix; made an identifier
  KernelTarget target = {};    // that kernels are chosen for
};

/// The folder's sources and model.qpk, without golden vectors, manifest and reports.
/// `blob` was written for `options.target`.
Artifact emit_c(const Graph& integer_graph, const Blob& blob, const CodeOptions& options);

/// Bytes of weights/arena and counts for the report.
struct ExportSizes {
  std::uint64_t blob_bytes = 0, arena_bytes = 0, arena_lower_bound = 0;
};

}  // namespace qopt::emit
