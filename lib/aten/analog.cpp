// SPDX-License-Identifier: MIT
#include "lib/aten/analog.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "lib/core/error.h"
#include "lib/theory/analog.h"

namespace qopt::aten {
namespace {

constexpr std::int64_t kGrain = 1
                                << 14;  // elements: less than this is not worth a thread

/// A crossing in the units of its tensor.
struct Scalars {
  explicit Scalars(const AnalogChain& chain)
      : clamp(chain.clamp),
        levels(theory::levels_per_unit(chain.bits)),
        sigma(chain.clamp * theory::noise_sigma(chain.leakage, levels)) {}

  double clamped(double x) const { return std::clamp(x, -clamp, clamp); }
  double reduced(double x) const {
    return clamp * theory::reduce_precision(x / clamp, levels);
  }

  double clamp;
  int levels;
  double sigma;
};

/// value(x[i], i-th noise) for every element. Pairs of normals come from two draws, so
/// chunks start at even elements.
template <class F>
at::Tensor map_with_noise(const at::Tensor& x, double sigma, Rng& rng, F&& value) {
  const at::Tensor from = x.detach().to(at::kCPU, at::kFloat).contiguous();
  at::Tensor to = at::empty_like(from);
  const float* in = from.data_ptr<float>();
  float* out = to.data_ptr<float>();
  const std::int64_t count = from.numel();
  const std::uint64_t seed = rng.next();
  at::parallel_for(
      0, (count + 1) / 2, kGrain / 2, [&](std::int64_t begin, std::int64_t end) {
        Rng noise(seed);
        noise.skip(2 * static_cast<std::uint64_t>(begin));
        for (std::int64_t i = 2 * begin; i < std::min(2 * end, count); i += 2) {
          const auto [first, second] =
              sigma > 0 ? noise.normals() : std::pair<double, double>(0, 0);
          out[i] = static_cast<float>(value(static_cast<double>(in[i]), sigma * first));
          if (i + 1 == count) break;
          out[i + 1] =
              static_cast<float>(value(static_cast<double>(in[i + 1]), sigma * second));
        }
      });
  return to.to(x.device());
}

/// `value` with the gradient of `x`: x - x is exactly 0.
at::Tensor straight_through(const at::Tensor& value, const at::Tensor& x) {
  return x.requires_grad() ? at::add(value, at::sub(x, x.detach())) : value;
}

at::Tensor into_analog(const at::Tensor& x, const AnalogChain& chain, Rng& rng) {
  const Scalars s(chain);
  return map_with_noise(x, s.sigma, rng, [&](double v, double noise) {
    return s.reduced(s.clamped(v)) + noise;
  });
}

}  // namespace

void check(const AnalogChain& chain, const std::string& where) {
  const auto refuse = [&](const std::string& what, const char* hint) {
    throw Error(ExitCode::Usage, where, what, hint);
  };
  if (chain.bits < 1 || chain.bits > 24)
    refuse(fmt::format("bits {}", chain.bits), "1 to 24");
  if (!(chain.leakage >= 0 && chain.leakage < 1))
    refuse(fmt::format("leakage {}", chain.leakage), "at least 0, below 1");
  if (!(chain.clamp > 0) || std::isinf(chain.clamp))
    refuse(fmt::format("clamp {}", chain.clamp), "above 0");
}

at::Tensor analog_activation(const at::Tensor& x, const AnalogChain& chain, Rng& rng) {
  const at::Tensor values = into_analog(x, chain, rng);
  if (!x.requires_grad()) return values;
  return straight_through(values, at::clamp(x, -chain.clamp, chain.clamp));
}

at::Tensor analog_readout(const at::Tensor& x, const AnalogChain& chain, Rng& rng) {
  const Scalars s(chain);
  const at::Tensor noise =
      map_with_noise(x, s.sigma, rng, [](double, double n) { return n; });
  const at::Tensor clamped = at::clamp(at::add(x, noise), -chain.clamp, chain.clamp);
  Rng unused(0);
  const at::Tensor values = map_with_noise(
      clamped, 0.0, unused, [&](double v, double) { return s.reduced(v); });
  return straight_through(values, clamped);
}

at::Tensor analog_weight(const at::Tensor& weight, const AnalogChain& chain, Rng& rng) {
  return straight_through(into_analog(weight, chain, rng), weight);
}

}  // namespace qopt::aten
