// SPDX-License-Identifier: MIT
// Graph: building, looking up and pruning. Knows no execution and no files.
#include "lib/graph/graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "lib/graph/shape.h"

namespace qopt {
namespace {

constexpr std::pair<Level, std::string_view> kLevels[] = {
    {Level::Imported, "imported"},
    {Level::Canonical, "canonical"},
    {Level::Encoded, "encoded"},
    {Level::Integer, "integer"},
};

}  // namespace

std::string_view level_name(Level level) {
  for (const auto& [known, name] : kLevels) {
    if (known == level) return name;
  }
  throw InternalError("unknown level");
}

std::optional<Level> parse_level(std::string_view text) {
  for (const auto& [level, name] : kLevels) {
    if (name == text) return level;
  }
  return std::nullopt;
}

ValueId Graph::add_input(std::string name, DType dtype, Shape shape) {
  require_possible(shape);
  const auto index = static_cast<std::int64_t>(inputs().size());
  return add_unchecked(
      op::Input{index}, {},
      Value{unique_name(std::move(name)), dtype, std::move(shape), {}, {}, {}});
}

ValueId Graph::add_constant(std::string name, Tensor tensor) {
  QOPT_CHECK(tensor.defined(), "constant '{}' has no tensor", name);
  Value value;
  value.name = unique_name(std::move(name));
  value.dtype = tensor.dtype();
  value.shape = tensor.shape();
  value.constant = std::move(tensor);
  return add_unchecked(std::move(value));
}

ValueId Graph::add(Op op, std::vector<ValueId> inputs, std::string name,
                   std::string source) {
  return insert(nodes_.size(), std::move(op), std::move(inputs), std::move(name),
                std::move(source));
}

ValueId Graph::insert(std::size_t at, Op op, std::vector<ValueId> inputs,
                      std::string name, std::string source) {
  QOPT_CHECK(at <= nodes_.size(), "insert at {} of {}", at, nodes_.size());
  std::vector<ValueType> types;
  types.reserve(inputs.size());
  for (ValueId id : inputs) types.push_back({value(id).dtype, value(id).shape});
  ValueType type;
  try {
    type = infer(op, types, level_);
  } catch (const Error& e) {
    throw Error(e.code(), name, e.what());
  }
  const ValueId id = add_unchecked(
      std::move(op), std::move(inputs),
      Value{unique_name(std::move(name)), type.dtype, std::move(type.shape), {}, {}, {}},
      std::move(source));
  std::rotate(nodes_.begin() + static_cast<std::ptrdiff_t>(at), nodes_.end() - 1,
              nodes_.end());
  return id;
}

ValueId Graph::add_unchecked(Op op, std::vector<ValueId> inputs, Value result,
                             std::string source) {
  const ValueId id = add_unchecked(std::move(result));
  nodes_.push_back({std::move(op), std::move(inputs), id, std::move(source)});
  return id;
}

ValueId Graph::add_unchecked(Value value) {
  values_.push_back(std::move(value));
  return ValueId{static_cast<std::uint32_t>(values_.size() - 1)};
}

void Graph::add_output(std::string name, ValueId id) {
  value(id);
  outputs_.push_back({std::move(name), id});
}

std::vector<ValueId> Graph::inputs() const {
  std::vector<std::pair<std::int64_t, ValueId>> found;
  for (const Node& node : nodes_) {
    if (const auto* input = std::get_if<op::Input>(&node.op)) {
      found.emplace_back(input->index, node.output);
    }
  }
  std::ranges::sort(found);
  std::vector<ValueId> ids;
  for (const auto& [index, id] : found) ids.push_back(id);
  return ids;
}

const Value& Graph::value(ValueId id) const {
  QOPT_CHECK(id.index < values_.size(), "value {} of {}", id.index, values_.size());
  return values_[id.index];
}

Value& Graph::value(ValueId id) {
  return const_cast<Value&>(std::as_const(*this).value(id));
}

std::optional<std::size_t> Graph::producer(ValueId id) const {
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i].output == id) return i;
  }
  return std::nullopt;
}

std::vector<std::size_t> Graph::users(ValueId id) const {
  std::vector<std::size_t> found;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    for (ValueId input : nodes_[i].inputs) {
      if (input == id) found.push_back(i);
    }
  }
  return found;
}

bool Graph::is_output(ValueId id) const {
  return std::ranges::any_of(outputs_, [&](const Output& o) { return o.value == id; });
}

std::optional<ValueId> Graph::find(std::string_view name) const {
  for (std::size_t i = 0; i < values_.size(); ++i) {
    if (values_[i].name == name) return ValueId{static_cast<std::uint32_t>(i)};
  }
  return std::nullopt;
}

void Graph::replace_uses(ValueId from, ValueId to) {
  value(to);
  for (Node& node : nodes_) std::ranges::replace(node.inputs, from, to);
  for (Output& output : outputs_) {
    if (output.value == from) output.value = to;
  }
}

bool Graph::remove_dead() {
  std::vector<bool> used(values_.size(), false);
  for (const Output& output : outputs_) used[output.value.index] = true;
  std::vector<bool> keep(nodes_.size(), false);
  for (std::size_t i = nodes_.size(); i-- > 0;) {
    const bool is_input = std::holds_alternative<op::Input>(nodes_[i].op);
    keep[i] = is_input || used[nodes_[i].output.index];
    if (!keep[i]) continue;
    used[nodes_[i].output.index] = true;
    for (ValueId id : nodes_[i].inputs) used[id.index] = true;
  }
  if (std::ranges::count(keep, false) == 0 && std::ranges::count(used, false) == 0)
    return false;

  std::vector<ValueId> renumbered(values_.size());
  std::vector<Value> values;
  for (std::size_t i = 0; i < values_.size(); ++i) {
    if (!used[i]) continue;
    renumbered[i] = ValueId{static_cast<std::uint32_t>(values.size())};
    values.push_back(std::move(values_[i]));
  }
  std::vector<Node> nodes;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (!keep[i]) continue;
    nodes.push_back(std::move(nodes_[i]));
    nodes.back().output = renumbered[nodes.back().output.index];
    for (ValueId& id : nodes.back().inputs) id = renumbered[id.index];
  }
  for (Output& output : outputs_) output.value = renumbered[output.value.index];
  values_ = std::move(values);
  nodes_ = std::move(nodes);
  return true;
}

std::string Graph::unique_name(std::string wanted) const {
  if (!find(wanted)) return wanted;
  for (std::size_t n = 1;; ++n) {
    std::string candidate = fmt::format("{}_{}", wanted, n);
    if (!find(candidate)) return candidate;
  }
}

}  // namespace qopt
