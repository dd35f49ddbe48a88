// SPDX-License-Identifier: MIT
// Operators of newer PyTorch that files use and the linked LibTorch may lack.
#pragma once

namespace qopt::frontend {

/// Registers, once, aten::scaled_dot_product_attention where LibTorch has none, so that
/// files saved by PyTorch 2 load and run.
void register_missing_operators();

}  // namespace qopt::frontend
