// SPDX-License-Identifier: MIT
// Errors: what a user can cause (Error, with an exit code) and what only we can
// (InternalError). Knows nothing of graphs, models or the command line.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace qopt {

/// Process exit codes. They are a contract with CI pipelines: never renumber.
enum class ExitCode {
  Ok = 0,
  Internal = 1,
  Usage = 2,
  ModelUnsupported = 3,
  Data = 4,
  Infeasible = 5,
  GateFailed = 6,
  NotBitExact = 7,
  Undecided = 8,
  BudgetReached = 9,
  Interrupted = 130,
};

/// Something the user can cause and can repair. `where` is a file:line:col, key path,
/// layer or value name (may be empty); `what` says what is wrong; `hint` (may be empty)
/// what to do.
class Error : public std::runtime_error {
 public:
  Error(ExitCode code, std::string where, std::string what, std::string hint = {})
      : std::runtime_error(join(where, what, hint)),
        code_(code),
        where_(std::move(where)),
        what_(std::move(what)),
        hint_(std::move(hint)) {}

  ExitCode code() const { return code_; }
  const std::string& where() const { return where_; }
  const std::string& message() const { return what_; }
  const std::string& hint() const { return hint_; }

 private:
  static std::string join(const std::string& where, const std::string& what,
                          const std::string& hint) {
    std::string text = where.empty() ? what : where + ": " + what;
    return hint.empty() ? text : text + " (" + hint + ")";
  }

  ExitCode code_;
  std::string where_, what_, hint_;
};

/// Our own mistake: an invariant that user input must never be able to break.
class InternalError : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

}  // namespace qopt

/// Throws InternalError with source position when `cond` is false. Not for user input.
#define QOPT_CHECK(cond, ...)                                                          \
  do {                                                                                 \
    if (!(cond)) {                                                                     \
      throw ::qopt::InternalError(fmt::format("{}:{}: check failed: {}: {}", __FILE__, \
                                              __LINE__, #cond,                         \
                                              fmt::format(__VA_ARGS__)));              \
    }                                                                                  \
  } while (false)
