// SPDX-License-Identifier: MIT
// The rewrites of canonicalisation, one function each. Every one keeps the float meaning,
// may be run again at no effect, leaves no dead node and returns true when it changed the
// graph.
#pragma once

#include "lib/graph/graph.h"

namespace qopt {

/// Attention -> matmul with permuted k, scale, mask, softmax, matmul.
bool decompose_attention(Graph& graph);
/// PixelShuffle -> reshape, permute, reshape.
bool decompose_pixel_shuffle(Graph& graph);
/// Movement and arithmetic of constants alone -> constants.
bool fold_constants(Graph& graph);
/// x / max(||x||, eps) -> L2Normalize.
bool fuse_l2_normalize(Graph& graph);
/// x * sigmoid(x) -> silu(x), x * hardsigmoid(x) -> hardswish(x).
bool fuse_gates(Graph& graph);
/// MatMul by a constant matrix -> Linear.
bool matmul_to_linear(Graph& graph);
/// Operators that do nothing go, pairs merge, pools over everything become means.
bool simplify_shapes(Graph& graph);
/// Zero padding of H and W before a convolution -> its own padding.
bool fold_pad(Graph& graph);
/// BatchNorm -> into the layer before it, else a depthwise 1x1 convolution or Mul and
/// Add.
bool fold_batch_norm(Graph& graph);
/// The second half of fold_batch_norm alone: a BatchNorm behind a layer stays as it is.
bool separate_batch_norm(Graph& graph);
/// x - c, x / c, c + x, c * x -> x + c', x * c'.
bool normalize_constant_arithmetic(Graph& graph);
/// Scalar or per-channel Mul and Add by a constant -> into the layer before it.
bool fold_constant_arithmetic(Graph& graph);
/// Per-channel Mul of an image by a constant -> depthwise 1x1 convolution.
bool channel_scale_to_conv(Graph& graph);

}  // namespace qopt
