// SPDX-License-Identifier: MIT
// Schedule: the learning rate of each step. Pure.
#pragma once

#include <cstdint>

#include "lib/qat/qat.h"

namespace qopt::qat {

/// Learning rate at `step` of `total`, `per_epoch` steps an epoch: linear warm-up from
/// zero, then cosine to final_learning_rate, or a fall by `decay` at each milestone.
double learning_rate(const QatConfig& config, std::int64_t step, std::int64_t total,
                     std::int64_t per_epoch);

}  // namespace qopt::qat
