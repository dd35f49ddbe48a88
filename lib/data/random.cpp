// SPDX-License-Identifier: MIT
// Random data: normal noise in the model's input shapes, for smoke runs without data.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "lib/core/rng.h"
#include "lib/data/readers.h"
#include "lib/data/source.h"

namespace qopt::data {
namespace {

constexpr std::int64_t kDefaultSamples = 32;
constexpr std::int64_t kMaxElements = 1LL << 28;  // 1 GiB of float a sample

class RandomDataset : public Dataset {
 public:
  explicit RandomDataset(const DatasetSpec& spec)
      : shapes_(spec.shapes),
        size_(spec.samples.value_or(kDefaultSamples)),
        seed_(spec.seed.value_or(0)) {}

  std::int64_t size() const override { return size_; }
  const std::vector<std::string>& class_names() const override { return class_names_; }
  std::string description() const override {
    std::vector<std::string> shapes;
    for (const Shape& shape : shapes_) shapes.push_back(shape_text(shape));
    return fmt::format("random: normal noise of {}, seed {}, {} samples",
                       fmt::join(shapes, " and "), seed_, size_);
  }

  Sample sample(std::int64_t index) const override {
    QOPT_CHECK(index >= 0 && index < size_, "sample {} of {}", index, size_);
    // A stream of its own for each sample: the first output of one generator seeds the
    // next.
    Rng rng(Rng(seed_).next() ^ Rng(static_cast<std::uint64_t>(index)).next());
    Sample sample;
    for (const Shape& shape : shapes_) {
      Tensor tensor = Tensor::zeros(DType::F32, shape);
      for (float& x : tensor.mutable_values<float>())
        x = static_cast<float>(rng.normal());
      sample.inputs.push_back(std::move(tensor));
    }
    return sample;
  }

 private:
  std::vector<Shape> shapes_;
  std::int64_t size_;
  std::uint64_t seed_;
  std::vector<std::string> class_names_;
};

}  // namespace

std::unique_ptr<Dataset> open_random(const DatasetSpec& spec) {
  if (spec.shapes.empty())
    fail("", "data format 'random' needs the shapes of the model's inputs");
  for (const Shape& shape : spec.shapes) {
    std::int64_t elements = 1;
    for (std::int64_t extent : shape) {
      if (extent < 1 || __builtin_mul_overflow(elements, extent, &elements) ||
          elements > kMaxElements) {
        fail("", "cannot make random samples of " + shape_text(shape));
      }
    }
  }
  return std::make_unique<RandomDataset>(spec);
}

}  // namespace qopt::data
