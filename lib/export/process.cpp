// SPDX-License-Identifier: MIT
// posix_spawn with a pipe, a deadline and a process group of its own.
#include "lib/export/process.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "lib/core/error.h"
#include "lib/core/interrupt.h"

extern char** environ;

namespace qopt::emit {
namespace {

/// Both ends close-on-exec, so that children started by other threads do not hold them.
struct Pipe {
  int read_end = -1, write_end = -1;
  Pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) {
      throw Error(ExitCode::Data, "pipe", std::strerror(errno));
    }
    read_end = ends[0];
    write_end = ends[1];
  }
  ~Pipe() {
    if (read_end >= 0) ::close(read_end);
    if (write_end >= 0) ::close(write_end);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
};

struct SpawnSetup {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  SpawnSetup() {
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
  }
  ~SpawnSetup() {
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
  }
  SpawnSetup(const SpawnSetup&) = delete;
  SpawnSetup& operator=(const SpawnSetup&) = delete;
};

bool is_executable(const std::filesystem::path& path) {
  std::error_code fault;
  return std::filesystem::is_regular_file(path, fault) &&
         ::access(path.c_str(), X_OK) == 0;
}

pid_t spawn(const std::vector<std::string>& arguments,
            const std::filesystem::path& folder, int output) {
  std::vector<char*> argv;
  for (const std::string& argument : arguments) {
    argv.push_back(const_cast<char*>(argument.c_str()));
  }
  argv.push_back(nullptr);
  SpawnSetup setup;
  posix_spawn_file_actions_addopen(&setup.actions, STDIN_FILENO, "/dev/null", O_RDONLY,
                                   0);
  posix_spawn_file_actions_adddup2(&setup.actions, output, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&setup.actions, output, STDERR_FILENO);
  if (!folder.empty()) {
    posix_spawn_file_actions_addchdir_np(&setup.actions, folder.c_str());
  }
  posix_spawnattr_setflags(&setup.attributes, POSIX_SPAWN_SETPGROUP);
  posix_spawnattr_setpgroup(&setup.attributes, 0);
  pid_t child = -1;
  const int fault = ::posix_spawnp(&child, argv[0], &setup.actions, &setup.attributes,
                                   argv.data(), environ);
  if (fault != 0) {
    throw Error(ExitCode::Data, arguments[0],
                fmt::format("cannot be started: {}", std::strerror(fault)));
  }
  return child;
}

}  // namespace

ProcessResult run_process(const std::vector<std::string>& arguments,
                          const std::filesystem::path& folder, std::chrono::seconds limit,
                          std::size_t max_output) {
  QOPT_CHECK(!arguments.empty(), "no program to run");
  Pipe pipe;
  const pid_t child = spawn(arguments, folder, pipe.write_end);
  ::close(pipe.write_end);
  pipe.write_end = -1;

  using Clock = std::chrono::steady_clock;
  const Clock::time_point deadline = Clock::now() + limit;
  ProcessResult result;
  bool stopped = false, open = true;
  while (open && !stopped) {
    if (interrupted() || Clock::now() >= deadline) {
      result.timed_out = !interrupted();
      stopped = true;
      break;
    }
    pollfd ready{pipe.read_end, POLLIN, 0};
    // Short waits, so that Ctrl-C and the deadline are noticed.
    if (::poll(&ready, 1, 100) <= 0) continue;
    char buffer[4096];
    const ssize_t n = ::read(pipe.read_end, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      open = false;
      break;
    }
    const std::size_t room = max_output - std::min(max_output, result.output.size());
    result.output.append(buffer, std::min(room, static_cast<std::size_t>(n)));
  }
  if (stopped) ::kill(-child, SIGKILL);
  // The pipe closed: the child is ending. A child that closed its output yet runs on is
  // bound by the deadline as well.
  int status = 0;
  while (true) {
    const pid_t done = ::waitpid(child, &status, stopped ? 0 : WNOHANG);
    if (done == child) break;
    if (done < 0 && errno != EINTR) break;
    if (done == 0) {
      if (interrupted() || Clock::now() >= deadline) {
        result.timed_out = !interrupted();
        stopped = true;
        ::kill(-child, SIGKILL);
      } else {
        ::usleep(1000);
      }
    }
  }
  throw_if_interrupted();
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

std::string find_program(std::string_view name) {
  if (name.empty()) return {};
  if (name.find('/') != std::string_view::npos) {
    return is_executable(name) ? std::string(name) : std::string();
  }
  const char* path = std::getenv("PATH");
  std::string_view rest = path != nullptr ? path : "/usr/bin:/bin";
  while (true) {
    const std::size_t end = rest.find(':');
    const std::string_view part = rest.substr(0, end);
    const std::filesystem::path candidate =
        std::filesystem::path(part.empty() ? "." : part) / name;
    if (is_executable(candidate)) return candidate.string();
    if (end == std::string_view::npos) return {};
    rest.remove_prefix(end + 1);
  }
}

ScratchFolder::ScratchFolder() {
  std::error_code fault;
  const std::filesystem::path base = std::filesystem::temp_directory_path(fault);
  std::string pattern =
      ((fault ? std::filesystem::path(".") : base) / "qopt-verify-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) {
    throw Error(ExitCode::Usage, pattern,
                fmt::format("cannot make a temporary folder: {}", std::strerror(errno)),
                "set TMPDIR to a writable folder");
  }
  path_ = pattern;
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace qopt::emit
