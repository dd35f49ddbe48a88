// SPDX-License-Identifier: MIT
#include "lib/data/dataset.h"

#include <fmt/format.h>

#include <numeric>
#include <set>
#include <utility>

#include "lib/core/names.h"
#include "lib/core/rng.h"
#include "lib/data/preprocess.h"
#include "lib/data/readers.h"
#include "lib/data/source.h"

namespace qopt::data {
namespace {

/// Some samples of another data set, in a chosen order.
class Subset : public Dataset {
 public:
  Subset(std::unique_ptr<Dataset> whole, std::vector<std::int64_t> indices,
         std::string how)
      : whole_(std::move(whole)), indices_(std::move(indices)), how_(std::move(how)) {}

  std::int64_t size() const override {
    return static_cast<std::int64_t>(indices_.size());
  }
  Sample sample(std::int64_t index) const override {
    QOPT_CHECK(index >= 0 && index < size(), "sample {} of {}", index, size());
    return whole_->sample(indices_[static_cast<std::size_t>(index)]);
  }
  const std::vector<std::string>& class_names() const override {
    return whole_->class_names();
  }
  std::string description() const override { return whole_->description() + how_; }

 private:
  std::unique_ptr<Dataset> whole_;
  std::vector<std::int64_t> indices_;
  std::string how_;
};

std::unique_ptr<Dataset> narrowed(std::unique_ptr<Dataset> whole,
                                  const DatasetSpec& spec) {
  const std::int64_t count = spec.samples.value_or(whole->size());
  if (count < 1) fail("", fmt::format("{} samples are asked for", count));
  if (count > whole->size()) {
    fail("", fmt::format("{} samples are asked for, but there are {} ({})", count,
                         whole->size(), whole->description()));
  }
  if (!spec.seed && count == whole->size()) return whole;
  std::vector<std::int64_t> indices(static_cast<std::size_t>(whole->size()));
  std::iota(indices.begin(), indices.end(), std::int64_t{0});
  std::string how = fmt::format(", the first {}", count);
  if (spec.seed) {
    Rng(*spec.seed).shuffle(std::span<std::int64_t>(indices));
    how = fmt::format(", {} drawn with seed {}", count, *spec.seed);
  }
  indices.resize(static_cast<std::size_t>(count));
  return std::make_unique<Subset>(std::move(whole), std::move(indices), std::move(how));
}

}  // namespace

const std::vector<DatasetFormat>& dataset_formats() {
  static const std::vector<DatasetFormat> formats = {
      {"idx", "MNIST family: image files, label files; plain or gzip", open_idx},
      {"cifar", "CIFAR-10 binary: records of 1 label byte and 3072 pixel bytes",
       open_cifar},
      {"image_folder", "JPEG and PNG: one folder a class, or flat without labels",
       open_image_folder},
      {"npy", "NPY or NPZ: one array [samples, ...] for each model input; labels",
       open_npy},
      {"random", "normal noise in the model's input shapes, for smoke runs", open_random},
  };
  return formats;
}

std::unique_ptr<Dataset> open_dataset(const DatasetSpec& spec) {
  std::set<std::string> names;
  for (const DatasetFormat& format : dataset_formats()) {
    names.insert(format.name);
    if (spec.format != format.name) continue;
    check_preprocess(spec.preprocess);
    std::unique_ptr<Dataset> dataset = format.open(spec);
    if (dataset->size() == 0) {
      fail(spec.folder.string(),
           fmt::format("the data set is empty ({})", dataset->description()));
    }
    // Noise is made in the number and by the seed that were asked for.
    if (format.open == open_random) return dataset;
    return narrowed(std::move(dataset), spec);
  }
  const std::string near = nearest(spec.format, names);
  fail("", fmt::format("unknown data format '{}'", printable(spec.format)),
       near.empty() ? "one of idx, cifar, image_folder, npy, random"
                    : fmt::format("did you mean '{}'?", near));
}

}  // namespace qopt::data
