// SPDX-License-Identifier: MIT
// Strided walks over dense tensors: building them, and merging axes until the runtime's
// few suffice. Pure arithmetic.
#pragma once

#include <cstdint>
#include <vector>

#include "lib/core/tensor.h"

namespace qopt::emit {

/// Row-major strides in elements.
std::vector<std::int64_t> dense_strides(const Shape& shape);
/// Strides that walk a dense tensor of `shape` as if broadcast to `target` (0 repeats).
std::vector<std::int64_t> broadcast_strides(const Shape& shape, const Shape& target);

/// One index space, walked in several tensors at once.
struct Walk {
  std::vector<std::int64_t> dims;
  std::vector<std::vector<std::int64_t>> strides;  // one list for each tensor
};
/// Drops axes of extent 1 and merges neighbours that every tensor walks contiguously.
Walk merged(const Walk& walk);

}  // namespace qopt::emit
