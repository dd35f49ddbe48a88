// SPDX-License-Identifier: MIT
#include "lib/qat/estimators.h"

#include <algorithm>

namespace qopt::qat {
namespace {

using enum StepGradient;
using enum Learns;

constexpr Estimator kEstimators[] = {
    {"identity", "passes every gradient, also outside the levels",
     "Bengio 2013; Yin 2019, section 2", true, true, 1, 1, None, Nothing},
    {"relu", "passes gradients of numbers above the lowest level", "Yin 2019, section 2",
     false, true, 0, 1, None, Nothing},
    {"clipped_relu", "passes gradients inside the levels only", "Yin 2019, section 2",
     true, true, 0, 0, None, Nothing},
    {"three_valued", "clipped, and a three-valued gradient of the step",
     "Yin 2018 (BCGD), section 3", false, true, 0, 0, ThreeValued, Step},
    {"pact_step", "clipped, and a gradient of the step from clipped numbers only",
     "Yin 2018 (BCGD), section 3", false, true, 0, 0, Clip, Step},
    {"exact_step", "clipped, and the code as gradient of the step",
     "Yin 2018 (BCGD), section 3", false, true, 0, 0, Code, Step},
    {"lsq", "clipped, learned step by the rounding error", "Esser 2020 (LSQ)", true, true,
     0, 0, Rounding, Step},
    {"lsq_plus", "lsq with a learned offset of the levels", "Bhalgat 2020 (LSQ+)", false,
     true, 0, 0, Rounding, StepAndOffset},
    {"pact", "learned clipping bound, decayed like a weight", "Choi 2018 (PACT)", false,
     true, 0, 0, Clip, Step, Latent::Raw, false, false, false, true},
    {"dorefa", "weights through tanh, activations clipped to the calibrated range",
     "Zhou 2016 (DoReFa-Net)", true, true, 0, 0, None, Nothing, Latent::Tanh},
    {"ewgs", "lsq with gradients scaled by each number's rounding error",
     "Lee 2021 (EWGS), eq. 3", true, true, 0, 0, Rounding, Step, Latent::Raw, false,
     true},
    {"noise", "uniform noise of one step in place of rounding",
     "Defossez 2021 (DiffQ); Baskin 2018 (NICE)", true, true, 0, 0, None, Nothing,
     Latent::Raw, true},
    {"projected", "gradient at the quantised weights, applied to the float ones",
     "Courbariaux 2015 (BinaryConnect); Long 2020", true, false, 1, 1, None, Nothing,
     Latent::Raw, false, false, true},
    {"blended", "projected, with the float weights drawn to the quantised ones",
     "Yin 2018 (BCGD)", true, false, 1, 1, None, Nothing, Latent::Raw, false, false, true,
     false, true},
};

}  // namespace

std::span<const Estimator> estimators() { return kEstimators; }

const Estimator* find_estimator(std::string_view name) {
  const auto found = std::ranges::find(kEstimators, name, &Estimator::name);
  return found == std::end(kEstimators) ? nullptr : &*found;
}

}  // namespace qopt::qat
