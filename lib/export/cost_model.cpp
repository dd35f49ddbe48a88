// SPDX-License-Identifier: MIT
#include "lib/export/cost_model.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <string>

#include "lib/core/error.h"
#include "lib/core/names.h"

namespace qopt::emit {
namespace {

// Least-squares fits to the tables of docs/performance.md, section by section; the test
// of this file holds them to within its band. "The cost model" there says how.

// clang-format off
//                          bit: step result  word   int8: product result   pack unpack  pairs: product result  depthwise: product line  wide  short: product result pack   near  line  byte: product widening
constexpr Rates kCortexA53 = {3.627,  4.385,  29.4,       0.3138,  6.61,     0,   0.63,          0,      0,              0.643,  7.32, 2.0,         0.1273, 4.20, 1.431,   32768, 8,  0.0688, 0.288};
constexpr Rates kCortexA55 = {3.627,  4.385,  29.4,       0.0794,  2.98, 4.534,   0.63,          0,      0,              0.643,  7.32, 2.0,         0,      0,    0,   32768, 6};
constexpr Rates kCortexA72 = {1.473,  2.33,   11.3,       0.1262,  3.22,     0,   0.25,          0,      0,              0.265,  3.22, 1.51,        0.1772, 2.55, 0.429,   32768, 4,  0.1263, 0.393};
constexpr Rates kNeoverseN1 = {1.450, 1.837,   9.93,      0.0321,  1.21,     0,   0.21,          0,      0,              0.2448, 2.40, 1.01,        0,      0,    0,   65536, 2};
constexpr Rates kAvx2 =      {2.288,  2.963,  66.0,       0.0711,  2.545, 0.864,  2.66,          0.0453, 9.5,            0.214, 17.5, 1.0,         0,      0,    0};
constexpr Rates kAvx512 =    {0.3775, 2.963,  66.0,       0.0116, 13.24,     0,   0.25,          0,      0,              0.283, 33.1, 1.0,         0,      0,    0};
// clang-format on

std::int64_t round_up(std::int64_t x, std::int64_t step) {
  return (x + step - 1) / step * step;
}

double cycles_at(const Rates& r, Family family, const ConvWork& w) {
  const auto count = [](std::int64_t x) { return static_cast<double>(x); };
  const double results = count(w.positions) * count(w.outputs);
  switch (family) {
    case Family::BitSerial: {
      // Tiles are four rows by four columns; a step is two words of 64 channels.
      const double padded =
          count(round_up(w.positions, 4)) * count(round_up(w.outputs, 4));
      return r.bit_step * padded * count(w.taps * w.words * w.pairs) / 2 +
             r.bit_result * padded +
             r.bit_word * count(w.inputs) * count(w.taps * w.words * w.x_planes);
    }
    case Family::ByteSums:
    case Family::ShortSums: {
      const bool is_byte = family == Family::ByteSums;
      const double product = is_byte ? r.byte_product : r.short_product;
      if (product == 0) return cycles_at(r, Family::Int8, w);
      const double widening = is_byte ? r.byte_widening * count(w.widenings) : 0;
      const double columns = count(round_up(w.outputs, 8));
      return (product * count(w.depth) + widening) * count(w.positions) * columns +
             r.short_result * results +
             r.short_pack * count(w.blocks) * count(w.outputs) * count(w.depth);
    }
    case Family::Int8: {
      const double columns = count(round_up(w.outputs, 8));
      const double weight = r.pack + (w.weight_bits < 8 ? r.unpack : 0);
      const bool has_pairs = w.has_pairs && r.pair_product > 0;
      return (has_pairs ? r.pair_product : r.product) * count(w.positions) * columns *
                 count(w.depth) +
             (has_pairs ? r.pair_result : r.result) * results +
             weight * count(w.blocks) * count(w.outputs) * count(w.depth);
    }
    case Family::Depthwise:
      return r.depthwise_product * results * count(w.taps) +
             r.depthwise_line * count(w.lines) * count(w.outputs);
    case Family::Wide: return r.wide_product * results * count(w.depth);
  }
  throw InternalError("unknown family");
}

}  // namespace

std::string_view family_name(Family family) {
  switch (family) {
    case Family::BitSerial: return "bit-serial";
    case Family::ByteSums: return "byte-sums";
    case Family::ShortSums: return "short-sums";
    case Family::Int8: return "int8";
    case Family::Depthwise: return "depthwise";
    case Family::Wide: return "wide";
  }
  throw InternalError("unknown family");
}

std::optional<Family> family_named(std::string_view name) {
  for (const Family family : {Family::BitSerial, Family::ByteSums, Family::ShortSums,
                              Family::Int8, Family::Depthwise, Family::Wide}) {
    if (family_name(family) == name) return family;
  }
  return std::nullopt;
}

const std::vector<Core>& cores() {
  static const std::vector<Core> kCores = {
      // One export for many cores: what is cheapest on their average.
      {"generic",
       "the mean of cortex-a53, -a55, -a72 and -a76",
       {kCortexA53, kCortexA55, kCortexA72, kNeoverseN1}},
      {"cortex-a53", "neon, in order", {kCortexA53}},
      {"cortex-a55", "neon, dotprod, in order", {kCortexA55}},
      {"cortex-a72", "neon", {kCortexA72}},
      {"cortex-a76", "neon, dotprod", {kNeoverseN1}},
      {"neoverse-n1", "neon, dotprod", {kNeoverseN1}},
      {"avx2", "x86 with avx2", {kAvx2}},
      {"avx512-vnni", "x86 with avx512 vnni and vpopcntdq", {kAvx512}},
  };
  return kCores;
}

const Core& find_core(std::string_view name) {
  std::set<std::string> known;
  for (const Core& core : cores()) {
    if (core.name == name) return core;
    known.emplace(core.name);
  }
  const std::string near = nearest(name, known);
  std::string list;
  for (const Core& core : cores())
    list += (list.empty() ? "" : ", ") + std::string(core.name);
  throw Error(ExitCode::Usage, printable(name), "unknown core",
              near.empty() ? "known cores: " + list : "did you mean '" + near + "'?");
}

bool has_kernels(const Core& core, Family family) {
  const auto any = [&core](double Rates::*rate) {
    return std::ranges::any_of(core.rates,
                               [rate](const Rates& r) { return r.*rate > 0; });
  };
  if (family == Family::ByteSums) return any(&Rates::byte_product);
  return family != Family::ShortSums || any(&Rates::short_product);
}

bool chooses_blocks(const Core& core) {
  return core.rates.size() == 1 && core.rates.front().near_bytes > 0;
}

double block_cycles(const Core& core, const ConvWork& w) {
  if (!chooses_blocks(core)) return 0;
  constexpr double kLine = 64, kVector = 16;
  const Rates& r = core.rates.front();
  const auto count = [](std::int64_t x) { return static_cast<double>(x); };
  const double over = count(w.block_bytes + w.panel_bytes) - r.near_bytes;
  const double far = std::clamp(over, 0.0, count(w.block_bytes));
  const double weights = count(w.outputs * w.depth * w.weight_bits) / 8;
  return count(w.blocks) * (count(w.copied_bytes) / kVector +
                            (count(w.panels) * far + weights) / kLine * r.far_line);
}

bool is_bearable(const Core& core, Family family, const std::vector<Family>& others,
                 const ConvWork& work) {
  constexpr double kMost = 2;
  return core.rates.size() == 1 || std::ranges::all_of(core.rates, [&](const Rates& r) {
           return std::ranges::all_of(others, [&](Family other) {
             return cycles_at(r, family, work) <= kMost * cycles_at(r, other, work);
           });
         });
}

double estimated_cycles(const Core& core, Family family, const ConvWork& work) {
  double logarithms = 0;
  for (const Rates& rates : core.rates) {
    logarithms += std::log(std::max(1.0, cycles_at(rates, family, work)));
  }
  return std::exp(logarithms / static_cast<double>(core.rates.size()));
}

}  // namespace qopt::emit
