// SPDX-License-Identifier: MIT
#include "lib/qat/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace qopt::qat {

double learning_rate(const QatConfig& c, std::int64_t step, std::int64_t total,
                     std::int64_t per_epoch) {
  const double warmup = c.warmup_epochs * static_cast<double>(per_epoch);
  const double at = static_cast<double>(step);
  if (at < warmup) return c.learning_rate * (at + 1) / (warmup + 1);
  switch (c.schedule) {
    case Schedule::Constant: return c.learning_rate;
    case Schedule::Step: {
      const double epoch = at / static_cast<double>(per_epoch);
      const auto passed =
          std::ranges::count_if(c.milestones, [&](double m) { return epoch >= m; });
      return c.learning_rate * std::pow(c.decay, static_cast<double>(passed));
    }
    case Schedule::Cosine: break;
  }
  const double rest = std::max(1.0, static_cast<double>(total) - warmup);
  const double done = (at - warmup) / rest;
  return c.final_learning_rate + 0.5 * (c.learning_rate - c.final_learning_rate) *
                                     (1 + std::cos(std::numbers::pi * done));
}

}  // namespace qopt::qat
