// SPDX-License-Identifier: MIT
#include "lib/export/bytes.h"

#include <array>

#include "lib/core/error.h"

namespace qopt::emit {
namespace {

constexpr std::array<std::uint32_t, 256> kCrcTable = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t x = i;
    for (int bit = 0; bit < 8; ++bit) x = (x >> 1) ^ ((x & 1U) != 0 ? 0xEDB88320U : 0U);
    table[i] = x;
  }
  return table;
}();

void append(std::string& out, std::uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out += static_cast<char>((value >> (8 * i)) & 0xFFU);
}

}  // namespace

std::uint32_t crc32(std::string_view bytes) {
  std::uint32_t x = 0xFFFFFFFFU;
  for (const char c : bytes)
    x = kCrcTable[(x ^ static_cast<unsigned char>(c)) & 0xFFU] ^ (x >> 8);
  return ~x;
}

void append_u16(std::string& out, std::uint16_t value) { append(out, value, 2); }
void append_u32(std::string& out, std::uint32_t value) { append(out, value, 4); }
void append_u64(std::string& out, std::uint64_t value) { append(out, value, 8); }

std::uint64_t ByteReader::number(int bytes, std::string_view what) {
  const std::string_view taken = take(static_cast<std::uint64_t>(bytes), what);
  std::uint64_t value = 0;
  for (int i = bytes; i-- > 0;) {
    value = (value << 8) | static_cast<unsigned char>(taken[static_cast<std::size_t>(i)]);
  }
  return value;
}

std::uint16_t ByteReader::u16(std::string_view what) {
  return static_cast<std::uint16_t>(number(2, what));
}
std::uint32_t ByteReader::u32(std::string_view what) {
  return static_cast<std::uint32_t>(number(4, what));
}
std::uint64_t ByteReader::u64(std::string_view what) { return number(8, what); }

std::string_view ByteReader::take(std::uint64_t count, std::string_view what) {
  if (count > left()) {
    throw Error(ExitCode::Data, where_,
                fmt::format("ends at byte {} inside {} ({} bytes needed at {})",
                            bytes_.size(), what, count, at_));
  }
  const std::string_view taken = bytes_.substr(at_, count);
  at_ += count;
  return taken;
}

void ByteReader::fail(std::string_view reason) const {
  throw Error(ExitCode::Data, where_, fmt::format("at byte {}: {}", at_, reason));
}

}  // namespace qopt::emit
