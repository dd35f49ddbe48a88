// SPDX-License-Identifier: MIT
// Shape inference over every operator, as lines of the text form: what must come out, and
// what must be refused with an Error and nothing worse.
#include "lib/graph/shape.h"

#include "lib/graph/text.h"
#include "tests/support/catch.h"

namespace qopt {
namespace {

struct Case {
  std::string_view operands;  // "a f32[1,2] #b i8[3]"
  std::string_view node;      // "linear(a, #b)"
};

/// A graph of the operands and one node whose type is left to inference.
std::string program(std::string_view level, const Case& c) {
  std::string text = "graph " + std::string(level) + "\n";
  std::string_view rest = c.operands;
  int inputs = 0;
  const auto word = [&] {
    const std::size_t end = std::min(rest.find(' '), rest.size());
    const std::string found(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return found;
  };
  while (!rest.empty()) {
    const std::string name = word();
    text += name + " : " + word();
    if (name[0] != '#') text += " = input(index=" + std::to_string(inputs++) + ")";
    text += "\n";
  }
  return text + "result = " + std::string(c.node) + "\n";
}

std::string inferred(std::string_view level, const Case& c) {
  const Graph graph = parse(program(level, c), {}, true);
  const Value& result = graph.value(graph.nodes().back().output);
  return type_text({result.dtype, result.shape});
}

TEST_CASE("float operators infer their results") {
  const std::pair<Case, std::string_view> rows[] = {
      {{"x f32[1,3,8,9] #w f32[6,1,3,2]", "conv2d(x, #w; groups=3, stride=[2,1])"},
       "f32[1,6,3,8]"},
      {{"x f32[1,3,8,9] #w f32[6,3,3,3] #b f32[6]",
        "conv2d(x, #w, #b; dilation=[2,1], pads=[1,0,2,1])"},
       "f32[1,6,7,8]"},
      {{"x f32[2,4,5,5] #w f32[4,3,3,3]",
        "conv_transpose2d(x, #w; groups=2, stride=[2,2], pads=[1,1,1,1], "
        "output_padding=[1,0])"},
       "f32[2,6,10,9]"},
      {{"x f32[2,7,5] #w f32[3,5] #b f32[3]", "linear(x, #w, #b)"}, "f32[2,7,3]"},
      {{"x f32[5] #w f32[3,5]", "linear(x, #w)"}, "f32[3]"},
      {{"a f32[2,1,3,4] b f32[5,4,6]", "matmul(a, b)"}, "f32[2,5,3,6]"},
      {{"x f32[2,3,4] #p f32[3]", "batch_norm(x, #p, #p, #p, #p)"}, "f32[2,3,4]"},
      {{"x i64[3]", "clamp(x)"}, "i64[3]"},
      {{"x f32[3]", "unary(x; kind=gelu)"}, "f32[3]"},
      {{"x f32[2,3,4] #s f32[3]", "prelu(x, #s)"}, "f32[2,3,4]"},
      {{"x f32[4] #s f32[1]", "prelu(x, #s)"}, "f32[4]"},
      {{"a f32[2,1,3] b f32[4,1]", "binary(a, b; kind=mul)"}, "f32[2,4,3]"},
      {{"a f32[] b f32[4,1]", "binary(a, b)"}, "f32[4,1]"},
      {{"x f32[1,2,7,7]", "max_pool2d(x; kernel=[3,3], stride=[2,2], pads=[1,1,1,1])"},
       "f32[1,2,4,4]"},
      {{"x f32[1,2,6,6]", "max_pool2d(x; kernel=[3,3], stride=[2,2], ceil_mode=true)"},
       "f32[1,2,3,3]"},
      // The last window of ceil mode would start in the padding: dropped, as LibTorch.
      {{"x f32[1,2,5,5]",
        "avg_pool2d(x; kernel=[2,2], stride=[3,3], pads=[1,1,1,1], ceil_mode=true)"},
       "f32[1,2,2,2]"},
      {{"x f32[1,2,6,6]", "adaptive_avg_pool2d(x; out=[4,7])"}, "f32[1,2,4,7]"},
      {{"x f32[1,2,6,5]", "reduce(x; axes=[1,3])"}, "f32[1,6]"},
      {{"x f32[1,2,6,5]", "reduce(x; axes=[1,3], keepdim=true)"}, "f32[1,1,6,1]"},
      {{"a f32[1,2,6] b f32[1,3,6]", "concat(a, b; axis=1)"}, "f32[1,5,6]"},
      {{"x f32[9]", "slice(x; start=1, end=8, step=3)"}, "f32[3]"},
      {{"x f32[9]", "slice(x; start=4, end=4)"}, "f32[0]"},
      {{"x f32[4,6]", "reshape(x; shape=[2,3,4,1])"}, "f32[2,3,4,1]"},
      {{"x f32[4,6,7]", "permute(x; perm=[2,0,1])"}, "f32[7,4,6]"},
      {{"x f32[4,1]", "expand(x; shape=[2,4,3])"}, "f32[2,4,3]"},
      {{"x f32[4,1]", "pad(x; before=[1,0], after=[0,2])"}, "f32[5,3]"},
      {{"x f32[1,2,3,4]", "resize(x; out=[6,2], mode=bilinear)"}, "f32[1,2,6,2]"},
      {{"x f32[2,3]", "softmax(x; axis=1)"}, "f32[2,3]"},
      {{"x f32[2,3,4] #g f32[3,4]", "layer_norm(x, #g, #g; num_axes=2)"}, "f32[2,3,4]"},
      {{"x f32[2,3,4]", "layer_norm(x)"}, "f32[2,3,4]"},
      {{"x f32[2,3]", "l2_normalize(x; axis=1)"}, "f32[2,3]"},
      {{"i i64[2,5] #t f32[10,3]", "embedding(i, #t)"}, "f32[2,5,3]"},
      {{"q f32[2,1,4,8] k f32[3,5,8] v f32[1,5,6] #m f32[4,5]", "attention(q, k, v, #m)"},
       "f32[2,3,4,6]"},
      {{"x f32[1,12,3,4]", "pixel_shuffle(x; factor=2)"}, "f32[1,3,6,8]"},
  };
  for (const auto& [c, type] : rows) {
    INFO(c.node);
    CHECK(inferred("imported", c) == type);
  }
}

TEST_CASE("integer operators infer physical results") {
  constexpr std::string_view kConv =
      "x i8[1,8,9,4] #w i8[6,3,3,2] #b i32[6] #m i32[6] #s i8[6] #z i16[6]";
  const std::pair<Case, std::string_view> rows[] = {
      {{kConv, "qconv2d(x, #w, #b, #m, #s; groups=2, pads=[1,1,1,1], stride=[2,2])"},
       "i8[1,4,5,6]"},
      {{kConv, "qconv2d(x, #w, #b, #m, #s, #z; groups=2, lo=-32768, hi=5)"},
       "i16[1,6,7,6]"},
      {{kConv, "qconv_transpose2d(x, #w, #b, #m, #s; groups=2, stride=[2,2])"},
       "i8[1,17,19,6]"},
      {{"a i8[2,3,4] b i8[4,5]", "qmatmul(a, b)"}, "i8[2,3,5]"},
      {{"a i8[2,3,4] b i16[4]", "qadd(a, b; lo=0, hi=128)"}, "i16[2,3,4]"},
      {{"a i8[2,1] b i8[1,3]", "qmul(a, b)"}, "i8[2,3]"},
      {{"a i8[2,1] b i8[1,3]", "qdiv(a, b)"}, "i8[2,3]"},
      {{"x i16[2,3]", "rescale(x)"}, "i8[2,3]"},
      {{"x i8[2,3] #t i16[256]", "lut(x, #t)"}, "i16[2,3]"},
      {{"x i16[2,3] #t i8[65536]", "lut(x, #t)"}, "i8[2,3]"},
      {{"x i8[2,3] #t i8[3,256]", "lut(x, #t)"}, "i8[2,3]"},
      {{"x i8[1,5,5,3] #m i32[2] #s i8[2] #w u8[2,1]",
        "qavg_pool2d(x, #m, #s, #w; row_start=[0,2], row_end=[3,5], col_start=[1], "
        "col_end=[4])"},
       "i8[1,2,1,3]"},
      {{"x i8[1,5,5,3]", "qreduce(x; axes=[1,2])"}, "i8[1,3]"},
      {{"x i8[1,5,4,3] #ri i32[7,2] #rw i16[7,2] #ci i32[2,2] #cw i16[2,2]",
        "qresize(x, #ri, #rw, #ci, #cw)"},
       "i8[1,7,2,3]"},
      {{"x i8[2,5] #t i32[256]", "qsoftmax(x, #t; axis=1)"}, "i8[2,5]"},
      {{"x i8[2,3,4] #g i32[12]", "qlayer_norm(x, #g, #g; num_axes=2)"}, "i8[2,3,4]"},
      {{"x i8[2,3,4]", "ql2_normalize(x; axis=2)"}, "i8[2,3,4]"},
      {{"i i32[2,5] #t i8[10,3]", "qgather(i, #t)"}, "i8[2,5,3]"},
      {{"x i8[1,6,7,2]", "max_pool2d(x; kernel=[2,3], stride=[2,2])"}, "i8[1,3,3,2]"},
      {{"x i8[1,6,7,2]", "pad(x; before=[0,1,1,0], after=[0,0,0,0], value=-3)"},
       "i8[1,7,8,2]"},
  };
  for (const auto& [c, type] : rows) {
    INFO(c.node);
    CHECK(inferred("integer", c) == type);
  }
}

TEST_CASE("what does not fit is refused") {
  constexpr std::string_view kConv =
      "x i8[1,8,9,4] #w i8[6,3,3,2] #b i32[6] #m i32[6] #s i8[6] #f f32[6]";
  const Case rows[] = {
      {"x f32[1,3,8,8] #w f32[6,3,3,3]", "conv2d(x, #w; stride=[0,1])"},
      {"x f32[1,3,8,8] #w f32[6,3,3,3]", "conv2d(x, #w; stride=[1,-1])"},
      {"x f32[1,3,8,8] #w f32[6,3,3,3]", "conv2d(x, #w; dilation=[0,1])"},
      {"x f32[1,3,8,8] #w f32[6,3,3,3]", "conv2d(x, #w; groups=0)"},
      {"x f32[1,3,8,8] #w f32[6,3,3,3]", "conv2d(x, #w; groups=2)"},
      {"x f32[1,3,8,8] #w f32[6,3,3,3]", "conv2d(x, #w; pads=[-1,0,0,0])"},
      {"x f32[1,3,8,8] #w f32[6,3,3,3]",
       "conv2d(x, #w; pads=[9223372036854775807,0,0,0])"},
      {"x f32[1,3,8,8] #w f32[6,3,3,3]",
       "conv2d(x, #w; dilation=[9223372036854775807,1])"},
      {"x f32[1,3,2,8] #w f32[6,3,3,3]", "conv2d(x, #w)"},
      {"x f32[1,3,2,8] #w f32[6,3,0,3]", "conv2d(x, #w)"},
      {"x f32[1,3,8] #w f32[6,3,3,3]", "conv2d(x, #w)"},
      {"x i8[1,3,8,8] #w i8[6,3,3,3]", "conv2d(x, #w)"},
      {"x f32[1,3,8,8] #w f32[6,3,3,3] #b f32[5]", "conv2d(x, #w, #b)"},
      {"x f32[1,4,5,5] #w f32[4,3,3,3]", "conv_transpose2d(x, #w; output_padding=[1,0])"},
      {"x f32[1,4,5,5] #w f32[4,3,3,3]", "conv_transpose2d(x, #w; pads=[9,0,9,0])"},
      {"x f32[1,4,5,5] #w f32[4,3,3,3]",
       "conv_transpose2d(x, #w; stride=[9223372036854775807,1])"},
      {"x f32[] #w f32[3,5]", "linear(x, #w)"},
      {"x f32[4] #w f32[3,5]", "linear(x, #w)"},
      {"a f32[2,3] b f32[4,5]", "matmul(a, b)"},
      {"a f32[3] b f32[3,5]", "matmul(a, b)"},
      {"x f32[2,3,4] #p f32[4]", "batch_norm(x, #p, #p, #p, #p)"},
      {"x f32[3]", "clamp(x; lo=1, hi=0)"},
      {"x f32[3]", "clamp(x; lo=nan)"},
      {"x i64[3]", "unary(x)"},
      {"x f32[2,3] #s f32[2]", "prelu(x, #s)"},
      {"a f32[2,3] b f32[4]", "binary(a, b)"},
      {"a f32[2,3] b i64[3]", "binary(a, b)"},
      {"x f32[1,2,7,7]", "max_pool2d(x; kernel=[3,3], pads=[3,0,0,0])"},
      {"x f32[1,2,7,7]", "max_pool2d(x; kernel=[0,3])"},
      {"x f32[1,2,7,7]", "avg_pool2d(x; kernel=[8,3])"},
      {"x f32[1,2,7,7]", "avg_pool2d(x; divisor=-1)"},
      {"x f32[1,2,6,6]", "adaptive_avg_pool2d(x; out=[0,1])"},
      {"x f32[1,2,6,6]", "adaptive_avg_pool2d(x; out=[9223372036854775807,1])"},
      {"x f32[1,2]", "reduce(x)"},
      {"x f32[1,2]", "reduce(x; axes=[1,0])"},
      {"x f32[1,2]", "reduce(x; axes=[1,1])"},
      {"x f32[1,2]", "reduce(x; axes=[2])"},
      {"a f32[1,2] b f32[1]", "concat(a, b)"},
      {"a f32[1,2] b f32[1,3]", "concat(a, b)"},
      {"a f32[1,2]", "concat(a; axis=-1)"},
      {"x f32[9]", "slice(x; start=1, end=10)"},
      {"x f32[9]", "slice(x; start=3, end=2)"},
      {"x f32[9]", "slice(x; start=-1, end=2)"},
      {"x f32[9]", "slice(x; end=2, step=0)"},
      {"x f32[4,6]", "reshape(x; shape=[5,5])"},
      {"x f32[4,6]", "reshape(x; shape=[-4,-6])"},
      {"x f32[0]", "reshape(x; shape=[0,9223372036854775807,9223372036854775807,-1])"},
      {"x f32[4,6]", "permute(x; perm=[0,0])"},
      {"x f32[4,6]", "permute(x; perm=[1])"},
      {"x f32[4,6]", "permute(x; perm=[1,2])"},
      {"x f32[4,1]", "expand(x; shape=[1])"},
      {"x f32[4,3]", "expand(x; shape=[4,1])"},
      {"x f32[1]", "expand(x; shape=[4611686018427387904,4])"},
      {"x f32[4]", "pad(x; before=[-1], after=[0])"},
      {"x f32[4]", "pad(x; before=[1], after=[])"},
      {"x f32[4]", "pad(x; before=[9223372036854775807], after=[9223372036854775807])"},
      {"x f32[1,2,3,4]", "resize(x; out=[0,1])"},
      {"x f32[1,2,3,4]", "resize(x; scale=[nan,1])"},
      {"x f32[2]", "softmax(x; axis=1)"},
      {"x f32[2,3] #g f32[2]", "layer_norm(x, #g)"},
      {"x f32[2,3]", "layer_norm(x; num_axes=3)"},
      {"x f32[2,3]", "layer_norm(x; eps=nan)"},
      {"x f32[2,3]", "l2_normalize(x; axis=-1)"},
      {"i f32[2] #t f32[10,3]", "embedding(i, #t)"},
      {"i i64[2] #t f32[10]", "embedding(i, #t)"},
      {"q f32[4,8] k f32[5,7] v f32[5,6]", "attention(q, k, v)"},
      {"q f32[4,8] k f32[5,8] v f32[4,6]", "attention(q, k, v)"},
      {"q f32[4,8] k f32[5,8] v f32[5,6] #m f32[3,4,5]", "attention(q, k, v, #m)"},
      {"x f32[1,10,3,4]", "pixel_shuffle(x; factor=2)"},
      {"x f32[1,10,3,4]", "pixel_shuffle(x; factor=0)"},
      {"x f32[1,10,3,4]", "pixel_shuffle(x; factor=4294967296)"},
      {kConv, "qconv2d(x, #w, #b, #m, #f; groups=2)"},
      {kConv, "qconv2d(x, #w, #f, #m, #s; groups=2)"},
      {kConv, "qconv2d(x, #w, #b, #m, #s)"},
      {kConv, "qconv2d(x, #w, #b, #m, #s; groups=2, lo=2, hi=1)"},
      {kConv, "qconv2d(x, #w, #b, #m, #s; groups=2, hi=40000)"},
      {"x i8[2,3] #t i8[255]", "lut(x, #t)"},
      {"x i16[2,3] #t i8[256]", "lut(x, #t)"},
      {"x i8[1,5,5,3] #m i32[1] #s i8[1] #w u8[1,1]",
       "qavg_pool2d(x, #m, #s, #w; row_start=[0], row_end=[6], col_start=[1], "
       "col_end=[4])"},
      {"x i8[1,5,5,3] #m i32[1] #s i8[1] #w u8[1,1]",
       "qavg_pool2d(x, #m, #s, #w; row_start=[2], row_end=[2], col_start=[1], "
       "col_end=[4])"},
      {"x i8[2,5] #t i32[255]", "qsoftmax(x, #t; axis=1)"},
      {"x f32[2,5]", "rescale(x)"},
      {"i i64[2,5] #t i8[10,3]", "qgather(i, #t)"},
  };
  for (const Case& c : rows) {
    const bool integer = c.node.starts_with("q") || c.node.starts_with("lut") ||
                         c.node.starts_with("rescale");
    const std::string text = program(integer ? "integer" : "imported", c);
    INFO(text);
    CHECK_THROWS_AS(parse(text, {}, true), Error);
  }
}

TEST_CASE("infer names the operator, the operands and the reason") {
  const ValueType x{DType::F32, {2, 3}}, y{DType::F32, {4, 5}};
  const ValueType both[] = {x, y};
  try {
    infer(op::MatMul{}, both, Level::Imported);
    FAIL("accepted");
  } catch (const Error& e) {
    CHECK(e.code() == ExitCode::ModelUnsupported);
    CHECK(std::string(e.what()) ==
          "matmul(f32[2,3], f32[4,5]): inner extents 3 and 4 differ");
  }
  CHECK_THROWS_AS(infer(op::MatMul{}, std::span(both).first(1), Level::Imported), Error);
  CHECK_THROWS_AS(infer(op::Input{}, {}, Level::Imported), Error);
}

}  // namespace
}  // namespace qopt
