// SPDX-License-Identifier: MIT
// Offsets are those of PKWARE's APPNOTE, sections 4.3.7 (local header), 4.3.12 (central
// directory), 4.3.16 (end record) and 4.5.3 (zip64 sizes).
#include "lib/data/zip.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <utility>

#include "lib/data/inflate.h"

namespace qopt::data {
namespace {

constexpr std::size_t kEndBytes = 22, kCentralBytes = 46, kLocalBytes = 30;
constexpr std::uint32_t kUnknown32 = 0xFFFFFFFF;  // "see the zip64 field"

std::uint64_t little(Bytes file, std::size_t at, std::size_t bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes; i-- > 0;) value = value << 8 | file[at + i];
  return value;
}

std::size_t find_end_record(Bytes file, const std::string& where) {
  // A comment of at most 65535 bytes may follow the record.
  if (file.size() >= kEndBytes) {
    const std::size_t last = file.size() - kEndBytes;
    const std::size_t first = last > 65535 ? last - 65535 : 0;
    for (std::size_t at = last + 1; at-- > first;) {
      if (little(file, at, 4) == 0x06054b50) return at;
    }
  }
  fail(where, "not a zip archive, or its end is missing");
}

/// Sizes that do not fit 32 bits stand in the zip64 extra field, in this order.
void read_zip64(Bytes extra, ZipEntry& entry) {
  std::size_t at = 0;
  while (at + 4 <= extra.size()) {
    const std::uint64_t id = little(extra, at, 2), length = little(extra, at + 2, 2);
    at += 4;
    if (length > extra.size() - at) return;
    if (id == 1) {
      std::size_t field = at;
      for (std::uint64_t* value :
           {&entry.size, &entry.compressed, &entry.header_offset}) {
        if (*value == kUnknown32 && field + 8 <= at + length) {
          *value = little(extra, field, 8);
          field += 8;
        }
      }
    }
    at += static_cast<std::size_t>(length);
  }
}

}  // namespace

std::vector<ZipEntry> zip_entries(Bytes file, const std::string& where) {
  const std::size_t end = find_end_record(file, where);
  const std::uint64_t count = little(file, end + 10, 2);
  std::uint64_t at = little(file, end + 16, 4);
  std::vector<ZipEntry> entries;
  for (std::uint64_t i = 0; i < count; ++i) {
    if (at > file.size() || file.size() - at < kCentralBytes ||
        little(file, static_cast<std::size_t>(at), 4) != 0x02014b50) {
      fail(where, fmt::format("zip directory is damaged at entry {} (offset {})", i, at));
    }
    const auto p = static_cast<std::size_t>(at);
    const auto name_bytes = static_cast<std::size_t>(little(file, p + 28, 2));
    const auto extra_bytes = static_cast<std::size_t>(little(file, p + 30, 2));
    const auto comment_bytes = static_cast<std::size_t>(little(file, p + 32, 2));
    const std::size_t total = kCentralBytes + name_bytes + extra_bytes + comment_bytes;
    if (total > file.size() - p) {
      fail(where, fmt::format("zip directory ends inside entry {} (offset {})", i, at));
    }
    ZipEntry entry;
    entry.name.assign(reinterpret_cast<const char*>(file.data()) + p + kCentralBytes,
                      name_bytes);
    if ((little(file, p + 8, 2) & 1) != 0) fail(where, "zip entries are encrypted");
    entry.method = static_cast<std::uint32_t>(little(file, p + 10, 2));
    entry.crc = static_cast<std::uint32_t>(little(file, p + 16, 4));
    entry.compressed = little(file, p + 20, 4);
    entry.size = little(file, p + 24, 4);
    entry.header_offset = little(file, p + 42, 4);
    read_zip64(file.subspan(p + kCentralBytes + name_bytes, extra_bytes), entry);
    entries.push_back(std::move(entry));
    at += total;
  }
  return entries;
}

ZipContent zip_content(Bytes file, const ZipEntry& entry, const std::string& where) {
  const std::uint64_t header = entry.header_offset;
  if (header > file.size() || file.size() - header < kLocalBytes ||
      little(file, static_cast<std::size_t>(header), 4) != 0x04034b50) {
    fail(where, fmt::format("no zip entry at offset {}", header));
  }
  const auto p = static_cast<std::size_t>(header);
  const std::uint64_t begin =
      header + kLocalBytes + little(file, p + 26, 2) + little(file, p + 28, 2);
  if (begin > file.size() || entry.compressed > file.size() - begin) {
    fail(where,
         fmt::format("zip entry of {} bytes at offset {} passes the end of the file",
                     entry.compressed, header));
  }
  const Bytes stored = file.subspan(static_cast<std::size_t>(begin),
                                    static_cast<std::size_t>(entry.compressed));
  const auto checked = [&](ZipContent content) {
    const Bytes bytes = content;
    if (crc32_z(0, bytes.data(), bytes.size()) != entry.crc)
      fail(where, "check sum is wrong");
    return content;
  };
  if (entry.method == 0) {
    if (entry.size != entry.compressed) fail(where, "sizes of a stored zip entry differ");
    return checked(ZipContent(stored));
  }
  if (entry.method != 8) {
    fail(where, fmt::format("zip compression method {} is not read", entry.method),
         "use numpy.savez or numpy.savez_compressed");
  }
  Inflater inflater(stored, Inflater::Wrapper::Raw, where);
  std::vector<std::uint8_t> content = inflater.take(entry.size);
  inflater.expect_end();
  return checked(ZipContent(std::move(content)));
}

}  // namespace qopt::data
