// SPDX-License-Identifier: MIT
// Rules of Integer graphs: only integer operators and data movement, and every number
// inside the range for which runtime/include/qrt/arith.h defines its meaning.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string_view>

#include "lib/graph/verify_rules.h"

namespace qopt::verify_rules {
namespace {

constexpr std::int64_t kMaxMultiplier = INT32_MAX;
constexpr std::int64_t kMinMultiplier = std::int64_t{1} << 18;

bool moves_codes(const Op& op) {
  return std::holds_alternative<op::Input>(op) ||
         std::holds_alternative<op::MaxPool2d>(op) ||
         std::holds_alternative<op::Concat>(op) ||
         std::holds_alternative<op::Slice>(op) ||
         std::holds_alternative<op::Reshape>(op) ||
         std::holds_alternative<op::Permute>(op) ||
         std::holds_alternative<op::Expand>(op) || std::holds_alternative<op::Pad>(op);
}

/// Operators whose second operand may flow; everywhere else it is a parameter.
bool second_operand_flows(const Op& op) {
  return std::holds_alternative<op::QMatMul>(op) ||
         std::holds_alternative<op::QAdd>(op) || std::holds_alternative<op::QMul>(op) ||
         std::holds_alternative<op::QDiv>(op) || std::holds_alternative<op::Concat>(op);
}

struct Range {
  std::int64_t lo, hi;
  bool holds(std::int64_t x) const { return x >= lo && x <= hi; }
};

Range range_of(DType dtype) {
  switch (dtype) {
    case DType::I8: return {INT8_MIN, INT8_MAX};
    case DType::U8: return {0, UINT8_MAX};
    case DType::Bool: return {0, 1};
    case DType::I16: return {INT16_MIN, INT16_MAX};
    case DType::I32: return {INT32_MIN, INT32_MAX};
    case DType::I64:
    case DType::F32:
    case DType::F64: break;
  }
  return {INT64_MIN, INT64_MAX};
}

/// What a value's codes may be: those of its encoding, where it has one. Kernels for few
/// bits (counting bits, sums in bytes) rely on it.
Range codes_of(const Value& value) {
  const auto* codes = value.encoding ? std::get_if<Affine>(&*value.encoding) : nullptr;
  if (codes == nullptr) return range_of(value.dtype);
  return {stored_min(*codes), stored_max(*codes)};
}

bool is_multiplier(std::int64_t m) {
  return m == 0 || (m >= kMinMultiplier && m <= kMaxMultiplier);
}

/// A visitor over an operator's attributes (op.h `describe`): ranges that follow from a
/// name. `lo`/`hi` and the zero points mean the same in every operator.
class AttributeRules {
 public:
  AttributeRules(const Graph& graph, const Node& node, Report& report)
      : report_(report), name_(graph.value(node.output).name), op_(node.op) {
    result_ = range_of(graph.value(node.output).dtype);
    codes_ = codes_of(graph.value(node.output));
    for (std::size_t i = 0; i < 2; ++i) {
      operand_[i] = i < node.inputs.size() ? range_of(graph.value(node.inputs[i]).dtype)
                                           : range_of(DType::I64);
    }
  }

  template <class T>
  void operator()(std::string_view, const T&) {}

  void operator()(std::string_view attribute, const std::int64_t& x) {
    if (attribute == "lo" || attribute == "hi") {
      within(attribute, x, codes_);
    } else if (attribute == "y_zero") {
      within(attribute, x, result_);
    } else if (attribute == "x_zero" || attribute == "a_zero") {
      within(attribute, x, operand_[0]);
    } else if (attribute == "b_zero") {
      within(attribute, x, operand_[1]);
    } else if (attribute == "multiplier") {
      if (!is_multiplier(x)) {
        report_.add(name_,
                    fmt::format("multiplier {} is neither 0 nor in [2^18, 2^31)", x));
      }
    } else if (attribute == "a_multiplier" || attribute == "b_multiplier") {
      within(attribute, x, range_of(DType::I32));
    } else if (attribute == "shift") {
      within(attribute, x, shift_range());
    } else if (attribute == "acc_bits") {
      within(attribute, x, {1, 64});
    } else if (attribute == "weight_bits") {
      if (x != 16) within(attribute, x, {1, 8});
    } else if (attribute == "eps") {
      within(attribute, x, {0, std::int64_t{1} << 61});
    }
    if (attribute == "lo") lo_ = x;
    if (attribute == "hi" && lo_ > x) {
      report_.add(name_, fmt::format("clamp [{}, {}] is empty", lo_, x));
    }
  }

 private:
  Range shift_range() const {
    if (std::holds_alternative<op::QAdd>(op_)) return {0, 31};        // N3
    if (std::holds_alternative<op::QLayerNorm>(op_)) return {0, 62};  // N13
    return {-31, 30};                                                 // N5, N6
  }

  void within(std::string_view attribute, std::int64_t x, Range range) {
    if (range.holds(x)) return;
    report_.add(name_, fmt::format("{} is {}; must be in [{}, {}]", attribute, x,
                                   range.lo, range.hi));
  }

  Report& report_;
  const std::string& name_;
  const Op& op_;
  Range result_{0, 0}, codes_{0, 0}, operand_[2] = {{0, 0}, {0, 0}};
  std::int64_t lo_ = INT64_MIN;
};

/// The integers of a constant operand; none when it holds no integers (reported
/// elsewhere).
class Integers {
 public:
  Integers(const Graph& graph, const Node& node, std::size_t operand) {
    if (operand >= node.inputs.size()) return;
    const std::optional<Tensor>& tensor = graph.value(node.inputs[operand]).constant;
    if (tensor && tensor->defined() && tensor->dtype() != DType::F32 &&
        tensor->dtype() != DType::F64) {
      tensor_ = *tensor;
    }
  }
  std::int64_t size() const { return tensor_.defined() ? tensor_.size() : 0; }
  std::int64_t operator[](std::int64_t i) const { return tensor_.integer_at(i); }

 private:
  Tensor tensor_;
};

class TableRules {
 public:
  TableRules(const Graph& graph, const Node& node, Report& report)
      : graph_(graph), node_(node), report_(report) {}

  void requantisers(std::size_t multiplier, std::size_t shift) {
    const Integers m(graph_, node_, multiplier);
    for (std::int64_t i = 0; i < m.size(); ++i) {
      if (!is_multiplier(m[i])) {
        add(fmt::format("multiplier {} is neither 0 nor in [2^18, 2^31)", m[i]));
        break;
      }
    }
    all_in(shift, -31, 30, "shift");
  }

  void all_in(std::size_t operand, std::int64_t lo, std::int64_t hi,
              std::string_view what) {
    const Integers x(graph_, node_, operand);
    for (std::int64_t i = 0; i < x.size(); ++i) {
      if (x[i] < lo || x[i] > hi) {
        return add(fmt::format("{} {}; must be in [{}, {}]", what, x[i], lo, hi));
      }
    }
  }

  /// Weight codes fill `bits` bits, signed or unsigned, or are their odd levels.
  void weights(std::int64_t bits) {
    const Integers codes(graph_, node_, 1);
    if (bits < 1 || bits > 16 || codes.size() == 0) return;
    if (is_odd(node_.inputs.at(1))) {
      for (std::int64_t i = 0; i < codes.size(); ++i) {
        if (is_code(static_cast<std::int32_t>(codes[i]), LevelSet::O,
                    static_cast<int>(bits))) {
          continue;
        }
        return add(fmt::format("weight code {} is none of o{}", codes[i], bits));
      }
      return;
    }
    std::int64_t lo = codes[0], hi = codes[0];
    for (std::int64_t i = 1; i < codes.size(); ++i) {
      lo = std::min(lo, codes[i]);
      hi = std::max(hi, codes[i]);
    }
    const std::int64_t half = std::int64_t{1} << (bits - 1);
    if ((lo >= -half && hi < half) || (lo >= 0 && hi < 2 * half)) return;
    add(fmt::format("weight codes in [{}, {}] do not fit {} bits", lo, hi, bits));
  }

  void resize_axis(std::size_t index, std::int64_t extent) {
    all_in(index, 0, extent - 1, "source index");
    const Integers w(graph_, node_, index + 1);
    for (std::int64_t i = 0; i + 1 < w.size(); i += 2) {
      if (w[i] < 0 || w[i + 1] < 0 || w[i] + w[i + 1] != 2048) {
        return add(fmt::format("weights {} and {} do not sum to 2048", w[i], w[i + 1]));
      }
    }
  }

  bool is_odd(ValueId id) const {
    const auto& encoding = graph_.value(id).encoding;
    return encoding && std::get<Affine>(*encoding).levels == LevelSet::O;
  }

  std::int64_t extent(std::size_t operand_index, std::size_t axis) const {
    const Shape& shape = graph_.value(node_.inputs[operand_index]).shape;
    return axis < shape.size() ? shape[axis] : 0;
  }

 private:
  void add(std::string what) {
    report_.add(graph_.value(node_.output).name, std::move(what));
  }

  const Graph& graph_;
  const Node& node_;
  Report& report_;
};

void check_tables(const Graph& graph, const Node& node, Report& report) {
  TableRules rules(graph, node, report);
  if (const auto* conv = std::get_if<op::QConv2d>(&node.op)) {
    rules.weights(conv->weight_bits);
    rules.requantisers(3, 4);
  } else if (const auto* transposed = std::get_if<op::QConvTranspose2d>(&node.op)) {
    rules.weights(transposed->weight_bits);
    rules.requantisers(3, 4);
  } else if (std::holds_alternative<op::QAvgPool2d>(node.op) && node.inputs.size() == 4) {
    rules.requantisers(1, 2);
    rules.all_in(3, 0, rules.extent(1, 0) - 1, "divisor choice");
  } else if (std::holds_alternative<op::QResize>(node.op) && node.inputs.size() == 5) {
    rules.resize_axis(1, rules.extent(0, 1));
    rules.resize_axis(3, rules.extent(0, 2));
  } else if (std::holds_alternative<op::QSoftmax>(node.op)) {
    rules.all_in(1, 0, std::int64_t{1} << 23, "table entry");  // N12: Q23 of exp(<= 0)
  } else if (const auto* pad = std::get_if<op::Pad>(&node.op)) {
    const Range codes = codes_of(graph.value(node.output));
    // Compared as doubles: the value may be anything, NaN too.
    if (!(pad->value >= static_cast<double>(codes.lo) &&
          pad->value <= static_cast<double>(codes.hi) &&
          pad->value == std::nearbyint(pad->value))) {
      report.add(graph.value(node.output).name,
                 fmt::format("pads with {}, which is no code", pad->value));
    }
  }
}

}  // namespace

void check_integer(const Graph& graph, Report& report) {
  for (const Value& value : graph.values()) {
    if (value.dtype == DType::F32 || value.dtype == DType::F64) {
      report.add(value.name, "floating point at the integer level");
    } else if (value.encoding) {
      const DType storage = storage_dtype(std::get<Affine>(*value.encoding));
      if (storage != value.dtype) {
        report.add(value.name, fmt::format("encoding is stored as {}, the value is {}",
                                           dtype_name(storage), dtype_name(value.dtype)));
      }
    }
  }
  for (const Node& node : graph.nodes()) {
    const std::string& name = graph.value(node.output).name;
    if (!is_integer_op(node.op) && !moves_codes(node.op)) {
      report.add(name,
                 fmt::format("{} has no place at the integer level", op_name(node.op)));
      continue;
    }
    const std::size_t parameters = second_operand_flows(node.op) ? node.inputs.size() : 1;
    for (std::size_t i = parameters; i < node.inputs.size(); ++i) {
      if (graph.is_constant(node.inputs[i])) continue;
      report.add(
          name, fmt::format("'{}' must be a constant", graph.value(node.inputs[i]).name));
    }
    if (is_integer_op(node.op)) {
      AttributeRules rules(graph, node, report);
      std::visit([&](auto o) { o.describe(rules); }, node.op);
    }
    check_tables(graph, node, report);
  }
}

}  // namespace qopt::verify_rules
