// SPDX-License-Identifier: MIT
#include "lib/core/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sodium/crypto_hash_sha256.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "lib/core/error.h"
#include "lib/core/names.h"

namespace qopt {
namespace {

namespace fs = std::filesystem;

std::string reason() { return std::strerror(errno); }

/// An open file descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

}  // namespace

std::string read_file(const fs::path& path, std::uint64_t max_bytes) {
  const std::string where = printable(path.string());
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) throw Error(ExitCode::Data, where, "cannot read: " + reason());
  struct stat info = {};
  if (::fstat(file.get(), &info) != 0) {
    throw Error(ExitCode::Data, where, "cannot read: " + reason());
  }
  if (!S_ISREG(info.st_mode)) throw Error(ExitCode::Data, where, "not a regular file");
  const auto size = static_cast<std::uint64_t>(info.st_size);
  if (size > max_bytes) {
    throw Error(ExitCode::Data, where,
                fmt::format("{} bytes, more than the {} allowed here", size, max_bytes));
  }
  std::string bytes(size, '\0');
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t got = ::read(file.get(), bytes.data() + done, bytes.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw Error(ExitCode::Data, where, "cannot read: " + reason());
    if (got == 0) throw Error(ExitCode::Data, where, "file shrank while it was read");
    done += static_cast<std::size_t>(got);
  }
  return bytes;
}

void write_file_atomic(const fs::path& path, std::string_view bytes) {
  const std::string where = printable(path.string());
  std::string temporary = path.string() + ".XXXXXX";
  Descriptor file(::mkostemp(temporary.data(), O_CLOEXEC));
  if (file.get() < 0) throw Error(ExitCode::Usage, where, "cannot write: " + reason());
  const auto fail = [&]() {
    const std::string why = reason();
    ::unlink(temporary.c_str());
    throw Error(ExitCode::Usage, where, "cannot write: " + why);
  };
  while (!bytes.empty()) {
    const ssize_t put = ::write(file.get(), bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) fail();
    bytes.remove_prefix(static_cast<std::size_t>(put));
  }
  // mkstemp gives 0600; artefacts are for others to read as well, within the user's
  // umask.
  const mode_t mask = ::umask(0);
  ::umask(mask);
  if (::fchmod(file.get(), 0666 & ~mask) != 0 || ::fsync(file.get()) != 0 ||
      ::close(file.release()) != 0 || ::rename(temporary.c_str(), path.c_str()) != 0) {
    fail();
  }
}

StagedFolder::StagedFolder(fs::path target) : target_(std::move(target)) {
  const std::string where = printable(target_.string());
  std::error_code error;
  target_ = fs::absolute(target_, error).lexically_normal();
  if (!target_.has_filename()) target_ = target_.parent_path();
  if (fs::exists(target_, error) && !fs::is_directory(target_, error)) {
    throw Error(ExitCode::Usage, where, "cannot write: exists and is not a folder");
  }
  fs::create_directories(target_.parent_path(), error);
  std::string pattern =
      (target_.parent_path() / ("." + target_.filename().string() + ".XXXXXX")).string();
  if (::mkdtemp(pattern.data()) == nullptr) {
    throw Error(ExitCode::Usage, where, "cannot write: " + reason());
  }
  staging_ = pattern;
  fs::permissions(staging_,
                  fs::perms::owner_all | fs::perms::group_read | fs::perms::group_exec |
                      fs::perms::others_read | fs::perms::others_exec,
                  error);
}

StagedFolder::~StagedFolder() {
  std::error_code error;
  if (!committed_) fs::remove_all(staging_, error);
}

void StagedFolder::commit() {
  const std::string where = printable(target_.string());
  std::error_code error;
  const fs::path old = staging_.string() + ".old";
  const bool replaces = fs::exists(target_, error);
  if (replaces) {
    fs::rename(target_, old, error);
    if (error) throw Error(ExitCode::Usage, where, "cannot replace: " + error.message());
  }
  fs::rename(staging_, target_, error);
  if (error) {
    const std::string why = error.message();
    if (replaces) fs::rename(old, target_, error);
    throw Error(ExitCode::Usage, where, "cannot write: " + why);
  }
  committed_ = true;
  if (replaces) fs::remove_all(old, error);
}

std::string sha256_hex(std::span<const std::byte> bytes) {
  std::array<unsigned char, crypto_hash_sha256_BYTES> digest{};
  crypto_hash_sha256(digest.data(), reinterpret_cast<const unsigned char*>(bytes.data()),
                     bytes.size());
  std::string hex;
  for (unsigned char byte : digest) hex += fmt::format("{:02x}", byte);
  return hex;
}

std::string sha256_hex(std::string_view bytes) {
  return sha256_hex(std::as_bytes(std::span(bytes.data(), bytes.size())));
}

}  // namespace qopt
