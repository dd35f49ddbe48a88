// SPDX-License-Identifier: MIT
// Elementwise integer operators (numerics N24 to N28) and table look-ups by index (N35).
#include <algorithm>

#include "lib/fixedpoint/integer_node.h"
#include "runtime/include/qrt/arith.h"

namespace qopt {
namespace {

constexpr std::int64_t kBlock = 2048;  // three int32 blocks stay in a first-level cache

/// Two operands walked together: runs of elements along which each operand either
/// advances by one or stands still.
struct Broadcast {
  Shape extent;             // outer extents, then the run length
  Ints a_stride, b_stride;  // of the outer axes, then 0 or 1
  DType out_dtype;
  Shape out_shape;
};

Ints strides_in(const Shape& out, const Shape& own) {
  Ints stride(out.size(), 0);
  std::int64_t step = 1;
  for (std::size_t i = own.size(); i-- > 0;) {
    if (own[i] != 1) stride[out.size() - own.size() + i] = step;
    step *= own[i];
  }
  return stride;
}

Broadcast broadcast_plan(const NodeView& view) {
  const Shape& out = view.out().shape;
  const Ints a = strides_in(out, view.shape(0)), b = strides_in(out, view.shape(1));
  Broadcast plan{{1}, {0}, {0}, view.out().dtype, out};
  bool empty_run = true;
  // From the innermost axis outwards: axes that continue the run of both operands join
  // it.
  for (std::size_t i = out.size(); i-- > 0;) {
    if (out[i] == 1) continue;
    const std::int64_t run = plan.extent.front();
    if (empty_run) {
      plan = {{out[i]}, {a[i]}, {b[i]}, plan.out_dtype, out};
      empty_run = false;
    } else if (a[i] == plan.a_stride.front() * run &&
               b[i] == plan.b_stride.front() * run) {
      plan.extent.front() *= out[i];
    } else {
      plan.extent.insert(plan.extent.begin(), out[i]);
      plan.a_stride.insert(plan.a_stride.begin(), a[i]);
      plan.b_stride.insert(plan.b_stride.begin(), b[i]);
    }
  }
  // The innermost stride of an operand is its last axis' (1) or 0, unless inner axes of
  // extent 1 or broadcast ones left a larger step: then each run is one element.
  if (plan.a_stride.back() > 1 || plan.b_stride.back() > 1) {
    plan.extent.push_back(1);
    plan.a_stride.push_back(0);
    plan.b_stride.push_back(0);
  }
  return plan;
}

/// Calls f(first of a, first of b, first of out, count) for blocks of at most kBlock
/// elements.
template <class F>
void for_blocks(const Broadcast& plan, F&& f) {
  if (num_elements(plan.out_shape) == 0) return;
  const std::size_t outer = plan.extent.size() - 1;
  const std::int64_t run = plan.extent.back();
  std::vector<std::int64_t> index(outer, 0);
  std::int64_t a = 0, b = 0, out = 0;
  while (true) {
    for (std::int64_t i = 0; i < run; i += kBlock) {
      f(a + i * plan.a_stride.back(), b + i * plan.b_stride.back(), out + i,
        std::min(kBlock, run - i));
    }
    out += run;
    std::size_t axis = outer;
    while (axis-- > 0) {
      a += plan.a_stride[axis];
      b += plan.b_stride[axis];
      if (++index[axis] < plan.extent[axis]) break;
      a -= plan.a_stride[axis] * plan.extent[axis];
      b -= plan.b_stride[axis] * plan.extent[axis];
      index[axis] = 0;
    }
    if (axis == static_cast<std::size_t>(-1)) return;
  }
}

const std::int32_t* operand(const Tensor& x, std::int64_t first, std::int64_t stride,
                            std::int64_t n, std::int64_t zero, Scratch::Slot slot,
                            Scratch& scratch) {
  auto* y = scratch.take<std::int32_t>(slot, kBlock);
  load_centred(x, first, stride == 0 ? 1 : n, zero, y);
  if (stride == 0) std::fill(y, y + n, y[0]);
  return y;
}

std::int32_t narrow32(std::int64_t x, std::string_view what) {
  QOPT_CHECK(x >= INT32_MIN && x <= INT32_MAX, "{} is {}", what, x);
  return static_cast<std::int32_t>(x);
}

/// Runs `combine(a block, b block, n, out, at)` over two centred operands.
template <class Combine>
Tensor binary(const Broadcast& plan, std::span<const Tensor> in, std::int64_t a_zero,
              std::int64_t b_zero, Scratch& scratch, Combine&& combine) {
  Tensor out = Tensor::zeros(plan.out_dtype, plan.out_shape);
  for_blocks(plan, [&](std::int64_t a, std::int64_t b, std::int64_t at, std::int64_t n) {
    const std::int32_t* left =
        operand(in[0], a, plan.a_stride.back(), n, a_zero, Scratch::Left, scratch);
    const std::int32_t* right =
        operand(in[1], b, plan.b_stride.back(), n, b_zero, Scratch::Right, scratch);
    combine(left, right, n, out, at);
  });
  return out;
}

}  // namespace

Kernel prepare(const NodeView& view, const op::QAdd& o) {
  QOPT_CHECK(o.shift >= 0 && o.shift <= 31, "shift {}", o.shift);
  const std::int32_t a_multiplier = narrow32(o.a_multiplier, "multiplier");
  const std::int32_t b_multiplier = narrow32(o.b_multiplier, "multiplier");
  return [plan = broadcast_plan(view), o, a_multiplier, b_multiplier](
             std::span<const Tensor> in, Scratch& scratch) {
    auto* acc = scratch.take<std::int32_t>(Scratch::Accumulators, kBlock);
    return binary(plan, in, o.a_zero, o.b_zero, scratch,
                  [&](const std::int32_t* a, const std::int32_t* b, std::int64_t n,
                      Tensor& out, std::int64_t at) {
                    loops::weighted_sum(a, a_multiplier, b, b_multiplier, n, acc);
                    with_mutable_codes(out, [&](auto y) {
                      loops::shift_finish(acc, n, static_cast<int>(o.shift),
                                          static_cast<std::int32_t>(o.y_zero),
                                          static_cast<std::int32_t>(o.lo),
                                          static_cast<std::int32_t>(o.hi), y.data() + at);
                    });
                  });
  };
}

Kernel prepare(const NodeView& view, const op::QMul& o) {
  Requantiser requantiser(o.multiplier, o.shift, kBlock, o.acc_bits,
                          {o.y_zero, o.lo, o.hi});
  return [plan = broadcast_plan(view), o, requantiser](std::span<const Tensor> in,
                                                       Scratch& scratch) {
    return binary(
        plan, in, o.a_zero, o.b_zero, scratch,
        [&](const std::int32_t* a, const std::int32_t* b, std::int64_t n, Tensor& out,
            std::int64_t at) {
          if (requantiser.is_wide()) {
            auto* acc = scratch.take<std::int64_t>(Scratch::Accumulators, kBlock);
            for (std::int64_t i = 0; i < n; ++i) {
              acc[i] = static_cast<std::int64_t>(a[i]) * b[i];
            }
            requantiser.run(acc, 1, 0, n, out, at);
          } else {
            auto* acc = scratch.take<std::int32_t>(Scratch::Accumulators, kBlock);
            loops::multiply(a, b, n, acc);
            requantiser.run(acc, 1, 0, n, out, at);
          }
        });
  };
}

Kernel prepare(const NodeView& view, const op::QDiv& o) {
  Requantiser requantiser(o.multiplier, o.shift, kBlock, 32, {o.y_zero, o.lo, o.hi});
  const bool bytes = view.in(0).dtype == DType::I8 && view.in(1).dtype == DType::I8;
  const int fraction = bytes ? QRT_DIV_FRACTION8 : QRT_DIV_FRACTION16;
  return [plan = broadcast_plan(view), o, requantiser, fraction](
             std::span<const Tensor> in, Scratch& scratch) {
    auto* acc = scratch.take<std::int32_t>(Scratch::Accumulators, kBlock);
    return binary(plan, in, o.a_zero, o.b_zero, scratch,
                  [&](const std::int32_t* a, const std::int32_t* b, std::int64_t n,
                      Tensor& out, std::int64_t at) {
                    for (std::int64_t i = 0; i < n; ++i) {
                      acc[i] = qrt_div_q(a[i], b[i], fraction);
                    }
                    requantiser.run(acc, 1, 0, n, out, at);
                  });
  };
}

Kernel prepare(const NodeView& view, const op::Rescale& o) {
  Requantiser requantiser(o.multiplier, o.shift, kBlock, 32, {o.y_zero, o.lo, o.hi});
  return [o, requantiser, dtype = view.out().dtype](std::span<const Tensor> in,
                                                    Scratch& scratch) {
    Tensor out = Tensor::zeros(dtype, in[0].shape());
    auto* acc = scratch.take<std::int32_t>(Scratch::Accumulators, kBlock);
    for (std::int64_t at = 0; at < out.size(); at += kBlock) {
      const std::int64_t n = std::min(kBlock, out.size() - at);
      load_centred(in[0], at, n, o.x_zero, acc);
      requantiser.run(acc, 1, 0, n, out, at);
    }
    return out;
  };
}

Kernel prepare(const NodeView& view, const op::Lut&) {
  const Tensor& table = view.constant(1, {DType::I8, DType::I16});
  const bool per_channel = table.shape().size() == 2;
  return [table, per_channel](std::span<const Tensor> in, Scratch&) {
    const Tensor& x = in[0];
    Tensor out = Tensor::zeros(table.dtype(), x.shape());
    const std::int64_t channels = per_channel ? x.shape().back() : 1;
    with_codes(x, [&](auto codes) {
      using Code = typename decltype(codes)::value_type;
      constexpr std::int64_t kLeast = std::numeric_limits<Code>::min();
      constexpr std::size_t kEntries = std::size_t{1} << (8 * sizeof(Code));
      with_codes(table, [&](auto entries) {
        with_mutable_codes(out, [&](auto y) {
          using Result = typename decltype(y)::value_type;
          std::size_t channel = 0;
          for (std::size_t i = 0; i < codes.size(); ++i) {
            const auto at = static_cast<std::size_t>(codes[i] - kLeast);
            y[i] = static_cast<Result>(entries[channel * kEntries + at]);
            if (++channel == static_cast<std::size_t>(channels)) channel = 0;
          }
        });
      });
    });
    return out;
  };
}

Kernel prepare(const NodeView& view, const op::QGather&) {
  return [dtype = view.out().dtype, shape = view.out().shape](std::span<const Tensor> in,
                                                              Scratch&) {
    Tensor out = Tensor::zeros(dtype, shape);
    const Tensor& table = in[1];
    const std::int64_t rows = table.shape().at(0), width = table.shape().at(1);
    const auto row_bytes = static_cast<std::size_t>(width) * dtype_size(dtype);
    std::byte* y = out.mutable_bytes().data();
    for (std::int64_t i = 0; i < in[0].size(); ++i, y += row_bytes) {
      const std::int64_t row = std::clamp<std::int64_t>(in[0].integer_at(i), 0, rows - 1);
      if (row_bytes == 0) continue;
      std::memcpy(y, table.bytes().data() + static_cast<std::size_t>(row) * row_bytes,
                  row_bytes);
    }
    return out;
  };
}

}  // namespace qopt
