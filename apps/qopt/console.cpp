// SPDX-License-Identifier: MIT
#include "apps/qopt/console.h"

#include <fmt/format.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "apps/qopt/progress_line.h"
#include "lib/core/names.h"

namespace qopt::cli {
namespace {

constexpr auto kRedraw = std::chrono::milliseconds(100);

bool is_set(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0';
}

/// One less than there are: a full line would wrap.
int columns() {
  struct winsize size = {};
  const bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1;
  return known ? size.ws_col - 1 : 79;
}

}  // namespace

void set_up_log() {
  const auto mode =
      is_set("NO_COLOR") ? spdlog::color_mode::never : spdlog::color_mode::automatic;
  auto logger = spdlog::stderr_color_mt("qopt", mode);
  logger->set_pattern("%v");
  spdlog::set_default_logger(std::move(logger));
}

Console::Console() : is_terminal_(isatty(STDERR_FILENO) == 1 && !is_set("CI")) {}

Console::~Console() { clear_bar(); }

void Console::clear_bar() {
  if (!has_bar_) return;
  std::fputs("\r\033[K", stderr);
  std::fflush(stderr);
  has_bar_ = false;
}

void Console::step_started(int index, int total, std::string_view name) {
  const std::lock_guard lock(mutex_);
  head_ = fmt::format("[{}/{}] {}", index, total, name);
  status_.clear(), first_done_.reset();
  started_ = drawn_ = Clock::now();
  if (is_terminal_) draw(head_ + " ...");
}

void Console::draw(const std::string& line) {
  std::fputs(("\r\033[K" + line).c_str(), stderr);
  std::fflush(stderr);
  has_bar_ = true;
}

void Console::status(std::string_view text) {
  const std::lock_guard lock(mutex_);
  status_ = printable(text);
}

void Console::progress(std::int64_t done, std::int64_t total) {
  const std::lock_guard lock(mutex_);
  const Clock::time_point now = Clock::now();
  if (!first_done_) first_done_ = done, first_time_ = now;
  if (!is_terminal_ || total <= 0 || now - drawn_ < kRedraw) return;
  drawn_ = now;
  const auto since = [&](Clock::time_point from) {
    return std::chrono::duration<double>(now - from).count();
  };
  draw(progress_line(
      {.head = head_,
       .status = status_,
       .done = done,
       .total = total,
       .seconds = since(started_),
       .seconds_left = seconds_left(since(first_time_), *first_done_, done, total)},
      columns()));
}

void Console::step_finished(std::string_view, double seconds) {
  const std::lock_guard lock(mutex_);
  clear_bar();
  spdlog::info("{} ... {:.1f} s", head_, seconds);
}

void Console::note(std::string_view text) {
  const std::lock_guard lock(mutex_);
  clear_bar();
  spdlog::info("{}", text);
}

}  // namespace qopt::cli
