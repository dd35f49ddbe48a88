// SPDX-License-Identifier: MIT
// Operators that only move codes (numerics N37), on bytes of any element width.
#include <cstring>

#include "lib/fixedpoint/integer_node.h"

namespace qopt {
namespace {

/// Elements before and after an axis.
std::int64_t outer_of(const Shape& shape, std::int64_t axis) {
  return num_elements({shape.begin(), shape.begin() + static_cast<std::ptrdiff_t>(axis)});
}
std::int64_t inner_of(const Shape& shape, std::int64_t axis) {
  return num_elements(
      {shape.begin() + static_cast<std::ptrdiff_t>(axis) + 1, shape.end()});
}

void copy(std::byte* to, const std::byte* from, std::int64_t bytes) {
  if (bytes > 0) std::memcpy(to, from, static_cast<std::size_t>(bytes));
}

}  // namespace

Kernel prepare(const NodeView& view, const op::Concat& o) {
  return [axis = o.axis, dtype = view.out().dtype, shape = view.out().shape](
             std::span<const Tensor> in, Scratch&) {
    Tensor out = Tensor::zeros(dtype, shape);
    const auto width = static_cast<std::int64_t>(dtype_size(dtype));
    const std::int64_t inner = inner_of(shape, axis) * width;
    const std::int64_t row = inner * shape[static_cast<std::size_t>(axis)];
    std::byte* to = out.mutable_bytes().data();
    for (const Tensor& part : in) {
      const std::int64_t bytes = inner * part.shape()[static_cast<std::size_t>(axis)];
      for (std::int64_t i = 0; i < outer_of(shape, axis); ++i) {
        copy(to + i * row, part.bytes().data() + i * bytes, bytes);
      }
      to += bytes;
    }
    return out;
  };
}

Kernel prepare(const NodeView& view, const op::Slice& o) {
  return [o, dtype = view.out().dtype, shape = view.out().shape](
             std::span<const Tensor> in, Scratch&) {
    Tensor out = Tensor::zeros(dtype, shape);
    const auto width = static_cast<std::int64_t>(dtype_size(dtype));
    const std::int64_t inner = inner_of(shape, o.axis) * width;
    const std::int64_t extent = shape[static_cast<std::size_t>(o.axis)];
    const std::int64_t from_extent = in[0].shape()[static_cast<std::size_t>(o.axis)];
    const std::byte* from = in[0].bytes().data();
    std::byte* to = out.mutable_bytes().data();
    for (std::int64_t i = 0; i < outer_of(shape, o.axis); ++i) {
      for (std::int64_t j = 0; j < extent; ++j) {
        copy(to + (i * extent + j) * inner,
             from + (i * from_extent + o.start + j * o.step) * inner, inner);
      }
    }
    return out;
  };
}

Kernel prepare(const NodeView& view, const op::Reshape&) {
  return [shape = view.out().shape](std::span<const Tensor> in, Scratch&) {
    return in[0].reshaped(shape);
  };
}

Kernel prepare(const NodeView&, const op::Permute& o) {
  return [perm = o.perm](std::span<const Tensor> in, Scratch&) {
    return permuted(in[0], perm);
  };
}

Kernel prepare(const NodeView& view, const op::Expand&) {
  return [dtype = view.out().dtype, shape = view.out().shape](std::span<const Tensor> in,
                                                              Scratch&) {
    Tensor out = Tensor::zeros(dtype, shape);
    const Shape& own = in[0].shape();
    const std::size_t lead = shape.size() - own.size();
    Ints step(shape.size(), 0);
    std::int64_t stride = 1;
    for (std::size_t i = own.size(); i-- > 0;) {
      if (own[i] != 1) step[lead + i] = stride;
      stride *= own[i];
    }
    const auto width = static_cast<std::int64_t>(dtype_size(dtype));
    const std::byte* from = in[0].bytes().data();
    std::byte* to = out.mutable_bytes().data();
    std::vector<std::int64_t> index(shape.size(), 0);
    std::int64_t offset = 0;
    for (std::int64_t i = 0; i < out.size(); ++i) {
      copy(to + i * width, from + offset * width, width);
      for (std::size_t axis = shape.size(); axis-- > 0;) {
        offset += step[axis];
        if (++index[axis] < shape[axis]) break;
        offset -= step[axis] * shape[axis];
        index[axis] = 0;
      }
    }
    return out;
  };
}

Kernel prepare(const NodeView& view, const op::Pad& o) {
  const auto value = static_cast<std::int64_t>(o.value);
  QOPT_CHECK(static_cast<double>(value) == o.value, "padding with {}", o.value);
  return [o, value, dtype = view.out().dtype, shape = view.out().shape](
             std::span<const Tensor> in, Scratch&) {
    Tensor out = Tensor::zeros(dtype, shape);
    with_mutable_codes(out, [&]<class Code>(std::span<Code> y) {
      std::fill(y.begin(), y.end(), static_cast<Code>(value));
    });
    if (in[0].size() == 0) return out;
    const Shape& own = in[0].shape();
    const auto width = static_cast<std::int64_t>(dtype_size(dtype));
    Ints stride(shape.size(), 1);
    for (std::size_t i = shape.size(); i-- > 1;) stride[i - 1] = stride[i] * shape[i];
    std::int64_t offset = 0;
    for (std::size_t i = 0; i < shape.size(); ++i) offset += o.before[i] * stride[i];
    const std::int64_t run = own.empty() ? 1 : own.back();
    std::vector<std::int64_t> index(own.size(), 0);
    const std::byte* from = in[0].bytes().data();
    std::byte* to = out.mutable_bytes().data();
    for (std::int64_t at = 0; at < in[0].size(); at += run) {
      copy(to + offset * width, from + at * width, run * width);
      for (std::size_t axis = own.size(); axis-- > 1;) {
        const std::size_t outer = axis - 1;
        offset += stride[outer];
        if (++index[outer] < own[outer]) break;
        offset -= stride[outer] * own[outer];
        index[outer] = 0;
      }
    }
    return out;
  };
}

}  // namespace qopt
