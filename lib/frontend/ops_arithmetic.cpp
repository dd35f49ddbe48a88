// SPDX-License-Identifier: MIT
// Converters of arithmetic between tensors and of reductions.
#include <ATen/ATen.h>

#include <numeric>

#include "lib/frontend/table.h"

namespace qopt::frontend {
namespace {

std::string_view left_name(const Call& call) {
  return call.has("self") ? "self" : "input";
}

/// factor * argument; constants are multiplied here and now.
ValueId scaled(Call& call, std::string_view argument, double factor,
               bool allow_infinity) {
  if (factor == 1.0) return call.real_value(argument, allow_infinity);
  if (call.arg(argument).isScalar())
    return call.constant(factor * call.real(argument), argument);
  if (call.is_constant(argument)) {
    const at::Tensor t = call.tensor(argument);
    return call.changed_constant(t, t.to(at::kFloat) * factor, argument);
  }
  return call.emit(op::Binary{BinaryKind::Mul},
                   {call.real_value(argument), call.constant(factor, "alpha")},
                   std::string(argument) + "_scaled");
}

void emit_binary(Call& call, BinaryKind kind, ValueId a, ValueId b) {
  const ValueId y = call.emit(op::Binary{kind}, {a, b});
  call.returns(y);
}

Ints all_axes(std::int64_t rank) {
  Ints axes(static_cast<std::size_t>(rank));
  std::iota(axes.begin(), axes.end(), 0);
  return axes;
}

/// The `dim` argument sorted and counted from the front; absent or empty means all axes.
Ints reduced_axes(const Call& call, std::int64_t rank) {
  if (!call.has("dim")) return all_axes(rank);
  Ints axes = call.ints("dim");
  if (axes.empty()) return all_axes(rank);
  for (std::int64_t& axis : axes) axis = call.axis(axis, rank);
  std::ranges::sort(axes);
  return axes;
}

}  // namespace

void convert_add(Call& call) {
  const ValueId a = call.real_value(left_name(call), true);
  emit_binary(call, BinaryKind::Add, a,
              scaled(call, "other", call.real_or("alpha", 1.0), true));
}

void convert_sub(Call& call) {
  const ValueId a = call.real_value(left_name(call));
  emit_binary(call, BinaryKind::Sub, a,
              scaled(call, "other", call.real_or("alpha", 1.0), false));
}

void convert_rsub(Call& call) {
  const ValueId a = call.real_value("other");
  emit_binary(call, BinaryKind::Sub, a,
              scaled(call, "self", call.real_or("alpha", 1.0), false));
}

void convert_mul(Call& call) {
  const ValueId a = call.real_value(left_name(call));
  emit_binary(call, BinaryKind::Mul, a, call.real_value("other"));
}

void convert_div(Call& call) {
  if (call.has("rounding_mode")) throw Unsupported{"a rounding mode"};
  const ValueId a = call.real_value(left_name(call));
  emit_binary(call, BinaryKind::Div, a, call.real_value("other"));
}

void convert_reduce(Call& call) {
  const ValueId x = call.real_value(left_name(call));
  const ReduceKind kind = call.op() == "sum" ? ReduceKind::Sum : ReduceKind::Mean;
  call.returns(call.emit(op::Reduce{kind, reduced_axes(call, call.rank(x)),
                                    call.boolean_or("keepdim", false)},
                         {x}));
}

void convert_norm(Call& call) {
  const std::string order = call.has("p") ? "p" : "ord";
  const bool two = !call.has(order) ||
                   (call.arg(order).isScalar() && call.real(order) == 2.0) ||
                   (call.arg(order).isString() && call.arg(order).toStringRef() == "fro");
  if (!two) throw Unsupported{"a norm other than the 2-norm"};
  const ValueId x = call.real_value(left_name(call));
  call.returns(call.emit(op::Reduce{ReduceKind::L2Norm, reduced_axes(call, call.rank(x)),
                                    call.boolean_or("keepdim", false)},
                         {x}));
}

}  // namespace qopt::frontend
