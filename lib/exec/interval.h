// SPDX-License-Identifier: MIT
// Interval analysis of Integer graphs: the smallest and largest value that every code and
// every accumulator can take, from the actual weights. The proof behind "acc 19/32 bits".
#pragma once

#include <cstdint>
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
  std::string node;      // name of the node's result
  Interval accumulator;  // every value the accumulator can take, partial sums included
  int bits = 0;          // signed_bits(accumulator), whatever acc_bits says
  int limit = 32;        // width the kernel gives it: 32 or 64
  std::size_t node_index = 0;  // into Graph::nodes()

  /// A 64-bit accumulator keeps one bit for rounding (numerics N6), a 32-bit one needs
  /// none.
  bool overflows() const { return bits > (limit == 64 ? 63 : limit); }
};

struct IntervalAnalysis {
  /// Stored codes that each value can hold, by value index; constants: least and
  /// greatest.
  std::vector<Interval> codes;
  /// One proof for each node with an accumulator, in execution order.
  std::vector<AccumulatorProof> proofs;
};

/// Runs the whole analysis (numerics N38) on an Integer graph.
IntervalAnalysis analyze_intervals(const Graph& integer_graph);

/// analyze_intervals(graph).proofs.
std::vector<AccumulatorProof> prove_accumulators(const Graph& integer_graph);

/// Sets `acc_bits` of every node that has it to the bits its proof needs. Lowering calls
/// this once, when everything else is in place: the attribute chooses the requantiser
/// (N18).
void assign_accumulator_bits(Graph& integer_graph);

/// Throws Error(ModelUnsupported) naming every node whose accumulator may exceed its
/// width, with the interval and a remedy.
void require_no_overflow(const std::vector<AccumulatorProof>& proofs);

/// Multiply-accumulates of each node at any level, in execution order (0 where none).
std::vector<std::int64_t> count_macs(const Graph& graph);

}  // namespace qopt
