// SPDX-License-Identifier: MIT
// Requantisation of whole rows, and checked access to a node's constants.
#include "lib/fixedpoint/integer_node.h"

#include <algorithm>

#include "runtime/include/qrt/arith.h"

namespace qopt {

const Tensor& NodeView::constant(std::size_t i,
                                 std::initializer_list<DType> dtypes) const {
  const Value& value = in(i);
  QOPT_CHECK(value.constant.has_value(), "'{}' must be constant", value.name);
  QOPT_CHECK(std::find(dtypes.begin(), dtypes.end(), value.dtype) != dtypes.end(),
             "'{}' is {}", value.name, dtype_name(value.dtype));
  return *value.constant;
}

void load_centred(const Tensor& x, std::int64_t first, std::int64_t n, std::int64_t zero,
                  std::int32_t* y) {
  with_codes(x, [&](auto codes) {
    loops::centre(codes.data() + first, n, static_cast<std::int32_t>(zero), y);
  });
}

Requantiser::Requantiser(std::vector<std::int32_t> multiplier,
                         std::vector<std::int32_t> shift, std::int64_t acc_bits,
                         Finish finish)
    : multiplier_(std::move(multiplier)),
      shift_(std::move(shift)),
      wide_(acc_bits > 32),
      finish_(finish) {
  QOPT_CHECK(multiplier_.size() == shift_.size(), "{} multipliers, {} shifts",
             multiplier_.size(), shift_.size());
  QOPT_CHECK(finish_.lo <= finish_.hi && finish_.lo >= -32768 && finish_.hi <= 32767,
             "clamp [{}, {}]", finish_.lo, finish_.hi);
  QOPT_CHECK(finish_.y_zero >= -32768 && finish_.y_zero <= 32767, "zero point {}",
             finish_.y_zero);
  for (std::size_t c = 0; c < multiplier_.size(); ++c) {
    QOPT_CHECK(multiplier_[c] == 0 || multiplier_[c] >= 1 << 18, "multiplier {}",
               multiplier_[c]);
    QOPT_CHECK(shift_[c] >= -31 && shift_[c] <= 30, "shift {}", shift_[c]);
    left_.push_back(std::max(shift_[c], 0));
    any_left_ |= left_[c] > 0;
    const std::int32_t right = std::max(-shift_[c], 0);
    right_.push_back(right);
    half_.push_back(std::max(right - 1, 0));
    tie_.push_back(right > 0 ? 1 : 0);
  }
}

Requantiser::Requantiser(std::vector<std::int64_t> bias,
                         std::vector<std::int32_t> multiplier,
                         std::vector<std::int32_t> shift, std::int64_t acc_bits,
                         Finish finish)
    : Requantiser(std::move(multiplier), std::move(shift), acc_bits, finish) {
  QOPT_CHECK(bias.size() == multiplier_.size(), "{} biases, {} multipliers", bias.size(),
             multiplier_.size());
  bias_ = std::move(bias);
  if (wide_) return;
  for (const std::int64_t b : bias_) {
    QOPT_CHECK(b >= INT32_MIN && b <= INT32_MAX, "bias {} of a 32-bit accumulator", b);
    bias32_.push_back(static_cast<std::int32_t>(b));
  }
}

Requantiser::Requantiser(std::int64_t multiplier, std::int64_t shift,
                         std::int64_t channels, std::int64_t acc_bits, Finish finish)
    : Requantiser(std::vector<std::int32_t>(static_cast<std::size_t>(channels),
                                            static_cast<std::int32_t>(multiplier)),
                  std::vector<std::int32_t>(static_cast<std::size_t>(channels),
                                            static_cast<std::int32_t>(shift)),
                  acc_bits, finish) {
  QOPT_CHECK(multiplier >= 0 && multiplier <= INT32_MAX, "multiplier {}", multiplier);
}

std::int32_t Requantiser::requantised(std::int64_t acc, std::int64_t channel,
                                      int shift) const {
  const std::int32_t multiplier = multiplier_[static_cast<std::size_t>(channel)];
  const std::int32_t y =
      wide_ ? qrt_requant64(acc, multiplier, shift)
            : qrt_requant(static_cast<std::int32_t>(acc), multiplier, shift);
  return qrt_finish(y, static_cast<std::int32_t>(finish_.y_zero),
                    static_cast<std::int32_t>(finish_.lo),
                    static_cast<std::int32_t>(finish_.hi));
}

std::int32_t Requantiser::one(std::int64_t acc, std::int64_t channel) const {
  const auto c = static_cast<std::size_t>(channel);
  if (bias_.empty()) return requantised(acc, channel, shift_[c]);
  const std::int64_t scaled = acc * (std::int64_t{1} << left_[c]);
  return requantised(scaled + bias_[c], channel, -right_[c]);
}

void Requantiser::run(std::int32_t* acc, std::int64_t acc_step, std::int64_t rows,
                      std::int64_t first, std::int64_t count, Tensor& out,
                      std::int64_t at, std::int64_t out_step) const {
  QOPT_CHECK(!wide_, "32-bit accumulators where 64 were asked for");
  const loops::ChannelShifts shifts{multiplier_.data() + first, right_.data() + first,
                                    half_.data() + first, tie_.data() + first};
  for (std::int64_t r = 0; r < rows; ++r) {
    std::int32_t* row = acc + r * acc_step;
    if (!bias_.empty()) {
      loops::accumulate(row, count, left_.data() + first, bias32_.data() + first);
    } else if (any_left_) {
      for (std::int64_t c = 0; c < count; ++c) {
        row[c] = qrt_shift_left(row[c], left_[static_cast<std::size_t>(first + c)]);
      }
    }
  }
  with_mutable_codes(out, [&](auto y) {
    for (std::int64_t r = 0; r < rows; ++r) {
      loops::requantise(
          acc + r * acc_step, count, shifts, static_cast<std::int32_t>(finish_.y_zero),
          static_cast<std::int32_t>(finish_.lo), static_cast<std::int32_t>(finish_.hi),
          y.data() + at + r * out_step);
    }
  });
}

void Requantiser::run(const std::int64_t* acc, std::int64_t rows, std::int64_t first,
                      std::int64_t count, Tensor& out, std::int64_t at) const {
  with_mutable_codes(out, [&](auto y) {
    using Code = typename decltype(y)::value_type;
    for (std::int64_t r = 0; r < rows; ++r) {
      for (std::int64_t c = 0; c < count; ++c) {
        y[static_cast<std::size_t>(at + r * count + c)] =
            static_cast<Code>(one(acc[r * count + c], first + c));
      }
    }
  });
}

std::vector<std::int32_t> channel_shifts(const NodeView& view, std::size_t input) {
  const Tensor& s = view.constant(input, {DType::I8});
  std::vector<std::int32_t> shift;
  for (std::int64_t i = 0; i < s.size(); ++i) {
    shift.push_back(static_cast<std::int32_t>(s.integer_at(i)));
  }
  return shift;
}

}  // namespace qopt
