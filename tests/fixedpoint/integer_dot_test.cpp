// SPDX-License-Identifier: MIT
// Every pair-product kernel that this processor can run, and the bounds under which float
// BLAS is exact.
#include "lib/fixedpoint/integer_dot.h"

#include "lib/fixedpoint/integer_gemm.h"
#include "tests/fixedpoint/integer_case.h"

namespace qopt {

TEST_CASE("every pair-product kernel equals plain sums") {
  if (dot_kernels().empty()) WARN("skipped: this processor has no pair-product kernel");
  for (const DotKernel& kernel : dot_kernels()) {
    Rng rng(1);
    INFO(kernel.name);
    for (int round = 0; round < 100; ++round) {
      const std::int64_t rows = between(rng, 1, 23), panels = between(rng, 1, 5);
      const std::int64_t segments = between(rng, 1, 4), pairs = between(rng, 1, 9);
      const std::int64_t width = panels * kDotPanel, step = width + between(rng, 0, 3);
      const std::int64_t panel_step = segments * pairs * 2 * kDotPanel;
      const Tensor x = random_codes<std::int16_t>(rng, {400}, -4000, 4000);
      const Tensor w =
          random_codes<std::int16_t>(rng, {panels * panel_step}, -4000, 4000);
      std::vector<const std::int16_t*> starts;
      std::vector<std::int64_t> offsets;
      for (std::int64_t r = 0; r < rows; ++r) {
        starts.push_back(x.values<std::int16_t>().data() + between(rng, 0, 300));
      }
      for (std::int64_t s = 0; s < segments; ++s) offsets.push_back(between(rng, 0, 80));
      std::vector<std::int32_t> acc(static_cast<std::size_t>(rows * step));
      for (auto& a : acc) a = static_cast<std::int32_t>(between(rng, -1000000, 1000000));
      std::vector<std::int32_t> expected = acc;
      for (std::int64_t r = 0; r < rows; ++r) {
        for (std::int64_t o = 0; o < width; ++o) {
          for (std::int64_t k = 0; k < segments * pairs * 2; ++k) {
            const std::int64_t segment = k / (2 * pairs), i = k % (2 * pairs);
            const auto at = (o / kDotPanel) * panel_step +
                            (k / 2 * kDotPanel + o % kDotPanel) * 2 + k % 2;
            expected[static_cast<std::size_t>(r * step + o)] +=
                starts[static_cast<std::size_t>(r)]
                      [offsets[static_cast<std::size_t>(segment)] + i] *
                w.values<std::int16_t>()[static_cast<std::size_t>(at)];
          }
        }
      }
      kernel.run({.rows = starts.data(),
                  .offsets = offsets,
                  .pairs = pairs,
                  .weights = w.values<std::int16_t>().data(),
                  .panel_step = panel_step,
                  .acc = acc.data(),
                  .acc_step = step},
                 rows, panels);
      CHECK(acc == expected);
    }
  }
}

TEST_CASE("exact pieces are cut where a partial sum could reach the limit") {
  using Cuts = std::vector<std::int64_t>;
  const std::vector<std::int32_t> w{100, 100, -100, -100};
  // x in [0, 10]: positive parts 2000, negative parts 2000 apart.
  CHECK(exact_pieces(w, 4, {0, 10}, 2001, 4) == Cuts{0, 4});
  CHECK(exact_pieces(w, 4, {0, 10}, 2000, 1).empty());
  CHECK(exact_pieces(w, 4, {0, 10}, 2000, 4) ==
        Cuts{0, 1, 2, 3, 4});  // {100, 100} is too much
  CHECK(exact_pieces(w, 4, {0, 10}, 1001, 4) == Cuts{0, 1, 2, 3, 4});
  CHECK(exact_pieces(w, 4, {0, 10}, 1000, 4).empty());
  // Both signs of x: every weight counts on both sides.
  CHECK(exact_pieces(w, 4, {-10, 10}, 4001, 1) == Cuts{0, 4});
  CHECK(exact_pieces(w, 4, {-10, 10}, 4000, 1).empty());
  CHECK(exact_pieces({}, 0, {0, 1}, 100, 1) == Cuts{0, 0});
  // By intervals: 255 * 255 * 258 is the last below 2^24.
  CHECK(exact_pieces({0, 255}, {-255, 255}, 258, exact_limit<float>(), 1) ==
        Cuts{0, 258});
  CHECK(exact_pieces({0, 255}, {-255, 255}, 259, exact_limit<float>(), 1).empty());
  CHECK(exact_pieces({0, 255}, {-255, 255}, 259, exact_limit<float>(), 2) ==
        Cuts{0, 130, 259});
}

TEST_CASE("matrix products without terms are zero") {
  std::vector<float> c(4, 7.0F);
  const float one = 1.0F;
  gemm(2, 2, 0, &one, 0, &one, 0, true, c.data(), 2);
  CHECK(c == std::vector<float>(4, 0.0F));
}

}  // namespace qopt
