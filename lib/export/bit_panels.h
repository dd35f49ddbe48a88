// SPDX-License-Identifier: MIT
// Weights of few bits as the bit panels of runtime/include/qrt/qrt.h, and which
// convolutions can count bits. Knows no code generation.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "lib/core/tensor.h"
#include "lib/graph/graph.h"

namespace qopt::emit {

/// Codes lowest + step * U with U in [0, 2^bits): two's complement, unsigned, odd and
/// ternary level sets alike.
struct BitLevels {
  int bits = 1;             // 1..4
  std::int32_t lowest = 0;  // -128..127
  int step = 1;             // 1 or 2
  bool operator==(const BitLevels&) const = default;
};

/// The fewest bits that hold all codes; nothing where 4 do not.
std::optional<BitLevels> bit_levels(const Tensor& codes);

/// Bytes of the panels of weights [o, kh, kw, c], o > 0 and c > 0.
std::uint64_t panel_bytes(const Shape& shape, int bits);
/// Bit panels of int8 codes [o, kh, kw, c] that have these levels, and back.
std::string pack_panels(const Tensor& codes, const BitLevels& levels);
Tensor unpack_panels(std::string_view bytes, const Shape& shape, const BitLevels& levels);

/// How a convolution counts bits: its weights' levels, and its input's codes x_lo + A
/// with A in [0, 2^x_bits).
struct BitSerial {
  BitLevels weights;
  std::int32_t x_lo = 0;
  int x_bits = 1;
};

/// The form of a node that can run bit-serially, nothing for the others: a QConv2d of one
/// group with int8 codes and 32-bit sums, whose rows have at least two words of 64
/// channels, and whose panels are no larger than its packed rows would be. Whether it
/// shall, choose_kernels says (kernel_choice.h).
std::optional<BitSerial> bit_serial_form(const Graph& graph, const Node& node);

}  // namespace qopt::emit
