// SPDX-License-Identifier: MIT
// What noise does to gradients near zero, ReLU against GELU and SiLU, and the leak rate
// that noise of a given leakage really has (arXiv 2402.02593). Exit code 1 when a figure
// is more than 5 % from the reference or a rate more than 3 standard errors from the
// leakage.
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "lib/core/parallel.h"
#include "lib/theory/analog.h"

namespace {

using namespace qopt::theory;

/// Of an independent calculation, as printed there: two to four digits, so up to 6 % of
/// rounding in the last rows; the ratios have more.
struct Reference {
  int bits;
  double relu, gelu, silu, by_gelu, by_silu;
};
constexpr Reference kReferences[] = {{2, .313, .1035, .0658, 3.0, 4.8},
                                     {4, .317, .0213, .0133, 14.9, 23.8},
                                     {6, .319, .0050, .0032, 63, 101},
                                     {8, .317, .0012, .0008, 254, 406}};

bool print(const char* name, double ours, double reference) {
  const double difference = ours / reference - 1;
  std::printf(" | %-9s %9.5f %8.4f %+5.1f%%", name, ours, reference, 100 * difference);
  return std::abs(difference) <= 0.05;
}

bool gradient_table() {
  std::printf(
      "Mean |f'(x + n) - f'(x)|, x uniform within half a bin of 0, n of sigma half a "
      "bin: ours, reference, difference\n");
  bool holds = true;
  for (const Reference& r : kReferences) {
    const GradientErrors e = gradient_errors(r.bits);
    std::printf("%d bits, sigma %.4f", e.bits, e.sigma);
    holds = print("ReLU", e.relu, r.relu) && holds;
    holds = print("GELU", e.gelu, r.gelu) && holds;
    holds = print("SiLU", e.silu, r.silu) && holds;
    std::printf("\n%20s", "");
    holds = print("ReLU/GELU", e.relu / e.gelu, r.by_gelu) && holds;
    holds = print("ReLU/SiLU", e.relu / e.silu, r.by_silu) && holds;
    std::printf("\n");
  }
  return holds;
}

bool leak_rates() {
  constexpr std::int64_t kSamples = 4'000'000;
  std::printf("\nMeasured leak rate, %lld samples\n%4s %8s %9s %9s %9s %6s\n",
              static_cast<long long>(kSamples), "bits", "leakage", "sigma", "measured",
              "std error", "z");
  bool holds = true;
  for (const int bits : {4, 6}) {
    for (const double leakage : {0.2, 0.4, 0.5, 0.6}) {
      const int levels = levels_per_unit(bits);
      const double sigma = noise_sigma(leakage, levels);
      const LeakRate r =
          measure_leak_rate(sigma, levels, kSamples, static_cast<std::uint64_t>(bits),
                            qopt::default_threads());
      const double z = (r.rate - leakage) / r.standard_error;
      std::printf("%4d %8.1f %9.6f %9.6f %9.6f %+6.2f\n", bits, leakage, sigma, r.rate,
                  r.standard_error, z);
      holds = holds && std::abs(z) <= 3;
    }
  }
  return holds;
}

}  // namespace

int main() {
  const bool table = gradient_table(), rates = leak_rates();
  std::printf(
      "\n%s: every figure within 5 %% of the reference\n%s: every rate within 3 "
      "standard errors of the leakage\n",
      table ? "holds" : "DOES NOT HOLD", rates ? "holds" : "DOES NOT HOLD");
  return table && rates ? EXIT_SUCCESS : EXIT_FAILURE;
}
