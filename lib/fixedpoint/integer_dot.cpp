// SPDX-License-Identifier: MIT
// Tiles of pair products for AVX2, AVX-512BW and AVX-512 VNNI, and their choice at run
// time.
#include "lib/fixedpoint/integer_dot.h"

#include <cstring>
#include <vector>

#if defined(__x86_64__) && defined(__GNUC__)
#define QOPT_HAS_DOT 1
#include <immintrin.h>
#endif

namespace qopt {

#ifdef QOPT_HAS_DOT
namespace {

/// Two neighbouring codes as one 32-bit lane.
inline std::int32_t pair_at(const std::int16_t* x) {
  std::int32_t pair;
  std::memcpy(&pair, x, sizeof pair);
  return pair;
}

#define QOPT_INLINE __attribute__((always_inline)) inline

namespace avx2 {
#define QOPT_TARGET __attribute__((target("avx2")))
using Vec = __m256i;
constexpr int kLanes = 8;
QOPT_TARGET QOPT_INLINE Vec load(const void* p) {
  return _mm256_loadu_si256(static_cast<const Vec*>(p));
}
QOPT_TARGET QOPT_INLINE void store(void* p, Vec v) {
  _mm256_storeu_si256(static_cast<Vec*>(p), v);
}
QOPT_TARGET QOPT_INLINE Vec broadcast(const std::int16_t* p) {
  return _mm256_set1_epi32(pair_at(p));
}
QOPT_TARGET QOPT_INLINE Vec multiply_add(Vec acc, Vec a, Vec b) {
  return _mm256_add_epi32(acc, _mm256_madd_epi16(a, b));
}
#include "lib/fixedpoint/integer_dot_tile.inc"
#undef QOPT_TARGET
}  // namespace avx2

namespace avx512 {
#define QOPT_TARGET __attribute__((target("avx512f,avx512bw")))
using Vec = __m512i;
constexpr int kLanes = 16;
QOPT_TARGET QOPT_INLINE Vec load(const void* p) { return _mm512_loadu_si512(p); }
QOPT_TARGET QOPT_INLINE void store(void* p, Vec v) { _mm512_storeu_si512(p, v); }
QOPT_TARGET QOPT_INLINE Vec broadcast(const std::int16_t* p) {
  return _mm512_set1_epi32(pair_at(p));
}
QOPT_TARGET QOPT_INLINE Vec multiply_add(Vec acc, Vec a, Vec b) {
  return _mm512_add_epi32(acc, _mm512_madd_epi16(a, b));
}
#include "lib/fixedpoint/integer_dot_tile.inc"
#undef QOPT_TARGET
}  // namespace avx512

namespace vnni {
#define QOPT_TARGET __attribute__((target("avx512f,avx512bw,avx512vnni")))
using Vec = __m512i;
constexpr int kLanes = 16;
QOPT_TARGET QOPT_INLINE Vec load(const void* p) { return _mm512_loadu_si512(p); }
QOPT_TARGET QOPT_INLINE void store(void* p, Vec v) { _mm512_storeu_si512(p, v); }
QOPT_TARGET QOPT_INLINE Vec broadcast(const std::int16_t* p) {
  return _mm512_set1_epi32(pair_at(p));
}
QOPT_TARGET QOPT_INLINE Vec multiply_add(Vec acc, Vec a, Vec b) {
  return _mm512_dpwssd_epi32(acc, a, b);
}
#include "lib/fixedpoint/integer_dot_tile.inc"
#undef QOPT_TARGET
}  // namespace vnni

constexpr DotKernel kVnni{"avx512vnni",
                          {{vnni::tile<1, 1>, vnni::tile<1, 2>},
                           {vnni::tile<2, 1>, vnni::tile<2, 2>},
                           {vnni::tile<4, 1>, vnni::tile<4, 2>},
                           {vnni::tile<8, 1>, vnni::tile<8, 2>}}};
constexpr DotKernel kAvx512{"avx512bw",
                            {{avx512::tile<1, 1>, avx512::tile<1, 2>},
                             {avx512::tile<2, 1>, avx512::tile<2, 2>},
                             {avx512::tile<4, 1>, avx512::tile<4, 2>},
                             {avx512::tile<8, 1>, avx512::tile<8, 2>}}};
constexpr DotKernel kAvx2{"avx2",
                          {{avx2::tile<1, 1>, nullptr},
                           {avx2::tile<2, 1>, nullptr},
                           {avx2::tile<4, 1>, nullptr},
                           {nullptr, nullptr}}};

std::vector<DotKernel> detect() {
  std::vector<DotKernel> kernels;
  const bool wide =
      __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw");
  if (wide && __builtin_cpu_supports("avx512vnni")) kernels.push_back(kVnni);
  if (wide) kernels.push_back(kAvx512);
  if (__builtin_cpu_supports("avx2")) kernels.push_back(kAvx2);
  return kernels;
}

}  // namespace

std::span<const DotKernel> dot_kernels() {
  static const std::vector<DotKernel> kernels = detect();
  return kernels;
}
#else
std::span<const DotKernel> dot_kernels() { return {}; }
#endif

void DotKernel::run(DotTile tile, std::int64_t rows, std::int64_t panels) const {
  const std::int16_t* const* first_row = tile.rows;
  for (std::int64_t panel = 0; panel < panels;) {
    // Weights of one or two panels stay in cache while all rows pass.
    const int wide = panels - panel >= 2 && tiles[0][1] != nullptr ? 1 : 0;
    std::int32_t* const acc = tile.acc;
    std::int64_t row = 0;
    for (int size = 3; size >= 0; --size) {
      if (tiles[size][wide] == nullptr) continue;
      for (; rows - row >= std::int64_t{1} << size; row += std::int64_t{1} << size) {
        tile.rows = first_row + row;
        tile.acc = acc + row * tile.acc_step;
        tiles[size][wide](tile);
      }
    }
    tile.acc = acc + (wide + 1) * kDotPanel;
    tile.weights += (wide + 1) * tile.panel_step;
    panel += wide + 1;
  }
}

}  // namespace qopt
