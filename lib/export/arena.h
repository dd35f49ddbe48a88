// SPDX-License-Identifier: MIT
// Where every value of an Integer graph lives on the device: in the arena, in a buffer of
// the caller, in the blob, or in the storage of another value it merely renames.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "lib/export/c_backend.h"
#include "lib/graph/graph.h"

namespace qopt::emit {

/// Steps (node indices, both inclusive) during which a buffer holds data.
struct Lifetime {
  std::size_t first = 0, last = 0;
  std::uint64_t size_bytes = 0;
};

struct ArenaLayout {
  std::vector<std::uint64_t> offsets;  // one for each buffer, multiples of 64
  std::uint64_t bytes = 0;             // total
  std::uint64_t lower_bound = 0;       // largest sum of buffers alive at one step
};
/// Offsets such that buffers alive at the same step never overlap. Deterministic.
ArenaLayout plan_offsets(const std::vector<Lifetime>& buffers);

/// Storage of one value.
struct Place {
  enum class Kind { Arena, Input, Output, Constant };
  Kind kind = Kind::Arena;
  std::uint32_t index = 0;   // Input, Output: number; Constant: value index
  std::uint64_t offset = 0;  // Arena: bytes from its start
};

struct StoragePlan {
  std::vector<Place> places;           // by value index
  std::vector<ArenaPlan::Slot> slots;  // arena buffers in execution order
  std::vector<Lifetime> lifetimes;     // of the slots
  std::vector<std::uint64_t> scratch;  // offset of each node's scratch, 0 without
  std::vector<std::size_t>
      copies;  // outputs (by number) to be copied after the last layer
  std::uint64_t bytes = 0, lower_bound = 0;
};
/// Inputs are read where the caller has them, results are written where the caller wants
/// them; everything between lives in the arena, and so does the scratch that each node
/// asks for (`scratch_bytes`, one for each node, or empty: none) while it runs. Values
/// take `value_bytes`, one for each, or empty: what their codes take.
StoragePlan plan_storage(const Graph& integer_graph,
                         const std::vector<std::uint64_t>& scratch_bytes = {},
                         const std::vector<std::uint64_t>& value_bytes = {});

/// True when the node only renames bytes (a reshape, or a move of extent-1 axes).
bool is_alias(const Graph& graph, const Node& node);

/// True where the kernel of the node may write its result over input `i`: it works
/// element by element, and both have the same extents and width.
bool may_overwrite(const Graph& graph, const Node& node, std::size_t i);

}  // namespace qopt::emit
