// SPDX-License-Identifier: MIT
// Graph: values and nodes in execution order, at one of four levels. The one program form
// between import and export. Knows no execution and no files.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/core/id.h"
#include "lib/core/tensor.h"
#include "lib/graph/encoding.h"
#include "lib/graph/op.h"

namespace qopt {

using ValueId = Id<struct ValueTag>;

/// What a graph promises; `verify` (verify.h) checks it. docs/ir.md is the long form.
///   Imported   operators as they came from TorchScript
///   Canonical  decomposed, batch norm folded, no dead nodes; float
///   Encoded    Canonical plus an Encoding on every value that needs one
///   Integer    integer operators on stored codes, physical shapes; no float arithmetic
enum class Level { Imported, Canonical, Encoded, Integer };
std::string_view level_name(Level level);
std::optional<Level> parse_level(std::string_view text);

/// A tensor that flows: a graph input, a node's result, or a constant.
struct Value {
  std::string name;  // unique in its graph; any bytes a model file may hold
  DType dtype = DType::F32;
  Shape shape;
  std::optional<Encoding> encoding;  // Encoded and Integer
  std::optional<Tensor> constant;    // dtype and shape equal the value's
  // Integer: axis i of `shape` is axis layout[i] of the Canonical value of the same name.
  // Empty: the same axes.
  Ints layout;
};

struct Node {
  Op op;
  std::vector<ValueId> inputs;  // constants included
  ValueId output;
  std::string source;  // TorchScript source line or scope, for messages; may be empty
};

/// A graph output: the value, and the name or dict key under which the model returned it.
struct Output {
  std::string name;
  ValueId value;
};

/// Copying is cheap (constants share bytes), so "undo" is a copy. Nodes are kept in
/// execution order. Value ids stay valid for the graph's life; a `Node&` or `Value&` only
/// until the next call that adds one.
class Graph {
 public:
  explicit Graph(Level level = Level::Imported) : level_(level) {}

  Level level() const { return level_; }
  void set_level(Level level) { level_ = level; }

  /// Adds a graph input (an Input node and its value), in call order.
  ValueId add_input(std::string name, DType dtype, Shape shape);
  /// Adds a constant value. The name is made unique if taken.
  ValueId add_constant(std::string name, Tensor tensor);
  /// Appends a node; shape and dtype of its result are inferred (shape.h). The name is
  /// made unique if taken. Throws Error(ModelUnsupported) when inputs do not fit the
  /// operator.
  ValueId add(Op op, std::vector<ValueId> inputs, std::string name,
              std::string source = {});
  /// As `add`, before node number `at` (0 <= at <= nodes().size()).
  ValueId insert(std::size_t at, Op op, std::vector<ValueId> inputs, std::string name,
                 std::string source = {});
  /// Appends a node with this result, inferring and checking nothing (for the parser, and
  /// for results that say more than `infer` knows), or a value alone, such as a constant.
  /// The caller keeps names unique; run verify afterwards.
  ValueId add_unchecked(Op op, std::vector<ValueId> inputs, Value result,
                        std::string source = {});
  ValueId add_unchecked(Value value);
  void add_output(std::string name, ValueId value);

  const std::vector<Value>& values() const { return values_; }
  const std::vector<Node>& nodes() const { return nodes_; }
  const std::vector<Output>& outputs() const { return outputs_; }
  /// Values of the Input nodes in order of their index.
  std::vector<ValueId> inputs() const;

  const Value& value(ValueId id) const;
  Value& value(ValueId id);
  /// Mutable access for passes; keep execution order and call verify afterwards.
  std::vector<Node>& mutable_nodes() { return nodes_; }
  std::vector<Output>& mutable_outputs() { return outputs_; }

  bool is_constant(ValueId id) const { return value(id).constant.has_value(); }
  /// Index into nodes() of the producer; empty for constants.
  std::optional<std::size_t> producer(ValueId id) const;
  /// Indices into nodes() of all users, once per use, in order.
  std::vector<std::size_t> users(ValueId id) const;
  bool is_output(ValueId id) const;
  std::optional<ValueId> find(std::string_view name) const;

  /// Makes every use of `from` (outputs included) use `to`.
  void replace_uses(ValueId from, ValueId to);
  /// Drops nodes whose result nobody uses, then values that no node, input or output
  /// mentions (ids are renumbered: hold none across this call). True if anything was
  /// dropped.
  bool remove_dead();

 private:
  std::string unique_name(std::string wanted) const;

  Level level_;
  std::vector<Value> values_;
  std::vector<Node> nodes_;
  std::vector<Output> outputs_;
};

}  // namespace qopt
