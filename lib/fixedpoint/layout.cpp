// SPDX-License-Identifier: MIT
// Layout algebra: permutations of axes, and reshapes seen as groups of axes.
#include "lib/fixedpoint/layout.h"

#include <algorithm>
#include <numeric>

namespace qopt {
namespace {

std::size_t at(std::int64_t axis) { return static_cast<std::size_t>(axis); }

/// Logical axes of extent other than 1, in physical order: what decides the bytes.
Ints moving_axes(const Shape& logical, const Layout& layout) {
  Ints axes;
  for (std::int64_t axis : layout) {
    if (logical[at(axis)] != 1) axes.push_back(axis);
  }
  return axes;
}

/// Axes [from_begin, from_end) of one shape hold the elements of [to_begin, to_end) of
/// the other.
struct Group {
  std::int64_t from_begin = 0, from_end = 0, to_begin = 0, to_end = 0;
};

std::vector<Group> reshape_groups(const Shape& from, const Shape& to) {
  const auto from_rank = static_cast<std::int64_t>(from.size());
  const auto to_rank = static_cast<std::int64_t>(to.size());
  std::vector<Group> groups;
  if (num_elements(from) == 0) return {{0, from_rank, 0, to_rank}};
  std::int64_t i = 0, j = 0;
  while (i < from_rank && j < to_rank) {
    Group group{i, i + 1, j, j + 1};
    std::int64_t left = from[at(i++)], right = to[at(j++)];
    while (left != right) {
      if (left < right) {
        left *= from[at(i++)];
      } else {
        right *= to[at(j++)];
      }
    }
    group.from_end = i;
    group.to_end = j;
    groups.push_back(group);
  }
  // What is left over has extent 1 throughout.
  if (groups.empty()) return {{0, from_rank, 0, to_rank}};
  groups.back().from_end = from_rank;
  groups.back().to_end = to_rank;
  return groups;
}

/// Groups in the order of their innermost moving axes; those without one first.
std::vector<Group> by_innermost(std::vector<Group> groups, const Shape& from,
                                const Layout& layout) {
  const auto innermost = [&](const Group& group) {
    std::int64_t position = -1;
    for (std::size_t p = 0; p < layout.size(); ++p) {
      const bool inside = layout[p] >= group.from_begin && layout[p] < group.from_end;
      if (inside && from[at(layout[p])] != 1) position = static_cast<std::int64_t>(p);
    }
    return position;
  };
  std::ranges::stable_sort(groups, {}, innermost);
  return groups;
}

Layout axes_of(const std::vector<Group>& groups, bool of_result) {
  Layout axes;
  for (const Group& group : groups) {
    const std::int64_t begin = of_result ? group.to_begin : group.from_begin;
    const std::int64_t end = of_result ? group.to_end : group.from_end;
    for (std::int64_t axis = begin; axis < end; ++axis) axes.push_back(axis);
  }
  return axes;
}

}  // namespace

Layout identity_layout(std::size_t rank) {
  Layout layout(rank);
  std::iota(layout.begin(), layout.end(), std::int64_t{0});
  return layout;
}

Layout nhwc_layout() { return {0, 2, 3, 1}; }

bool is_identity(const Layout& layout) {
  return layout == identity_layout(layout.size());
}

Shape physical_shape(const Shape& logical, const Layout& layout) {
  return physical_order(layout, logical);
}

std::int64_t physical_axis(const Layout& layout, std::int64_t logical_axis) {
  const auto found = std::ranges::find(layout, logical_axis);
  QOPT_CHECK(found != layout.end(), "axis {} of rank {}", logical_axis, layout.size());
  return found - layout.begin();
}

Ints physical_axes(const Layout& layout, const Ints& logical_axes) {
  Ints axes;
  for (std::int64_t axis : logical_axes) axes.push_back(physical_axis(layout, axis));
  std::ranges::sort(axes);
  return axes;
}

Ints physical_order(const Layout& layout, const Ints& per_logical_axis) {
  QOPT_CHECK(layout.size() == per_logical_axis.size(), "layout of rank {} on rank {}",
             layout.size(), per_logical_axis.size());
  Ints ordered;
  for (std::int64_t axis : layout) ordered.push_back(per_logical_axis[at(axis)]);
  return ordered;
}

bool same_bytes(const Shape& logical, const Layout& a, const Layout& b) {
  return moving_axes(logical, a) == moving_axes(logical, b);
}

Ints permutation_between(const Layout& from, const Layout& to) {
  Ints perm;
  for (std::int64_t axis : to) perm.push_back(physical_axis(from, axis));
  return perm;
}

Layout permuted_layout(const Layout& layout, const Ints& perm) {
  Layout result;
  for (std::int64_t axis : layout) result.push_back(physical_axis(perm, axis));
  return result;
}

Layout unpermuted_layout(const Layout& result, const Ints& perm) {
  Layout layout;
  for (std::int64_t axis : result) layout.push_back(perm[at(axis)]);
  return layout;
}

Layout with_leading_axes(const Layout& layout, std::size_t rank) {
  Layout result = identity_layout(rank - layout.size());
  const auto offset = static_cast<std::int64_t>(result.size());
  for (std::int64_t axis : layout) result.push_back(axis + offset);
  return result;
}

Layout without_leading_axes(const Layout& layout, std::size_t rank) {
  const auto offset = static_cast<std::int64_t>(layout.size() - rank);
  Layout result;
  for (std::int64_t axis : layout) {
    if (axis >= offset) result.push_back(axis - offset);
  }
  return result;
}

Layout without_axes(const Layout& layout, const Ints& axes) {
  Layout result;
  for (std::int64_t axis : layout) {
    if (std::ranges::find(axes, axis) != axes.end()) continue;
    result.push_back(axis -
                     std::ranges::count_if(axes, [&](auto a) { return a < axis; }));
  }
  return result;
}

Layout with_axis_last(const Layout& layout, std::int64_t axis) {
  Layout result = layout;
  std::erase(result, axis);
  result.push_back(axis);
  return result;
}

Layout with_tail_last(const Layout& layout, std::int64_t count) {
  Layout result = layout;
  const auto rank = static_cast<std::int64_t>(layout.size());
  for (std::int64_t axis = rank - count; axis < rank; ++axis) {
    result = with_axis_last(result, axis);
  }
  return result;
}

ReshapePlan plan_reshape(const Shape& from, const Shape& to, const Layout& layout) {
  const std::vector<Group> groups = by_innermost(reshape_groups(from, to), from, layout);
  ReshapePlan plan{axes_of(groups, false), axes_of(groups, true)};
  if (same_bytes(from, plan.before, layout)) plan.before = layout;
  const Layout plain = identity_layout(to.size());
  if (same_bytes(to, plan.after, plain)) plan.after = plain;
  return plan;
}

bool plan_column_order(const Shape& from, const Shape& to, const Layout& layout,
                       ColumnOrder& order, Layout& after) {
  if (to.empty() || num_elements(from) == 0) return false;
  std::vector<Group> groups = by_innermost(reshape_groups(from, to), from, layout);
  const Group last = groups.back();
  const auto to_rank = static_cast<std::int64_t>(to.size());
  if (last.to_end != to_rank || last.to_end - last.to_begin != 1) return false;
  if (same_bytes(from, axes_of(groups, false), layout)) return false;  // free anyway
  // Axes of the last group in the order in which they lie; all of them must lie
  // innermost, and everything before them must be in order.
  const Ints lying = moving_axes(from, layout);
  Layout wanted;
  const std::vector<Group> others(groups.begin(), groups.end() - 1);
  for (std::int64_t axis : axes_of(others, false)) {
    if (from[at(axis)] != 1) wanted.push_back(axis);
  }
  if (wanted.size() > lying.size() ||
      !std::equal(wanted.begin(), wanted.end(), lying.begin())) {
    return false;
  }
  order = {};
  const Ints tail(lying.begin() + static_cast<std::ptrdiff_t>(wanted.size()),
                  lying.end());
  Ints logical = tail;
  std::ranges::sort(logical);
  for (std::int64_t axis : logical) order.extents.push_back(from[at(axis)]);
  for (std::int64_t axis : tail) {
    order.order.push_back(std::ranges::find(logical, axis) - logical.begin());
  }
  after = axes_of(groups, true);
  return true;
}

}  // namespace qopt
