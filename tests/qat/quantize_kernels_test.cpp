// SPDX-License-Identifier: MIT
// The inner loops against plain loops over one number at a time, to the bit, for every
// length of tail: what the processor's vectors are must not show.
#include "lib/qat/quantize_kernels.h"

#include <cmath>

#include "lib/qat/quantize_tensors.h"
#include "tests/qat/support.h"
#include "tests/support/catch.h"

namespace qopt::qat {
namespace {

struct Case {
  Levels levels;
  float step;
};
const std::vector<Case> kCases = {{{0, 3, 0, 1}, 0.37F},
                                  {{-2, 1, 0, 1}, 0.2F},
                                  {{0, 255, 131, 1}, 0.013F},
                                  {{-7, 7, 0, 2}, 0.11F}};

struct Numbers {
  std::vector<float> x, g, u;
};
Numbers numbers(std::size_t n, const Case& c, std::uint64_t seed) {
  Rng rng(seed);
  Numbers made;
  for (std::size_t i = 0; i < n; ++i) {
    const double width = static_cast<double>(c.levels.hi - c.levels.lo) + 4;
    const double code =
        static_cast<double>(c.levels.lo - c.levels.zero) - 2 + width * rng.uniform();
    made.x.push_back(static_cast<float>(static_cast<double>(c.step) * code));
    made.g.push_back(static_cast<float>(rng.normal()));
    made.u.push_back(static_cast<float>(rng.uniform() - 0.5));
  }
  return made;
}

/// The level that v takes, counted from the zero point and not clamped.
float nearest(float v, const Levels& l) {
  return l.stride == 1 ? std::nearbyint(v) : 2 * std::floor(v * 0.5F) + 1;
}
float clamped(float code, const Levels& l) {
  return std::min(std::max(code, l.lo - l.zero), l.hi - l.zero);
}
int state_of(float v, const Levels& l) {
  if (v < l.lo - l.zero) return kBelow;
  if (v > l.hi - l.zero) return kAbove;
  return static_cast<int>(
      std::nearbyint((nearest(v, l) - v) * (1 / l.stride) * kStateScale));
}

TEST_CASE("quantize_row equals a plain loop for every tail") {
  for (const Case& c : kCases) {
    for (std::size_t n = 0; n <= 40; ++n) {
      const Numbers in = numbers(n, c, n);
      std::vector<float> y(n + 1, 77), without(n + 1, 77);
      std::vector<std::int8_t> state(n + 1, 77);
      quantize_row(in.x, c.step, c.levels, y.data(), state.data());
      quantize_row(in.x, c.step, c.levels, without.data(), nullptr);
      for (std::size_t i = 0; i < n; ++i) {
        const float v = in.x[i] / c.step;
        REQUIRE(y[i] == clamped(nearest(v, c.levels), c.levels) * c.step);
        REQUIRE(state[i] == state_of(v, c.levels));
      }
      REQUIRE(y == without);
      REQUIRE((y[n] == 77 && state[n] == 77));  // nothing beyond the end
    }
  }
}

TEST_CASE("the state keeps the rounding error to half of 1/252 stride") {
  for (const Case& c : kCases) {
    const Numbers in = numbers(5000, c, 3);
    std::vector<float> y(in.x.size());
    std::vector<std::int8_t> state(in.x.size());
    quantize_row(in.x, c.step, c.levels, y.data(), state.data());
    for (std::size_t i = 0; i < in.x.size(); ++i) {
      if (state[i] == kBelow || state[i] == kAbove) continue;
      const double error = static_cast<double>((y[i] - in.x[i]) / c.step) /
                           static_cast<double>(c.levels.stride);
      REQUIRE(std::abs(state[i] / 252.0 - error) <= 1.0 / 504 + 1e-4);
    }
  }
}

TEST_CASE("add_noise_row equals a plain loop for every tail") {
  for (const Case& c : kCases) {
    for (std::size_t n = 0; n <= 40; ++n) {
      const Numbers in = numbers(n, c, n);
      std::vector<float> y(n + 1, 77);
      std::vector<std::int8_t> state(n + 1, 77);
      add_noise_row(in.x, in.u, c.step, c.levels, y.data(), state.data());
      for (std::size_t i = 0; i < n; ++i) {
        const float v = in.x[i] / c.step;
        REQUIRE(y[i] == clamped(v + in.u[i] * c.levels.stride, c.levels) * c.step);
        const int outside = state_of(v, c.levels);
        const bool is_outside = outside == kBelow || outside == kAbove;
        REQUIRE(state[i] == (is_outside ? outside : 0));
      }
      REQUIRE((y[n] == 77 && state[n] == 77));
    }
  }
}

/// Sixteen lanes a block of 4096, lanes added in order: the sums as their text has them.
RowSums plain_sums(std::span<const float> g, const std::vector<std::int8_t>& state,
                   const std::vector<float>& y, float step, const Levels& levels) {
  constexpr std::size_t kLanes = 16, kBlock = 4096;
  RowSums sums;
  const std::size_t whole = g.size() / kLanes * kLanes;
  const auto block = [&](std::size_t from, std::size_t to) {
    float below[kLanes] = {}, above[kLanes] = {}, inside[kLanes] = {};
    float rounding[kLanes] = {}, code[kLanes] = {};
    for (std::size_t i = from; i < to; ++i) {
      const std::size_t k = (i - from) % kLanes;
      if (state[i] == kBelow) {
        below[k] += g[i];
      } else if (state[i] == kAbove) {
        above[k] += g[i];
      } else {
        inside[k] += g[i];
        rounding[k] += g[i] * (static_cast<float>(state[i]) * (1 / kStateScale));
      }
      code[k] += g[i] * y[i];
    }
    const auto add = [](double& sum, const float(&lanes)[kLanes]) {
      double own = 0;
      for (const float lane : lanes) own += static_cast<double>(lane);
      sum += own;
    };
    add(sums.below, below), add(sums.above, above), add(sums.inside, inside);
    add(sums.rounding, rounding), add(sums.code, code);
  };
  for (std::size_t i = 0; i < whole; i += kBlock) block(i, std::min(i + kBlock, whole));
  if (whole < g.size()) block(whole, g.size());
  sums.rounding *= static_cast<double>(levels.stride);
  sums.code /= static_cast<double>(step);
  return sums;
}

TEST_CASE("backward_row equals a plain loop for every tail") {
  std::vector<std::size_t> lengths = {4095, 4096, 4097, 9000};
  for (std::size_t n = 0; n <= 40; ++n) lengths.push_back(n);
  constexpr float kFactor = 0.3F;
  for (const char* name : {"identity", "relu", "lsq", "ewgs", "exact_step"}) {
    const Estimator& row = *find_estimator(name);
    for (const Case& c : kCases) {
      for (const std::size_t n : lengths) {
        const Numbers in = numbers(n, c, n + 1);
        std::vector<float> y(n), gx(n + 1, 77);
        std::vector<std::int8_t> state(n);
        quantize_row(in.x, c.step, c.levels, y.data(), state.data());
        const RowSums sums = backward_row(in.g, state.data(), y.data(), c.step, c.levels,
                                          row, kFactor, gx.data());
        for (std::size_t i = 0; i < n; ++i) {
          const float error = static_cast<float>(state[i]) * (1 / kStateScale);
          const float delta = row.scales_elements ? kFactor : 0;
          const float pull = in.g[i] < 0 ? error * -delta : error * delta;
          const float factor = state[i] == kBelow   ? row.below
                               : state[i] == kAbove ? row.above
                                                    : 1 - pull;
          REQUIRE(gx[i] == in.g[i] * factor);
        }
        REQUIRE(gx[n] == 77);
        const RowSums plain = plain_sums(in.g, state, y, c.step, c.levels);
        INFO(name << ", " << n << " numbers");
        CHECK(sums.below == plain.below);
        CHECK(sums.above == plain.above);
        CHECK(sums.inside == plain.inside);
        CHECK(sums.rounding == plain.rounding);
        CHECK(sums.code == plain.code);
        const RowSums blind = backward_row(in.g, state.data(), nullptr, c.step, c.levels,
                                           row, kFactor, gx.data());
        CHECK((blind.rounding == sums.rounding && blind.code == 0));
      }
    }
  }
}

TEST_CASE("LibTorch's operators give the kernels' numbers") {
  for (const Case& c : kCases) {
    const std::size_t n = 3000;
    Numbers in = numbers(2 * n, c, 9);
    in.x[0] = NAN, in.x[1] = -0.0F, in.x[2] = 1e20F, in.x[3] = -1e-10F, in.x[4] = 1e-10F;
    Levels second = c.levels;
    if (c.levels.stride == 1) second.zero += 1;
    const std::vector<Levels> levels = {c.levels, second};
    const at::Tensor x = at::tensor(in.x).reshape({2, static_cast<std::int64_t>(n)});
    const at::Tensor u = at::tensor(in.u).reshape(x.sizes());
    const at::Tensor g = at::tensor(in.g).reshape(x.sizes());
    const at::Tensor step = at::tensor({c.step, 1.5F * c.step});
    for (const bool noisy : {false, true}) {
      const Quantized other = quantize_tensor(x, step, levels, noisy ? u : at::Tensor());
      at::Tensor y = at::empty_like(x), state = at::empty_like(x, at::kChar);
      for (std::size_t r = 0; r < 2; ++r) {
        float* out = y.data_ptr<float>() + r * n;
        std::int8_t* st = state.data_ptr<std::int8_t>() + r * n;
        const std::span row(in.x.data() + r * n, n), noise(in.u.data() + r * n, n);
        const float s = step.data_ptr<float>()[r];
        if (noisy) {
          add_noise_row(row, noise, s, levels[r], out, st);
        } else {
          quantize_row(row, s, levels[r], out, st);
        }
      }
      CHECK(same_bits(other.y, y));
      CHECK(same_bits(other.state, state));
      const Estimator& row = *find_estimator("ewgs");
      const Backward back = backward_tensor(g, state, y, step, levels, row, 0.3F);
      for (std::size_t r = 0; r < 2; ++r) {
        std::vector<float> gx(n);
        const RowSums sums =
            backward_row({in.g.data() + r * n, n}, state.data_ptr<std::int8_t>() + r * n,
                         y.data_ptr<float>() + r * n, step.data_ptr<float>()[r],
                         levels[r], row, 0.3F, gx.data());
        const at::Tensor own = at::tensor(gx);
        const at::Tensor theirs = back.gx[static_cast<std::int64_t>(r)];
        CHECK((own - theirs).abs().max().item<double>() <= 1e-6);
        // Float lanes against double sums: 200 roundings of numbers of size 1 a lane.
        const auto near = [&](double a, double b, double size) {
          return std::abs(a - b) <= static_cast<double>(n) * 200 * 0x1p-24 * size;
        };
        CHECK(near(sums.below, back.sums[r].below, 1));
        CHECK(near(sums.above, back.sums[r].above, 1));
        CHECK(near(sums.inside, back.sums[r].inside, 1));
        CHECK(near(sums.rounding, back.sums[r].rounding, 1));
        CHECK(near(sums.code, back.sums[r].code, 256));
      }
    }
  }
}

}  // namespace
}  // namespace qopt::qat
