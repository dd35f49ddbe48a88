// SPDX-License-Identifier: MIT
// Artifact: what an export will write, as paths and bytes. Emitting never touches the
// disk, so tests compare strings and one function does all writing. Namespace qopt::emit,
// because `export` is a keyword.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>

namespace qopt::emit {

/// Relative POSIX path -> bytes, in path order.
struct Artifact {
  std::map<std::string, std::string, std::less<>> files;

  /// Adds a file; the path must be relative, without "..", and not yet present.
  void add(std::string path, std::string bytes);
};

/// Writes every file below `folder` (which exists). Throws Error(Usage) naming the path.
void write_files(const Artifact& artifact, const std::filesystem::path& folder);

}  // namespace qopt::emit
