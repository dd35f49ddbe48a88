// SPDX-License-Identifier: MIT
#include "lib/export/golden_stats.h"

#include <algorithm>

#include "runtime/include/qrt/arith.h"

namespace qopt::emit {
namespace {

bool is_tie(std::int64_t x, int shift) {
  if (shift <= 0) return false;
  const std::int64_t mask = (std::int64_t{1} << shift) - 1;
  return (x & mask) == (std::int64_t{1} << (shift - 1));
}

/// One result of rule N5 and N7.
void count_requant(std::int64_t acc, std::int64_t multiplier, std::int64_t shift,
                   std::int64_t zero, std::int64_t lo, std::int64_t hi,
                   RoundingStats& stats) {
  const auto m = static_cast<std::int32_t>(multiplier);
  const int left = static_cast<int>(std::max<std::int64_t>(shift, 0));
  const int right = static_cast<int>(std::max<std::int64_t>(-shift, 0));
  const std::int32_t high =
      qrt_mul_high(qrt_shift_left(static_cast<std::int32_t>(acc), left), m);
  const std::int64_t y = std::int64_t{qrt_shift_right(high, right)} + zero;
  ++stats.sampled;
  stats.ties += is_tie(high, right) ? 1 : 0;
  stats.clamped += y < lo || y > hi ? 1 : 0;
}

/// Sum of products of result `at` (row-major in N,H,W,O), rule N21.
std::int64_t sum_of_products(const op::QConv2d& conv, const Tensor& x, const Tensor& w,
                             const Tensor* w_zero, const Shape& out, std::int64_t at) {
  const std::int64_t o = at % out[3], ow = at / out[3] % out[2];
  const std::int64_t oh = at / (out[3] * out[2]) % out[1],
                     n = at / (out[3] * out[2] * out[1]);
  const Shape& in = x.shape();
  const Shape& k = w.shape();
  const std::int64_t first = o / (out[3] / conv.groups) * k[3];
  const std::int64_t zero = w_zero != nullptr ? w_zero->integer_at(o) : 0;
  std::int64_t sum = 0;
  for (std::int64_t kh = 0; kh < k[1]; ++kh) {
    const std::int64_t ih = oh * conv.stride[0] - conv.pads[0] + kh * conv.dilation[0];
    if (ih < 0 || ih >= in[1]) continue;
    for (std::int64_t kw = 0; kw < k[2]; ++kw) {
      const std::int64_t iw = ow * conv.stride[1] - conv.pads[1] + kw * conv.dilation[1];
      if (iw < 0 || iw >= in[2]) continue;
      const std::int64_t x_at = ((n * in[1] + ih) * in[2] + iw) * in[3] + first;
      const std::int64_t w_at = ((o * k[1] + kh) * k[2] + kw) * k[3];
      for (std::int64_t c = 0; c < k[3]; ++c) {
        sum += (x.integer_at(x_at + c) - conv.x_zero) * (w.integer_at(w_at + c) - zero);
      }
    }
  }
  return sum;
}

}  // namespace

void count_rounding(const Graph& graph, const Node& node, std::int64_t samples,
                    const std::function<const Tensor&(ValueId)>& value_of,
                    RoundingStats& stats) {
  const Shape& out = graph.value(node.output).shape;
  const std::int64_t total = num_elements(out);
  const std::int64_t taken = std::min(samples, total);
  const auto input = [&](std::size_t i) -> const Tensor& {
    return value_of(node.inputs[i]);
  };
  for (std::int64_t i = 0; i < taken; ++i) {
    const std::int64_t at = i * total / taken;
    if (const auto* conv = std::get_if<op::QConv2d>(&node.op)) {
      if (conv->acc_bits > 32) return;
      const Tensor* w_zero = node.inputs.size() > 5 ? &input(5) : nullptr;
      const std::int64_t sum =
          sum_of_products(*conv, input(0), input(1), w_zero, out, at);
      const std::int64_t o = at % out[3], shift = input(4).integer_at(o);
      const std::int32_t acc = qrt_accumulate(
          static_cast<std::int32_t>(sum),
          static_cast<std::int32_t>(input(2).integer_at(o)), static_cast<int>(shift));
      count_requant(acc, input(3).integer_at(o), std::min<std::int64_t>(shift, 0),
                    conv->y_zero, conv->lo, conv->hi, stats);
    } else if (const auto* add = std::get_if<op::QAdd>(&node.op)) {
      if (input(0).shape() != out || input(1).shape() != out) return;
      const std::int64_t acc =
          (input(0).integer_at(at) - add->a_zero) * add->a_multiplier +
          (input(1).integer_at(at) - add->b_zero) * add->b_multiplier;
      const int shift = static_cast<int>(add->shift);
      const std::int64_t y =
          std::int64_t{qrt_shift_right(static_cast<std::int32_t>(acc), shift)} +
          add->y_zero;
      ++stats.sampled;
      stats.ties += is_tie(acc, shift) ? 1 : 0;
      stats.clamped += y < add->lo || y > add->hi ? 1 : 0;
    } else if (const auto* rescale = std::get_if<op::Rescale>(&node.op)) {
      count_requant(input(0).integer_at(at) - rescale->x_zero, rescale->multiplier,
                    rescale->shift, rescale->y_zero, rescale->lo, rescale->hi, stats);
    } else {
      return;
    }
  }
}

}  // namespace qopt::emit
