// SPDX-License-Identifier: MIT
#include "lib/core/tensor.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <new>

namespace qopt {
namespace {

struct DTypeRow {
  DType dtype;
  std::string_view name;
  std::size_t size;
};

constexpr DTypeRow kDTypes[] = {
    {DType::F32, "f32", 4}, {DType::F64, "f64", 8},   {DType::I8, "i8", 1},
    {DType::U8, "u8", 1},   {DType::I16, "i16", 2},   {DType::I32, "i32", 4},
    {DType::I64, "i64", 8}, {DType::Bool, "bool", 1},
};

const DTypeRow& row_of(DType dtype) {
  for (const DTypeRow& row : kDTypes) {
    if (row.dtype == dtype) return row;
  }
  throw InternalError("unknown dtype");
}

}  // namespace

std::string_view dtype_name(DType dtype) { return row_of(dtype).name; }
std::size_t dtype_size(DType dtype) { return row_of(dtype).size; }

DType parse_dtype(std::string_view text) {
  for (const DTypeRow& row : kDTypes) {
    if (row.name == text) return row.dtype;
  }
  throw Error(ExitCode::Usage, "", fmt::format("unknown element type '{}'", text),
              "one of f32, f64, i8, u8, i16, i32, i64, bool");
}

std::int64_t num_elements(const Shape& shape) {
  std::int64_t n = 1;
  for (std::int64_t extent : shape) {
    if (extent < 0 || __builtin_mul_overflow(n, extent, &n)) {
      throw Error(ExitCode::ModelUnsupported, "",
                  "impossible shape " + shape_text(shape));
    }
  }
  return n;
}

std::string shape_text(const Shape& shape) {
  return shape.empty() ? "scalar" : fmt::format("{}", fmt::join(shape, "x"));
}

Tensor Tensor::zeros(DType dtype, Shape shape) {
  Tensor t;
  t.dtype_ = dtype;
  t.size_ = num_elements(shape);
  t.shape_ = std::move(shape);
  std::int64_t bytes = 0;
  if (__builtin_mul_overflow(t.size_, static_cast<std::int64_t>(dtype_size(dtype)),
                             &bytes)) {
    throw Error(ExitCode::ModelUnsupported, "",
                "impossible shape " + shape_text(t.shape_));
  }
  // At least one byte, so that an empty tensor is still `defined()`.
  t.bytes_ = std::make_shared<std::byte[]>(std::max<std::size_t>(1, t.size_bytes()));
  return t;
}

Tensor Tensor::reshaped(Shape shape) const {
  QOPT_CHECK(num_elements(shape) == size_, "reshape {} to {}", shape_text(shape_),
             shape_text(shape));
  Tensor t = *this;
  t.shape_ = std::move(shape);
  return t;
}

std::int64_t Tensor::integer_at(std::int64_t i) const {
  QOPT_CHECK(i >= 0 && i < size_, "index {} of {}", i, size_);
  const auto at = static_cast<std::size_t>(i);
  switch (dtype_) {
    case DType::I8: return values<std::int8_t>()[at];
    case DType::U8: return values<std::uint8_t>()[at];
    case DType::I16: return values<std::int16_t>()[at];
    case DType::I32: return values<std::int32_t>()[at];
    case DType::I64: return values<std::int64_t>()[at];
    case DType::Bool: return values<bool>()[at] ? 1 : 0;
    case DType::F32:
    case DType::F64: break;
  }
  throw InternalError("integer_at on a float tensor");
}

bool Tensor::operator==(const Tensor& other) const {
  return defined() == other.defined() && dtype_ == other.dtype_ &&
         shape_ == other.shape_ && std::ranges::equal(bytes(), other.bytes());
}

Tensor permuted(const Tensor& t, std::span<const std::int64_t> perm) {
  const Shape& from = t.shape();
  QOPT_CHECK(perm.size() == from.size(), "permutation of rank {} on {}", perm.size(),
             shape_text(from));
  const std::size_t rank = from.size();
  std::vector<std::int64_t> stride(rank, 1);
  for (std::size_t i = rank; i-- > 1;) stride[i - 1] = stride[i] * from[i];
  Shape to(rank);
  std::vector<std::int64_t> step(rank);
  for (std::size_t i = 0; i < rank; ++i) {
    to[i] = from[static_cast<std::size_t>(perm[i])];
    step[i] = stride[static_cast<std::size_t>(perm[i])];
  }
  Tensor out = Tensor::zeros(t.dtype(), to);
  const std::size_t width = dtype_size(t.dtype());
  const std::byte* src = t.bytes().data();
  std::byte* dst = out.mutable_bytes().data();
  std::vector<std::int64_t> index(rank, 0);
  std::int64_t offset = 0;
  for (std::int64_t n = 0; n < t.size(); ++n) {
    std::memcpy(dst + static_cast<std::size_t>(n) * width,
                src + static_cast<std::size_t>(offset) * width, width);
    for (std::size_t axis = rank; axis-- > 0;) {
      offset += step[axis];
      if (++index[axis] < to[axis]) break;
      offset -= step[axis] * to[axis];
      index[axis] = 0;
    }
  }
  return out;
}

}  // namespace qopt
