// SPDX-License-Identifier: MIT
// Interval analysis of Integer graphs: the smallest and largest value that every code and every
// accumulator can take, from the actual weights. The proof behind "acc 19/32 bits".
#pragma once

#include <map>
#include <string>
#include <vector>

#include "lib/graph/graph.h"

namespace qopt {

struct Interval {
  std::int64_t lo = 0, hi = 0;
  bool operator==(const Interval&) const = default;
};

/// Two's-complement bits that hold every integer of the interval.
int signed_bits(const Interval& interval);

struct AccumulatorProof {
  std::string node;       // name of the node's result
  Interval accumulator;   // every value the accumulator can take, partial sums included
  int bits = 0;           // signed_bits(accumulator)
  int limit = 32;         // width the kernel gives it: 32 or 64
};

/// One proof for each node with an accumulator, in execution order.
std::vector<AccumulatorProof> prove_accumulators(const Graph& integer_graph);

/// Throws Error(ModelUnsupported) naming every node whose accumulator may exceed its width, with
/// the interval and a remedy.
void require_no_overflow(const std::vector<AccumulatorProof>& proofs);

/// Multiply-accumulates of each node at any level, in execution order (0 where none).
std::vector<std::int64_t> count_macs(const Graph& graph);

}  // namespace qopt
