// SPDX-License-Identifier: MIT
// The importer's table and nothing else of weight.
#include "lib/frontend/table.h"

#include <algorithm>
#include <array>
#include <vector>

namespace qopt::frontend {
namespace {

constexpr std::string_view kShapes = "a constant: follows from shapes and types";

constexpr Row kTable[] = {
    // Weights.
    {{"aten::conv1d", "conv2d", "as height 1; constant weights"}, convert_convolution},
    {{"aten::conv2d", "conv2d", "constant weights"}, convert_convolution},
    {{"aten::conv_transpose1d", "conv_transpose2d", "as height 1; constant weights"},
     convert_convolution},
    {{"aten::conv_transpose2d", "conv_transpose2d", "constant weights"},
     convert_convolution},
    {{"aten::_convolution", "conv2d, conv_transpose2d", "one or two spatial axes"},
     convert_convolution},
    {{"aten::_convolution_mode", "conv2d", "one or two spatial axes"},
     convert_convolution},
    {{"aten::convolution", "conv2d, conv_transpose2d", "one or two spatial axes"},
     convert_convolution},
    {{"aten::linear", "linear, matmul", ""}, convert_linear},
    {{"aten::addmm", "linear, matmul", "alpha and beta 1"}, convert_addmm},
    {{"aten::matmul", "linear, matmul", ""}, convert_matmul},
    {{"aten::mm", "linear, matmul", ""}, convert_matmul},
    {{"aten::bmm", "matmul", ""}, convert_matmul},
    {{"aten::baddbmm", "matmul, binary", ""}, convert_baddbmm},

    // Normalisation, embedding, attention.
    {{"aten::batch_norm", "batch_norm", "with running statistics"}, convert_batch_norm},
    {{"aten::layer_norm", "layer_norm", "constant weights"}, convert_layer_norm},
    {{"aten::native_layer_norm", "layer_norm", "its first result"}, convert_layer_norm},
    {{"aten::embedding", "embedding", "constant table"}, convert_embedding},
    {{"aten::scaled_dot_product_attention", "attention", ""}, convert_attention},
    {{"aten::_scaled_dot_product_attention", "attention", "its first result"},
     convert_attention},
    {{"aten::_native_multi_head_attention", "linear, attention",
      "self-attention, no mask"},
     convert_native_attention},
    {{"aten::_transformer_encoder_layer_fwd", "linear, attention, layer_norm", "no mask"},
     convert_encoder_layer},

    // Pointwise functions.
    {{"aten::relu", "clamp", ""}, convert_clamp},
    {{"aten::relu6", "clamp", ""}, convert_clamp},
    {{"aten::hardtanh", "clamp", ""}, convert_clamp},
    {{"aten::clamp", "clamp", "constant bounds"}, convert_clamp},
    {{"aten::clamp_min", "clamp", "constant bound"}, convert_clamp},
    {{"aten::clamp_max", "clamp", "constant bound"}, convert_clamp},
    {{"aten::threshold", "clamp", "value equal to the threshold"}, convert_threshold},
    {{"aten::leaky_relu", "unary", ""}, convert_unary},
    {{"aten::prelu", "prelu", "constant slopes"}, convert_prelu},
    {{"aten::elu", "unary", ""}, convert_unary},
    {{"aten::celu", "unary", ""}, convert_unary},
    {{"aten::selu", "unary", ""}, convert_unary},
    {{"aten::gelu", "unary", ""}, convert_unary},
    {{"aten::silu", "unary", ""}, convert_unary},
    {{"aten::mish", "unary", ""}, convert_unary},
    {{"aten::hardswish", "unary", ""}, convert_unary},
    {{"aten::hardsigmoid", "unary", ""}, convert_unary},
    {{"aten::sigmoid", "unary", ""}, convert_unary},
    {{"aten::tanh", "unary", ""}, convert_unary},
    {{"aten::softplus", "unary", ""}, convert_unary},
    {{"aten::exp", "unary", ""}, convert_unary},
    {{"aten::log", "unary", ""}, convert_unary},
    {{"aten::sqrt", "unary", ""}, convert_unary},
    {{"aten::rsqrt", "unary", ""}, convert_unary},
    {{"aten::abs", "unary", ""}, convert_unary},
    {{"aten::neg", "unary", ""}, convert_unary},
    {{"aten::reciprocal", "unary", ""}, convert_unary},
    {{"aten::square", "unary", ""}, convert_unary},
    {{"aten::pow", "unary, binary", "exponents 1, 2, 3, 0.5, -0.5, -1"}, convert_pow},
    {{"aten::softmax", "softmax", ""}, convert_softmax},
    {{"aten::_softmax", "softmax", ""}, convert_softmax},
    {{"aten::log_softmax", "softmax, unary", "the logarithm of softmax"},
     convert_log_softmax},

    // Arithmetic.
    {{"aten::add", "binary", ""}, convert_add},
    {{"aten::sub", "binary", ""}, convert_sub},
    {{"aten::rsub", "binary", ""}, convert_rsub},
    {{"aten::mul", "binary", ""}, convert_mul},
    {{"aten::div", "binary", "without a rounding mode"}, convert_div},
    {{"aten::mean", "reduce", ""}, convert_reduce},
    {{"aten::sum", "reduce", ""}, convert_reduce},
    {{"aten::norm", "reduce", "the 2-norm"}, convert_norm},
    {{"aten::linalg_vector_norm", "reduce", "the 2-norm"}, convert_norm},
    {{"aten::frobenius_norm", "reduce", ""}, convert_norm},

    // Pooling and sizes of images.
    {{"aten::max_pool1d", "max_pool2d", "as height 1"}, convert_max_pool},
    {{"aten::max_pool2d", "max_pool2d", ""}, convert_max_pool},
    {{"aten::max_pool2d_with_indices", "max_pool2d", "its first result"},
     convert_max_pool},
    {{"aten::avg_pool1d", "avg_pool2d", "as height 1"}, convert_avg_pool},
    {{"aten::avg_pool2d", "avg_pool2d", ""}, convert_avg_pool},
    {{"aten::adaptive_avg_pool1d", "adaptive_avg_pool2d", "as height 1"},
     convert_adaptive_avg_pool},
    {{"aten::adaptive_avg_pool2d", "adaptive_avg_pool2d", ""}, convert_adaptive_avg_pool},
    {{"aten::adaptive_max_pool2d", "max_pool2d", "windows of one size; its first result"},
     convert_adaptive_max_pool},
    {{"aten::upsample_nearest2d", "resize", ""}, convert_upsample},
    {{"aten::upsample_bilinear2d", "resize", ""}, convert_upsample},
    {{"aten::pixel_shuffle", "pixel_shuffle", ""}, convert_pixel_shuffle},

    // Moving elements.
    {{"aten::cat", "concat", ""}, convert_cat},
    {{"aten::stack", "reshape, concat", ""}, convert_stack},
    {{"aten::chunk", "slice", ""}, convert_pieces},
    {{"aten::split", "slice", ""}, convert_pieces},
    {{"aten::split_with_sizes", "slice", ""}, convert_pieces},
    {{"aten::tensor_split", "slice", "constant positions"}, convert_pieces},
    {{"aten::unbind", "slice, reshape", ""}, convert_unbind},
    {{"aten::slice", "slice", ""}, convert_slice},
    {{"aten::narrow", "slice", "constant start"}, convert_slice},
    {{"aten::select", "slice, reshape", ""}, convert_select},
    {{"aten::index", "slice, concat", "constant positions on one axis"}, convert_index},
    {{"aten::index_select", "slice, concat", "constant positions"}, convert_index},
    {{"aten::flatten", "reshape", ""}, convert_reshape},
    {{"aten::unflatten", "reshape", ""}, convert_reshape},
    {{"aten::view", "reshape", ""}, convert_reshape},
    {{"aten::view_as", "reshape", ""}, convert_reshape},
    {{"aten::_unsafe_view", "reshape", ""}, convert_reshape},
    {{"aten::reshape", "reshape", ""}, convert_reshape},
    {{"aten::reshape_as", "reshape", ""}, convert_reshape},
    {{"aten::squeeze", "reshape", ""}, convert_reshape},
    {{"aten::unsqueeze", "reshape", ""}, convert_reshape},
    {{"aten::permute", "permute", ""}, convert_permute},
    {{"aten::transpose", "permute", ""}, convert_permute},
    {{"aten::t", "permute", ""}, convert_permute},
    {{"aten::numpy_T", "permute", ""}, convert_permute},
    {{"aten::expand", "expand", ""}, convert_expand},
    {{"aten::expand_as", "expand", ""}, convert_expand},
    {{"aten::repeat", "reshape, expand, concat", ""}, convert_repeat},
    {{"aten::roll", "slice, concat", "constant shifts"}, convert_roll},
    {{"aten::constant_pad_nd", "pad, slice", ""}, convert_pad},
    {{"aten::pad", "pad, slice", "mode constant"}, convert_pad},

    // Nothing to do.
    {{"aten::contiguous", "identity", ""}, convert_identity},
    {{"aten::to", "identity", "same element type, or between integers"}, convert_to},
    {{"aten::type_as", "identity", "same element type"}, convert_to},
    {{"aten::cpu", "identity", ""}, convert_identity},
    {{"aten::detach", "identity", ""}, convert_identity},
    {{"aten::clone", "identity", ""}, convert_identity},
    {{"aten::alias", "identity", ""}, convert_identity},
    {{"aten::dropout", "identity", "evaluation mode"}, convert_dropout},
    {{"aten::feature_dropout", "identity", "evaluation mode"}, convert_dropout},
    {{"aten::alpha_dropout", "identity", "evaluation mode"}, convert_dropout},

    // Known without looking at values.
    {{"aten::size", kShapes, ""}, nullptr},
    {{"aten::dim", kShapes, ""}, nullptr},
    {{"aten::numel", kShapes, ""}, nullptr},
    {{"aten::len", kShapes, ""}, nullptr},
    {{"aten::stride", kShapes, ""}, nullptr},
    {{"aten::is_floating_point", kShapes, ""}, nullptr},
    {{"aten::is_same_size", kShapes, ""}, nullptr},
    {{"aten::zeros_like", kShapes, ""}, nullptr},
    {{"aten::ones_like", kShapes, ""}, nullptr},
    {{"aten::full_like", kShapes, ""}, nullptr},
    {{"aten::new_zeros", kShapes, ""}, nullptr},
    {{"aten::new_ones", kShapes, ""}, nullptr},
    {{"aten::new_full", kShapes, ""}, nullptr},
};

const Row* find_exact(std::string_view schema) {
  const Row* row =
      std::ranges::find(kTable, schema, [](const Row& r) { return r.op.schema; });
  return row == std::end(kTable) ? nullptr : row;
}

}  // namespace

std::span<const Row> table() { return kTable; }

const Row* find_row(std::string_view schema) {
  if (const Row* row = find_exact(schema)) return row;
  return schema.ends_with('_') ? find_exact(schema.substr(0, schema.size() - 1))
                               : nullptr;
}

bool is_move(const Row& row) {
  constexpr std::string_view kMoves[] = {"reshape", "permute", "slice",   "concat",
                                         "expand",  "pad",     "identity"};
  const std::string_view first = row.op.becomes.substr(0, row.op.becomes.find(','));
  return std::ranges::find(kMoves, first) != std::end(kMoves);
}

std::span<const SupportedOp> supported_ops() {
  static const std::vector<SupportedOp> kRows = [] {
    std::vector<SupportedOp> rows;
    for (const Row& row : kTable) rows.push_back(row.op);
    return rows;
  }();
  return kRows;
}

}  // namespace qopt::frontend
