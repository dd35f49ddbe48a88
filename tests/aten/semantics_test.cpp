// SPDX-License-Identifier: MIT
// Float semantics where LibTorch has no ready-made form (asymmetric padding, odd
// windows), judged by plain loops, and the refusal of Integer operators.
#include <cmath>
#include <limits>
#include <vector>

#include "lib/aten/float_executor.h"
#include "lib/core/rng.h"
#include "lib/graph/graph.h"
#include "lib/graph/shape.h"
#include "tests/support/catch.h"

namespace {

using namespace qopt;

Tensor random_tensor(const Shape& shape, std::uint64_t seed) {
  Rng rng(seed);
  Tensor t = Tensor::zeros(DType::F32, shape);
  for (float& x : t.mutable_values<float>()) x = static_cast<float>(rng.normal());
  return t;
}

/// One operator on one input (and constants), run as a graph.
Tensor run_one(Op op, const Tensor& x, const std::vector<Tensor>& constants = {}) {
  Graph graph(Level::Imported);
  std::vector<ValueId> inputs{graph.add_input("x", x.dtype(), x.shape())};
  for (const Tensor& t : constants) inputs.push_back(graph.add_constant("c", t));
  graph.add_output("y", graph.add(std::move(op), inputs, "y"));
  const Tensor y = aten::FloatExecutor(graph).run(std::vector<Tensor>{x})[0];
  CHECK(y.shape() == graph.value(graph.outputs()[0].value).shape);
  return y;
}

float at4(const Tensor& t, std::int64_t n, std::int64_t c, std::int64_t h,
          std::int64_t w) {
  const Shape& s = t.shape();
  return t
      .values<float>()[static_cast<std::size_t>(((n * s[1] + c) * s[2] + h) * s[3] + w)];
}

double largest_difference(const Tensor& a, const Tensor& b) {
  REQUIRE(a.shape() == b.shape());
  double worst = 0.0;
  for (std::size_t i = 0; i < a.values<float>().size(); ++i) {
    worst = std::max(worst, std::abs(static_cast<double>(a.values<float>()[i]) -
                                     b.values<float>()[i]));
  }
  return worst;
}

/// Calls body(n, c, oh, ow) over a result of this shape.
template <class F>
Tensor fill_image(const Shape& shape, F&& body) {
  Tensor t = Tensor::zeros(DType::F32, shape);
  std::size_t i = 0;
  const std::span<float> out = t.mutable_values<float>();
  for (std::int64_t n = 0; n < shape[0]; ++n) {
    for (std::int64_t c = 0; c < shape[1]; ++c) {
      for (std::int64_t h = 0; h < shape[2]; ++h) {
        for (std::int64_t w = 0; w < shape[3]; ++w) {
          out[i++] = static_cast<float>(body(n, c, h, w));
        }
      }
    }
  }
  return t;
}

Shape pooled_shape(const Shape& in, const Quad& pads, const Pair& kernel,
                   const Pair& stride, const Pair& dilation, bool ceil_mode) {
  return {in[0], in[1],
          window_extent(in[2], pads[0], pads[2], kernel[0], stride[0], dilation[0],
                        ceil_mode),
          window_extent(in[3], pads[1], pads[3], kernel[1], stride[1], dilation[1],
                        ceil_mode)};
}

const std::vector<Quad> kPads = {{0, 0, 0, 0}, {1, 1, 1, 1}, {0, 1, 1, 0}, {1, 0, 0, 1},
                                 {2, 2, 2, 2}, {0, 0, 2, 1}, {2, 0, 1, 1}};

}  // namespace

TEST_CASE("convolution pads each side by its own amount") {
  const Tensor x = random_tensor({2, 3, 6, 7}, 1), w = random_tensor({4, 3, 3, 2}, 2);
  for (const Quad& p : kPads) {
    const op::Conv2d conv{{2, 1}, {1, 2}, p, 1};
    const Tensor y = run_one(conv, x, {w});
    const Shape shape = {2, 4, window_extent(6, p[0], p[2], 3, 2, 1, false),
                         window_extent(7, p[1], p[3], 2, 1, 2, false)};
    const Tensor wanted = fill_image(shape, [&](auto n, auto o, auto oh, auto ow) {
      double sum = 0.0;
      for (std::int64_t c = 0; c < 3; ++c) {
        for (std::int64_t kh = 0; kh < 3; ++kh) {
          for (std::int64_t kw = 0; kw < 2; ++kw) {
            const std::int64_t h = oh * 2 + kh - p[0], v = ow + kw * 2 - p[1];
            if (h < 0 || h >= 6 || v < 0 || v >= 7) continue;
            sum += static_cast<double>(at4(x, n, c, h, v)) * at4(w, o, c, kh, kw);
          }
        }
      }
      return sum;
    });
    CHECK(largest_difference(y, wanted) < 1e-5);
  }
}

TEST_CASE("transposed convolution cuts each side by its own amount") {
  const Tensor x = random_tensor({1, 2, 4, 5}, 3), w = random_tensor({2, 3, 3, 3}, 4);
  for (const Quad& p : kPads) {
    op::ConvTranspose2d conv;
    conv.stride = {2, 2};
    conv.pads = p;
    conv.output_padding = {1, 0};
    const Tensor y = run_one(conv, x, {w});
    std::vector<double> full(static_cast<std::size_t>(3 * 10 * 11), 0.0);
    for (std::int64_t c = 0; c < 2; ++c) {
      for (std::int64_t o = 0; o < 3; ++o) {
        for (std::int64_t h = 0; h < 4; ++h) {
          for (std::int64_t v = 0; v < 5; ++v) {
            for (std::int64_t kh = 0; kh < 3; ++kh) {
              for (std::int64_t kw = 0; kw < 3; ++kw) {
                full[static_cast<std::size_t>((o * 10 + h * 2 + kh) * 11 + v * 2 + kw)] +=
                    static_cast<double>(at4(x, 0, c, h, v)) * at4(w, c, o, kh, kw);
              }
            }
          }
        }
      }
    }
    const Tensor wanted = fill_image(
        {1, 3, 10 - p[0] - p[2], 11 - p[1] - p[3]}, [&](auto, auto o, auto h, auto v) {
          return full[static_cast<std::size_t>((o * 10 + h + p[0]) * 11 + v + p[1])];
        });
    CHECK(largest_difference(y, wanted) < 1e-5);
  }
}

TEST_CASE("max pooling never lets padding win") {
  const Tensor x = random_tensor({1, 2, 7, 8}, 5);
  for (const Quad& p : kPads) {
    for (bool ceil_mode : {false, true}) {
      const op::MaxPool2d pool{{3, 3}, {2, 3}, {1, 1}, p, ceil_mode};
      const Tensor y = run_one(pool, x);
      const Shape shape = pooled_shape(x.shape(), p, {3, 3}, {2, 3}, {1, 1}, ceil_mode);
      const Tensor wanted = fill_image(shape, [&](auto n, auto c, auto oh, auto ow) {
        float best = -std::numeric_limits<float>::infinity();
        for (std::int64_t h = oh * 2 - p[0]; h < oh * 2 - p[0] + 3; ++h) {
          for (std::int64_t v = ow * 3 - p[1]; v < ow * 3 - p[1] + 3; ++v) {
            if (h >= 0 && h < 7 && v >= 0 && v < 8)
              best = std::max(best, at4(x, n, c, h, v));
          }
        }
        return best;
      });
      CHECK(y == wanted);
    }
  }
}

TEST_CASE("average pooling divides by what it counts") {
  const Tensor x = random_tensor({1, 2, 7, 8}, 6);
  for (const Quad& p : kPads) {
    for (bool ceil_mode : {false, true}) {
      for (bool include_pad : {false, true}) {
        for (std::int64_t divisor : {0, 5}) {
          const op::AvgPool2d pool{{3, 3}, {2, 3}, p, ceil_mode, include_pad, divisor};
          const Tensor y = run_one(pool, x);
          const Shape shape =
              pooled_shape(x.shape(), p, {3, 3}, {2, 3}, {1, 1}, ceil_mode);
          const Tensor wanted = fill_image(shape, [&](auto n, auto c, auto oh, auto ow) {
            double sum = 0.0, real = 0.0, padded = 0.0;
            for (std::int64_t h = oh * 2 - p[0]; h < oh * 2 - p[0] + 3; ++h) {
              for (std::int64_t v = ow * 3 - p[1]; v < ow * 3 - p[1] + 3; ++v) {
                if (h < 7 + p[2] && v < 8 + p[3]) ++padded;
                if (h < 0 || h >= 7 || v < 0 || v >= 8) continue;
                sum += at4(x, n, c, h, v);
                ++real;
              }
            }
            return sum / (divisor != 0  ? static_cast<double>(divisor)
                          : include_pad ? padded
                                        : real);
          });
          CHECK(largest_difference(y, wanted) < 1e-6);
        }
      }
    }
  }
}

TEST_CASE("an index outside the table is the data's fault") {
  Graph graph(Level::Imported);
  const ValueId x = graph.add_input("x", DType::I64, {2});
  const ValueId table = graph.add_constant("table", random_tensor({3, 4}, 7));
  graph.add_output("y", graph.add(op::Embedding{}, {x, table}, "y"));
  const aten::FloatExecutor executor(graph);
  CHECK_NOTHROW(
      executor.run(std::vector<Tensor>{Tensor::of(std::vector<std::int64_t>{0, 2})}));
  for (std::int64_t bad : {-1, 3}) {
    try {
      executor.run(std::vector<Tensor>{Tensor::of(std::vector<std::int64_t>{0, bad})});
      FAIL("went through");
    } catch (const Error& e) {
      CHECK(e.code() == ExitCode::Data);
      CHECK(std::string(e.what()).find("3 rows") != std::string::npos);
    }
  }
}
