// SPDX-License-Identifier: MIT
#include "lib/export/process.h"

#include "lib/core/error.h"
#include "lib/core/interrupt.h"
#include "tests/support/catch.h"

using namespace qopt;
using namespace qopt::emit;
using std::chrono::seconds;

TEST_CASE("a child's code and output come back, without a shell", "[export]") {
  const ProcessResult echo = run_process({"echo", "$HOME; false", "*"}, "", seconds(20));
  CHECK(echo.exit_code == 0);
  CHECK(echo.output == "$HOME; false *\n");
  CHECK(run_process({"false"}, "", seconds(20)).exit_code == 1);
  const ProcessResult both =
      run_process({"sh", "-c", "echo out; echo err >&2; kill -9 $$"}, "", seconds(20));
  CHECK(both.exit_code == 128 + 9);
  CHECK(both.output == "out\nerr\n");
  CHECK_THROWS_AS(run_process({"no-such-program-here"}, "", seconds(20)), Error);
  CHECK(run_process({"pwd"}, "/", seconds(20)).output == "/\n");
}

TEST_CASE("output beyond the limit is dropped, not waited for", "[export]") {
  const ProcessResult result =
      run_process({"sh", "-c", "head -c 300000 /dev/zero"}, "", seconds(60), 1000);
  CHECK(result.exit_code == 0);
  CHECK(result.output.size() == 1000);
}

TEST_CASE("a child and its children end at the time limit", "[export]") {
  const auto start = std::chrono::steady_clock::now();
  const ProcessResult open =
      run_process({"sh", "-c", "sleep 60 & sleep 60"}, "", seconds(1));
  CHECK(open.timed_out);
  const ProcessResult closed =
      run_process({"sh", "-c", "exec >/dev/null 2>&1; sleep 60"}, "", seconds(1));
  CHECK(closed.timed_out);
  CHECK(std::chrono::steady_clock::now() - start < seconds(30));
}

TEST_CASE("an interruption ends the child", "[export]") {
  set_interrupted(true);
  try {
    run_process({"sleep", "60"}, "", seconds(60));
    FAIL("not interrupted");
  } catch (const Error& e) {
    CHECK(e.code() == ExitCode::Interrupted);
  }
  set_interrupted(false);
}

TEST_CASE("programs are found on PATH and scratch folders disappear", "[export]") {
  CHECK_FALSE(find_program("sh").empty());
  CHECK(find_program("no-such-program-here").empty());
  CHECK(find_program("/etc/passwd").empty());
  std::filesystem::path path;
  {
    const ScratchFolder scratch;
    path = scratch.path();
    CHECK(std::filesystem::is_directory(path));
    std::filesystem::create_directories(path / "a/b");
  }
  CHECK_FALSE(std::filesystem::exists(path));
}
