// SPDX-License-Identifier: MIT
// Loops that the compiler turns into vectors. Sums run in sixteen fixed lanes within
// blocks, so that their order is the same for every vector width.
#include "lib/qat/quantize_kernels.h"

#include <algorithm>
#include <cmath>

#include "lib/core/error.h"

// Rounding vectorises only where the instructions exist; the choice is made at load time.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__)
#define QOPT_VECTORISED \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define QOPT_VECTORISED
#endif

namespace qopt::qat {
namespace {

constexpr std::size_t kLanes = 16, kBlock = 4096;

/// Everything a loop needs, by value: references would hide from the compiler that stores
/// do not change it. Codes count from the zero point, so that [least, most] are exact.
struct Grid {
  float step, least, most, stride, inverse_stride;
};

Grid grid_of(float step, const Levels& l) {
  return {step, l.lo - l.zero, l.hi - l.zero, l.stride, 1.0F / l.stride};
}

template <bool kOdd>
[[gnu::always_inline]] inline void quantize(const float* x, std::size_t n, Grid grid,
                                            float* y, std::int8_t* state) {
  for (std::size_t i = 0; i < n; ++i) {
    const float v = x[i] / grid.step;
    // As encode() rounds. Adding zero takes the sign from a negative zero, as a code
    // does.
    const float near =
        kOdd ? 2.0F * std::floor(v * 0.5F) + 1.0F : std::nearbyint(v) + 0.0F;
    const float code = std::min(std::max(near, grid.least), grid.most);
    // NaN fails the comparison and means what 0 means.
    y[i] = v == v ? code * grid.step : (kOdd ? grid.step : 0.0F);
    if (state != nullptr) {
      const float error = (near - v) * grid.inverse_stride * kStateScale;
      const float kept = std::min(std::max(std::nearbyint(error), -126.0F), 126.0F);
      const float outside = v < grid.least ? float{kBelow} : float{kAbove};
      const bool inside = v >= grid.least && v <= grid.most;
      state[i] = static_cast<std::int8_t>(static_cast<int>(inside ? kept : outside));
    }
  }
}

// A template cannot be cloned for several processors, so each use is a function.
QOPT_VECTORISED void quantize_even(const float* x, std::size_t n, Grid grid, float* y,
                                   std::int8_t* state) {
  quantize<false>(x, n, grid, y, state);
}
QOPT_VECTORISED void quantize_odd(const float* x, std::size_t n, Grid grid, float* y,
                                  std::int8_t* state) {
  quantize<true>(x, n, grid, y, state);
}

QOPT_VECTORISED void noise(const float* x, const float* u, std::size_t n, Grid grid,
                           float* y, std::int8_t* state) {
  for (std::size_t i = 0; i < n; ++i) {
    const float v = x[i] / grid.step;
    const float moved = v + u[i] * grid.stride;
    const float code = std::min(std::max(moved, grid.least), grid.most);
    y[i] = v == v ? code * grid.step : 0.0F;
    const float outside = v < grid.least ? float{kBelow} : float{kAbove};
    const bool inside = v >= grid.least && v <= grid.most;
    state[i] = static_cast<std::int8_t>(static_cast<int>(inside ? 0.0F : outside));
  }
}

struct Factors {
  float below, above, delta;
};

/// Sixteen floats, in as many registers as the processor needs.
using Wide = float __attribute__((vector_size(64), aligned(4), may_alias));
using WideBytes = std::int8_t __attribute__((vector_size(16), aligned(1), may_alias));

struct Lanes {
  Wide below{}, above{}, inside{}, rounding{}, code{};
};

/// `n` is a multiple of kLanes; y is read where kWithCode.
template <bool kWithCode>
[[gnu::always_inline]] inline void backward(const float* g, const std::int8_t* state,
                                            const float* y, std::size_t n, Factors f,
                                            float* gx, Lanes& result) {
  Lanes sums;
  const Wide zero{};
  for (std::size_t i = 0; i < n; i += kLanes) {
    const Wide grad = *reinterpret_cast<const Wide*>(g + i);
    const Wide s =
        __builtin_convertvector(*reinterpret_cast<const WideBytes*>(state + i), Wide);
    const Wide below = s == float{kBelow} ? grad : zero;
    const Wide above = s == float{kAbove} ? grad : zero;
    const Wide inside = grad - below - above;
    const Wide error = s * (1.0F / kStateScale);
    const Wide pull = grad < 0.0F ? error * -f.delta : error * f.delta;
    *reinterpret_cast<Wide*>(gx + i) =
        below * f.below + above * f.above + inside * (1.0F - pull);
    sums.below += below;
    sums.above += above;
    sums.inside += inside;
    sums.rounding += inside * error;
    if constexpr (kWithCode) sums.code += grad * *reinterpret_cast<const Wide*>(y + i);
  }
  result = sums;
}

QOPT_VECTORISED void backward_plain(const float* g, const std::int8_t* state,
                                    std::size_t n, Factors f, float* gx, Lanes& sums) {
  backward<false>(g, state, nullptr, n, f, gx, sums);
}
QOPT_VECTORISED void backward_with_code(const float* g, const std::int8_t* state,
                                        const float* y, std::size_t n, Factors f,
                                        float* gx, Lanes& sums) {
  backward<true>(g, state, y, n, f, gx, sums);
}

double total(const Wide& lanes) {
  double sum = 0;
  for (std::size_t k = 0; k < kLanes; ++k) sum += static_cast<double>(lanes[k]);
  return sum;
}

}  // namespace

void quantize_row(std::span<const float> x, float step, const Levels& levels, float* y,
                  std::int8_t* state) {
  const auto run = levels.stride == 1.0F ? quantize_even : quantize_odd;
  run(x.data(), x.size(), grid_of(step, levels), y, state);
}

void add_noise_row(std::span<const float> x, std::span<const float> u, float step,
                   const Levels& levels, float* y, std::int8_t* state) {
  QOPT_CHECK(u.size() == x.size(), "{} noises for {} numbers", u.size(), x.size());
  noise(x.data(), u.data(), x.size(), grid_of(step, levels), y, state);
}

RowSums backward_row(std::span<const float> g, const std::int8_t* state, const float* y,
                     float step, const Levels& levels, const Estimator& estimator,
                     float delta, float* gx) {
  const Factors factors{estimator.below, estimator.above,
                        estimator.scales_elements ? delta : 0.0F};
  RowSums sums;
  const auto add = [&](const float* grad, const std::int8_t* st, const float* yy,
                       std::size_t n, float* out) {
    Lanes lanes;
    if (yy == nullptr) {
      backward_plain(grad, st, n, factors, out, lanes);
    } else {
      backward_with_code(grad, st, yy, n, factors, out, lanes);
    }
    sums.below += total(lanes.below), sums.above += total(lanes.above);
    sums.inside += total(lanes.inside), sums.rounding += total(lanes.rounding);
    sums.code += total(lanes.code);
  };
  const std::size_t whole = g.size() / kLanes * kLanes;
  for (std::size_t i = 0; i < whole; i += kBlock) {
    add(g.data() + i, state + i, y == nullptr ? nullptr : y + i,
        std::min(kBlock, whole - i), gx + i);
  }
  if (whole < g.size()) {
    // The tail, filled up with gradients of zero.
    float grad[kLanes] = {}, out[kLanes], made[kLanes] = {};
    std::int8_t st[kLanes] = {};
    std::copy(g.begin() + static_cast<std::ptrdiff_t>(whole), g.end(), grad);
    std::copy(state + whole, state + g.size(), st);
    if (y != nullptr) std::copy(y + whole, y + g.size(), made);
    add(grad, st, y == nullptr ? nullptr : made, kLanes, out);
    std::copy(out, out + (g.size() - whole), gx + whole);
  }
  sums.rounding *= static_cast<double>(levels.stride);
  sums.code /= static_cast<double>(step);
  return sums;
}

double step_gradient(const RowSums& sums, const Levels& levels, StepGradient kind) {
  const double lo = static_cast<double>(levels.lo - levels.zero);
  const double hi = static_cast<double>(levels.hi - levels.zero);
  switch (kind) {
    case StepGradient::None: return 0;
    case StepGradient::Rounding: return sums.rounding + lo * sums.below + hi * sums.above;
    case StepGradient::ThreeValued: return (hi + 1) / 2 * sums.inside + hi * sums.above;
    case StepGradient::Clip: return hi * sums.above;
    case StepGradient::Code: return sums.code;
  }
  throw InternalError("unknown step gradient");
}

}  // namespace qopt::qat
