// SPDX-License-Identifier: MIT
// What all readers share: reading a file with a limit, and the one form of error for bad
// data. Knows no format.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace qopt::data {

using Bytes = std::span<const std::uint8_t>;

/// Largest record file or decompressed array that a reader accepts.
inline constexpr std::uint64_t kMaxFileBytes = 4ULL << 30;
/// Largest image, in pixels, before and after resizing.
inline constexpr std::int64_t kMaxPixels = 64LL << 20;

/// Throws Error(Data); `where` is a path or "path: record 12", made printable here.
[[noreturn]] void fail(std::string_view where, std::string what, std::string hint = {});

/// Whole file; Error(Data) when it cannot be read or is larger than `max_bytes`.
std::string read_source(const std::filesystem::path& path,
                        std::uint64_t max_bytes = kMaxFileBytes);

inline Bytes bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

/// File names without their folders, at most three, for descriptions that must not depend
/// on where the data lies.
std::string names_text(std::span<const std::filesystem::path> files);

}  // namespace qopt::data
