// SPDX-License-Identifier: MIT
// Subset: some samples of another data set, for sets that are split. Owns neither files
// nor samples.
#pragma once

#include <vector>

#include "lib/data/dataset.h"

namespace qopt::data {

class Subset : public Dataset {
 public:
  /// `whole` must outlive the subset; `indices` are its samples, in this order.
  Subset(const Dataset& whole, std::vector<std::int64_t> indices, std::string what);

  std::int64_t size() const override {
    return static_cast<std::int64_t>(indices_.size());
  }
  Sample sample(std::int64_t index) const override;
  const std::vector<std::string>& class_names() const override {
    return whole_.class_names();
  }
  std::string description() const override;

 private:
  const Dataset& whole_;
  std::vector<std::int64_t> indices_;
  std::string what_;
};

/// `count` samples drawn with `seed` and held out, and the rest, both in ascending order.
/// Throws Error(Data) unless both are left with at least one sample.
struct Split {
  std::vector<std::int64_t> rest, held_out;
};
Split hold_out(std::int64_t size, std::int64_t count, std::uint64_t seed);

}  // namespace qopt::data
