// SPDX-License-Identifier: MIT
// YAML under limits: positions, duplicates, aliases, hostile text.
#include "lib/config/tree.h"

#include "lib/config/problems.h"
#include "lib/core/rng.h"
#include "tests/support/catch.h"

namespace qopt::config {
namespace {

std::string fault_of(std::string_view text) {
  try {
    parse_yaml(text, "a.yaml");
  } catch (const ConfigError& e) {
    return e.what();
  }
  return "";
}

TEST_CASE("nodes know line and column") {
  const Node root = parse_yaml("a: 1\nb:\n  c: [x, 'y']\n", "a.yaml");
  REQUIRE(root.kind == Node::Kind::Map);
  CHECK(root.find("a")->where == "a.yaml:1:4");
  const Node* c = root.find("b")->find("c");
  REQUIRE(c->kind == Node::Kind::Sequence);
  CHECK(c->where == "a.yaml:3:6");
  CHECK(c->items.at(1).scalar == "y");
  CHECK(c->items.at(1).where == "a.yaml:3:10");
}

TEST_CASE("every duplicate key is named with both places") {
  CHECK(fault_of("a: 1\nb: 2\na: 3\nb: 4\n") ==
        "a.yaml:3:1: error: key 'a' appears twice (first with a.yaml:1:4)\n"
        "a.yaml:4:1: error: key 'b' appears twice (first with a.yaml:2:4)");
}

TEST_CASE("text that is no YAML names its place") {
  CHECK(fault_of("a: [1, 2\nb: 3\n").rfind("a.yaml:2:", 0) == 0);
  CHECK(fault_of("a: *nowhere\n").find("a.yaml:1:") == 0);
  CHECK(fault_of("a: 1\n---\nb: 2\n").find("second YAML document") != std::string::npos);
  CHECK(fault_of("? [1, 2]\n: 3\n").find("a key must be a plain name") !=
        std::string::npos);
}

TEST_CASE("aliases copy, but not without end") {
  const Node root = parse_yaml("a: &x [1, 2]\nb: *x\n", "a.yaml");
  CHECK(root.find("b")->items.size() == 2);
  CHECK(fault_of("a: &x [*x]\n").find("alias inside the value") != std::string::npos);
  std::string bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n";
  for (int i = 1; i < 10; ++i) {
    const std::string p = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + p;
    for (int k = 0; k < 9; ++k) bomb += "," + p;
    bomb += "]\n";
  }
  CHECK(fault_of(bomb).find("more than 100000 values") != std::string::npos);
}

TEST_CASE("deep nesting and large text are refused") {
  for (const char* open : {"[", "{a: ", "- ", "? "}) {
    std::string deep;
    for (int i = 0; i < 20000; ++i) deep += open;
    CAPTURE(open);
    CHECK_FALSE(fault_of(deep).empty());
  }
  std::string block;
  for (int i = 0; i < 600; ++i)
    block += std::string(static_cast<std::size_t>(i), ' ') + "a:\n";
  CHECK(fault_of(block).find("levels deep") != std::string::npos);
  CHECK(fault_of(std::string(kMaxTextBytes + 1, '#')).find("at most") !=
        std::string::npos);
}

TEST_CASE("random bytes never crash the parser") {
  Rng rng(7);
  const std::string alphabet = "ab:- \n[]{}&*!|>'\"%@`#,?~\t0.\\\xC3\xFF";
  for (int round = 0; round < 2000; ++round) {
    std::string text;
    for (std::uint64_t n = rng.below(200); n > 0; --n)
      text += alphabet[rng.below(alphabet.size())];
    try {
      parse_yaml(text, "a.yaml");
    } catch (const ConfigError& e) {
      CHECK(std::string(e.what()).rfind("a.yaml", 0) == 0);
    }
  }
}

}  // namespace
}  // namespace qopt::config
