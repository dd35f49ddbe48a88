// SPDX-License-Identifier: MIT
// Interval analysis: the semantics of Integer graphs whose values are intervals of stored
// codes. Written from docs/numerics.md apart from qrt/arith.h; where an exact end is dear
// it is widened.
#include "lib/exec/interval.h"

#include <algorithm>
#include <bit>
#include <limits>

#include "lib/exec/executor.h"
#include "lib/exec/interval_arithmetic.h"

namespace qopt {
namespace {

using namespace interval_arithmetic;

/// What N19 multiplies sums of products by.
Wide scale_of(std::int64_t shift) {
  return Wide{1} << std::clamp<std::int64_t>(shift, 0, 30);
}

struct ChannelBound {
  WideInterval final_sum;  // values of the complete accumulator
  WideInterval any_sum;    // partial sums of every form of N38 too
};

ChannelBound channel_bound(const Interval& x, std::int64_t x_zero, std::int64_t w_zero,
                           std::int64_t bias, std::int64_t shift, const Parts& centred,
                           const Parts& raw, std::int64_t count) {
  const Wide scale = scale_of(shift);
  const WideInterval products = scale * sum_of_products(minus(x, x_zero), centred);
  const WideInterval b{bias, bias};
  const Wide folded =
      Wide{bias} - scale * Wide{x_zero} * (centred.positive + centred.negative);
  const WideInterval base = with_zero({folded, folded});
  WideInterval any = with_zero(b) + products;
  any = hull(any, base + scale * sum_of_products(wide(x), centred));
  if (w_zero != 0) {
    const WideInterval shifts = with_zero(-w_zero * wide(x));
    const WideInterval sums = sum_of_products(wide(x), raw) + Wide{count} * shifts;
    any = hull(any, base + scale * sums);
  }
  return {b + products, any};
}

/// Operators that never occur in an Integer graph.
template <class T>
concept FloatOnly = std::same_as<T, op::Conv2d> || std::same_as<T, op::ConvTranspose2d> ||
    std::same_as<T, op::Linear> || std::same_as<T, op::MatMul> ||
    std::same_as<T, op::BatchNorm> || std::same_as<T, op::Clamp> ||
    std::same_as<T, op::Unary> || std::same_as<T, op::PRelu> ||
    std::same_as<T, op::Binary> || std::same_as<T, op::AvgPool2d> ||
    std::same_as<T, op::AdaptiveAvgPool2d> || std::same_as<T, op::Reduce> ||
    std::same_as<T, op::Resize> || std::same_as<T, op::Softmax> ||
    std::same_as<T, op::LayerNorm> || std::same_as<T, op::L2Normalize> ||
    std::same_as<T, op::Embedding> || std::same_as<T, op::Attention> ||
    std::same_as<T, op::PixelShuffle>;

class IntervalSemantics {
 public:
  using Value = Interval;

  explicit IntervalSemantics(IntervalAnalysis& result) : result_(result) {}

  Interval constant(const Graph& graph, ValueId id, const Tensor& tensor) {
    if (!known_.contains(id.index, graph.values().size())) {
      known_.set(id.index);
      result_.codes[id.index] = constant_range(tensor);
    }
    return result_.codes[id.index];
  }

  Interval apply(const Graph& graph, const Node& node, std::span<const Interval> in) {
    graph_ = &graph;
    node_ = &node;
    in_ = in;
    return std::visit([&](const auto& o) { return visit(o); }, node.op);
  }

 private:
  /// Constants already measured (weights are large and may have several users).
  struct Seen {
    std::vector<bool> bits;
    bool contains(std::size_t i, std::size_t count) {
      bits.resize(count, false);
      return bits[i];
    }
    void set(std::size_t i) { bits[i] = true; }
  };

  template <FloatOnly T>
  Interval visit(const T&) {
    throw InternalError(fmt::format("'{}' in an Integer graph", T::kName));
  }
  Interval visit(const op::Input&) { throw InternalError("an input is not applied"); }

  Interval visit(const op::MaxPool2d& o) {
    // A window can miss the input altogether where padding or dilation leaps over it
    // (N36).
    const bool padded =
        std::any_of(o.pads.begin(), o.pads.end(), [](auto p) { return p > 0; });
    bool may_miss = padded && (o.dilation[0] > 1 || o.dilation[1] > 1);
    may_miss |= std::max(o.pads[0], o.pads[2]) >= o.kernel[0];
    may_miss |= std::max(o.pads[1], o.pads[3]) >= o.kernel[1];
    const Interval least{dtype_range(output().dtype).lo, dtype_range(output().dtype).lo};
    return may_miss ? hull(in_[0], least) : in_[0];
  }
  Interval visit(const op::Concat&) {
    Interval all = in_[0];
    for (const Interval& part : in_) all = hull(all, part);
    return all;
  }
  Interval visit(const op::Slice&) { return in_[0]; }
  Interval visit(const op::Reshape&) { return in_[0]; }
  Interval visit(const op::Permute&) { return in_[0]; }
  Interval visit(const op::Expand&) { return in_[0]; }
  Interval visit(const op::Pad& o) {
    const auto value = static_cast<std::int64_t>(o.value);
    return hull(in_[0], Interval{value, value});
  }

  Interval visit(const op::QConv2d& o) { return convolution(o); }
  Interval visit(const op::QConvTranspose2d& o) { return convolution(o); }

  Interval visit(const op::QMatMul& o) {
    const Shape& a_shape = shape(0);
    const Wide k = a_shape.back();
    const WideInterval product = minus(in_[0], o.a_zero) * minus(in_[1], o.b_zero);
    const WideInterval sum = k * with_zero(product);
    // sum a * b - b_zero * sum a - a_zero * sum b + k * a_zero * b_zero, in any order.
    const Wide folded = k * o.a_zero * o.b_zero;
    WideInterval any = with_zero({folded, folded});
    any = any + k * with_zero(wide(in_[0]) * wide(in_[1]));
    any = any + k * with_zero(-o.b_zero * wide(in_[0]));
    any = any + k * with_zero(-o.a_zero * wide(in_[1]));
    record(scale_of(o.shift) * hull(with_zero(sum), any), limit(o.acc_bits));
    return finished(requantised(k * product, o.multiplier, o.shift), o.y_zero, o.lo,
                    o.hi);
  }

  Interval visit(const op::QAdd& o) {
    const WideInterval a = o.a_multiplier * minus(in_[0], o.a_zero);
    const WideInterval b = o.b_multiplier * minus(in_[1], o.b_zero);
    record(hull(hull(with_zero(a), with_zero(b)), a + b), 32);
    const int n = static_cast<int>(std::clamp<std::int64_t>(o.shift, 0, 62));
    const Wide half = n == 0 ? Wide{0} : Wide{1} << (n - 1);
    const WideInterval acc = a + b;
    return finished({(acc.lo + half) >> n, (acc.hi + half) >> n}, o.y_zero, o.lo, o.hi);
  }

  Interval visit(const op::QMul& o) {
    const WideInterval product = minus(in_[0], o.a_zero) * minus(in_[1], o.b_zero);
    record(with_zero(product), limit(o.acc_bits));
    return finished(requantised(product, o.multiplier, o.shift), o.y_zero, o.lo, o.hi);
  }

  Interval visit(const op::QDiv& o) {
    const bool bytes = value(0).dtype == DType::I8 && value(1).dtype == DType::I8;
    const WideInterval num = minus(in_[0], o.a_zero);
    const WideInterval den = minus(in_[1], o.b_zero);
    // Of magnitude |num| / |den| at most, or 2^30 where the denominator can be zero.
    const Wide most =
        std::max(num.hi < 0 ? -num.hi : num.hi, num.lo < 0 ? -num.lo : num.lo);
    Wide bound = Wide{1} << 30;
    if (den.lo > 0 || den.hi < 0) {
      bound = std::min(bound,
                       (most << (bytes ? 20 : 14)) / (den.lo > 0 ? den.lo : -den.hi) + 1);
    }
    return finished(requantised({-bound, bound}, o.multiplier, o.shift), o.y_zero, o.lo,
                    o.hi);
  }

  Interval visit(const op::Rescale& o) {
    const WideInterval y = requantised(minus(in_[0], o.x_zero), o.multiplier, o.shift);
    return finished(y, o.y_zero, o.lo, o.hi);
  }

  Interval visit(const op::Lut&) {
    const Tensor& table = constant_of(1);
    const std::int64_t entries = table.shape().back();
    const std::int64_t base = entries == 256 ? -128 : -32768;
    const std::int64_t first = std::clamp<std::int64_t>(in_[0].lo - base, 0, entries - 1);
    const std::int64_t last = std::clamp<std::int64_t>(in_[0].hi - base, 0, entries - 1);
    const std::int64_t start = table.integer_at(first);
    Interval y{start, start};
    for (std::int64_t row = 0; row < table.size(); row += entries) {
      for (std::int64_t i = first; i <= last; ++i) {
        const std::int64_t v = table.integer_at(row + i);
        y = hull(y, Interval{v, v});
      }
    }
    return y;
  }

  Interval visit(const op::QAvgPool2d& o) {
    std::int64_t rows = 0, cols = 0;
    for (std::size_t i = 0; i < o.row_start.size(); ++i) {
      rows = std::max(rows, o.row_end[i] - o.row_start[i]);
    }
    for (std::size_t i = 0; i < o.col_start.size(); ++i) {
      cols = std::max(cols, o.col_end[i] - o.col_start[i]);
    }
    // Windows at the border are smaller.
    const WideInterval sum = with_zero(summed(o.x_zero, rows * cols, limit(o.acc_bits)));
    const Tensor& multiplier = constant_of(1);
    const Tensor& shift = constant_of(2);
    WideInterval y = requantised(sum, multiplier.integer_at(0), shift.integer_at(0));
    for (std::int64_t k = 1; k < multiplier.size(); ++k) {
      y = hull(y, requantised(sum, multiplier.integer_at(k), shift.integer_at(k)));
    }
    return finished(y, o.y_zero, o.lo, o.hi);
  }

  Interval visit(const op::QReduce& o) {
    std::int64_t count = 1;
    for (std::int64_t axis : o.axes) count *= shape(0).at(static_cast<std::size_t>(axis));
    const WideInterval sum = summed(o.x_zero, count, limit(o.acc_bits));
    return finished(requantised(sum, o.multiplier, o.shift), o.y_zero, o.lo, o.hi);
  }

  Interval visit(const op::QResize&) {
    record(with_zero((Wide{1} << 22) * wide(in_[0])),
           value(0).dtype == DType::I8 ? 32 : 64);
    return in_[0];
  }

  Interval visit(const op::QSoftmax& o) {
    const Wide count = shape(0).at(static_cast<std::size_t>(o.axis));
    record({0, count * std::max<std::int64_t>(0, in_[1].hi)}, 64);
    return finished({0, Wide{1} << o.out_bits}, o.y_zero, o.lo, o.hi);
  }

  Interval visit(const op::QLayerNorm& o) {
    const Wide count = value(1).shape.empty() ? 1 : num_elements(value(1).shape);
    const WideInterval square = wide(in_[0]) * wide(in_[0]);
    const Wide most = std::max(square.hi, -square.lo);
    record({0, count * count * most + o.eps}, 64);
    return {o.lo, o.hi};
  }

  Interval visit(const op::QL2Normalize& o) {
    const Wide count = shape(0).at(static_cast<std::size_t>(o.axis));
    const WideInterval n = minus(in_[0], o.x_zero);
    const WideInterval square = n * n;
    record({0, std::max<Wide>(count * std::max(square.hi, -square.lo), o.eps)}, 64);
    // |z| <= 1 in Q15, one more for the rounded root.
    const Wide one = (Wide{1} << 15) + 1;
    return finished(requantised({-one, one}, o.multiplier, o.shift), o.y_zero, o.lo,
                    o.hi);
  }

  Interval visit(const op::QGather&) { return in_[1]; }

  /// N21 and N22. For a transposed convolution an output meets only some of the taps;
  /// partial sums over all of them enclose it.
  template <class Convolution>
  Interval convolution(const Convolution& o) {
    const Tensor& w = constant_of(1);
    const Tensor& bias = constant_of(2);
    const Tensor& multiplier = constant_of(3);
    const Tensor& shift = constant_of(4);
    const Tensor* w_zero = node_->inputs.size() > 5 ? &constant_of(5) : nullptr;
    const Interval x = hull(in_[0], Interval{o.x_zero, o.x_zero});
    const std::int64_t channels = w.shape().at(0);
    const std::int64_t count = channels == 0 ? 0 : w.size() / channels;
    WideInterval any{0, 0};
    Interval y{o.hi, o.lo};
    for (std::int64_t c = 0; c < channels; ++c) {
      const std::int64_t zero = w_zero ? w_zero->integer_at(c) : 0;
      Parts centred, raw;
      add_parts(w, c * count, count, zero, centred, raw);
      const ChannelBound bound = channel_bound(x, o.x_zero, zero, bias.integer_at(c),
                                               shift.integer_at(c), centred, raw, count);
      any = hull(any, bound.any_sum);
      const WideInterval q = requantised(bound.final_sum, multiplier.integer_at(c),
                                         std::min<std::int64_t>(0, shift.integer_at(c)));
      y = hull(y, finished(q, o.y_zero, o.lo, o.hi));
    }
    record(any, limit(o.acc_bits));
    return channels == 0 ? Interval{o.lo, o.hi} : y;
  }

  static void add_parts(const Tensor& w, std::int64_t from, std::int64_t count,
                        std::int64_t zero, Parts& centred, Parts& raw) {
    const auto sum = [&](auto values) {
      std::int64_t up = 0, down = 0, raw_up = 0, raw_down = 0;
      for (const auto v : values.subspan(static_cast<std::size_t>(from),
                                         static_cast<std::size_t>(count))) {
        const std::int64_t d = v - zero;
        up += d > 0 ? d : 0;
        down += d < 0 ? d : 0;
        raw_up += v > 0 ? v : 0;
        raw_down += v < 0 ? v : 0;
      }
      centred = {up, down};
      raw = {raw_up, raw_down};
    };
    if (w.dtype() == DType::I16) {
      sum(w.values<std::int16_t>());
    } else {
      sum(w.values<std::int8_t>());
    }
  }

  /// Sum of `count` terms x - x_zero, or -count * x_zero + sum of x; records the proof.
  WideInterval summed(std::int64_t x_zero, std::int64_t count, int width) {
    const WideInterval sum = Wide{count} * minus(in_[0], x_zero);
    const Wide folded = -Wide{count} * x_zero;
    const WideInterval raw =
        with_zero({folded, folded}) + with_zero(Wide{count} * wide(in_[0]));
    record(hull(with_zero(sum), raw), width);
    return sum;
  }

  void record(WideInterval acc, int width) {
    AccumulatorProof proof;
    proof.node = output().name;
    proof.accumulator = narrow(acc);
    proof.bits = signed_bits(proof.accumulator);
    proof.limit = width;
    proof.node_index = static_cast<std::size_t>(node_ - graph_->nodes().data());
    result_.proofs.push_back(std::move(proof));
  }

  static int limit(std::int64_t acc_bits) { return acc_bits <= 32 ? 32 : 64; }

  const qopt::Value& value(std::size_t i) const {
    return graph_->value(node_->inputs.at(i));
  }
  const qopt::Value& output() const { return graph_->value(node_->output); }
  const Shape& shape(std::size_t i) const { return value(i).shape; }
  const Tensor& constant_of(std::size_t i) const {
    QOPT_CHECK(value(i).constant.has_value(), "'{}' must be constant", value(i).name);
    return *value(i).constant;
  }

  IntervalAnalysis& result_;
  Seen known_;
  const Graph* graph_ = nullptr;
  const Node* node_ = nullptr;
  std::span<const Interval> in_;
};

Interval input_range(const Value& value) {
  if (!value.encoding) return dtype_range(value.dtype);
  return std::visit(Overloaded{[](const Affine& affine) {
                      return Interval{stored_min(affine), stored_max(affine)};
                    }},
                    *value.encoding);
}

}  // namespace

int signed_bits(const Interval& interval) {
  const auto bits = [](std::int64_t x) {
    const auto magnitude = static_cast<std::uint64_t>(x < 0 ? ~x : x);
    return static_cast<int>(std::bit_width(magnitude)) + 1;
  };
  return std::max(bits(interval.lo), bits(interval.hi));
}

IntervalAnalysis analyze_intervals(const Graph& graph) {
  QOPT_CHECK(graph.level() == Level::Integer, "interval analysis of level {}",
             level_name(graph.level()));
  IntervalAnalysis result;
  result.codes.resize(graph.values().size());
  IntervalSemantics semantics(result);
  std::vector<Interval> inputs;
  for (ValueId id : graph.inputs()) inputs.push_back(input_range(graph.value(id)));
  execute(graph, semantics, std::span<const Interval>(inputs),
          [&](ValueId id, Interval v) {
            result.codes[id.index] = v;
            return v;
          });
  return result;
}

std::vector<AccumulatorProof> prove_accumulators(const Graph& graph) {
  return analyze_intervals(graph).proofs;
}

void assign_accumulator_bits(Graph& graph) {
  for (const AccumulatorProof& proof : prove_accumulators(graph)) {
    std::visit(
        [&](auto& o) {
          if constexpr (requires { o.acc_bits; }) o.acc_bits = proof.bits;
        },
        graph.mutable_nodes()[proof.node_index].op);
  }
}

void require_no_overflow(const std::vector<AccumulatorProof>& proofs) {
  std::string list, first;
  for (const AccumulatorProof& proof : proofs) {
    if (!proof.overflows()) continue;
    if (first.empty()) first = proof.node;
    list += fmt::format("{}'{}' needs {} bits of {} for [{}, {}]",
                        list.empty() ? "" : "; ", proof.node, proof.bits, proof.limit,
                        proof.accumulator.lo, proof.accumulator.hi);
  }
  if (list.empty()) return;
  throw Error(ExitCode::ModelUnsupported, first, "accumulator may overflow: " + list,
              "use fewer bits for the weights or activations of these layers");
}

}  // namespace qopt
