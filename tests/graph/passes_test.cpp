// SPDX-License-Identifier: MIT
// Every canonical pass: what it makes of the smallest graph it fits, where it must hold
// back, and that the meaning stays.
#include <set>

#include "tests/support/preserves_meaning.h"

namespace qopt {
namespace {

using testing::canonical_ops;
using testing::random_graph;
using Ops = std::vector<std::string>;

TEST_CASE("attention becomes matrix products and softmax") {
  CHECK(canonical_ops(R"(graph imported
    q : f32[2,3,4,8] = input()
    k : f32[2,3,5,8] = input(index=1)
    v : f32[2,3,5,6] = input(index=2)
    y = attention(q, k, v)
    -> y = y)") == Ops{"permute", "matmul", "binary", "softmax", "matmul"});
  CHECK(canonical_ops(R"(graph imported
    q : f32[1,4,8] = input()
    y = attention(q, q, q; causal=true, scale=1)
    -> y = y)") == Ops{"permute", "matmul", "binary", "softmax", "matmul"});
  CHECK(canonical_ops(R"(graph imported
    #mask : f32[4,4]
    q : f32[1,4,8] = input()
    y = attention(q, q, q, #mask; scale=0.25)
    -> y = y)") == Ops{"permute", "matmul", "binary", "binary", "softmax", "matmul"});
}

TEST_CASE("an infinite mask becomes a finite one of the same meaning") {
  Graph graph(Level::Imported);
  const ValueId q = graph.add_input("q", DType::F32, {1, 2, 4});
  const float inf = std::numeric_limits<float>::infinity();
  const ValueId mask =
      graph.add_constant("mask", Tensor::from(std::vector<float>{0, -inf, 0, 0}, {2, 2}));
  graph.add_output("y", graph.add(op::Attention{}, {q, q, q, mask}, "y"));
  canonical_ops(graph);
  const Graph canonical = canonicalize(graph);
  for (const Value& value : canonical.values()) {
    if (!value.constant) continue;
    for (float x : value.constant->values<float>()) CHECK(std::isfinite(x));
  }
}

TEST_CASE("pixel shuffle becomes reshape, permute, reshape") {
  CHECK(canonical_ops(R"(graph imported
    x : f32[2,18,3,4] = input()
    y = pixel_shuffle(x; factor=3)
    -> y = y)") == Ops{"reshape", "permute", "reshape"});
}

TEST_CASE("constants of constants are folded") {
  CHECK(canonical_ops(R"(graph imported
    #w : f32[4,6]
    #g : f32[4,1]
    x : f32[2,3] = input()
    wt = permute(#w; perm=[1,0])
    part = slice(wt; axis=0, start=1, end=6, step=2)
    grown = expand(#g; shape=[4,3])
    back = reshape(grown; shape=[3,4])
    sum = binary(part, back; kind=add)
    gate = unary(sum; kind=tanh)
    bounded = clamp(gate; lo=-0.5, hi=0.5)
    y = matmul(x, bounded)
    -> y = y)") == Ops{"linear"});
}

TEST_CASE("division by a bounded norm is one operator") {
  constexpr std::string_view kText = R"(graph imported
    x : f32[3,5] = input()
    n = reduce(x; kind=l2_norm, axes=[1], keepdim=true)
    c = clamp(n; lo=1e-12)
    e = expand(c; shape=[3,5])
    y = binary(x, e; kind=div)
    -> y = y)";
  CHECK(canonical_ops(kText) == Ops{"l2_normalize"});
}

TEST_CASE("gates become one function") {
  CHECK(canonical_ops(R"(graph imported
    x : f32[3,5] = input()
    s = unary(x; kind=sigmoid)
    a = binary(s, x; kind=mul)
    h = unary(a; kind=hardsigmoid)
    y = binary(a, h; kind=mul)
    -> y = y)") == Ops{"unary", "unary"});
}

TEST_CASE("shapes are simplified") {
  CHECK(canonical_ops(R"(graph imported
    x : f32[1,4,6,6] = input()
    a = expand(x; shape=[1,4,6,6])
    b = reshape(a; shape=[1,4,6,6])
    c = permute(b; perm=[0,1,2,3])
    d = slice(c; axis=1, end=4)
    e = concat(d; axis=1)
    f = pad(e; before=[0,0,0,0], after=[0,0,0,0])
    g = clamp(f; lo=-inf)
    h = adaptive_avg_pool2d(g; out=[6,6])
    i = max_pool2d(h)
    j = avg_pool2d(i)
    y = unary(j; kind=tanh)
    -> y = y)") == Ops{"unary"});
  CHECK(canonical_ops(R"(graph imported
    x : f32[1,4,6,6] = input()
    a = reshape(x; shape=[4,36])
    b = reshape(a; shape=[2,8,9])
    c = permute(b; perm=[2,0,1])
    d = permute(c; perm=[2,0,1])
    e = clamp(d; lo=-1, hi=0.5)
    f = clamp(e; lo=0, hi=6)
    -> y = f)") == Ops{"reshape", "permute", "clamp"});
  CHECK(canonical_ops(R"(graph imported
    x : f32[1,4,6,6] = input()
    a = clamp(x; lo=-1, hi=0.5)
    b = clamp(a; lo=0, hi=6)
    -> a = a
    -> b = b)") == Ops{"clamp", "clamp"});
}

TEST_CASE("bounds that exclude each other merge into a constant clamp") {
  const Graph graph = canonicalize(parse(R"(graph imported
    x : f32[4] = input()
    a = clamp(x; lo=-2, hi=-1)
    b = clamp(a; lo=0, hi=6)
    -> y = b)",
                                         {}, true));
  CHECK(std::get<op::Clamp>(graph.nodes().back().op) == op::Clamp{0.0, 0.0});
}

TEST_CASE("pools over everything become means, equal adaptive windows become pools") {
  CHECK(canonical_ops(R"(graph imported
    x : f32[2,3,6,4] = input()
    a = adaptive_avg_pool2d(x)
    b = avg_pool2d(x; kernel=[6,4], stride=[1,1])
    c = adaptive_avg_pool2d(x; out=[3,2])
    d = adaptive_avg_pool2d(x; out=[4,3])
    e = avg_pool2d(x; kernel=[6,4], divisor=7)
    -> a = a
    -> b = b
    -> c = c
    -> d = d
    -> e = e)") ==
        Ops{"reduce", "reduce", "avg_pool2d", "adaptive_avg_pool2d", "avg_pool2d"});
}

TEST_CASE("arithmetic needs no expand before it") {
  CHECK(canonical_ops(R"(graph imported
    x : f32[2,3,4] = input()
    s : f32[2,3,1] = input(index=1)
    e = expand(s; shape=[2,3,4])
    y = binary(e, x; kind=mul)
    both = binary(e, e; kind=add)
    -> y = y
    -> both = both)") == Ops{"expand", "binary", "binary"});
}

TEST_CASE("zero padding becomes the convolution's own") {
  constexpr std::string_view kAsymmetric = R"(graph imported
    #w : f32[2,3,3,3]
    x : f32[1,3,5,6] = input()
    p = pad(x; before=[0,0,0,1], after=[0,0,1,2])
    y = conv2d(p, #w; pads=[1,0,1,0], stride=[2,1])
    -> y = y)";
  CHECK(canonical_ops(kAsymmetric) == Ops{"conv2d"});
  const Graph graph = canonicalize(random_graph(kAsymmetric));
  CHECK(std::get<op::Conv2d>(graph.nodes().back().op).pads == Quad{1, 1, 2, 2});
  CHECK(canonical_ops(R"(graph imported
    #w : f32[2,3,3,3]
    x : f32[1,3,5,6] = input()
    p = pad(x; before=[0,0,1,1], after=[0,0,1,1], value=0.5)
    y = conv2d(p, #w)
    -> y = y)") == Ops{"pad", "conv2d"});
  CHECK(canonical_ops(R"(graph imported
    #w : f32[2,3,3,3]
    x : f32[1,2,5,6] = input()
    p = pad(x; before=[0,1,0,0], after=[0,0,0,0])
    y = conv2d(p, #w)
    -> y = y)") == Ops{"pad", "conv2d"});
}

TEST_CASE("batch norm folds into the layer before it") {
  constexpr std::string_view kParameters = R"(
    #g : f32[4]
    #b : f32[4]
    #m : f32[4]
    #var : f32[4]
)";
  const auto with = [&](std::string_view rest) {
    return "graph imported" + std::string(kParameters) + std::string(rest);
  };
  CHECK(canonical_ops(with(R"(
    #w : f32[4,1,3,3]
    #bias : f32[4]
    x : f32[2,2,5,6] = input()
    c = conv2d(x, #w, #bias; groups=2)
    y = batch_norm(c, #g, #b, #m, #var)
    -> y = y)")) == Ops{"conv2d"});
  CHECK(canonical_ops(with(R"(
    #w : f32[6,2,3,2]
    x : f32[2,6,5,6] = input()
    c = conv_transpose2d(x, #w; groups=2, stride=[2,2], output_padding=[1,0], pads=[1,0,1,0])
    y = batch_norm(c, #g, #b, #m, #var; eps=0.1)
    -> y = y)")) == Ops{"conv_transpose2d"});
  CHECK(canonical_ops(with(R"(
    #w : f32[4,3]
    x : f32[2,3] = input()
    c = linear(x, #w)
    y = batch_norm(c, #g, #b, #m, #var)
    -> y = y)")) == Ops{"linear"});
  // The convolution's own result is wanted too: the batch norm stands alone.
  CHECK(canonical_ops(with(R"(
    #w : f32[4,2,1,1]
    x : f32[2,2,5,6] = input()
    c = conv2d(x, #w)
    y = batch_norm(c, #g, #b, #m, #var)
    -> c = c
    -> y = y)")) == Ops{"conv2d", "conv2d"});
  CHECK(canonical_ops(with(R"(
    x : f32[2,4,5,6] = input()
    y = batch_norm(x, #g, #b, #m, #var)
    -> y = y)")) == Ops{"conv2d"});
  CHECK(canonical_ops(with(R"(
    x : f32[2,4,5] = input()
    y = batch_norm(x, #g, #b, #m, #var)
    -> y = y)")) == Ops{"binary", "binary"});
  // Rank 3: the channels of a linear layer lie elsewhere.
  CHECK(canonical_ops(with(R"(
    #w : f32[4,3]
    x : f32[2,4,3] = input()
    c = linear(x, #w)
    y = batch_norm(c, #g, #b, #m, #var)
    -> y = y)")) == Ops{"linear", "binary", "binary"});
}

TEST_CASE("weights used twice are not changed under the other user") {
  CHECK(canonical_ops(R"(graph imported
    #w : f32[4,4,1,1]
    #g : f32[4]
    #b : f32[4]
    #m : f32[4]
    #var : f32[4]
    x : f32[1,4,3,3] = input()
    c = conv2d(x, #w)
    n = batch_norm(c, #g, #b, #m, #var)
    y = conv2d(n, #w)
    -> y = y)") == Ops{"conv2d", "conv2d"});
}

TEST_CASE("batch norm without constant statistics is refused") {
  const Graph graph = parse(R"(graph imported
    #g : f32[4]
    x : f32[2,4,5,6] = input()
    m : f32[4] = input(index=1)
    norm = batch_norm(x, #g, #g, m, #g)
    -> y = norm)",
                            {}, true);
  try {
    canonicalize(graph);
    FAIL("accepted");
  } catch (const Error& e) {
    CHECK(e.code() == ExitCode::ModelUnsupported);
    CHECK(e.where() == "norm");
  }
}

TEST_CASE("constant factors and offsets fold into the layer before them") {
  CHECK(canonical_ops(R"(graph imported
    #w : f32[4,2,1,1]
    #a : f32[4,1,1]
    #c : f32[1,4,1,1]
    #s : f32[1]
    #t : f32[]
    #var : f32[4,1,1]
    x : f32[1,2,3,3] = input()
    y = conv2d(x, #w)
    y1 = binary(y, #a; kind=mul)
    y2 = binary(#c, y1; kind=add)
    y3 = binary(y2, #s; kind=sub)
    y4 = binary(y3, #t; kind=mul)
    y5 = binary(y4, #var; kind=div)
    -> y = y5)") == Ops{"conv2d"});
  // Through a permutation: the layer scale of a transformer-like block.
  CHECK(canonical_ops(R"(graph imported
    #w : f32[4,2]
    #a : f32[4,1,1]
    x : f32[1,3,3,2] = input()
    y = linear(x, #w)
    p = permute(y; perm=[0,3,1,2])
    s = binary(p, #a; kind=mul)
    -> y = s)") == Ops{"linear", "permute"});
  // Along another axis, over the whole shape, or enlarging it: nothing can be folded.
  CHECK(canonical_ops(R"(graph imported
    #w : f32[4,2]
    #rows : f32[3,1]
    #all : f32[3,4]
    #more : f32[5,3,4]
    x : f32[3,2] = input()
    a = linear(x, #w)
    b = binary(a, #rows; kind=mul)
    c = binary(b, #all; kind=add)
    d = binary(c, #more; kind=add)
    -> y = d)") == Ops{"linear", "binary", "binary", "binary"});
}

TEST_CASE("per-channel factors of images become depthwise convolutions") {
  CHECK(canonical_ops(R"(graph imported
    #mean : f32[1,3,1,1]
    #var : f32[3,1,1]
    #shift : f32[3,1,1]
    x : f32[2,3,4,5] = input()
    centred = binary(x, #mean; kind=sub)
    scaled = binary(centred, #var; kind=div)
    y = binary(scaled, #shift; kind=add)
    -> y = y)") == Ops{"conv2d"});
  CHECK(canonical_ops(R"(graph imported
    #s : f32[1,1,1]
    x : f32[2,3,4,5] = input()
    y = binary(x, #s; kind=mul)
    -> y = y)") == Ops{"binary"});
}

TEST_CASE("division by zero and constants on the left stay as they are") {
  Graph graph(Level::Imported);
  const ValueId x = graph.add_input("x", DType::F32, {2});
  const ValueId zero =
      graph.add_constant("zero", Tensor::from(std::vector<float>{0, 1}, {2}));
  const ValueId a = graph.add(op::Binary{BinaryKind::Sub}, {zero, x}, "a");
  graph.add_output("y", graph.add(op::Binary{BinaryKind::Div}, {a, zero}, "b"));
  const Graph canonical = canonicalize(graph);
  CHECK(std::get<op::Binary>(canonical.nodes()[1].op).kind == BinaryKind::Sub);
  CHECK(std::get<op::Binary>(canonical.nodes()[2].op).kind == BinaryKind::Div);
}

TEST_CASE("a small network keeps its names and its meaning") {
  const Graph graph = random_graph(R"(graph imported
    #conv.weight : f32[8,3,3,3]
    #bn.weight : f32[8]
    #bn.bias : f32[8]
    #bn.mean : f32[8]
    #bn.var : f32[8]
    #fc.weight : f32[5,8]
    #fc.bias : f32[5]
    x : f32[1,3,9,9] = input()
    conv = conv2d(x, #conv.weight; pads=[1,1,1,1])
    bn = batch_norm(conv, #bn.weight, #bn.bias, #bn.mean, #bn.var)
    relu = clamp(bn)
    pool = adaptive_avg_pool2d(relu)
    flat = reshape(pool; shape=[1,8])
    fc = linear(flat, #fc.weight, #fc.bias)
    -> logits = fc)");
  CHECK(canonical_ops(graph) == Ops{"conv2d", "clamp", "reduce", "reshape", "linear"});
  std::set<std::string> names;
  const Graph canonical = canonicalize(graph);
  for (const Value& value : canonical.values()) names.insert(value.name);
  CHECK(names == std::set<std::string>{"conv.weight", "conv.bias", "fc.weight", "fc.bias",
                                       "x", "conv", "relu", "pool", "flat", "fc"});
}

TEST_CASE("the table of passes names each once") {
  std::set<std::string_view> names;
  for (const GraphPass& pass : canonical_passes()) {
    CHECK(names.insert(pass.name).second);
    CHECK_FALSE(pass.summary.empty());
  }
}

}  // namespace
}  // namespace qopt
