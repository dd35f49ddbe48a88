// SPDX-License-Identifier: MIT
// Counting the instructions that an emulated program executes between its marks: a plugin
// for qemu's user emulation, built when it is needed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace qopt::emit {

/// Compiles the plugin in `folder`. Empty on success, else why it cannot be built.
std::string build_counter(const std::filesystem::path& folder);

/// The emulator's arguments that load the plugin of `folder` and have it write to
/// `marks`.
std::vector<std::string> counter_arguments(const std::filesystem::path& folder,
                                           const std::filesystem::path& marks);

/// Instructions executed up to each mark, in order. A mark is a call of close() with a
/// file descriptor of kFirstMark - n. Nothing where the file is not such a list.
struct Mark {
  std::int64_t number = 0;  // n
  std::uint64_t instructions = 0;
};
constexpr std::int64_t kFirstMark = -100000;
std::optional<std::vector<Mark>> read_marks(const std::filesystem::path& marks);

}  // namespace qopt::emit
