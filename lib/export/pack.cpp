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

void check_rows(std::int64_t elements, std::int64_t row_length, DType dtype, int bits,
                bool odd) {
  const int width = static_cast<int>(dtype_size(dtype)) * 8;
  QOPT_CHECK(row_length >= 1 && elements % row_length == 0, "{} elements in rows of {}",
             elements, row_length);
  QOPT_CHECK(bits == width || (dtype == DType::I8 && bits >= 1 && bits < 8),
             "{} bits of {}", bits, dtype_name(dtype));
  QOPT_CHECK(!odd || bits < 8, "odd codes of {} bits", bits);
}

unsigned to_field(int code, int bits, bool odd) {
  const LevelSet levels = odd ? LevelSet::O : LevelSet::S;
  QOPT_CHECK(is_code(code, levels, bits), "code {} in {}{}", code, level_set_name(levels),
             bits);
  const int mask = (1 << bits) - 1;
  return static_cast<unsigned>(odd ? (code + mask) / 2 : code & mask);
}

int from_field(int field, int bits, bool odd) {
  if (odd) return 2 * field - ((1 << bits) - 1);
  const int sign = 1 << (bits - 1);
  return (field ^ sign) - sign;
}

}  // namespace

std::string pack_rows(const Tensor& codes, std::int64_t row_length, int bits, bool odd) {
  check_rows(codes.size(), row_length, codes.dtype(), bits, odd);
  if (bits >= 8) {
    const std::span<const std::byte> bytes = codes.bytes();
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  const std::span<const std::int8_t> values = codes.values<std::int8_t>();
  const std::uint64_t stride = row_bytes(row_length, bits);
  std::string out(stride * static_cast<std::uint64_t>(codes.size() / row_length), '\0');
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::size_t row = i / static_cast<std::size_t>(row_length);
    const std::size_t bit =
        i % static_cast<std::size_t>(row_length) * static_cast<std::size_t>(bits);
    const unsigned field = to_field(values[i], bits, odd) << (bit % 8);
    char* byte = out.data() + row * stride + bit / 8;
    byte[0] = static_cast<char>(static_cast<unsigned char>(byte[0]) | (field & 0xFFU));
    if (field > 0xFFU) byte[1] = static_cast<char>(field >> 8);
  }
  return out;
}

Tensor unpack_rows(std::string_view bytes, DType dtype, const Shape& shape,
                   std::int64_t row_length, int bits, bool odd) {
  Tensor tensor = Tensor::zeros(dtype, shape);
  check_rows(tensor.size(), row_length, dtype, bits, odd);
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
    values[i] = static_cast<std::int8_t>(from_field(static_cast<int>(field), bits, odd));
  }
  return tensor;
}

}  // namespace qopt::emit
