// SPDX-License-Identifier: MIT
// What a training run remembers of its past, and its form in a checkpoint's header. Knows
// no tensors.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "lib/qat/qat.h"

namespace qopt::qat {

/// Sums since the last visit.
struct Stretch {
  double loss = 0;
  std::int64_t steps = 0, correct = 0, count = 0;
  std::vector<std::int64_t> flips;  // by layer

  double accuracy() const {
    return 100.0 * static_cast<double>(correct) / static_cast<double>(count);
  }
};

/// One line for who watches.
std::string text_of(const Visit& visit);

/// Adds visits, flips, scores and the sums to `header`.
void write_history(nlohmann::json& header, const QatResult& result,
                   const Stretch& stretch, double best_score);

/// Puts back what write_history wrote; `result` has its layers already. Empty when all is
/// there, else what is wrong.
std::optional<std::string> read_history(const nlohmann::json& header, QatResult& result,
                                        Stretch& stretch, double& best_score);

}  // namespace qopt::qat
