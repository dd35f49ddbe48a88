// SPDX-License-Identifier: MIT
// Steps: runs the named stages of a job, telling the listener and keeping the time. A
// stage is only its idea; clock, log line and the poll for Ctrl-C are here.
#pragma once

#include <chrono>
#include <string_view>
#include <utility>

#include "lib/core/interrupt.h"
#include "lib/pipeline/listener.h"
#include "lib/report/report.h"

namespace qopt::pipeline {

class Steps {
 public:
  Steps(Listener& listener, int total) : listener_(listener), total_(total) {}

  /// Runs `body` as the next stage and returns what it returns.
  template <class F>
  auto run(std::string_view name, F&& body) {
    const Running running(*this, name);
    throw_if_interrupted();
    return std::forward<F>(body)();
  }

  /// Steps so far, their sum and the process's peak memory (getrusage).
  report::Timing timing() const;

 private:
  using Clock = std::chrono::steady_clock;
  class Running {
   public:
    Running(Steps& steps, std::string_view name);
    ~Running();
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;

   private:
    Steps& steps_;
    std::string_view name_;
    Clock::time_point begin_;
    int failures_;
  };

  Listener& listener_;
  int total_, index_ = 0;
  Clock::time_point begin_ = Clock::now();
  report::Timing timing_;
};

}  // namespace qopt::pipeline
