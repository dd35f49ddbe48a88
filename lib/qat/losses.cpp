// SPDX-License-Identifier: MIT
#include "lib/qat/losses.h"

#include <fmt/format.h>

#include "lib/core/error.h"

namespace qopt::qat {
namespace {

at::Tensor one_hot(const LossInputs& in) {
  return at::one_hot(in.labels, in.scores.size(1)).to(in.scores.scalar_type());
}

/// KL(teacher || student) at temperature T, times T^2 so that its gradient does not
/// shrink with T (Hinton 2015, section 2).
at::Tensor distillation(const LossInputs& in, double temperature) {
  const at::Tensor student = at::log_softmax(in.scores / temperature, 1);
  const at::Tensor teacher = at::log_softmax(in.teacher / temperature, 1);
  const at::Tensor divergence = (teacher.exp() * (teacher - student)).sum(1).mean();
  return divergence * (temperature * temperature);
}

/// Labels must name classes of the scores; LibTorch's own complaint names neither.
void require_classes(const LossInputs& in) {
  if (in.scores.dim() != 2) {
    throw Error(ExitCode::ModelUnsupported, "",
                fmt::format("losses with labels need scores by sample and class; the "
                            "model's output has {} axes",
                            in.scores.dim()),
                "leave cross_entropy, mse and l1 at 0 and use distillation");
  }
  const auto least = in.labels.min().item<std::int64_t>();
  const auto most = in.labels.max().item<std::int64_t>();
  if (least < 0 || most >= in.scores.size(1)) {
    throw Error(ExitCode::Data, "",
                fmt::format("label {} of a training sample, but the model has {} classes",
                            least < 0 ? least : most, in.scores.size(1)),
                "check data.train");
  }
}

}  // namespace

bool needs_labels(const LossConfig& c) {
  return c.cross_entropy > 0 || c.mse > 0 || c.l1 > 0;
}
bool needs_teacher(const LossConfig& c) { return c.distillation > 0 || c.features > 0; }

at::Tensor loss_of(const LossConfig& c, const LossInputs& in) {
  if (needs_labels(c) && !in.labels.defined()) {
    throw Error(ExitCode::Data, "", "the training samples have no labels",
                "leave cross_entropy, mse and l1 at 0 and use distillation");
  }
  if (needs_labels(c)) require_classes(in);
  at::Tensor total = at::zeros({}, in.scores.options());
  if (c.cross_entropy > 0) {
    total = total + c.cross_entropy * at::cross_entropy_loss(in.scores, in.labels, {},
                                                             at::Reduction::Mean, -100,
                                                             c.label_smoothing);
  }
  if (c.mse > 0) total = total + c.mse * at::mse_loss(in.scores, one_hot(in));
  if (c.l1 > 0) total = total + c.l1 * at::l1_loss(in.scores, one_hot(in));
  if (c.distillation > 0) {
    total = total + c.distillation * distillation(in, c.temperature);
  }
  if (c.features > 0) total = total + c.features * at::mse_loss(in.features, in.wanted);
  return total;
}

}  // namespace qopt::qat
