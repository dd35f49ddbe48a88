// SPDX-License-Identifier: MIT
// Dense bit packing of weight rows (docs/blob.md, "Packed elements").
#include <limits>

#include "lib/core/error.h"
#include "lib/export/blob.h"

namespace qopt::emit {
namespace {

std::uint64_t row_bytes(std::int64_t row_length, int bits) {
  return (static_cast<std::uint64_t>(row_length) * static_cast<std::uint64_t>(bits) + 7) /
         8;
}

void check_rows(std::int64_t elements, std::int64_t row_length, DType dtype, int bits) {
  const int width = static_cast<int>(dtype_size(dtype)) * 8;
  QOPT_CHECK(row_length >= 1 && elements % row_length == 0, "{} elements in rows of {}",
             elements, row_length);
  QOPT_CHECK(bits == width || (dtype == DType::I8 && bits >= 1 && bits < 8),
             "{} bits of {}", bits, dtype_name(dtype));
}

}  // namespace

std::string pack_rows(const Tensor& codes, std::int64_t row_length, int bits) {
  check_rows(codes.size(), row_length, codes.dtype(), bits);
  if (bits >= 8) {
    const std::span<const std::byte> bytes = codes.bytes();
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  const std::span<const std::int8_t> values = codes.values<std::int8_t>();
  const std::uint64_t stride = row_bytes(row_length, bits);
  const int lowest = -(1 << (bits - 1)), highest = (1 << (bits - 1)) - 1;
  const unsigned mask = (1U << bits) - 1U;
  std::string out(stride * static_cast<std::uint64_t>(codes.size() / row_length), '\0');
  for (std::size_t i = 0; i < values.size(); ++i) {
    QOPT_CHECK(values[i] >= lowest && values[i] <= highest, "code {} in {} bits",
               int{values[i]}, bits);
    const std::size_t row = i / static_cast<std::size_t>(row_length);
    const std::size_t bit =
        i % static_cast<std::size_t>(row_length) * static_cast<std::size_t>(bits);
    const unsigned field = (static_cast<unsigned>(int{values[i]}) & mask) << (bit % 8);
    char* byte = out.data() + row * stride + bit / 8;
    byte[0] = static_cast<char>(static_cast<unsigned char>(byte[0]) | (field & 0xFFU));
    if (field > 0xFFU) byte[1] = static_cast<char>(field >> 8);
  }
  return out;
}

Tensor unpack_rows(std::string_view bytes, DType dtype, const Shape& shape,
                   std::int64_t row_length, int bits) {
  Tensor tensor = Tensor::zeros(dtype, shape);
  check_rows(tensor.size(), row_length, dtype, bits);
  const std::uint64_t stride = row_bytes(row_length, bits);
  const std::uint64_t size =
      bits >= 8 ? tensor.size_bytes()
                : stride * static_cast<std::uint64_t>(tensor.size() / row_length);
  QOPT_CHECK(bytes.size() == size, "{} bytes for {}, not {}", bytes.size(),
             shape_text(shape), size);
  if (bits >= 8) {
    if (size != 0) std::memcpy(tensor.mutable_bytes().data(), bytes.data(), size);
    return tensor;
  }
  const std::span<std::int8_t> values = tensor.mutable_values<std::int8_t>();
  const unsigned sign = 1U << (bits - 1);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::size_t row = i / static_cast<std::size_t>(row_length);
    const std::size_t bit =
        i % static_cast<std::size_t>(row_length) * static_cast<std::size_t>(bits);
    const char* byte = bytes.data() + row * stride + bit / 8;
    unsigned field = static_cast<unsigned char>(byte[0]);
    if (bit % 8 + static_cast<std::size_t>(bits) > 8) {
      field |= static_cast<unsigned>(static_cast<unsigned char>(byte[1])) << 8;
    }
    field = (field >> (bit % 8)) & ((1U << bits) - 1U);
    values[i] =
        static_cast<std::int8_t>(static_cast<int>(field ^ sign) - static_cast<int>(sign));
  }
  return tensor;
}

}  // namespace qopt::emit
