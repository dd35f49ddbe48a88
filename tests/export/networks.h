// SPDX-License-Identifier: MIT
// Integer graphs with the layers of ResNet-18, MobileNetV2 and SqueezeNet 1.0 at 224x224:
// real shapes and bits, patterns for weights. For what depends on shapes alone: memory,
// weight bytes, code size.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "lib/graph/graph.h"

namespace qopt::testing {

/// First and last layer keep 8 bits where the others have fewer.
struct NetworkBits {
  int weights = 8, activations = 8;
};

class Network {
 public:
  explicit Network(NetworkBits bits) : bits_(bits) {
    x_ = graph_.add_input("image", DType::I8, {1, 224, 224, 3});
    graph_.value(x_).encoding = Affine{LevelSet::U, 8, {0.02F}, {0}, std::nullopt};
  }

  ValueId image() const { return x_; }
  const Shape& shape(ValueId id) const { return graph_.value(id).shape; }

  struct Form {
    std::int64_t out, kernel = 1, stride = 1, pad = 0, groups = 1;
    bool is_edge = false;  // first or last layer
  };
  ValueId conv(ValueId x, const Form& f) {
    const std::string name = "conv" + std::to_string(count_++);
    const int weight_bits = f.is_edge && bits_.weights < 8 ? 8 : bits_.weights;
    const bool is_wide = weight_bits == 16;
    op::QConv2d o;
    o.stride = {f.stride, f.stride};
    o.pads = {f.pad, f.pad, f.pad, f.pad};
    o.groups = f.groups;
    o.weight_bits = weight_bits;
    o.x_zero = zero_of(x);
    o.y_zero = bits_.activations < 8 ? 0 : -128;
    o.lo = o.y_zero;
    o.hi = o.y_zero + (std::int64_t{1} << bits_.activations) - 1;
    o.acc_bits = is_wide ? 48 : 32;
    const Shape w{f.out, f.kernel, f.kernel, shape(x)[3] / f.groups};
    const Tensor bias = Tensor::zeros(is_wide ? DType::I64 : DType::I32, {f.out});
    const std::vector<std::int32_t> multipliers(static_cast<std::size_t>(f.out),
                                                (1 << 30) + 12345);
    const std::vector<std::int8_t> shifts(static_cast<std::size_t>(f.out), -9);
    const std::vector<ValueId> in{
        x,
        graph_.add_constant(name + ".w", is_wide ? pattern<std::int16_t>(w, 16)
                                                 : pattern<std::int8_t>(w, weight_bits)),
        graph_.add_constant(name + ".b", bias),
        graph_.add_constant(name + ".m", Tensor::from(multipliers, {f.out})),
        graph_.add_constant(name + ".s", Tensor::from(shifts, {f.out}))};
    return encoded(graph_.add(o, in, name));
  }
  ValueId add(ValueId a, ValueId b) {
    op::QAdd o;
    o.a_zero = zero_of(a), o.b_zero = zero_of(b);
    o.y_zero = o.lo = zero_of(a);
    o.hi = o.lo + (std::int64_t{1} << bits_.activations) - 1;
    o.a_multiplier = o.b_multiplier = 1 << 18, o.shift = 19;
    return encoded(graph_.add(o, {a, b}, "add" + std::to_string(count_++)));
  }
  ValueId max_pool(ValueId x, std::int64_t before, std::int64_t behind) {
    op::MaxPool2d o;
    o.kernel = {3, 3}, o.stride = {2, 2};
    o.pads = {before, before, behind, behind};
    return encoded(graph_.add(o, {x}, "pool" + std::to_string(count_++)));
  }
  ValueId concat(ValueId a, ValueId b) {
    op::Concat o;
    o.axis = 3;
    return encoded(graph_.add(o, {a, b}, "concat" + std::to_string(count_++)));
  }
  /// Mean over the picture, as one row of channels.
  ValueId mean(ValueId x) {
    op::QReduce o;
    o.axes = {1, 2};
    o.x_zero = o.y_zero = o.lo = zero_of(x);
    o.hi = o.lo + (std::int64_t{1} << bits_.activations) - 1;
    o.multiplier = 1 << 30, o.shift = -5;
    const ValueId y = graph_.add(o, {x}, "mean");
    return encoded(graph_.add(op::Reshape{{1, 1, 1, shape(x)[3]}}, {y}, "features"));
  }
  Graph finish(ValueId y) {
    graph_.add_output("scores", y);
    return std::move(graph_);
  }

 private:
  template <class T>
  static Tensor pattern(const Shape& shape, int bits) {
    std::vector<T> codes(static_cast<std::size_t>(num_elements(shape)));
    const std::size_t levels = std::size_t{1} << bits;
    for (std::size_t i = 0; i < codes.size(); ++i) {
      codes[i] = static_cast<T>(static_cast<std::int64_t>((5 * i + i / 7) % levels) -
                                static_cast<std::int64_t>(levels / 2));
    }
    return Tensor::from(codes, shape);
  }
  std::int64_t zero_of(ValueId x) const {
    return stored_min(std::get<Affine>(*graph_.value(x).encoding));
  }
  ValueId encoded(ValueId y) {
    graph_.value(y).encoding =
        Affine{LevelSet::U, bits_.activations, {0.5F}, {0}, std::nullopt};
    return y;
  }

  NetworkBits bits_;
  Graph graph_{Level::Integer};
  ValueId x_;
  int count_ = 0;
};

inline Graph resnet18(NetworkBits bits = {}) {
  Network n(bits);
  ValueId x =
      n.conv(n.image(), {.out = 64, .kernel = 7, .stride = 2, .pad = 3, .is_edge = true});
  x = n.max_pool(x, 1, 1);
  for (const std::int64_t channels : {64, 128, 256, 512}) {
    for (int block = 0; block < 2; ++block) {
      const std::int64_t stride = channels > 64 && block == 0 ? 2 : 1;
      const ValueId a =
          n.conv(x, {.out = channels, .kernel = 3, .stride = stride, .pad = 1});
      const ValueId b = n.conv(a, {.out = channels, .kernel = 3, .pad = 1});
      const ValueId c = stride == 2 ? n.conv(x, {.out = channels, .stride = 2}) : x;
      x = n.add(b, c);
    }
  }
  return n.finish(n.conv(n.mean(x), {.out = 1000, .is_edge = true}));
}

inline Graph mobilenet_v2(NetworkBits bits = {}) {
  struct Stage {
    std::int64_t expand, channels, repeats, stride;
  };
  Network n(bits);
  ValueId x =
      n.conv(n.image(), {.out = 32, .kernel = 3, .stride = 2, .pad = 1, .is_edge = true});
  for (const Stage& s :
       {Stage{1, 16, 1, 1}, Stage{6, 24, 2, 2}, Stage{6, 32, 3, 2}, Stage{6, 64, 4, 2},
        Stage{6, 96, 3, 1}, Stage{6, 160, 3, 2}, Stage{6, 320, 1, 1}}) {
    for (std::int64_t i = 0; i < s.repeats; ++i) {
      const std::int64_t in = n.shape(x)[3], wide = s.expand * in;
      const std::int64_t stride = i == 0 ? s.stride : 1;
      ValueId y = s.expand == 1 ? x : n.conv(x, {.out = wide});
      y = n.conv(y,
                 {.out = wide, .kernel = 3, .stride = stride, .pad = 1, .groups = wide});
      y = n.conv(y, {.out = s.channels});
      x = stride == 1 && in == s.channels ? n.add(x, y) : y;
    }
  }
  x = n.conv(x, {.out = 1280});
  return n.finish(n.conv(n.mean(x), {.out = 1000, .is_edge = true}));
}

inline Graph squeezenet(NetworkBits bits = {}) {
  Network n(bits);
  ValueId x = n.conv(n.image(), {.out = 96, .kernel = 7, .stride = 2, .is_edge = true});
  x = n.max_pool(x, 0, 0);
  const auto fire = [&](std::int64_t squeeze, std::int64_t expand) {
    const ValueId s = n.conv(x, {.out = squeeze});
    const ValueId a = n.conv(s, {.out = expand});
    x = n.concat(a, n.conv(s, {.out = expand, .kernel = 3, .pad = 1}));
  };
  fire(16, 64), fire(16, 64), fire(32, 128);
  x = n.max_pool(x, 0, 1);
  fire(32, 128), fire(48, 192), fire(48, 192), fire(64, 256);
  x = n.max_pool(x, 0, 0);
  fire(64, 256);
  return n.finish(n.mean(n.conv(x, {.out = 1000, .is_edge = true})));
}

}  // namespace qopt::testing
