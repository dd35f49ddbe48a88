// SPDX-License-Identifier: MIT
// Every row of the estimators' table against its formula, written out here once more; and
// the forward, which is decode(encode(x)) to the bit whatever the row.
#include "lib/qat/estimators.h"

#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <functional>
#include <limits>
#include <map>

#include "lib/aten/semantics.h"
#include "lib/qat/fake_quantizer.h"
#include "tests/qat/support.h"
#include "tests/support/catch.h"

namespace qopt::qat {
namespace {

/// One number: v = x / step, the levels [lo, hi] in the same units, the level q that v
/// takes, the gradient g of the loss by the quantised number.
struct Point {
  double v, lo, hi, stride, q, g;
  bool below() const { return v < lo; }
  bool above() const { return v > hi; }
  bool inside() const { return !below() && !above(); }
};

constexpr double kDelta = 0.2;

/// The formulas, as the papers have them: the gradient by x, and what one number adds to
/// the gradient by the step (in units of step) and by the offset.
struct Formula {
  std::function<double(const Point&)> x;
  std::function<double(const Point&)> step;
  bool offset = false;
  bool reads_error = false;  // of the rounding, which backward knows to 1/504 stride
};

double pass_all(const Point& p) { return p.g; }
double pass_inside(const Point& p) { return p.inside() ? p.g : 0; }
double lsq_step(const Point& p) {
  return p.g * (p.below() ? p.lo : p.above() ? p.hi : p.q - p.v);
}
double clip_step(const Point& p) { return p.above() ? p.g * p.hi : 0; }

const std::map<std::string_view, Formula> kFormulas = {
    {"identity", {pass_all, nullptr}},
    {"relu", {[](const Point& p) { return p.below() ? 0 : p.g; }, nullptr}},
    {"clipped_relu", {pass_inside, nullptr}},
    {"three_valued",
     {pass_inside,
      [](const Point& p) {
        return p.g * (p.below() ? 0 : p.above() ? p.hi : (p.hi + 1) / 2);
      }}},
    {"pact_step", {pass_inside, clip_step}},
    {"exact_step", {pass_inside, [](const Point& p) { return p.g * p.q; }}},
    {"lsq", {pass_inside, lsq_step, false, true}},
    {"lsq_plus", {pass_inside, lsq_step, true, true}},
    {"pact", {pass_inside, clip_step}},
    {"dorefa", {pass_inside, nullptr}},
    {"ewgs",
     {[](const Point& p) {
        const double sign = p.g > 0 ? 1 : p.g < 0 ? -1 : 0;
        return p.inside() ? p.g * (1 + kDelta * sign * (p.v - p.q) / p.stride) : 0;
      },
      lsq_step, false, true}},
    {"noise", {pass_inside, nullptr}},
    {"projected", {pass_all, nullptr}},
    {"blended", {pass_all, nullptr}},
};

std::size_t channel_of(const Affine& e, const at::Tensor& x, std::int64_t index) {
  if (!e.axis) return 0;
  std::int64_t inner = 1;
  for (std::int64_t d = *e.axis + 1; d < x.dim(); ++d) inner *= x.size(d);
  return static_cast<std::size_t>(index / inner % x.size(*e.axis));
}

/// Compares gradients of sum(g * forward(x)) with the row's formula.
void check_backward(const Estimator& row, const Affine& start, Role role,
                    const at::Tensor& x, Rng& rng) {
  INFO(row.name << (role == Role::Weights ? " weights " : " activations ")
                << text(start));
  const Formula& formula = kFormulas.at(row.name);
  FakeQuantizer quantizer(start, row, role, static_cast<float>(kDelta));
  const at::Tensor leaf = x.detach().requires_grad_(true);
  const at::Tensor g = uniform(x.sizes(), -1, 1, rng);
  const at::Tensor y = quantizer.forward(leaf);
  std::vector<at::Tensor> leaves = {leaf};
  if (quantizer.learns_step()) leaves.push_back(quantizer.step());
  if (quantizer.learns_offset()) leaves.push_back(quantizer.offset());
  const auto gradients = torch::autograd::grad({y}, leaves, {g});

  const Affine e = quantizer.encoding();
  const bool squashed = row.latent == Latent::Tanh && role == Role::Weights;
  const at::Tensor t = at::tanh(x);
  const double largest = t.abs().max().item<double>();
  const at::Tensor latent = (squashed ? t / t.abs().max() : x).contiguous();
  const at::Tensor levels = y.detach().contiguous(), gx = gradients[0].contiguous();
  const at::Tensor dense = t.contiguous();
  std::vector<double> step(e.scale.size(), 0), bound(e.scale.size(), 0);
  double offset = 0, offset_bound = 0;
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    const std::size_t c = channel_of(e, x, i);
    const double s = static_cast<double>(e.scale[c]);
    // A learned offset is where code 0 lies, so codes count from there.
    const double zero = e.zero_point[c];
    Point p{};
    p.v = static_cast<double>(latent.data_ptr<float>()[i] / e.scale[c]);
    p.lo = code_min(e.levels, e.bits) - zero, p.hi = code_max(e.levels, e.bits) - zero;
    p.stride = e.levels == LevelSet::O ? 2 : 1;
    p.q = std::nearbyint(static_cast<double>(levels.data_ptr<float>()[i]) / s);
    p.g = static_cast<double>(g.data_ptr<float>()[i]);

    double wanted = formula.x(p), error = 1e-6 * std::abs(p.g);
    if (row.scales_elements) error += kDelta * std::abs(p.g) / 504;
    if (squashed) {
      const double u = static_cast<double>(dense.data_ptr<float>()[i]);
      wanted *= (1 - u * u) / largest, error *= 1 / largest;
    }
    const double actual = static_cast<double>(gx.data_ptr<float>()[i]);
    if (!(std::abs(actual - wanted) <= error)) {
      FAIL("by x at v = " << p.v << ": " << actual << ", formula " << wanted);
    }
    const double reach = std::max(std::abs(p.lo), std::abs(p.hi)) + 1;
    // Sums of at most 4096 floats in sixteen lanes: 256 roundings each.
    bound[c] += 256 * 0x1p-24 * reach * std::abs(p.g);
    if (formula.reads_error) bound[c] += p.stride / 504 * std::abs(p.g);
    if (formula.offset && !p.inside()) offset += p.g;
    offset_bound += 256 * 0x1p-24 * std::abs(p.g);
    if (formula.offset) p.lo += zero, p.hi += zero, p.v += zero, p.q += zero;
    if (formula.step) step[c] += formula.step(p);
  }
  CHECK(quantizer.learns_step() == static_cast<bool>(formula.step));
  const std::int64_t served = x.numel() / static_cast<std::int64_t>(step.size()) /
                              (role == Role::Activations ? x.size(0) : 1);
  const double scale = 1 / std::sqrt(static_cast<double>(served) *
                                     std::max(1, code_max(e.levels, e.bits)));
  if (formula.step) {
    for (std::size_t c = 0; c < step.size(); ++c) {
      const double actual =
          static_cast<double>(gradients[1].data_ptr<float>()[c]) / scale;
      INFO("step of channel " << c << ": " << actual << ", formula " << step[c]);
      CHECK(std::abs(actual - step[c]) <= bound[c]);
    }
  }
  if (quantizer.learns_offset()) {
    const double actual = static_cast<double>(gradients[2].item<float>()) / scale;
    CHECK(std::abs(actual - offset) <= offset_bound);
  }
}

/// Numbers on both sides of the levels and in them.
at::Tensor numbers(const Affine& e, at::IntArrayRef shape, Rng& rng) {
  const at::Tensor unit = uniform(shape, 0, 1, rng);
  at::Tensor x = at::empty_like(unit);
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    const std::size_t c = channel_of(e, x, i);
    const double lo = code_min(e.levels, e.bits) - e.zero_point[c];
    const double width = code_max(e.levels, e.bits) - e.zero_point[c] - lo;
    const double u = static_cast<double>(unit.data_ptr<float>()[i]);
    x.data_ptr<float>()[i] =
        static_cast<float>(static_cast<double>(e.scale[c]) * (lo - 2 + u * (width + 4)));
  }
  return x;
}

TEST_CASE("every estimator has a formula, a source and a use") {
  for (const Estimator& row : estimators()) {
    INFO(row.name);
    CHECK(kFormulas.contains(row.name));
    CHECK(find_estimator(row.name) == &row);
    CHECK_FALSE(row.summary.empty());
    CHECK_FALSE(row.source.empty());
    CHECK((row.for_weights || row.for_activations));
  }
  CHECK(estimators().size() == kFormulas.size());
  CHECK(find_estimator("lsq2") == nullptr);
}

TEST_CASE("backward is the row's formula, for every level set") {
  Rng rng(1);
  for (const Estimator& row : estimators()) {
    for (const Affine& e : all_levels()) {
      if (row.for_activations && has_zero(e.levels)) {
        Affine shifted = e;
        if (!is_symmetric(e.levels)) {
          shifted.zero_point[0] =
              code_min(e.levels, e.bits) + (e.bits > 2 ? 2 : e.bits - 1);
        }
        check_backward(row, shifted, Role::Activations,
                       numbers(shifted, {3, 5, 7, 4}, rng), rng);
      }
      if (row.for_weights) {
        check_backward(row, e, Role::Weights, numbers(e, {4, 3, 3, 3}, rng), rng);
        const Affine rows = by_channel(e, 0, 6, rng);
        check_backward(row, rows, Role::Weights, numbers(rows, {6, 3, 3, 3}, rng), rng);
        const Affine columns = by_channel(e, 1, 5, rng);
        check_backward(row, columns, Role::Weights, numbers(columns, {4, 5, 2, 3}, rng),
                       rng);
      }
    }
  }
}

TEST_CASE("backward is the same for every layout of memory") {
  Rng rng(2);
  const Affine e{LevelSet::S, 3, {0.3F}, {1}, std::nullopt};
  const at::Tensor x = numbers(e, {2, 6, 5, 4}, rng);
  at::Tensor padded = at::zeros({2, 6, 5, 9});
  padded.slice(3, 2, 6).copy_(x);
  for (const Estimator& row : estimators()) {
    if (!row.for_activations) continue;
    check_backward(row, e, Role::Activations,
                   x.contiguous(at::MemoryFormat::ChannelsLast), rng);
    check_backward(row, e, Role::Activations, x.permute({0, 2, 3, 1}), rng);
    check_backward(row, e, Role::Activations, padded.slice(3, 2, 6), rng);
    check_backward(row, e, Role::Activations, x.slice(1, 1, 2).expand({2, 4, 5, 4}), rng);
  }
  const Affine rows = by_channel(e, 0, 6, rng);
  const at::Tensor w = numbers(rows, {6, 5, 3, 3}, rng);
  for (const Estimator& row : estimators()) {
    if (!row.for_weights) continue;
    check_backward(row, rows, Role::Weights, w.contiguous(at::MemoryFormat::ChannelsLast),
                   rng);
  }
}

/// Ties, their neighbours, signed zeros, the ends of float32 and NaN.
at::Tensor hard_numbers(const Affine& e) {
  std::vector<float> x;
  const float s = e.scale[0];
  for (std::int32_t k = -2 * (code_max(LevelSet::U, e.bits) + 2);
       k <= 2 * (code_max(LevelSet::U, e.bits) + 2); ++k) {
    const float tie = static_cast<float>(k) * 0.5F * s;
    x.insert(x.end(), {tie, std::nextafter(tie, -1e30F), std::nextafter(tie, 1e30F)});
  }
  using Limits = std::numeric_limits<float>;
  for (const float extreme :
       {0.0F, 1e-10F, Limits::denorm_min(), Limits::min(), 3e9F, 1e20F, Limits::max(),
        Limits::infinity(), Limits::quiet_NaN()}) {
    x.insert(x.end(), {extreme, -extreme});
  }
  return at::tensor(x);
}

TEST_CASE("forward is decode(encode()) to the bit") {
  Rng rng(3);
  std::vector<Affine> cases = all_levels();
  for (const LevelSet wide : {LevelSet::U, LevelSet::S, LevelSet::N}) {
    cases.push_back({wide, 16, {0.25F}, {0}, std::nullopt});
  }
  for (Affine e : cases) {
    for (const float step : {0.25F, 0.1F, 1.7e-6F}) {
      e.scale[0] = step;
      if (!is_symmetric(e.levels)) e.zero_point[0] = code_min(e.levels, e.bits) / 2 + 1;
      INFO(text(e) << ", step " << step);
      const at::Tensor x = hard_numbers(e);
      for (const Estimator& row : estimators()) {
        if (row.latent == Latent::Tanh) continue;  // weights: other numbers go in
        const FakeQuantizer quantizer(e, row, Role::Weights);
        INFO(row.name);
        REQUIRE(same_bits(quantizer.forward(x),
                          aten::fake_quantize(x, quantizer.encoding())));
      }
      const Affine rows = by_channel(e, 0, 4, rng);
      const FakeQuantizer quantizer(rows, *find_estimator("lsq"), Role::Weights);
      const at::Tensor many = x.expand({4, x.numel()}).clone();
      REQUIRE(same_bits(quantizer.forward(many), aten::fake_quantize(many, rows)));
    }
  }
}

TEST_CASE("DoReFa's weights lie in [-1, 1] and take the largest code") {
  Rng rng(4);
  for (const Affine& e : all_levels()) {
    INFO(text(e));
    const FakeQuantizer quantizer(e, *find_estimator("dorefa"), Role::Weights);
    const at::Tensor w = uniform({40}, -3, 3, rng);
    const at::Tensor latent = at::tanh(w) / at::tanh(w).abs().max();
    const Affine now = quantizer.encoding();
    CHECK(std::isfinite(now.scale[0]));
    CHECK(same_bits(quantizer.forward(w), aten::fake_quantize(latent, now)));
    const std::int32_t hi = code_max(e.levels, e.bits);
    if (hi > 0) CHECK(now.scale[0] == 1.0F / static_cast<float>(hi));
  }
}

TEST_CASE("noise stays within the levels and follows its seed") {
  Rng numbers_rng(5);
  for (const Affine& e : all_levels()) {
    INFO(text(e));
    const FakeQuantizer quantizer(e, *find_estimator("noise"), Role::Weights);
    const at::Tensor x = numbers(e, {500}, numbers_rng);
    Rng one(7), same(7), other(8);
    const at::Tensor y = quantizer.forward(x, &one);
    CHECK(same_bits(y, quantizer.forward(x, &same)));
    CHECK_FALSE(same_bits(y, quantizer.forward(x, &other)));
    const double s = static_cast<double>(e.scale[0]);
    const double stride = e.levels == LevelSet::O ? 2 : 1;
    const double lo = s * code_min(e.levels, e.bits), hi = s * code_max(e.levels, e.bits);
    CHECK(y.min().item<double>() >= lo);
    CHECK(y.max().item<double>() <= hi);
    // At most half a stride from the clipped number.
    const at::Tensor clipped = x.clamp(lo, hi);
    CHECK((y - clipped).abs().max().item<double>() <= s * stride * 0.5 * (1 + 1e-5));
    // Without a generator it rounds.
    CHECK(same_bits(quantizer.forward(x), aten::fake_quantize(x, e)));
  }
}

TEST_CASE("a symmetric level set keeps its zero point when the offset would learn") {
  const Affine e{LevelSet::N, 4, {0.5F}, {0}, std::nullopt};
  FakeQuantizer quantizer(e, *find_estimator("lsq_plus"), Role::Activations);
  if (quantizer.learns_offset()) {
    const at::NoGradGuard no_grad;
    quantizer.offset().fill_(1.2F);
  }
  CHECK_FALSE(encoding_fault(quantizer.encoding(), {1}).has_value());
}

}  // namespace
}  // namespace qopt::qat
