// SPDX-License-Identifier: MIT
#include "lib/core/tensor.h"

#include <limits>

#include "lib/core/rng.h"
#include "tests/support/catch.h"

using namespace qopt;

TEST_CASE("num_elements refuses what cannot be") {
  CHECK(num_elements({}) == 1);
  CHECK(num_elements({2, 0, 3}) == 0);
  CHECK_THROWS_AS(num_elements({-1}), Error);
  CHECK_THROWS_AS(num_elements({std::int64_t{1} << 40, std::int64_t{1} << 40}), Error);
  CHECK_THROWS_AS(Tensor::zeros(DType::F64, {std::int64_t{1} << 61}), Error);
}

TEST_CASE("permuted moves axes as torch.permute does") {
  std::vector<std::int32_t> values(24);
  for (int i = 0; i < 24; ++i) values[static_cast<std::size_t>(i)] = i;
  const Tensor t = Tensor::from(values, {2, 3, 4});
  const std::vector<std::int64_t> perm = {2, 0, 1};
  const Tensor p = permuted(t, perm);
  REQUIRE(p.shape() == Shape{4, 2, 3});
  for (std::int64_t a = 0; a < 4; ++a)
    for (std::int64_t b = 0; b < 2; ++b)
      for (std::int64_t c = 0; c < 3; ++c)
        CHECK(p.integer_at((a * 2 + b) * 3 + c) == (b * 3 + c) * 4 + a);
  const std::vector<std::int64_t> back = {1, 2, 0};
  CHECK(permuted(p, back) == t);
}

TEST_CASE("a shared tensor cannot be written") {
  Tensor t = Tensor::of(std::vector<float>{1, 2});
  const Tensor other = t;
  CHECK_THROWS_AS(t.mutable_values<float>(), InternalError);
  CHECK_THROWS_AS(other.values<double>(), InternalError);
}

TEST_CASE("dtype spellings round trip") {
  for (DType d : {DType::F32, DType::F64, DType::I8, DType::U8, DType::I16, DType::I32,
                  DType::I64, DType::Bool}) {
    CHECK(parse_dtype(dtype_name(d)) == d);
  }
  CHECK_THROWS_AS(parse_dtype("f16"), Error);
}

TEST_CASE("Rng gives the same stream everywhere") {
  Rng rng(1);
  CHECK(rng.next() == 10451216379200822465ULL);
  CHECK(rng.next() == 13757245211066428519ULL);
  double sum = 0, squares = 0;
  for (int i = 0; i < 100000; ++i) {
    const double x = rng.normal();
    sum += x, squares += x * x;
  }
  // Three standard errors of mean and variance over 100,000 draws.
  CHECK(std::abs(sum / 100000) < 3 / std::sqrt(100000.0));
  CHECK(std::abs(squares / 100000 - 1) < 3 * std::sqrt(2.0 / 100000));
}
