// SPDX-License-Identifier: MIT
// The importer's table: which TorchScript operator becomes what. One row an operator, one
// converter a row; converters live in ops_*.cpp by family.
#pragma once

#include <span>
#include <string_view>

#include "lib/frontend/call.h"
#include "lib/frontend/import.h"

namespace qopt::frontend {

/// Adds the call's meaning to the graph and says so with Call::returns, or throws
/// Unsupported.
using Converter = void (*)(Call&);

struct Row {
  SupportedOp op;
  /// Null: the result follows from shapes and types, which are known, so it is a
  /// constant.
  Converter convert;
};

std::span<const Row> table();
/// The row of an operator; in-place forms ("aten::relu_") share the row of the plain one.
const Row* find_row(std::string_view schema);
/// True for operators that only move or pass on elements.
bool is_move(const Row& row);

// ops_conv.cpp
void convert_convolution(Call& call);
void convert_linear(Call& call);
void convert_addmm(Call& call);
void convert_matmul(Call& call);
void convert_baddbmm(Call& call);

// ops_activation.cpp
void convert_clamp(Call& call);
void convert_threshold(Call& call);
void convert_unary(Call& call);
void convert_prelu(Call& call);
void convert_pow(Call& call);
void convert_softmax(Call& call);
void convert_log_softmax(Call& call);

// ops_pool.cpp
void convert_max_pool(Call& call);
void convert_avg_pool(Call& call);
void convert_adaptive_avg_pool(Call& call);
void convert_adaptive_max_pool(Call& call);
void convert_upsample(Call& call);
void convert_pixel_shuffle(Call& call);

// ops_shape.cpp
void convert_identity(Call& call);
void convert_dropout(Call& call);
void convert_to(Call& call);
void convert_reshape(Call& call);
void convert_permute(Call& call);
void convert_expand(Call& call);
void convert_repeat(Call& call);
void convert_cat(Call& call);
void convert_stack(Call& call);
void convert_pieces(Call& call);
void convert_unbind(Call& call);
void convert_select(Call& call);
void convert_slice(Call& call);
void convert_index(Call& call);
void convert_roll(Call& call);
void convert_pad(Call& call);

// ops_arithmetic.cpp
void convert_add(Call& call);
void convert_sub(Call& call);
void convert_rsub(Call& call);
void convert_mul(Call& call);
void convert_div(Call& call);
void convert_reduce(Call& call);
void convert_norm(Call& call);

// ops_norm.cpp
void convert_batch_norm(Call& call);
void convert_layer_norm(Call& call);
void convert_embedding(Call& call);
void convert_attention(Call& call);
void convert_native_attention(Call& call);
void convert_encoder_layer(Call& call);

}  // namespace qopt::frontend
