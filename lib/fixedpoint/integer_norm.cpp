// SPDX-License-Identifier: MIT
// Integer softmax (numerics N32), layer norm (N33) and L2 norm (N34).
#include <algorithm>

#include "lib/fixedpoint/integer_node.h"
#include "runtime/include/qrt/arith.h"

namespace qopt {
namespace {

/// An axis in the middle of a row-major array: [outer][count][inner].
struct Axis {
  std::int64_t outer = 1, count = 1, inner = 1;
};

Axis split(const Shape& shape, std::int64_t axis) {
  Axis result;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (static_cast<std::int64_t>(i) < axis) result.outer *= shape[i];
    if (static_cast<std::int64_t>(i) == axis) result.count = shape[i];
    if (static_cast<std::int64_t>(i) > axis) result.inner *= shape[i];
  }
  return result;
}

struct Finish {
  std::int32_t zero, lo, hi;
  template <class O>
  explicit Finish(const O& o)
      : zero(static_cast<std::int32_t>(o.y_zero)),
        lo(static_cast<std::int32_t>(o.lo)),
        hi(static_cast<std::int32_t>(o.hi)) {
    QOPT_CHECK(o.lo <= o.hi && o.lo >= -32768 && o.hi <= 32767, "clamp [{}, {}]", o.lo,
               o.hi);
  }
  std::int32_t operator()(std::int32_t y) const { return qrt_finish(y, zero, lo, hi); }
};

/// Elements of x and y, both int8 or int16, whatever their types.
template <class F>
void with_both(const Tensor& x, Tensor& y, F&& f) {
  with_codes(x, [&](auto from) { with_mutable_codes(y, [&](auto to) { f(from, to); }); });
}

}  // namespace

Kernel prepare(const NodeView& view, const op::QSoftmax& o) {
  const Tensor& table = view.constant(1, {DType::I32});
  QOPT_CHECK(table.integer_at(0) > 0, "softmax table starts with {}",
             table.integer_at(0));
  for (std::int64_t i = 0; i < table.size(); ++i) {
    QOPT_CHECK(table.integer_at(i) >= 0 && table.integer_at(i) <= 1 << 23,
               "softmax table holds {}", table.integer_at(i));
  }
  return [axis = split(view.shape(0), o.axis), out_bits = static_cast<int>(o.out_bits),
          finish = Finish(o),
          dtype = view.out().dtype](std::span<const Tensor> in, Scratch&) {
    Tensor out = Tensor::zeros(dtype, in[0].shape());
    const auto exponentials = in[1].values<std::int32_t>();
    with_both(in[0], out, [&](auto x, auto y) {
      using Result = typename decltype(y)::value_type;
      for (std::int64_t line = 0; line < axis.outer * axis.inner; ++line) {
        const std::int64_t first =
            line / axis.inner * axis.count * axis.inner + line % axis.inner;
        const auto at = [&](std::int64_t i) {
          return static_cast<std::size_t>(first + i * axis.inner);
        };
        std::int32_t most = INT32_MIN;
        for (std::int64_t i = 0; i < axis.count; ++i) {
          most = std::max<std::int32_t>(most, x[at(i)]);
        }
        const auto exponential = [&](std::int64_t i) {
          return static_cast<std::uint32_t>(
              exponentials[static_cast<std::size_t>(most - x[at(i)])]);
        };
        std::uint64_t sum = 0;
        for (std::int64_t i = 0; i < axis.count; ++i) sum += exponential(i);
        for (std::int64_t i = 0; i < axis.count; ++i) {
          y[at(i)] =
              static_cast<Result>(finish(qrt_softmax_out(exponential(i), sum, out_bits)));
        }
      }
    });
    return out;
  };
}

Kernel prepare(const NodeView& view, const op::QLayerNorm& o) {
  QOPT_CHECK(o.shift >= 0 && o.shift <= 62, "shift {}", o.shift);
  QOPT_CHECK(o.eps >= 0, "eps {}", o.eps);
  view.constant(1, {DType::I32});
  view.constant(2, {DType::I32});
  return [o, finish = Finish(o), dtype = view.out().dtype](std::span<const Tensor> in,
                                                           Scratch&) {
    Tensor out = Tensor::zeros(dtype, in[0].shape());
    const auto gamma = in[1].values<std::int32_t>(), beta = in[2].values<std::int32_t>();
    const auto count = static_cast<std::int64_t>(gamma.size());
    if (count == 0) return out;
    with_both(in[0], out, [&](auto x, auto y) {
      using Result = typename decltype(y)::value_type;
      for (std::int64_t first = 0; first < in[0].size(); first += count) {
        std::int64_t sum = 0, squares = 0;
        for (std::int64_t i = first; i < first + count; ++i) {
          const std::int64_t code = x[static_cast<std::size_t>(i)];
          sum += code;
          squares += code * code;
        }
        const std::int64_t v = count * squares - sum * sum + o.eps;
        const qrt_root root =
            v > 0 ? qrt_root_of(static_cast<std::uint64_t>(v)) : qrt_root{};
        for (std::int64_t i = 0; i < count; ++i) {
          const auto at = static_cast<std::size_t>(first + i),
                     d = static_cast<std::size_t>(i);
          const std::int32_t z = v > 0 ? qrt_over_root(count * x[at] - sum, root) : 0;
          y[at] = static_cast<Result>(finish(
              qrt_layer_norm_out(z, gamma[d], beta[d], static_cast<int>(o.shift))));
        }
      }
    });
    return out;
  };
}

Kernel prepare(const NodeView& view, const op::QL2Normalize& o) {
  const Requantiser requantiser(o.multiplier, o.shift, 1, 32, {o.y_zero, o.lo, o.hi});
  return [o, requantiser, axis = split(view.shape(0), o.axis), dtype = view.out().dtype](
             std::span<const Tensor> in, Scratch&) {
    Tensor out = Tensor::zeros(dtype, in[0].shape());
    with_both(in[0], out, [&](auto x, auto y) {
      using Result = typename decltype(y)::value_type;
      for (std::int64_t line = 0; line < axis.outer * axis.inner; ++line) {
        const std::int64_t first =
            line / axis.inner * axis.count * axis.inner + line % axis.inner;
        const auto at = [&](std::int64_t i) {
          return static_cast<std::size_t>(first + i * axis.inner);
        };
        std::int64_t v = 0;
        for (std::int64_t i = 0; i < axis.count; ++i) {
          const std::int64_t n = x[at(i)] - o.x_zero;
          v += n * n;
        }
        v = std::max(v, o.eps);
        const qrt_root root =
            v > 0 ? qrt_root_of(static_cast<std::uint64_t>(v)) : qrt_root{};
        for (std::int64_t i = 0; i < axis.count; ++i) {
          const std::int32_t z = v > 0 ? qrt_over_root(x[at(i)] - o.x_zero, root) : 0;
          y[at(i)] = static_cast<Result>(requantiser.one(z, 0));
        }
      }
    });
    return out;
  };
}

}  // namespace qopt
