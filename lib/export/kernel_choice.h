// SPDX-License-Identifier: MIT
// Which family of kernels each convolution of a graph runs on, and why: the cheapest of
// those that could run it, by the cost model or by measurements.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/export/cost_model.h"
#include "lib/export/row_bits.h"
#include "lib/graph/graph.h"

namespace qopt::emit {

/// Figures of one `qopt bench`: what layers took, all in one unit.
struct Measurement {
  struct Row {
    std::string layer;
    Family family = Family::Int8;
    double value = 0;  // greater than 0
  };
  std::string unit;  // "ns", "instructions" or "cycles"
  std::vector<Row> rows;
};

/// Parses what `qopt bench --format json` prints; layers that no family was chosen for
/// are left out. Throws Error(Data) naming `file` where it is something else.
Measurement parse_measurement(std::string_view text, std::string_view file);
Measurement read_measurement(const std::filesystem::path& file);

/// The core that an export is for, and what was measured on it.
struct KernelTarget {
  const Core* core = &cores().front();
  std::vector<Measurement> measured;
};

/// A family with what it costs.
struct Candidate {
  Family family = Family::Int8;
  double cycles = 0;
  bool is_measured = false;
  /// Positions that the direct kernels work on together, at most; 0: as they do by
  /// themselves, or another family.
  std::int32_t block = 0;
  /// Estimated to be slow on one of the target's processors (cost_model.h): others go
  /// first.
  bool is_bearable = true;
};
struct LayerChoice {
  Candidate chosen;
  std::vector<Candidate> others;  // families that could run it too, cheapest first
  /// Why the first of the others was not taken although it is cheaper; empty elsewhere.
  std::string reason;
};

/// The distance from 0 that no code of a convolution's int8 input exceeds, nor its zero.
std::int64_t most_code(const Graph& integer_graph, const Node& node);
/// Steps of a convolution whose products bytes hold, with weights that lie in rows as
/// `row` says: an even number, 0 where they are too few.
std::int64_t byte_steps(const Graph& integer_graph, const Node& node, const RowBits& row);

/// The family that a convolution runs on once it is exported, where the export does not
/// say; `has_panels`: its weights lie in bit panels.
Family exported_family(const Graph& integer_graph, const Node& node, bool has_panels);

/// One entry for each node of an Integer graph, nothing where it is no convolution. A
/// measured value takes the place of the estimate of that layer and family. Values in
/// cycles count as they are; others are divided by what one cycle took over all rows of
/// their file.
std::vector<std::optional<LayerChoice>> choose_kernels(const Graph& integer_graph,
                                                       const KernelTarget& target = {});

/// "5.96 Mcycles".
std::string cycles_text(double cycles);
/// "bit-serial 5.96 Mcycles estimated for cortex-a72 (int8 14.90 Mcycles estimated)",
/// with "in blocks of 1024" behind the family where that was chosen.
std::string choice_text(const LayerChoice& choice, std::string_view core);

}  // namespace qopt::emit
