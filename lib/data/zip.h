// SPDX-License-Identifier: MIT
// Zip archives in memory: the central directory, and entries stored or deflated. As much
// as NPZ needs; no encryption, no archives beyond 4 GiB.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lib/data/source.h"

namespace qopt::data {

struct ZipEntry {
  std::string name;
  std::uint32_t method = 0, crc = 0;
  std::uint64_t compressed = 0, size = 0, header_offset = 0;
};

/// Entries in the order of the central directory. Throws Error(Data) naming `where`.
std::vector<ZipEntry> zip_entries(Bytes file, const std::string& where);

/// Uncompressed bytes of one entry, its CRC-32 checked; a view into `file` where it is
/// stored.
class ZipContent {
 public:
  explicit ZipContent(Bytes view) : view_(view) {}
  explicit ZipContent(std::vector<std::uint8_t> owned)
      : owned_(std::move(owned)), view_(owned_) {}
  ZipContent(ZipContent&&) = default;  // a moved vector keeps its bytes where they are
  operator Bytes() const { return view_; }

 private:
  std::vector<std::uint8_t> owned_;
  Bytes view_;
};
ZipContent zip_content(Bytes file, const ZipEntry& entry, const std::string& where);

}  // namespace qopt::data
