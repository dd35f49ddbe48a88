// SPDX-License-Identifier: MIT
// Batches: samples in a seeded order, augmented, as tensors. What a step sees depends on
// seed, step and shard only, so any step can be made again. Knows no networks.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <vector>

#include "lib/core/rng.h"
#include "lib/data/dataset.h"
#include "lib/qat/qat.h"

namespace qopt::qat {

struct Batch {
  std::vector<at::Tensor> inputs;  // one for each model input, samples along axis 0
  at::Tensor labels;               // i64 [N]; undefined without labels
};

/// What random numbers are drawn for while training.
enum class Purpose : std::uint64_t {
  Order = 1,
  Augment = 2,
  Noise = 16,
  Statistics = 17,
  Start = 32,
};
/// A stream of its own for each use.
Rng stream(std::uint64_t seed, Purpose purpose, std::uint64_t a, std::uint64_t b);

class Batches {
 public:
  /// `size` samples a part, `shards` parts a step; incomplete steps at an epoch's end are
  /// left out. Throws Error(Data) when there are fewer samples than one step needs, for
  /// inputs that are no f32, and for augmentation of inputs that are no images.
  Batches(const data::Dataset& samples, std::int64_t size, std::int64_t shards,
          Augment augment, std::uint64_t seed);

  std::int64_t steps_per_epoch() const { return steps_; }
  /// Fixes the order for the epoch of `step`; call before `part`, from one thread.
  void begin_step(std::int64_t step);
  /// Part `shard` of that step. Thread-safe. Throws Error(Data) naming a sample of
  /// another shape, or with a label where others have none.
  Batch part(std::int64_t step, std::int64_t shard) const;

 private:
  const data::Dataset& samples_;
  std::int64_t size_, shards_, steps_;
  Augment augment_;
  std::uint64_t seed_;
  std::int64_t epoch_ = -1;
  std::vector<std::int64_t> order_;
  std::vector<Shape> shapes_;  // of one sample's inputs
};

}  // namespace qopt::qat
