// SPDX-License-Identifier: MIT
// Which values of an exported graph lie in bit planes (runtime/include/qrt/qrt.h draws
// them), and the bytes that they take. Knows no code generation.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "lib/graph/graph.h"

namespace qopt::emit {

/// Codes lowest + A with A in [0, 2^bits), bit i of A in plane i; behind the last
/// position of each image stands `outside`, the code of real zero.
struct BitPlanes {
  int bits = 1;  // 1..4
  std::int32_t lowest = 0, outside = 0;
  bool operator==(const BitPlanes&) const = default;
};

/// By value index; what is not here lies as codes.
using PlaneMap = std::map<std::uint32_t, BitPlanes>;

/// The results of convolutions that count bits, where all that reads them are the
/// activations of such convolutions, the caller sees nothing of them, producer and
/// readers agree on levels and zero, and planes take no more bytes than codes.
/// `counts_bits`: for each node, whether it is exported as a bit-serial convolution.
PlaneMap plan_planes(const Graph& integer_graph, const std::vector<bool>& counts_bits);

/// Bytes of a value [n, h, w, c] in planes.
std::uint64_t plane_bytes(const Shape& shape, int bits);

/// Bytes that each value takes on the device: its planes', or its codes'.
std::vector<std::uint64_t> stored_bytes(const Graph& integer_graph,
                                        const PlaneMap& planes);

}  // namespace qopt::emit
