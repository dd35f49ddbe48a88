// SPDX-License-Identifier: MIT
// Exact sums of int16 products in int32, by the processor's pair instructions (x86).
// Faster than float BLAS and exact wherever the accumulator fits 32 bits, so it needs no
// further proof. Knows no operator; other processors have no kernel here and use BLAS.
#pragma once

#include <cstdint>
#include <span>

namespace qopt {

/// Outputs that lie side by side in packed weights.
inline constexpr std::int64_t kDotPanel = 16;

/// One tile: acc[r][o] += sum over segments s and i of rows[r][offsets[s] + i] *
/// w[s][i][o] for `rows` input rows and 16 or 32 outputs. A segment is `pairs` pairs of
/// neighbouring inputs.
struct DotTile {
  const std::int16_t* const* rows;
  std::span<const std::int64_t> offsets;
  std::int64_t pairs;
  const std::int16_t* weights;  // [segment][pair][16 outputs][2], one panel
  std::int64_t panel_step;      // elements from one panel to the next
  std::int32_t* acc;
  std::int64_t acc_step;  // from row to row
};

/// Tiles of 1, 2, 4 and 8 rows by 1 and 2 panels; null where the registers do not
/// suffice.
struct DotKernel {
  const char* name;
  using Function = void (*)(const DotTile&);
  Function tiles[4][2];

  /// Any number of rows and panels.
  void run(DotTile tile, std::int64_t rows, std::int64_t panels) const;
};

/// The kernels that this processor can run, the fastest first; may be empty.
std::span<const DotKernel> dot_kernels();

}  // namespace qopt
