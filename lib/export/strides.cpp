// SPDX-License-Identifier: MIT
#include "lib/export/strides.h"

#include <algorithm>

#include "lib/core/error.h"

namespace qopt::emit {

std::vector<std::int64_t> dense_strides(const Shape& shape) {
  std::vector<std::int64_t> strides(shape.size(), 1);
  for (std::size_t i = shape.size(); i-- > 1;) strides[i - 1] = strides[i] * shape[i];
  return strides;
}

std::vector<std::int64_t> broadcast_strides(const Shape& shape, const Shape& target) {
  QOPT_CHECK(shape.size() <= target.size(), "{} broadcast to {}", shape_text(shape),
             shape_text(target));
  const std::vector<std::int64_t> own = dense_strides(shape);
  std::vector<std::int64_t> strides(target.size(), 0);
  const std::size_t skip = target.size() - shape.size();
  for (std::size_t i = 0; i < shape.size(); ++i) {
    QOPT_CHECK(shape[i] == 1 || shape[i] == target[skip + i], "{} broadcast to {}",
               shape_text(shape), shape_text(target));
    if (shape[i] != 1) strides[skip + i] = own[i];
  }
  return strides;
}

Walk merged(const Walk& walk) {
  Walk result;
  result.strides.resize(walk.strides.size());
  for (std::size_t axis = 0; axis < walk.dims.size(); ++axis) {
    const std::int64_t extent = walk.dims[axis];
    if (extent == 1) continue;
    bool joins = !result.dims.empty();
    for (std::size_t t = 0; joins && t < walk.strides.size(); ++t) {
      joins = result.strides[t].back() == walk.strides[t][axis] * extent;
    }
    if (joins) {
      result.dims.back() *= extent;
    } else {
      result.dims.push_back(extent);
    }
    for (std::size_t t = 0; t < walk.strides.size(); ++t) {
      if (joins) {
        result.strides[t].back() = walk.strides[t][axis];
      } else {
        result.strides[t].push_back(walk.strides[t][axis]);
      }
    }
  }
  return result;
}

}  // namespace qopt::emit
