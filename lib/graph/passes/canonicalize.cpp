// SPDX-License-Identifier: MIT
// The list of canonical passes, and the loop that runs it until nothing changes.
#include "lib/graph/passes/canonicalize.h"

#include "lib/graph/passes/passes.h"
#include "lib/graph/verify.h"

namespace qopt {
namespace {

constexpr GraphPass kPasses[] = {
    {"decompose_attention", "attention as matrix products and softmax",
     decompose_attention},
    {"decompose_pixel_shuffle", "pixel shuffle as reshape and permute",
     decompose_pixel_shuffle},
    {"fold_constants", "constants computed from constants", fold_constants},
    {"fuse_l2_normalize", "division by a bounded norm as one operator",
     fuse_l2_normalize},
    {"fuse_gates", "x * sigmoid(x) as silu, x * hardsigmoid(x) as hardswish", fuse_gates},
    {"matmul_to_linear", "products by a constant matrix as linear layers",
     matmul_to_linear},
    {"simplify_shapes", "operators that do nothing go, neighbours merge",
     simplify_shapes},
    {"fold_pad", "zero padding as padding of the convolution", fold_pad},
    {"fold_batch_norm", "batch norm into the layer before it", fold_batch_norm},
    {"normalize_constant_arithmetic", "x - c and x / c as x + c' and x * c'",
     normalize_constant_arithmetic},
    {"fold_constant_arithmetic",
     "constant factors and offsets into the layer before them", fold_constant_arithmetic},
    {"channel_scale_to_conv", "per-channel factors as depthwise convolutions",
     channel_scale_to_conv},
    {"remove_dead", "what nobody uses goes",
     [](Graph& graph) { return graph.remove_dead(); }},
};

/// Each round can only enable a few others; more than this means two passes undo each
/// other.
constexpr int kMaxRounds = 32;

Graph settle(Graph graph, std::span<const GraphPass> passes) {
  require_valid(graph, "import");
  bool changed = true;
  for (int round = 0; changed; ++round) {
    QOPT_CHECK(round < kMaxRounds, "canonicalisation does not settle");
    changed = false;
    for (const GraphPass& pass : passes) {
      if (!pass.run(graph)) continue;
      changed = true;
      require_valid(graph, pass.name);
    }
  }
  return graph;
}

}  // namespace

std::span<const GraphPass> canonical_passes() { return kPasses; }

Graph canonicalize(Graph imported) {
  Graph graph = settle(std::move(imported), kPasses);
  graph.set_level(Level::Canonical);
  require_valid(graph, "canonicalize");
  return graph;
}

Graph canonicalize_for_training(Graph imported) {
  std::vector<GraphPass> passes(std::begin(kPasses), std::end(kPasses));
  for (GraphPass& pass : passes) {
    if (pass.run != fold_batch_norm) continue;
    pass = {"separate_batch_norm", "batch norm that no layer can take",
            separate_batch_norm};
  }
  return settle(std::move(imported), passes);
}

}  // namespace qopt
