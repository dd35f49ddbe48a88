// SPDX-License-Identifier: MIT
// Lowering of pointwise operators: clamps, tables of one variable, and broadcast
// arithmetic.
#include <algorithm>
#include <cmath>
#include <functional>

#include "lib/fixedpoint/lower_context.h"
#include "runtime/include/qrt/arith.h"

namespace qopt {
namespace {

std::int64_t type_min(DType dtype) { return dtype == DType::I8 ? -128 : -32768; }
std::int64_t type_size(DType dtype) { return dtype == DType::I8 ? 256 : 65536; }

/// y codes of f at every code that x's type can hold. Codes that x's encoding lacks
/// repeat the nearest one it has, so that a table never holds more than the model can
/// give.
std::vector<std::int64_t> table_row(const Quant& x, const Target& y,
                                    const std::function<double(double)>& f) {
  std::vector<std::int64_t> row;
  for (std::int64_t i = 0; i < type_size(x.dtype); ++i) {
    const std::int64_t code = std::clamp(type_min(x.dtype) + i, x.lo, x.hi);
    // One float32 product, as dequantisation has it (N17).
    const float real = static_cast<float>(x.scale) * static_cast<float>(code - x.zero);
    const double result = f(static_cast<double>(real)) / y.scale;
    const double code_y = std::isnan(result)
                              ? static_cast<double>(y.zero)
                              : round_half_even(result) + static_cast<double>(y.zero);
    row.push_back(static_cast<std::int64_t>(
        std::clamp(code_y, static_cast<double>(y.lo), static_cast<double>(y.hi))));
  }
  return row;
}

Tensor table_of(const std::vector<std::int64_t>& entries, DType dtype,
                const Shape& shape) {
  if (dtype == DType::I8) {
    return Tensor::from(std::vector<std::int8_t>(entries.begin(), entries.end()), shape);
  }
  return Tensor::from(std::vector<std::int16_t>(entries.begin(), entries.end()), shape);
}

void put_table(Lowering& to, const Node& node, const std::function<double(double)>& f) {
  const ValueId x = node.inputs.at(0);
  const Quant qx = to.quant(x);
  const Target y = to.target(node);
  const std::vector<std::int64_t> row = table_row(qx, y, f);
  const ValueId table =
      to.constant(node, "table", table_of(row, y.dtype, {type_size(qx.dtype)}));
  to.put(node, y.value, op::Lut{}, {to.get(x), table}, to.layout(x));
}

/// Per-channel slopes on 16-bit codes, where a table for each channel would be too large:
/// max(x, 0) + slope * min(x, 0), the slopes as 16-bit codes.
void put_wide_prelu(Lowering& to, const Node& node, const Tensor& slopes) {
  const ValueId x = node.inputs.at(0);
  const Layout layout = with_axis_last(to.layout(x), 1);
  const Quant qx = to.quant(x);
  const Target y = to.target(node);
  const ValueId source = to.get(x, layout);
  const Encoding x_encoding = *to.graph().value(source).encoding;
  const Encoding y_encoding = *to.source().value(y.value).encoding;
  constexpr std::int32_t kIdentity = 1 << 30;  // times 2^(1 - 31): one
  const ValueId positive = to.helper(
      node, "positive", op::Rescale{qx.zero, kIdentity, 1, qx.zero, qx.zero, qx.hi},
      {source}, x_encoding);
  const ValueId negative = to.helper(
      node, "negative", op::Rescale{qx.zero, kIdentity, 1, qx.zero, qx.lo, qx.zero},
      {source}, x_encoding);
  float most = 0.0F;
  for (float slope : slopes.values<float>()) most = std::max(most, std::fabs(slope));
  const Affine slope_encoding{
      LevelSet::N, 16, {most > 0.0F ? most / 32767.0F : 1.0F}, {0}, {}};
  Shape slope_shape(to.rank(x), 1);
  slope_shape.back() = slopes.size();
  const ValueId slope = to.constant(
      to.source().value(node.inputs.at(1)).name,
      encode_tensor(slopes, slope_encoding).reshaped(slope_shape), slope_encoding);
  const Quant qs = quant_of(slope_encoding);
  const Multiplier m = to_multiplier(qx.scale * qs.scale / y.scale);
  const Quant whole = quant_of(affine_of(y_encoding));
  const ValueId scaled = to.helper(
      node, "scaled",
      op::QMul{qx.zero, 0, m.multiplier, m.shift, whole.zero, whole.lo, whole.hi},
      {negative, slope}, y_encoding);
  const AddMultipliers add = to_add_multipliers(
      qx.scale / y.scale, 1.0, Interval{0, qx.hi - qx.zero}, whole.centred());
  to.put(node, y.value,
         op::QAdd{qx.zero, whole.zero, add.a, add.b, add.shift, y.zero, y.lo, y.hi},
         {positive, scaled}, layout);
}

/// The real value of a one-element constant.
std::optional<double> scalar_of(const Lowering& to, ValueId id) {
  if (!to.is_constant(id) || num_elements(to.shape(id)) != 1) return std::nullopt;
  return static_cast<double>(to.real_constant(id).values<float>()[0]);
}

/// x * factor for a factor >= 0: one requantisation, in x's layout.
void put_scaled(Lowering& to, const Node& node, ValueId x, double factor) {
  const Quant qx = to.quant(x);
  const Target y = to.target(node);
  const Layout layout = with_leading_axes(to.layout(x), to.rank(y.value));
  const Multiplier m = to_multiplier(qx.scale * factor / y.scale);
  to.put(node, y.value, op::Rescale{qx.zero, m.multiplier, m.shift, y.zero, y.lo, y.hi},
         {to.get_expanded(x, layout)}, layout);
}

/// The layout of a broadcast result: that of the operand which is dearer to move.
Layout common_layout(const Lowering& to, ValueId a, ValueId b, std::size_t rank) {
  const auto expanded = [&](ValueId id) {
    return with_leading_axes(to.layout(id), rank);
  };
  if (to.is_constant(a)) return expanded(b);
  if (to.is_constant(b)) return expanded(a);
  const auto cost = [&](ValueId id, const Layout& wanted) {
    const Layout own = without_leading_axes(wanted, to.rank(id));
    return same_bytes(to.shape(id), to.layout(id), own) ? 0 : num_elements(to.shape(id));
  };
  const Layout of_a = expanded(a), of_b = expanded(b);
  return cost(b, of_a) <= cost(a, of_b) ? of_a : of_b;
}

Op binary_op(BinaryKind kind, const Quant& a, const Quant& b, const Target& y) {
  switch (kind) {
    case BinaryKind::Add:
    case BinaryKind::Sub: {
      const double sign = kind == BinaryKind::Add ? 1.0 : -1.0;
      const AddMultipliers m = to_add_multipliers(
          a.scale / y.scale, sign * b.scale / y.scale, a.centred(), b.centred());
      return op::QAdd{a.zero, b.zero, m.a, m.b, m.shift, y.zero, y.lo, y.hi};
    }
    case BinaryKind::Mul: {
      const Multiplier m = to_multiplier(a.scale * b.scale / y.scale);
      return op::QMul{a.zero, b.zero, m.multiplier, m.shift, y.zero, y.lo, y.hi};
    }
    case BinaryKind::Div: {
      const bool bytes = a.dtype == DType::I8 && b.dtype == DType::I8;
      const int fraction = bytes ? QRT_DIV_FRACTION8 : QRT_DIV_FRACTION16;
      const Multiplier m =
          to_multiplier(std::ldexp(a.scale / b.scale / y.scale, -fraction));
      return op::QDiv{a.zero, b.zero, m.multiplier, m.shift, y.zero, y.lo, y.hi};
    }
  }
  throw InternalError("unknown binary kind");
}

}  // namespace

void lower_node(Lowering& to, const Node& node, const op::Clamp& o) {
  if (to.has(node.output)) return;  // its producer has clamped already
  const ValueId x = node.inputs.at(0);
  const Quant qx = to.quant(x);
  Target y = to.target(node);
  const Affine& affine = to.encoding(node.output);
  const auto code = [&](double bound) {
    return static_cast<std::int64_t>(encode(static_cast<float>(bound), affine)) -
           storage_offset(affine);
  };
  y.lo = std::max(y.lo, code(o.lo));
  y.hi = std::min(y.hi, code(o.hi));
  to.put(node, y.value, rescale(qx, y), {to.get(x)}, to.layout(x));
}

void lower_node(Lowering& to, const Node& node, const op::Unary& o) {
  put_table(to, node, [&](double x) { return apply_unary(o, x); });
}

void lower_node(Lowering& to, const Node& node, const op::PRelu&) {
  const ValueId x = node.inputs.at(0);
  const Tensor slopes = to.real_constant(node.inputs.at(1));
  const auto prelu = [](double slope) {
    return [slope](double v) { return v > 0.0 ? v : slope * v; };
  };
  if (slopes.size() == 1) {
    return put_table(to, node, prelu(static_cast<double>(slopes.values<float>()[0])));
  }
  const Quant qx = to.quant(x);
  if (qx.dtype != DType::I8) return put_wide_prelu(to, node, slopes);
  const Target y = to.target(node);
  std::vector<std::int64_t> entries;
  for (float slope : slopes.values<float>()) {
    const std::vector<std::int64_t> row =
        table_row(qx, y, prelu(static_cast<double>(slope)));
    entries.insert(entries.end(), row.begin(), row.end());
  }
  const ValueId table =
      to.constant(node, "table", table_of(entries, y.dtype, {slopes.size(), 256}));
  const Layout layout = with_axis_last(to.layout(x), 1);
  to.put(node, y.value, op::Lut{}, {to.get(x, layout), table}, layout);
}

void lower_node(Lowering& to, const Node& node, const op::Binary& o) {
  const ValueId a = node.inputs.at(0), b = node.inputs.at(1);
  if (const std::optional<double> factor = scalar_of(to, b);
      factor && !to.is_constant(a)) {
    if (o.kind == BinaryKind::Mul && *factor >= 0.0)
      return put_scaled(to, node, a, *factor);
    if (o.kind == BinaryKind::Div && *factor > 0.0) {
      return put_scaled(to, node, a, 1.0 / *factor);
    }
  }
  if (const std::optional<double> factor = scalar_of(to, a);
      factor && !to.is_constant(b)) {
    if (o.kind == BinaryKind::Mul && *factor >= 0.0)
      return put_scaled(to, node, b, *factor);
  }
  const Quant qa = to.quant(a), qb = to.quant(b);
  const Target y = to.target(node);
  const Layout layout = common_layout(to, a, b, to.rank(y.value));
  const std::vector<ValueId> inputs{to.get_expanded(a, layout),
                                    to.get_expanded(b, layout)};
  to.put(node, y.value, binary_op(o.kind, qa, qb, y), inputs, layout);
}

}  // namespace qopt
