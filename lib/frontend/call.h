// SPDX-License-Identifier: MIT
// Call: one operator call as it happened while the model ran, in the form converters work
// with: arguments by schema name on one side, nodes to add on the other.
#pragma once

#include <ATen/core/function_schema.h>
#include <ATen/core/ivalue.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/frontend/builder.h"

namespace qopt::frontend {

class Call {
 public:
  Call(Builder& builder, const c10::FunctionSchema& schema,
       const std::vector<c10::IValue>& args, const std::vector<c10::IValue>& results,
       std::string name, std::string source)
      : builder_(builder),
        schema_(schema),
        args_(args),
        results_(results),
        name_(std::move(name)),
        source_(std::move(source)) {}

  // ------------------------------------------------------------------------- arguments
  /// Without the namespace and the trailing underscore of in-place forms: "relu".
  std::string op() const;
  const std::string& name() const { return name_; }

  /// True when the schema has the argument and it is not None.
  bool has(std::string_view argument) const;
  /// Throws Unsupported when the schema has no such argument.
  const c10::IValue& arg(std::string_view argument) const;
  std::int64_t integer(std::string_view argument) const;
  std::int64_t integer_or(std::string_view argument, std::int64_t absent) const;
  bool boolean_or(std::string_view argument, bool absent) const;
  double real(std::string_view argument) const;
  double real_or(std::string_view argument, double absent) const;
  Ints ints(std::string_view argument) const;
  /// A list of one or two integers as height and width; empty lists become `absent`.
  Pair pair(std::string_view argument, const Pair& absent = {0, 0}) const;
  at::Tensor tensor(std::string_view argument) const;
  std::vector<at::Tensor> tensors(std::string_view argument) const;

  /// The graph value of a tensor argument; constants are made on demand.
  ValueId value(std::string_view argument);
  /// The same, refusing anything but floating point. A number becomes a constant.
  ValueId real_value(std::string_view argument, bool allow_infinity = false);
  ValueId value_of(const at::Tensor& tensor, std::string_view argument,
                   bool allow_infinity = false);
  /// True for a tensor argument that does not depend on the model's inputs.
  bool is_constant(std::string_view argument) const;
  bool is_constant(const at::Tensor& tensor) const {
    return !builder_.is_activation(tensor);
  }

  // ------------------------------------------------------------------------- the graph
  const Shape& shape(ValueId id) const;
  std::int64_t rank(ValueId id) const;
  /// `axis` counted from the front; throws Unsupported when out of range.
  std::int64_t axis(std::int64_t axis, std::int64_t rank) const;

  /// Adds a node. Its value is named name() or, with a suffix, name().suffix.
  ValueId emit(Op op, std::vector<ValueId> inputs, std::string_view suffix = {});
  /// Adds a constant name().suffix.
  ValueId constant(const at::Tensor& tensor, std::string_view suffix);
  /// A scalar constant.
  ValueId constant(double value, std::string_view suffix);
  /// `tensor` under another name-giver: its own constant name, if any, plus a changed
  /// form.
  ValueId changed_constant(const at::Tensor& original, const at::Tensor& changed,
                           std::string_view suffix);
  /// x itself if it has that shape already.
  ValueId reshape(ValueId x, Shape shape, std::string_view suffix = {});
  ValueId permute(ValueId x, Ints perm, std::string_view suffix = {});
  ValueId slice(ValueId x, std::int64_t axis, std::int64_t start, std::int64_t end,
                std::int64_t step = 1, std::string_view suffix = {});

  // ------------------------------------------------------------------------- results
  /// Tensors returned, lists and tuples flattened.
  std::vector<at::Tensor> result_tensors() const;
  Shape result_shape(std::size_t index = 0) const;
  /// Says which value the call returned.
  void returns(ValueId id) { returned_.assign(1, id); }
  void returns(std::vector<ValueId> ids) { returned_ = std::move(ids); }
  const std::vector<ValueId>& returned() const { return returned_; }

 private:
  Builder& builder_;
  const c10::FunctionSchema& schema_;
  const std::vector<c10::IValue>& args_;
  const std::vector<c10::IValue>& results_;
  std::string name_, source_;
  std::vector<ValueId> returned_;
};

/// Calls `visit` for every tensor inside a value: lists, tuples, dicts.
void for_each_tensor(const c10::IValue& value,
                     const std::function<void(const at::Tensor&)>& visit);

}  // namespace qopt::frontend
