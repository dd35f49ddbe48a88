// SPDX-License-Identifier: MIT
#include "lib/core/parallel.h"

#include <vector>

#include "lib/core/error.h"
#include "lib/core/interrupt.h"
#include "tests/support/catch.h"

using namespace qopt;

TEST_CASE("parallel_for runs each item once, for any number of threads") {
  for (int threads : {0, 1, 2, 7}) {
    std::vector<int> seen(1000, 0);
    parallel_for(1000, threads, [&](std::int64_t i, int worker) {
      CHECK_FALSE(worker < 0);
      ++seen[static_cast<std::size_t>(i)];
    });
    CHECK(seen == std::vector<int>(1000, 1));
  }
}

TEST_CASE("parallel_for reports the lowest failing item") {
  for (int threads : {1, 2, 4}) {
    CHECK_THROWS_WITH(parallel_for(100, threads,
                                   [](std::int64_t i, int) {
                                     if (i >= 10)
                                       throw std::runtime_error(std::to_string(i));
                                   }),
                      "10");
  }
}

TEST_CASE("parallel_for stops on interruption") {
  set_interrupted(true);
  for (int threads : {1, 3}) {
    try {
      parallel_for(10, threads, [](std::int64_t, int) {});
      FAIL("not interrupted");
    } catch (const Error& e) {
      CHECK(e.code() == ExitCode::Interrupted);
    }
  }
  set_interrupted(false);
}
