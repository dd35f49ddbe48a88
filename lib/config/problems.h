// SPDX-License-Identifier: MIT
// Problems: every fault of a configuration, gathered first and reported at once.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "lib/core/error.h"

namespace qopt::config {

/// One fault: `where` is file:line:col or `--set KEY`.
struct Problem {
  std::string where, what;
};

/// Error(Usage) for a list of problems; what() is one line a problem, `WHERE: error:
/// WHAT`.
class ConfigError : public Error {
 public:
  explicit ConfigError(std::vector<Problem> problems);
  const std::vector<Problem>& problems() const { return problems_; }

 private:
  std::vector<Problem> problems_;
};

/// The list under construction, in the order of discovery.
class Problems {
 public:
  void add(std::string where, std::string what) {
    list_.push_back({std::move(where), std::move(what)});
  }
  bool empty() const { return list_.empty(); }
  const std::vector<Problem>& list() const { return list_; }
  /// Throws ConfigError when there are any.
  void throw_if_any() const;

 private:
  std::vector<Problem> list_;
};

}  // namespace qopt::config
