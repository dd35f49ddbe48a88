// SPDX-License-Identifier: MIT
#include "lib/pipeline/steps.h"

#include <sys/resource.h>

#include <exception>

namespace qopt::pipeline {

Steps::Running::Running(Steps& steps, std::string_view name)
    : steps_(steps),
      name_(name),
      begin_(Clock::now()),
      failures_(std::uncaught_exceptions()) {
  steps_.listener_.step_started(++steps_.index_, steps_.total_, name);
}

Steps::Running::~Running() {
  if (std::uncaught_exceptions() > failures_) return;  // the error line says enough
  const double seconds = std::chrono::duration<double>(Clock::now() - begin_).count();
  steps_.timing_.steps.push_back({std::string(name_), seconds});
  steps_.listener_.step_finished(name_, seconds);
}

report::Timing Steps::timing() const {
  report::Timing timing = timing_;
  timing.total_seconds = std::chrono::duration<double>(Clock::now() - begin_).count();
  struct rusage usage = {};
  if (getrusage(RUSAGE_SELF, &usage) == 0) {
    timing.peak_memory_bytes = static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;  // KiB
  }
  return timing;
}

}  // namespace qopt::pipeline
