// SPDX-License-Identifier: MIT
// Configurations that extend others: what is inherited, what differs, every fault in its
// place.
#include "lib/config/extend.h"

#include <fmt/format.h>

#include <fstream>

#include "lib/core/error.h"
#include "tests/support/catch.h"
#include "tests/support/temp_folder.h"

namespace qopt::config {
namespace {

class Folder {
 public:
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(temp_.path() / name) << text;
  }
  std::string path(const std::string& name) const {
    return (temp_.path() / name).string();
  }
  Node read(const std::string& text) const {
    Problems problems;
    const auto environment = [](const std::string& name) -> std::optional<std::string> {
      if (name == "OTHER") return "base.yaml";
      return std::nullopt;
    };
    Node root = read_tree(path("c.yaml"), text, environment, problems);
    problems.throw_if_any();
    return root;
  }
  std::string faults(const std::string& text) const {
    try {
      read(text);
    } catch (const ConfigError& e) {
      CHECK(e.code() == ExitCode::Usage);
      return e.what();
    }
    return "";
  }

 private:
  TempFolder temp_;
};

const char* const kBase =
    "version: 1\nmodel: {path: m.pt}\npasses: [{ptq: {weights: {bits: 8}}}, qat]\n";

TEST_CASE("a configuration without extends is its own") {
  const Folder folder;
  CHECK(folder.read("a: 1\nset: 2\n").find("set")->scalar == "2");
  CHECK(folder.read("").entries.empty());
}

TEST_CASE("what differs takes the place of what is inherited, in order") {
  const Folder folder;
  folder.write("base.yaml", kBase);
  folder.write("middle.yaml",
               "extends: ${OTHER}\nset: {passes.ptq.weights.bits: 4, run.seed: 7}\n");
  const Node root = folder.read(
      "version: 1\nextends: middle.yaml\nset:\n  passes.qat.layers: [1, 2]\n"
      "  passes.ptq.weights: {bits: 2, levels: o}\n  passes.ptq.weights.bits: 3\n");
  CHECK(root.find("extends") == nullptr);
  CHECK(root.find("set") == nullptr);
  CHECK(root.find("model")->find("path")->scalar == "m.pt");
  CHECK(root.find("run")->find("seed")->scalar == "7");
  const Node& passes = *root.find("passes");
  REQUIRE(passes.items.size() == 2);
  const Node& weights = *passes.items[0].find("ptq")->find("weights");
  CHECK(weights.find("bits")->scalar == "3");
  CHECK(weights.find("levels")->scalar == "o");
  CHECK(passes.items[1].find("qat")->find("layers")->items.size() == 2);
}

TEST_CASE("faults of extensions have their places") {
  const Folder folder;
  folder.write("base.yaml", kBase);
  folder.write("self.yaml", "extends: self.yaml\n");
  folder.write("list.yaml", "- 1\n");
  const std::string file = folder.path("c.yaml");
  CHECK(folder.faults("extends: base.yaml\nmodel: {path: n.pt}\n") ==
        file +
            ":2:1: error: 'model' stands beside 'extends'; differences belong below "
            "'set', as `a.b.c: VALUE`");
  CHECK(folder.faults("extends: base.yaml\nset: [1]\n") ==
        file + ":2:6: error: 'set' must be a map of `a.b.c: VALUE`");
  CHECK(folder.faults("extends: base.yaml\nset: {passes.cut.x: 1}\n") ==
        file + ":2:7: error: no item 'cut' in the list");
  for (const char* wrong : {"../base.yaml", "/etc/passwd", "a/b.yaml", "'a\\b.yaml'",
                            "..", ".", "''", "[base.yaml]", "{a: 1}"}) {
    CAPTURE(wrong);
    CHECK(folder.faults(fmt::format("extends: {}\n", wrong)) ==
          file +
              ":1:10: error: 'extends' must be the name of a configuration in the "
              "same folder");
  }
  CHECK(folder.faults("extends: none.yaml\n").find(file + ":1:10: error: 'extends': ") ==
        0);
  CHECK(folder.faults("extends: self.yaml\n") ==
        folder.path("self.yaml") +
            ":1:10: error: more than 8 configurations extend one another");
  CHECK(folder.faults("extends: list.yaml\n").find(folder.path("list.yaml") + ":1:1: ") ==
        0);
}

}  // namespace
}  // namespace qopt::config
