// SPDX-License-Identifier: MIT
// The bridge between Tensor and at::Tensor. Only rooms inside the torch wall may include
// this; it knows no graphs.
#pragma once

#include <ATen/ATen.h>

#include <optional>
#include <string>

#include "lib/core/tensor.h"

namespace qopt::aten {

/// LibTorch's type of the same elements.
at::ScalarType to_scalar_type(DType dtype);
/// Inverse; empty for types that Tensor cannot hold (half, complex, quantised, ...).
std::optional<DType> to_dtype(at::ScalarType type);

/// A view of the tensor's bytes, which it keeps alive. Never write through it: Tensor is
/// immutable.
at::Tensor to_at(const Tensor& tensor);
/// A dense row-major copy. Throws Error(ModelUnsupported) for element types Tensor cannot
/// hold.
Tensor from_at(const at::Tensor& tensor);

/// First line of a LibTorch message, without its source positions and stack.
std::string short_reason(const std::string& what);

}  // namespace qopt::aten
