// SPDX-License-Identifier: MIT
// Lowering's state: the Integer graph under construction, and for each value of the
// Encoded graph where and in which layout it lives there. The operator files
// (lower_conv.cpp, ...) speak to it; it decides about no operator.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/fixedpoint/layout.h"
#include "lib/fixedpoint/multiplier.h"
#include "lib/graph/graph.h"

namespace qopt {

/// A per-tensor encoding in stored codes: real = scale * (code - zero).
struct Quant {
  double scale = 1.0;
  std::int64_t zero = 0, lo = -128, hi = 127;
  DType dtype = DType::I8;

  /// Codes less the zero point.
  Interval centred() const { return {lo - zero, hi - zero}; }
};

Quant quant_of(const Affine& encoding);
/// The encoding itself: the one place that names the alternatives of Encoding.
const Affine& affine_of(const Encoding& encoding);
/// True when every code of `from` is the same code with the same meaning in `to`.
bool same_codes(const Affine& from, const Affine& to);

/// What a node has to produce: the value, and the codes that it may take. A Clamp that is
/// its only user is part of it (graph/verify.h is_fused_into_clamp).
struct Target : Quant {
  ValueId value;  // of the Encoded graph
};

class Lowering {
 public:
  explicit Lowering(const Graph& encoded);

  const Graph& source() const { return source_; }
  Graph& graph() { return graph_; }
  const Shape& shape(ValueId id) const { return source_.value(id).shape; }
  std::size_t rank(ValueId id) const { return shape(id).size(); }
  bool is_constant(ValueId id) const { return source_.is_constant(id); }

  // ------------------------------------------------------------------ encodings
  // All throw Error(ModelUnsupported) naming the value where there is no per-tensor
  // encoding.
  const Affine& encoding(ValueId id) const;
  Quant quant(ValueId id) const { return quant_of(encoding(id)); }
  Target target(const Node& node) const;
  /// The `fraction` of to_sum_multiplier for this graph's biases.
  int bias_fraction() const { return bias_fraction_; }

  /// f32 constant as the encoded model means it: decoded codes where it has an encoding.
  /// Throws Error(ModelUnsupported) when the value is computed at run time.
  Tensor real_constant(ValueId id) const;

  // ------------------------------------------------------------------ values so far
  bool has(ValueId id) const;
  /// The layout in which the value was produced (constants: as it stands).
  Layout layout(ValueId id) const;
  /// Every layout in which it exists by now; the first is layout(id).
  std::vector<Layout> layouts(ValueId id) const;
  /// The value in this layout: a Reshape or Permute is added where there is none yet.
  ValueId get(ValueId id, const Layout& layout);
  ValueId get(ValueId id) { return get(id, layout(id)); }
  /// The value in this layout, in the encoding of `like` (a Rescale where they differ).
  ValueId get_as(ValueId id, const Layout& layout, ValueId like);
  /// The value broadcast-ready: leading axes of extent 1 up to the rank of `layout`.
  ValueId get_expanded(ValueId id, const Layout& layout);
  /// How the value's last axis is ordered, where a reshape left that to its consumers.
  const std::optional<ColumnOrder>& columns(ValueId id) const;

  // ------------------------------------------------------------------ new values
  /// Adds the node that produces `value` (of the Encoded graph), under its name and
  /// encoding.
  ValueId put(const Node& node, ValueId value, Op op, std::vector<ValueId> inputs,
              const Layout& layout);
  /// The same bytes as `of` seen through permute(of, perm): no node.
  void put_alias(ValueId value, ValueId of, const Ints& perm);
  /// A value whose last axis is ordered by `columns`.
  void put_columns(const Node& node, Op op, std::vector<ValueId> inputs,
                   const Layout& layout, const ColumnOrder& columns);
  /// A value without counterpart: named after the node's result with `suffix`.
  ValueId helper(const Node& node, std::string_view suffix, Op op,
                 std::vector<ValueId> inputs, std::optional<Encoding> encoding = {});
  /// A constant named after an Encoded value; shared with an earlier equal one of that
  /// name.
  ValueId constant(const std::string& name, Tensor tensor,
                   std::optional<Encoding> encoding = {});
  ValueId constant(const Node& node, std::string_view suffix, Tensor tensor);

  void add_input(ValueId id, const Layout& layout);
  void add_output(const Output& output);

 private:
  struct Form {
    Layout layout;
    ValueId id;
  };
  /// A value, or a permuted view of one.
  struct Lowered {
    ValueId root;
    Ints perm;
    std::vector<Form> forms;  // of roots
    std::optional<ColumnOrder> columns;
  };

  const Lowered& lowered(ValueId id) const;
  ValueId get_root(ValueId root, const Layout& layout);
  Tensor constant_codes(ValueId id, const Layout& layout, const Affine* encoding) const;
  ValueId constant_form(ValueId id, const Layout& layout, const Affine* encoding);
  ValueId move(ValueId root, const Form& from, const Layout& to);
  std::string helper_name(ValueId of, std::string_view suffix) const;

  const Graph& source_;
  int bias_fraction_;
  Graph graph_{Level::Integer};
  std::map<ValueId, Lowered> lowered_;
  std::map<std::string, std::vector<ValueId>> constants_;
};

// One overload for each operator that can be lowered; they throw Error(ModelUnsupported)
// with an empty `where` (the driver names the node).
void lower_node(Lowering& to, const Node& node, const op::Conv2d& o);
void lower_node(Lowering& to, const Node& node, const op::ConvTranspose2d& o);
void lower_node(Lowering& to, const Node& node, const op::Linear& o);
void lower_node(Lowering& to, const Node& node, const op::MatMul& o);
void lower_node(Lowering& to, const Node& node, const op::Clamp& o);
void lower_node(Lowering& to, const Node& node, const op::Unary& o);
void lower_node(Lowering& to, const Node& node, const op::PRelu& o);
void lower_node(Lowering& to, const Node& node, const op::Binary& o);
void lower_node(Lowering& to, const Node& node, const op::MaxPool2d& o);
void lower_node(Lowering& to, const Node& node, const op::AvgPool2d& o);
void lower_node(Lowering& to, const Node& node, const op::AdaptiveAvgPool2d& o);
void lower_node(Lowering& to, const Node& node, const op::Reduce& o);
void lower_node(Lowering& to, const Node& node, const op::Concat& o);
void lower_node(Lowering& to, const Node& node, const op::Slice& o);
void lower_node(Lowering& to, const Node& node, const op::Reshape& o);
void lower_node(Lowering& to, const Node& node, const op::Permute& o);
void lower_node(Lowering& to, const Node& node, const op::Expand& o);
void lower_node(Lowering& to, const Node& node, const op::Pad& o);
void lower_node(Lowering& to, const Node& node, const op::Resize& o);
void lower_node(Lowering& to, const Node& node, const op::Softmax& o);
void lower_node(Lowering& to, const Node& node, const op::LayerNorm& o);
void lower_node(Lowering& to, const Node& node, const op::L2Normalize& o);
void lower_node(Lowering& to, const Node& node, const op::Embedding& o);

/// Rescale attributes from one encoding to another.
op::Rescale rescale(const Quant& from, const Quant& to);

}  // namespace qopt
