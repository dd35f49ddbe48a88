// SPDX-License-Identifier: MIT
#include "apps/qopt/console.h"

#include <fmt/format.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace qopt::cli {
namespace {

constexpr int kBarWidth = 30;
constexpr auto kRedraw = std::chrono::milliseconds(100);

bool is_set(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0';
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
  started_ = drawn_ = Clock::now();
  if (!is_terminal_) return;
  std::fputs((head_ + " ...").c_str(), stderr);
  std::fflush(stderr);
  has_bar_ = true;
}

void Console::progress(std::int64_t done, std::int64_t total) {
  const std::lock_guard lock(mutex_);
  const Clock::time_point now = Clock::now();
  if (!is_terminal_ || total <= 0 || now - drawn_ < kRedraw) return;
  drawn_ = now;
  const int filled = static_cast<int>(kBarWidth * done / total);
  const std::string bar = std::string(static_cast<std::size_t>(filled), '#') +
                          std::string(static_cast<std::size_t>(kBarWidth - filled), '.');
  const double seconds = std::chrono::duration<double>(now - started_).count();
  std::fputs(
      fmt::format("\r\033[K{} [{}] {}/{} {:.0f} s", head_, bar, done, total, seconds)
          .c_str(),
      stderr);
  std::fflush(stderr);
  has_bar_ = true;
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
