// SPDX-License-Identifier: MIT
// Rng: a small seeded generator (SplitMix64) with the same stream on every machine. The
// standard library's distributions differ between implementations, so they are not used.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

namespace qopt {

class Rng {
 public:
  explicit Rng(std::uint64_t seed) : state_(seed) {}

  /// Stream `index` of `seed`: streams of one seed start far apart.
  static Rng stream(std::uint64_t seed, std::uint64_t index) {
    Rng starts(seed);
    starts.skip(index);
    return Rng(starts.next());
  }

  /// Passes over the next `draws` results of next(), at once.
  void skip(std::uint64_t draws) { state_ += draws * kStep; }
  std::uint64_t next() {
    std::uint64_t z = (state_ += kStep);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
  }
  /// Uniform in [0, n), n >= 1; the bias of at most n / 2^64 is accepted.
  std::uint64_t below(std::uint64_t n) {
    return static_cast<std::uint64_t>((static_cast<unsigned __int128>(next()) * n) >> 64);
  }
  /// Uniform in [0, 1).
  double uniform() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }
  /// Standard normal (Box-Muller, one value of the pair).
  double normal() { return normals().first; }
  /// Two independent standard normals, from two draws.
  std::pair<double, double> normals() {
    const double u = 1.0 - uniform(), v = uniform();
    const double radius = std::sqrt(-2.0 * std::log(u)), angle = 6.283185307179586 * v;
    return {radius * std::cos(angle), radius * std::sin(angle)};
  }
  template <class T>
  void shuffle(std::span<T> items) {
    for (std::size_t i = items.size(); i > 1; --i)
      std::swap(items[i - 1], items[below(i)]);
  }

 private:
  static constexpr std::uint64_t kStep = 0x9E3779B97F4A7C15ULL;
  std::uint64_t state_;
};

}  // namespace qopt
