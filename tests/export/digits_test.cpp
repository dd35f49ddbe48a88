// SPDX-License-Identifier: MIT
// Radix-4 digits: every code, every product of codes up to 8 bits, many of 16; and every
// code of every width through a packed row.
#include "lib/export/digits.h"

#include "lib/core/error.h"
#include "lib/core/rng.h"
#include "lib/export/blob.h"
#include "tests/support/catch.h"

using namespace qopt;
using namespace qopt::emit;

namespace {

/// All codes of a width in order; odd ones where `odd`.
std::vector<std::int32_t> codes_of(int bits, bool odd = false) {
  std::vector<std::int32_t> codes;
  const std::int32_t half = 1 << (bits - 1);
  for (std::int32_t code = -half; code < half; ++code)
    codes.push_back(odd ? 2 * code + 1 : code);
  return codes;
}

template <class T>
Tensor row_of(const std::vector<std::int32_t>& codes) {
  std::vector<T> row;
  for (const std::int32_t code : codes) row.push_back(static_cast<T>(code));
  return Tensor::from(row, {1, static_cast<std::int64_t>(row.size())});
}

}  // namespace

TEST_CASE("every code is the sum of its digits", "[export]") {
  for (int bits = 1; bits <= 16; ++bits) {
    bool all = true;
    for (const std::int32_t code : codes_of(bits)) {
      const Digits digits = radix4_digits(code, bits);
      all = all && from_radix4(digits) == code &&
            digits.count == static_cast<std::size_t>(bits + 1) / 2;
      for (std::size_t k = 0; k < digits.count; ++k) {
        const bool is_last = k + 1 == digits.count;
        all = all && digits.digit[k] >= (is_last ? -2 : 0) &&
              digits.digit[k] <= (is_last ? 1 : 3);
      }
    }
    INFO(bits << " bits");
    CHECK(all);
  }
  CHECK_THROWS_AS(radix4_digits(2, 2), InternalError);
  CHECK_THROWS_AS(radix4_digits(-3, 2), InternalError);
  CHECK_THROWS_AS(radix4_digits(0, 17), InternalError);
}

TEST_CASE("every product of up to 8 bits is the sum of its cells", "[export]") {
  for (int a_bits = 1; a_bits <= 8; ++a_bits) {
    for (int b_bits = 1; b_bits <= 8; ++b_bits) {
      bool all = true;
      for (const std::int32_t a : codes_of(a_bits)) {
        const Digits left = radix4_digits(a, a_bits);
        for (const std::int32_t b : codes_of(b_bits))
          all = all && multiply_digits(left, radix4_digits(b, b_bits)) == a * b;
      }
      INFO(a_bits << " by " << b_bits << " bits");
      CHECK(all);
    }
  }
}

TEST_CASE("products of 16 bits are the sums of their cells", "[export]") {
  Rng rng(17);
  bool all = true;
  const auto check = [&](std::int32_t a, std::int32_t b, int b_bits) {
    all = all && multiply_digits(radix4_digits(a, 16), radix4_digits(b, b_bits)) ==
                     std::int64_t{a} * b;
  };
  for (const std::int32_t a : codes_of(16)) {
    for (const std::int32_t b : {-32768, -32767, -1, 0, 1, 32767}) check(a, b, 16);
    for (const std::int32_t b : codes_of(2)) check(a, b, 2);  // asymmetric: 16 by 2
  }
  for (int round = 0; round < 2'000'000; ++round) {
    const std::uint64_t bits = rng.next();
    check(static_cast<std::int16_t>(bits >> 8), static_cast<std::int16_t>(bits >> 40),
          16);
  }
  CHECK(all);
}

TEST_CASE("cells of products", "[export]") {
  CHECK(product_cells(2, 2) == 1);
  CHECK(product_cells(4, 4) == 4);
  CHECK(product_cells(8, 8) == 16);
  CHECK(product_cells(16, 16) == 64);
  CHECK(product_cells(2, 8) == 4);
  CHECK(product_cells(3, 5) == 6);
}

TEST_CASE("every code of every width survives packing in every place of a byte",
          "[export]") {
  for (const int bits : {1, 2, 3, 4, 5, 6, 7, 8, 16}) {
    for (const bool odd : {false, true}) {
      if (odd && bits >= 8) continue;
      std::vector<std::int32_t> codes = codes_of(bits, odd);
      const std::size_t count = codes.size();
      // Each code begins at each bit of a byte, beside each neighbour of a few.
      for (std::size_t turn = 0; turn < 8; ++turn) {
        const DType dtype = bits == 16 ? DType::I16 : DType::I8;
        const Tensor row =
            bits == 16 ? row_of<std::int16_t>(codes) : row_of<std::int8_t>(codes);
        const std::int64_t length = row.size();
        const std::string packed = pack_rows(row, length, bits, odd);
        INFO(bits << (odd ? " odd bits" : " bits"));
        CHECK(packed.size() == (codes.size() * static_cast<std::size_t>(bits) + 7) / 8);
        CHECK(unpack_rows(packed, dtype, {1, length}, length, bits, odd) == row);
        codes.insert(codes.begin(), codes[turn * 5 % count]);
      }
    }
  }
}

TEST_CASE("a packed row of an even width is its digits", "[export]") {
  for (const int bits : {2, 4, 6, 8, 16}) {
    const std::vector<std::int32_t> codes = codes_of(bits);
    const Tensor row =
        bits == 16 ? row_of<std::int16_t>(codes) : row_of<std::int8_t>(codes);
    const std::string packed = pack_rows(row, row.size(), bits);
    bool all = true;
    for (std::size_t i = 0; i < codes.size(); ++i) {
      const Digits digits = radix4_digits(codes[i], bits);
      for (std::size_t k = 0; k < digits.count; ++k) {
        const std::size_t bit = i * static_cast<std::size_t>(bits) + 2 * k;
        const int field = static_cast<unsigned char>(packed[bit / 8]) >> (bit % 8) & 3;
        all = all && field == (digits.digit[k] & 3);
      }
    }
    INFO(bits << " bits");
    CHECK(all);
  }
}
