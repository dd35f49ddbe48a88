// SPDX-License-Identifier: MIT
// Data sets: indexed samples as float tensors, ready to feed, with labels where there are
// any. Readers of hostile files: every size is checked before memory is taken.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/core/tensor.h"

namespace qopt::data {

struct Sample {
  std::vector<Tensor> inputs;         // one for each model input, with the batch axis (1)
  std::optional<std::int64_t> label;  // class index
};

/// Declared preprocessing, applied in this order and written into the artefact:
/// resize (shorter side, or exact), centre crop, x * scale, then (x - mean[c]) / std[c].
struct Preprocess {
  std::optional<std::int64_t> resize_shorter{};         // bilinear, antialiased, pixels
  std::optional<std::array<std::int64_t, 2>> resize{};  // exact height, width
  std::optional<std::array<std::int64_t, 2>> crop{};    // centre crop height, width
  double scale = 1.0;                                   // e.g. 1/255
  std::vector<double> mean{}, stddev{};    // one entry, or one for each channel
  std::optional<std::int64_t> channels{};  // 1 or 3: force grey or colour
  bool operator==(const Preprocess&) const = default;
};

/// An immutable, thread-safe source of samples.
class Dataset {
 public:
  virtual ~Dataset() = default;
  virtual std::int64_t size() const = 0;
  /// Sample `index` in [0, size()). Throws Error(Data) naming file and position.
  virtual Sample sample(std::int64_t index) const = 0;
  /// Names of the classes where the source has them, else empty.
  virtual const std::vector<std::string>& class_names() const = 0;
  /// One line for reports: kind, count, files.
  virtual std::string description() const = 0;
};

/// How a source is declared in the config (`data.calibration` etc.).
struct DatasetSpec {
  std::string format{};                         // a row of dataset_formats()
  std::vector<std::filesystem::path> files{};   // images or records
  std::vector<std::filesystem::path> labels{};  // idx and npy: label files; may be empty
  std::filesystem::path folder{};  // image_folder: root with one folder a class
  Preprocess preprocess{};
  std::optional<std::int64_t> samples{};  // use only this many ...
  std::optional<std::uint64_t> seed{};    // ... drawn with this seed (else the first)
  // random: normal noise of the model's input shapes, for smoke tests; never for accuracy
  std::vector<Shape> shapes{};
  bool operator==(const DatasetSpec&) const = default;
};

struct DatasetFormat {
  const char* name;  // "idx", "cifar", "image_folder", "npy", "random"
  const char* summary;
  std::unique_ptr<Dataset> (*open)(const DatasetSpec& spec);
};
/// The table of readers; `open_dataset` picks from it. Throws Error(Data) for an unknown
/// format, an unreadable or malformed file (named, with offset), or an empty set.
const std::vector<DatasetFormat>& dataset_formats();
std::unique_ptr<Dataset> open_dataset(const DatasetSpec& spec);

}  // namespace qopt::data
