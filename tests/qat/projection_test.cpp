// SPDX-License-Identifier: MIT
// Estimators that project: the step is the exact one where there is an exact one, and a
// best found one elsewhere; blended weights move as the formula has it.
#include <algorithm>
#include <cmath>

#include "lib/aten/semantics.h"
#include "lib/qat/fake_quantizer.h"
#include "lib/qat/network.h"
#include "tests/qat/support.h"
#include "tests/qat/toy.h"
#include "tests/support/catch.h"

namespace qopt::qat {
namespace {

double error_at(const at::Tensor& w, Affine e, double step) {
  e.scale[0] = static_cast<float>(step);
  return (aten::fake_quantize(w, e) - w).to(at::kDouble).square().sum().item<double>();
}

/// The least error over many steps, tried one by one.
double best_error(const at::Tensor& w, const Affine& e) {
  const double largest = w.abs().max().item<double>();
  double best = error_at(w, e, largest);
  for (int i = 1; i <= 4000; ++i) {
    best = std::min(best, error_at(w, e, largest * 1.2 * i / 4000));
  }
  return best;
}

FakeQuantizer projected(const Affine& e, const at::Tensor& w) {
  FakeQuantizer quantizer(e, *find_estimator("projected"), Role::Weights);
  quantizer.project(w);
  return quantizer;
}

TEST_CASE("one and three levels are projected exactly") {
  Rng rng(1);
  for (const Affine& e :
       {Affine{LevelSet::O, 1, {0.1F}, {0}, {}}, Affine{LevelSet::T, 2, {0.1F}, {0}, {}},
        Affine{LevelSet::N, 2, {0.1F}, {0}, {}}}) {
    INFO(text(e));
    for (int k = 0; k < 20; ++k) {
      at::Tensor w = uniform({50}, -1, 1, rng);
      w = w * w * w;  // heavy tails
      const FakeQuantizer quantizer = projected(e, w);
      const double step = static_cast<double>(quantizer.encoding().scale[0]);
      CHECK(error_at(w, e, step) <= best_error(w, e) * (1 + 1e-5));
      if (e.levels == LevelSet::O) {
        CHECK(step == Approx(w.abs().mean().item<double>()).epsilon(1e-6));
      }
    }
  }
}

TEST_CASE("more levels are fitted until neither codes nor step can be better") {
  Rng rng(2);
  for (const Affine& e : all_levels()) {
    if (code_max(e.levels, e.bits) < 1) continue;
    INFO(text(e));
    const at::Tensor w = uniform({300}, -1, 1, rng);
    const double before = error_at(w, e, 0.25);
    const FakeQuantizer quantizer = projected(e, w);
    const double step = static_cast<double>(quantizer.encoding().scale[0]);
    const double after = error_at(w, e, step);
    CHECK(after <= before * (1 + 1e-6));
    // A local optimum: for these codes no step is better (Lloyd, at most 20 rounds).
    const at::Tensor y = quantizer.forward(w).to(at::kDouble);
    const double ratio = ((w * y).sum() / y.square().sum()).item<double>();
    if (e.bits <= 4) CHECK(ratio == Approx(1).epsilon(1e-3));
  }
}

TEST_CASE("each channel has its own projection; zeros and no numbers keep the step") {
  Rng rng(3);
  Affine e = by_channel({LevelSet::O, 1, {}, {}, {}}, 1, 4, rng);
  at::Tensor w = uniform({5, 4, 2}, -1, 1, rng);
  w.select(1, 2).zero_();
  w.select(1, 3).fill_(NAN);
  const Affine found = projected(e, w).encoding();
  for (std::int64_t c = 0; c < 2; ++c) {
    const double mean = w.select(1, c).abs().mean().item<double>();
    CHECK(static_cast<double>(found.scale[static_cast<std::size_t>(c)]) ==
          Approx(mean).epsilon(1e-6));
  }
  CHECK(found.scale[2] == e.scale[2]);
  CHECK(found.scale[3] == e.scale[3]);
  // Others keep theirs whatever comes.
  FakeQuantizer lsq(e, *find_estimator("lsq"), Role::Weights);
  lsq.project(w);
  CHECK(lsq.encoding() == e);
}

TEST_CASE("blending draws float weights to the quantised ones") {
  const ToyJob job(bits(1, 4, LevelSet::O));
  QatConfig config = short_training();
  config.weight_estimator = "blended";
  Network network(job.training, job.encoded, config);
  std::vector<at::Tensor> before, quantised;
  const std::vector<Network::LayerCodes> codes = network.codes();
  for (const Parameter& p : network.parameters()) {
    if (p.group == Group::Weights) before.push_back(p.tensor.detach().clone());
  }
  network.before_step(0.25);
  std::size_t layer = 0;
  for (const Parameter& p : network.parameters()) {
    if (p.group != Group::Weights) continue;
    // Undo y' = 3/4 y + 1/4 w: what is left is the quantised weight, on two levels a
    // channel where the layer has one bit (the first and the last have eight).
    const at::Tensor w = (p.tensor.detach() - 0.75 * before[layer]) * 4;
    const at::Tensor rows = w.reshape({w.size(0), -1}).abs();
    if (layer == 1 || layer == 2) {
      CHECK((rows - rows.mean(1, true)).abs().max().item<double>() <= 1e-5);
    }
    CHECK((w - before[layer]).abs().mean().item<double>() > 0);
    ++layer;
  }
  CHECK(layer == 4);
  // It moves towards the nearest level, which so stays the nearest.
  const std::vector<Network::LayerCodes> after = network.codes();
  for (std::size_t l = 0; l < codes.size(); ++l) CHECK(after[l].codes == codes[l].codes);
  // Only `blended` does it.
  config.weight_estimator = "projected";
  Network other(job.training, job.encoded, config);
  const at::Tensor was = other.parameters()[0].tensor.detach().clone();
  other.before_step(0.25);
  CHECK(same_bits(other.parameters()[0].tensor, was));
}

}  // namespace
}  // namespace qopt::qat
