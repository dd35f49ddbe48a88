// SPDX-License-Identifier: MIT
// Each rule of the verifier: a graph that keeps it and a graph that breaks it.
#include "lib/graph/verify.h"

#include <algorithm>

#include "lib/graph/text.h"
#include "tests/support/catch.h"

namespace qopt {
namespace {

/// "where: what" of every diagnostic.
std::vector<std::string> faults(const Graph& graph) {
  std::vector<std::string> found;
  for (const Diagnostic& d : verify(graph)) found.push_back(d.where + ": " + d.what);
  return found;
}

std::vector<std::string> faults(std::string_view text) {
  return faults(parse(text, {}, true));
}

bool mentions(const std::vector<std::string>& found, std::string_view text) {
  return std::ranges::any_of(
      found, [&](const std::string& f) { return f.find(text) != std::string::npos; });
}

/// CHECKs that exactly one diagnostic is found, and that it says `text`.
void check_only(const std::vector<std::string>& found, std::string_view text) {
  INFO(text);
  for (const std::string& f : found) UNSCOPED_INFO(f);
  CHECK(found.size() == 1);
  CHECK(mentions(found, text));
}

const std::vector<std::string> kNone;

Graph small() {
  return parse(R"(graph canonical
    x : f32[2] = input()
    a = clamp(x)
    b = unary(a; kind=tanh)
    -> y = b)",
               {});
}

TEST_CASE("structure: names, order, makers, outputs") {
  CHECK(faults(small()) == kNone);

  Graph renamed = small();
  renamed.value(renamed.nodes()[1].output).name = "x";
  check_only(faults(renamed), "x: two values of this name");

  Graph swapped = small();
  std::swap(swapped.mutable_nodes()[1], swapped.mutable_nodes()[2]);
  check_only(faults(swapped), "b: uses 'a' before it is made");

  Graph twice = small();
  twice.mutable_nodes().push_back(twice.nodes()[2]);
  check_only(faults(twice), "b: made by two nodes");

  Graph orphan = small();
  orphan.mutable_nodes().erase(orphan.mutable_nodes().begin() + 1);
  CHECK(mentions(faults(orphan), "a: neither constant nor made by a node"));

  Graph silent = small();
  silent.mutable_outputs().clear();
  CHECK(mentions(faults(silent), "graph: has no output"));

  Graph wild = small();
  wild.mutable_nodes()[2].inputs[0] = ValueId{99};
  check_only(faults(wild), "a node or output refers to a value that does not exist");

  Graph constant = small();
  constant.value(constant.nodes()[1].output).constant = Tensor::zeros(DType::F32, {2});
  check_only(faults(constant), "a: a constant made by a node");
}

TEST_CASE("inputs are numbered from zero without gaps") {
  check_only(faults(R"(graph imported
    x : f32[2] = input(index=1)
    -> x = x)"),
             "x: input number 1 of 1");
  CHECK(mentions(faults(R"(graph imported
    x : f32[2] = input()
    y : f32[2] = input()
    -> x = x
    -> y = y)"),
                 "y: second input number 0"));
}

TEST_CASE("types agree with inference, constants with their bytes") {
  check_only(faults(R"(graph imported
    x : f32[2] = input()
    y : f32[3] = clamp(x)
    -> y = y)"),
             "y: declared f32[3], clamp gives f32[2]");
  check_only(faults(R"(graph imported
    x : f32[2,3] = input()
    y : f32[2,3] = matmul(x, x)
    -> y = y)"),
             "inner extents 3 and 2 differ");
  Graph graph = parse(R"(graph imported
    #c : f32[2]
    x : f32[2] = input()
    y = binary(x, #c)
    -> y = y)",
                      {}, true);
  graph.value(*graph.find("c")).constant = Tensor::zeros(DType::F32, {3});
  check_only(faults(graph), "c: declared f32[2], its bytes are f32[3]");
}

TEST_CASE("nothing dead from canonical on") {
  constexpr std::string_view kBody = R"(
    #c : f32[2]
    x : f32[2] = input()
    unused : f32[2] = input(index=1)
    dead = clamp(x)
    y = unary(x; kind=tanh)
    -> y = y)";
  CHECK(faults("graph imported" + std::string(kBody)) == kNone);
  const std::vector<std::string> found = faults("graph canonical" + std::string(kBody));
  CHECK(found == std::vector<std::string>{"c: nobody uses it", "dead: nobody uses it"});
}

TEST_CASE("canonical has no composite operators, no float level has integer ones") {
  constexpr std::string_view kBody = R"(
    #p : f32[4]
    x : f32[1,4,2,2] = input()
    a = attention(x, x, x)
    s = pixel_shuffle(a; factor=2)
    b = batch_norm(x, #p, #p, #p, #p)
    -> s = s
    -> b = b)";
  CHECK(faults("graph imported" + std::string(kBody)) == kNone);
  const std::vector<std::string> found = faults("graph canonical" + std::string(kBody));
  CHECK(found.size() == 3);
  CHECK(mentions(found, "a: attention must be gone"));
  CHECK(mentions(found, "s: pixel_shuffle must be gone"));
  CHECK(mentions(found, "b: batch_norm must be gone"));
  check_only(faults(R"(graph imported
    x : i8[2] = input()
    y = rescale(x)
    -> y = y)"),
             "y: rescale belongs to the integer level");
  check_only(faults(R"(graph canonical
    x : f32[2] layout [0] = input()
    -> y = x)"),
             "x: a layout below the integer level");
}

constexpr std::string_view kEncoded = R"(graph encoded
  #w : f32[4,3,1,1] {s8 axis 0 scale [1,1,1,1]}
  #b : f32[4]
  #k : f32[4,1,1] {s8 scale [1]}
  i : i64[1] = input(index=1)
  x : f32[1,3,4,4] {u8 scale [1]} = input()
  conv : f32[1,4,4,4] = conv2d(x, #w, #b)
  relu : f32[1,4,4,4] {u8 scale [1]} = clamp(conv)
  pool : f32[1,4,2,2] {u8 scale [1]} = max_pool2d(relu; kernel=[2,2], stride=[2,2])
  sum : f32[1,4,2,2] {s8 scale [0.5]} = binary(pool, #k)
  cat : f32[1,8,2,2] {s8 scale [0.5]} = concat(sum, sum; axis=1)
  flat : f32[1,32] {s8 scale [0.5]} = reshape(cat; shape=[1,32])
  -> y = flat
)";

std::string replaced(std::string_view text, std::string_view from, std::string_view to) {
  std::string out(text);
  const std::size_t at = out.find(from);
  REQUIRE(at != std::string::npos);
  return out.replace(at, from.size(), to);
}

TEST_CASE("encoded: what needs an encoding has one") {
  CHECK(faults(kEncoded) == kNone);
  const auto broken = [&](std::string_view from, std::string_view to) {
    return faults(replaced(kEncoded, from, to));
  };
  check_only(broken("x : f32[1,3,4,4] {u8 scale [1]}", "x : f32[1,3,4,4]"),
             "x: needs an encoding");
  check_only(broken("#w : f32[4,3,1,1] {s8 axis 0 scale [1,1,1,1]}", "#w : f32[4,3,1,1]"),
             "w: operand of 'conv' needs an encoding");
  check_only(broken("{s8 axis 0 scale [1,1,1,1]}", "{s8 axis 1 scale [1,1,1]}"),
             "w: operand of 'conv' cannot have scales along axis 1");
  check_only(broken("#k : f32[4,1,1] {s8 scale [1]}", "#k : f32[4,1,1]"),
             "k: operand of 'sum' needs an encoding");
  check_only(broken("#k : f32[4,1,1] {s8 scale [1]}",
                    "#k : f32[4,1,1] {s8 axis 0 scale [1,1,1,1]}"),
             "k: operand of 'sum' cannot have scales along axis 0");
  check_only(broken("x : f32[1,3,4,4] {u8 scale [1]}",
                    "x : f32[1,3,4,4] {u8 axis 1 scale [1,1,1]}"),
             "x: an activation cannot have one scale a channel");
  check_only(
      broken("pool : f32[1,4,2,2] {u8 scale [1]}",
             "pool : f32[1,4,2,2] {u8 scale [1.5]}"),
      "pool: max_pool2d keeps codes, but its encoding differs from that of 'relu'");
  check_only(
      broken("flat : f32[1,32] {s8 scale [0.5]}", "flat : f32[1,32] {n8 scale [0.5]}"),
      "flat: reshape keeps codes");
  check_only(broken("{s8 axis 0 scale [1,1,1,1]}", "{s8 axis 0 scale [1,1,0,1]}"),
             "w: encoding: scale 0 of channel 2");
  check_only(broken("{s8 axis 0 scale [1,1,1,1]}", "{s8 axis 0 scale [1,1,1]}"),
             "w: encoding: 3 scales and 3 zero points where 4 are needed");
  check_only(broken("{s8 axis 0 scale [1,1,1,1]}", "{o8 axis 0 scale [1,1,1,1]}"),
             "w: encoding: 8 bits; o has 1 to 7 bits");
  check_only(broken("x : f32[1,3,4,4] {u8 scale [1]}", "x : f32[1,3,4,4] {o3 scale [1]}"),
             "x: encoding: o has no code for zero, so only constants may have it");
  CHECK(faults(replaced(kEncoded, "{s8 axis 0 scale [1,1,1,1]}",
                        "{o1 axis 0 scale [1,1,1,1]}")) == kNone);
  // The convolution's result is wanted by somebody besides the clamp.
  check_only(broken("  -> y = flat", "  -> y = flat\n  -> c = conv"),
             "conv: needs an encoding");
}

TEST_CASE("concatenated constants share the encoding, what flows may not") {
  constexpr std::string_view kText = R"(graph encoded
    #token : f32[1,1,4] {s8 scale [0.5]}
    x : f32[1,2,4] {s8 scale [0.5]} = input()
    y : f32[1,3,4] {s8 scale [0.5]} = concat(#token, x; axis=1)
    -> y = y)";
  CHECK(faults(kText) == kNone);
  CHECK(mentions(faults(replaced(kText, "#token : f32[1,1,4] {s8 scale [0.5]}",
                                 "#token : f32[1,1,4] {s8 scale [0.25]}")),
                 "keeps codes, but its encoding differs from that of 'token'"));
  // What flows into a concat may keep its own: lowering rescales it.
  CHECK(faults(replaced(kText, "x : f32[1,2,4] {s8 scale [0.5]}",
                        "x : f32[1,2,4] {s8 scale [0.25]}")) == kNone);
}

TEST_CASE("a clamp is fused where its only operand has an accumulator") {
  const Graph graph = parse(R"(graph canonical
    #w : f32[4,3,1,1]
    x : f32[1,3,4,4] = input()
    a = conv2d(x, #w)
    fused = clamp(a)
    b = max_pool2d(fused; kernel=[2,2])
    c = clamp(b; hi=1)
    d = binary(c, c)
    e = clamp(d)
    f = clamp(d; hi=6)
    g = reduce(e; kind=sum, axes=[1], keepdim=true)
    h = clamp(g)
    i = reduce(f; kind=l2_norm, axes=[1], keepdim=true)
    j = clamp(i; lo=1)
    k = binary(h, j)
    l = clamp(k)
    -> l = l
    -> k = k)",
                            {}, true);
  const auto fused = [&](std::string_view name) {
    return is_fused_into_clamp(graph, *graph.find(name));
  };
  CHECK(fused("a"));
  CHECK(fused("g"));
  for (std::string_view name : {"x", "w", "fused", "b", "c", "d", "e", "i", "k", "l"}) {
    INFO(name);
    CHECK_FALSE(fused(name));
  }
}

constexpr std::string_view kInteger = R"(graph integer
  #w : i8[4,1,1,3]
  #b : i32[4]
  #m : i32[4]
  #s : i8[4]
  #t : i8[256]
  x : i8[1,4,4,3] {u8 scale [1]} layout [0,2,3,1] = input()
  conv : i8[1,4,4,4] = qconv2d(x, #w, #b, #m, #s; x_zero=-128, y_zero=3, lo=3, acc_bits=20)
  lut : i8[1,4,4,4] = lut(conv, #t)
  padded : i8[1,6,4,4] = pad(lut; before=[0,1,0,0], after=[0,1,0,0], value=-128)
  sum : i8[1,6,4,4] = qadd(padded, padded; a_multiplier=1024, b_multiplier=-1024, shift=10)
  y : i8[1,6,4,4] = rescale(sum; multiplier=1073741824, shift=-31)
  -> y = y
)";

TEST_CASE("integer: operators, element types and ranges") {
  CHECK(faults(kInteger) == kNone);
  const auto broken = [&](std::string_view from, std::string_view to) {
    return faults(replaced(kInteger, from, to));
  };
  check_only(broken("x_zero=-128", "x_zero=128"),
             "conv: x_zero is 128; must be in [-128, 127]");
  check_only(broken("y_zero=3", "y_zero=-129"), "conv: y_zero is -129");
  check_only(broken("acc_bits=20", "acc_bits=65"), "conv: acc_bits is 65");
  check_only(broken("acc_bits=20", "weight_bits=9"), "conv: weight_bits is 9");
  CHECK(mentions(broken("lo=3", "lo=-129"), "conv: lo is -129"));
  CHECK(mentions(broken("lo=3", "lo=3, hi=2"), "conv: clamp [3, 2] is empty"));
  // Codes outside their encoding would be read as others by kernels for few bits.
  constexpr std::string_view kPlain = "y : i8[1,6,4,4] = rescale(sum; multiplier";
  CHECK(broken(kPlain,
               "y : i8[1,6,4,4] {u2 scale [1]} = rescale(sum; lo=0, hi=3, "
               "multiplier") == kNone);
  check_only(broken(kPlain,
                    "y : i8[1,6,4,4] {u2 scale [1]} = rescale(sum; lo=0, hi=4, "
                    "multiplier"),
             "y: hi is 4; must be in [0, 3]");
  check_only(broken("multiplier=1073741824, shift", "multiplier=262143, shift"),
             "y: multiplier 262143 is neither 0 nor in [2^18, 2^31)");
  check_only(broken("multiplier=1073741824, shift", "multiplier=2147483648, shift"),
             "y: multiplier 2147483648");
  check_only(broken("shift=-31", "shift=-32"), "y: shift is -32; must be in [-31, 30]");
  check_only(broken("shift=-31", "shift=31"), "y: shift is 31; must be in [-31, 30]");
  check_only(broken("shift=10", "shift=32"), "sum: shift is 32; must be in [0, 31]");
  check_only(broken("b_multiplier=-1024", "b_multiplier=-2147483649"),
             "sum: b_multiplier is -2147483649");
  check_only(broken("value=-128", "value=-129"),
             "padded: pads with -129, which is no code");
  check_only(broken("value=-128", "value=0.5"),
             "padded: pads with 0.5, which is no code");
  check_only(broken("value=-128", "value=nan"), "padded: pads with nan");
  check_only(broken("layout [0,2,3,1]", "layout [0,2,2,1]"),
             "x: layout is no permutation of its axes");
  check_only(broken("layout [0,2,3,1]", "layout [0,1,2]"), "x: layout is no permutation");
  check_only(broken("{u8 scale [1]}", "{u16 scale [1]}"),
             "x: encoding is stored as i16, the value is i8");
  check_only(broken("y : i8[1,6,4,4] = rescale(sum; multiplier=1073741824, shift=-31)",
                    "y : i8[1,6,4,4] = clamp(sum)"),
             "y: clamp has no place at the integer level");
  // A result may be stored wider than its clamp needs.
  CHECK(faults(replaced(kInteger, "y : i8[1,6,4,4]", "y : i16[1,6,4,4]")) == kNone);
  check_only(broken("y : i8[1,6,4,4]", "y : i32[1,6,4,4]"), "y: declared i32[1,6,4,4]");
  check_only(faults(R"(graph integer
    x : f32[2] = input()
    -> y = x)"),
             "x: floating point at the integer level");
  check_only(faults(R"(graph integer
    x : i8[2] = input()
    t : i8[256] = input(index=1)
    y = lut(x, t)
    -> y = y)"),
             "y: 't' must be a constant");
}

TEST_CASE("integer: tables hold what the kernels index and shift with") {
  const Graph good = parse(kInteger, {}, true);
  const auto with = [&](std::string_view name, Tensor tensor) {
    Graph graph = good;
    graph.value(*graph.find(name)).constant = std::move(tensor);
    return faults(graph);
  };
  check_only(with("m", Tensor::of(std::vector<std::int32_t>{0, 1 << 30, 5, 0})),
             "conv: multiplier 5 is neither 0 nor");
  check_only(with("s", Tensor::of(std::vector<std::int8_t>{0, -31, 30, 31})),
             "conv: shift 31; must be in [-31, 30]");
  Graph narrow = good;
  std::get<op::QConv2d>(narrow.mutable_nodes()[1].op).weight_bits = 4;
  std::vector<std::int8_t> codes(12, 0);
  codes[3] = 15;
  narrow.value(*narrow.find("w")).constant = Tensor::from(codes, {4, 1, 1, 3});
  CHECK(faults(narrow) == kNone);
  codes[4] = -1;
  narrow.value(*narrow.find("w")).constant = Tensor::from(codes, {4, 1, 1, 3});
  check_only(faults(narrow), "conv: weight codes in [-1, 15] do not fit 4 bits");

  // Odd levels: exactly the codes they have.
  Graph odd = good;
  Value& w = odd.value(*odd.find("w"));
  w.encoding = Affine{LevelSet::O, 1, {1.0F}, {0}, {}};
  std::get<op::QConv2d>(odd.mutable_nodes()[1].op).weight_bits = 1;
  std::ranges::fill(codes, std::int8_t{-1});
  codes[2] = 1;
  w.constant = Tensor::from(codes, {4, 1, 1, 3});
  CHECK(faults(odd) == kNone);
  for (const std::int8_t wrong : {0, 2, 3, -3}) {
    codes[7] = wrong;
    w.constant = Tensor::from(codes, {4, 1, 1, 3});
    check_only(faults(odd), fmt::format("conv: weight code {} is none of o1", wrong));
  }
  // Two's complement of one bit is -1 and 0.
  codes[7] = 0;
  w.encoding = Affine{LevelSet::S, 1, {1.0F}, {0}, {}};
  w.constant = Tensor::from(codes, {4, 1, 1, 3});
  check_only(faults(odd), "conv: weight codes in [-1, 1] do not fit 1 bits");
  codes[2] = 0;
  w.constant = Tensor::from(codes, {4, 1, 1, 3});
  CHECK(faults(odd) == kNone);

  Graph resize = parse(R"(graph integer
    #ri : i32[2,2]
    #rw : i16[2,2]
    x : i8[1,2,2,1] = input()
    y = qresize(x, #ri, #rw, #ri, #rw)
    -> y = y)",
                       {}, true);
  CHECK(mentions(faults(resize), "y: weights 0 and 0 do not sum to 2048"));
  resize.value(*resize.find("rw")).constant =
      Tensor::from(std::vector<std::int16_t>{2048, 0, 1024, 1024}, {2, 2});
  CHECK(faults(resize) == kNone);
  resize.value(*resize.find("ri")).constant =
      Tensor::from(std::vector<std::int32_t>{0, 1, 1, 2}, {2, 2});
  CHECK(mentions(faults(resize), "y: source index 2; must be in [0, 1]"));

  Graph pool = parse(R"(graph integer
    #m : i32[2]
    #s : i8[2]
    #which : u8[1,2]
    x : i8[1,2,2,1] = input()
    y = qavg_pool2d(x, #m, #s, #which; row_start=[0], row_end=[2], col_start=[0,1], col_end=[1,2])
    -> y = y)",
                     {}, true);
  CHECK(faults(pool) == kNone);
  pool.value(*pool.find("which")).constant =
      Tensor::from(std::vector<std::uint8_t>{1, 2}, {1, 2});
  check_only(faults(pool), "y: divisor choice 2; must be in [0, 1]");
}

TEST_CASE("require_valid lists everything and names the step") {
  Graph graph = small();
  graph.mutable_outputs().clear();
  try {
    require_valid(graph, "fold_pad");
    FAIL("accepted");
  } catch (const InternalError& e) {
    const std::string text = e.what();
    CHECK(text.find("invalid canonical graph after fold_pad") != std::string::npos);
    CHECK(text.find("graph: has no output") != std::string::npos);
    CHECK(text.find("b: nobody uses it") != std::string::npos);
  }
  CHECK_NOTHROW(require_valid(small(), "nothing"));
}

}  // namespace
}  // namespace qopt
