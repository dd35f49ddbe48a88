// SPDX-License-Identifier: MIT
// The parity cases: for each operator with an integer form, small float graphs in text
// form. parity_support.h puts encodings on them; op_parity_test.cpp checks that no
// operator is missing.
#pragma once

#include <string_view>

namespace qopt::parity {

/// Values that a case's inputs take.
enum class Data { Signed, Positive };

struct Case {
  std::string_view name;
  std::string_view op;    // kName of the operator under test
  std::string_view text;  // level canonical
  Data data = Data::Signed;
  double amplitude = 1.0;
};

constexpr Case kCases[] = {
    // ------------------------------------------------------------------ convolutions
    {"conv2d, padded, strided, bias, relu", "conv2d", R"(graph canonical
  #w : f32[8,6,3,3]
  #b : f32[8]
  x : f32[2,6,9,8] = input()
  c : f32[2,8,5,4] = conv2d(x, #w, #b; stride=[2,2], pads=[1,1,1,1])
  y : f32[2,8,5,4] = clamp(c)
  -> y = y
)"},
    {"conv2d, grouped, dilated, asymmetric padding", "conv2d", R"(graph canonical
  #w : f32[6,2,3,2]
  x : f32[1,4,9,8] = input()
  y : f32[1,6,7,9] = conv2d(x, #w; dilation=[2,1], pads=[2,0,0,2], groups=2)
  -> y = y
)"},
    {"conv2d, depthwise", "conv2d", R"(graph canonical
  #w : f32[8,1,3,3]
  #b : f32[8]
  x : f32[1,8,9,8] = input()
  y : f32[1,8,9,8] = conv2d(x, #w, #b; pads=[1,1,1,1], groups=8)
  -> y = y
)"},
    {"conv_transpose2d", "conv_transpose2d", R"(graph canonical
  #w : f32[6,5,3,3]
  #b : f32[5]
  x : f32[1,6,5,4] = input()
  y : f32[1,5,10,8] = conv_transpose2d(x, #w, #b; stride=[2,2], output_padding=[1,1], pads=[1,1,1,1])
  -> y = y
)"},
    {"conv_transpose2d, grouped", "conv_transpose2d", R"(graph canonical
  #w : f32[6,3,2,2]
  x : f32[1,6,7,5] = input()
  c : f32[1,6,14,10] = conv_transpose2d(x, #w; stride=[2,2], groups=2)
  y : f32[1,6,14,10] = clamp(c; lo=-1, hi=1)
  -> y = y
)"},
    {"linear", "linear", R"(graph canonical
  #w : f32[24,40]
  #b : f32[24]
  x : f32[12,40] = input()
  c : f32[12,24] = linear(x, #w, #b)
  y : f32[12,24] = clamp(c)
  -> y = y
)"},
    {"linear of a sequence", "linear", R"(graph canonical
  #w : f32[10,12]
  x : f32[3,12,7] = input()
  p : f32[3,7,12] = permute(x; perm=[0,2,1])
  y : f32[3,7,10] = linear(p, #w)
  -> y = y
)"},
    {"flatten into linear", "linear", R"(graph canonical
  #f : f32[60,48]
  x : f32[4,4,4,3] = input()
  c : f32[4,4,4,3] = max_pool2d(x)
  r : f32[4,48] = reshape(c; shape=[4,48])
  y : f32[4,60] = linear(r, #f)
  -> y = y
)"},
    {"matmul of activations", "matmul", R"(graph canonical
  a : f32[2,3,5,12] = input()
  b : f32[3,12,7] = input(index=1)
  y : f32[2,3,5,7] = matmul(a, b)
  -> y = y
)"},
    {"matmul by constant", "matmul", R"(graph canonical
  #w : f32[12,20]
  x : f32[2,9,12] = input()
  y : f32[2,9,20] = matmul(x, #w)
  -> y = y
)"},
    {"matmul by a constant of rank 3", "matmul", R"(graph canonical
  #w : f32[2,12,20]
  x : f32[2,9,12] = input()
  c : f32[2,9,20] = matmul(x, #w)
  y : f32[2,9,20] = clamp(c; lo=-1, hi=2)
  -> y = y
)"},
    // ------------------------------------------------------------------ pointwise
    {"clamp on its own", "clamp", R"(graph canonical
  x : f32[2,6,5,7] = input()
  y : f32[2,6,5,7] = clamp(x; lo=-0.3, hi=0.6)
  -> y = y
)"},
    {"prelu, one slope", "prelu", R"(graph canonical
  #s : f32[1]
  x : f32[2,6,5,7] = input()
  y : f32[2,6,5,7] = prelu(x, #s)
  -> y = y
)"},
    {"prelu, a slope a channel", "prelu", R"(graph canonical
  #s : f32[6]
  x : f32[2,6,5,7] = input()
  y : f32[2,6,5,7] = prelu(x, #s)
  -> y = y
)"},
    {"add", "binary", R"(graph canonical
  a : f32[2,6,5,7] = input()
  b : f32[2,6,5,7] = input(index=1)
  s : f32[2,6,5,7] = binary(a, b; kind=add)
  y : f32[2,6,5,7] = clamp(s)
  -> y = y
)"},
    {"add a constant a channel", "binary", R"(graph canonical
  #c : f32[6,1,1]
  a : f32[2,6,5,7] = input()
  y : f32[2,6,5,7] = binary(#c, a; kind=add)
  -> y = y
)"},
    {"subtract, broadcast both ways", "binary", R"(graph canonical
  a : f32[2,6,1,7] = input()
  b : f32[5,1] = input(index=1)
  y : f32[2,6,5,7] = binary(a, b; kind=sub)
  -> y = y
)"},
    {"multiply", "binary", R"(graph canonical
  a : f32[2,6,5,7] = input()
  b : f32[2,6,1,1] = input(index=1)
  s : f32[2,6,5,7] = binary(a, b; kind=mul)
  y : f32[2,6,5,7] = clamp(s; lo=-0.5, hi=0.4)
  -> y = y
)"},
    {"multiply by a scalar", "binary", R"(graph canonical
  #k : f32[1]
  a : f32[2,6,5,7] = input()
  y : f32[2,6,5,7] = binary(a, #k; kind=mul)
  -> y = y
)"},
    {"divide", "binary", R"(graph canonical
  a : f32[2,6,5,7] = input()
  b : f32[2,6,5,7] = input(index=1)
  y : f32[2,6,5,7] = binary(a, b; kind=div)
  -> y = y
)",
     Data::Positive},
    {"divide by a scalar", "binary", R"(graph canonical
  #k : f32[1]
  a : f32[2,6,5,7] = input()
  y : f32[2,6,5,7] = binary(a, #k; kind=div)
  -> y = y
)",
     Data::Positive},
    // ------------------------------------------------------------------ windows
    {"max_pool2d", "max_pool2d", R"(graph canonical
  x : f32[2,6,9,8] = input()
  y : f32[2,6,5,5] = max_pool2d(x; kernel=[3,3], stride=[2,2], pads=[1,1,1,1], ceil_mode=true)
  -> y = y
)"},
    {"avg_pool2d", "avg_pool2d", R"(graph canonical
  x : f32[2,6,9,8] = input()
  y : f32[2,6,5,4] = avg_pool2d(x; kernel=[3,3], stride=[2,2], pads=[1,1,1,1])
  -> y = y
)"},
    {"avg_pool2d, own count, ceil", "avg_pool2d", R"(graph canonical
  x : f32[2,6,9,8] = input()
  y : f32[2,6,5,5] = avg_pool2d(x; kernel=[3,3], stride=[2,2], pads=[1,1,1,1], ceil_mode=true, count_include_pad=false)
  -> y = y
)"},
    {"avg_pool2d, ceil, padding counts", "avg_pool2d", R"(graph canonical
  x : f32[2,6,10,8] = input()
  y : f32[2,6,5,5] = avg_pool2d(x; kernel=[2,3], stride=[2,2], pads=[0,1,0,1], ceil_mode=true)
  -> y = y
)"},
    {"avg_pool2d, given divisor", "avg_pool2d", R"(graph canonical
  x : f32[2,6,9,8] = input()
  y : f32[2,6,4,4] = avg_pool2d(x; kernel=[2,2], stride=[2,2], divisor=3)
  -> y = y
)"},
    {"adaptive_avg_pool2d, uneven", "adaptive_avg_pool2d", R"(graph canonical
  x : f32[2,6,9,8] = input()
  y : f32[2,6,4,3] = adaptive_avg_pool2d(x; out=[4,3])
  -> y = y
)"},
    {"adaptive_avg_pool2d, global", "adaptive_avg_pool2d", R"(graph canonical
  x : f32[9,20,5,4] = input()
  y : f32[9,20,1,1] = adaptive_avg_pool2d(x)
  -> y = y
)"},
    {"mean", "reduce", R"(graph canonical
  x : f32[9,20,5,4] = input()
  y : f32[9,20] = reduce(x; axes=[2,3])
  -> y = y
)"},
    {"sum", "reduce", R"(graph canonical
  x : f32[12,9,20] = input()
  s : f32[12,1,20] = reduce(x; kind=sum, axes=[1], keepdim=true)
  y : f32[12,1,20] = clamp(s)
  -> y = y
)"},
    // ------------------------------------------------------------------ movements: exact
    {"concat", "concat", R"(graph canonical
  #c : f32[2,2,5,7]
  a : f32[2,6,5,7] = input()
  b : f32[2,4,5,7] = input(index=1)
  m : f32[2,6,5,7] = max_pool2d(a)
  y : f32[2,12,5,7] = concat(m, #c, b; axis=1)
  -> y = y
)"},
    {"slice", "slice", R"(graph canonical
  x : f32[2,9,5,7] = input()
  m : f32[2,9,5,7] = max_pool2d(x)
  y : f32[2,4,5,7] = slice(m; axis=1, start=1, end=8, step=2)
  -> y = y
)"},
    {"reshape", "reshape", R"(graph canonical
  x : f32[2,6,5,7] = input()
  m : f32[2,6,5,7] = max_pool2d(x)
  y : f32[12,35] = reshape(m; shape=[12,35])
  -> y = y
)"},
    {"permute", "permute", R"(graph canonical
  x : f32[2,6,5,7] = input()
  y : f32[7,2,6,5] = permute(x; perm=[3,0,1,2])
  -> y = y
)"},
    {"expand", "expand", R"(graph canonical
  x : f32[2,6,1,7] = input()
  m : f32[2,6,1,7] = max_pool2d(x)
  y : f32[3,2,6,5,7] = expand(m; shape=[3,2,6,5,7])
  -> y = y
)"},
    {"pad", "pad", R"(graph canonical
  x : f32[2,6,5,7] = input()
  m : f32[2,6,5,7] = max_pool2d(x)
  y : f32[2,7,8,9] = pad(m; before=[0,1,1,0], after=[0,0,2,2])
  -> y = y
)"},
    {"pad with a number", "pad", R"(graph canonical
  x : f32[2,6,5,7] = input()
  y : f32[2,6,7,7] = pad(x; before=[0,0,1,0], after=[0,0,1,0], value=0.4)
  -> y = y
)"},
    {"resize, nearest", "resize", R"(graph canonical
  x : f32[2,6,5,7] = input()
  y : f32[2,6,11,9] = resize(x; out=[11,9])
  -> y = y
)"},
    {"resize, nearest by a factor", "resize", R"(graph canonical
  x : f32[2,6,5,7] = input()
  y : f32[2,6,10,14] = resize(x; out=[10,14], scale=[2,2])
  -> y = y
)"},
    {"resize, bilinear", "resize", R"(graph canonical
  x : f32[2,6,5,7] = input()
  y : f32[2,6,11,9] = resize(x; mode=bilinear, out=[11,9])
  -> y = y
)"},
    {"resize, bilinear, corners aligned", "resize", R"(graph canonical
  x : f32[2,6,5,7] = input()
  y : f32[2,6,9,11] = resize(x; mode=bilinear, out=[9,11], align_corners=true)
  -> y = y
)"},
    {"resize, bilinear by a factor", "resize", R"(graph canonical
  x : f32[2,6,5,7] = input()
  y : f32[2,6,10,14] = resize(x; mode=bilinear, out=[10,14], scale=[2,2])
  -> y = y
)"},
    // ------------------------------------------------------------------ normalisation
    {"softmax", "softmax", R"(graph canonical
  x : f32[20,12] = input()
  y : f32[20,12] = softmax(x; axis=1)
  -> y = y
)",
     Data::Signed, 3.0},
    {"softmax over channels", "softmax", R"(graph canonical
  x : f32[2,6,5,7] = input()
  y : f32[2,6,5,7] = softmax(x; axis=1)
  -> y = y
)",
     Data::Signed, 3.0},
    {"layer_norm", "layer_norm", R"(graph canonical
  #g : f32[24]
  #b : f32[24]
  x : f32[2,7,24] = input()
  y : f32[2,7,24] = layer_norm(x, #g, #b)
  -> y = y
)"},
    {"layer_norm over two axes, no parameters", "layer_norm", R"(graph canonical
  x : f32[6,3,5,7] = input()
  y : f32[6,3,5,7] = layer_norm(x; num_axes=2, eps=0.001)
  -> y = y
)"},
    {"l2_normalize", "l2_normalize", R"(graph canonical
  x : f32[2,6,5,7] = input()
  y : f32[2,6,5,7] = l2_normalize(x; axis=1)
  -> y = y
)"},
    {"embedding", "embedding", R"(graph canonical
  #t : f32[20,16]
  i : i64[3,5] = input()
  y : f32[3,5,16] = embedding(i, #t)
  -> y = y
)"},
};

}  // namespace qopt::parity
