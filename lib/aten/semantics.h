// SPDX-License-Identifier: MIT
// Float semantics at the level of at::Tensor, for the rooms inside the torch wall:
// execution (float_executor.h) and training run the same operators. Chooses no encodings.
#pragma once

#include <ATen/ATen.h>

#include <span>
#include <vector>

#include "lib/graph/graph.h"

namespace qopt::aten {

/// What executor.h's `execute` asks of a semantics, for graphs of any level but Integer.
/// All operators are out of place, so autograd can record them.
class FloatSemantics {
 public:
  using Value = at::Tensor;

  /// Binds every constant of `graph` as a view of its bytes.
  explicit FloatSemantics(const Graph& graph);

  /// Puts another tensor in a constant's place (a trainable leaf, a fake-quantised
  /// weight).
  void bind(ValueId id, at::Tensor tensor);
  const at::Tensor& bound(ValueId id) const;

  at::Tensor constant(const Graph& graph, ValueId id, const Tensor& tensor) const;
  /// Throws InternalError for Input nodes and for operators of the Integer level.
  at::Tensor apply(const Graph& graph, const Node& node,
                   std::span<const at::Tensor> in) const;

 private:
  std::vector<at::Tensor> bound_;  // by value id; undefined where not a constant
};

/// decode(encode(x)) of lib/graph/encoding.h, elementwise and to the bit: float32
/// division, round half to even, clamp to the codes, NaN to real zero.
at::Tensor fake_quantize(const at::Tensor& x, const Encoding& encoding);

}  // namespace qopt::aten
