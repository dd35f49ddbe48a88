// SPDX-License-Identifier: MIT
// Lowering's state: forms of values, names, shared constants.
#include "lib/fixedpoint/lower_context.h"

#include <algorithm>
#include <limits>

#include "lib/fixedpoint/multiplier.h"
#include "lib/graph/verify.h"

namespace qopt {
namespace {

Error unsupported(std::string what, std::string hint = {}) {
  return Error(ExitCode::ModelUnsupported, "", std::move(what), std::move(hint));
}

/// Indices as the 32-bit integers that QGather takes; what does not fit saturates, and
/// QGather clamps it into the table.
Tensor as_i32(const Tensor& integers) {
  std::vector<std::int32_t> out(static_cast<std::size_t>(integers.size()));
  for (std::int64_t i = 0; i < integers.size(); ++i) {
    out[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(std::clamp<std::int64_t>(
        integers.integer_at(i), std::numeric_limits<std::int32_t>::min(),
        std::numeric_limits<std::int32_t>::max()));
  }
  return Tensor::from(out, integers.shape());
}

bool is_integer(DType dtype) { return dtype == DType::I64 || dtype == DType::I32; }

void set_layout(Value& value, const Layout& layout) {
  value.layout = is_identity(layout) ? Layout{} : layout;
}

/// A clamp inside 8 bits makes an operator's inferred result int8 even where its encoding
/// is stored in 16: the storage follows the encoding.
void fit_dtype(Value& value) {
  if (value.encoding) value.dtype = storage_dtype(affine_of(*value.encoding));
}

/// Bits of the value with the fewest, constants aside.
int fewest_bits(const Graph& encoded) {
  int fewest = 16;
  for (const Value& value : encoded.values()) {
    if (!value.encoding || value.constant) continue;
    fewest = std::min(fewest, affine_of(*value.encoding).bits);
  }
  return fewest;
}

}  // namespace

const Affine& affine_of(const Encoding& encoding) {
  return std::visit(Overloaded{[](const Affine& a) -> const Affine& { return a; }},
                    encoding);
}

Quant quant_of(const Affine& e) {
  return {static_cast<double>(e.scale.at(0)), stored_zero_point(e), stored_min(e),
          stored_max(e), storage_dtype(e)};
}

bool same_codes(const Affine& from, const Affine& to) {
  const Quant a = quant_of(from), b = quant_of(to);
  return a.scale == b.scale && a.zero == b.zero && a.dtype == b.dtype && a.lo >= b.lo &&
         a.hi <= b.hi;
}

op::Rescale rescale(const Quant& from, const Quant& to) {
  const Multiplier m = to_multiplier(from.scale / to.scale);
  return {from.zero, m.multiplier, m.shift, to.zero, to.lo, to.hi};
}

Lowering::Lowering(const Graph& encoded)
    : source_(encoded), bias_fraction_(qopt::bias_fraction(fewest_bits(encoded))) {}

const Affine& Lowering::encoding(ValueId id) const {
  const Value& value = source_.value(id);
  if (!value.encoding) throw unsupported(fmt::format("'{}' has no encoding", value.name));
  const Affine& affine = affine_of(*value.encoding);
  if (affine.axis) {
    throw unsupported(
        fmt::format("'{}' is encoded per channel; only weights can be", value.name));
  }
  return affine;
}

Target Lowering::target(const Node& node) const {
  if (!is_fused_into_clamp(source_, node.output)) {
    return {quant(node.output), node.output};
  }
  const Node& user = source_.nodes()[source_.users(node.output).at(0)];
  const auto& clamp = std::get<op::Clamp>(user.op);
  const Affine& affine = encoding(user.output);
  Target target{quant_of(affine), user.output};
  const auto code = [&](double bound) {
    return encode(static_cast<float>(bound), affine) - storage_offset(affine);
  };
  target.lo = std::max<std::int64_t>(target.lo, code(clamp.lo));
  target.hi = std::min<std::int64_t>(target.hi, code(clamp.hi));
  return target;
}

Tensor Lowering::real_constant(ValueId id) const {
  const Value& value = source_.value(id);
  if (!value.constant) {
    throw unsupported(
        fmt::format("'{}' is computed at run time; it must be a constant", value.name));
  }
  if (!value.encoding) return *value.constant;
  const Affine& affine = affine_of(*value.encoding);
  return decode_tensor(encode_tensor(*value.constant, affine), affine);
}

// ---------------------------------------------------------------------- values so far

bool Lowering::has(ValueId id) const { return is_constant(id) || lowered_.contains(id); }

const Lowering::Lowered& Lowering::lowered(ValueId id) const {
  const auto found = lowered_.find(id);
  QOPT_CHECK(found != lowered_.end(), "'{}' is not lowered yet", source_.value(id).name);
  return found->second;
}

Layout Lowering::layout(ValueId id) const {
  if (is_constant(id)) return identity_layout(rank(id));
  const Lowered& view = lowered(id);
  if (is_constant(view.root))
    return permuted_layout(identity_layout(rank(id)), view.perm);
  return permuted_layout(lowered(view.root).forms.at(0).layout, view.perm);
}

std::vector<Layout> Lowering::layouts(ValueId id) const {
  if (is_constant(id)) return {layout(id)};
  const Lowered& view = lowered(id);
  if (is_constant(view.root)) return {layout(id)};
  std::vector<Layout> all;
  for (const Form& form : lowered(view.root).forms) {
    all.push_back(permuted_layout(form.layout, view.perm));
  }
  return all;
}

const std::optional<ColumnOrder>& Lowering::columns(ValueId id) const {
  static const std::optional<ColumnOrder> kNone;
  return is_constant(id) ? kNone : lowered(id).columns;
}

ValueId Lowering::get(ValueId id, const Layout& layout) {
  if (is_constant(id)) return constant_form(id, layout, nullptr);
  const Lowered& view = lowered(id);
  const Layout of_root = unpermuted_layout(layout, view.perm);
  return is_constant(view.root) ? constant_form(view.root, of_root, nullptr)
                                : get_root(view.root, of_root);
}

ValueId Lowering::get_root(ValueId root, const Layout& layout) {
  Lowered& at = lowered_.at(root);
  for (const Form& form : at.forms) {
    if (form.layout == layout) return form.id;
  }
  const auto same = std::ranges::find_if(at.forms, [&](const Form& form) {
    return same_bytes(shape(root), form.layout, layout);
  });
  const Form from = same != at.forms.end() ? *same : at.forms.front();
  const ValueId id = move(root, from, layout);
  at.forms.push_back({layout, id});
  return id;
}

ValueId Lowering::move(ValueId root, const Form& from, const Layout& to) {
  const bool free = same_bytes(shape(root), from.layout, to);
  const Op op = free ? Op(op::Reshape{physical_shape(shape(root), to)})
                     : Op(op::Permute{permutation_between(from.layout, to)});
  const ValueId id =
      graph_.add(op, {from.id}, helper_name(root, free ? "view" : "permuted"));
  Value& value = graph_.value(id);
  value.encoding = graph_.value(from.id).encoding;
  set_layout(value, to);
  return id;
}

Tensor Lowering::constant_codes(ValueId id, const Layout& layout,
                                const Affine* encoding) const {
  const Value& value = source_.value(id);
  if (is_integer(value.dtype)) return permuted(as_i32(*value.constant), layout);
  return permuted(
      encode_tensor(real_constant(id), encoding ? *encoding : this->encoding(id)),
      layout);
}

ValueId Lowering::constant_form(ValueId id, const Layout& layout,
                                const Affine* encoding) {
  const Value& value = source_.value(id);
  std::optional<Encoding> kept;
  if (!is_integer(value.dtype)) kept = encoding ? *encoding : this->encoding(id);
  return constant(value.name, constant_codes(id, layout, encoding), std::move(kept));
}

ValueId Lowering::get_as(ValueId id, const Layout& layout, ValueId like) {
  const Value& value = source_.value(id);
  if (!value.encoding && !source_.value(like).encoding)
    return get(id, layout);  // indices
  const Affine& wanted = encoding(like);
  if (is_constant(id)) return constant_form(id, layout, &wanted);
  const Affine& own = encoding(id);
  const ValueId same = get(id, layout);
  if (same_codes(own, wanted)) return same;
  const ValueId out = graph_.add(rescale(quant_of(own), quant_of(wanted)), {same},
                                 helper_name(id, "rescaled"));
  graph_.value(out).encoding = wanted;
  fit_dtype(graph_.value(out));
  set_layout(graph_.value(out), layout);
  return out;
}

ValueId Lowering::get_expanded(ValueId id, const Layout& layout) {
  const Layout own = without_leading_axes(layout, rank(id));
  if (layout.size() == rank(id)) return get(id, own);
  Shape logical(layout.size() - rank(id), 1);
  logical.insert(logical.end(), shape(id).begin(), shape(id).end());
  const Shape wanted = physical_shape(logical, layout);
  if (is_constant(id)) {
    return constant(source_.value(id).name,
                    constant_codes(id, own, nullptr).reshaped(wanted), encoding(id));
  }
  const ValueId plain = get(id, own);
  const std::optional<Encoding> encoding = graph_.value(plain).encoding;
  const ValueId out =
      graph_.add(op::Reshape{wanted}, {plain}, helper_name(id, "expanded"));
  graph_.value(out).encoding = encoding;
  return out;
}

// ---------------------------------------------------------------------- new values

ValueId Lowering::put(const Node& node, ValueId value, Op op, std::vector<ValueId> inputs,
                      const Layout& layout) {
  const Value& wanted = source_.value(value);
  const ValueId id =
      graph_.add(std::move(op), std::move(inputs), wanted.name, node.source);
  Value& made = graph_.value(id);
  QOPT_CHECK(made.shape == physical_shape(wanted.shape, layout), "'{}' is {}, not {}",
             wanted.name, shape_text(made.shape),
             shape_text(physical_shape(wanted.shape, layout)));
  made.encoding = wanted.encoding;
  set_layout(made, layout);
  fit_dtype(made);
  lowered_[value] = {value, identity_layout(wanted.shape.size()), {{layout, id}}, {}};
  return id;
}

void Lowering::put_alias(ValueId value, ValueId of, const Ints& perm) {
  Lowered view{of, perm, {}, {}};
  if (!is_constant(of)) {
    const Lowered& inner = lowered(of);
    view.root = inner.root;
    view.perm.clear();
    for (std::int64_t axis : perm) {
      view.perm.push_back(inner.perm[static_cast<std::size_t>(axis)]);
    }
  }
  lowered_[value] = std::move(view);
}

void Lowering::put_columns(const Node& node, Op op, std::vector<ValueId> inputs,
                           const Layout& layout, const ColumnOrder& columns) {
  const ValueId id = helper(node, "columns", std::move(op), std::move(inputs),
                            source_.value(node.output).encoding);
  lowered_[node.output] = {
      node.output, identity_layout(rank(node.output)), {{layout, id}}, columns};
}

ValueId Lowering::helper(const Node& node, std::string_view suffix, Op op,
                         std::vector<ValueId> inputs, std::optional<Encoding> encoding) {
  const ValueId id = graph_.add(std::move(op), std::move(inputs),
                                helper_name(node.output, suffix), node.source);
  graph_.value(id).encoding = std::move(encoding);
  fit_dtype(graph_.value(id));
  return id;
}

std::string Lowering::helper_name(ValueId of, std::string_view suffix) const {
  std::string name = fmt::format("{}.{}", source_.value(of).name, suffix);
  while (source_.find(name)) name += '_';  // that name belongs to a value of the model
  return name;
}

ValueId Lowering::constant(const std::string& name, Tensor tensor,
                           std::optional<Encoding> encoding) {
  std::vector<ValueId>& known = constants_[name];
  for (ValueId id : known) {
    if (*graph_.value(id).constant == tensor && graph_.value(id).encoding == encoding)
      return id;
  }
  const ValueId id = graph_.add_constant(name, std::move(tensor));
  graph_.value(id).encoding = std::move(encoding);
  known.push_back(id);
  return id;
}

ValueId Lowering::constant(const Node& node, std::string_view suffix, Tensor tensor) {
  return constant(helper_name(node.output, suffix), std::move(tensor));
}

void Lowering::add_input(ValueId id, const Layout& layout) {
  const Value& value = source_.value(id);
  const bool unused = source_.users(id).empty() && !source_.is_output(id);
  std::optional<Encoding> encoding = value.encoding;
  // An input that nothing reads still has a place in the argument list.
  if (unused && !encoding && !is_integer(value.dtype)) {
    encoding = Affine{LevelSet::S, 8, {1.0F}, {0}, {}};
  }
  DType dtype = DType::I32;
  if (encoding) {
    dtype = storage_dtype(unused ? affine_of(*encoding) : this->encoding(id));
  } else if (!is_integer(value.dtype)) {
    throw unsupported("the input has no encoding");
  }
  const ValueId made =
      graph_.add_input(value.name, dtype, physical_shape(value.shape, layout));
  graph_.value(made).encoding = std::move(encoding);
  set_layout(graph_.value(made), layout);
  lowered_[id] = {id, identity_layout(value.shape.size()), {{layout, made}}, {}};
}

void Lowering::add_output(const Output& output) {
  const ValueId id = output.value;
  // Up to rank 3 callers get the model's own order; images stay as they lie.
  const Layout layout = rank(id) <= 3 ? identity_layout(rank(id)) : this->layout(id);
  ValueId made = get(id, layout);
  const bool is_view = !is_constant(id) && lowered(id).root != id;
  if (is_view) {
    const std::optional<Encoding> encoding = graph_.value(made).encoding;
    made =
        graph_.add(op::Reshape{graph_.value(made).shape}, {made}, source_.value(id).name);
    graph_.value(made).encoding = encoding;
    set_layout(graph_.value(made), layout);
  }
  graph_.add_output(output.name, made);
}

}  // namespace qopt
