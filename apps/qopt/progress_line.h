// SPDX-License-Identifier: MIT
// The moving line of a step: a bar, what the step says of itself, how long it will take.
// Pure text; knows no terminal but its width.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace qopt::cli {

struct ProgressLine {
  std::string_view head;    // "[4/10] train"
  std::string_view status;  // of the step, may be empty
  std::int64_t done = 0, total = 1;
  double seconds = 0;       // since the step began
  double seconds_left = 0;  // below 0: not known
};

/// The line in at most `columns` characters, so that it can be drawn over itself: the bar
/// shrinks first, then the end is cut.
std::string progress_line(const ProgressLine& line, int columns);

/// "8 s", "3:07", "1:02:45".
std::string duration_text(double seconds);

/// Seconds left when `done` of `total` are done and the part since `first` took
/// `seconds`; -1 while that says nothing.
double seconds_left(double seconds, std::int64_t first, std::int64_t done,
                    std::int64_t total);

}  // namespace qopt::cli
