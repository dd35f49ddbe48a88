// SPDX-License-Identifier: MIT
// Integer matrix products of two activations (numerics N23): float BLAS where exact,
// int64 loops otherwise.
#include <algorithm>

#include "lib/fixedpoint/integer_gemm.h"
#include "lib/fixedpoint/integer_node.h"

namespace qopt {
namespace {

constexpr int kMaxPieces = 4;

struct MatMulLayer {
  std::int64_t m, n, k;
  std::vector<std::int64_t> a_start, b_start;  // first element of each batch's operands
  std::int64_t a_zero, b_zero;
  Requantiser requantiser;
  DType out_dtype;
  Shape out_shape;

  template <class T>
  static const T* centred(const Tensor& x, std::int64_t first, std::int64_t count,
                          std::int64_t zero, Scratch::Slot slot, Scratch& scratch) {
    T* y = scratch.take<T>(slot, count);
    with_codes(x, [&](auto codes) {
      loops::centre(codes.data() + first, count, static_cast<std::int32_t>(zero), y);
    });
    return y;
  }
};

/// Start of each broadcast batch inside an operand with leading axes `own`.
std::vector<std::int64_t> batch_starts(const Shape& out, const Shape& own) {
  const std::size_t lead = out.size() - 2, own_lead = own.size() - 2;
  std::vector<std::int64_t> step(lead, 0);
  std::int64_t stride = own[own_lead] * own[own_lead + 1];
  for (std::size_t i = own_lead; i-- > 0;) {
    step[lead - own_lead + i] = own[i] == 1 ? 0 : stride;
    stride *= own[i];
  }
  std::vector<std::int64_t> starts{0};
  for (std::size_t i = 0; i < lead; ++i) {
    std::vector<std::int64_t> next;
    for (const std::int64_t start : starts) {
      for (std::int64_t j = 0; j < out[i]; ++j) next.push_back(start + j * step[i]);
    }
    starts = std::move(next);
  }
  return starts;
}

template <class Real>
struct GemmMatMul {
  MatMulLayer l;
  std::vector<std::int64_t> cuts;

  Tensor operator()(std::span<const Tensor> in, Scratch& scratch) const {
    return l.requantiser.is_wide() ? run<std::int64_t>(in, scratch)
                                   : run<std::int32_t>(in, scratch);
  }

  template <class Acc>
  Tensor run(std::span<const Tensor> in, Scratch& scratch) const {
    Tensor out = Tensor::zeros(l.out_dtype, l.out_shape);
    Real* products = scratch.take<Real>(Scratch::Products, l.m * l.n);
    Acc* acc = scratch.take<Acc>(Scratch::Accumulators, l.m * l.n);
    for (std::size_t i = 0; i < l.a_start.size(); ++i) {
      const Real* a = MatMulLayer::centred<Real>(in[0], l.a_start[i], l.m * l.k, l.a_zero,
                                                 Scratch::Left, scratch);
      const Real* b = MatMulLayer::centred<Real>(in[1], l.b_start[i], l.k * l.n, l.b_zero,
                                                 Scratch::Right, scratch);
      std::fill(acc, acc + l.m * l.n, Acc{0});
      for (std::size_t piece = 0; piece + 1 < cuts.size(); ++piece) {
        const std::int64_t from = cuts[piece];
        gemm(l.m, l.n, cuts[piece + 1] - from, a + from, l.k, b + from * l.n, l.n, false,
             products, l.n);
        loops::add(products, l.m * l.n, acc);
      }
      l.requantiser.run(acc, l.m, 0, l.n, out, static_cast<std::int64_t>(i) * l.m * l.n);
    }
    return out;
  }
};

struct PlainMatMul {
  MatMulLayer l;

  Tensor operator()(std::span<const Tensor> in, Scratch& scratch) const {
    Tensor out = Tensor::zeros(l.out_dtype, l.out_shape);
    auto* acc = scratch.take<std::int64_t>(Scratch::Accumulators, l.n);
    for (std::size_t i = 0; i < l.a_start.size(); ++i) {
      const auto* a = MatMulLayer::centred<std::int32_t>(
          in[0], l.a_start[i], l.m * l.k, l.a_zero, Scratch::Left, scratch);
      const auto* b = MatMulLayer::centred<std::int32_t>(
          in[1], l.b_start[i], l.k * l.n, l.b_zero, Scratch::Right, scratch);
      for (std::int64_t row = 0; row < l.m; ++row) {
        std::fill(acc, acc + l.n, 0);
        for (std::int64_t k = 0; k < l.k; ++k) {
          const std::int64_t left = a[row * l.k + k];
          for (std::int64_t col = 0; col < l.n; ++col)
            acc[col] += left * b[k * l.n + col];
        }
        l.requantiser.run(acc, 1, 0, l.n, out,
                          (static_cast<std::int64_t>(i) * l.m + row) * l.n);
      }
    }
    return out;
  }
};

}  // namespace

Kernel prepare(const NodeView& view, const op::QMatMul& o) {
  const Shape& a = view.shape(0);
  const Shape& b = view.shape(1);
  const Shape& y = view.out().shape;
  const std::int64_t n = b.back(), k = a.back(), m = a[a.size() - 2];
  const Requantiser::Finish finish{o.y_zero, o.lo, o.hi};
  MatMulLayer layer{m,
                    n,
                    k,
                    batch_starts(y, a),
                    batch_starts(y, b),
                    o.a_zero,
                    o.b_zero,
                    Requantiser(o.multiplier, o.shift, n, o.acc_bits, finish),
                    view.out().dtype,
                    y};
  const Interval left{view.range(0).lo - o.a_zero, view.range(0).hi - o.a_zero};
  const Interval right{view.range(1).lo - o.b_zero, view.range(1).hi - o.b_zero};
  if (view.arithmetic <= Arithmetic::Float32) {
    auto cuts = exact_pieces(left, right, k, exact_limit<float>(), kMaxPieces);
    if (!cuts.empty()) return GemmMatMul<float>{std::move(layer), std::move(cuts)};
  }
  if (view.arithmetic != Arithmetic::Plain) {
    auto cuts = exact_pieces(left, right, k, exact_limit<double>(), kMaxPieces);
    if (!cuts.empty()) return GemmMatMul<double>{std::move(layer), std::move(cuts)};
  }
  return PlainMatMul{std::move(layer)};
}

}  // namespace qopt
