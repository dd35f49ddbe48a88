// SPDX-License-Identifier: MIT
// Operators: the closed set of things a node can do, as plain attribute structs. Knows no
// execution: shapes are in shape.h, float meaning in lib/aten, integer meaning in
// lib/fixedpoint, code in lib/export.
//
// Each struct lists its attributes once, in `describe`; printing, parsing and comparing
// follow from that list. Inputs are named in the comment, `?` marks optional trailing
// ones.
//
// Layout. At the Imported, Canonical and Encoded levels shapes are LibTorch's: images are
// N,C,H,W, convolution weights O,I/g,H,W. At the Integer level shapes are physical:
// images are N,H,W,C, convolution weights O,H,W,I/g, and Permute nodes are real moves.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace qopt {

using Pair = std::array<std::int64_t, 2>;  // height, width
using Quad = std::array<std::int64_t, 4>;  // top, left, bottom, right
using Ints = std::vector<std::int64_t>;

/// Pointwise functions of one real variable; on the device an exact table of codes.
enum class UnaryKind {
  LeakyRelu,  // a = negative slope
  HardSwish,
  HardSigmoid,
  Sigmoid,
  Tanh,
  Silu,
  Gelu,      // erf form
  GeluTanh,  // tanh form
  Elu,       // a = alpha, b = scale, c = input scale (torch.elu)
  Softplus,  // a = beta, b = threshold
  Mish,
  Exp,
  Log,
  Sqrt,
  Rsqrt,
  Abs,
  Neg,
  Reciprocal,
  Square,
  // r + a (g - r) with r = x for x > 0, else c x (arXiv:2402.02593): a = factor from relu
  // (0) to smooth (1), b = sharpness of g, c = leak.
  InterpolatedGelu,  // g = x Phi(b x)
  InterpolatedSilu,  // g = x sigmoid(b x)
};

enum class BinaryKind { Add, Sub, Mul, Div };
enum class ReduceKind { Mean, Sum, L2Norm };
enum class ResizeMode { Nearest, Bilinear };

namespace op {

// ------------------------------------------------- levels Imported, Canonical and
// Encoded

/// () -> the graph's input number `index`.
struct Input {
  static constexpr std::string_view kName = "input";
  std::int64_t index = 0;
  template <class V>
  void describe(V& v) {
    v("index", index);
  }
  bool operator==(const Input&) const = default;
};

/// (x[N,C,H,W], w[O,C/groups,KH,KW], bias?[O]). conv1d is imported as height 1.
struct Conv2d {
  static constexpr std::string_view kName = "conv2d";
  Pair stride{1, 1}, dilation{1, 1};
  Quad pads{0, 0, 0, 0};
  std::int64_t groups = 1;
  template <class V>
  void describe(V& v) {
    v("stride", stride), v("dilation", dilation), v("pads", pads), v("groups", groups);
  }
  bool operator==(const Conv2d&) const = default;
};

/// (x[N,C,H,W], w[C,O/groups,KH,KW], bias?[O]) as torch.conv_transpose2d.
struct ConvTranspose2d {
  static constexpr std::string_view kName = "conv_transpose2d";
  Pair stride{1, 1}, dilation{1, 1}, output_padding{0, 0};
  Quad pads{0, 0, 0, 0};
  std::int64_t groups = 1;
  template <class V>
  void describe(V& v) {
    v("stride", stride), v("dilation", dilation), v("output_padding", output_padding);
    v("pads", pads), v("groups", groups);
  }
  bool operator==(const ConvTranspose2d&) const = default;
};

/// (x[...,I], w[O,I], bias?[O]).
struct Linear {
  static constexpr std::string_view kName = "linear";
  template <class V>
  void describe(V&) {}
  bool operator==(const Linear&) const = default;
};

/// (a[...,M,K], b[...,K,N]) as torch.matmul, both of rank >= 2.
struct MatMul {
  static constexpr std::string_view kName = "matmul";
  template <class V>
  void describe(V&) {}
  bool operator==(const MatMul&) const = default;
};

/// (x[N,C,...], gamma[C], beta[C], mean[C], variance[C]), evaluation mode.
struct BatchNorm {
  static constexpr std::string_view kName = "batch_norm";
  double eps = 1e-5;
  template <class V>
  void describe(V& v) {
    v("eps", eps);
  }
  bool operator==(const BatchNorm&) const = default;
};

/// (x) -> min(max(x, lo), hi). relu is [0, inf], relu6 [0, 6], hardtanh [lo, hi].
struct Clamp {
  static constexpr std::string_view kName = "clamp";
  double lo = 0.0, hi = std::numeric_limits<double>::infinity();
  template <class V>
  void describe(V& v) {
    v("lo", lo), v("hi", hi);
  }
  bool operator==(const Clamp&) const = default;
};

/// (x) -> f(x), elementwise.
struct Unary {
  static constexpr std::string_view kName = "unary";
  UnaryKind kind = UnaryKind::Sigmoid;
  double a = 0.0, b = 0.0, c = 0.0;
  template <class V>
  void describe(V& v) {
    v("kind", kind), v("a", a), v("b", b), v("c", c);
  }
  bool operator==(const Unary&) const = default;
};

/// (x[N,C,...], slope[C or 1]).
struct PRelu {
  static constexpr std::string_view kName = "prelu";
  template <class V>
  void describe(V&) {}
  bool operator==(const PRelu&) const = default;
};

/// (a, b), broadcast as NumPy does.
struct Binary {
  static constexpr std::string_view kName = "binary";
  BinaryKind kind = BinaryKind::Add;
  template <class V>
  void describe(V& v) {
    v("kind", kind);
  }
  bool operator==(const Binary&) const = default;
};

/// (x[N,C,H,W]); padding never wins. At the Integer level (x[N,H,W,C]).
struct MaxPool2d {
  static constexpr std::string_view kName = "max_pool2d";
  Pair kernel{1, 1}, stride{1, 1}, dilation{1, 1};
  Quad pads{0, 0, 0, 0};
  bool ceil_mode = false;
  template <class V>
  void describe(V& v) {
    v("kernel", kernel), v("stride", stride), v("dilation", dilation), v("pads", pads);
    v("ceil_mode", ceil_mode);
  }
  bool operator==(const MaxPool2d&) const = default;
};

/// (x[N,C,H,W]). `divisor` 0 means the window's own count.
struct AvgPool2d {
  static constexpr std::string_view kName = "avg_pool2d";
  Pair kernel{1, 1}, stride{1, 1};
  Quad pads{0, 0, 0, 0};
  bool ceil_mode = false, count_include_pad = true;
  std::int64_t divisor = 0;
  template <class V>
  void describe(V& v) {
    v("kernel", kernel), v("stride", stride), v("pads", pads), v("ceil_mode", ceil_mode);
    v("count_include_pad", count_include_pad), v("divisor", divisor);
  }
  bool operator==(const AvgPool2d&) const = default;
};

/// (x[N,C,H,W]) -> [N,C,out[0],out[1]].
struct AdaptiveAvgPool2d {
  static constexpr std::string_view kName = "adaptive_avg_pool2d";
  Pair out{1, 1};
  template <class V>
  void describe(V& v) {
    v("out", out);
  }
  bool operator==(const AdaptiveAvgPool2d&) const = default;
};

/// (x), over `axes` (sorted, non-negative).
struct Reduce {
  static constexpr std::string_view kName = "reduce";
  ReduceKind kind = ReduceKind::Mean;
  Ints axes;
  bool keepdim = false;
  template <class V>
  void describe(V& v) {
    v("kind", kind), v("axes", axes), v("keepdim", keepdim);
  }
  bool operator==(const Reduce&) const = default;
};

/// (x0, x1, ...) along `axis`. All levels.
struct Concat {
  static constexpr std::string_view kName = "concat";
  std::int64_t axis = 0;
  template <class V>
  void describe(V& v) {
    v("axis", axis);
  }
  bool operator==(const Concat&) const = default;
};

/// (x) -> x[start:end:step] along `axis`, 0 <= start <= end <= extent, step >= 1. All
/// levels.
struct Slice {
  static constexpr std::string_view kName = "slice";
  std::int64_t axis = 0, start = 0, end = 0, step = 1;
  template <class V>
  void describe(V& v) {
    v("axis", axis), v("start", start), v("end", end), v("step", step);
  }
  bool operator==(const Slice&) const = default;
};

/// (x) -> same elements in row-major order under `shape` (no -1). All levels.
struct Reshape {
  static constexpr std::string_view kName = "reshape";
  Ints shape;
  template <class V>
  void describe(V& v) {
    v("shape", shape);
  }
  bool operator==(const Reshape&) const = default;
};

/// (x) -> axis i of the result is axis perm[i] of x. All levels.
struct Permute {
  static constexpr std::string_view kName = "permute";
  Ints perm;
  template <class V>
  void describe(V& v) {
    v("perm", perm);
  }
  bool operator==(const Permute&) const = default;
};

/// (x) -> broadcast to `shape` (no -1). All levels.
struct Expand {
  static constexpr std::string_view kName = "expand";
  Ints shape;
  template <class V>
  void describe(V& v) {
    v("shape", shape);
  }
  bool operator==(const Expand&) const = default;
};

/// (x) -> `before[i]`/`after[i]` elements added on axis i, filled with `value`. At the
/// Integer level `value` is a stored code.
struct Pad {
  static constexpr std::string_view kName = "pad";
  Ints before, after;
  double value = 0.0;
  template <class V>
  void describe(V& v) {
    v("before", before), v("after", after), v("value", value);
  }
  bool operator==(const Pad&) const = default;
};

/// (x[N,C,H,W]) -> [N,C,out]. `scale` 0 means derived from the sizes, else torch's scale
/// factor.
struct Resize {
  static constexpr std::string_view kName = "resize";
  ResizeMode mode = ResizeMode::Nearest;
  Pair out{1, 1};
  bool align_corners = false;
  std::array<double, 2> scale{0.0, 0.0};
  template <class V>
  void describe(V& v) {
    v("mode", mode), v("out", out), v("align_corners", align_corners), v("scale", scale);
  }
  bool operator==(const Resize&) const = default;
};

/// (x) over `axis`.
struct Softmax {
  static constexpr std::string_view kName = "softmax";
  std::int64_t axis = 0;
  template <class V>
  void describe(V& v) {
    v("axis", axis);
  }
  bool operator==(const Softmax&) const = default;
};

/// (x, gamma?, beta?) over the last `num_axes` axes.
struct LayerNorm {
  static constexpr std::string_view kName = "layer_norm";
  std::int64_t num_axes = 1;
  double eps = 1e-5;
  template <class V>
  void describe(V& v) {
    v("num_axes", num_axes), v("eps", eps);
  }
  bool operator==(const LayerNorm&) const = default;
};

/// (x) -> x / max(||x||_2 over `axis`, eps).
struct L2Normalize {
  static constexpr std::string_view kName = "l2_normalize";
  std::int64_t axis = 0;
  double eps = 1e-12;
  template <class V>
  void describe(V& v) {
    v("axis", axis), v("eps", eps);
  }
  bool operator==(const L2Normalize&) const = default;
};

/// (indices i64/i32[...], table[R,D]) -> [..., D].
struct Embedding {
  static constexpr std::string_view kName = "embedding";
  template <class V>
  void describe(V&) {}
  bool operator==(const Embedding&) const = default;
};

/// (q[...,L,E], k[...,S,E], v[...,S,V], mask?[...,L,S] added) scaled dot-product
/// attention; Imported only, decomposed by canonicalisation. `scale` 0 means 1/sqrt(E).
struct Attention {
  static constexpr std::string_view kName = "attention";
  bool causal = false;
  double scale = 0.0;
  template <class V>
  void describe(V& v) {
    v("causal", causal), v("scale", scale);
  }
  bool operator==(const Attention&) const = default;
};

/// (x[N,C*r*r,H,W]) -> [N,C,H*r,W*r]; Imported only.
struct PixelShuffle {
  static constexpr std::string_view kName = "pixel_shuffle";
  std::int64_t factor = 1;
  template <class V>
  void describe(V& v) {
    v("factor", factor);
  }
  bool operator==(const PixelShuffle&) const = default;
};

// ------------------------------------------------------------------------- level Integer
// Everything below works on stored codes. "acc" is the exact integer; its proven width is
// `acc_bits` (two's complement bits that hold every possible value, the sums on the way
// included). requant(acc, m, s) is qrt_requant of runtime/include/qrt/arith.h; results
// are
// + y_zero, then clamped to [lo, hi]. docs/numerics.md is the normative text.

/// (x[N,H,W,C], w[O,KH,KW,C/groups] codes, bias i32/i64[O], multiplier i32[O], shift
/// i8[O],
///  w_zero? i16[O]).
/// acc = bias[o] + sum (x - x_zero) * (w - w_zero[o]); positions outside x count as
/// x_zero. A linear layer is a 1x1 convolution over [1,1,rows,I].
struct QConv2d {
  static constexpr std::string_view kName = "qconv2d";
  Pair stride{1, 1}, dilation{1, 1};
  Quad pads{0, 0, 0, 0};
  std::int64_t groups = 1, weight_bits = 8;
  std::int64_t x_zero = 0, y_zero = 0, lo = -128, hi = 127, acc_bits = 32;
  template <class V>
  void describe(V& v) {
    v("stride", stride), v("dilation", dilation), v("pads", pads), v("groups", groups);
    v("weight_bits", weight_bits), v("x_zero", x_zero), v("y_zero", y_zero);
    v("lo", lo), v("hi", hi), v("acc_bits", acc_bits);
  }
  bool operator==(const QConv2d&) const = default;
};

/// As QConv2d with torch.conv_transpose2d's geometry; w[O,KH,KW,C/groups] as well.
struct QConvTranspose2d {
  static constexpr std::string_view kName = "qconv_transpose2d";
  Pair stride{1, 1}, dilation{1, 1}, output_padding{0, 0};
  Quad pads{0, 0, 0, 0};
  std::int64_t groups = 1, weight_bits = 8;
  std::int64_t x_zero = 0, y_zero = 0, lo = -128, hi = 127, acc_bits = 32;
  template <class V>
  void describe(V& v) {
    v("stride", stride), v("dilation", dilation), v("output_padding", output_padding);
    v("pads", pads), v("groups", groups), v("weight_bits", weight_bits),
        v("x_zero", x_zero);
    v("y_zero", y_zero), v("lo", lo), v("hi", hi), v("acc_bits", acc_bits);
  }
  bool operator==(const QConvTranspose2d&) const = default;
};

/// (a[...,M,K], b[...,K,N]) both activations, leading axes broadcast.
/// acc = sum (a - a_zero) * (b - b_zero).
struct QMatMul {
  static constexpr std::string_view kName = "qmatmul";
  std::int64_t a_zero = 0, b_zero = 0, multiplier = 0, shift = 0, y_zero = 0;
  std::int64_t lo = -128, hi = 127, acc_bits = 32;
  template <class V>
  void describe(V& v) {
    v("a_zero", a_zero), v("b_zero", b_zero), v("multiplier", multiplier),
        v("shift", shift);
    v("y_zero", y_zero), v("lo", lo), v("hi", hi), v("acc_bits", acc_bits);
  }
  bool operator==(const QMatMul&) const = default;
};

/// (a, b) broadcast. acc = (a - a_zero) * a_multiplier + (b - b_zero) * b_multiplier,
/// which fits 32 bits; y = rounding_shift_right(acc, shift). Subtraction is a negative
/// multiplier.
struct QAdd {
  static constexpr std::string_view kName = "qadd";
  std::int64_t a_zero = 0, b_zero = 0, a_multiplier = 0, b_multiplier = 0, shift = 0;
  std::int64_t y_zero = 0, lo = -128, hi = 127, acc_bits = 32;
  template <class V>
  void describe(V& v) {
    v("a_zero", a_zero), v("b_zero", b_zero), v("a_multiplier", a_multiplier);
    v("b_multiplier", b_multiplier), v("shift", shift), v("y_zero", y_zero);
    v("lo", lo), v("hi", hi), v("acc_bits", acc_bits);
  }
  bool operator==(const QAdd&) const = default;
};

/// (a, b) broadcast. acc = (a - a_zero) * (b - b_zero), requantised.
struct QMul {
  static constexpr std::string_view kName = "qmul";
  std::int64_t a_zero = 0, b_zero = 0, multiplier = 0, shift = 0, y_zero = 0;
  std::int64_t lo = -128, hi = 127, acc_bits = 32;
  template <class V>
  void describe(V& v) {
    v("a_zero", a_zero), v("b_zero", b_zero), v("multiplier", multiplier),
        v("shift", shift);
    v("y_zero", y_zero), v("lo", lo), v("hi", hi), v("acc_bits", acc_bits);
  }
  bool operator==(const QMul&) const = default;
};

/// (a, b) broadcast. q = qrt_div_q((a - a_zero), (b - b_zero)), a fixed-point quotient,
/// then requantised; see docs/numerics.md for the scaling and for division by zero.
struct QDiv {
  static constexpr std::string_view kName = "qdiv";
  std::int64_t a_zero = 0, b_zero = 0, multiplier = 0, shift = 0, y_zero = 0;
  std::int64_t lo = -128, hi = 127;
  template <class V>
  void describe(V& v) {
    v("a_zero", a_zero), v("b_zero", b_zero), v("multiplier", multiplier),
        v("shift", shift);
    v("y_zero", y_zero), v("lo", lo), v("hi", hi);
  }
  bool operator==(const QDiv&) const = default;
};

/// (x) -> requant(x - x_zero): changes the encoding, same shape.
struct Rescale {
  static constexpr std::string_view kName = "rescale";
  std::int64_t x_zero = 0, multiplier = 0, shift = 0, y_zero = 0, lo = -128, hi = 127;
  template <class V>
  void describe(V& v) {
    v("x_zero", x_zero), v("multiplier", multiplier), v("shift", shift),
        v("y_zero", y_zero);
    v("lo", lo), v("hi", hi);
  }
  bool operator==(const Rescale&) const = default;
};

/// (x, table[256] or [65536], or [C,256] with C the last axis of x): y = table[x - type
/// minimum].
struct Lut {
  static constexpr std::string_view kName = "lut";
  template <class V>
  void describe(V&) {}
  bool operator==(const Lut&) const = default;
};

/// (x[N,H,W,C], multiplier i32[K], shift i8[K], which u8/i32[OH,OW]): window sums of (x -
/// x_zero), requantised with entry which[oh,ow] (one entry for each distinct divisor).
/// Window of output (oh, ow): rows [row_start[oh], row_end[oh]), columns likewise.
struct QAvgPool2d {
  static constexpr std::string_view kName = "qavg_pool2d";
  Ints row_start, row_end, col_start, col_end;
  std::int64_t x_zero = 0, y_zero = 0, lo = -128, hi = 127, acc_bits = 32;
  template <class V>
  void describe(V& v) {
    v("row_start", row_start), v("row_end", row_end), v("col_start", col_start);
    v("col_end", col_end), v("x_zero", x_zero), v("y_zero", y_zero);
    v("lo", lo), v("hi", hi), v("acc_bits", acc_bits);
  }
  bool operator==(const QAvgPool2d&) const = default;
};

/// (x), sum over `axes` of (x - x_zero), requantised (mean and sum differ by the
/// multiplier).
struct QReduce {
  static constexpr std::string_view kName = "qreduce";
  Ints axes;
  bool keepdim = false;
  std::int64_t x_zero = 0, multiplier = 0, shift = 0, y_zero = 0, lo = -128, hi = 127;
  std::int64_t acc_bits = 32;
  template <class V>
  void describe(V& v) {
    v("axes", axes), v("keepdim", keepdim), v("x_zero", x_zero),
        v("multiplier", multiplier);
    v("shift", shift), v("y_zero", y_zero), v("lo", lo), v("hi", hi),
        v("acc_bits", acc_bits);
  }
  bool operator==(const QReduce&) const = default;
};

/// (x[N,H,W,C], row_index i32[OH,2], row_weight i16[OH,2], col_index i32[OW,2],
///  col_weight i16[OW,2]): bilinear with Q11 weights that sum to 2048 on each axis; same
/// encoding in and out; y = rounding_shift_right(sum w_r * w_c * x, 22). Nearest: weight
/// 2048, 0.
struct QResize {
  static constexpr std::string_view kName = "qresize";
  template <class V>
  void describe(V&) {}
  bool operator==(const QResize&) const = default;
};

/// (x, table i32[256]) over `axis`: e = table[max - x], y = round(e * 2^out_bits / sum e)
/// + y_zero.
struct QSoftmax {
  static constexpr std::string_view kName = "qsoftmax";
  std::int64_t axis = 0, out_bits = 8, y_zero = -128, lo = -128, hi = 127;
  template <class V>
  void describe(V& v) {
    v("axis", axis), v("out_bits", out_bits), v("y_zero", y_zero), v("lo", lo),
        v("hi", hi);
  }
  bool operator==(const QSoftmax&) const = default;
};

/// (x, gamma i32[D], beta i32[D]) over the last `num_axes` axes, D their product. Integer
/// mean and variance, integer square root; `eps` is eps * D^2 / scale_x^2 rounded.
struct QLayerNorm {
  static constexpr std::string_view kName = "qlayer_norm";
  std::int64_t num_axes = 1, eps = 0, shift = 0, y_zero = 0, lo = -128, hi = 127;
  template <class V>
  void describe(V& v) {
    v("num_axes", num_axes), v("eps", eps), v("shift", shift), v("y_zero", y_zero);
    v("lo", lo), v("hi", hi);
  }
  bool operator==(const QLayerNorm&) const = default;
};

/// (x) over `axis`: (x - x_zero) divided by the integer square root of the sum of squares
/// (at least `eps`, in code units squared), requantised.
struct QL2Normalize {
  static constexpr std::string_view kName = "ql2_normalize";
  std::int64_t axis = 0, x_zero = 0, eps = 0, multiplier = 0, shift = 0, y_zero = 0;
  std::int64_t lo = -128, hi = 127;
  template <class V>
  void describe(V& v) {
    v("axis", axis), v("x_zero", x_zero), v("eps", eps), v("multiplier", multiplier);
    v("shift", shift), v("y_zero", y_zero), v("lo", lo), v("hi", hi);
  }
  bool operator==(const QL2Normalize&) const = default;
};

/// (indices i32[...], table codes[R,D]) -> [..., D]; an index outside [0, R) is clamped
/// into it.
struct QGather {
  static constexpr std::string_view kName = "qgather";
  template <class V>
  void describe(V&) {}
  bool operator==(const QGather&) const = default;
};

}  // namespace op

using Op =
    std::variant<op::Input, op::Conv2d, op::ConvTranspose2d, op::Linear, op::MatMul,
                 op::BatchNorm, op::Clamp, op::Unary, op::PRelu, op::Binary,
                 op::MaxPool2d, op::AvgPool2d, op::AdaptiveAvgPool2d, op::Reduce,
                 op::Concat, op::Slice, op::Reshape, op::Permute, op::Expand, op::Pad,
                 op::Resize, op::Softmax, op::LayerNorm, op::L2Normalize, op::Embedding,
                 op::Attention, op::PixelShuffle, op::QConv2d, op::QConvTranspose2d,
                 op::QMatMul, op::QAdd, op::QMul, op::QDiv, op::Rescale, op::Lut,
                 op::QAvgPool2d, op::QReduce, op::QResize, op::QSoftmax, op::QLayerNorm,
                 op::QL2Normalize, op::QGather>;

/// kName of the alternative held.
std::string_view op_name(const Op& op);
/// The operator of that name with default attributes; empty when there is none.
std::optional<Op> default_op(std::string_view name);
/// True for the operators of the Integer level alone (those below the line in this file).
bool is_integer_op(const Op& op);

std::string_view unary_name(UnaryKind kind);    // "gelu", ...
std::string_view binary_name(BinaryKind kind);  // "add", ...
std::string_view reduce_name(ReduceKind kind);
std::string_view resize_name(ResizeMode mode);
/// Inverses of the names; empty when unknown.
std::optional<UnaryKind> parse_unary(std::string_view name);
std::optional<BinaryKind> parse_binary(std::string_view name);
std::optional<ReduceKind> parse_reduce(std::string_view name);
std::optional<ResizeMode> parse_resize(std::string_view name);

/// The real function of a Unary node in double precision (for tables and tests).
double apply_unary(const op::Unary& unary, double x);

/// `Overloaded{[](const op::Conv2d&) {...}, ...}` for std::visit without a catch-all arm.
template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};
template <class... F>
Overloaded(F...) -> Overloaded<F...>;

}  // namespace qopt
