// SPDX-License-Identifier: MIT
// One layer of an Integer graph as calls of device kernels: which kernel, which
// parameters, which operands. Kernels follow from types and from the family that was
// chosen; prints nothing itself.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "lib/export/arena.h"
#include "lib/export/bit_planes.h"
#include "lib/export/blob.h"
#include "lib/export/c_writer.h"
#include "lib/export/kernel_choice.h"
#include "lib/graph/graph.h"

namespace qopt::emit {

/// A constant array beside a layer's parameters.
struct ArrayCode {
  std::string type, name;
  std::vector<std::int64_t> values;
};

struct KernelCall {
  std::string kernel;       // "conv2d_s8": a member of the dispatch table
  std::string runner;       // "qrt_parallel_conv2d" where the call can be cut, or empty
  std::string params_type;  // "qrt_conv2d_params"
  std::vector<CWriter::Field> params;
  std::vector<std::string> operands;  // C expressions after the parameters
};

/// Operands speak of `x0`, `x1`, ... (activations, numbered as the node's inputs), `y`,
/// `scratch` and `m->weights[k]`.
struct LayerCode {
  std::vector<ArrayCode> arrays;
  std::vector<KernelCall> calls;
  std::uint64_t scratch_bytes = 0;
  std::uint64_t part_scratch_bytes = 0;  // of one part, whatever the number of threads
  bool uses_team = false;                // some call has a runner
  bool uses_model = false;               // some operand is a weight
  std::vector<std::size_t> activations;  // node inputs that are passed as x<i>
};

/// Section index and stored form of each constant, by value index.
struct SectionRef {
  std::size_t index = 0;
  int bits = 8;
  bool odd = false;
  bool is_panels = false;
};
using SectionMap = std::map<std::uint32_t, SectionRef>;
SectionMap map_sections(const Graph& integer_graph, const std::vector<Section>& sections);

/// Code of one node; empty calls for inputs and for nodes that only rename storage.
/// Throws Error(ModelUnsupported) naming the layer where a size is beyond the runtime's.
LayerCode layer_code(const Graph& integer_graph, const Node& node,
                     const StoragePlan& storage, const SectionMap& sections,
                     const PlaneMap& planes, const std::optional<LayerChoice>& choice);

/// All layers (one entry for each node) and the largest scratch.
struct ModelCode {
  StoragePlan storage;
  SectionMap sections;
  PlaneMap planes;
  std::vector<std::uint64_t> value_bytes;  // by value index, planes or codes
  std::vector<LayerCode> layers;
  std::uint64_t scratch_bytes = 0;       // of the layer that needs most, a multiple of 64
  std::uint64_t arena_bytes = 0;         // activations and scratch, at least 64
  std::uint64_t part_scratch_bytes = 0;  // behind the arena for each thread, if there are
                                         // any; a multiple of 64
};
/// `choices` by node index, as choose_kernels gives them.
ModelCode model_code(const Graph& integer_graph, const std::vector<Section>& sections,
                     const std::vector<std::optional<LayerChoice>>& choices);

}  // namespace qopt::emit
