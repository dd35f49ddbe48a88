// SPDX-License-Identifier: MIT
// Converters of pointwise functions of one variable, and of softmax.
#include <ATen/ATen.h>

#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "lib/frontend/table.h"

namespace qopt::frontend {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

ValueId self_or_input(Call& call) {
  return call.real_value(call.has("self") ? "self" : "input");
}

constexpr std::pair<std::string_view, UnaryKind> kPlainUnary[] = {
    {"hardswish", UnaryKind::HardSwish},
    {"hardsigmoid", UnaryKind::HardSigmoid},
    {"sigmoid", UnaryKind::Sigmoid},
    {"tanh", UnaryKind::Tanh},
    {"silu", UnaryKind::Silu},
    {"mish", UnaryKind::Mish},
    {"exp", UnaryKind::Exp},
    {"log", UnaryKind::Log},
    {"sqrt", UnaryKind::Sqrt},
    {"rsqrt", UnaryKind::Rsqrt},
    {"abs", UnaryKind::Abs},
    {"neg", UnaryKind::Neg},
    {"reciprocal", UnaryKind::Reciprocal},
    {"square", UnaryKind::Square},
};

op::Unary unary_of(const Call& call) {
  const std::string op = call.op();
  if (op == "leaky_relu")
    return {UnaryKind::LeakyRelu, call.real("negative_slope"), 0, 0};
  if (op == "elu") {
    return {UnaryKind::Elu, call.real("alpha"), call.real("scale"),
            call.real("input_scale")};
  }
  if (op == "celu")
    return {UnaryKind::Elu, call.real("alpha"), 1.0, 1.0 / call.real("alpha")};
  // Klambauer et al., Self-Normalizing Neural Networks, 2017, as torch.selu has the
  // constants.
  if (op == "selu") return {UnaryKind::Elu, 1.6732632423543772, 1.0507009873554805, 1.0};
  if (op == "softplus")
    return {UnaryKind::Softplus, call.real("beta"), call.real("threshold"), 0};
  if (op == "gelu") {
    const bool is_tanh =
        call.has("approximate") && call.arg("approximate").toStringRef() == "tanh";
    return {is_tanh ? UnaryKind::GeluTanh : UnaryKind::Gelu, 0, 0, 0};
  }
  for (const auto& [name, kind] : kPlainUnary) {
    if (name == op) return {kind, 0, 0, 0};
  }
  throw InternalError("no pointwise function for " + op);
}

}  // namespace

void convert_clamp(Call& call) {
  const std::string op = call.op();
  op::Clamp clamp{-kInf, kInf};
  if (op == "relu") {
    clamp = {0.0, kInf};
  } else if (op == "relu6") {
    clamp = {0.0, 6.0};
  } else if (op == "hardtanh") {
    clamp = {call.real("min_val"), call.real("max_val")};
  } else {
    clamp = {call.real_or("min", -kInf), call.real_or("max", kInf)};
  }
  if (std::isnan(clamp.lo) || std::isnan(clamp.hi))
    throw Unsupported{"a bound that is NaN"};
  // LibTorch lets the upper bound win.
  clamp.lo = std::min(clamp.lo, clamp.hi);
  call.returns(call.emit(clamp, {self_or_input(call)}));
}

void convert_threshold(Call& call) {
  if (call.real("threshold") != call.real("value")) {
    throw Unsupported{"a threshold that differs from the replacing value"};
  }
  call.returns(call.emit(op::Clamp{call.real("threshold"), kInf}, {self_or_input(call)}));
}

void convert_unary(Call& call) {
  call.returns(call.emit(unary_of(call), {self_or_input(call)}));
}

void convert_prelu(Call& call) {
  if (!call.is_constant("weight")) throw Unsupported{"slopes computed from the inputs"};
  const at::Tensor weight = call.tensor("weight");
  const ValueId slope =
      weight.dim() == 1 ? call.value("weight")
                        : call.changed_constant(weight, weight.reshape({-1}), "weight");
  call.returns(call.emit(op::PRelu{}, {self_or_input(call), slope}));
}

void convert_pow(Call& call) {
  const double exponent = call.real("exponent");
  const ValueId x = self_or_input(call);
  const auto unary = [&](UnaryKind kind, std::string_view suffix = {}) {
    return call.emit(op::Unary{kind, 0, 0, 0}, {x}, suffix);
  };
  if (exponent == 1.0) return call.returns(x);
  if (exponent == 2.0) return call.returns(unary(UnaryKind::Square));
  if (exponent == 0.5) return call.returns(unary(UnaryKind::Sqrt));
  if (exponent == -0.5) return call.returns(unary(UnaryKind::Rsqrt));
  if (exponent == -1.0) return call.returns(unary(UnaryKind::Reciprocal));
  if (exponent == 3.0) {
    const ValueId square = unary(UnaryKind::Square, "square");
    return call.returns(call.emit(op::Binary{BinaryKind::Mul}, {square, x}));
  }
  throw Unsupported{fmt::format("exponent {}", exponent)};
}

void convert_softmax(Call& call) {
  const ValueId x = self_or_input(call);
  call.returns(call.emit(op::Softmax{call.axis(call.integer("dim"), call.rank(x))}, {x}));
}

void convert_log_softmax(Call& call) {
  const ValueId x = self_or_input(call);
  const ValueId p = call.emit(op::Softmax{call.axis(call.integer("dim"), call.rank(x))},
                              {x}, "softmax");
  call.returns(call.emit(op::Unary{UnaryKind::Log, 0, 0, 0}, {p}));
}

}  // namespace qopt::frontend
