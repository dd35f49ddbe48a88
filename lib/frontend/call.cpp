// SPDX-License-Identifier: MIT
// Call: reading arguments by schema name and adding nodes. Knows no particular operator.
#include "lib/frontend/call.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <utility>

namespace qopt::frontend {
namespace {

/// "relu" for "aten::relu_", "convolution" for "aten::_convolution".
std::string bare_name(std::string_view schema) {
  std::string name(schema.substr(schema.rfind(':') + 1));
  while (name.size() > 1 && name.back() == '_') name.pop_back();
  name.erase(0, std::min(name.find_first_not_of('_'), name.size() - 1));
  return name;
}

}  // namespace

std::string Call::op() const { return bare_name(schema_.name()); }

bool Call::has(std::string_view argument) const {
  for (std::size_t i = 0; i < schema_.arguments().size(); ++i) {
    if (schema_.arguments()[i].name() == argument) {
      return !args_.at(i).isNone() &&
             !(args_.at(i).isTensor() && !args_.at(i).toTensor().defined());
    }
  }
  return false;
}

const c10::IValue& Call::arg(std::string_view argument) const {
  for (std::size_t i = 0; i < schema_.arguments().size(); ++i) {
    if (schema_.arguments()[i].name() == argument) return args_.at(i);
  }
  throw Unsupported{fmt::format("this form has no argument '{}'", argument)};
}

std::int64_t Call::integer(std::string_view argument) const {
  const c10::IValue& v = arg(argument);
  if (v.isBool()) return v.toBool() ? 1 : 0;
  if (!v.isInt()) throw Unsupported{fmt::format("argument '{}' is no integer", argument)};
  return v.toInt();
}

std::int64_t Call::integer_or(std::string_view argument, std::int64_t absent) const {
  return has(argument) ? integer(argument) : absent;
}

bool Call::boolean_or(std::string_view argument, bool absent) const {
  return has(argument) ? integer(argument) != 0 : absent;
}

double Call::real(std::string_view argument) const {
  const c10::IValue& v = arg(argument);
  if (v.isScalar()) return v.toScalar().toDouble();
  if (v.isTensor() && v.toTensor().numel() == 1 &&
      !builder_.is_activation(v.toTensor())) {
    return v.toTensor().item().toDouble();
  }
  throw Unsupported{fmt::format("argument '{}' is no number", argument)};
}

double Call::real_or(std::string_view argument, double absent) const {
  return has(argument) ? real(argument) : absent;
}

Ints Call::ints(std::string_view argument) const {
  const c10::IValue& v = arg(argument);
  if (v.isInt()) return {v.toInt()};
  if (!v.isIntList())
    throw Unsupported{fmt::format("argument '{}' is no list of integers", argument)};
  return v.toIntVector();
}

Pair Call::pair(std::string_view argument, const Pair& absent) const {
  const Ints list = ints(argument);
  if (list.empty()) return absent;
  if (list.size() > 2) throw Unsupported{"three spatial axes"};
  return {list.front(), list.back()};
}

at::Tensor Call::tensor(std::string_view argument) const {
  const c10::IValue& v = arg(argument);
  if (!v.isTensor())
    throw Unsupported{fmt::format("argument '{}' is no tensor", argument)};
  return v.toTensor();
}

std::vector<at::Tensor> Call::tensors(std::string_view argument) const {
  std::vector<at::Tensor> list;
  for_each_tensor(arg(argument), [&](const at::Tensor& t) { list.push_back(t); });
  return list;
}

ValueId Call::value_of(const at::Tensor& tensor, std::string_view argument,
                       bool allow_infinity) {
  return builder_.value(tensor, fmt::format("{}.{}", name_, argument), allow_infinity);
}

ValueId Call::value(std::string_view argument) {
  return value_of(tensor(argument), argument);
}

ValueId Call::real_value(std::string_view argument, bool allow_infinity) {
  const c10::IValue& v = arg(argument);
  if (v.isScalar()) return constant(v.toScalar().toDouble(), argument);
  const at::Tensor t = tensor(argument);
  if (!builder_.is_activation(t) && !t.is_floating_point() &&
      t.scalar_type() != at::kBool) {
    // LibTorch promotes an integer constant to the activation's type.
    return changed_constant(t, t.to(at::kFloat), argument);
  }
  if (!t.is_floating_point() ||
      (builder_.is_activation(t) && t.scalar_type() != at::kFloat)) {
    throw Unsupported{fmt::format("on {} tensors", c10::toString(t.scalar_type()))};
  }
  return value_of(t, argument, allow_infinity);
}

bool Call::is_constant(std::string_view argument) const {
  const c10::IValue& v = arg(argument);
  return v.isScalar() || (v.isTensor() && is_constant(v.toTensor()));
}

const Shape& Call::shape(ValueId id) const { return builder_.graph().value(id).shape; }

std::int64_t Call::rank(ValueId id) const {
  return static_cast<std::int64_t>(shape(id).size());
}

std::int64_t Call::axis(std::int64_t axis, std::int64_t rank) const {
  const std::int64_t from_front = axis < 0 ? axis + rank : axis;
  if (from_front < 0 || from_front >= std::max<std::int64_t>(rank, 1)) {
    throw Unsupported{fmt::format("axis {} of rank {}", axis, rank)};
  }
  return from_front;
}

ValueId Call::emit(Op op, std::vector<ValueId> inputs, std::string_view suffix) {
  std::string name = suffix.empty() ? name_ : fmt::format("{}.{}", name_, suffix);
  try {
    return builder_.graph().add(std::move(op), std::move(inputs), std::move(name),
                                source_);
  } catch (const Error& e) {
    throw Unsupported{e.message()};
  }
}

ValueId Call::constant(const at::Tensor& tensor, std::string_view suffix) {
  return builder_.constant(tensor, fmt::format("{}.{}", name_, suffix));
}

ValueId Call::constant(double value, std::string_view suffix) {
  return constant(at::scalar_tensor(value, at::kDouble), suffix);
}

ValueId Call::changed_constant(const at::Tensor& original, const at::Tensor& changed,
                               std::string_view suffix) {
  const std::string name = builder_.constant_name(original);
  return builder_.constant(changed,
                           name.empty() ? fmt::format("{}.{}", name_, suffix) : name);
}

ValueId Call::reshape(ValueId x, Shape wanted, std::string_view suffix) {
  if (shape(x) == wanted) return x;
  return emit(op::Reshape{std::move(wanted)}, {x}, suffix);
}

ValueId Call::permute(ValueId x, Ints perm, std::string_view suffix) {
  if (std::ranges::is_sorted(perm)) return x;
  return emit(op::Permute{std::move(perm)}, {x}, suffix);
}

ValueId Call::slice(ValueId x, std::int64_t axis, std::int64_t start, std::int64_t end,
                    std::int64_t step, std::string_view suffix) {
  const std::int64_t extent = shape(x).at(static_cast<std::size_t>(axis));
  if (start == 0 && end == extent && step == 1) return x;
  return emit(op::Slice{axis, start, end, step}, {x}, suffix);
}

std::vector<at::Tensor> Call::result_tensors() const {
  std::vector<at::Tensor> list;
  for (const c10::IValue& result : results_) {
    for_each_tensor(result, [&](const at::Tensor& t) { list.push_back(t); });
  }
  return list;
}

Shape Call::result_shape(std::size_t index) const {
  const at::Tensor t = result_tensors().at(index);
  return Shape(t.sizes().begin(), t.sizes().end());
}

void for_each_tensor(const c10::IValue& value,
                     const std::function<void(const at::Tensor&)>& visit) {
  if (value.isTensor()) {
    if (value.toTensor().defined()) visit(value.toTensor());
  } else if (value.isTensorList()) {
    for (const at::Tensor& t : value.toTensorVector()) visit(t);
  } else if (value.isTuple()) {
    for (const c10::IValue& element : value.toTupleRef().elements())
      for_each_tensor(element, visit);
  } else if (value.isList()) {
    for (const c10::IValue& element : value.toListRef()) for_each_tensor(element, visit);
  } else if (value.isGenericDict()) {
    for (const auto& entry : value.toGenericDict()) {
      for_each_tensor(entry.key(), visit);
      for_each_tensor(entry.value(), visit);
    }
  }
}

}  // namespace qopt::frontend
