// SPDX-License-Identifier: MIT
// The terminal: progress on standard error, a moving bar with the time that is left where
// somebody watches, else one line a step and its notes. Standard output belongs to
// results.
#pragma once

#include <chrono>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "lib/pipeline/listener.h"

namespace qopt::cli {

/// Sends the log to standard error, coloured unless NO_COLOR is set or it is no terminal.
void set_up_log();

class Console : public pipeline::Listener {
 public:
  Console();
  ~Console() override;
  void step_started(int index, int total, std::string_view name) override;
  void step_finished(std::string_view name, double seconds) override;
  void progress(std::int64_t done, std::int64_t total) override;
  void status(std::string_view text) override;
  void note(std::string_view text) override;

 private:
  using Clock = std::chrono::steady_clock;
  void clear_bar();
  void draw(const std::string& line);

  std::mutex mutex_;
  bool is_terminal_, has_bar_ = false;
  std::string head_, status_;
  Clock::time_point started_, drawn_, first_time_;
  // Where the step was at first_time_: a run that resumes does not start at 0.
  std::optional<std::int64_t> first_done_;
};

}  // namespace qopt::cli
