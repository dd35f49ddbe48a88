// SPDX-License-Identifier: MIT
// Little-endian bytes: written by appending, read with every bound checked. CRC-32 of the
// blob and the golden files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace qopt::emit {

/// CRC-32 (IEEE 802.3: polynomial 0xEDB88320 reflected, initial and final complement).
std::uint32_t crc32(std::string_view bytes);

void append_u16(std::string& out, std::uint16_t value);
void append_u32(std::string& out, std::uint32_t value);
void append_u64(std::string& out, std::uint64_t value);

/// Cursor over untrusted bytes. Throws Error(Data) with `where`, the offset and what was
/// read when they run out.
class ByteReader {
 public:
  ByteReader(std::string_view bytes, std::string where)
      : bytes_(bytes), where_(std::move(where)) {}

  std::uint16_t u16(std::string_view what);
  std::uint32_t u32(std::string_view what);
  std::uint64_t u64(std::string_view what);
  std::string_view take(std::uint64_t count, std::string_view what);
  std::uint64_t offset() const { return at_; }
  std::uint64_t left() const { return bytes_.size() - at_; }
  [[noreturn]] void fail(std::string_view reason) const;

 private:
  std::uint64_t number(int bytes, std::string_view what);

  std::string_view bytes_;
  std::string where_;
  std::size_t at_ = 0;
};

}  // namespace qopt::emit
