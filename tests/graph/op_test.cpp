// SPDX-License-Identifier: MIT
#include "lib/graph/op.h"

#include <cmath>
#include <set>

#include "tests/support/catch.h"

namespace qopt {
namespace {

template <std::size_t... I>
std::vector<Op> all_ops(std::index_sequence<I...>) {
  return {Op(std::variant_alternative_t<I, Op>{})...};
}

TEST_CASE("every operator has a name of its own that finds it") {
  std::set<std::string_view> names;
  for (const Op& op : all_ops(std::make_index_sequence<std::variant_size_v<Op>>{})) {
    CHECK(names.insert(op_name(op)).second);
    REQUIRE(default_op(op_name(op)));
    CHECK(*default_op(op_name(op)) == op);
  }
  CHECK_FALSE(default_op("conv3d"));
  CHECK_FALSE(is_integer_op(op::PixelShuffle{}));
  CHECK(is_integer_op(op::QConv2d{}));
  CHECK(is_integer_op(op::QGather{}));
}

TEST_CASE("every kind has a name that finds it") {
  for (int i = 0; i <= static_cast<int>(UnaryKind::InterpolatedSilu); ++i) {
    const auto kind = static_cast<UnaryKind>(i);
    CHECK(parse_unary(unary_name(kind)) == kind);
  }
  for (auto kind : {BinaryKind::Add, BinaryKind::Sub, BinaryKind::Mul, BinaryKind::Div}) {
    CHECK(parse_binary(binary_name(kind)) == kind);
  }
  for (auto kind : {ReduceKind::Mean, ReduceKind::Sum, ReduceKind::L2Norm}) {
    CHECK(parse_reduce(reduce_name(kind)) == kind);
  }
  for (auto mode : {ResizeMode::Nearest, ResizeMode::Bilinear}) {
    CHECK(parse_resize(resize_name(mode)) == mode);
  }
  CHECK_FALSE(parse_unary("relu7"));
}

TEST_CASE("unary functions are LibTorch's") {
  struct Row {
    op::Unary unary;
    double x, y;
  };
  // Closed forms, to 15 digits.
  const Row rows[] = {
      {{UnaryKind::LeakyRelu, 0.01}, -2.0, -0.02},
      {{UnaryKind::LeakyRelu, 0.01}, 3.0, 3.0},
      {{UnaryKind::HardSwish}, 1.0, 4.0 / 6.0},
      {{UnaryKind::HardSwish}, -3.5, 0.0},
      {{UnaryKind::HardSwish}, 5.0, 5.0},
      {{UnaryKind::HardSigmoid}, 1.0, 4.0 / 6.0},
      {{UnaryKind::HardSigmoid}, 4.0, 1.0},
      {{UnaryKind::Sigmoid}, 1.0, 0.731058578630005},
      {{UnaryKind::Sigmoid}, -1000.0, 0.0},
      {{UnaryKind::Tanh}, 0.5, 0.462117157260010},
      {{UnaryKind::Silu}, 1.0, 0.731058578630005},
      {{UnaryKind::Silu}, -1000.0, 0.0},
      {{UnaryKind::Gelu}, 1.0, 0.841344746068543},
      {{UnaryKind::Gelu}, -1.0, -0.158655253931457},
      {{UnaryKind::GeluTanh}, 1.0, 0.841191990608277},
      {{UnaryKind::Elu, 1.0, 1.0, 1.0}, -1.0, -0.632120558828558},
      {{UnaryKind::Elu, 2.0, 3.0, 0.5}, -2.0, -3.79272335297135},
      {{UnaryKind::Elu, 2.0, 3.0, 0.5}, 2.0, 6.0},
      {{UnaryKind::Softplus, 1.0, 20.0}, 1.0, 1.313261687518223},
      {{UnaryKind::Softplus, 2.0, 20.0}, 0.5, 0.656630843759111},
      {{UnaryKind::Softplus, 2.0, 20.0}, 11.0, 11.0},
      {{UnaryKind::Mish}, 1.0, 0.865098388267310},
      {{UnaryKind::Mish}, 1000.0, 1000.0},
      {{UnaryKind::Exp}, 1.0, 2.718281828459045},
      {{UnaryKind::Log}, 2.0, 0.693147180559945},
      {{UnaryKind::Sqrt}, 2.0, 1.414213562373095},
      {{UnaryKind::Rsqrt}, 4.0, 0.5},
      {{UnaryKind::Abs}, -2.5, 2.5},
      {{UnaryKind::Neg}, -2.5, 2.5},
      {{UnaryKind::Reciprocal}, -4.0, -0.25},
      {{UnaryKind::Square}, -3.0, 9.0},
      // factor 0 is leaky relu, factor 1 gelu and silu, between them the mean
      {{UnaryKind::InterpolatedGelu, 0.0, 1.0, 0.01}, -2.0, -0.02},
      {{UnaryKind::InterpolatedGelu, 1.0, 1.0, 0.01}, 1.0, 0.841344746068543},
      {{UnaryKind::InterpolatedGelu, 0.5, 2.0, 0.1}, -0.5, -0.0646638134828643},
      {{UnaryKind::InterpolatedGelu, 0.5, 2.0, 0.1}, 0.5, 0.460336186517136},
      {{UnaryKind::InterpolatedGelu, 1.0, 1e6, 0.0}, -1.0, 0.0},
      {{UnaryKind::InterpolatedSilu, 1.0, 1.0, 0.0}, 1.0, 0.731058578630005},
      {{UnaryKind::InterpolatedSilu, 0.25, 2.0, 0.0}, -0.5, -0.0336176776712494},
  };
  for (const Row& row : rows) {
    INFO(unary_name(row.unary.kind) << " of " << row.x);
    CHECK(std::fabs(apply_unary(row.unary, row.x) - row.y) <=
          1e-14 * (1 + std::fabs(row.y)));
  }
}

}  // namespace
}  // namespace qopt
