// SPDX-License-Identifier: MIT
// Encodings: how a real number becomes an integer code. Methods choose them, executors
// honour them, exporters write them; this file only says what they are.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "lib/core/tensor.h"

namespace qopt {

/// Sets of codes, named by what they contain (never by the words unipolar or bipolar).
///   U  {0 .. 2^b - 1}
///   S  {-2^(b-1) .. 2^(b-1) - 1}        two's complement
///   N  {-(2^(b-1) - 1) .. 2^(b-1) - 1}  narrow: symmetric about zero
///   O  {-(2^b - 1), -(2^b - 3) .. -1, 1 .. 2^b - 1}  odd: no zero; 1 bit is {-1, 1}
///   T  {-1, 0, 1}                       ternary, 2 bits
enum class LevelSet { U, S, N, O, T };

/// real = scale[c] * (code - zero_point[c]).
///
/// `bits` is what bits_fault allows. Per tensor: `scale` and `zero_point` hold one entry
/// and `axis` is empty. Per channel: one entry for each index along `axis` of the value's
/// shape. Scales are finite and > 0; a zero point is itself a code of the level set. N, O
/// and T are symmetric: their zero point is 0, which is no code of O. So O is for
/// constants only: an activation could not say its padding.
struct Affine {
  LevelSet levels = LevelSet::S;
  int bits = 8;
  std::vector<float> scale;
  std::vector<std::int32_t> zero_point;
  std::optional<int> axis;

  bool operator==(const Affine&) const = default;
};

/// The closed set of encodings. Visit without a catch-all arm, so that a new encoding
/// lists its rooms as compile errors.
using Encoding = std::variant<Affine>;

/// Smallest and largest code of a level set.
std::int32_t code_min(LevelSet levels, int bits);
std::int32_t code_max(LevelSet levels, int bits);
std::string_view level_set_name(LevelSet levels);  // "u", "s", "n", "o", "t"
std::optional<LevelSet> parse_level_set(std::string_view text);

/// Empty when the level set may have this many bits (U and S 1..8 and 16, N 2..8 and 16,
/// O 1..7, T 2), else which it may have: "n has 2 to 8 bits, or 16".
std::optional<std::string> bits_fault(LevelSet levels, int bits);
/// False for O: real 0 has no code.
bool has_zero(LevelSet levels);
/// True for N, O and T: a code's negative is a code, and the zero point is 0.
bool is_symmetric(LevelSet levels);
/// Whether `code` is one of the level set's.
bool is_code(std::int32_t code, LevelSet levels, int bits);

/// How codes are stored on the device. Up to 8 bits: int8; 16 bits: int16. `u` at 8 and
/// 16 bits does not fit the signed type, so its stored code is code - 2^(bits-1); every
/// other encoding is stored as it is. Integer-level graphs hold stored codes only.
DType storage_dtype(const Affine& encoding);
std::int32_t storage_offset(const Affine& encoding);  // stored = code - storage_offset
std::int32_t stored_min(const Affine& encoding);
std::int32_t stored_max(const Affine& encoding);
std::int32_t stored_zero_point(const Affine& encoding, std::size_t channel = 0);

/// Code of `real`: clamp(round_half_even(real / scale) + zero_point). For O, the nearest
/// odd number, ties up: clamp(2 * floor(real / scale / 2) + 1). float32 division, so that
/// device code can do the same. NaN encodes as 0 does: the zero point, and 1 for O.
std::int32_t encode(float real, const Affine& encoding, std::size_t channel = 0);
/// Real value of a code.
float decode(std::int32_t code, const Affine& encoding, std::size_t channel = 0);

/// Whole tensors: f32 to stored codes of storage_dtype, and back. Per-channel along
/// `axis`.
Tensor encode_tensor(const Tensor& real, const Affine& encoding);
Tensor decode_tensor(const Tensor& stored, const Affine& encoding);

/// Empty when well formed for a value of this shape, else what is wrong.
std::optional<std::string> encoding_fault(const Encoding& encoding, const Shape& shape);

}  // namespace qopt
