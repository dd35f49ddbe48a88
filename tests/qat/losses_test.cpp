// SPDX-License-Identifier: MIT
// Losses and learning rates against numbers worked out by hand.
#include "lib/qat/losses.h"

#include <cmath>

#include "lib/core/error.h"
#include "lib/qat/schedule.h"
#include "tests/support/catch.h"

namespace qopt::qat {
namespace {

LossConfig none() {
  LossConfig c;
  c.cross_entropy = 0;
  return c;
}

LossInputs two_samples() {
  LossInputs in;
  const double ln3 = std::log(3.0);
  in.scores = at::tensor({0.0, ln3, ln3, 0.0}).reshape({2, 2}).to(at::kFloat);
  in.labels = at::tensor({std::int64_t{1}, std::int64_t{1}});
  return in;
}

double value(const LossConfig& c, const LossInputs& in) {
  return loss_of(c, in).item<double>();
}

TEST_CASE("losses are what the formulas give") {
  LossInputs in = two_samples();
  LossConfig c = none();
  c.cross_entropy = 2;
  // Probabilities of the label: 3/4 and 1/4.
  CHECK(value(c, in) == Approx(-(std::log(0.75) + std::log(0.25))).epsilon(1e-6));
  c.label_smoothing = 0.2;  // 0.9 on the label, 0.1 on the other
  const double a = -0.9 * std::log(0.75) - 0.1 * std::log(0.25);
  const double b = -0.9 * std::log(0.25) - 0.1 * std::log(0.75);
  CHECK(value(c, in) == Approx(a + b).epsilon(1e-6));

  const double ln3 = std::log(3.0);
  c = none(), c.mse = 3;
  // Against (0, 1) twice: 0, ln3 - 1 and ln3, -1.
  const double squares = (ln3 - 1) * (ln3 - 1) + ln3 * ln3 + 1;
  CHECK(value(c, in) == Approx(3 * squares / 4).epsilon(1e-6));
  c = none(), c.l1 = 1;
  CHECK(value(c, in) == Approx((ln3 - 1 + ln3 + 1) / 4).epsilon(1e-6));

  c = none(), c.distillation = 1, c.temperature = 2;
  in.labels = at::Tensor();
  in.teacher = at::zeros({2, 2});
  // Student at temperature 2: 1 : sqrt 3; teacher one half each.
  const double p = 1 / (1 + std::sqrt(3.0)), q = 1 - p;
  const double divergence = 0.5 * std::log(0.5 / p) + 0.5 * std::log(0.5 / q);
  CHECK(value(c, in) == Approx(4 * divergence).epsilon(1e-6));

  c = none(), c.features = 0.5;
  in.features = at::tensor({1.0F, 2.0F}), in.wanted = at::tensor({0.0F, 4.0F});
  CHECK(value(c, in) == Approx(0.5 * 2.5).epsilon(1e-6));
  c.distillation = 1;  // terms add up
  c.temperature = 2;
  CHECK(value(c, in) == Approx(1.25 + 4 * divergence).epsilon(1e-6));
}

ExitCode code_of(const LossConfig& c, const LossInputs& in) {
  try {
    loss_of(c, in);
  } catch (const Error& e) {
    return e.code();
  }
  return ExitCode::Ok;
}

TEST_CASE("labels that are missing or no classes, and scores of no classes, are errors") {
  LossInputs in = two_samples();
  in.labels = at::Tensor();
  CHECK(code_of({}, in) == ExitCode::Data);
  in.labels = at::tensor({std::int64_t{0}, std::int64_t{2}});
  CHECK(code_of({}, in) == ExitCode::Data);
  in.labels = at::tensor({std::int64_t{0}, std::int64_t{-1}});
  CHECK(code_of({}, in) == ExitCode::Data);
  in = two_samples();
  in.scores = at::zeros({2, 2, 3, 3});
  CHECK(code_of({}, in) == ExitCode::ModelUnsupported);
  CHECK_FALSE(needs_labels(none()));
  CHECK_FALSE(needs_teacher(none()));
}

TEST_CASE("learning rates") {
  QatConfig c;
  c.learning_rate = 1, c.final_learning_rate = 0.2;
  // Cosine over 8 steps.
  CHECK(learning_rate(c, 0, 8, 4) == 1);
  CHECK(learning_rate(c, 4, 8, 4) == Approx(0.6));
  CHECK(learning_rate(c, 6, 8, 4) ==
        Approx(0.2 + 0.4 * (1 + std::cos(3.14159265358979 * 0.75))));
  // Warm-up over half an epoch of 8: 4 steps of 1/5 each, then cosine over the rest.
  c.warmup_epochs = 0.5;
  for (int step = 0; step < 4; ++step) {
    CHECK(learning_rate(c, step, 16, 8) == Approx((step + 1) / 5.0));
  }
  CHECK(learning_rate(c, 4, 16, 8) == 1);
  CHECK(learning_rate(c, 10, 16, 8) == Approx(0.6));
  c.warmup_epochs = 0;
  c.schedule = Schedule::Step, c.milestones = {1, 2.5}, c.decay = 0.1;
  CHECK(learning_rate(c, 3, 16, 4) == 1);
  CHECK(learning_rate(c, 4, 16, 4) == Approx(0.1));
  CHECK(learning_rate(c, 9, 16, 4) == Approx(0.1));
  CHECK(learning_rate(c, 10, 16, 4) == Approx(0.01));
  c.schedule = Schedule::Constant;
  CHECK(learning_rate(c, 15, 16, 4) == 1);
}

}  // namespace
}  // namespace qopt::qat
