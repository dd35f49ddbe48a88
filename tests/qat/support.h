// SPDX-License-Identifier: MIT
// What the training tests share: encodings of every level set, seeded numbers,
// bit-for-bit comparison of tensors.
#pragma once

#include <ATen/ATen.h>

#include <cstring>
#include <string>
#include <vector>

#include "lib/core/rng.h"
#include "lib/graph/encoding.h"
#include "tests/support/level_sets.h"

namespace qopt::qat {

/// Every level set with every number of bits up to 8.
inline std::vector<Affine> all_levels() {
  std::vector<Affine> all;
  for (const testing::LevelSetAt& at : testing::all_level_sets()) {
    if (at.bits <= 8) all.push_back({at.levels, at.bits, {0.25F}, {0}, std::nullopt});
  }
  return all;
}

inline std::string text(const Affine& e) {
  return std::string(level_set_name(e.levels)) + std::to_string(e.bits) +
         (e.axis ? " by axis " + std::to_string(*e.axis) : " per tensor");
}

/// One scale and, where the level set allows it, one zero point for each of `count`
/// channels.
inline Affine by_channel(Affine e, int axis, std::size_t count, Rng& rng) {
  e.axis = axis;
  e.scale.clear(), e.zero_point.clear();
  for (std::size_t c = 0; c < count; ++c) {
    e.scale.push_back(static_cast<float>(0.1 + rng.uniform()));
    const std::int32_t lo = code_min(e.levels, e.bits), hi = code_max(e.levels, e.bits);
    e.zero_point.push_back(is_symmetric(e.levels)
                               ? 0
                               : lo + static_cast<std::int32_t>(rng.below(
                                          static_cast<std::uint64_t>(hi - lo + 1))));
  }
  return e;
}

/// Uniform in [lo, hi).
inline at::Tensor uniform(at::IntArrayRef shape, double lo, double hi, Rng& rng) {
  at::Tensor t = at::empty(shape, at::kFloat);
  float* data = t.data_ptr<float>();
  for (std::int64_t i = 0; i < t.numel(); ++i) {
    data[i] = static_cast<float>(lo + (hi - lo) * rng.uniform());
  }
  return t;
}

/// The same bits, zeros' signs and NaN's too, in the same logical order.
inline bool same_bits(const at::Tensor& a, const at::Tensor& b) {
  if (a.sizes() != b.sizes()) return false;
  const at::Tensor x = a.detach().contiguous(), y = b.detach().contiguous();
  return std::memcmp(x.data_ptr(), y.data_ptr(), x.nbytes()) == 0;
}

}  // namespace qopt::qat
