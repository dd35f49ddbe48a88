// SPDX-License-Identifier: MIT
#include "lib/export/artifact.h"

#include <fstream>

#include "lib/core/error.h"
#include "lib/core/files.h"
#include "lib/export/c_writer.h"
#include "tests/support/catch.h"
#include "tests/support/temp_folder.h"

using namespace qopt;
using namespace qopt::emit;

TEST_CASE("an artifact takes only safe, fresh paths", "[export]") {
  Artifact artifact;
  artifact.add("src/qrt/a.c", "x");
  CHECK_THROWS_AS(artifact.add("src/qrt/a.c", "y"), InternalError);
  for (const char* path : {"", "/etc/passwd", "../a", "a/../../b", "a//b", "a/", ".",
                           "a b", "a\nb", "a\\b", "./a"}) {
    INFO(path);
    CHECK_THROWS_AS(artifact.add(path, ""), InternalError);
  }
  CHECK(artifact.files.size() == 1);
}

TEST_CASE("files are written below the folder, or the path is named", "[export]") {
  Artifact artifact;
  artifact.add("a.txt", "one");
  artifact.add("deep/er/b.bin", std::string("\0\xff", 2));
  const TempFolder folder;
  write_files(artifact, folder.path());
  CHECK(read_file(folder.path() / "a.txt") == "one");
  CHECK(read_file(folder.path() / "deep/er/b.bin") == std::string("\0\xff", 2));

  // A file where a folder must be.
  const TempFolder blocked;
  std::ofstream(blocked.path() / "deep") << "in the way";
  try {
    write_files(artifact, blocked.path());
    FAIL("wrote through a file");
  } catch (const Error& e) {
    CHECK(e.code() == ExitCode::Usage);
    CHECK_THAT(e.what(), has_text("deep"));
  }
  // /dev/full refuses every byte, as a full disk does.
  if (std::filesystem::exists("/dev/full")) {
    const TempFolder full;
    std::filesystem::create_directory(full.path() / "deep");
    CHECK_THROWS_AS(write_files(artifact, "/dev/full"), Error);
  }
}

TEST_CASE("C literals mean their value and carry no markup", "[export]") {
  CHECK(c_integer(0) == "0");
  CHECK(c_integer(-128) == "-128");
  CHECK(c_integer(INT32_MIN) == "(-2147483647 - 1)");
  CHECK(c_integer(INT64_MIN) == "(-INT64_C(9223372036854775807) - 1)");
  CHECK(c_integer(1LL << 31) == "INT64_C(2147483648)");
  CHECK(c_integer(-(1LL << 40)) == "(-INT64_C(1099511627776))");
  CHECK(c_float(1.0F) == "1.0f");
  CHECK(c_float(0.1F) == "0.1f");
  CHECK(c_float(1e-30F) == "1e-30f");
  CHECK_THROWS_AS(c_float(std::numeric_limits<float>::infinity()), InternalError);
  CHECK(c_string("a\"b\\c?\n\x7f") == "\"a\\042b\\134c\\077\\012\\177\"");
  for (const float x : {0.0392156877F, 1.17549435e-38F, 3.40282347e+38F, 16777217.0F}) {
    const std::string text = c_float(x);
    CHECK(std::stof(text.substr(0, text.size() - 1)) == x);
  }
}

TEST_CASE("the C writer keeps comments closed and arrays complete", "[export]") {
  CWriter w;
  w.comment(
      "*/ system(\"x\"); /*\nsecond ?"
      "?/");
  CHECK(w.text().find("*/") == w.text().size() - 3);
  CWriter a;
  std::vector<std::int64_t> values(100, -7);
  a.array("int32_t", "v", values);
  CHECK(std::count(a.text().begin(), a.text().end(), ',') == 99);
  CHECK_THAT(a.text(), has_text("static const int32_t v[100] = {-7,"));
  CHECK_THROWS_AS(a.array("int32_t", "v", {}), InternalError);
  std::size_t begin = 0;
  for (std::size_t end; (end = a.text().find('\n', begin)) != std::string::npos;
       begin = end + 1) {
    CHECK(end - begin <= 90);
  }
}
