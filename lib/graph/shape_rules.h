// SPDX-License-Identifier: MIT
// What the parts of shape inference share (shape.cpp, shape_float.cpp,
// shape_integer.cpp); private to them.
#pragma once

#include <array>
#include <string>
#include <utility>

#include "lib/graph/shape.h"

namespace qopt::shape_rules {

[[noreturn]] void fail(std::string what);

template <class... Args>
void require(bool holds, fmt::format_string<Args...> format, Args&&... args) {
  if (!holds) fail(fmt::format(format, std::forward<Args>(args)...));
}

void require_rank(const ValueType& t, std::size_t rank, std::string_view what);
/// Exactly the shape [extent].
void require_vector(const ValueType& t, std::int64_t extent, std::string_view what);
/// lo <= extent <= 2^31.
void require_extent(std::int64_t extent, std::int64_t lo, std::string_view what);
std::size_t axis_of(std::int64_t axis, const ValueType& x);
/// Shape after reducing sorted `axes`.
Shape reduced(const ValueType& x, const Ints& axes, bool keepdim);

struct WindowAttributes {
  Pair stride{1, 1}, dilation{1, 1};
  Quad pads{0, 0, 0, 0};
  bool ceil_mode = false;
};
using Extents = std::array<std::int64_t, 2>;  // height, width
Extents conv_extents(const WindowAttributes& w, std::int64_t height, std::int64_t width,
                     std::int64_t kernel_h, std::int64_t kernel_w);
Extents transposed_extents(const WindowAttributes& w, const Pair& output_padding,
                           std::int64_t height, std::int64_t width, std::int64_t kernel_h,
                           std::int64_t kernel_w);
ValueType matmul_type(const ValueType& a, const ValueType& b);

/// Type of any operator; those of the Integer level alone go on to integer_type.
ValueType float_type(const Op& op, std::span<const ValueType> in, Level level);
/// Type of an operator of the Integer level alone.
ValueType integer_type(const Op& op, std::span<const ValueType> in);

}  // namespace qopt::shape_rules
