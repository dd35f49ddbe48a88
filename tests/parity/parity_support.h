// SPDX-License-Identifier: MIT
// A tiny post-training quantiser for parity tests (ranges from one float run), and the
// comparison of fake-quantised float with exact integers in output codes.
#pragma once

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <string>

#include "lib/aten/float_executor.h"
#include "lib/core/rng.h"
#include "lib/fixedpoint/integer_executor.h"
#include "lib/fixedpoint/lower.h"
#include "lib/graph/text.h"
#include "lib/graph/verify.h"
#include "tests/parity/cases.h"

namespace qopt::parity {

struct Setting {
  LevelSet levels = LevelSet::S;
  int bits = 8;
  bool symmetric = true;
  bool per_channel = false;  // weights

  /// That of everything but a layer's weights: odd levels are for those only.
  Setting of_activations() const {
    if (has_zero(levels)) return *this;
    return {LevelSet::U, bits, false, per_channel};
  }
  std::string text() const {
    return fmt::format("{}{} {} {}", level_set_name(levels), bits,
                       symmetric ? "symmetric" : "affine",
                       per_channel ? "per channel" : "per tensor");
  }
};

/// Every level set with the symmetries it allows, every width, both granularities.
inline std::vector<Setting> all_settings() {
  std::vector<Setting> all;
  for (int bits : {2, 3, 4, 5, 6, 7, 8, 16}) {
    for (bool per_channel : {false, true}) {
      all.push_back({LevelSet::U, bits, false, per_channel});
      all.push_back({LevelSet::S, bits, true, per_channel});
      all.push_back({LevelSet::S, bits, false, per_channel});
      all.push_back({LevelSet::N, bits, true, per_channel});
      if (bits < 8) all.push_back({LevelSet::O, bits, true, per_channel});
    }
  }
  for (bool per_channel : {false, true}) {
    all.push_back({LevelSet::U, 1, false, per_channel});
    all.push_back({LevelSet::S, 1, false, per_channel});
    all.push_back({LevelSet::O, 1, true, per_channel});
    all.push_back({LevelSet::T, 2, true, per_channel});
  }
  return all;
}

struct Range {
  float lo = 0.0F, hi = 0.0F;
  void add(float v) {
    lo = std::min(lo, v);
    hi = std::max(hi, v);
  }
  void add(const Tensor& t) {
    for (float v : t.values<float>()) add(v);
  }
};

/// Scale and zero point of one range; `jitter` keeps ratios of scales away from simple
/// fractions.
inline void add_entry(Affine& e, const Range& range, bool symmetric, double jitter) {
  const double lo = code_min(e.levels, e.bits), hi = code_max(e.levels, e.bits);
  const double width = std::max(1e-6, static_cast<double>(range.hi) - range.lo);
  if (symmetric) {
    const double reach = std::max(width / 1000, std::max<double>(range.hi, -range.lo));
    e.scale.push_back(static_cast<float>(reach / hi * jitter));
    e.zero_point.push_back(0);
    return;
  }
  const double scale = width / (hi - lo) * jitter;
  e.scale.push_back(static_cast<float>(scale));
  e.zero_point.push_back(static_cast<std::int32_t>(
      std::clamp(std::nearbyint(lo - range.lo / scale), lo, hi)));
}

inline Affine tensor_encoding(const Range& range, const Setting& s, Rng& rng) {
  Affine e{s.levels, s.bits, {}, {}, {}};
  add_entry(e, range, s.symmetric, 0.9 + 0.2 * rng.uniform());
  return e;
}

inline Affine weight_encoding(const Tensor& w, int axis, const Setting& s, Rng& rng) {
  Range whole;
  whole.add(w);
  if (!s.per_channel) return tensor_encoding(whole, s, rng);
  Affine e{s.levels, s.bits, {}, {}, axis};
  std::int64_t inner = 1;
  for (std::size_t i = static_cast<std::size_t>(axis) + 1; i < w.shape().size(); ++i) {
    inner *= w.shape()[i];
  }
  const std::int64_t channels = w.shape()[static_cast<std::size_t>(axis)];
  std::vector<Range> ranges(static_cast<std::size_t>(channels));
  for (std::int64_t i = 0; i < w.size(); ++i) {
    ranges[static_cast<std::size_t>(i / inner % channels)].add(
        w.values<float>()[static_cast<std::size_t>(i)]);
  }
  for (const Range& range : ranges) {
    add_entry(e, range, s.symmetric, 0.9 + 0.2 * rng.uniform());
  }
  return e;
}

/// The axis of a weight's output channels, where operand 1 of the node is a constant
/// weight.
inline std::optional<int> weight_axis(const Node& node, const Value& operand) {
  if (std::holds_alternative<op::Conv2d>(node.op)) return 0;
  if (std::holds_alternative<op::Linear>(node.op)) return 0;
  if (std::holds_alternative<op::ConvTranspose2d>(node.op)) return 1;
  if (std::holds_alternative<op::MatMul>(node.op) && operand.shape.size() == 2) return 1;
  return std::nullopt;
}

inline std::vector<Tensor> make_inputs(const Graph& graph, const Case& c, Rng& rng) {
  std::vector<Tensor> inputs;
  for (ValueId id : graph.inputs()) {
    const Value& value = graph.value(id);
    const auto count = static_cast<std::size_t>(num_elements(value.shape));
    if (value.dtype == DType::I64) {
      std::vector<std::int64_t> indices(count);
      for (auto& i : indices) i = static_cast<std::int64_t>(rng.below(20));
      inputs.push_back(Tensor::from(indices, value.shape));
      continue;
    }
    std::vector<float> values(count);
    for (float& v : values) {
      const double u = rng.uniform();
      v = static_cast<float>(c.amplitude *
                             (c.data == Data::Signed ? 2.0 * u - 1.0 : 0.2 + u));
    }
    inputs.push_back(Tensor::from(values, value.shape));
  }
  return inputs;
}

inline Graph canonical_of(const Case& c, Rng& rng) {
  Constants constants = constants_of(parse(c.text, {}, true));
  for (auto& [name, tensor] : constants) {
    std::vector<float> values(static_cast<std::size_t>(tensor.size()));
    for (float& v : values) {
      v = static_cast<float>(c.data == Data::Signed ? 2.0 * rng.uniform() - 1.0
                                                    : 0.2 + rng.uniform());
    }
    tensor = Tensor::from(values, tensor.shape());
  }
  Graph graph = parse(c.text, constants);
  require_valid(graph, c.name);
  return graph;
}

/// Encodings on everything that needs one; operators that keep codes share theirs.
inline Graph encode_graph(Graph graph, std::span<const Tensor> inputs, const Setting& s,
                          Rng& rng) {
  const std::size_t count = graph.values().size();
  std::vector<Range> ranges(count);
  aten::FloatExecutor(graph).run(inputs, [&](ValueId id, const Tensor& t) {
    if (t.dtype() == DType::F32) ranges[id.index].add(t);
  });
  for (std::size_t i = 0; i < count; ++i) {
    const Value& value = graph.values()[i];
    if (value.constant && value.dtype == DType::F32) ranges[i].add(*value.constant);
  }
  std::vector<std::size_t> group(count);
  std::iota(group.begin(), group.end(), std::size_t{0});
  graph.set_level(Level::Encoded);
  for (const Node& node : graph.nodes()) {
    if (!keeps_encoding(node.op)) continue;
    for (ValueId id : node.inputs) {
      const std::size_t from = group[id.index], to = group[node.output.index];
      std::ranges::replace(group, from, to);
    }
  }
  std::map<std::size_t, Range> joint;
  for (std::size_t i = 0; i < count; ++i) {
    Range& range = joint[group[i]];
    range.lo = std::min(range.lo, ranges[i].lo);
    range.hi = std::max(range.hi, ranges[i].hi);
  }
  std::map<std::size_t, Affine> encodings;
  for (const auto& [root, range] : joint)
    encodings[root] = tensor_encoding(range, s.of_activations(), rng);
  const auto encode = [&](ValueId id) {
    if (graph.value(id).dtype == DType::F32) {
      graph.value(id).encoding = encodings.at(group[id.index]);
    }
  };
  for (std::size_t n = 0; n < graph.nodes().size(); ++n) {
    const Node node = graph.nodes()[n];
    if (!is_fused_into_clamp(graph, node.output)) encode(node.output);
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      const ValueId id = node.inputs[i];
      if (!graph.is_constant(id)) continue;
      const std::optional<int> axis =
          i == 1 ? weight_axis(node, graph.value(id)) : std::nullopt;
      if (axis) {
        graph.value(id).encoding =
            weight_encoding(*graph.value(id).constant, *axis, s, rng);
      } else if (std::holds_alternative<op::Binary>(node.op) ||
                 std::holds_alternative<op::MatMul>(node.op) || keeps_encoding(node.op)) {
        encode(id);
      }
    }
    // Half the settings give softmax the scale that needs no second rounding.
    if (std::holds_alternative<op::Softmax>(node.op) && s.per_channel) {
      Affine e{LevelSet::U, s.bits, {std::ldexp(1.0F, -s.bits)}, {0}, {}};
      graph.value(node.output).encoding = e;
    }
  }
  require_valid(graph, "the parity encodings");
  return graph;
}

inline bool is_nearest(const Graph& g, const Node& node) {
  for (std::size_t i : {2, 4}) {
    const Tensor& weights = *g.value(node.inputs[i]).constant;
    for (std::int64_t k = 0; k < weights.size(); ++k) {
      if (weights.integer_at(k) % 2048 != 0) return false;
    }
  }
  return true;
}

/// How far the integers may be from the fake-quantised floats, derived from what the
/// lowered operators round (docs/numerics.md).
struct Allowance {
  double deviation = 0.0;  // largest error before the last rounding, in output codes
  double unequal = 0.0;    // expected fraction of results that this error tips over

  /// An error uniform in [-most, most] tips the rounding with a probability of its mean.
  void add(double most) {
    deviation += most;
    unequal += most / 2;
  }
};

/// Arithmetic in float32 on one side and in integers on the other never meets to the last
/// bit.
constexpr double kFloatNoise = 0.01;

/// N5 rounds to an integer before it shifts right by n, so a result of up to half a unit
/// below the middle is taken up: one in 2^(n+1).
inline void add_requantiser(Allowance& a, std::int64_t shift,
                            std::int64_t acc_bits = 32) {
  if (acc_bits > 32 || shift >= 0) return;  // one rounding
  const double tipped = std::ldexp(1.0, static_cast<int>(shift) - 1);
  a.deviation += tipped;
  a.unequal += tipped;
}

inline Allowance allowance_of(const Graph& g) {
  Allowance a;
  const auto value_of = [](std::int64_t m, std::int64_t s) {
    return std::ldexp(static_cast<double>(m), static_cast<int>(s) - 31);
  };
  const auto span_of = [&](ValueId id) {
    const Affine& e = std::get<Affine>(*g.value(id).encoding);
    return static_cast<double>(stored_max(e) - stored_min(e));
  };
  const auto scale_of = [&](ValueId id) {
    return static_cast<double>(std::get<Affine>(*g.value(id).encoding).scale.at(0));
  };
  const auto largest = [&](ValueId id) {
    double most = 0.0;
    const Tensor& t = *g.value(id).constant;
    for (std::int64_t i = 0; i < t.size(); ++i) {
      most = std::max(most, std::fabs(static_cast<double>(t.integer_at(i))));
    }
    return most;
  };
  for (const Node& node : g.nodes()) {
    if (!is_integer_op(node.op) || std::holds_alternative<op::QGather>(node.op)) continue;
    if (std::holds_alternative<op::QResize>(node.op) && is_nearest(g, node)) continue;
    a.deviation += kFloatNoise;
    a.unequal += kFloatNoise;
    const auto convolution = [&](std::int64_t acc_bits) {
      const Tensor &bias = *g.value(node.inputs[2]).constant,
                   &m = *g.value(node.inputs[3]).constant,
                   &s = *g.value(node.inputs[4]).constant;
      Allowance mean;
      double most = 0.0;
      for (std::int64_t c = 0; c < m.size(); ++c) {
        Allowance channel;
        add_requantiser(channel, s.integer_at(c), acc_bits);
        // The bias is rounded to the accumulator's unit.
        const double unit = value_of(m.integer_at(c), s.integer_at(c));
        if (bias.integer_at(c) != 0) channel.add(unit / 2);
        most = std::max(most, channel.deviation);
        mean.unequal += channel.unequal / static_cast<double>(m.size());
      }
      a.deviation += most;
      a.unequal += mean.unequal;
    };
    std::visit(
        Overloaded{[&](const op::QConv2d& o) { convolution(o.acc_bits); },
                   [&](const op::QConvTranspose2d& o) { convolution(o.acc_bits); },
                   [&](const op::QMatMul& o) { add_requantiser(a, o.shift, o.acc_bits); },
                   [&](const op::QMul& o) { add_requantiser(a, o.shift, o.acc_bits); },
                   [&](const op::QReduce& o) { add_requantiser(a, o.shift, o.acc_bits); },
                   [&](const op::Rescale& o) { add_requantiser(a, o.shift); },
                   [&](const op::QAvgPool2d& o) {
                     const Tensor& shifts = *g.value(node.inputs[2]).constant;
                     std::int64_t highest = -31;
                     for (std::int64_t k = 0; k < shifts.size(); ++k) {
                       if (shifts.integer_at(k) < 0)
                         highest = std::max(highest, shifts.integer_at(k));
                     }
                     add_requantiser(a, highest, o.acc_bits);
                   },
                   [&](const op::QDiv& o) {
                     a.add(value_of(o.multiplier, o.shift) / 2);
                     add_requantiser(a, o.shift);
                   },
                   [&](const op::QL2Normalize& o) {
                     a.add(value_of(o.multiplier, o.shift) / 2);
                     add_requantiser(a, o.shift);
                   },
                   // Multipliers of 15 bits are off by up to half a unit each.
                   [&](const op::QAdd& o) {
                     const std::int64_t multipliers[] = {o.a_multiplier, o.b_multiplier};
                     for (std::size_t i = 0; i < 2; ++i) {
                       const double factor =
                           scale_of(node.inputs[i]) / scale_of(node.output);
                       const auto m = std::fabs(static_cast<double>(multipliers[i]));
                       const double off =
                           std::fabs(m - std::ldexp(factor, static_cast<int>(o.shift)));
                       a.add(span_of(node.inputs[i]) *
                             std::ldexp(off, -static_cast<int>(o.shift)));
                     }
                   },
                   // z is off by half a unit of Q15, gamma by half of its last bit, z at
                   // most sqrt(D).
                   [&](const op::QLayerNorm& o) {
                     const double unit = std::ldexp(1.0, -static_cast<int>(o.shift));
                     const auto count =
                         static_cast<double>(g.value(node.inputs[1]).shape.at(0));
                     a.add(largest(node.inputs[1]) * unit / 2);
                     a.add(std::ldexp(unit, 15) * std::sqrt(count) / 2);
                   },
                   // Q11 weights on two axes; and no jitter between equal encodings, so
                   // that exact ties, which go up here and to even there, are frequent.
                   [&](const op::QResize&) {
                     a.add(span_of(node.output) * 0x1p-11);
                     a.unequal += 1.0 / 16;
                     a.deviation += 0.5;
                   },
                   [&](const op::QSoftmax&) {}, [&](const op::Lut&) {},
                   [&](const op::QGather&) {}, [&](const auto&) {}},
        node.op);
  }
  return a;
}

struct Difference {
  std::int64_t count = 0, equal = 0;
  std::int64_t most = 0;  // codes

  double equal_fraction() const {
    return count == 0 ? 1.0 : static_cast<double>(equal) / static_cast<double>(count);
  }
  void add(const Difference& d) {
    count += d.count;
    equal += d.equal;
    most = std::max(most, d.most);
  }
};

/// Codes of both sides under the model's output encoding.
inline Difference compare(const Graph& encoded, const Graph& integer,
                          std::span<const Tensor> inputs) {
  const std::vector<Tensor> real =
      aten::FloatExecutor(encoded, aten::FloatExecutor::Mode::FakeQuant).run(inputs);
  const std::vector<Tensor> exact = IntegerExecutor(integer).run_real(inputs);
  QOPT_CHECK(real.size() == exact.size(), "{} and {} outputs", real.size(), exact.size());
  Difference difference;
  for (std::size_t o = 0; o < real.size(); ++o) {
    const auto& e = std::get<Affine>(*encoded.value(encoded.outputs()[o].value).encoding);
    QOPT_CHECK(real[o].shape() == exact[o].shape(), "output shapes {} and {}",
               shape_text(real[o].shape()), shape_text(exact[o].shape()));
    const Tensor a = encode_tensor(real[o], e), b = encode_tensor(exact[o], e);
    for (std::int64_t i = 0; i < a.size(); ++i) {
      const std::int64_t d = std::abs(a.integer_at(i) - b.integer_at(i));
      ++difference.count;
      difference.equal += d == 0 ? 1 : 0;
      difference.most = std::max(difference.most, d);
    }
  }
  return difference;
}

}  // namespace qopt::parity
