// SPDX-License-Identifier: MIT
// Listener: how a run tells its caller where it is. The libraries print nothing; the
// program shows a bar on a terminal and one line a step elsewhere.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace qopt::pipeline {

class Listener {
 public:
  virtual ~Listener() = default;
  virtual void step_started(int index, int total, std::string_view name) = 0;
  virtual void step_finished(std::string_view name, double seconds) = 0;
  /// May be called from any thread, and often: who draws decides how often.
  virtual void progress(std::int64_t done, std::int64_t total) = 0;
  /// How the running step does, in a few words that the next call replaces. Comes before
  /// the progress that it belongs to.
  virtual void status(std::string_view text) = 0;
  virtual void note(std::string_view text) = 0;
};

/// Hears nothing.
class SilentListener : public Listener {
 public:
  void step_started(int, int, std::string_view) override {}
  void step_finished(std::string_view, double) override {}
  void progress(std::int64_t, std::int64_t) override {}
  void status(std::string_view) override {}
  void note(std::string_view) override {}
};

}  // namespace qopt::pipeline
