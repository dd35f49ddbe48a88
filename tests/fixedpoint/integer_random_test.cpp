// SPDX-License-Identifier: MIT
// Every operator of the integer executor on random shapes, attributes and codes, by every
// arithmetic, against the naive oracle.
#include "tests/fixedpoint/integer_case.h"

namespace qopt {
namespace {

constexpr int kRounds = 60;

template <class O>
void random_finish(Rng& rng, O& o, bool wide_out) {
  const std::int64_t lo = wide_out ? -32768 : -128, hi = wide_out ? 32767 : 127;
  o.y_zero = between(rng, lo, hi);
  o.lo = rng.below(2) != 0 ? lo : between(rng, lo, hi);
  o.hi = rng.below(2) != 0 ? hi : between(rng, o.lo, hi);
  if (wide_out) o.hi = std::max<std::int64_t>(o.hi, 128);  // the clamp chooses the type
}

std::int64_t random_zero(Rng& rng, bool wide) {
  return wide ? between(rng, -32768, 32767) : between(rng, -128, 127);
}

/// Bias, multipliers, shifts and perhaps weight zero points for `outputs` channels.
void add_channel_constants(Case& c, Rng& rng, std::int64_t outputs, double acc,
                           bool wide_w) {
  std::vector<std::int32_t> bias, multiplier;
  std::vector<int> shift, zero;
  const bool left = rng.below(4) == 0;
  for (std::int64_t i = 0; i < outputs; ++i) {
    bias.push_back(static_cast<std::int32_t>(between(rng, -5000, 5000)));
    multiplier.push_back(static_cast<std::int32_t>(random_multiplier(rng)));
    shift.push_back(
        static_cast<int>(left ? between(rng, -3, 12) : fitting_shift(rng, acc)));
    zero.push_back(
        static_cast<int>(wide_w ? between(rng, -3000, 3000) : between(rng, -128, 127)));
  }
  c.constant(i32(bias));
  c.constant(i32(multiplier));
  c.constant(i8(shift));
  if (rng.below(2) != 0) c.constant(i16(zero));
}

template <class Convolution>
void random_convolution(std::uint64_t seed, bool transposed) {
  Rng rng(seed);
  for (int round = 0; round < 2 * kRounds; ++round) {
    Case c;
    Convolution o;
    const bool wide_x = rng.below(5) == 0, wide_w = rng.below(8) == 0;
    const int style = static_cast<int>(rng.below(4));  // dense, grouped, depthwise, 1x1
    o.groups = style == 0 || style == 3 ? 1 : between(rng, 2, 5);
    const std::int64_t per_group = style == 2 ? 1 : between(rng, 1, 9);
    const std::int64_t channels = o.groups * per_group;
    const std::int64_t outputs =
        style == 2 && rng.below(2) != 0 ? o.groups : o.groups * between(rng, 1, 19);
    const Pair kernel =
        style == 3 ? Pair{1, 1} : Pair{between(rng, 1, 4), between(rng, 1, 4)};
    o.stride = {between(rng, 1, 3), between(rng, 1, 3)};
    if (style == 3 && rng.below(2) != 0) o.stride = {1, 1};
    o.dilation = {between(rng, 1, 2), between(rng, 1, 2)};
    const bool padded = rng.below(3) != 0;
    for (std::size_t i = 0; i < 4; ++i) {
      o.pads[i] = padded ? between(rng, 0, kernel[i % 2] - 1) : 0;
    }
    std::int64_t extent[2];
    for (std::size_t i = 0; i < 2; ++i) {
      extent[i] = o.dilation[i] * (kernel[i] - 1) + 1 + between(rng, 0, 6);
    }
    if constexpr (std::same_as<Convolution, op::QConvTranspose2d>) {
      for (std::size_t i = 0; i < 2; ++i) {
        o.output_padding[i] = rng.below(2) != 0 ? 0 : between(rng, 0, o.stride[i] - 1);
      }
    }
    (void)transposed;
    o.weight_bits = wide_w ? 16 : 8;
    o.x_zero = random_zero(rng, wide_x);
    random_finish(rng, o, rng.below(5) == 0);
    c.input(
        random_any(rng, {between(rng, 1, 2), extent[0], extent[1], channels}, wide_x));
    c.constant(random_any(rng, {outputs, kernel[0], kernel[1], per_group}, wide_w));
    const double taps = static_cast<double>(kernel[0] * kernel[1] * per_group);
    const double acc =
        std::sqrt(taps) * (wide_x ? 30000.0 : 120.0) * (wide_w ? 20000.0 : 100.0);
    add_channel_constants(c, rng, outputs, acc, wide_w);
    c.node(o);
    INFO("round " << round);
    c.check();
  }
}

template <class O>
void random_binary(std::uint64_t seed) {
  Rng rng(seed);
  const std::vector<std::pair<Shape, Shape>> shapes{{{2, 3, 4, 5}, {2, 3, 4, 5}},
                                                    {{1, 4, 4, 7}, {1, 1, 1, 7}},
                                                    {{2, 3, 1, 5}, {3, 4, 1}},
                                                    {{5000}, {5000}},
                                                    {{3, 1}, {1, 4}},
                                                    {{1}, {2, 3}},
                                                    {{2, 1, 3, 1}, {1, 5, 1, 2}},
                                                    {{}, {3}},
                                                    {{1, 1}, {1, 1}},
                                                    {{7, 3}, {7, 1}},
                                                    {{2, 2500}, {2500}},
                                                    {{4, 1, 3}, {2, 1}}};
  for (int round = 0; round < 4 * kRounds; ++round) {
    Case c;
    O o;
    const bool wide_a = rng.below(4) == 0, wide_b = rng.below(4) == 0;
    auto [a, b] = shapes[rng.below(shapes.size())];
    if (rng.below(2) != 0) std::swap(a, b);
    c.input(random_any(rng, a, wide_a));
    if (rng.below(4) == 0) {
      c.constant(random_any(rng, b, wide_b));
    } else {
      c.input(random_any(rng, b, wide_b));
    }
    o.a_zero = random_zero(rng, wide_a);
    o.b_zero = random_zero(rng, wide_b);
    random_finish(rng, o, rng.below(4) == 0);
    const double a_size = wide_a ? 30000.0 : 128.0, b_size = wide_b ? 30000.0 : 128.0;
    if constexpr (std::same_as<O, op::QAdd>) {
      // The sum fits 32 bits: |code - zero| < 2^17 or 2^9 on either side.
      o.shift = between(rng, 0, 31);
      o.a_multiplier = between(rng, -1, 1) * (((1 << 30) - 1) >> (wide_a ? 16 : 8));
      o.b_multiplier = between(rng, -(1 << 29), 1 << 29) >> (wide_b ? 16 : 8);
    } else {
      o.multiplier = random_multiplier(rng);
      const double acc = std::same_as<O, op::QDiv>
                             ? a_size / b_size * (wide_a || wide_b ? 0x1p14 : 0x1p20)
                             : a_size * b_size / 4;
      o.shift = rng.below(5) == 0 ? between(rng, -31, 30) : fitting_shift(rng, acc);
    }
    c.node(o);
    INFO("round " << round);
    c.check();
  }
}

}  // namespace

TEST_CASE("N21 random convolutions equal the oracle") {
  random_convolution<op::QConv2d>(21, false);
}

TEST_CASE("N22 random transposed convolutions equal the oracle") {
  random_convolution<op::QConvTranspose2d>(22, true);
}

TEST_CASE("N21 deep convolutions need several exact pieces") {
  // 255 * 255 * 2000 > 2^24: one float32 product is not enough, four are; 40000 inputs
  // need float64 or wider sums.
  Rng rng(210);
  for (const std::int64_t channels : {200, 700, 2000, 6000}) {
    for (const std::int64_t rows : {1, 5}) {
      Case c;
      op::QConv2d o;
      o.x_zero = -128;
      c.input(random_codes(rng, {1, rows, 1, channels}, 100, 127));
      c.constant(random_codes(rng, {3, 1, 1, channels}, 100, 127));
      c.constant(i32({-7, 0, 7}));
      c.constant(i32({1 << 30, 0x7fffffff, 0x5a5a5a5a}));
      c.constant(i8({-19, -20, -22}));
      c.node(o);
      c.check();
    }
  }
}

TEST_CASE("N23 random matrix products equal the oracle") {
  Rng rng(23);
  for (int round = 0; round < kRounds; ++round) {
    Case c;
    op::QMatMul o;
    const bool wide_a = rng.below(4) == 0, wide_b = rng.below(4) == 0;
    const std::int64_t m = between(rng, 1, 9), n = between(rng, 1, 20);
    const std::int64_t k =
        rng.below(5) == 0 ? between(rng, 200, 900) : between(rng, 1, 20);
    const std::vector<std::pair<Shape, Shape>> leads{
        {{}, {}}, {{2}, {2}}, {{3}, {1}}, {{2, 1}, {3}}, {{}, {2}}, {{1, 3}, {2, 1}}};
    auto [a, b] = leads[rng.below(leads.size())];
    a.insert(a.end(), {m, k});
    b.insert(b.end(), {k, n});
    c.input(random_any(rng, a, wide_a));
    c.input(random_any(rng, b, wide_b));
    o.a_zero = random_zero(rng, wide_a);
    o.b_zero = random_zero(rng, wide_b);
    o.multiplier = random_multiplier(rng);
    const double acc = std::sqrt(static_cast<double>(k)) * (wide_a ? 30000.0 : 120.0) *
                       (wide_b ? 30000.0 : 120.0);
    o.shift = fitting_shift(rng, acc);
    random_finish(rng, o, rng.below(4) == 0);
    c.node(o);
    INFO("round " << round);
    c.check();
  }
}

TEST_CASE("N24 random additions equal the oracle") { random_binary<op::QAdd>(24); }
TEST_CASE("N25 random products equal the oracle") { random_binary<op::QMul>(25); }
TEST_CASE("N26 random quotients equal the oracle") { random_binary<op::QDiv>(26); }

TEST_CASE("N27 random rescales equal the oracle") {
  Rng rng(27);
  for (int round = 0; round < kRounds; ++round) {
    Case c;
    op::Rescale o;
    const bool wide = rng.below(2) != 0;
    c.input(random_any(rng, {3, between(rng, 1, 900)}, wide));
    o.x_zero = random_zero(rng, wide);
    o.multiplier = random_multiplier(rng);
    o.shift = between(rng, -31, 30);
    random_finish(rng, o, rng.below(2) != 0);
    c.node(o);
    INFO("round " << round);
    c.check();
  }
}

TEST_CASE("N28 random tables equal the oracle") {
  Rng rng(28);
  for (int round = 0; round < 12; ++round) {
    Case c;
    const bool wide = round % 3 == 0, per_channel = round % 3 == 1,
               wide_out = rng.below(2) != 0;
    c.input(random_any(rng, {2, 50, 3}, wide));
    const Shape table = wide ? Shape{65536} : (per_channel ? Shape{3, 256} : Shape{256});
    c.constant(random_any(rng, table, wide_out));
    c.node(op::Lut{});
    c.check();
  }
}

TEST_CASE("N29 random average pools equal the oracle") {
  Rng rng(29);
  for (int round = 0; round < kRounds; ++round) {
    Case c;
    op::QAvgPool2d o;
    const bool wide = rng.below(3) == 0;
    const std::int64_t rows = between(rng, 1, 7), cols = between(rng, 1, 7);
    const std::int64_t out_rows = between(rng, 1, 4), out_cols = between(rng, 1, 4);
    c.input(random_any(rng, {2, rows, cols, between(rng, 1, 20)}, wide));
    for (std::int64_t i = 0; i < out_rows; ++i) {
      o.row_start.push_back(between(rng, 0, rows - 1));
      o.row_end.push_back(between(rng, o.row_start.back() + 1, rows));
    }
    for (std::int64_t i = 0; i < out_cols; ++i) {
      o.col_start.push_back(between(rng, 0, cols - 1));
      o.col_end.push_back(between(rng, o.col_start.back() + 1, cols));
    }
    std::vector<std::int32_t> multiplier;
    std::vector<int> shift;
    for (int i = 0; i < 3; ++i) {
      multiplier.push_back(static_cast<std::int32_t>(random_multiplier(rng)));
      shift.push_back(static_cast<int>(between(rng, wide ? -12 : -6, 1)));
    }
    o.x_zero = random_zero(rng, wide);
    random_finish(rng, o, rng.below(3) == 0);
    c.constant(i32(multiplier));
    c.constant(i8(shift));
    std::vector<std::uint8_t> which;
    for (std::int64_t i = 0; i < out_rows * out_cols; ++i) {
      which.push_back(static_cast<std::uint8_t>(rng.below(3)));
    }
    c.constant(Tensor::from(which, {out_rows, out_cols}));
    c.node(o);
    INFO("round " << round);
    c.check();
  }
}

TEST_CASE("N30 random sums equal the oracle") {
  Rng rng(30);
  const std::vector<Ints> axes{{1, 2}, {0}, {3}, {0, 1, 2, 3}, {1}, {2, 3}, {0, 3}};
  for (int round = 0; round < 2 * kRounds; ++round) {
    Case c;
    op::QReduce o;
    const bool wide = rng.below(3) == 0;
    o.axes = axes[rng.below(axes.size())];
    o.keepdim = rng.below(2) != 0;
    o.x_zero = random_zero(rng, wide);
    o.multiplier = random_multiplier(rng);
    o.shift = between(rng, wide ? -14 : -6, 1);
    random_finish(rng, o, rng.below(3) == 0);
    c.input(random_any(
        rng, {between(rng, 1, 3), between(rng, 1, 5), 4, between(rng, 1, 6)}, wide));
    c.node(o);
    INFO("round " << round);
    c.check();
  }
}

TEST_CASE("N30 a sum wider than 32 bits is requantised by the wide rule") {
  Rng rng(300);
  Case c;
  op::QReduce o;
  o.axes = {1};
  o.x_zero = -32768;
  o.multiplier = 0x6f000001;
  o.shift = -28;
  o.lo = -32768;
  o.hi = 32767;
  c.input(random_codes<std::int16_t>(rng, {1, 70000}, 30000, 32767));
  c.node(o);
  CHECK(prove_accumulators(c.graph)[0].bits == 34);
  c.check();
}

TEST_CASE("N31 random resizes equal the oracle") {
  Rng rng(31);
  for (int round = 0; round < kRounds; ++round) {
    Case c;
    const std::int64_t extent[] = {between(rng, 1, 5), between(rng, 1, 5)};
    c.input(random_any(rng, {2, extent[0], extent[1], between(rng, 1, 9)},
                       rng.below(2) != 0));
    for (const std::int64_t from : extent) {
      const std::int64_t to = between(rng, 1, 6);
      std::vector<std::int32_t> index;
      std::vector<int> weight;
      for (std::int64_t i = 0; i < to; ++i) {
        index.push_back(static_cast<std::int32_t>(between(rng, 0, from - 1)));
        index.push_back(static_cast<std::int32_t>(between(rng, 0, from - 1)));
        weight.push_back(static_cast<int>(between(rng, 0, 4) * 512));
        weight.push_back(2048 - weight.back());
      }
      c.constant(Tensor::from(index, {to, 2}));
      c.constant(codes<std::int16_t>(weight, {to, 2}));
    }
    c.node(op::QResize{});
    INFO("round " << round);
    c.check();
  }
}

TEST_CASE("N32 random softmaxes equal the oracle") {
  Rng rng(32);
  for (int round = 0; round < kRounds; ++round) {
    Case c;
    op::QSoftmax o;
    const bool wide = rng.below(6) == 0;
    o.axis = between(rng, 0, 2);
    o.out_bits = between(rng, 1, 16);
    random_finish(rng, o, o.out_bits > 8);
    const double scale = rng.uniform() * 0.3;
    std::vector<std::int32_t> table;
    for (int d = 0; d < (wide ? 65536 : 256); ++d) {
      table.push_back(
          static_cast<std::int32_t>(std::nearbyint(std::exp(-scale * d) * 0x1p23)));
    }
    c.input(random_any(rng, {between(rng, 1, 4), between(rng, 1, 40), between(rng, 1, 4)},
                       wide));
    c.constant(i32(table));
    c.node(o);
    INFO("round " << round);
    c.check();
  }
}

TEST_CASE("N33 random layer norms equal the oracle") {
  Rng rng(33);
  for (int round = 0; round < kRounds; ++round) {
    Case c;
    op::QLayerNorm o;
    const bool wide = rng.below(3) == 0;
    const Shape shape{2, between(rng, 1, 4), between(rng, 1, 6)};
    o.num_axes = between(rng, 1, 2);
    o.eps = rng.below(2) != 0 ? 0 : between(rng, 0, 100000);
    o.shift = between(rng, 15, 40);
    random_finish(rng, o, rng.below(3) == 0);
    Tensor x = random_any(rng, shape, wide);
    if (round % 7 == 0) x = Tensor::zeros(x.dtype(), shape);  // no variance
    c.input(x);
    const std::int64_t count = shape[2] * (o.num_axes == 2 ? shape[1] : 1);
    for (int i = 0; i < 2; ++i) {
      std::vector<std::int32_t> p;
      for (std::int64_t j = 0; j < count; ++j) {
        p.push_back(static_cast<std::int32_t>(rng.next()) >> between(rng, 0, 20));
      }
      c.constant(i32(p));
    }
    c.node(o);
    INFO("round " << round);
    c.check();
  }
}

TEST_CASE("N34 random L2 norms equal the oracle") {
  Rng rng(34);
  for (int round = 0; round < kRounds; ++round) {
    Case c;
    op::QL2Normalize o;
    const bool wide = rng.below(3) == 0;
    o.axis = between(rng, 0, 2);
    o.x_zero = random_zero(rng, wide);
    o.eps = rng.below(2) != 0 ? 0 : between(rng, 0, 1000000);
    o.multiplier = random_multiplier(rng);
    o.shift = between(rng, -12, -4);
    random_finish(rng, o, rng.below(3) == 0);
    Tensor x = random_any(
        rng, {between(rng, 1, 3), between(rng, 1, 9), between(rng, 1, 3)}, wide);
    if (round % 7 == 0) {
      o.x_zero = 0;
      x = Tensor::zeros(x.dtype(), x.shape());
    }
    c.input(x);
    c.node(o);
    INFO("round " << round);
    c.check();
  }
}

TEST_CASE("N35 random gathers equal the oracle") {
  Rng rng(35);
  for (int round = 0; round < 10; ++round) {
    Case c;
    std::vector<std::int32_t> index;
    for (int i = 0; i < 12; ++i)
      index.push_back(static_cast<std::int32_t>(between(rng, -2, 9)));
    index[0] = INT32_MIN;
    index[1] = INT32_MAX;
    c.input(Tensor::from(index, {3, 4}));
    c.constant(random_any(rng, {7, 5}, rng.below(2) != 0));
    c.node(op::QGather{});
    c.check();
  }
}

TEST_CASE("N36 random max pools equal the oracle") {
  Rng rng(36);
  for (int round = 0; round < kRounds; ++round) {
    Case c;
    op::MaxPool2d o;
    for (std::size_t i = 0; i < 2; ++i) {
      o.kernel[i] = between(rng, 1, 4);
      o.stride[i] = between(rng, 1, 3);
      o.dilation[i] = between(rng, 1, 2);
      o.pads[i] = between(rng, 0, o.kernel[i] / 2);
      o.pads[i + 2] = between(rng, 0, o.kernel[i] / 2);
    }
    o.ceil_mode = rng.below(2) != 0;
    c.input(random_any(rng,
                       {2, between(rng, 7, 9), between(rng, 7, 9), between(rng, 1, 40)},
                       rng.below(2) != 0));
    c.node(o);
    INFO("round " << round);
    c.check();
  }
}

TEST_CASE("N37 random moves equal the oracle") {
  Rng rng(37);
  for (int round = 0; round < kRounds; ++round) {
    const bool wide = rng.below(2) != 0;
    const Shape shape{2, 3, 4, 5};
    const std::int64_t axis = between(rng, 0, 3);
    const auto fresh = [&](const Shape& s) {
      Case c;
      c.input(random_any(rng, s, wide));
      return c;
    };
    INFO("round " << round);
    Case concat = fresh(shape);
    Shape other = shape;
    other[static_cast<std::size_t>(axis)] = between(rng, 1, 4);
    concat.input(random_any(rng, other, wide));
    concat.node(op::Concat{axis});
    concat.check();

    Case slice = fresh(shape);
    const std::int64_t extent = shape[static_cast<std::size_t>(axis)];
    const std::int64_t start = between(rng, 0, extent - 1);
    slice.node(
        op::Slice{axis, start, between(rng, start + 1, extent), between(rng, 1, 3)});
    slice.check();

    Case reshape = fresh(shape);
    reshape.node(op::Reshape{{6, 20}});
    reshape.check();

    Case permute = fresh(shape);
    Ints perm{0, 1, 2, 3};
    rng.shuffle(std::span<std::int64_t>(perm));
    permute.node(op::Permute{perm});
    permute.check();

    Case expand = fresh({3, 1, 5});
    expand.node(op::Expand{{2, 3, 4, 5}});
    expand.check();

    Case pad = fresh(shape);
    op::Pad o;
    for (int i = 0; i < 4; ++i) {
      o.before.push_back(between(rng, 0, 2));
      o.after.push_back(between(rng, 0, 2));
    }
    o.value = static_cast<double>(between(rng, -128, 127));
    pad.node(o);
    pad.check();
  }
}

}  // namespace qopt
