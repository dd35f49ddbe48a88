// SPDX-License-Identifier: MIT
// Integer graphs of convolutions over few codes, which can all count bits, and a target
// for which they do. Random but seeded codes.
#pragma once

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "lib/core/rng.h"
#include "lib/exec/interval.h"
#include "lib/export/bit_panels.h"
#include "lib/export/kernel_choice.h"
#include "lib/graph/graph.h"

namespace qopt::testing {

/// Codes of these levels, the lowest and the highest among them.
inline Tensor random_codes(Rng& rng, const Shape& shape, const emit::BitLevels& levels) {
  std::vector<std::int8_t> codes(static_cast<std::size_t>(num_elements(shape)));
  for (std::int8_t& code : codes) {
    const auto u = static_cast<std::int32_t>(rng.below(1ULL << levels.bits));
    code = static_cast<std::int8_t>(levels.lowest + levels.step * u);
  }
  codes.front() = static_cast<std::int8_t>(levels.lowest);
  codes.back() =
      static_cast<std::int8_t>(levels.lowest + levels.step * ((1 << levels.bits) - 1));
  return Tensor::from(codes, shape);
}

class BitNet {
 public:
  Graph graph{Level::Integer};

  static Affine codes(LevelSet levels, int bits, std::int32_t zero = 0) {
    return {levels, bits, {0.5F}, {zero}, std::nullopt};
  }

  ValueId input(const std::string& name, Shape shape, const Affine& encoding) {
    const ValueId id = graph.add_input(name, DType::I8, std::move(shape));
    graph.value(id).encoding = encoding;
    return id;
  }

  struct ConvForm {
    std::int64_t out = 64;
    emit::BitLevels weights{2, -2, 1};
    Affine result = codes(LevelSet::U, 2);
    std::int64_t kernel = 3, stride = 1, pad = 1, dilation = 1;
    std::int64_t weight_bits = 2;  // as stored in rows; greater codes become the greatest
    bool has_w_zero = false;
  };

  /// Over random inputs, results take all codes of `f.result`.
  ValueId conv(ValueId x, const std::string& name, const ConvForm& f) {
    const Value& from = graph.value(x);
    const Shape shape{f.out, f.kernel, f.kernel, from.shape[3]};
    op::QConv2d o;
    o.stride = {f.stride, f.stride};
    o.dilation = {f.dilation, f.dilation};
    o.pads = {f.pad, f.pad, f.pad, f.pad};
    o.weight_bits = f.weight_bits;
    o.x_zero = stored_zero_point(std::get<Affine>(*from.encoding));
    o.y_zero = stored_zero_point(f.result);
    o.lo = stored_min(f.result), o.hi = stored_max(f.result);
    const Tensor w = weights(shape, f);
    std::vector<std::int16_t> w_zero;
    for (std::int64_t i = 0; i < f.out; ++i) {
      w_zero.push_back(static_cast<std::int16_t>(f.has_w_zero ? rng_.below(2) : 0));
    }
    const std::vector<double> sums = sums_of(x, w, w_zero, o);
    const Requant requant = fitted(sums, o, f.out);

    std::vector<ValueId> inputs = {
        x, graph.add_constant(name + ".w", w),
        graph.add_constant(name + ".b", Tensor::of(requant.bias)),
        graph.add_constant(name + ".m", Tensor::of(requant.multiplier)),
        graph.add_constant(name + ".s", Tensor::of(requant.shift))};
    if (is_odd(f)) {
      graph.value(inputs[1]).encoding = codes(LevelSet::O, f.weights.bits);
    }
    if (f.has_w_zero) {
      inputs.push_back(graph.add_constant(name + ".z", Tensor::of(w_zero)));
    }
    const ValueId y = graph.add(o, inputs, name);
    graph.value(y).encoding = f.result;
    std::vector<double>& result = samples_[y.index];
    for (std::size_t i = 0; i < sums.size(); ++i) {
      const std::size_t c = i % requant.bias.size();
      const double code =
          std::round(requant.of(sums[i], c)) + static_cast<double>(o.y_zero);
      result.push_back(
          std::clamp(code, static_cast<double>(o.lo), static_cast<double>(o.hi)));
    }
    return y;
  }

  Graph finish() {
    assign_accumulator_bits(graph);
    return std::move(graph);
  }

 private:
  struct Requant {
    std::vector<std::int32_t> bias, multiplier;
    std::vector<std::int8_t> shift;
    double of(double sum, std::size_t c) const {
      return (std::ldexp(sum, std::max<int>(shift[c], 0)) + bias[c]) *
             std::ldexp(multiplier[c], std::min<int>(shift[c], 0) - 31);
    }
  };

  static bool is_odd(const ConvForm& f) {
    return f.weights.step == 2 && f.weights.bits == f.weight_bits;
  }

  Tensor weights(const Shape& shape, const ConvForm& f) {
    Tensor drawn = random_codes(rng_, shape, f.weights);
    const auto greatest = static_cast<std::int8_t>((1 << (f.weight_bits - 1)) - 1);
    for (std::int8_t& code : drawn.mutable_values<std::int8_t>()) {
      if (!is_odd(f)) code = std::min(code, greatest);
    }
    return drawn;
  }

  /// Codes of the first image that the results of a random input are like.
  const std::vector<double>& sample(ValueId x) {
    std::vector<double>& codes = samples_[x.index];
    const Value& value = graph.value(x);
    const auto& encoding = std::get<Affine>(*value.encoding);
    const auto levels =
        static_cast<std::uint64_t>(stored_max(encoding) - stored_min(encoding) + 1);
    const auto count =
        static_cast<std::size_t>(num_elements(value.shape) / value.shape[0]);
    while (codes.size() < count) {
      codes.push_back(stored_min(encoding) + static_cast<double>(rng_.below(levels)));
    }
    return codes;
  }

  std::vector<double> sums_of(ValueId x, const Tensor& w,
                              const std::vector<std::int16_t>& w_zero,
                              const op::QConv2d& o) {
    const std::vector<double>& codes = sample(x);
    const auto weights = w.values<std::int8_t>();
    const Shape &in = graph.value(x).shape, &k = w.shape();
    const auto extent = [&](std::size_t axis) {
      const std::int64_t reach = o.dilation[0] * (k[axis] - 1) + 1;
      return (in[axis] + 2 * o.pads[0] - reach) / o.stride[0] + 1;
    };
    std::vector<double> sums;
    for (std::int64_t p = 0; p < extent(1) * extent(2); ++p) {
      for (std::int64_t i = 0; i < k[0]; ++i) {
        double sum = 0;
        for (std::int64_t tap = 0; tap < k[1] * k[2]; ++tap) {
          const std::int64_t row = p / extent(2) * o.stride[0] - o.pads[0] +
                                   tap / k[2] * o.dilation[0],
                             col = p % extent(2) * o.stride[0] - o.pads[0] +
                                   tap % k[2] * o.dilation[0];
          if (row < 0 || row >= in[1] || col < 0 || col >= in[2]) continue;
          for (std::int64_t c = 0; c < k[3]; ++c) {
            const auto at = static_cast<std::size_t>((row * in[2] + col) * k[3] + c);
            const auto from =
                static_cast<std::size_t>((i * k[1] * k[2] + tap) * k[3] + c);
            sum += (codes[at] - static_cast<double>(o.x_zero)) *
                   (weights[from] - w_zero[static_cast<std::size_t>(i)]);
          }
        }
        sums.push_back(sum);
      }
    }
    return sums;
  }

  /// Spreads each channel's sums over the codes from lo to hi.
  Requant fitted(const std::vector<double>& sums, const op::QConv2d& o,
                 std::int64_t channels) {
    Requant requant;
    const auto step = static_cast<std::size_t>(channels);
    const double levels = static_cast<double>(o.hi - o.lo + 1);
    const double middle =
        static_cast<double>(o.lo + o.hi) / 2.0 - static_cast<double>(o.y_zero);
    for (std::size_t c = 0; c < step; ++c) {
      double mean = 0, square = 0, count = 0;
      for (std::size_t i = c; i < sums.size(); i += step) {
        mean += sums[i], square += sums[i] * sums[i], ++count;
      }
      mean /= count;
      const double deviation = std::sqrt(std::max(square / count - mean * mean, 1.0));
      const auto multiplier =
          static_cast<std::int32_t>((1U << 30) + rng_.below(1U << 30));
      const auto shift = static_cast<int>(
          std::lround(std::log2(levels / 3 / deviation / std::ldexp(multiplier, -31))));
      requant.multiplier.push_back(multiplier);
      requant.shift.push_back(static_cast<std::int8_t>(shift));
      requant.bias.push_back(static_cast<std::int32_t>(
          std::lround(middle / std::ldexp(multiplier, std::min(shift, 0) - 31) -
                      std::ldexp(mean, std::max(shift, 0)))));
    }
    return requant;
  }

  Rng rng_{11};
  std::map<std::uint32_t, std::vector<double>> samples_;  // by value index
};

/// Results of 1, 2 and 3 bits in unsigned and signed codes; odd, ternary and two's
/// complement weights; channels that fill no word; strides, dilation, padding with a zero
/// that is not the lowest code. Values "a" to "d" can lie in bit planes.
inline Graph bit_chain(std::int64_t images = 1) {
  BitNet net;
  const auto u = [](int bits) { return BitNet::codes(LevelSet::U, bits); };
  const ValueId x = net.input("x", {images, 9, 7, 64}, u(2));
  const ValueId a = net.conv(x, "a", {.out = 128, .weights = {1, -1, 2}});
  const ValueId b = net.conv(a, "b",
                             {.out = 48,
                              .weights = {2, -1, 1},
                              .result = BitNet::codes(LevelSet::S, 2, -1),
                              .stride = 2,
                              .has_w_zero = true});
  const ValueId c = net.conv(
      b, "c",
      {.out = 80, .weights = {1, -1, 2}, .result = u(1), .pad = 2, .dilation = 2});
  const ValueId d = net.conv(
      c, "d", {.out = 68, .weights = {1, 0, 1}, .result = u(3), .kernel = 1, .pad = 0});
  const ValueId e = net.conv(d, "e",
                             {.out = 10,
                              .weights = {1, -3, 2},
                              .result = BitNet::codes(LevelSet::S, 8),
                              .weight_bits = 3});
  net.graph.add_output("y", e);
  return net.finish();
}

/// A perceptron: one row of positions, so that threads share channels.
inline Graph bit_perceptron() {
  BitNet net;
  const ValueId x = net.input("x", {1, 1, 3, 128}, BitNet::codes(LevelSet::U, 1));
  const BitNet::ConvForm hidden{.out = 320,
                                .weights = {1, -1, 2},
                                .result = BitNet::codes(LevelSet::U, 1),
                                .kernel = 1,
                                .pad = 0,
                                .weight_bits = 1};
  const ValueId a = net.conv(x, "a", hidden);
  const ValueId b = net.conv(a, "b", hidden);
  BitNet::ConvForm last = hidden;
  last.out = 12, last.result = BitNet::codes(LevelSet::S, 8);
  net.graph.add_output("y", net.conv(b, "c", last));
  return net.finish();
}

/// Runs this family wherever that is possible: as measured, nothing is cheaper.
inline emit::KernelTarget bit_target(const Graph& graph,
                                     emit::Family family = emit::Family::BitSerial) {
  emit::Measurement measured{"cycles", {}};
  for (const Node& node : graph.nodes()) {
    if (!std::holds_alternative<op::QConv2d>(node.op)) continue;
    measured.rows.push_back({graph.value(node.output).name, family, 1.0});
  }
  return {&emit::find_core("cortex-a72"), {measured}};
}

}  // namespace qopt::testing
