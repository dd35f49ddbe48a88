// SPDX-License-Identifier: MIT
#include "lib/data/array_dataset.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "lib/data/preprocess.h"
#include "lib/data/source.h"

namespace qopt::data {
namespace {

bool is_picture(const Tensor& array) {
  const Shape& s = array.shape();
  return array.dtype() == DType::U8 && s.size() == 4 && (s[1] == 1 || s[1] == 3);
}

/// Planes C,H,W to pixels H,W,C.
Picture picture_of(std::span<const std::uint8_t> planes, const Shape& shape) {
  Picture picture{shape[2], shape[3], shape[1], {}};
  picture.pixels.resize(planes.size());
  const auto channels = static_cast<std::size_t>(shape[1]);
  const std::size_t area = planes.size() / channels;
  for (std::size_t c = 0; c < channels; ++c) {
    for (std::size_t i = 0; i < area; ++i) {
      picture.pixels[i * channels + c] = planes[c * area + i];
    }
  }
  return picture;
}

template <class T>
void widen(std::span<const std::byte> bytes, std::span<float> out) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    T value;
    std::memcpy(&value, bytes.data() + i * sizeof(T), sizeof(T));
    out[i] = static_cast<float>(value);
  }
}

Tensor to_float(std::span<const std::byte> bytes, DType dtype, const Shape& shape) {
  Tensor out = Tensor::zeros(DType::F32, shape);
  const std::span<float> values = out.mutable_values<float>();
  switch (dtype) {
    case DType::F32: widen<float>(bytes, values); break;
    case DType::F64: widen<double>(bytes, values); break;
    case DType::I8: widen<std::int8_t>(bytes, values); break;
    case DType::U8:
    case DType::Bool: widen<std::uint8_t>(bytes, values); break;
    case DType::I16: widen<std::int16_t>(bytes, values); break;
    case DType::I32: widen<std::int32_t>(bytes, values); break;
    case DType::I64: widen<std::int64_t>(bytes, values); break;
  }
  return out;
}

class ArrayDataset : public Dataset {
 public:
  ArrayDataset(ArrayParts parts, Preprocess preprocess, std::string description,
               std::vector<std::string> class_names)
      : parts_(std::move(parts.parts)),
        preprocess_(std::move(preprocess)),
        class_names_(std::move(class_names)) {
    for (const ArrayParts::Part& part : parts_) {
      size_ += part.inputs[0].shape()[0];
      ends_.push_back(size_);
    }
    description_ = fmt::format("{}, {} samples", description, size_);
  }

  std::int64_t size() const override { return size_; }
  const std::vector<std::string>& class_names() const override { return class_names_; }
  std::string description() const override { return description_; }

  Sample sample(std::int64_t index) const override {
    QOPT_CHECK(index >= 0 && index < size_, "sample {} of {}", index, size_);
    const auto p = static_cast<std::size_t>(
        std::upper_bound(ends_.begin(), ends_.end(), index) - ends_.begin());
    const ArrayParts::Part& part = parts_[p];
    const std::int64_t row = index - (p == 0 ? 0 : ends_[p - 1]);
    const std::string where = fmt::format("{}: record {}", part.where, row);
    Sample sample;
    for (const Tensor& array : part.inputs)
      sample.inputs.push_back(row_of(array, row, where));
    if (!part.labels.empty()) sample.label = part.labels[static_cast<std::size_t>(row)];
    return sample;
  }

 private:
  Tensor row_of(const Tensor& array, std::int64_t row, const std::string& where) const {
    Shape shape = array.shape();
    const std::size_t bytes = array.size_bytes() / static_cast<std::size_t>(shape[0]);
    const auto content =
        array.bytes().subspan(static_cast<std::size_t>(row) * bytes, bytes);
    shape[0] = 1;
    if (is_picture(array)) {
      const auto* pixels = reinterpret_cast<const std::uint8_t*>(content.data());
      return preprocess_picture(picture_of({pixels, bytes}, shape), preprocess_, where);
    }
    const bool is_index = array.dtype() == DType::I32 || array.dtype() == DType::I64;
    if (is_index && preprocess_ == Preprocess{}) {
      Tensor out = Tensor::zeros(array.dtype(), shape);
      if (bytes > 0) std::memcpy(out.mutable_bytes().data(), content.data(), bytes);
      return out;
    }
    return preprocess_array(to_float(content, array.dtype(), shape), preprocess_, where);
  }

  std::vector<ArrayParts::Part> parts_;
  std::vector<std::int64_t> ends_;
  std::int64_t size_ = 0;
  Preprocess preprocess_;
  std::vector<std::string> class_names_;
  std::string description_;
};

}  // namespace

bool is_label_like(const Tensor& array) {
  const Shape& shape = array.shape();
  const bool is_column = shape.size() == 1 || (shape.size() == 2 && shape[1] == 1);
  return is_column && array.dtype() != DType::F32 && array.dtype() != DType::F64;
}

std::vector<std::int64_t> labels_of(const Tensor& array, const std::string& where) {
  if (!is_label_like(array)) {
    fail(where, fmt::format("labels must be integers in one column, this is {} of {}",
                            dtype_name(array.dtype()), shape_text(array.shape())));
  }
  std::vector<std::int64_t> labels(static_cast<std::size_t>(array.size()));
  for (std::size_t i = 0; i < labels.size(); ++i) {
    labels[i] = array.integer_at(static_cast<std::int64_t>(i));
    if (labels[i] < 0)
      fail(where, fmt::format("label {} of record {} is negative", labels[i], i));
  }
  return labels;
}

std::unique_ptr<Dataset> make_array_dataset(ArrayParts parts, const DatasetSpec& spec,
                                            std::string description,
                                            std::vector<std::string> class_names) {
  if (parts.parts.empty())
    fail("", fmt::format("no files for data format '{}'", spec.format));
  const ArrayParts::Part& first = parts.parts[0];
  for (const ArrayParts::Part& part : parts.parts) {
    for (std::size_t i = 0; i < part.inputs.size(); ++i) {
      const Tensor& array = part.inputs[i];
      if (array.shape().empty()) fail(part.where, "a single number has no samples");
      if (array.shape()[0] != part.inputs[0].shape()[0]) {
        fail(part.where, fmt::format("input {} has {} samples, the first input has {}", i,
                                     array.shape()[0], part.inputs[0].shape()[0]));
      }
      Shape shape = array.shape(), expected = first.inputs[i].shape();
      shape[0] = expected[0] = 1;
      if (shape != expected || array.dtype() != first.inputs[i].dtype()) {
        fail(part.where,
             fmt::format("samples of {} {}, those of {} are {} {}",
                         dtype_name(array.dtype()), shape_text(shape), first.where,
                         dtype_name(first.inputs[i].dtype()), shape_text(expected)));
      }
      for (std::size_t axis = 1; axis < shape.size(); ++axis) {
        if (shape[axis] == 0)
          fail(part.where, "samples of " + shape_text(shape) + " are empty");
      }
    }
  }
  if (first.inputs.size() > 1 && spec.preprocess != Preprocess{}) {
    fail(first.where, "preprocessing is declared for data with several inputs",
         "save the arrays as the model wants them");
  }
  return std::make_unique<ArrayDataset>(std::move(parts), spec.preprocess,
                                        std::move(description), std::move(class_names));
}

}  // namespace qopt::data
