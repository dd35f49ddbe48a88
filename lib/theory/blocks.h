// SPDX-License-Identifier: MIT
// Sampling in blocks: a Monte Carlo sum that is the same at any number of threads. Each
// block has its own random stream and its own result; results are merged in the order of
// blocks.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "lib/core/parallel.h"
#include "lib/core/rng.h"

namespace qopt::theory {

constexpr std::int64_t kBlockSamples = 1 << 14;

/// Calls sample(rng, result) `samples` times over the blocks and returns the blocks'
/// results, merged into `start` by start.merge(result). Every block starts from a copy of
/// `start`, which must be the neutral element.
template <class Result, class Sample>
Result sample_in_blocks(std::int64_t samples, std::uint64_t seed, int threads,
                        const Result& start, const Sample& sample) {
  const std::int64_t blocks = (samples + kBlockSamples - 1) / kBlockSamples;
  std::vector<Result> results(static_cast<std::size_t>(blocks), start);
  parallel_for(blocks, threads, [&](std::int64_t block, int) {
    // Two rounds of the generator, so that neighbouring seeds and blocks share no stream.
    Rng rng(Rng(Rng(seed).next() + static_cast<std::uint64_t>(block)).next());
    const std::int64_t count = std::min(kBlockSamples, samples - block * kBlockSamples);
    Result& result = results[static_cast<std::size_t>(block)];
    for (std::int64_t i = 0; i < count; ++i) sample(rng, result);
  });
  Result merged = start;
  for (const Result& result : results) merged.merge(result);
  return merged;
}

}  // namespace qopt::theory
