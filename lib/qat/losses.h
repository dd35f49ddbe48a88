// SPDX-License-Identifier: MIT
// Losses: how far a network's outputs are from labels and from the float original. Pure
// functions of tensors.
#pragma once

#include <ATen/ATen.h>

#include "lib/qat/qat.h"

namespace qopt::qat {

/// What one forward pass gave, and what it is compared with. Scores are [N, classes];
/// undefined tensors are absent.
struct LossInputs {
  at::Tensor scores, labels;    // labels i64 [N]
  at::Tensor teacher;           // the original's scores
  at::Tensor features, wanted;  // a value, and the original's
};

/// The weighted sum of the configured terms, each a mean over the batch. Throws
/// Error(Data) when a term wants labels and there are none, or they are no classes of the
/// scores.
at::Tensor loss_of(const LossConfig& config, const LossInputs& inputs);

/// True when a term compares with labels, or with the original.
bool needs_labels(const LossConfig& config);
bool needs_teacher(const LossConfig& config);

}  // namespace qopt::qat
