// SPDX-License-Identifier: MIT
// Codes as radix-4 digits: a product of codes of any width from products of two bits by
// two bits, as precision-scalable hardware computes it. Knows no weights and no files.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace qopt::emit {

/// x = sum over k of 4^k * digit[k]. Every digit is in 0..3 but the last one, which
/// carries the sign: -2..1. In a packed row (docs/blob.md) of an even width the digits of
/// a code are its two-bit fields, the least first.
struct Digits {
  std::array<std::int8_t, 8> digit{};
  std::size_t count = 0;  // 1..8
  bool operator==(const Digits&) const = default;
};

/// Digits of a two's complement code of 1..16 bits; an odd width counts as the next one.
Digits radix4_digits(std::int32_t code, int bits);

/// What the digits stand for.
std::int32_t from_radix4(const Digits& digits);

/// The product of what both stand for: sum over k, l of 4^(k + l) * a_k * b_l, one cell
/// of two bits by two bits for each pair.
std::int64_t multiply_digits(const Digits& a, const Digits& b);

/// Cells of one product: 1 for 2 by 2 bits, 16 for 8 by 8, 64 for 16 by 16.
int product_cells(int a_bits, int b_bits);

}  // namespace qopt::emit
