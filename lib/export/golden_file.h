// SPDX-License-Identifier: MIT
// The golden files' bytes: what is recorded of a run, and how it is written and read
// back. docs/export.md draws the layout.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/core/tensor.h"
#include "lib/export/golden.h"
#include "lib/graph/graph.h"

namespace qopt::emit {

/// Sizes that follow from the graph. A layer is a node that computes: every node but
/// Input.
struct GoldenLayout {
  std::vector<ValueId> layers;             // results, in execution order
  std::vector<std::uint64_t> layer_bytes;  // of each
  std::vector<ValueId> inputs, outputs;
  std::uint64_t all_layers_bytes = 0, inputs_bytes = 0, outputs_bytes = 0;
};
GoldenLayout golden_layout(const Graph& integer_graph);

/// What one run computed, as bytes in layout order.
struct Recording {
  std::string layers;   // every layer's stored codes
  std::string outputs;  // the outputs' stored codes
};

/// Runs `inputs` and records every layer.
Recording record_run(const IntegerExecutor& executor, const GoldenLayout& layout,
                     const std::vector<Tensor>& inputs);

/// What the files keep of a run.
struct Expected {
  bool full = false;               // `layers` is kept, else only its CRC-32s
  std::vector<std::uint32_t> crc;  // of each layer
  std::string layers, outputs;
};

std::string write_vectors(const GoldenLayout& layout,
                          const std::vector<GoldenVector>& vectors);
std::string write_expected(const GoldenLayout& layout, const std::vector<Expected>& runs);

/// Readers of untrusted bytes; throw Error(Data) when they do not fit the layout.
std::vector<GoldenVector> read_vectors(const Graph& graph, const GoldenLayout& layout,
                                       std::string_view bytes);
std::vector<Expected> read_expected(const GoldenLayout& layout, std::string_view bytes);

/// CRC-32 of each layer of a recording.
std::vector<std::uint32_t> layer_crcs(const GoldenLayout& layout,
                                      std::string_view layers);

/// Element `index` of stored bytes of this type.
std::int64_t element_at(std::string_view bytes, DType dtype, std::uint64_t index);

/// First element where two equally long byte strings differ; empty when they are equal.
struct Difference {
  std::int64_t index = 0, expected = 0, got = 0;
};
std::optional<Difference> first_difference(DType dtype, std::string_view expected,
                                           std::string_view got);

/// golden/requant.bin: arguments and result of the requantiser, ties and limits included.
std::string requant_table();

}  // namespace qopt::emit
