// SPDX-License-Identifier: MIT
// Entropy calibration: the threshold whose quantised histogram diverges least from the
// real one. The procedure is NVIDIA's (pytorch-quantization, calib/histogram.py,
// _compute_amax_entropy).
#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/calib/histogram.h"

namespace qopt::calib {
namespace {

constexpr std::size_t kFirstBin = 128;  // NVIDIA's start_bin

double n_log_n(double n) { return n > 0 ? n * std::log(n) : 0.0; }

/// The histogram with sums over any run of bins in constant time.
struct Sums {
  explicit Sums(const std::vector<std::uint64_t>& bins)
      : counts(bins.size() + 1, 0),
        filled(bins.size() + 1, 0),
        logs(bins.size() + 1, 0.0) {
    for (std::size_t i = 0; i < bins.size(); ++i) {
      counts[i + 1] = counts[i] + bins[i];
      filled[i + 1] = filled[i] + (bins[i] != 0);
      logs[i + 1] = logs[i] + n_log_n(static_cast<double>(bins[i]));
    }
  }
  std::vector<std::uint64_t> counts, filled;
  std::vector<double> logs;  // of n log n
};

/// KL(P || Q) for the first `n` bins. P: the bins, everything beyond added to the last
/// one. Q: the bins pooled into `levels` groups, each spread evenly over its non-empty
/// bins. Both are normalised. With P_k, Q_k as counts, total T and S = sum Q:
///   KL = (sum P log P - sum P log Q) / T - log T + log S,
/// and log Q is constant over a group, so only the groups are walked.
double divergence(const std::vector<std::uint64_t>& bins, const Sums& sums, std::size_t n,
                  std::size_t levels) {
  const std::uint64_t total = sums.counts.back();
  const std::uint64_t kept = sums.counts[n], tail = total - kept;
  const std::uint64_t last = bins[n - 1];
  if (total == 0 || (last == 0 && tail > 0))
    return std::numeric_limits<double>::infinity();
  const double p_log_p = sums.logs[n - 1] + n_log_n(static_cast<double>(last + tail));
  double p_log_q = 0;
  for (std::size_t g = 0; g < std::min(levels, n); ++g) {
    // Bin k belongs to group floor(k * levels / n).
    const std::size_t begin = levels < n ? (g * n + levels - 1) / levels : g;
    const std::size_t end = levels < n ? ((g + 1) * n + levels - 1) / levels : g + 1;
    const std::uint64_t count = sums.counts[end] - sums.counts[begin];
    if (count == 0) continue;
    const std::uint64_t filled = sums.filled[end] - sums.filled[begin];
    const std::uint64_t in_p = count + (end == n ? tail : 0);
    p_log_q += static_cast<double>(in_p) *
               std::log(static_cast<double>(count) / static_cast<double>(filled));
  }
  return (p_log_p - p_log_q) / static_cast<double>(total) -
         std::log(static_cast<double>(total)) + std::log(static_cast<double>(kept));
}

}  // namespace

Range entropy(const Statistics& s, const EstimatorOptions& options) {
  if (s.count == 0 || s.bin_width <= 0) return within(0.0, s, options);
  std::vector<std::uint64_t> bins = magnitudes(s);
  bins[0] = bins[1];  // the zeros of ReLU would decide everything
  const Sums sums(bins);
  const bool one_sided = is_one_sided(s, options);
  const std::size_t levels = std::size_t{1} << (options.bits - (one_sided ? 0 : 1));
  double best = std::numeric_limits<double>::infinity();
  std::size_t threshold = bins.size();
  for (std::size_t n = kFirstBin; n <= bins.size(); ++n) {
    // Where the bins near zero are empty, a threshold that keeps one lone element
    // diverges by nothing at all. No threshold that clips most elements is meant.
    if (2 * sums.counts[n] < sums.counts.back()) continue;
    const double d = divergence(bins, sums, n, levels);
    if (d <= best) best = d, threshold = n;  // the last minimum
  }
  return within(static_cast<double>(threshold) * s.bin_width, s, options);
}

}  // namespace qopt::calib
