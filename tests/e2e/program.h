// SPDX-License-Identifier: MIT
// Runs the real program (no shell) and keeps what it printed.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/temp_folder.h"

extern char** environ;

namespace qopt {

struct Finished {
  int code = -1;  // 1000 + signal when a signal ended it
  std::string out, err;

  /// Lines of standard error that are no step of the progress.
  std::vector<std::string> complaints() const {
    std::vector<std::string> lines;
    std::string line;
    for (const char c : err) {
      if (c != '\n') {
        line += c;
        continue;
      }
      if (!line.starts_with("[")) lines.push_back(line);
      line.clear();
    }
    if (!line.empty()) lines.push_back(line);
    return lines;
  }
};

/// A run in progress.
class Program {
 public:
  static std::filesystem::path path() { return QOPT_BINARY_DIR "/bin/qopt"; }

  explicit Program(std::vector<std::string> arguments,
                   const std::filesystem::path& program = path()) {
    arguments.insert(arguments.begin(), program.string());
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    const int flags = O_WRONLY | O_CREAT | O_TRUNC;
    posix_spawn_file_actions_addopen(&actions, 1, file("out").c_str(), flags, 0600);
    posix_spawn_file_actions_addopen(&actions, 2, file("err").c_str(), flags, 0600);
    const int fault =
        posix_spawn(&pid_, program.c_str(), &actions, nullptr, argv.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    if (fault != 0) {
      throw std::runtime_error("cannot start " + program.string() +
                               ": build target qopt first");
    }
  }

  void signal(int number) const { ::kill(pid_, number); }
  std::string err() const { return slurp(file("err")); }

  /// Waits until `text` was printed on standard error, or the program ended, or a minute
  /// passed.
  bool wait_for(const std::string& text) const {
    for (int i = 0; i < 6000; ++i) {
      if (err().find(text) != std::string::npos) return true;
      if (::waitid(P_PID, static_cast<id_t>(pid_), nullptr,
                   WEXITED | WNOHANG | WNOWAIT) != 0) {
        return false;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }

  Finished finish() const {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    Finished result;
    result.code = WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
    result.out = slurp(file("out"));
    result.err = slurp(file("err"));
    return result;
  }

 private:
  std::string file(const char* name) const { return (folder_.path() / name).string(); }
  static std::string slurp(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  TempFolder folder_;
  pid_t pid_ = -1;
};

inline Finished qopt(std::vector<std::string> arguments) {
  return Program(std::move(arguments)).finish();
}

}  // namespace qopt
