// SPDX-License-Identifier: MIT
// Layouts: in which order the axes of a value lie in memory, and what reshapes, permutes
// and broadcasts do to that order. Pure functions of shapes; know no graph.
//
// A layout is a permutation: physical axis i is logical axis layout[i]. Logical shapes
// are the Canonical graph's. Axes of extent 1 move for free, so two layouts of one shape
// may have the same bytes.
#pragma once

#include <cstddef>

#include "lib/core/tensor.h"
#include "lib/graph/op.h"

namespace qopt {

using Layout = Ints;

Layout identity_layout(std::size_t rank);
/// N,H,W,C of logical N,C,H,W.
Layout nhwc_layout();
bool is_identity(const Layout& layout);

/// Extents in physical order.
Shape physical_shape(const Shape& logical, const Layout& layout);
/// Where a logical axis lies; sorted for several.
std::int64_t physical_axis(const Layout& layout, std::int64_t logical_axis);
Ints physical_axes(const Layout& layout, const Ints& logical_axes);
/// One entry for each logical axis brought into physical order (pads, extents).
Ints physical_order(const Layout& layout, const Ints& per_logical_axis);

/// True when a value of this shape has the same bytes under both layouts.
bool same_bytes(const Shape& logical, const Layout& a, const Layout& b);
/// The Permute attribute that takes physical order `from` to physical order `to`.
Ints permutation_between(const Layout& from, const Layout& to);

/// Layout of permute(x, perm), when x has `layout` and no byte moves; and back: the
/// layout of x that gives permute(x, perm) the layout `result`.
Layout permuted_layout(const Layout& layout, const Ints& perm);
Layout unpermuted_layout(const Layout& result, const Ints& perm);

/// The layout with new outermost logical axes up to `rank` (NumPy's broadcast rule), and
/// back.
Layout with_leading_axes(const Layout& layout, std::size_t rank);
Layout without_leading_axes(const Layout& layout, std::size_t rank);
/// The layout after the logical `axes` (sorted) are removed.
Layout without_axes(const Layout& layout, const Ints& axes);
/// The layout with `axis` moved to be the last physically, or the last `count` logical
/// axes so, in their order; the others keep theirs.
Layout with_axis_last(const Layout& layout, std::int64_t axis);
Layout with_tail_last(const Layout& layout, std::int64_t count);

/// How a reshape acts on a layout.
struct ReshapePlan {
  Layout before;  // the order in which the input must lie; same bytes as given when free
  Layout after;   // the order in which the result then lies
};

/// Splits both shapes into the smallest groups of axes with equal products. The reshape
/// is free where each group's axes lie together and in order; else `before` repairs that
/// and keeps the order of the groups by their innermost axes, so that what was innermost
/// stays so.
ReshapePlan plan_reshape(const Shape& from, const Shape& to, const Layout& layout);

/// A reshape that merges axes into the last axis of `to`, where those axes lie together
/// and innermost but in another order: their elements may stay where they are if the
/// consumer's weights are permuted instead.
struct ColumnOrder {
  Shape extents;  // of the merged axes, in logical order
  Ints order;     // physical axis i of the merged ones is logical one order[i]
  bool operator==(const ColumnOrder&) const = default;
};

/// Fills `order` and `after` (the result's layout, last axis innermost) when `from` ->
/// `to` under `layout` is such a reshape and is not free anyway.
bool plan_column_order(const Shape& from, const Shape& to, const Layout& layout,
                       ColumnOrder& order, Layout& after);

}  // namespace qopt
