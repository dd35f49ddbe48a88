// SPDX-License-Identifier: MIT
// Tensor: an immutable, dense, row-major array of one element type, cheap to copy (bytes
// are shared). Knows nothing of LibTorch, graphs or encodings.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "lib/core/error.h"

namespace qopt {

enum class DType { F32, F64, I8, U8, I16, I32, I64, Bool };

/// Spelling used in the graph's text form ("f32", "i8", ...).
std::string_view dtype_name(DType dtype);
/// Inverse of dtype_name; throws Error(Usage) on an unknown spelling.
DType parse_dtype(std::string_view text);
/// Bytes of one element.
std::size_t dtype_size(DType dtype);

template <class T>
constexpr DType dtype_of() {
  if constexpr (std::is_same_v<T, float>) return DType::F32;
  if constexpr (std::is_same_v<T, double>) return DType::F64;
  if constexpr (std::is_same_v<T, std::int8_t>) return DType::I8;
  if constexpr (std::is_same_v<T, std::uint8_t>) return DType::U8;
  if constexpr (std::is_same_v<T, std::int16_t>) return DType::I16;
  if constexpr (std::is_same_v<T, std::int32_t>) return DType::I32;
  if constexpr (std::is_same_v<T, std::int64_t>) return DType::I64;
  if constexpr (std::is_same_v<T, bool>) return DType::Bool;
}

/// Extents, outermost first. Every extent is >= 0.
using Shape = std::vector<std::int64_t>;

/// Number of elements; throws Error(ModelUnsupported) when the product overflows int64 or
/// an extent is negative.
std::int64_t num_elements(const Shape& shape);
/// "1x3x32x32"; "scalar" for rank 0.
std::string shape_text(const Shape& shape);

class Tensor {
 public:
  Tensor() = default;
  /// Zero-filled tensor of the given type and shape.
  static Tensor zeros(DType dtype, Shape shape);
  /// Copies `values`; their count must be num_elements(shape).
  template <class T>
  static Tensor from(std::span<const T> values, Shape shape) {
    Tensor t = zeros(dtype_of<T>(), std::move(shape));
    QOPT_CHECK(values.size() == static_cast<std::size_t>(t.size()),
               "{} values for shape {}", values.size(), shape_text(t.shape()));
    if (!values.empty()) std::memcpy(t.bytes_.get(), values.data(), values.size_bytes());
    return t;
  }
  template <class T>
  static Tensor from(const std::vector<T>& values, Shape shape) {
    return from(std::span<const T>(values), std::move(shape));
  }
  /// One-dimensional tensor of `values`.
  template <class T>
  static Tensor of(const std::vector<T>& values) {
    return from(std::span<const T>(values), {static_cast<std::int64_t>(values.size())});
  }

  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  std::int64_t size() const { return size_; }
  std::size_t size_bytes() const {
    return static_cast<std::size_t>(size_) * dtype_size(dtype_);
  }
  bool defined() const { return bytes_ != nullptr; }

  /// Elements as T; T must match dtype().
  template <class T>
  std::span<const T> values() const {
    QOPT_CHECK(dtype_of<T>() == dtype_, "tensor holds {}", dtype_name(dtype_));
    return {reinterpret_cast<const T*>(bytes_.get()), static_cast<std::size_t>(size_)};
  }
  std::span<const std::byte> bytes() const { return {bytes_.get(), size_bytes()}; }

  /// Writable elements; only the sole owner may write (the tensor was just made).
  template <class T>
  std::span<T> mutable_values() {
    QOPT_CHECK(dtype_of<T>() == dtype_, "tensor holds {}", dtype_name(dtype_));
    QOPT_CHECK(bytes_.use_count() == 1, "write to a shared tensor");
    return {reinterpret_cast<T*>(bytes_.get()), static_cast<std::size_t>(size_)};
  }
  std::span<std::byte> mutable_bytes() {
    QOPT_CHECK(bytes_.use_count() == 1, "write to a shared tensor");
    return {bytes_.get(), size_bytes()};
  }

  /// Same bytes under another shape with the same number of elements.
  Tensor reshaped(Shape shape) const;
  /// Element `i` of an integer tensor (I8, U8, I16, I32, I64, Bool) widened.
  std::int64_t integer_at(std::int64_t i) const;

  /// Same dtype, shape and bytes.
  bool operator==(const Tensor& other) const;

 private:
  DType dtype_ = DType::F32;
  Shape shape_;
  std::int64_t size_ = 0;
  std::shared_ptr<std::byte[]> bytes_;
};

/// Reorders axes: result axis i is axis perm[i] of `t` (as torch.permute), bytes made
/// dense.
Tensor permuted(const Tensor& t, std::span<const std::int64_t> perm);

}  // namespace qopt
