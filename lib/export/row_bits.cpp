// SPDX-License-Identifier: MIT
#include "lib/export/row_bits.h"

#include <algorithm>

#include "lib/graph/encoding.h"

namespace qopt::emit {
namespace {

/// Two's complement bits that hold every code.
int needed_bits(const Tensor& codes) {
  int bits = 1;
  for (const std::int8_t code : codes.values<std::int8_t>()) {
    while (code < -(1 << (bits - 1)) || code > (1 << (bits - 1)) - 1) ++bits;
  }
  return bits;
}

/// Encoded by odd levels, every code one of `bits` bits.
bool is_odd(const Value& value, int bits) {
  if (!value.encoding || std::get<Affine>(*value.encoding).levels != LevelSet::O) {
    return false;
  }
  return std::ranges::all_of(
      value.constant->values<std::int8_t>(),
      [&](std::int8_t code) { return is_code(code, LevelSet::O, bits); });
}

}  // namespace

std::vector<RowBits> row_bits(const Graph& graph) {
  std::vector<RowBits> rows(graph.values().size());
  const auto use = [&](ValueId id, std::int64_t bits) {
    int& most = rows[id.index].bits;
    most = std::max(most, static_cast<int>(bits));
  };
  for (const Node& node : graph.nodes()) {
    const auto* conv = std::get_if<op::QConv2d>(&node.op);
    const auto* transposed = std::get_if<op::QConvTranspose2d>(&node.op);
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      if (i == 1 && conv != nullptr) {
        use(node.inputs[i], conv->weight_bits);
      } else if (i == 1 && transposed != nullptr) {
        use(node.inputs[i], transposed->weight_bits);
      } else {
        use(node.inputs[i], 8);
      }
    }
  }
  for (const Output& output : graph.outputs()) use(output.value, 8);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Value& value = graph.values()[i];
    RowBits& row = rows[i];
    if (!value.constant) {
      row = {};
    } else if (row.bits != 0 && row.bits < 8 && value.dtype == DType::I8) {
      row.odd = is_odd(value, row.bits);
      if (!row.odd) row.bits = std::max(row.bits, needed_bits(*value.constant));
    }
  }
  return rows;
}

}  // namespace qopt::emit
