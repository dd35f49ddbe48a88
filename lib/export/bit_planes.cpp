// SPDX-License-Identifier: MIT
#include "lib/export/bit_planes.h"

#include <algorithm>

#include "lib/export/bit_panels.h"

namespace qopt::emit {
namespace {

constexpr std::uint64_t kWordCodes = 64;

std::uint64_t code_bytes(const Value& value) {
  return static_cast<std::uint64_t>(num_elements(value.shape)) * dtype_size(value.dtype);
}

/// The planes that `reader` takes `id` as, where it can.
std::optional<BitPlanes> read_planes(const Graph& graph, const Node& reader, ValueId id) {
  const std::optional<BitSerial> form = bit_serial_form(graph, reader);
  if (!form || std::ranges::count(reader.inputs, id) != 1 || reader.inputs[0] != id) {
    return std::nullopt;
  }
  const auto& conv = std::get<op::QConv2d>(reader.op);
  return BitPlanes{form->x_bits, form->x_lo, static_cast<std::int32_t>(conv.x_zero)};
}

/// True where the convolution's clamp leaves codes of these planes only, and its zero is
/// theirs.
bool writes_planes(const op::QConv2d& conv, const BitPlanes& planes) {
  return conv.lo == planes.lowest && conv.hi < planes.lowest + (1 << planes.bits) &&
         conv.y_zero == planes.outside;
}

}  // namespace

PlaneMap plan_planes(const Graph& graph, const std::vector<bool>& counts_bits) {
  PlaneMap map;
  for (std::size_t i = 0; i < graph.nodes().size(); ++i) {
    if (!counts_bits[i]) continue;
    const Node& node = graph.nodes()[i];
    const ValueId id = node.output;
    const std::vector<std::size_t> users = graph.users(id);
    if (graph.is_output(id) || users.empty()) continue;
    const std::optional<BitPlanes> planes =
        read_planes(graph, graph.nodes()[users[0]], id);
    const bool all_agree = std::ranges::all_of(users, [&](std::size_t user) {
      return counts_bits[user] && read_planes(graph, graph.nodes()[user], id) == planes;
    });
    if (!planes || !all_agree) continue;
    const Value& value = graph.value(id);
    if (writes_planes(std::get<op::QConv2d>(node.op), *planes) &&
        plane_bytes(value.shape, planes->bits) <= code_bytes(value)) {
      map[id.index] = *planes;
    }
  }
  return map;
}

std::uint64_t plane_bytes(const Shape& shape, int bits) {
  const auto extent = [&](std::size_t axis) {
    return static_cast<std::uint64_t>(shape[axis]);
  };
  const std::uint64_t words = (extent(3) + kWordCodes - 1) / kWordCodes;
  return extent(0) * static_cast<std::uint64_t>(bits) * (extent(1) * extent(2) + 1) *
         words * 8;
}

std::vector<std::uint64_t> stored_bytes(const Graph& graph, const PlaneMap& planes) {
  std::vector<std::uint64_t> bytes;
  bytes.reserve(graph.values().size());
  for (const Value& value : graph.values()) bytes.push_back(code_bytes(value));
  for (const auto& [index, form] : planes) {
    bytes[index] = plane_bytes(graph.values()[index].shape, form.bits);
  }
  return bytes;
}

}  // namespace qopt::emit
