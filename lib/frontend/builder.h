// SPDX-License-Identifier: MIT
// Builder: remembers which LibTorch tensor is which value of the graph under
// construction, and turns the others into constants. Knows no operators and no
// TorchScript.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "lib/graph/graph.h"

namespace qopt::frontend {

/// Thrown by converters for a form of an operator that has no place in the graph;
/// collected and reported together with the unsupported operators.
struct Unsupported {
  std::string reason;
};

class Builder {
 public:
  Graph& graph() { return graph_; }
  const Graph& graph() const { return graph_; }

  /// Gives a tensor that is no activation the name its constant will have (the first
  /// wins). `is_state`: it belongs to the model and outlives a call.
  void name_constant(const at::Tensor& tensor, const std::string& name, bool is_state);
  /// That name; empty when it has none.
  std::string constant_name(const at::Tensor& tensor) const;
  /// True when the tensor is, or is a view of, something named as state.
  bool is_state(const at::Tensor& tensor) const;

  /// From now on `tensor` is `value`; every other tensor on the same memory is stale when
  /// `written` (it was changed in place).
  void bind(const at::Tensor& tensor, ValueId value, bool written = false);
  /// From now on `tensor` is something the graph cannot express.
  void bind_opaque(const at::Tensor& tensor, bool written = false);
  /// The same, but what is computed from it is still converted, so that everything
  /// unsupported is found: the graph gets a stand-in and is never used.
  void bind_stand_in(const at::Tensor& tensor);

  /// True when the tensor was computed from the model's inputs, or its memory was
  /// overwritten with something that was.
  bool is_activation(const at::Tensor& tensor) const;
  bool is_opaque(const at::Tensor& tensor) const;
  /// True when its memory was changed in place through another tensor.
  bool is_stale(const at::Tensor& tensor) const;

  /// The value of an activation, or a new constant (once for each tensor) named
  /// constant_name(tensor) or else `fallback_name`. Throws as `constant` does, and
  /// Unsupported for stale tensors.
  ValueId value(const at::Tensor& tensor, const std::string& fallback_name,
                bool allow_infinity = false);
  /// Forgets which constants were made: one of their tensors was changed in place.
  void forget_constants() { constants_.clear(); }
  /// A new constant. Floating types become f32. Throws Error(ModelUnsupported) naming it
  /// when it holds NaN, or infinity where `allow_infinity` is not set.
  ValueId constant(const at::Tensor& tensor, const std::string& name,
                   bool allow_infinity = false);

 private:
  // A weak pointer pins the address, so that it names one tensor for the builder's life,
  // but lets go of the memory.
  using WeakTensor = c10::weak_intrusive_ptr<c10::TensorImpl, c10::UndefinedTensorImpl>;
  using WeakStorage = c10::weak_intrusive_ptr<c10::StorageImpl>;
  struct Bound {
    WeakTensor pin;
    ValueId value;
    bool opaque = false;
    std::uint64_t serial = 0;
  };
  struct NamedConstant {
    WeakTensor pin;
    std::string name;
  };
  struct Written {
    WeakStorage pin;
    const c10::TensorImpl* by = nullptr;
    bool opaque = false;
    std::uint64_t serial = 0;
  };
  void bind_as(const at::Tensor& tensor, ValueId value, bool opaque, bool written);

  Graph graph_{Level::Imported};
  std::uint64_t serial_ = 0;
  // Looked up by address only; never iterated, so their order shows nowhere.
  std::unordered_map<const c10::TensorImpl*, Bound> bound_;
  std::unordered_map<const c10::TensorImpl*, NamedConstant> names_;
  std::unordered_map<const c10::TensorImpl*, Bound> constants_;
  std::unordered_map<const c10::StorageImpl*, Written> written_;
  std::unordered_map<const c10::StorageImpl*, WeakStorage> state_;
};

}  // namespace qopt::frontend
