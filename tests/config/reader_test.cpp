// SPDX-License-Identifier: MIT
// Reading by description: every kind of fault with its exact place, all at once.
#include "lib/config/reader.h"

#include "lib/config/writer.h"
#include "tests/support/catch.h"

namespace qopt::config {
namespace {

enum class Colour { Red, Green };
constexpr Spelling<Colour> kColours[] = {{Colour::Red, "red"}, {Colour::Green, "green"}};

struct Inner {
  std::int64_t width = 3;
  std::optional<std::string> name;
  bool operator==(const Inner&) const = default;
};

struct Settings {
  bool flag = false;
  int bits = 8;
  double scale = 1;
  std::string title;
  std::filesystem::path file;
  std::vector<std::filesystem::path> files;
  std::optional<std::int64_t> flash;
  Colour colour = Colour::Red;
  std::optional<std::array<std::int64_t, 2>> pair;
  std::optional<Inner> inner;
  std::vector<Inner> many;
  bool has_step = false;
  Inner step;
  bool operator==(const Settings&) const = default;
};

void describe(Fields& f, Inner& v) {
  f.key({.name = "width", .help = "pixels"}, integer(1, 10), v.width);
  f.key({.name = "name", .help = "what it is called"}, text(), v.name);
}

void describe(Fields& f, Settings& v) {
  f.key({.name = "flag", .help = "on or off"}, v.flag);
  f.key({.name = "bits", .help = "bits of a code"}, integer_of({2, 4, 8}), v.bits);
  f.key({.name = "scale", .help = "factor"}, real(0, 10), v.scale);
  f.key({.name = "title", .help = "heading", .required = true}, text(), v.title);
  f.key({.name = "file", .help = "one file"}, path(), v.file);
  f.list({.name = "files", .help = "some files"}, path(), {1, 3}, v.files);
  f.key({.name = "flash", .help = "bytes at most"}, size(), v.flash);
  f.enumeration({.name = "colour", .help = "paint"}, kColours, v.colour);
  f.list({.name = "pair", .help = "height, width"}, integer(1, 100), v.pair);
  f.optional_block({.name = "inner", .help = "one part"}, v.inner,
                   [](Fields& g, Inner& i) { describe(g, i); });
  f.block_list({.name = "many", .help = "parts"}, v.many,
               [](Fields& g, Inner& i) { describe(g, i); });
  const StepField rows[] = {
      {{.name = "walk", .help = "a step"}, v.has_step, [&](Fields& g) {
         v.has_step = true;
         describe(g, v.step);
       }}};
  f.steps({.name = "passes", .help = "what is done"}, rows);
}

Settings settings_of(const std::string& text, std::vector<std::string> overrides = {},
                     WrittenPaths* written = nullptr) {
  Settings settings;
  const Environment environment =
      [](const std::string& name) -> std::optional<std::string> {
    if (name == "HERE") return "there";
    if (name == "EMPTY") return "";
    return std::nullopt;
  };
  const WrittenPaths paths = read({"dir/a.yaml", text, std::move(overrides), environment},
                                  [&](Fields& f) { describe(f, settings); });
  if (written != nullptr) *written = paths;
  return settings;
}

std::string faults_of(const std::string& text, std::vector<std::string> overrides = {}) {
  try {
    settings_of(text, std::move(overrides));
  } catch (const ConfigError& e) {
    CHECK(e.code() == ExitCode::Usage);
    return e.what();
  }
  return "";
}

TEST_CASE("all kinds of values are read") {
  const Settings s = settings_of(
      "flag: true\nbits: 4\nscale: 1/4\ntitle: 'a b'\nfile: x/../y.pt\nfiles: one.bin\n"
      "flash: 200KiB\ncolour: green\npair: [2, 3]\ninner: {width: 5, name: n}\n"
      "many:\n  - width: 1\n  - name: z\npasses:\n  - walk: {width: 7}\n");
  CHECK(s.flag);
  CHECK(s.bits == 4);
  CHECK(s.scale == 0.25);
  CHECK(s.title == "a b");
  CHECK(s.file == "dir/y.pt");
  CHECK(s.files == std::vector<std::filesystem::path>{"dir/one.bin"});
  CHECK(s.flash == 204800);
  CHECK(s.colour == Colour::Green);
  CHECK(s.pair == std::array<std::int64_t, 2>{2, 3});
  CHECK(s.inner == Inner{5, "n"});
  CHECK(s.many == std::vector<Inner>{{1, std::nullopt}, {3, "z"}});
  CHECK(s.has_step);
  CHECK(s.step.width == 7);
  CHECK(settings_of("title: t\npasses: [walk]\n").has_step);
}

TEST_CASE("each kind of fault has its place and its reason") {
  struct Row {
    const char *text, *fault;
  };
  const Row rows[] = {
      {"title: t\nflag: yes\n",
       "dir/a.yaml:2:7: error: 'flag' must be true or false, not 'yes'"},
      {"title: t\nbits: 5\n",
       "dir/a.yaml:2:7: error: 'bits' must be one of 2, 4, 8, not '5'"},
      {"title: t\nbits: 8.0\n",
       "dir/a.yaml:2:7: error: 'bits' must be one of 2, 4, 8, not '8.0'"},
      {"title: t\nscale: 11\n",
       "dir/a.yaml:2:8: error: 'scale' must be number from 0 to 10, not '11'"},
      {"title: t\nscale: 1/0\n",
       "dir/a.yaml:2:8: error: 'scale' must be number from 0 to 10, not '1/0'"},
      {"title: t\nscale: .nan\n",
       "dir/a.yaml:2:8: error: 'scale' must be number from 0 to 10, not '.nan'"},
      {"bits: 8\n", "dir/a.yaml:1:1: error: 'title' is missing (heading)"},
      {"title: [a]\n", "dir/a.yaml:1:8: error: 'title' must be text, not a list"},
      {"title:\n", "dir/a.yaml:1:1: error: 'title' has no value; it must be text"},
      {"title: t\nfile: ''\n", "dir/a.yaml:2:7: error: 'file' must be path, not empty"},
      {"title: t\nfiles: [a, b, c, d]\n",
       "dir/a.yaml:2:8: error: 'files' has 4 entries; it must have at most 3"},
      {"title: t\nfiles: []\n",
       "dir/a.yaml:2:8: error: 'files' has 0 entries; it must have at least 1"},
      {"title: t\nflash: 3 parsecs\n",
       "dir/a.yaml:2:8: error: 'flash' must be size such as 200KiB, not '3 parsecs'"},
      {"title: t\ncolour: gren\n",
       "dir/a.yaml:2:9: error: 'colour' must be one of red, green, not 'gren'; did you "
       "mean "
       "'green'?"},
      {"title: t\npair: [1]\n",
       "dir/a.yaml:2:7: error: 'pair' has 1 entries; it must have 2"},
      {"title: t\npair: [1, 101]\n",
       "dir/a.yaml:2:11: error: 'pair[1]' must be integer from 1 to 100, not '101'"},
      {"title: t\ninner: 3\n",
       "dir/a.yaml:2:8: error: 'inner' must be a map of keys, not a plain value"},
      {"title: t\ninner:\n  widt: 3\n",
       "dir/a.yaml:3:3: error: unknown key 'widt' in 'inner'; did you mean 'width'?"},
      {"title: t\nmany: {width: 1}\n",
       "dir/a.yaml:2:7: error: 'many' must be a list ('- ...'), not a map"},
      {"title: t\nmany:\n  - width: 1\n  - width: 0\n",
       "dir/a.yaml:4:12: error: 'many[1].width' must be integer from 1 to 10, not '0'"},
      {"title: t\npasses: [wak]\n",
       "dir/a.yaml:2:10: error: unknown step 'wak' in 'passes'; did you mean 'walk'?"},
      {"title: t\npasses: [walk, walk]\n",
       "dir/a.yaml:2:16: error: step 'walk' appears twice (first at dir/a.yaml:2:10)"},
      {"title: t\npasses:\n  - walk: {}\n    run: {}\n",
       "dir/a.yaml:3:5: error: an item of 'passes' must be a name, or one name with its "
       "keys "
       "below it"},
      {"title: t\ntitl: u\n",
       "dir/a.yaml:2:1: error: unknown key 'titl'; did you mean 'title'?"},
      {"title: t\nzzzzzzzz: u\n", "dir/a.yaml:2:1: error: unknown key 'zzzzzzzz'"},
      {"- a\n",
       "dir/a.yaml:1:1: error: a configuration is a map of keys (`version: 1` ...)"},
      {"title: ${NOPE}\n",
       "dir/a.yaml:1:8: error: environment variable 'NOPE' is not set and '${NOPE}' has "
       "no "
       "default (write ${NOPE:-default})"},
      {"title: ${HERE\n", "dir/a.yaml:1:8: error: '${' without '}' in '${HERE'"},
      {"title: ${a b}\n", "dir/a.yaml:1:8: error: 'a b' is no variable name"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.text);
    CHECK(faults_of(row.text) == row.fault);
  }
  CHECK(faults_of("").find("'title' is missing") != std::string::npos);
}

TEST_CASE("all faults come in one error") {
  CHECK(faults_of("flag: maybe\nbits: 3\nnope: 1\n") ==
        "dir/a.yaml:1:7: error: 'flag' must be true or false, not 'maybe'\n"
        "dir/a.yaml:2:7: error: 'bits' must be one of 2, 4, 8, not '3'\n"
        "dir/a.yaml:1:1: error: 'title' is missing (heading)\n"
        "dir/a.yaml:3:1: error: unknown key 'nope'");
}

TEST_CASE("environment variables expand once") {
  CHECK(settings_of("title: ${HERE}/x\n").title == "there/x");
  CHECK(settings_of("title: ${NOPE:-a:-b}\n").title == "a:-b");
  CHECK(settings_of("title: ${EMPTY:-d}\n").title == "d");
  CHECK(settings_of("title: \"${EMPTY}\"\n").title.empty());
  CHECK(settings_of("title: $${HERE}\n").title == "${HERE}");
  CHECK(settings_of("title: a\nfile: ${NOPE:-../m}/x.pt\n").file == "m/x.pt");
}

TEST_CASE("--set changes, makes and steps into lists") {
  const std::string text = "title: t\npasses:\n  - walk\nmany: [{width: 1}]\n";
  CHECK(settings_of(text, {"bits=2"}).bits == 2);
  CHECK(settings_of(text, {"inner.width=9"}).inner->width == 9);
  CHECK(settings_of(text, {"pair=[4, 5]"}).pair == std::array<std::int64_t, 2>{4, 5});
  CHECK(settings_of(text, {"many.0.width=2"}).many[0].width == 2);
  CHECK(settings_of(text, {"many[0].width=2"}).many[0].width == 2);
  CHECK(settings_of(text, {"passes.walk.width=6"}).step.width == 6);
  CHECK(settings_of(text, {"bits=2", "bits=4"}).bits == 4);
  CHECK(faults_of(text, {"bits=5"}) ==
        "--set bits: error: 'bits' must be one of 2, 4, 8, not '5'");
  CHECK(faults_of(text, {"bit=4"}) ==
        "--set bit: error: unknown key 'bit'; did you mean 'bits'?");
  CHECK(faults_of(text, {"many.3.width=4"}) ==
        "--set many.3.width: error: index 3 of a list of 1");
  CHECK(faults_of(text, {"passes.run.width=4"}) ==
        "--set passes.run.width: error: no item 'run' in the list");
  CHECK(faults_of(text, {"title.x=4"}) ==
        "--set title.x: error: 'x' is below a plain value");
  CHECK(faults_of(text, {"bits"}) == "--set bits: error: expected KEY=VALUE");
}

TEST_CASE("what is written reads back to the same settings") {
  WrittenPaths written;
  Settings s = settings_of(
      "title: 'yes: \"no\" $${HERE}'\nfile: ../m/a.pt\nfiles: [x, /abs/y]\nscale: "
      "1/255\nflash: "
      "3KiB\n"
      "inner: {name: '12'}\nmany: [{width: 2}, {name: a}]\npair: [1, 2]\n"
      "passes: [walk: {width: 4}]\n",
      {}, &written);
  const auto visit = [&](Fields& f) { describe(f, s); };
  const std::string plain = write_yaml(visit, YamlStyle::Plain, written);
  CAPTURE(plain);
  CHECK(plain.find("file: ../m/a.pt\n") != std::string::npos);
  CHECK(settings_of(plain) == s);
  const std::string commented = write_yaml(visit, YamlStyle::Commented, written);
  CAPTURE(commented);
  CHECK(commented.find("# bits of a code: one of 2, 4, 8") != std::string::npos);
  CHECK(settings_of(commented) == s);
  CHECK(commented.find("# - walk") == std::string::npos);
  s.has_step = false;
  CHECK(write_yaml(visit, YamlStyle::Commented, written)
            .find("\n  # - walk:                         # a step (docs/config.md)\n") !=
        std::string::npos);
  CHECK(write_yaml(visit, YamlStyle::Plain, written).find("walk") == std::string::npos);
}

TEST_CASE("the reference names every key with type and default") {
  Settings s;
  const std::string text = write_reference([&](Fields& f) { describe(f, s); });
  CHECK(text.find("| `bits` | one of 2, 4, 8 | `8` | bits of a code |") !=
        std::string::npos);
  CHECK(text.find("## `inner`") != std::string::npos);
  CHECK(text.find("## `many[]`") != std::string::npos);
  CHECK(text.find("## `passes.walk`") != std::string::npos);
  CHECK(text.find("| `title` | text | required | heading |") != std::string::npos);
}

}  // namespace
}  // namespace qopt::config
