// SPDX-License-Identifier: MIT
// Inflate: bounded decompression of gzip and raw deflate data held in memory. The caller
// always says how many bytes it wants, so that a small hostile file cannot demand much
// memory.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "lib/data/source.h"

namespace qopt::data {

/// Deflate cannot expand more than this (RFC 1951: 258 bytes out of 2 bits), so a
/// declared size beyond it is a lie that is found before memory is taken.
inline constexpr std::uint64_t kMaxInflateRatio = 1032;

inline bool is_gzip(Bytes bytes) {
  return bytes.size() >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b;
}

/// A forward reader over compressed bytes, which must outlive it. Errors name `where`.
class Inflater {
 public:
  enum class Wrapper { Gzip, Raw };
  Inflater(Bytes compressed, Wrapper wrapper, std::string where);
  ~Inflater();
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  /// Exactly `count` bytes more; Error(Data) when the data is damaged or ends before.
  std::vector<std::uint8_t> take(std::uint64_t count);
  /// Error(Data) unless everything was taken and the check sum (gzip) is right.
  void expect_end();

 private:
  std::size_t read(std::uint8_t* out, std::size_t count);

  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace qopt::data
