// SPDX-License-Identifier: MIT
// The inner loops of fake quantisation with estimators: one pass forward, one backward,
// over rows of numbers. Plain arrays in and out; knows no LibTorch.
#pragma once

#include <cstdint>
#include <span>

#include "lib/qat/estimators.h"

namespace qopt::qat {

/// The levels of one row: numbers are step * (code - zero), codes in [lo, hi], every
/// `stride`-th one (2 for odd levels, whose codes are lo, lo + 2, ...).
struct Levels {
  float lo = 0, hi = 0, zero = 0, stride = 1;
};

/// What backward needs of a number, in one byte instead of the number itself, so that
/// training keeps little: the rounding error q - v in 252nds of a stride, or that the
/// number lay outside the levels. The resolution costs the step's gradient at most 1/504
/// of a stride an element.
constexpr float kStateScale = 252.0F;
constexpr std::int8_t kBelow = -127, kAbove = 127;

/// y = decode(encode(x)) as lib/graph/encoding.h has it, to the bit. `state` may be null;
/// NaN counts as above the levels there.
void quantize_row(std::span<const float> x, float step, const Levels& levels, float* y,
                  std::int8_t* state);

/// As quantize_row with uniform noise u in [-1/2, 1/2) strides in place of rounding:
/// y = step * (clamp(x / step + u, levels)).
void add_noise_row(std::span<const float> x, std::span<const float> u, float step,
                   const Levels& levels, float* y, std::int8_t* state);

/// Sums over one row of gradients g, from which every step gradient follows.
struct RowSums {
  double below = 0, above = 0;  // sum of g outside the levels
  double inside = 0;            // sum of g inside
  double rounding = 0;          // sum of g * (q - v) inside, in codes
  double code = 0;              // sum of g * (q - zero), where `y` is given
};

/// gx = g times the estimator's factor; sums in a fixed order. `y` (the forward's
/// result) is read for `code` only and may be null. `delta` is EWGS's.
RowSums backward_row(std::span<const float> g, const std::int8_t* state, const float* y,
                     float step, const Levels& levels, const Estimator& estimator,
                     float delta, float* gx);

/// The derivative of the loss by the step.
double step_gradient(const RowSums& sums, const Levels& levels, StepGradient kind);

}  // namespace qopt::qat
