// SPDX-License-Identifier: MIT
#include "lib/graph/text.h"

#include <cmath>
#include <limits>

#include "lib/core/rng.h"
#include "lib/graph/shape.h"
#include "lib/graph/verify.h"
#include "tests/support/catch.h"
#include "tests/support/level_sets.h"

namespace qopt {
namespace {

constexpr std::string_view kSmall = R"(graph encoded
  #w : f32[2,3,3,3] {n8 axis 0 scale [0.1,0.02]}
  #b : f32[2]
  x : f32[1,3,8,8] {u8 scale [0.5] zero [128]} = input()
  conv : f32[1,2,8,8] = conv2d(x, #w, #b; pads=[1,1,1,1]) @ "net.py:3 \"conv\""
  relu : f32[1,2,8,8] {u8 scale [0.25]} = clamp(conv)
  -> logits = relu
)";

TEST_CASE("print and parse are exact inverses") {
  const Graph graph = parse(kSmall, {}, true);
  CHECK(print(graph) == kSmall);
  CHECK(verify(graph).empty());
  CHECK(graph.nodes()[1].source == "net.py:3 \"conv\"");
  CHECK(std::get<Affine>(*graph.values()[0].encoding) ==
        Affine{LevelSet::N, 8, {0.1F, 0.02F}, {0, 0}, 0});
}

TEST_CASE("constants travel beside the text") {
  Constants constants;
  constants["w"] = Tensor::from(std::vector<float>(54, 2.0F), {2, 3, 3, 3});
  constants["b"] = Tensor::of(std::vector<float>{1.0F, -1.0F});
  const Graph graph = parse(kSmall, constants);
  CHECK(constants_of(graph) == constants);
  constants.erase("b");
  CHECK_THROWS_AS(parse(kSmall, constants), Error);
  CHECK(parse(kSmall, constants, true).values()[1].constant ==
        Tensor::zeros(DType::F32, {2}));
  constants["b"] = Tensor::of(std::vector<float>{1.0F, -1.0F, 3.0F});
  CHECK_THROWS_AS(parse(kSmall, constants, true), Error);
}

TEST_CASE("text by hand: comments, blank lines, types left to inference") {
  const Graph graph = parse(R"(
// the smallest network
graph imported

#w : f32[4,3]   // the weight
x : f32[2,3] = input(index=0)
y = linear(x, #w)    // inferred
z = clamp( y ;hi = 6 ) @ "a // b"
-> out=z)",
                            {}, true);
  CHECK(print(graph) == R"(graph imported
  #w : f32[4,3]
  x : f32[2,3] = input()
  y : f32[2,4] = linear(x, #w)
  z : f32[2,4] = clamp(y; hi=6) @ "a // b"
  -> out = z
)");
}

TEST_CASE("names hold any bytes") {
  const std::string names[] = {"",
                               "plain_1.weight",
                               "with space",
                               "*/ system(\"x\"); /*",
                               "<script>",
                               "../../x",
                               "tab\tnewline\n",
                               "->",
                               "#w",
                               "graph",
                               "\\x41",
                               "\xC3\xA4\xFF",
                               "a,b",
                               "//",
                               "a-b+c",
                               std::string("nul\0byte", 8)};
  Graph graph;
  ValueId last = graph.add_input("x", DType::F32, {2});
  for (const std::string& name : names) {
    last = graph.add(op::Clamp{}, {last}, name, name);
  }
  graph.add_output("the \"output\"\n", last);
  const std::string text = print(graph);
  const Graph back = parse(text, {});
  CHECK(print(back) == text);
  for (std::size_t i = 0; i < std::size(names); ++i) {
    CHECK(back.value(back.nodes()[i + 1].output).name == names[i]);
    CHECK(back.nodes()[i + 1].source == names[i]);
  }
  CHECK(back.outputs()[0].name == "the \"output\"\n");
  for (char c : text) CHECK(((c >= ' ' && c <= '~') || c == '\n'));
}

/// Draws every attribute at random, extremes included.
struct RandomAttributes {
  Rng& rng;
  template <class T>
  void operator()(std::string_view, T& field) {
    draw(field);
  }
  void draw(std::int64_t& x) {
    const std::int64_t choices[] = {
        0, 1, -1, 127, INT64_MAX, INT64_MIN, static_cast<std::int64_t>(rng.next())};
    x = choices[rng.below(std::size(choices))];
  }
  void draw(double& x) {
    constexpr double kInf = std::numeric_limits<double>::infinity();
    const double choices[] = {0.0,
                              -0.0,
                              0.1,
                              1e-5,
                              1e300,
                              5e-324,
                              kInf,
                              -kInf,
                              1.0 / 3.0,
                              rng.normal(),
                              std::exp(50.0 * rng.normal())};
    x = choices[rng.below(std::size(choices))];
  }
  void draw(bool& x) { x = rng.below(2) == 1; }
  void draw(UnaryKind& kind) { kind = static_cast<UnaryKind>(rng.below(21)); }
  void draw(BinaryKind& kind) { kind = static_cast<BinaryKind>(rng.below(4)); }
  void draw(ReduceKind& kind) { kind = static_cast<ReduceKind>(rng.below(3)); }
  void draw(ResizeMode& mode) { mode = static_cast<ResizeMode>(rng.below(2)); }
  void draw(Ints& xs) {
    xs.resize(rng.below(5));
    for (std::int64_t& x : xs) draw(x);
  }
  template <class T, std::size_t N>
  void draw(std::array<T, N>& xs) {
    for (T& x : xs) draw(x);
  }
};

template <std::size_t... I>
std::vector<Op> all_ops(std::index_sequence<I...>) {
  return {Op(std::variant_alternative_t<I, Op>{})...};
}

TEST_CASE("every operator's attributes print and parse exactly") {
  Rng rng(11);
  for (Op op : all_ops(std::make_index_sequence<std::variant_size_v<Op>>{})) {
    for (int round = 0; round < 50; ++round) {
      RandomAttributes random{rng};
      std::visit([&](auto& o) { o.describe(random); }, op);
      Graph graph(Level::Integer);
      const ValueId c = graph.add_constant("c", Tensor::of(std::vector<float>{1}));
      const std::vector<ValueId> inputs(op_arity(op).min, c);
      Value result;
      result.name = "y";
      result.shape = {3, 0, 7};
      graph.add_output("y", graph.add_unchecked(op, inputs, result));
      const std::string text = print(graph);
      const Graph back = parse(text, constants_of(graph));
      INFO(text);
      CHECK(print(back) == text);
      CHECK(back.nodes()[0].op == op);
    }
  }
}

TEST_CASE("NaN attributes survive") {
  const std::string text =
      "graph imported\n  x : f32[1] = input()\n"
      "  y : f32[1] = clamp(x; lo=nan)\n  -> y = y\n";
  CHECK(print(parse(text, {})) == text);
}

TEST_CASE("encodings print every float exactly") {
  Rng rng(5);
  for (int round = 0; round < 200; ++round) {
    Affine e{LevelSet::U, 8, {}, {}, 0};
    for (int c = 0; c < 7; ++c) {
      e.scale.push_back(static_cast<float>(std::exp(20.0 * rng.normal())));
      e.zero_point.push_back(
          static_cast<std::int32_t>(rng.below(round % 2 == 0 ? 256 : 1)));
    }
    Graph graph(Level::Integer);
    const ValueId x = graph.add_input("x", DType::I8, {7, 2});
    graph.value(x).encoding = e;
    graph.value(x).layout = {1, 0};
    graph.add_output("x", x);
    const Graph back = parse(print(graph), {});
    CHECK(back.values()[0].encoding == graph.values()[0].encoding);
    CHECK(back.values()[0].layout == Ints{1, 0});
    CHECK(print(back) == print(graph));
  }
}

TEST_CASE("every level set and width prints and parses") {
  for (const auto [levels, bits] : testing::all_level_sets()) {
    Graph graph(Level::Encoded);
    const ValueId x = graph.add_constant("w", Tensor::zeros(DType::F32, {2}));
    graph.value(x).encoding = Affine{levels, bits, {0.5F}, {0}, {}};
    graph.add_output("w", x);
    const std::string text = print(graph);
    const std::string word = fmt::format("{{{}{} scale", level_set_name(levels), bits);
    CHECK(text.find(word) != std::string::npos);
    const Graph back = parse(text, {}, true);
    CHECK(back.values()[0].encoding == graph.values()[0].encoding);
  }
}

TEST_CASE("every fault of a text has its line and column") {
  struct Row {
    std::string_view text, where, what;
  };
  const Row rows[] = {
      {"", "1:1", "empty text"},
      {"\n\n  grap imported", "3:3", "expected 'graph LEVEL'"},
      {"graph raw", "1:7", "unknown level"},
      {"graph imported x", "1:16", "unexpected text"},
      {"graph imported\nx : f33[2] = input()", "2:5", "unknown element type 'f33'"},
      {"graph imported\nx : f32[-2] = input()", "2:12", "impossible shape"},
      {"graph imported\nx : f32[0,4611686018427387904,4] = input()", "2:33",
       "impossible shape"},
      {"graph imported\nx : f32[2 = input()", "2:11", "expected ']'"},
      {"graph imported\nx : f32[2x] = input()", "2:9", "expected a number"},
      {"graph imported\nx : f32[99999999999999999999] = input()", "2:9",
       "a number in range"},
      {"graph imported\nx : f32[2] = inputs()", "2:14", "unknown operator 'inputs'"},
      {"graph imported\nx : f32[2] = input(idx=1)", "2:24",
       "input has no attribute 'idx'"},
      {"graph imported\nx : f32[2] = input(index=1, index=2)", "2:29", "given twice"},
      {"graph imported\nx : f32[2] = input(index=true)", "2:26", "expected a number"},
      {"graph imported\nx = input()", "2:12", "an input's type is its value's"},
      {"graph imported\nx : f32[2] = input()\nx : f32[2] = clamp(x)", "3:2",
       "'x' is defined twice"},
      {"graph imported\nx : f32[2] = input()\ny = clamp(z)", "3:12", "unknown value 'z'"},
      {"graph imported\nx : f32[2] = input()\ny = clamp(#x)", "3:13",
       "'x' is no constant"},
      {"graph imported\n#c : f32[2]\ny = clamp(c)", "3:12", "'c' is a constant"},
      {"graph imported\nx : f32[2] = input()\ny = clamp(x, x)", "3:16",
       "clamp takes 1 inputs, got 2"},
      {"graph imported\nx : f32[2] = input()\ny = concat()", "3:13",
       "concat takes at least 1 inputs, got 0"},
      {"graph imported\nx : f32[2] = input()\ny = unary(x; kind=relu)", "3:19",
       "unknown kind 'relu'"},
      {"graph imported\nx : f32[2] = input()\ny = reduce(x; axes=[0], keepdim=1)", "3:33",
       "expected true or false"},
      {"graph imported\nx : f32[2] = input()\ny = max_pool2d(x; kernel=[1,2,3])", "3:33",
       "'kernel' needs 2 entries, has 3"},
      {"graph imported\nx : f32[2] {q8 scale [1]} = input()", "2:13", "unknown encoding"},
      {"graph imported\nx : f32[2] {s8 [1]} = input()", "2:16", "expected 'scale'"},
      {"graph imported\nx : f32[2] {s8 scale [1e99]} = input()", "2:23",
       "number in range"},
      {"graph imported\n\"x : f32[2] = input()", "2:22", "string without an end"},
      {"graph imported\n\"\\q\" : f32[2] = input()", "2:3", "unknown escape"},
      {"graph imported\n\"\\x4\" : f32[2] = input()", "2:3", "unknown escape"},
      {"graph imported\n- : f32[2] = input()", "2:2", "expected a name"},
      {"graph imported\n-> y = y", "2:9", "unknown value 'y'"},
      {"graph imported\n#c : f32[65536,65536]", "2:22",
       "constants without bytes take too much"},
  };
  for (const Row& row : rows) {
    INFO(row.text);
    try {
      parse(row.text, {}, true);
      FAIL_CHECK("accepted");
    } catch (const Error& e) {
      CHECK(e.code() == ExitCode::Usage);
      CHECK(e.where() == row.where);
      CHECK(e.message().find(row.what) != std::string::npos);
      INFO(e.message());
    }
  }
  CHECK_THROWS_AS(parse("graph imported\n#c : f32[2]", {}, false), Error);
}

TEST_CASE("zero-filled constants are capped in sum") {
  constexpr std::string_view kText = "graph imported\n#a : f32[1]\n#b : f64[4]\n";
  CHECK_NOTHROW(parse(kText, {}, true, 36));
  CHECK_THROWS_AS(parse(kText, {}, true, 35), Error);
}

TEST_CASE("mutilated texts never do worse than an Error") {
  Rng rng(3);
  int accepted = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string text(kSmall);
    for (std::uint64_t edits = 1 + rng.below(4); edits > 0; --edits) {
      const std::size_t at = rng.below(text.size());
      switch (rng.below(4)) {
        case 0: text[at] = static_cast<char>(rng.below(256)); break;
        case 1: text.erase(at, 1 + rng.below(8)); break;
        case 2:
          text.insert(at, text.substr(rng.below(text.size()), rng.below(12)));
          break;
        default: text.insert(at, 1, "0123456789[]{},;=#-\"\\"[rng.below(21)]); break;
      }
      if (text.empty()) text = "g";
    }
    try {
      const Graph graph = parse(text, {}, true);
      verify(graph);
      CHECK(print(parse(print(graph), constants_of(graph))) == print(graph));
      ++accepted;
    } catch (const Error&) {
    }
  }
  CHECK(accepted > 100);
}

}  // namespace
}  // namespace qopt
