// SPDX-License-Identifier: MIT
// Child processes for verification: started without a shell, with captured output and a
// time limit, in a scratch folder that disappears. Knows nothing of exports.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace qopt::emit {

struct ProcessResult {
  int exit_code = -1;      // 128 + signal when killed by one
  bool timed_out = false;  // killed by us at the time limit
  std::string output;      // stdout and stderr as they came, at most `max_output` bytes
};

/// Runs arguments[0] (searched on PATH) with `arguments`, working folder `folder` (empty:
/// ours), stdin empty. Kills the child's process group at the time limit or on
/// interruption (then throws Error(Interrupted)). Throws Error(Data) when it cannot be
/// started.
ProcessResult run_process(const std::vector<std::string>& arguments,
                          const std::filesystem::path& folder, std::chrono::seconds limit,
                          std::size_t max_output = 1 << 20);

/// Full path of an executable on PATH (or of a path with '/'); empty when there is none.
std::string find_program(std::string_view name);

/// A fresh private folder under the system's temporary folder, removed with its content.
class ScratchFolder {
 public:
  ScratchFolder();
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace qopt::emit
