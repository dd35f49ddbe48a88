// SPDX-License-Identifier: MIT
// Shape inference of the Integer level's own operators: physical layouts, stored codes.
#include <algorithm>
#include <initializer_list>

#include "lib/graph/shape_rules.h"

namespace qopt::shape_rules {
namespace {

using Inputs = std::span<const ValueType>;

void require_dtype(const ValueType& t, std::initializer_list<DType> allowed,
                   std::string_view what) {
  require(std::ranges::find(allowed, t.dtype) != allowed.end(), "{} must not be {}", what,
          dtype_name(t.dtype));
}

void require_codes(const ValueType& t, std::string_view what) {
  require_dtype(t, {DType::I8, DType::I16}, what);
}

/// The smallest storage that holds the clamp's codes.
DType clamped_dtype(std::int64_t lo, std::int64_t hi) {
  require(lo <= hi, "clamp [{}, {}] is empty", lo, hi);
  require(lo >= INT16_MIN && hi <= INT16_MAX, "clamp [{}, {}] does not fit 16 bits", lo,
          hi);
  return lo >= INT8_MIN && hi <= INT8_MAX ? DType::I8 : DType::I16;
}

/// Types of (x, w, bias, multiplier, shift, w_zero?) for `out` channels.
void require_conv_operands(Inputs in, std::int64_t out) {
  require_codes(in[0], "input");
  require_codes(in[1], "weight");
  require_vector(in[2], out, "bias");
  require_dtype(in[2], {DType::I32, DType::I64}, "bias");
  require_vector(in[3], out, "multiplier");
  require_dtype(in[3], {DType::I32}, "multiplier");
  require_vector(in[4], out, "shift");
  require_dtype(in[4], {DType::I8}, "shift");
  if (in.size() > 5) {
    require_vector(in[5], out, "weight zero point");
    require_dtype(in[5], {DType::I16}, "weight zero point");
  }
}

template <class Conv>
void require_channels(const Conv& o, const ValueType& x, const ValueType& w) {
  require_rank(x, 4, "input");
  require_rank(w, 4, "weight");
  require_extent(o.groups, 1, "groups");
  require(x.shape[3] % o.groups == 0 && w.shape[3] == x.shape[3] / o.groups,
          "{} input channels in {} groups do not fit the weight", x.shape[3], o.groups);
  require(w.shape[0] % o.groups == 0, "{} output channels in {} groups", w.shape[0],
          o.groups);
}

ValueType conv(const op::QConv2d& o, Inputs in) {
  const ValueType &x = in[0], &w = in[1];
  require_channels(o, x, w);
  require_conv_operands(in, w.shape[0]);
  const Extents e = conv_extents({o.stride, o.dilation, o.pads}, x.shape[1], x.shape[2],
                                 w.shape[1], w.shape[2]);
  return {clamped_dtype(o.lo, o.hi), {x.shape[0], e[0], e[1], w.shape[0]}};
}

ValueType conv_transpose(const op::QConvTranspose2d& o, Inputs in) {
  const ValueType &x = in[0], &w = in[1];
  require_channels(o, x, w);
  require_conv_operands(in, w.shape[0]);
  const Extents e = transposed_extents({o.stride, o.dilation, o.pads}, o.output_padding,
                                       x.shape[1], x.shape[2], w.shape[1], w.shape[2]);
  return {clamped_dtype(o.lo, o.hi), {x.shape[0], e[0], e[1], w.shape[0]}};
}

template <class BinaryOp>
ValueType elementwise(const BinaryOp& o, Inputs in) {
  require_codes(in[0], "operand");
  require_codes(in[1], "operand");
  return {clamped_dtype(o.lo, o.hi), broadcast(in[0].shape, in[1].shape)};
}

ValueType lut(Inputs in) {
  const ValueType &x = in[0], &table = in[1];
  require_codes(x, "input");
  require_codes(table, "table");
  const std::int64_t entries = x.dtype == DType::I8 ? 256 : 65536;
  const bool shared = table.shape == Shape{entries};
  const bool per_channel =
      !x.shape.empty() && table.shape == Shape{x.shape.back(), entries} && entries == 256;
  require(shared || per_channel, "table {} for {}", type_text(table), type_text(x));
  return {table.dtype, x.shape};
}

void require_windows(const Ints& start, const Ints& end, std::int64_t extent,
                     std::string_view what) {
  require(start.size() == end.size() && !start.empty(), "{} starts and {} ends of {}",
          start.size(), end.size(), what);
  for (std::size_t i = 0; i < start.size(); ++i) {
    require(start[i] >= 0 && start[i] < end[i] && end[i] <= extent,
            "{} [{}, {}) of extent {}", what, start[i], end[i], extent);
  }
}

ValueType avg_pool(const op::QAvgPool2d& o, Inputs in) {
  const ValueType& x = in[0];
  require_codes(x, "input");
  require_rank(x, 4, "input");
  require_windows(o.row_start, o.row_end, x.shape[1], "rows");
  require_windows(o.col_start, o.col_end, x.shape[2], "columns");
  const auto rows = static_cast<std::int64_t>(o.row_start.size());
  const auto cols = static_cast<std::int64_t>(o.col_start.size());
  require_rank(in[1], 1, "multiplier");
  require_dtype(in[1], {DType::I32}, "multiplier");
  require_extent(in[1].shape[0], 1, "divisors");
  require_vector(in[2], in[1].shape[0], "shift");
  require_dtype(in[2], {DType::I8}, "shift");
  require_dtype(in[3], {DType::U8, DType::I32}, "divisor choice");
  require(in[3].shape == Shape{rows, cols},
          "divisor choice must be of shape [{},{}], is {}", rows, cols, type_text(in[3]));
  return {clamped_dtype(o.lo, o.hi), {x.shape[0], rows, cols, x.shape[3]}};
}

ValueType resize(Inputs in) {
  const ValueType& x = in[0];
  require_codes(x, "input");
  require_rank(x, 4, "input");
  std::int64_t extent[2];
  for (std::size_t i = 0; i < 2; ++i) {
    const ValueType &index = in[1 + 2 * i], &weight = in[2 + 2 * i];
    require_rank(index, 2, "index");
    require_dtype(index, {DType::I32}, "index");
    require_dtype(weight, {DType::I16}, "weight");
    require(index.shape[1] == 2 && weight.shape == index.shape,
            "index and weight must be of shape [extent,2]");
    require_extent(index.shape[0], 1, "output extent");
    require_extent(x.shape[1 + i], 1, "input extent");
    extent[i] = index.shape[0];
  }
  return {x.dtype, {x.shape[0], extent[0], extent[1], x.shape[3]}};
}

ValueType softmax(const op::QSoftmax& o, Inputs in) {
  require_codes(in[0], "input");
  axis_of(o.axis, in[0]);
  require_vector(in[1], in[0].dtype == DType::I8 ? 256 : 65536, "table");
  require_dtype(in[1], {DType::I32}, "table");
  require(o.out_bits >= 1 && o.out_bits <= 16, "out_bits is {}", o.out_bits);
  return {clamped_dtype(o.lo, o.hi), in[0].shape};
}

ValueType layer_norm(const op::QLayerNorm& o, Inputs in) {
  const ValueType& x = in[0];
  require_codes(x, "input");
  const auto rank = static_cast<std::int64_t>(x.shape.size());
  require(o.num_axes >= 1 && o.num_axes <= rank, "{} axes of {}", o.num_axes,
          type_text(x));
  const std::int64_t count = num_elements(
      {x.shape.end() - static_cast<std::ptrdiff_t>(o.num_axes), x.shape.end()});
  for (const ValueType& p : in.subspan(1)) {
    require_vector(p, count, "parameter");
    require_dtype(p, {DType::I32}, "parameter");
  }
  return {clamped_dtype(o.lo, o.hi), x.shape};
}

ValueType gather(Inputs in) {
  require_dtype(in[0], {DType::I32}, "indices");
  require_codes(in[1], "table");
  require_rank(in[1], 2, "table");
  require_extent(in[1].shape[0], 1, "table rows");
  ValueType out{in[1].dtype, in[0].shape};
  out.shape.push_back(in[1].shape[1]);
  return out;
}

}  // namespace

ValueType integer_type(const Op& op, std::span<const ValueType> in) {
  return std::visit(
      Overloaded{
          [&](const op::QConv2d& o) { return conv(o, in); },
          [&](const op::QConvTranspose2d& o) { return conv_transpose(o, in); },
          [&](const op::QMatMul& o) {
            require_codes(in[0], "operand");
            require_codes(in[1], "operand");
            return ValueType{clamped_dtype(o.lo, o.hi), matmul_type(in[0], in[1]).shape};
          },
          [&](const op::QAdd& o) { return elementwise(o, in); },
          [&](const op::QMul& o) { return elementwise(o, in); },
          [&](const op::QDiv& o) { return elementwise(o, in); },
          [&](const op::Rescale& o) {
            require_codes(in[0], "input");
            return ValueType{clamped_dtype(o.lo, o.hi), in[0].shape};
          },
          [&](const op::Lut&) { return lut(in); },
          [&](const op::QAvgPool2d& o) { return avg_pool(o, in); },
          [&](const op::QReduce& o) {
            require_codes(in[0], "input");
            return ValueType{clamped_dtype(o.lo, o.hi),
                             reduced(in[0], o.axes, o.keepdim)};
          },
          [&](const op::QResize&) { return resize(in); },
          [&](const op::QSoftmax& o) { return softmax(o, in); },
          [&](const op::QLayerNorm& o) { return layer_norm(o, in); },
          [&](const op::QL2Normalize& o) {
            require_codes(in[0], "input");
            axis_of(o.axis, in[0]);
            return ValueType{clamped_dtype(o.lo, o.hi), in[0].shape};
          },
          [&](const op::QGather&) { return gather(in); },
          [](const auto& o) -> ValueType {
            fail(fmt::format("{} is no operator of the integer level alone", o.kName));
          },
      },
      op);
}

}  // namespace qopt::shape_rules
