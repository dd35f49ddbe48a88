// SPDX-License-Identifier: MIT
// ArrayDataset: samples cut from whole arrays in memory, what IDX, CIFAR and NPY come to.
// Knows no file format.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "lib/core/tensor.h"
#include "lib/data/dataset.h"

namespace qopt::data {

/// Arrays [N, ...] that follow one another: sample i is row i - (rows before) of its
/// part.
struct ArrayParts {
  struct Part {
    std::vector<Tensor> inputs;        // one for each model input, equal first extents
    std::vector<std::int64_t> labels;  // empty, or one for each row
    std::string where;                 // file, for messages
  };
  std::vector<Part> parts;

  void add(Tensor array, std::vector<std::int64_t> labels, std::string where) {
    parts.push_back({{std::move(array)}, std::move(labels), std::move(where)});
  }
};

/// True for integers in one column: [samples] or [samples, 1].
bool is_label_like(const Tensor& array);
/// Class indices from an integer array [N] or [N,1]; Error(Data) for others and for
/// negative ones.
std::vector<std::int64_t> labels_of(const Tensor& array, const std::string& where);

/// Samples of `parts`, preprocessed by `spec`. u8 rows of shape [C,H,W] with 1 or 3
/// channels are images; i32 and i64 rows stay integers (indices) where no preprocessing
/// is declared; all other rows become f32. Throws Error(Data) when the parts do not fit
/// each other.
std::unique_ptr<Dataset> make_array_dataset(ArrayParts parts, const DatasetSpec& spec,
                                            std::string description,
                                            std::vector<std::string> class_names);

}  // namespace qopt::data
