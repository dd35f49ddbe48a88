// SPDX-License-Identifier: MIT
// Names of operators and of their kinds, and the real functions of Unary nodes.
#include "lib/graph/op.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "lib/core/error.h"

namespace qopt {
namespace {

template <class Kind>
struct KindRow {
  Kind kind;
  std::string_view name;
};

constexpr KindRow<UnaryKind> kUnary[] = {
    {UnaryKind::LeakyRelu, "leaky_relu"},
    {UnaryKind::HardSwish, "hardswish"},
    {UnaryKind::HardSigmoid, "hardsigmoid"},
    {UnaryKind::Sigmoid, "sigmoid"},
    {UnaryKind::Tanh, "tanh"},
    {UnaryKind::Silu, "silu"},
    {UnaryKind::Gelu, "gelu"},
    {UnaryKind::GeluTanh, "gelu_tanh"},
    {UnaryKind::Elu, "elu"},
    {UnaryKind::Softplus, "softplus"},
    {UnaryKind::Mish, "mish"},
    {UnaryKind::Exp, "exp"},
    {UnaryKind::Log, "log"},
    {UnaryKind::Sqrt, "sqrt"},
    {UnaryKind::Rsqrt, "rsqrt"},
    {UnaryKind::Abs, "abs"},
    {UnaryKind::Neg, "neg"},
    {UnaryKind::Reciprocal, "reciprocal"},
    {UnaryKind::Square, "square"},
    {UnaryKind::InterpolatedGelu, "interpolated_gelu"},
    {UnaryKind::InterpolatedSilu, "interpolated_silu"},
};
constexpr KindRow<BinaryKind> kBinary[] = {
    {BinaryKind::Add, "add"},
    {BinaryKind::Sub, "sub"},
    {BinaryKind::Mul, "mul"},
    {BinaryKind::Div, "div"},
};
constexpr KindRow<ReduceKind> kReduce[] = {{ReduceKind::Mean, "mean"},
                                           {ReduceKind::Sum, "sum"},
                                           {ReduceKind::L2Norm, "l2_norm"}};
constexpr KindRow<ResizeMode> kResize[] = {{ResizeMode::Nearest, "nearest"},
                                           {ResizeMode::Bilinear, "bilinear"}};

template <class Kind, std::size_t N>
std::string_view name_in(const KindRow<Kind> (&rows)[N], Kind kind) {
  for (const KindRow<Kind>& row : rows) {
    if (row.kind == kind) return row.name;
  }
  throw InternalError("kind without a name");
}

template <class Kind, std::size_t N>
std::optional<Kind> kind_in(const KindRow<Kind> (&rows)[N], std::string_view name) {
  for (const KindRow<Kind>& row : rows) {
    if (row.name == name) return row.kind;
  }
  return std::nullopt;
}

template <std::size_t... I>
std::optional<Op> find_op(std::string_view name, std::index_sequence<I...>) {
  std::optional<Op> found;
  (void)((std::variant_alternative_t<I, Op>::kName == name
              ? (found = std::variant_alternative_t<I, Op>{}, true)
              : false) ||
         ...);
  return found;
}

/// min(max(x + 3, 0), 6)
double relu6_plus3(double x) { return std::min(std::max(x + 3.0, 0.0), 6.0); }

double leaky(double x, double slope) { return x > 0.0 ? x : x * slope; }
double logistic(double x) { return 1.0 / (1.0 + std::exp(-x)); }

}  // namespace

std::string_view op_name(const Op& op) {
  return std::visit([](const auto& o) { return o.kName; }, op);
}

std::optional<Op> default_op(std::string_view name) {
  return find_op(name, std::make_index_sequence<std::variant_size_v<Op>>{});
}

bool is_integer_op(const Op& op) { return op.index() >= Op(op::QConv2d{}).index(); }

std::string_view unary_name(UnaryKind kind) { return name_in(kUnary, kind); }
std::string_view binary_name(BinaryKind kind) { return name_in(kBinary, kind); }
std::string_view reduce_name(ReduceKind kind) { return name_in(kReduce, kind); }
std::string_view resize_name(ResizeMode mode) { return name_in(kResize, mode); }

std::optional<UnaryKind> parse_unary(std::string_view name) {
  return kind_in(kUnary, name);
}
std::optional<BinaryKind> parse_binary(std::string_view name) {
  return kind_in(kBinary, name);
}
std::optional<ReduceKind> parse_reduce(std::string_view name) {
  return kind_in(kReduce, name);
}
std::optional<ResizeMode> parse_resize(std::string_view name) {
  return kind_in(kResize, name);
}

double apply_unary(const op::Unary& unary, double x) {
  constexpr double kSqrtHalf = 0.70710678118654752440;
  constexpr double kSqrt2OverPi = 0.79788456080286535588;
  switch (unary.kind) {
    case UnaryKind::LeakyRelu: return leaky(x, unary.a);
    case UnaryKind::HardSwish: return x * relu6_plus3(x) / 6.0;
    case UnaryKind::HardSigmoid: return relu6_plus3(x) / 6.0;
    case UnaryKind::Sigmoid: return logistic(x);
    case UnaryKind::Tanh: return std::tanh(x);
    case UnaryKind::Silu: return x / (1.0 + std::exp(-x));
    case UnaryKind::Gelu: return 0.5 * x * (1.0 + std::erf(x * kSqrtHalf));
    case UnaryKind::GeluTanh:
      return 0.5 * x * (1.0 + std::tanh(kSqrt2OverPi * (x + 0.044715 * x * x * x)));
    case UnaryKind::Elu:
      return x <= 0.0 ? std::expm1(x * unary.c) * unary.a * unary.b : x * unary.b;
    case UnaryKind::Softplus:
      return x * unary.a > unary.b ? x : std::log1p(std::exp(x * unary.a)) / unary.a;
    case UnaryKind::Mish: return x * std::tanh(std::log1p(std::exp(x)));
    case UnaryKind::Exp: return std::exp(x);
    case UnaryKind::Log: return std::log(x);
    case UnaryKind::Sqrt: return std::sqrt(x);
    case UnaryKind::Rsqrt: return 1.0 / std::sqrt(x);
    case UnaryKind::Abs: return std::fabs(x);
    case UnaryKind::Neg: return -x;
    case UnaryKind::Reciprocal: return 1.0 / x;
    case UnaryKind::Square: return x * x;
    case UnaryKind::InterpolatedGelu:
      return std::lerp(leaky(x, unary.c),
                       0.5 * x * (1.0 + std::erf(unary.b * x * kSqrtHalf)), unary.a);
    case UnaryKind::InterpolatedSilu:
      return std::lerp(leaky(x, unary.c), x * logistic(unary.b * x), unary.a);
  }
  throw InternalError("unknown unary kind");
}

}  // namespace qopt
