// SPDX-License-Identifier: MIT
// Small Integer graphs for the export tests: a chain of convolutions, and every operator
// of the level in int8 and int16 forms. Random but seeded codes.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "lib/core/rng.h"
#include "lib/graph/graph.h"

namespace qopt::testing {

class ToyGraph {
 public:
  Graph graph{Level::Integer};
  Rng rng{7};

  static Affine unsigned8(float scale, std::int32_t zero) {
    return {LevelSet::U, 8, {scale}, {zero}, std::nullopt};
  }
  static Affine signed8(float scale) {
    return {LevelSet::S, 8, {scale}, {0}, std::nullopt};
  }

  ValueId input(std::string name, Shape shape) {
    const ValueId id = graph.add_input(std::move(name), DType::I8, std::move(shape));
    graph.value(id).encoding = unsigned8(0.02F, 10);  // stored zero point -118
    return id;
  }

  std::int64_t between(std::int64_t lo, std::int64_t hi) {
    return lo +
           static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(hi - lo + 1)));
  }
  template <class T>
  ValueId numbers(std::string name, Shape shape, std::int64_t lo, std::int64_t hi) {
    std::vector<T> values(static_cast<std::size_t>(num_elements(shape)));
    for (T& value : values) value = static_cast<T>(between(lo, hi));
    return graph.add_constant(std::move(name), Tensor::from(values, std::move(shape)));
  }
  template <class T>
  ValueId listed(std::string name, std::vector<T> values, Shape shape) {
    return graph.add_constant(std::move(name), Tensor::from(values, std::move(shape)));
  }
  const Shape& shape(ValueId id) const { return graph.value(id).shape; }

  struct ConvForm {
    std::int64_t out = 8, kernel = 3, stride = 1, pad = 1, dilation = 1, groups = 1;
    std::int64_t weight_bits = 8;
    bool has_w_zero = false, is_wide = false, to_int16 = false;
    LevelSet levels = LevelSet::S;     // of the weights
    std::int64_t lo = -128, hi = 127;  // result, where not int16
  };

  /// Random weight codes; those of odd and ternary levels say so in an encoding.
  ValueId weights(const std::string& name, const Shape& shape, const ConvForm& f) {
    const std::int64_t half = std::int64_t{1} << (f.weight_bits - 1);
    if (f.weight_bits == 16) return numbers<std::int16_t>(name, shape, -half, half - 1);
    const int bits = static_cast<int>(f.weight_bits);
    std::vector<std::int8_t> codes;
    while (codes.size() < static_cast<std::size_t>(num_elements(shape))) {
      const std::int64_t code =
          between(code_min(f.levels, bits), code_max(f.levels, bits));
      const bool is_one = is_code(static_cast<std::int32_t>(code), f.levels, bits);
      if (is_one) codes.push_back(static_cast<std::int8_t>(code));
    }
    const ValueId id = listed(name, codes, shape);
    if (is_symmetric(f.levels)) {
      graph.value(id).encoding = Affine{f.levels, bits, {0.5F}, {0}, std::nullopt};
    }
    return id;
  }

  /// Weights, bias, multipliers and shifts of a convolution over x.
  std::vector<ValueId> conv_inputs(ValueId x, const std::string& name,
                                   const ConvForm& f) {
    const std::int64_t depth = shape(x)[3] / f.groups;
    const Shape w{f.out, f.kernel, f.kernel, depth};
    std::vector<ValueId> in{x, weights(name + ".w", w, f)};
    in.push_back(f.is_wide ? numbers<std::int64_t>(name + ".b", {f.out}, -90000, 90000)
                           : numbers<std::int32_t>(name + ".b", {f.out}, -3000, 3000));
    in.push_back(numbers<std::int32_t>(name + ".m", {f.out}, 1 << 30, (1LL << 31) - 1));
    // Shifts that let the results fill the clamp's range and leave it now and then.
    std::int64_t bits = graph.value(x).dtype == DType::I16 ? 16 : 8;
    bits += f.weight_bits;
    for (std::int64_t n = 1; n < f.kernel * f.kernel * depth; n *= 4) ++bits;
    const std::int64_t shift = (f.to_int16 ? 18 : 10) - bits;
    in.push_back(numbers<std::int8_t>(name + ".s", {f.out}, shift - 1, shift + 1));
    if (f.has_w_zero) in.push_back(numbers<std::int16_t>(name + ".z", {f.out}, -3, 3));
    return in;
  }

  ValueId conv(ValueId x, const std::string& name, const ConvForm& f,
               std::int64_t x_zero = 0, std::int64_t y_zero = 0) {
    op::QConv2d o;
    o.stride = {f.stride, f.stride};
    o.dilation = {f.dilation, f.dilation};
    o.pads = {f.pad, f.pad, f.pad, f.pad};
    o.groups = f.groups;
    o.weight_bits = f.weight_bits;
    o.x_zero = x_zero;
    o.y_zero = y_zero;
    o.lo = f.to_int16 ? -32768 : f.lo, o.hi = f.to_int16 ? 32767 : f.hi;
    o.acc_bits = f.is_wide ? 48 : 32;
    return graph.add(o, conv_inputs(x, name, f), name);
  }

  ValueId conv_transpose(ValueId x, const std::string& name, const ConvForm& f,
                         std::int64_t x_zero) {
    op::QConvTranspose2d o;
    o.stride = {f.stride, f.stride};
    o.pads = {f.pad, f.pad, f.pad, f.pad};
    o.output_padding = {f.stride - 1, f.stride - 1};
    o.groups = f.groups;
    o.weight_bits = f.weight_bits;
    o.x_zero = x_zero;
    o.acc_bits = f.is_wide ? 48 : 32;
    return graph.add(o, conv_inputs(x, name, f), name);
  }

  ValueId add(ValueId a, ValueId b, const std::string& name) {
    op::QAdd o;
    o.a_zero = -5, o.b_zero = 9, o.a_multiplier = 1 << 19, o.b_multiplier = -(3 << 17);
    o.shift = 20, o.y_zero = 3;
    return graph.add(o, {a, b}, name);
  }
};

/// Input 1x8x8x3, two convolutions, a residual, a pooled classifier. `odd_name` names a
/// layer.
inline Graph conv_net(const std::string& odd_name = "conv2") {
  ToyGraph t;
  const ValueId x = t.input("image", {1, 8, 8, 3});
  t.graph.value(x).layout = {0, 2, 3, 1};
  const ValueId a = t.conv(x, "conv1", {.out = 8}, -118, 4);
  const ValueId b = t.conv(a, odd_name, {.out = 8, .groups = 8, .weight_bits = 4}, 4, -7);
  const ValueId c = t.add(a, b, "sum");
  const ValueId d = t.conv(c, "conv3", {.out = 6, .stride = 2, .weight_bits = 5}, 3);
  op::QReduce mean;
  mean.axes = {1, 2};
  mean.multiplier = 1 << 30, mean.shift = -3;
  const ValueId e = t.graph.add(mean, {d}, "mean");
  const ValueId f = t.graph.add(op::Reshape{{1, 1, 1, 6}}, {e}, "flat");
  const ValueId g = t.conv(f, "linear", {.out = 10, .kernel = 1, .pad = 0});
  const ValueId y = t.graph.add(op::Reshape{{1, 10}}, {g}, "logits");
  t.graph.value(y).encoding = ToyGraph::signed8(0.1F);
  t.graph.add_output("scores", y);
  return std::move(t.graph);
}

/// Convolutions with weights of few levels over activations of few levels.
inline Graph low_bit_net() {
  ToyGraph t;
  Graph& g = t.graph;
  // Accumulators of few codes: shifts that leave the results of a few codes.
  const auto conv = [&](ValueId x, const std::string& name, ToyGraph::ConvForm f,
                        std::int64_t x_zero = 0, std::int64_t shift = -4) {
    const ValueId y = t.conv(x, name, f, x_zero, f.lo == 0 ? 0 : (f.lo + f.hi) / 2);
    Node& node = g.mutable_nodes().back();
    const std::vector<std::int8_t> shifts(static_cast<std::size_t>(f.out),
                                          static_cast<std::int8_t>(shift));
    g.value(node.inputs[4]).constant = Tensor::of(shifts);
    std::vector<std::int32_t> bias;
    for (std::int64_t o = 0; o < f.out; ++o)
      bias.push_back(static_cast<std::int32_t>(t.between(-9, 9)));
    g.value(node.inputs[2]).constant = Tensor::of(bias);
    return y;
  };
  const ValueId x = t.input("image", {1, 9, 7, 3});
  const ValueId binary = g.add_input("binary", DType::I8, {2, 5, 6, 11});
  g.value(binary).encoding = Affine{LevelSet::U, 1, {0.5F}, {0}, std::nullopt};
  const ValueId two = g.add_input("two", DType::I8, {1, 4, 4, 9});
  g.value(two).encoding = Affine{LevelSet::S, 2, {0.5F}, {-1}, std::nullopt};

  const ValueId a = conv(
      x, "o3", {.out = 20, .weight_bits = 3, .levels = LevelSet::O, .lo = 0, .hi = 3},
      -118, -8);  // u2
  const ValueId b =
      conv(a, "o1",
           {.out = 20, .weight_bits = 1, .levels = LevelSet::O, .lo = 0, .hi = 1});  // u1
  const ValueId c = conv(b, "o2_dw",
                         {.out = 20,
                          .groups = 20,
                          .weight_bits = 2,
                          .levels = LevelSet::O,
                          .lo = -2,
                          .hi = 1},
                         0, -1);
  const ValueId d = conv(c, "t",
                         {.out = 13,
                          .kernel = 1,
                          .pad = 0,
                          .weight_bits = 2,
                          .levels = LevelSet::T,
                          .lo = -1,
                          .hi = 1},
                         -1, -2);
  const ValueId e = conv(
      d, "n2",
      {.out = 9, .stride = 2, .weight_bits = 2, .levels = LevelSet::N, .lo = 0, .hi = 7},
      0, -2);
  g.add_output(
      "e",
      conv(e, "o1_linear",
           {.out = 10, .kernel = 1, .pad = 0, .weight_bits = 1, .levels = LevelSet::O}, 0,
           -1));
  g.add_output("f", conv(binary, "s1", {.out = 7, .weight_bits = 1}, 0, -1));
  g.add_output(
      "g",
      conv(binary, "o7",
           {.out = 6, .dilation = 2, .weight_bits = 7, .levels = LevelSet::O}, 0, -4));
  g.add_output(
      "h", conv(two, "s2_dw",
                {.out = 9, .groups = 9, .weight_bits = 2, .lo = -2, .hi = 1}, -1, -1));
  g.add_output("i",
               conv(two, "u2", {.out = 5, .weight_bits = 2, .has_w_zero = true}, -1, -2));
  g.add_output("j",
               t.conv_transpose(
                   two, "o1_up",
                   {.out = 6, .stride = 2, .weight_bits = 1, .levels = LevelSet::O}, -1));
  const ValueId wide = t.conv(binary, "to16", {.out = 6, .to_int16 = true}, 0, 100);
  g.add_output(
      "k",
      t.conv(wide, "o4_wide",
             {.out = 5, .weight_bits = 4, .is_wide = true, .levels = LevelSet::O}, 100));
  return std::move(t.graph);
}

/// Every operator that an Integer graph may hold, several in more than one form.
inline Graph all_ops() {
  ToyGraph t;
  Graph& g = t.graph;
  const ValueId x = t.input("x", {2, 7, 6, 4});
  const ValueId tokens = g.add_input("tokens", DType::I32, {5});
  g.add_input("unused", DType::I8, {3});
  std::vector<ValueId> ends;

  // Convolutions: dense, grouped, depthwise, dilated, packed weights, weight zero points,
  // wide.
  const ValueId c1 = t.conv(x, "dense", {.out = 8}, -118, 2);
  const ValueId c2 = t.conv(c1, "grouped", {.out = 12, .groups = 4, .weight_bits = 3}, 2);
  const ValueId c3 = t.conv(c1, "depthwise", {.out = 8, .stride = 2, .groups = 8}, 2);
  ends.push_back(
      t.conv(c2, "dilated", {.out = 5, .pad = 2, .dilation = 2, .weight_bits = 2}));
  ends.push_back(
      t.conv(c1, "offset", {.out = 8, .weight_bits = 6, .has_w_zero = true}, 2));
  ends.push_back(t.conv(c1, "offset_dw", {.out = 8, .groups = 8, .has_w_zero = true}, 2));
  const ValueId w1 = t.conv(c1, "to16", {.out = 6, .to_int16 = true}, 2, 100);
  ends.push_back(
      t.conv(w1, "from16", {.out = 5, .weight_bits = 7, .is_wide = true}, 100));
  ends.push_back(t.conv(
      w1, "w16", {.out = 3, .weight_bits = 16, .is_wide = true, .to_int16 = true}, 100));
  ends.push_back(t.conv_transpose(c3, "up", {.out = 4, .stride = 2}, 0));
  ends.push_back(
      t.conv_transpose(w1, "up_wide", {.out = 6, .groups = 2, .is_wide = true}, 100));

  // Elementwise, with broadcasts and a constant operand.
  const ValueId sum =
      t.add(c1, t.conv(c1, "side", {.out = 8, .kernel = 1, .pad = 0}, 2), "add");
  const ValueId row = t.numbers<std::int8_t>("row", {8}, -128, 127);
  ends.push_back(t.add(sum, row, "add_row"));
  op::QMul mul;
  mul.a_zero = 3, mul.b_zero = -1, mul.multiplier = 0x5A000001, mul.shift = -7,
  mul.y_zero = -2;
  ends.push_back(g.add(mul, {sum, row}, "mul"));
  op::QMul mul16 = mul;
  mul16.lo = -32768, mul16.hi = 32767, mul16.acc_bits = 34;
  ends.push_back(g.add(mul16, {w1, w1}, "mul16"));
  op::QDiv div;
  div.a_zero = 3, div.b_zero = -1, div.multiplier = 0x60000000, div.shift = -15;
  ends.push_back(g.add(div, {sum, row}, "div"));
  op::Rescale rescale;
  rescale.x_zero = 100, rescale.multiplier = 0x50505050, rescale.shift = -6,
  rescale.y_zero = 7;
  rescale.lo = -100;
  ends.push_back(g.add(rescale, {w1}, "rescale"));
  ends.push_back(
      g.add(op::Lut{}, {sum, t.numbers<std::int8_t>("table", {256}, -128, 127)}, "lut"));
  ends.push_back(g.add(
      op::Lut{}, {sum, t.numbers<std::int8_t>("prelu", {8, 256}, -128, 127)}, "lut_c"));
  ends.push_back(g.add(op::Lut{},
                       {w1, t.numbers<std::int16_t>("table16", {65536}, -32768, 32767)},
                       "lut16"));

  // Pooling and reductions.
  op::MaxPool2d max;
  max.kernel = {3, 2}, max.stride = {2, 2}, max.pads = {1, 0, 1, 0};
  const ValueId m = g.add(max, {sum}, "max");
  ends.push_back(g.add(max, {w1}, "max16"));
  op::QAvgPool2d avg;
  avg.row_start = {0, 2, 5}, avg.row_end = {3, 6, 7}, avg.col_start = {0, 3},
  avg.col_end = {4, 6};
  avg.x_zero = 3;
  ends.push_back(
      g.add(avg,
            {sum, t.numbers<std::int32_t>("avg.m", {2}, 1 << 30, (1LL << 31) - 1),
             t.listed<std::int8_t>("avg.s", {-4, -2}, {2}),
             t.listed<std::uint8_t>("avg.w", {0, 1, 1, 0, 1, 0}, {3, 2})},
            "avg"));
  op::QReduce mean;
  mean.axes = {1, 3}, mean.keepdim = true, mean.x_zero = 3, mean.multiplier = 1 << 30,
  mean.shift = -4;
  ends.push_back(g.add(mean, {sum}, "mean"));
  op::QReduce mean_all = mean;
  mean_all.axes = {0, 1, 2, 3}, mean_all.keepdim = false, mean_all.acc_bits = 40;
  ends.push_back(g.add(mean_all, {w1}, "mean_all"));

  // Matrix products: batched, broadcast, with int16.
  const ValueId left = g.add(op::Reshape{{2, 7, 6, 8}}, {sum}, "left");
  const ValueId right = g.add(op::Permute{{0, 1, 3, 2}}, {left}, "right");
  op::QMatMul product;
  product.a_zero = 3, product.b_zero = 3, product.multiplier = 0x40000001,
  product.shift = -9;
  ends.push_back(g.add(product, {left, right}, "scores"));
  ends.push_back(g.add(product,
                       {left, t.numbers<std::int8_t>("square", {1, 8, 5}, -128, 127)},
                       "projected"));
  op::QMatMul product16 = product;
  product16.acc_bits = 40, product16.shift = -12;
  const ValueId w1_t = g.add(op::Permute{{0, 1, 3, 2}}, {w1}, "w1_t");
  ends.push_back(g.add(product16, {w1, w1_t}, "scores16"));

  // Normalisation.
  std::vector<std::int32_t> exp_table(256);
  for (std::size_t i = 0; i < 256; ++i) {
    exp_table[i] = static_cast<std::int32_t>((std::int64_t{1} << 23) >> (i / 12));
  }
  op::QSoftmax softmax;
  softmax.axis = 3;
  const ValueId exps = t.listed<std::int32_t>("exp", exp_table, {256});
  ends.push_back(g.add(softmax, {sum, exps}, "softmax"));
  softmax.axis = 1;
  ends.push_back(g.add(softmax, {sum, exps}, "softmax_rows"));
  op::QLayerNorm norm;
  norm.num_axes = 1, norm.eps = 5, norm.shift = 21, norm.y_zero = 1;
  ends.push_back(g.add(norm,
                       {sum, t.numbers<std::int32_t>("gamma", {8}, -4000, 4000),
                        t.numbers<std::int32_t>("beta", {8}, -40000000, 40000000)},
                       "layer_norm"));
  op::QL2Normalize l2;
  l2.axis = 3, l2.x_zero = 3, l2.eps = 2, l2.multiplier = 1 << 30, l2.shift = -7;
  ends.push_back(g.add(l2, {sum}, "l2"));

  // Movement.
  const ValueId cut = g.add(op::Slice{3, 1, 8, 3}, {sum}, "cut");
  const ValueId moved = g.add(op::Permute{{0, 3, 1, 2}}, {cut}, "moved");
  const ValueId back = g.add(op::Permute{{0, 2, 3, 1}}, {moved}, "back");
  const ValueId joined = g.add(op::Concat{3}, {back, cut, sum}, "joined");
  op::Pad pad;
  pad.before = {0, 1, 2, 0}, pad.after = {0, 2, 0, 1}, pad.value = 17;
  const ValueId padded = g.add(pad, {joined}, "padded");
  ends.push_back(g.add(op::Slice{1, 1, 9, 2}, {padded}, "inner"));
  ends.push_back(g.add(op::Expand{{2, 3, 4, 3, 8}},
                       {g.add(op::Reshape{{2, 1, 4, 3, 8}}, {m}, "m5")}, "expand"));
  ends.push_back(
      g.add(op::QResize{},
            {m, t.listed<std::int32_t>("ri", {0, 1, 1, 2, 3, 3}, {3, 2}),
             t.listed<std::int16_t>("rw", {2048, 0, 1000, 1048, 1, 2047}, {3, 2}),
             t.listed<std::int32_t>("ci", {0, 1, 2, 2}, {2, 2}),
             t.listed<std::int16_t>("cw", {5, 2043, 2048, 0}, {2, 2})},
            "resize"));
  ends.push_back(g.add(op::QGather{},
                       {tokens, t.numbers<std::int8_t>("embedding", {11, 6}, -128, 127)},
                       "gather"));

  for (std::size_t i = 0; i < ends.size(); ++i)
    g.add_output("y" + std::to_string(i), ends[i]);
  g.add_output("m", m);
  g.add_output("same", ends[0]);  // twice
  g.add_output("x", x);           // an input
  g.add_output("row", row);       // a constant
  return std::move(t.graph);
}

}  // namespace qopt::testing
