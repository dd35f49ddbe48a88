// SPDX-License-Identifier: MIT
#include "lib/core/files.h"

#include <unistd.h>

#include <fstream>

#include "lib/core/error.h"
#include "tests/support/catch.h"
#include "tests/support/temp_folder.h"

using namespace qopt;
namespace fs = std::filesystem;

TEST_CASE("write_file_atomic replaces whole files and leaves nothing else") {
  const TempFolder temp;
  write_file_atomic(temp.path() / "a", "one");
  write_file_atomic(temp.path() / "a", std::string("two\0three", 9));
  CHECK(read_file(temp.path() / "a") == std::string("two\0three", 9));
  CHECK(std::distance(fs::directory_iterator(temp.path()), fs::directory_iterator()) ==
        1);
}

TEST_CASE("write_file_atomic reports a full disk with the path") {
  if (!fs::exists("/dev/full")) {
    WARN("skipped: this system has no /dev/full");
    return;
  }
  const TempFolder temp;
  CHECK_THROWS_WITH(write_file_atomic(temp.path() / "missing" / "a", "x"),
                    has_text("missing/a") && has_text("cannot write"));
}

TEST_CASE("read_file checks kind and size before it reads") {
  const TempFolder temp;
  write_file_atomic(temp.path() / "a", "12345");
  CHECK_THROWS_AS(read_file(temp.path() / "a", 4), Error);
  CHECK_THROWS_AS(read_file(temp.path()), Error);
  CHECK_THROWS_AS(read_file(temp.path() / "none"), Error);
  CHECK_THROWS_AS(read_file("/dev/zero"), Error);
  CHECK(read_file(temp.path() / "a", 5) == "12345");
}

TEST_CASE("StagedFolder appears whole or not at all") {
  const TempFolder temp;
  const fs::path target = temp.path() / "out" / "run";
  {
    StagedFolder staged(target);
    write_file_atomic(staged.path() / "x", "1");
  }
  CHECK_FALSE(fs::exists(target));
  CHECK(fs::is_empty(temp.path() / "out"));
  {
    StagedFolder staged(target);
    write_file_atomic(staged.path() / "x", "1");
    staged.commit();
  }
  CHECK(read_file(target / "x") == "1");
  {
    StagedFolder staged(target);
    write_file_atomic(staged.path() / "y", "2");
    staged.commit();
  }
  CHECK_FALSE(fs::exists(target / "x"));
  CHECK(read_file(target / "y") == "2");
  CHECK(std::distance(fs::directory_iterator(temp.path() / "out"),
                      fs::directory_iterator()) == 1);
}

TEST_CASE("StagedFolder refuses a file in its place") {
  const TempFolder temp;
  write_file_atomic(temp.path() / "taken", "x");
  CHECK_THROWS_AS(StagedFolder(temp.path() / "taken"), Error);
  CHECK_THROWS_AS(StagedFolder(temp.path() / "taken" / "below"), Error);
}

TEST_CASE("sha256_hex is FIPS 180-4") {
  CHECK(sha256_hex(std::string_view("abc")) ==
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(sha256_hex(std::string_view("")) ==
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}
