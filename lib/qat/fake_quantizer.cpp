// SPDX-License-Identifier: MIT
#include "lib/qat/fake_quantizer.h"

#include <torch/csrc/autograd/custom_function.h>
#include <torch/custom_class.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "lib/calib/projection.h"
#include "lib/qat/quantize_tensors.h"

namespace qopt::qat {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;

/// One call: everything that forward and backward share and that is no tensor.
struct Call : torch::CustomClassHolder {
  std::vector<Levels> levels;  // one for each step
  const Estimator* estimator = nullptr;
  float delta = 0, gradient_scale = 1;
  Rng* noise = nullptr;  // forward only
};
using CallPtr = c10::intrusive_ptr<Call>;

std::vector<float> noises(std::size_t count, Rng& rng) {
  std::vector<float> u(count);
  for (float& x : u) x = static_cast<float>(rng.uniform() - 0.5);
  return u;
}

/// Dense memory in the order of `like`.
at::Tensor arranged(const at::Tensor& t, const at::Tensor& like) {
  if (t.strides() == like.strides()) return t;
  return at::empty_like(like, t.options()).copy_(t);
}

/// Through the kernels on the CPU, through LibTorch's operators elsewhere. x is dense;
/// with several steps, each owns one index of the outermost axis.
class Quantize : public torch::autograd::Function<Quantize> {
 public:
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x,
                            const at::Tensor& step, const at::Tensor& /*offset*/,
                            const CallPtr& call) {
    const Quantized result =
        x.is_cpu() ? on_cpu(x, step, *call)
                   : quantize_tensor(x, step, call->levels, noise_like(x, *call));
    const bool keeps = call->estimator->step_gradient == StepGradient::Code;
    ctx->save_for_backward({result.state, step, keeps ? result.y : at::Tensor()});
    ctx->saved_data["call"] = c10::IValue::make_capsule(call);
    return result.y;
  }

  static tensor_list backward(AutogradContext* ctx, tensor_list grads) {
    const auto saved = ctx->get_saved_variables();
    const at::Tensor &state = saved[0], &step = saved[1], &y = saved[2];
    const auto capsule = ctx->saved_data["call"].toCapsule();
    const auto& call = static_cast<const Call&>(*capsule);
    const at::Tensor g = arranged(grads[0], state);
    const Backward back = g.is_cpu() ? back_on_cpu(g, state, y, step, call)
                                     : backward_tensor(g, state, y, step, call.levels,
                                                       *call.estimator, call.delta);
    std::vector<float> of_steps;
    double of_offset = 0;
    const auto scale = static_cast<double>(call.gradient_scale);
    for (std::size_t r = 0; r < call.levels.size(); ++r) {
      Levels levels = call.levels[r];
      // A learned offset is the real number of code 0: codes count from there.
      if (call.estimator->learns == Learns::StepAndOffset) levels.zero = 0;
      of_steps.push_back(static_cast<float>(
          scale * step_gradient(back.sums[r], levels, call.estimator->step_gradient)));
      of_offset += scale * (back.sums[r].below + back.sums[r].above);
    }
    at::Tensor g_step, g_offset;
    if (call.estimator->learns != Learns::Nothing) {
      g_step = at::tensor(of_steps).to(step.device());
    }
    if (call.estimator->learns == Learns::StepAndOffset) {
      g_offset = at::full({1}, of_offset, step.options());
    }
    return {back.gx, g_step, g_offset, at::Tensor()};
  }

 private:
  static at::Tensor noise_like(const at::Tensor& x, const Call& call) {
    if (call.noise == nullptr) return {};
    const std::vector<float> u = noises(static_cast<std::size_t>(x.numel()), *call.noise);
    return at::tensor(u).reshape(x.sizes()).to(x.device());
  }

  static Quantized on_cpu(const at::Tensor& x, const at::Tensor& step, const Call& call) {
    Quantized result{at::empty_like(x), at::empty_like(x, x.options().dtype(at::kChar))};
    const auto length = static_cast<std::size_t>(x.numel() / step.numel());
    for (std::size_t r = 0; r < call.levels.size(); ++r) {
      const std::span<const float> row(x.data_ptr<float>() + r * length, length);
      const float s = step.data_ptr<float>()[r];
      float* out = result.y.data_ptr<float>() + r * length;
      std::int8_t* state = result.state.data_ptr<std::int8_t>() + r * length;
      if (call.noise != nullptr) {
        add_noise_row(row, noises(length, *call.noise), s, call.levels[r], out, state);
      } else {
        quantize_row(row, s, call.levels[r], out, state);
      }
    }
    return result;
  }

  static Backward back_on_cpu(const at::Tensor& g, const at::Tensor& state,
                              const at::Tensor& y, const at::Tensor& step,
                              const Call& call) {
    Backward result{at::empty_like(g), {}};
    const auto length = static_cast<std::size_t>(g.numel() / step.numel());
    for (std::size_t r = 0; r < call.levels.size(); ++r) {
      const std::size_t at = r * length;
      result.sums.push_back(backward_row(
          {g.data_ptr<float>() + at, length}, state.data_ptr<std::int8_t>() + at,
          y.defined() ? y.data_ptr<float>() + at : nullptr, step.data_ptr<float>()[r],
          call.levels[r], *call.estimator, call.delta, result.gx.data_ptr<float>() + at));
    }
    return result;
  }
};

/// tanh(w) / max |tanh(w)|: DoReFa's numbers in [-1, 1].
at::Tensor squashed(const at::Tensor& w) {
  const at::Tensor t = at::tanh(w);
  return t / t.abs().max().clamp_min(1e-12).detach();
}

/// Least squares: alternates codes and step from where it is until the codes stay.
float fitted_step(std::span<const float> latent, const Levels& levels, float step) {
  std::vector<float> y(latent.size());
  for (int round = 0; round < 20; ++round) {
    quantize_row(latent, step, levels, y.data(), nullptr);
    double dot = 0, square = 0;
    for (std::size_t i = 0; i < y.size(); ++i) {
      dot += static_cast<double>(latent[i]) * static_cast<double>(y[i]);
      square += static_cast<double>(y[i]) * static_cast<double>(y[i]);
    }
    if (!(dot > 0) || !(square > 0)) return step;
    const float next = static_cast<float>(static_cast<double>(step) * dot / square);
    if (next == step) break;
    step = next;
  }
  return step;
}

float projected_step(std::span<const float> latent, const Affine& e, const Levels& levels,
                     float step) {
  if (e.levels == LevelSet::O && e.bits == 1) return calib::binary_scale(latent);
  const bool ternary =
      e.levels == LevelSet::T || (e.levels == LevelSet::N && e.bits == 2);
  if (ternary) return calib::ternary_scale(latent).scale;
  return fitted_step(latent, levels, step);
}

}  // namespace

FakeQuantizer::FakeQuantizer(Affine start, const Estimator& estimator, Role role,
                             float delta, at::Device device)
    : start_(std::move(start)), estimator_(&estimator), role_(role), delta_(delta) {
  step_ = at::empty({static_cast<std::int64_t>(start_.scale.size())}, at::kFloat);
  std::ranges::copy(start_.scale, step_.data_ptr<float>());
  if (estimator.latent == Latent::Tanh && role == Role::Weights) {
    // The largest number is 1 and gets the largest code (or, where no code is above the
    // zero point, the smallest).
    for (std::size_t c = 0; c < start_.scale.size(); ++c) {
      const Levels l = levels(c);
      const float reach = l.hi > l.zero ? l.hi - l.zero : l.zero - l.lo;
      step_.data_ptr<float>()[c] = 1.0F / reach;
    }
  }
  offset_ = at::full({1}, -static_cast<float>(start_.zero_point[0]) * start_.scale[0],
                     at::kFloat);
  step_ = step_.to(device), offset_ = offset_.to(device);
  if (learns_step()) step_.requires_grad_(true);
  if (learns_offset()) offset_.requires_grad_(true);
}

Levels FakeQuantizer::levels(std::size_t channel) const {
  const float zero = static_cast<float>(encoding_zero(channel));
  return {static_cast<float>(code_min(start_.levels, start_.bits)),
          static_cast<float>(code_max(start_.levels, start_.bits)), zero,
          start_.levels == LevelSet::O ? 2.0F : 1.0F};
}

std::int32_t FakeQuantizer::encoding_zero(std::size_t channel) const {
  if (!learns_offset()) return start_.zero_point[channel];
  const float step = step_.item<float>(), offset = offset_.item<float>();
  const float lo = static_cast<float>(code_min(start_.levels, start_.bits));
  const float hi = static_cast<float>(code_max(start_.levels, start_.bits));
  return static_cast<std::int32_t>(std::clamp(std::nearbyint(-offset / step), lo, hi));
}

at::Tensor FakeQuantizer::forward(const at::Tensor& x, Rng* noise) const {
  const CallPtr call = c10::make_intrusive<Call>();
  for (std::size_t c = 0; c < start_.scale.size(); ++c) call->levels.push_back(levels(c));
  call->estimator = estimator_;
  call->delta = delta_;
  call->noise = estimator_->adds_noise ? noise : nullptr;
  const std::int64_t samples = role_ == Role::Activations && x.dim() > 0 ? x.size(0) : 1;
  const double served =
      static_cast<double>(x.numel()) / static_cast<double>(samples * step_.numel());
  const double highest = std::max(1.0, static_cast<double>(call->levels[0].hi));
  call->gradient_scale = static_cast<float>(1.0 / std::sqrt(served * highest));

  at::Tensor latent = x;
  if (estimator_->latent == Latent::Tanh && role_ == Role::Weights) latent = squashed(x);
  if (start_.axis) {
    latent = latent.movedim(*start_.axis, 0).contiguous();
  } else if (!latent.is_non_overlapping_and_dense()) {
    latent = latent.contiguous();
  }
  at::Tensor y = Quantize::apply(latent, step_, offset_, call);
  return start_.axis ? y.movedim(0, *start_.axis) : y;
}

Affine FakeQuantizer::encoding() const {
  Affine e = start_;
  const at::Tensor steps = step_.detach().to(at::kCPU);
  const float* step = steps.data_ptr<float>();
  e.scale.assign(step, step + steps.numel());
  for (std::size_t c = 0; c < e.zero_point.size(); ++c)
    e.zero_point[c] = encoding_zero(c);
  return e;
}

void FakeQuantizer::project(const at::Tensor& latent) {
  if (estimator_->projects) fit(latent);
}

void FakeQuantizer::restart(const at::Tensor& latent) {
  const at::NoGradGuard no_grad;
  // LSQ's start, section 2.1; then the best fit.
  const double highest = std::max(1, code_max(start_.levels, start_.bits));
  step_.fill_(2 * latent.abs().mean().item<double>() / std::sqrt(highest));
  fit(latent);
}

void FakeQuantizer::fit(const at::Tensor& latent) {
  const at::NoGradGuard no_grad;
  at::Tensor rows = latent.detach().to(at::kCPU);
  if (start_.axis) rows = rows.movedim(*start_.axis, 0);
  rows = rows.contiguous();
  const auto length = static_cast<std::size_t>(rows.numel() / step_.numel());
  at::Tensor steps = step_.detach().to(at::kCPU).clone();
  for (std::size_t r = 0; r < start_.scale.size(); ++r) {
    float& step = steps.data_ptr<float>()[r];
    const float found = projected_step({rows.data_ptr<float>() + r * length, length},
                                       start_, levels(r), step);
    if (found > 0 && std::isfinite(found)) step = found;
  }
  step_.copy_(steps);
}

void FakeQuantizer::restrict_steps() {
  if (!learns_step()) return;
  const at::NoGradGuard no_grad;
  // Far below any useful step, far above what float32 division needs.
  constexpr double kSmallest = 1e-8;
  step_.clamp_min_(kSmallest);
}

}  // namespace qopt::qat
