// SPDX-License-Identifier: MIT
// Operators that change nothing go, neighbours merge, and pools over everything become
// means.
#include <algorithm>
#include <limits>

#include "lib/graph/passes/edit.h"
#include "lib/graph/passes/passes.h"
#include "lib/graph/shape.h"

namespace qopt {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

bool all_equal(std::span<const std::int64_t> xs, std::int64_t wanted) {
  return std::ranges::all_of(xs, [&](std::int64_t x) { return x == wanted; });
}

/// True when the operator returns its first input as it is; `x` and `y` are its types'
/// shapes.
bool is_identity(const Op& op, std::size_t inputs, const Shape& x, const Shape& y) {
  if (std::holds_alternative<op::Expand>(op) || std::holds_alternative<op::Reshape>(op) ||
      std::holds_alternative<op::Pad>(op) ||
      std::holds_alternative<op::AdaptiveAvgPool2d>(op)) {
    return x == y;
  }
  if (const auto* permute = std::get_if<op::Permute>(&op)) {
    return std::ranges::is_sorted(permute->perm);
  }
  if (const auto* slice = std::get_if<op::Slice>(&op)) return slice->step == 1 && x == y;
  if (std::holds_alternative<op::Concat>(op)) return inputs == 1;
  if (const auto* clamp = std::get_if<op::Clamp>(&op)) {
    return clamp->lo == -kInfinity && clamp->hi == kInfinity;
  }
  if (const auto* resize = std::get_if<op::Resize>(&op)) {
    const auto plain = [](double scale) { return scale == 0.0 || scale == 1.0; };
    return x == y && std::ranges::all_of(resize->scale, plain);
  }
  if (const auto* pool = std::get_if<op::MaxPool2d>(&op)) {
    return all_equal(pool->kernel, 1) && x == y && all_equal(pool->pads, 0) &&
           all_equal(pool->stride, 1);
  }
  if (const auto* pool = std::get_if<op::AvgPool2d>(&op)) {
    return all_equal(pool->kernel, 1) && x == y && all_equal(pool->pads, 0) &&
           all_equal(pool->stride, 1) && pool->divisor <= 1;
  }
  return false;
}

/// Reshape of Reshape, Permute of Permute, Clamp of Clamp.
bool merge_with_producer(Graph& graph, std::size_t i) {
  const Node& node = graph.nodes()[i];
  const ValueId middle = node.inputs[0];
  if (const auto* reshape = std::get_if<op::Reshape>(&node.op)) {
    const Node* before = edit::maker<op::Reshape>(graph, middle);
    if (before == nullptr) return false;
    edit::become(graph, i, *reshape, {before->inputs[0]});
    return true;
  }
  if (const auto* permute = std::get_if<op::Permute>(&node.op)) {
    const Node* before = edit::maker<op::Permute>(graph, middle);
    if (before == nullptr) return false;
    const Ints& first = std::get<op::Permute>(before->op).perm;
    op::Permute both;
    for (std::int64_t axis : permute->perm) {
      both.perm.push_back(first[static_cast<std::size_t>(axis)]);
    }
    edit::become(graph, i, both, {before->inputs[0]});
    return true;
  }
  if (const auto* outer = std::get_if<op::Clamp>(&node.op)) {
    const Node* before = edit::maker<op::Clamp>(graph, middle);
    if (before == nullptr || !edit::sole_producer(graph, middle)) return false;
    const auto& inner = std::get<op::Clamp>(before->op);
    const op::Clamp both{std::clamp(inner.lo, outer->lo, outer->hi),
                         std::clamp(inner.hi, outer->lo, outer->hi)};
    edit::become(graph, i, both, {before->inputs[0]});
    return true;
  }
  return false;
}

/// Pools whose windows are the whole image -> mean; adaptive pools with equal windows ->
/// pool.
bool simplify_pool(Graph& graph, std::size_t i) {
  const Node& node = graph.nodes()[i];
  const ValueId x = node.inputs[0];
  const Shape& in = graph.value(x).shape;
  const Op mean = op::Reduce{ReduceKind::Mean, {2, 3}, true};
  if (const auto* pool = std::get_if<op::AdaptiveAvgPool2d>(&node.op)) {
    const Pair out = pool->out;
    if (all_equal(out, 1)) {
      edit::become(graph, i, mean, {x});
      return true;
    }
    if (in[2] % out[0] != 0 || in[3] % out[1] != 0) return false;
    op::AvgPool2d equal;
    equal.kernel = equal.stride = {in[2] / out[0], in[3] / out[1]};
    edit::become(graph, i, equal, {x});
    return true;
  }
  if (const auto* pool = std::get_if<op::AvgPool2d>(&node.op)) {
    const std::int64_t count = pool->kernel[0] * pool->kernel[1];
    const bool whole = pool->kernel == Pair{in[2], in[3]} && all_equal(pool->pads, 0);
    if (!whole || (pool->divisor != 0 && pool->divisor != count)) return false;
    edit::become(graph, i, mean, {x});
    return true;
  }
  return false;
}

/// Arithmetic broadcasts by itself: an Expand before it goes where the result stays the
/// same.
bool drop_expand(Graph& graph, std::size_t i) {
  const Node& node = graph.nodes()[i];
  if (!std::holds_alternative<op::Binary>(node.op)) return false;
  for (std::size_t side = 0; side < 2; ++side) {
    const Node* expand = edit::maker<op::Expand>(graph, node.inputs[side]);
    if (expand == nullptr) continue;
    const ValueId small = expand->inputs[0];
    const Shape& other = graph.value(node.inputs[1 - side]).shape;
    if (broadcast(graph.value(small).shape, other) != graph.value(node.output).shape)
      continue;
    graph.mutable_nodes()[i].inputs[side] = small;
    return true;
  }
  return false;
}

bool simplify_at(Graph& graph, std::size_t i) {
  const Node& node = graph.nodes()[i];
  if (node.inputs.empty()) return false;
  const ValueId x = node.inputs[0];
  if (is_identity(node.op, node.inputs.size(), graph.value(x).shape,
                  graph.value(node.output).shape)) {
    edit::bypass(graph, i, x);
    return true;
  }
  return merge_with_producer(graph, i) || simplify_pool(graph, i) ||
         drop_expand(graph, i);
}

}  // namespace

bool simplify_shapes(Graph& graph) { return edit::rewrite_all(graph, simplify_at); }

}  // namespace qopt
