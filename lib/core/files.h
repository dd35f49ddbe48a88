// SPDX-License-Identifier: MIT
// Files: whole-file reads with a size limit, and folders that appear complete or not at
// all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace qopt {

/// Whole file. Throws Error(code) naming the path when it cannot be read or exceeds
/// `max_bytes`.
std::string read_file(const std::filesystem::path& path,
                      std::uint64_t max_bytes = 4ULL << 30);

/// Writes through a temporary file in the same folder, fsync, then rename. Throws
/// Error(Usage) naming the path (unwritable, disk full) and leaves nothing behind.
void write_file_atomic(const std::filesystem::path& path, std::string_view bytes);

/// A folder under construction beside `target`. commit() renames it into place, replacing
/// an earlier one; a destructor without commit removes it. Throws Error(Usage) when not
/// writable.
class StagedFolder {
 public:
  explicit StagedFolder(std::filesystem::path target);
  ~StagedFolder();
  StagedFolder(const StagedFolder&) = delete;
  StagedFolder& operator=(const StagedFolder&) = delete;
  const std::filesystem::path& path() const { return staging_; }
  void commit();

 private:
  std::filesystem::path target_, staging_;
  bool committed_ = false;
};

/// Lower-case hex SHA-256 (FIPS 180-4), by libsodium.
std::string sha256_hex(std::span<const std::byte> bytes);
std::string sha256_hex(std::string_view bytes);

}  // namespace qopt
