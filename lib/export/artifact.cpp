// SPDX-License-Identifier: MIT
// The artifact's rules for paths, and the one place of this room that writes files.
#include "lib/export/artifact.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "lib/core/error.h"

namespace qopt::emit {
namespace {

bool is_safe_path(std::string_view path) {
  if (path.empty() || path.front() == '/' || path.back() == '/') return false;
  std::size_t start = 0;
  while (start <= path.size()) {
    std::size_t end = path.find('/', start);
    if (end == std::string_view::npos) end = path.size();
    const std::string_view part = path.substr(start, end - start);
    if (part.empty() || part == "." || part == "..") return false;
    for (const char c : part) {
      const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                         (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
      if (!plain) return false;
    }
    start = end + 1;
  }
  return true;
}

[[noreturn]] void throw_unwritable(const std::filesystem::path& path) {
  const int code = errno;
  throw Error(ExitCode::Usage, path.string(),
              fmt::format("cannot write: {}", std::strerror(code)),
              "check the output folder's permissions and free space");
}

void write_file(const std::filesystem::path& path, std::string_view bytes) {
  const int file =
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (file < 0) throw_unwritable(path);
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n = ::write(file, bytes.data() + done, bytes.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const int code = errno;
      ::close(file);
      errno = code;
      throw_unwritable(path);
    }
    done += static_cast<std::size_t>(n);
  }
  if (::close(file) != 0) throw_unwritable(path);
}

}  // namespace

void Artifact::add(std::string path, std::string bytes) {
  QOPT_CHECK(is_safe_path(path), "artifact path '{}'", path);
  const auto [at, fresh] = files.emplace(std::move(path), std::move(bytes));
  QOPT_CHECK(fresh, "artifact path '{}' added twice", at->first);
}

void write_files(const Artifact& artifact, const std::filesystem::path& folder) {
  for (const auto& [path, bytes] : artifact.files) {
    QOPT_CHECK(is_safe_path(path), "artifact path '{}'", path);
    const std::filesystem::path target = folder / path;
    std::error_code fault;
    std::filesystem::create_directories(target.parent_path(), fault);
    if (fault) {
      throw Error(ExitCode::Usage, target.parent_path().string(),
                  "cannot make the folder: " + fault.message(),
                  "check the output folder's permissions and free space");
    }
    write_file(target, bytes);
  }
}

}  // namespace qopt::emit
