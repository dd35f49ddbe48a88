// SPDX-License-Identifier: MIT
#include "apps/qopt/progress_line.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace qopt::cli {
namespace {

constexpr int kLongestBar = 30, kShortestBar = 5;

}  // namespace

std::string duration_text(double seconds) {
  const auto whole = static_cast<std::int64_t>(std::llround(std::max(0.0, seconds)));
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{}:{:02}", whole / 60, whole % 60);
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

double seconds_left(double seconds, std::int64_t first, std::int64_t done,
                    std::int64_t total) {
  if (done <= first) return -1;
  return seconds * static_cast<double>(total - done) / static_cast<double>(done - first);
}

std::string progress_line(const ProgressLine& line, int columns) {
  std::string rest = fmt::format(" {}/{}", line.done, line.total);
  if (!line.status.empty()) rest += fmt::format(" {}", line.status);
  rest += fmt::format(", {}", duration_text(line.seconds));
  if (line.seconds_left >= 0 && line.done < line.total) {
    rest += fmt::format(", {} left", duration_text(line.seconds_left));
  }
  const auto taken = static_cast<std::int64_t>(line.head.size() + 3 + rest.size());
  const std::int64_t width =
      std::clamp<std::int64_t>(columns - taken, kShortestBar, kLongestBar);
  const std::int64_t filled =
      width * std::clamp<std::int64_t>(line.done, 0, line.total) / line.total;
  std::string text = fmt::format("{} [{:#<{}}{:.<{}}]{}", line.head, "", filled, "",
                                 width - filled, rest);
  if (text.size() > static_cast<std::size_t>(std::max(columns, 0))) {
    text.resize(static_cast<std::size_t>(std::max(columns, 0)));
  }
  return text;
}

}  // namespace qopt::cli
