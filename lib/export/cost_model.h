// SPDX-License-Identifier: MIT
// What a convolution costs on a core: one table of cores, and the cycles that each family
// of kernels needs for a layer there. Estimates fitted to counted figures; knows no graph
// and chooses nothing (kernel_choice.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace qopt::emit {

/// Kinds of kernels a convolution can run on.
enum class Family { BitSerial, ByteSums, ShortSums, Int8, Depthwise, Wide };
std::string_view family_name(Family family);  // "bit-serial", "int8", ...
/// The inverse; nothing for other words.
std::optional<Family> family_named(std::string_view name);

/// What a layer asks of a kernel, whatever the core.
struct ConvWork {
  std::int64_t positions = 0;  // of the output: n * oh * ow
  std::int64_t lines = 0;      // n * oh
  std::int64_t outputs = 0;    // channels
  std::int64_t taps = 0;       // kh * kw
  std::int64_t depth = 0;      // codes of a position as the direct kernels walk them
  std::int64_t blocks = 0;     // how often weights are packed
  int weight_bits = 8;         // stored
  std::int64_t inputs = 0;     // positions of the input: n * h * w
  std::int64_t words = 0;      // of 64 channels at one input position
  int pairs = 0;               // planes of weights times planes of input
  int x_planes = 0;
  // Byte sums: how often those of one result are widened; 0: bytes do not hold two steps.
  std::int64_t widenings = 0;
  bool has_pairs =
      false;  // three 8-bit weights in a row, neighbours share their products
  // Of a block of positions, as the direct kernels walk it: bytes of codes that all its
  // products read, bytes that are copied for it; panels of weights, and bytes of one.
  std::int64_t block_bytes = 0, copied_bytes = 0, panels = 0, panel_bytes = 0;
};

/// Cycles of a core for one unit of each kind of work.
struct Rates {
  // Bit-serial: 128 bits of one pair of planes for one result; sum, requantiser and store
  // of one result; packing and gathering one word of a plane of the input.
  double bit_step, bit_result, bit_word;
  // int8: one product; one result; one weight, each time a block of positions packs it,
  // and what narrower ones take on top.
  double product, result, pack, unpack;
  // The first two where pairs of neighbours share products; 0: no such kernel.
  double pair_product, pair_result;
  // Depthwise: one product; beginning and end of one channel's line.
  double depthwise_product, depthwise_line;
  // 16-bit operands or 64-bit sums, in plain C: one product.
  double wide_product;
  // Short sums: one product; one result; one weight, each time a block of positions packs
  // it. 0: no such kernel, int8's runs.
  double short_product = 0, short_result = 0, short_pack = 0;
  // Not counted, but the core's public figure and a guess: bytes of the first data cache,
  // 0 where blocks of positions are left as they are; cycles of 64 bytes from behind it.
  double near_bytes = 0, far_line = 0;
  // Byte sums: one product; widening what four lanes hold for one result. The rest is
  // as with short sums. 0: no such kernel, int8's runs.
  double byte_product = 0, byte_widening = 0;
};

struct Core {
  std::string_view name, features;
  std::vector<Rates> rates;  // several: the geometric mean of all
};

/// All known cores; the first, `generic`, is the default.
const std::vector<Core>& cores();
/// Throws Error(Usage) with the nearest name for an unknown one.
const Core& find_core(std::string_view name);

/// True where one of the core's processors has kernels of the family.
bool has_kernels(const Core& core, Family family);
/// True where the size of blocks of positions is chosen for the core.
bool chooses_blocks(const Core& core);
/// What the size of a block costs beyond `estimated_cycles`, which lets every load hit
/// the first cache: copying its codes, fetching all weights for it, and fetching again
/// for every panel of weights what the cache does not hold beside it. 0 where blocks are
/// not chosen.
double block_cycles(const Core& core, const ConvWork& work);
/// False where one of several processors would take more than twice the cycles that one
/// of the other families takes there.
bool is_bearable(const Core& core, Family family, const std::vector<Family>& others,
                 const ConvWork& work);
/// Estimated cycles of a layer, at least 1.
double estimated_cycles(const Core& core, Family family, const ConvWork& work);

}  // namespace qopt::emit
