// SPDX-License-Identifier: MIT
// The moving line fits the terminal, and what it says of the time that is left is true.
#include "apps/qopt/progress_line.h"

#include "tests/support/catch.h"

namespace qopt::cli {
namespace {

TEST_CASE("durations as people read them") {
  CHECK(duration_text(-1) == "0 s");
  CHECK(duration_text(8.4) == "8 s");
  CHECK(duration_text(59.6) == "1:00");
  CHECK(duration_text(187) == "3:07");
  CHECK(duration_text(3600 + 2 * 60 + 5) == "1:02:05");
}

TEST_CASE("the time left comes from what this run did itself") {
  CHECK(seconds_left(10, 0, 1, 5) == 40);
  CHECK(seconds_left(10, 900, 901, 1000) == 990);  // resumed at 900
  CHECK(seconds_left(10, 0, 5, 5) == 0);
  CHECK(seconds_left(0, 3, 3, 5) < 0);  // nothing done yet
}

TEST_CASE("a line says all it knows") {
  const ProgressLine line{.head = "[4/10] train",
                          .status = "loss 0.651, training 93.4 %",
                          .done = 450,
                          .total = 1800,
                          .seconds = 195,
                          .seconds_left = 590};
  CHECK(
      progress_line(line, 200) ==
      "[4/10] train [#######.......................] 450/1800 loss 0.651, training 93.4 "
      "%, 3:15, 9:50 left");
  // The bar gives way first, then the end of the line.
  CHECK(progress_line(line, 79) ==
        "[4/10] train [##........] 450/1800 loss 0.651, training 93.4 %, 3:15, 9:50 left");
  CHECK(progress_line(line, 40) == "[4/10] train [#....] 450/1800 loss 0.651");
  for (int columns = 0; columns < 120; ++columns) {
    CHECK(progress_line(line, columns).size() <= static_cast<std::size_t>(columns));
  }
}

TEST_CASE("a line leaves out what it does not know") {
  ProgressLine line{.head = "[2/9] calibrate",
                    .status = "",
                    .done = 0,
                    .total = 32,
                    .seconds = 0.1,
                    .seconds_left = -1};
  CHECK(progress_line(line, 79) ==
        "[2/9] calibrate [..............................] 0/32, 0 s");
  line.done = 32, line.seconds_left = 0;
  CHECK(progress_line(line, 79) ==
        "[2/9] calibrate [##############################] 32/32, 0 s");
}

}  // namespace
}  // namespace qopt::cli
