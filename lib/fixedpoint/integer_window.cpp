// SPDX-License-Identifier: MIT
// Integer operators that look at windows or whole axes: pooling (N29, N36), sums (N30)
// and resizing (N31).
#include <algorithm>
#include <limits>

#include "lib/fixedpoint/integer_node.h"
#include "runtime/include/qrt/arith.h"

namespace qopt {

Kernel prepare(const NodeView& view, const op::MaxPool2d& o) {
  return [o, dtype = view.out().dtype, shape = view.out().shape](
             std::span<const Tensor> in, Scratch&) {
    Tensor out = Tensor::zeros(dtype, shape);
    const Shape& x = in[0].shape();
    const std::int64_t channels = x[3];
    with_codes(in[0], [&]<class Code>(std::span<const Code> codes) {
      Code* y = out.mutable_values<Code>().data();
      for (std::int64_t p = 0; p < shape[0] * shape[1] * shape[2]; ++p, y += channels) {
        std::fill(y, y + channels, std::numeric_limits<Code>::min());
        const std::int64_t n = p / (shape[1] * shape[2]);
        const std::int64_t top = p / shape[2] % shape[1] * o.stride[0] - o.pads[0];
        const std::int64_t left = p % shape[2] * o.stride[1] - o.pads[1];
        for (std::int64_t kh = 0; kh < o.kernel[0]; ++kh) {
          const std::int64_t row = top + kh * o.dilation[0];
          if (row < 0 || row >= x[1]) continue;
          for (std::int64_t kw = 0; kw < o.kernel[1]; ++kw) {
            const std::int64_t col = left + kw * o.dilation[1];
            if (col < 0 || col >= x[2]) continue;
            loops::max_into(codes.data() + ((n * x[1] + row) * x[2] + col) * channels,
                            channels, y);
          }
        }
      }
    });
    return out;
  };
}

Kernel prepare(const NodeView& view, const op::QAvgPool2d& o) {
  const Requantiser::Finish finish{o.y_zero, o.lo, o.hi};
  const auto multipliers = view.constant(1, {DType::I32}).values<std::int32_t>();
  const Tensor& shifts = view.constant(2, {DType::I8});
  // One requantiser for each distinct divisor, the same for all channels.
  std::vector<Requantiser> requantisers;
  for (std::int64_t i = 0; i < shifts.size(); ++i) {
    requantisers.emplace_back(multipliers[static_cast<std::size_t>(i)],
                              shifts.integer_at(i), view.shape(0)[3], o.acc_bits, finish);
  }
  const Tensor which = view.constant(3, {DType::U8, DType::I32});
  for (std::int64_t i = 0; i < which.size(); ++i) {
    QOPT_CHECK(which.integer_at(i) >= 0 && which.integer_at(i) < shifts.size(),
               "divisor entry {} of {}", which.integer_at(i), shifts.size());
  }
  return [o, requantisers, which, dtype = view.out().dtype, shape = view.out().shape](
             std::span<const Tensor> in, Scratch& scratch) {
    Tensor out = Tensor::zeros(dtype, shape);
    const Shape& x = in[0].shape();
    const std::int64_t channels = x[3];
    const auto zero = static_cast<std::int32_t>(o.x_zero);
    auto* wide = scratch.take<std::int64_t>(Scratch::Products, channels);
    auto* acc = scratch.take<std::int32_t>(Scratch::Accumulators, channels);
    for (std::int64_t p = 0; p < shape[0] * shape[1] * shape[2]; ++p) {
      const std::int64_t n = p / (shape[1] * shape[2]);
      const auto oh = static_cast<std::size_t>(p / shape[2] % shape[1]);
      const auto ow = static_cast<std::size_t>(p % shape[2]);
      const Requantiser& requantiser =
          requantisers[static_cast<std::size_t>(which.integer_at(
              static_cast<std::int64_t>(oh) * shape[2] + static_cast<std::int64_t>(ow)))];
      std::fill(wide, wide + channels, 0);
      std::fill(acc, acc + channels, 0);
      for (std::int64_t row = o.row_start[oh]; row < o.row_end[oh]; ++row) {
        for (std::int64_t col = o.col_start[ow]; col < o.col_end[ow]; ++col) {
          with_codes(in[0], [&](auto codes) {
            const auto* from = codes.data() + ((n * x[1] + row) * x[2] + col) * channels;
            if (requantiser.is_wide()) {
              for (std::int64_t c = 0; c < channels; ++c) wide[c] += from[c] - o.x_zero;
            } else {
              loops::add_centred(from, channels, zero, acc);
            }
          });
        }
      }
      if (requantiser.is_wide()) {
        requantiser.run(wide, 1, 0, channels, out, p * channels);
      } else {
        requantiser.run(acc, 1, 0, channels, out, p * channels);
      }
    }
    return out;
  };
}

Kernel prepare(const NodeView& view, const op::QReduce& o) {
  const Shape& extents = view.shape(0);
  // Each axis' step in the result; reduced axes stand still.
  Ints step(extents.size(), 0);
  std::int64_t results = 1;
  for (std::size_t i = extents.size(); i-- > 0;) {
    if (std::find(o.axes.begin(), o.axes.end(), static_cast<std::int64_t>(i)) !=
        o.axes.end()) {
      continue;
    }
    step[i] = results;
    results *= extents[i];
  }
  Requantiser requantiser(o.multiplier, o.shift, results, o.acc_bits,
                          {o.y_zero, o.lo, o.hi});
  return [o, step, results, requantiser, dtype = view.out().dtype,
          shape = view.out().shape](std::span<const Tensor> in, Scratch& scratch) {
    const Tensor& x = in[0];
    const std::size_t rank = step.size();
    auto* acc = scratch.take<std::int64_t>(Scratch::Products, results);
    std::fill(acc, acc + results, 0);
    with_codes(x, [&](auto codes) {
      const std::int64_t run = rank == 0 ? 1 : x.shape().back();
      const std::int64_t inner = rank == 0 ? 0 : step.back();
      std::vector<std::int64_t> index(rank, 0);
      std::int64_t to = 0;
      for (std::int64_t at = 0; at < x.size(); at += run) {
        for (std::int64_t i = 0; i < run; ++i) {
          acc[to + i * inner] += codes[static_cast<std::size_t>(at + i)] - o.x_zero;
        }
        for (std::size_t axis = rank; axis-- > 1;) {
          const std::size_t outer = axis - 1;
          to += step[outer];
          if (++index[outer] < x.shape()[outer]) break;
          to -= step[outer] * x.shape()[outer];
          index[outer] = 0;
        }
      }
    });
    Tensor out = Tensor::zeros(dtype, shape);
    if (requantiser.is_wide()) {
      requantiser.run(acc, 1, 0, results, out, 0);
    } else {
      auto* narrow = scratch.take<std::int32_t>(Scratch::Accumulators, results);
      std::transform(acc, acc + results, narrow,
                     [](std::int64_t a) { return static_cast<std::int32_t>(a); });
      requantiser.run(narrow, 1, 0, results, out, 0);
    }
    return out;
  };
}

Kernel prepare(const NodeView& view, const op::QResize&) {
  const std::int64_t extents[] = {view.shape(0)[1], view.shape(0)[2]};
  for (std::size_t axis = 0; axis < 2; ++axis) {
    const auto index = view.constant(1 + 2 * axis, {DType::I32}).values<std::int32_t>();
    const auto weight = view.constant(2 + 2 * axis, {DType::I16}).values<std::int16_t>();
    for (std::size_t i = 0; i < index.size(); i += 2) {
      for (std::size_t j = i; j < i + 2; ++j) {
        QOPT_CHECK(index[j] >= 0 && index[j] < extents[axis], "resize index {} of {}",
                   index[j], extents[axis]);
        QOPT_CHECK(weight[j] >= 0, "resize weight {}", weight[j]);
      }
      QOPT_CHECK(weight[i] + weight[i + 1] == 1 << QRT_RESIZE_FRACTION,
                 "resize weights {} {}", weight[i], weight[i + 1]);
    }
  }
  return [dtype = view.out().dtype, shape = view.out().shape](std::span<const Tensor> in,
                                                              Scratch&) {
    Tensor out = Tensor::zeros(dtype, shape);
    const Shape& x = in[0].shape();
    const auto row_index = in[1].values<std::int32_t>();
    const auto row_weight = in[2].values<std::int16_t>();
    const auto col_index = in[3].values<std::int32_t>();
    const auto col_weight = in[4].values<std::int16_t>();
    const std::int64_t channels = x[3];
    with_codes(in[0], [&]<class Code>(std::span<const Code> codes) {
      Code* y = out.mutable_values<Code>().data();
      for (std::int64_t p = 0; p < shape[0] * shape[1] * shape[2]; ++p, y += channels) {
        const std::int64_t n = p / (shape[1] * shape[2]);
        const auto oh = static_cast<std::size_t>(p / shape[2] % shape[1]) * 2;
        const auto ow = static_cast<std::size_t>(p % shape[2]) * 2;
        const auto tap = [&](std::size_t i, std::size_t j) {
          return codes.data() +
                 ((n * x[1] + row_index[oh + i]) * x[2] + col_index[ow + j]) * channels;
        };
        const auto weight = [&](std::size_t i, std::size_t j) {
          return std::int64_t{row_weight[oh + i]} * col_weight[ow + j];
        };
        const Code *x00 = tap(0, 0), *x01 = tap(0, 1), *x10 = tap(1, 0), *x11 = tap(1, 1);
        const std::int64_t w00 = weight(0, 0), w01 = weight(0, 1), w10 = weight(1, 0),
                           w11 = weight(1, 1);
        for (std::int64_t c = 0; c < channels; ++c) {
          const std::int64_t acc =
              w00 * x00[c] + w01 * x01[c] + w10 * x10[c] + w11 * x11[c];
          y[c] = static_cast<Code>(qrt_shift_right64(acc, 2 * QRT_RESIZE_FRACTION));
        }
      }
    });
    return out;
  };
}

}  // namespace qopt
