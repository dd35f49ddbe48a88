// SPDX-License-Identifier: MIT
// Lowering of operators that move codes: concat, slice, reshape, permute, expand, pad,
// gather. Permutes are absorbed by layouts; reshapes are free where no axis crosses
// another.
#include <algorithm>

#include "lib/fixedpoint/lower_context.h"

namespace qopt {
namespace {

/// True when every user is a linear layer whose constant weights can be reordered to
/// match.
bool feeds_linears_only(const Lowering& to, ValueId value) {
  const Graph& graph = to.source();
  const std::vector<std::size_t> users = graph.users(value);
  if (users.empty() || graph.is_output(value)) return false;
  return std::ranges::all_of(users, [&](std::size_t index) {
    const Node& user = graph.nodes()[index];
    return std::holds_alternative<op::Linear>(user.op) && user.inputs.at(0) == value &&
           graph.is_constant(user.inputs.at(1));
  });
}

/// The layout that most elements of the operands already have; the first one on a tie.
Layout majority_layout(const Lowering& to, const std::vector<ValueId>& operands) {
  Layout best = to.layout(operands.at(0));
  std::int64_t most = -1;
  for (ValueId candidate : operands) {
    if (to.is_constant(candidate)) continue;
    const Layout layout = to.layout(candidate);
    std::int64_t elements = 0;
    for (ValueId id : operands) {
      if (!to.is_constant(id) && same_bytes(to.shape(id), to.layout(id), layout)) {
        elements += num_elements(to.shape(id));
      }
    }
    if (elements > most) {
      most = elements;
      best = layout;
    }
  }
  return best;
}

}  // namespace

void lower_node(Lowering& to, const Node& node, const op::Concat& o) {
  const Layout layout = majority_layout(to, node.inputs);
  std::vector<ValueId> parts;
  for (ValueId id : node.inputs) parts.push_back(to.get_as(id, layout, node.output));
  to.put(node, node.output, op::Concat{physical_axis(layout, o.axis)}, parts, layout);
}

void lower_node(Lowering& to, const Node& node, const op::Slice& o) {
  const ValueId x = node.inputs.at(0);
  const Layout layout = to.layout(x);
  op::Slice slice = o;
  slice.axis = physical_axis(layout, o.axis);
  to.put(node, node.output, slice, {to.get_as(x, layout, node.output)}, layout);
}

void lower_node(Lowering& to, const Node& node, const op::Reshape& o) {
  const ValueId x = node.inputs.at(0);
  const Shape& from = to.shape(x);
  if (from == o.shape) return to.put_alias(node.output, x, identity_layout(from.size()));
  ReshapePlan plan = plan_reshape(from, o.shape, to.layout(x));
  for (const Layout& layout : to.layouts(x)) {
    const ReshapePlan other = plan_reshape(from, o.shape, layout);
    if (!same_bytes(from, other.before, layout)) continue;
    plan = other;
    break;
  }
  const bool is_free = same_bytes(from, plan.before, to.layout(x));
  ColumnOrder columns;
  Layout after;
  if (!is_free && feeds_linears_only(to, node.output) &&
      plan_column_order(from, o.shape, to.layout(x), columns, after)) {
    return to.put_columns(node, op::Reshape{physical_shape(o.shape, after)},
                          {to.get_as(x, to.layout(x), node.output)}, after, columns);
  }
  to.put(node, node.output, op::Reshape{physical_shape(o.shape, plan.after)},
         {to.get_as(x, plan.before, node.output)}, plan.after);
}

void lower_node(Lowering& to, const Node& node, const op::Permute& o) {
  to.put_alias(node.output, node.inputs.at(0), o.perm);
}

void lower_node(Lowering& to, const Node& node, const op::Expand& o) {
  const ValueId x = node.inputs.at(0);
  if (to.shape(x) == o.shape) {
    return to.put_alias(node.output, x, identity_layout(o.shape.size()));
  }
  const Layout layout = with_leading_axes(to.layout(x), o.shape.size());
  to.put(node, node.output, op::Expand{physical_shape(o.shape, layout)},
         {to.get_expanded(x, layout)}, layout);
}

void lower_node(Lowering& to, const Node& node, const op::Pad& o) {
  const ValueId x = node.inputs.at(0);
  const Layout layout = to.layout(x);
  const Affine& affine = to.encoding(node.output);
  const std::int32_t code =
      encode(static_cast<float>(o.value), affine) - storage_offset(affine);
  to.put(node, node.output,
         op::Pad{physical_order(layout, o.before), physical_order(layout, o.after),
                 static_cast<double>(code)},
         {to.get_as(x, layout, node.output)}, layout);
}

void lower_node(Lowering& to, const Node& node, const op::Embedding&) {
  const ValueId indices = node.inputs.at(0), table = node.inputs.at(1);
  Layout layout = to.layout(indices);
  const ValueId rows = to.get(indices);
  const Affine& affine = to.encoding(node.output);
  // The table holds the result's own codes, so gathering is the whole operator.
  const Tensor codes = encode_tensor(to.real_constant(table), affine);
  layout.push_back(static_cast<std::int64_t>(layout.size()));
  to.put(node, node.output, op::QGather{},
         {rows, to.constant(to.source().value(table).name, codes, affine)}, layout);
}

}  // namespace qopt
