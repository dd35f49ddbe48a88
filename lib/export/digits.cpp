// SPDX-License-Identifier: MIT
#include "lib/export/digits.h"

#include "lib/core/error.h"

namespace qopt::emit {
namespace {

std::size_t digits_of_width(int bits) {
  QOPT_CHECK(bits >= 1 && bits <= 16, "digits of {} bits", bits);
  return static_cast<std::size_t>(bits + 1) / 2;
}

}  // namespace

Digits radix4_digits(std::int32_t code, int bits) {
  const std::int32_t half = std::int32_t{1} << (bits - 1);
  QOPT_CHECK(code >= -half && code < half, "code {} of {} bits", code, bits);
  Digits digits;
  digits.count = digits_of_width(bits);
  for (std::size_t k = 0; k < digits.count; ++k) {
    // An arithmetic shift: floor division by 4^k.
    const std::int32_t rest = code >> (2 * k);
    const bool is_last = k + 1 == digits.count;
    digits.digit[k] = static_cast<std::int8_t>(is_last ? rest : rest & 3);
  }
  return digits;
}

std::int32_t from_radix4(const Digits& digits) {
  std::int32_t code = 0;
  for (std::size_t k = digits.count; k-- > 0;) code = 4 * code + digits.digit[k];
  return code;
}

std::int64_t multiply_digits(const Digits& a, const Digits& b) {
  std::int64_t product = 0;
  for (std::size_t k = 0; k < a.count; ++k) {
    for (std::size_t l = 0; l < b.count; ++l) {
      const std::int64_t cell = a.digit[k] * b.digit[l];  // -6..9
      product += cell * (std::int64_t{1} << (2 * (k + l)));
    }
  }
  return product;
}

int product_cells(int a_bits, int b_bits) {
  return static_cast<int>(digits_of_width(a_bits) * digits_of_width(b_bits));
}

}  // namespace qopt::emit
