// SPDX-License-Identifier: MIT
// Id: a strongly typed index, so that a bare integer never names a value or a node.
#pragma once

#include <compare>
#include <cstdint>

namespace qopt {

template <class Tag>
struct Id {
  std::uint32_t index = 0;
  auto operator<=>(const Id&) const = default;
};

}  // namespace qopt
