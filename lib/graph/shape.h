// SPDX-License-Identifier: MIT
// Shape inference: the result type of one operator from its inputs. Pure; knows no graph.
#pragma once

#include <span>
#include <string>

#include "lib/graph/graph.h"

namespace qopt {

struct ValueType {
  DType dtype = DType::F32;
  Shape shape;
  bool operator==(const ValueType&) const = default;
};

/// Result of `op` on `inputs` at `level` (images are NHWC at the Integer level, see
/// op.h). Throws Error(ModelUnsupported) naming the operator and the shapes when they do
/// not fit. Input nodes have no inferable type: their value carries it. The dtype of an
/// Integer node's result is I8 or I16 by its clamp [lo, hi] where it has one, the table's
/// for Lut and QGather, else the first input's.
ValueType infer(const Op& op, std::span<const ValueType> inputs, Level level);

/// Fewest and most inputs of an operator.
struct Arity {
  std::size_t min = 1, max = 1;
};
Arity op_arity(const Op& op);
/// "2 to 3 inputs"
std::string arity_text(const Arity& arity);

/// "f32[1,3,32,32]", the spelling of the text form.
std::string type_text(const ValueType& type);

/// Throws Error(ModelUnsupported) unless every extent is >= 0 and their product, zeros
/// counted as ones, fits int64: then strides fit too.
void require_possible(const Shape& shape);

/// NumPy broadcast of two shapes; throws Error(ModelUnsupported) when they do not.
Shape broadcast(const Shape& a, const Shape& b);

/// Output extent of a window along one axis: floor or ceil((in + pads -
/// dilation*(kernel-1) - 1) / stride) + 1, ceil mode dropping a last window that starts
/// in the padding (as LibTorch).
std::int64_t window_extent(std::int64_t in, std::int64_t pad_before,
                           std::int64_t pad_after, std::int64_t kernel,
                           std::int64_t stride, std::int64_t dilation, bool ceil_mode);

}  // namespace qopt
