// SPDX-License-Identifier: MIT
#include "lib/qat/batches.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "lib/core/names.h"

namespace qopt::qat {
namespace {

/// Shifts and mirrors one image [1, C, H, W] into `out`; what comes from outside is 0.
void augment_image(const Tensor& image, const Augment& augment, Rng& rng, float* out) {
  const Shape& shape = image.shape();
  const std::int64_t channels = shape[1], height = shape[2], width = shape[3];
  const auto shift = [&] {
    return static_cast<std::int64_t>(
               rng.below(static_cast<std::uint64_t>(2 * augment.crop + 1))) -
           augment.crop;
  };
  const std::int64_t down = shift(), right = shift();
  const bool mirrored = augment.flip && rng.below(2) == 1;
  const std::span<const float> from = image.values<float>();
  for (std::int64_t c = 0; c < channels; ++c) {
    for (std::int64_t y = 0; y < height; ++y) {
      const std::int64_t sy = y + down;
      for (std::int64_t x = 0; x < width; ++x) {
        const std::int64_t sx = (mirrored ? width - 1 - x : x) + right;
        const bool inside = sy >= 0 && sy < height && sx >= 0 && sx < width;
        *out++ = inside ? from[static_cast<std::size_t>((c * height + sy) * width + sx)]
                        : 0.0F;
      }
    }
  }
}

}  // namespace

Rng stream(std::uint64_t seed, Purpose purpose, std::uint64_t a, std::uint64_t b) {
  std::uint64_t key = Rng(seed).next();
  for (const std::uint64_t part : {static_cast<std::uint64_t>(purpose), a, b})
    key = Rng(key ^ part).next();
  return Rng(key);
}

Batches::Batches(const data::Dataset& samples, std::int64_t size, std::int64_t shards,
                 Augment augment, std::uint64_t seed)
    : samples_(samples),
      size_(size),
      shards_(shards),
      steps_(samples.size() / (size * shards)),
      augment_(augment),
      seed_(seed),
      order_(static_cast<std::size_t>(samples.size())) {
  if (steps_ == 0) {
    throw Error(ExitCode::Data, samples.description(),
                fmt::format("{} samples left to train on, one batch takes {}",
                            samples.size(), size * shards));
  }
  const data::Sample first = samples.sample(0);
  for (const Tensor& input : first.inputs) {
    if (input.dtype() != DType::F32) {
      throw Error(
          ExitCode::Data, samples.description(),
          fmt::format("training reads f32 inputs, not {}", dtype_name(input.dtype())));
    }
    shapes_.push_back(input.shape());
  }
  const bool images = first.inputs.size() == 1 && first.inputs[0].shape().size() == 4;
  if ((augment.crop > 0 || augment.flip) && !images) {
    throw Error(ExitCode::Data, samples.description(),
                "augmentation by crop or flip needs one input of images");
  }
}

void Batches::begin_step(std::int64_t step) {
  const std::int64_t epoch = step / steps_;
  if (epoch == epoch_) return;
  epoch_ = epoch;
  std::iota(order_.begin(), order_.end(), std::int64_t{0});
  stream(seed_, Purpose::Order, static_cast<std::uint64_t>(epoch), 0)
      .shuffle(std::span<std::int64_t>(order_));
}

Batch Batches::part(std::int64_t step, std::int64_t shard) const {
  QOPT_CHECK(step / steps_ == epoch_, "step {} of another epoch", step);
  const std::int64_t first = (step % steps_ * shards_ + shard) * size_;
  const bool changes = augment_.crop > 0 || augment_.flip;
  Batch batch;
  for (std::int64_t i = 0; i < size_; ++i) {
    const std::int64_t index = order_[static_cast<std::size_t>(first + i)];
    const data::Sample sample = samples_.sample(index);
    const auto fits = [](const Tensor& input, const Shape& shape) {
      return input.dtype() == DType::F32 && input.shape() == shape;
    };
    if (!std::ranges::equal(sample.inputs, shapes_, fits)) {
      throw Error(ExitCode::Data,
                  fmt::format("{}, sample {}", samples_.description(), index),
                  "its inputs have other shapes than those of sample 0",
                  "resize or crop in data.train");
    }
    if (i == 0) {
      for (const Tensor& input : sample.inputs) {
        Shape shape = input.shape();
        shape[0] = size_;
        batch.inputs.push_back(at::empty(shape, at::kFloat));
      }
      if (sample.label) batch.labels = at::empty({size_}, at::kLong);
    }
    for (std::size_t k = 0; k < sample.inputs.size(); ++k) {
      const Tensor& input = sample.inputs[k];
      float* out = batch.inputs[k].data_ptr<float>() + i * input.size();
      if (changes) {
        Rng rng = stream(seed_, Purpose::Augment, static_cast<std::uint64_t>(step),
                         static_cast<std::uint64_t>(shard * size_ + i));
        augment_image(input, augment_, rng, out);
      } else {
        std::ranges::copy(input.values<float>(), out);
      }
    }
    if (batch.labels.defined() != sample.label.has_value()) {
      throw Error(ExitCode::Data,
                  fmt::format("{}, sample {}", samples_.description(), index),
                  "some samples have labels, others none");
    }
    if (sample.label) batch.labels.data_ptr<std::int64_t>()[i] = *sample.label;
  }
  for (at::Tensor& input : batch.inputs) {
    // Convolutions on the CPU are faster with channels innermost.
    if (input.dim() == 4) input = input.contiguous(at::MemoryFormat::ChannelsLast);
  }
  return batch;
}

}  // namespace qopt::qat
