// SPDX-License-Identifier: MIT
#include "lib/config/problems.h"

namespace qopt::config {
namespace {

std::string lines_of(const std::vector<Problem>& problems) {
  std::string text;
  for (const Problem& problem : problems) {
    if (!text.empty()) text += '\n';
    text += problem.where + ": error: " + problem.what;
  }
  return text;
}

}  // namespace

ConfigError::ConfigError(std::vector<Problem> problems)
    : Error(ExitCode::Usage, "", lines_of(problems)), problems_(std::move(problems)) {}

void Problems::throw_if_any() const {
  if (!list_.empty()) throw ConfigError(list_);
}

}  // namespace qopt::config
