// SPDX-License-Identifier: MIT
#include "lib/core/names.h"

#include "tests/support/catch.h"

using namespace qopt;

TEST_CASE("c_identifier is always an identifier") {
  CHECK(c_identifier("layer1.0.conv1") == "layer1_0_conv1");
  CHECK(c_identifier("") == "unnamed");
  CHECK(c_identifier("0x") == "n0x");
  CHECK(c_identifier("__builtin") == "n__builtin");
  CHECK(c_identifier("while") == "while_");
  CHECK(c_identifier("*/ system(\"x\"); /*") == "n___system__x______");
  CHECK(c_identifier(std::string(500, 'a')).size() == 60);
  CHECK(c_identifier("caf\xc3\xa9\n") == "caf___");
}

TEST_CASE("unique_c_identifier never repeats, even at full length") {
  std::set<std::string> taken;
  const std::string text(80, 'x');
  CHECK(unique_c_identifier("a.b", taken) == "a_b");
  CHECK(unique_c_identifier("a-b", taken) == "a_b_2");
  for (int i = 0; i < 20; ++i) CHECK(unique_c_identifier(text, taken).size() <= 60);
  CHECK(taken.size() == 22);
}

TEST_CASE("c_comment can neither end, open, continue nor spell a trigraph") {
  for (const char* hostile :
       {"*/ int main", "a\\\nb", "/* x", "// y", "*", "?\?/\n", "**//", "/\x01*"}) {
    const std::string safe = c_comment(hostile);
    INFO(safe);
    CHECK(safe.find("*/") == std::string::npos);
    CHECK(safe.find("/*") == std::string::npos);
    CHECK(safe.find("//") == std::string::npos);
    CHECK(safe.find('\\') == std::string::npos);
    CHECK(safe.find("?\?") == std::string::npos);
    CHECK(safe.find('\n') == std::string::npos);
    CHECK((safe + "*/").find("*/") == safe.size());
  }
}

TEST_CASE("html_escape closes every way into markup") {
  CHECK(html_escape("<script>alert('x')</script>") ==
        "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;");
  CHECK(html_escape("a&b\"c") == "a&amp;b&quot;c");
  CHECK(html_escape("\xff\x01z") == "??z");
  CHECK(html_escape("\xc3\xa9") == "\xc3\xa9");
  CHECK(html_escape("\xc0\xbcscript") == "??script");  // overlong '<'
}

TEST_CASE("file_name stays one visible component") {
  CHECK(file_name("../../etc/passwd") == "_._.._etc_passwd");
  CHECK(file_name("..") == "_.");
  CHECK(file_name("") == "unnamed");
  CHECK(file_name("-rf") == "_rf");
  CHECK(file_name(std::string(300, 'q')).size() == 80);
}

TEST_CASE("printable shows control bytes") {
  CHECK(printable("a\x1b[31mb") == "a\\x1b[31mb");
  CHECK(printable("\xc2\x9b") == "\\xc2\\x9b");
  CHECK(printable("\xc3\xa9") == "\xc3\xa9");
}

TEST_CASE("nearest suggests only what is near") {
  const std::set<std::string> keys = {"granularity", "calibrator", "bits"};
  CHECK(nearest("granularty", keys) == "granularity");
  CHECK(nearest("bit", keys) == "bits");
  CHECK(nearest("bist", keys) == "bits");
  CHECK(nearest("btis", keys) == "bits");
  CHECK(nearest("sbit", keys).empty());
  CHECK(nearest("zzzz", keys).empty());
}

TEST_CASE("glob_match") {
  CHECK(glob_match("layer1.*.conv?", "layer1.0.conv2"));
  CHECK(glob_match("*", ""));
  CHECK(glob_match("*a*b", "xxaxxbxb"));
  CHECK_FALSE(glob_match("a", "ab"));
  CHECK_FALSE(glob_match("layer1.*", "layer2.0"));
  CHECK_FALSE(glob_match("[a]", "a"));
  CHECK_FALSE(glob_match(std::string(50, '*') + "b", std::string(5000, 'a')));
}
