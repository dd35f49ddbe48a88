// SPDX-License-Identifier: MIT
#include "lib/graph/encoding.h"

#include <cmath>
#include <limits>

#include "lib/core/rng.h"
#include "tests/support/catch.h"
#include "tests/support/level_sets.h"

namespace qopt {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

Affine per_tensor(LevelSet levels, int bits, float scale, std::int32_t zero = 0) {
  return {levels, bits, {scale}, {zero}, {}};
}

TEST_CASE("level sets hold the codes they say") {
  CHECK(code_min(LevelSet::U, 8) == 0);
  CHECK(code_max(LevelSet::U, 8) == 255);
  CHECK(code_min(LevelSet::S, 8) == -128);
  CHECK(code_max(LevelSet::S, 8) == 127);
  CHECK(code_min(LevelSet::N, 8) == -127);
  CHECK(code_max(LevelSet::N, 8) == 127);
  CHECK(code_min(LevelSet::S, 2) == -2);
  CHECK(code_min(LevelSet::N, 2) == -1);
  CHECK(code_max(LevelSet::U, 16) == 65535);
  CHECK(code_min(LevelSet::S, 16) == -32768);
  CHECK(code_min(LevelSet::S, 1) == -1);
  CHECK(code_max(LevelSet::S, 1) == 0);
  CHECK(code_max(LevelSet::U, 1) == 1);
  CHECK(code_min(LevelSet::O, 1) == -1);
  CHECK(code_max(LevelSet::O, 1) == 1);
  CHECK(code_min(LevelSet::O, 2) == -3);
  CHECK(code_max(LevelSet::O, 7) == 127);
  CHECK(code_min(LevelSet::T, 2) == -1);
  CHECK(code_max(LevelSet::T, 2) == 1);
  for (const auto [levels, bits] : testing::all_level_sets()) {
    CHECK(parse_level_set(level_set_name(levels)) == levels);
    int codes = 0;
    for (std::int32_t c = -70000; c <= 70000; ++c) codes += is_code(c, levels, bits);
    const bool is_short = levels == LevelSet::N || levels == LevelSet::T;
    CHECK(codes == (1 << bits) - (is_short ? 1 : 0));
    CHECK(is_code(0, levels, bits) == has_zero(levels));
    CHECK(is_code(code_min(levels, bits), levels, bits));
    CHECK(is_code(code_max(levels, bits), levels, bits));
    if (is_symmetric(levels)) CHECK(code_min(levels, bits) == -code_max(levels, bits));
  }
  CHECK(testing::all_level_sets().size() == 9 + 9 + 8 + 7 + 1);
  CHECK_FALSE(parse_level_set("x"));
  CHECK_FALSE(parse_level_set(""));
}

TEST_CASE("stored codes fit their signed type") {
  for (const auto [levels, bits] : testing::all_level_sets()) {
    const Affine e = per_tensor(levels, bits, 1.0F);
    const bool wide = bits == 16;
    CHECK(storage_dtype(e) == (wide ? DType::I16 : DType::I8));
    CHECK(stored_min(e) >= (wide ? -32768 : -128));
    CHECK(stored_max(e) <= (wide ? 32767 : 127));
    CHECK(stored_max(e) - stored_min(e) ==
          code_max(levels, bits) - code_min(levels, bits));
  }
  const Affine u8 = per_tensor(LevelSet::U, 8, 1.0F, 3);
  CHECK(storage_offset(u8) == 128);
  CHECK(stored_zero_point(u8) == -125);
  CHECK(storage_offset(per_tensor(LevelSet::U, 16, 1.0F)) == 32768);
  CHECK(storage_offset(per_tensor(LevelSet::U, 7, 1.0F)) == 0);
  CHECK(storage_offset(per_tensor(LevelSet::S, 8, 1.0F)) == 0);
}

TEST_CASE("encode rounds half to even, saturates and survives anything") {
  const Affine e = per_tensor(LevelSet::S, 8, 0.5F, 10);
  struct Row {
    float real;
    std::int32_t code;
  };
  const Row rows[] = {
      {0.0F, 10},    {-0.0F, 10},    {0.25F, 10},    {0.75F, 12},  {1.25F, 12},
      {-0.25F, 10},  {-0.75F, 8},    {0.26F, 11},    {58.5F, 127}, {58.75F, 127},
      {100.0F, 127}, {-69.0F, -128}, {-500.F, -128}, {kInf, 127},  {-kInf, -128},
      {kNan, 10},    {3e38F, 127},   {-3e38F, -128}, {1e-45F, 10},
  };
  for (const Row& row : rows) {
    INFO(row.real);
    CHECK(encode(row.real, e) == row.code);
  }
  // real / scale overflows float32: still the end of the range.
  const Affine tiny = per_tensor(LevelSet::U, 8, 1e-38F, 7);
  CHECK(encode(1e30F, tiny) == 255);
  CHECK(encode(-1e30F, tiny) == 0);
}

TEST_CASE("odd levels take the nearest odd number, ties up, and NaN as zero") {
  struct Row {
    float real;
    std::int32_t one_bit, two_bits;
  };
  const Row rows[] = {
      {0.0F, 1, 1},    {-0.0F, 1, 1},   {1e-30F, 1, 1},   {-1e-30F, -1, -1},
      {0.5F, 1, 1},    {-0.5F, -1, -1}, {0.9F, 1, 1},     {1.0F, 1, 3},
      {-1.0F, -1, -1}, {1.01F, 1, 3},   {-1.01F, -1, -3}, {1.5F, 1, 3},
      {-1.5F, -1, -3}, {99, 1, 3},      {-99, -1, -3},    {kInf, 1, 3},
      {-kInf, -1, -3}, {kNan, 1, 1},    {3e38F, 1, 3},    {-3e38F, -1, -3},
  };
  for (const Row& row : rows) {
    INFO(row.real);
    CHECK(encode(row.real, per_tensor(LevelSet::O, 1, 0.5F)) == row.one_bit);
    CHECK(encode(row.real, per_tensor(LevelSet::O, 2, 0.5F)) == row.two_bits);
  }
  CHECK(decode(-3, per_tensor(LevelSet::O, 2, 0.5F)) == -1.5F);
}

TEST_CASE("no code is nearer than the one encode chooses") {
  Rng rng(5);
  for (const auto [levels, bits] : testing::all_level_sets()) {
    if (bits > 8) continue;
    const std::int32_t lo = code_min(levels, bits), hi = code_max(levels, bits);
    const std::int32_t zero = is_symmetric(levels) ? 0 : lo + (hi - lo) / 2;
    const Affine e = per_tensor(levels, bits, 0.37F, zero);
    int worse = 0;
    for (int i = 0; i < 2000; ++i) {
      const double reach = 0.37 * (hi - lo + 2);
      const auto real = static_cast<float>((rng.uniform() - 0.5) * reach);
      const std::int32_t chosen = encode(real, e);
      if (!is_code(chosen, levels, bits)) ++worse;
      const double error = std::fabs(static_cast<double>(decode(chosen, e) - real));
      for (std::int32_t code = lo; code <= hi; ++code) {
        if (!is_code(code, levels, bits)) continue;
        const double other = std::fabs(static_cast<double>(decode(code, e) - real));
        if (other < error - 1e-5) ++worse;
      }
    }
    INFO(level_set_name(levels) << bits);
    CHECK(worse == 0);
    CHECK(encode(kNan, e) == encode(0.0F, e));
  }
}

TEST_CASE("every code decodes and encodes to itself") {
  for (const auto [levels, bits] : testing::all_level_sets()) {
    for (float scale : {1.0F, 0.1F, 0.007843138F, 3e-5F, 1234.5F}) {
      const std::int32_t lo = code_min(levels, bits), hi = code_max(levels, bits);
      const std::int32_t zero = is_symmetric(levels) ? 0 : lo + (hi - lo) / 3;
      const Affine e = per_tensor(levels, bits, scale, zero);
      std::int32_t wrong = 0;
      for (std::int32_t code = lo; code <= hi; ++code) {
        if (!is_code(code, levels, bits)) continue;
        wrong += encode(decode(code, e), e) == code ? 0 : 1;
      }
      CHECK(wrong == 0);
      CHECK(decode(zero, e) == 0.0F);
    }
  }
}

TEST_CASE("tensors are encoded along their axis") {
  const Affine e{LevelSet::U, 8, {1.0F, 0.5F, 2.0F}, {0, 128, 255}, 1};
  const Tensor real = Tensor::from(
      std::vector<float>{1, 2, 1, 2, -2, -4, 300, kNan, -100, 100, -510, 2}, {2, 3, 2});
  const Tensor stored = encode_tensor(real, e);
  REQUIRE(stored.dtype() == DType::I8);
  const std::vector<int> codes{1, 2, 130, 132, 254, 253, 255, 0, 0, 255, 0, 255};
  for (std::size_t i = 0; i < codes.size(); ++i) {
    INFO(i);
    CHECK(stored.values<std::int8_t>()[i] == codes[i] - 128);
  }
  const Tensor back = decode_tensor(stored, e);
  CHECK(back.shape() == real.shape());
  CHECK(back.values<float>()[2] == 1.0F);
  CHECK(back.values<float>()[5] == -4.0F);
  CHECK(back.values<float>()[6] == 255.0F);
  CHECK(encode_tensor(back, e) == stored);

  const Affine wide = per_tensor(LevelSet::U, 16, 1.0F, 0);
  const Tensor sixteen =
      encode_tensor(Tensor::of(std::vector<float>{0, 65535, 70000}), wide);
  CHECK(sixteen.values<std::int16_t>()[0] == -32768);
  CHECK(sixteen.values<std::int16_t>()[1] == 32767);
  CHECK(sixteen.values<std::int16_t>()[2] == 32767);
}

TEST_CASE("an encoding's faults are named") {
  const Shape shape{4, 3};
  CHECK_FALSE(encoding_fault(per_tensor(LevelSet::S, 8, 1.0F), shape));
  CHECK_FALSE(
      encoding_fault(Affine{LevelSet::N, 4, {1, 1, 1, 1}, {0, 0, 0, 0}, 0}, shape));
  const Affine faulty[] = {
      per_tensor(LevelSet::S, 0, 1.0F),
      per_tensor(LevelSet::N, 1, 1.0F),
      per_tensor(LevelSet::O, 8, 1.0F),
      per_tensor(LevelSet::O, 16, 1.0F),
      per_tensor(LevelSet::O, 2, 1.0F, 1),
      per_tensor(LevelSet::T, 1, 1.0F),
      per_tensor(LevelSet::T, 3, 1.0F),
      per_tensor(LevelSet::T, 2, 1.0F, 1),
      per_tensor(LevelSet::U, 1, 1.0F, 2),
      per_tensor(LevelSet::S, 9, 1.0F),
      per_tensor(LevelSet::S, 15, 1.0F),
      per_tensor(LevelSet::S, 17, 1.0F),
      per_tensor(LevelSet::S, -40, 1.0F),
      per_tensor(LevelSet::S, 8, 0.0F),
      per_tensor(LevelSet::S, 8, -1.0F),
      per_tensor(LevelSet::S, 8, kInf),
      per_tensor(LevelSet::S, 8, kNan),
      per_tensor(LevelSet::S, 8, 1.0F, 128),
      per_tensor(LevelSet::S, 8, 1.0F, -129),
      per_tensor(LevelSet::U, 8, 1.0F, -1),
      per_tensor(LevelSet::N, 8, 1.0F, 1),
      Affine{LevelSet::S, 8, {}, {}, {}},
      Affine{LevelSet::S, 8, {1, 1}, {0, 0}, {}},
      Affine{LevelSet::S, 8, {1, 1, 1}, {0, 0, 0}, 0},
      Affine{LevelSet::S, 8, {1, 1, 1}, {0, 0}, 1},
      Affine{LevelSet::S, 8, {1}, {0}, 2},
      Affine{LevelSet::S, 8, {1}, {0}, -1},
      Affine{LevelSet::S, 8, {1, 1, -1}, {0, 0, 0}, 1},
  };
  for (const Affine& e : faulty) CHECK(encoding_fault(e, shape));
}

}  // namespace
}  // namespace qopt
