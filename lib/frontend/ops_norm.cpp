// SPDX-License-Identifier: MIT
// Converters of normalisation layers, embeddings and attention.
#include <ATen/ATen.h>

#include <limits>

#include "lib/frontend/table.h"

namespace qopt::frontend {
namespace {

/// The constant argument, or `fill` everywhere where the model has none.
ValueId per_channel(Call& call, std::string_view argument, std::int64_t channels,
                    double fill) {
  if (!call.has(argument)) return call.constant(at::full({channels}, fill), argument);
  if (!call.is_constant(argument))
    throw Unsupported{"statistics computed from the inputs"};
  return call.value(argument);
}

/// An additive mask: 0 where a boolean mask is true, minus infinity elsewhere.
ValueId attention_mask(Call& call, std::string_view argument) {
  if (!call.is_constant(argument)) return call.real_value(argument);
  at::Tensor mask = call.tensor(argument);
  if (mask.scalar_type() != at::kBool) return call.value_of(mask, argument, true);
  const double low = -std::numeric_limits<double>::infinity();
  const at::Tensor added =
      at::zeros(mask.sizes(), at::kFloat).masked_fill(mask.logical_not(), low);
  return call.value_of(added, argument, true);
}

ValueId linear(Call& call, ValueId x, std::string_view weight, std::string_view bias,
               std::string_view suffix) {
  std::vector<ValueId> inputs{x, call.value(weight)};
  if (call.has(bias)) inputs.push_back(call.value(bias));
  return call.emit(op::Linear{}, std::move(inputs), suffix);
}

/// Multi-head self-attention of x[B,L,D] with packed projections, as LibTorch's fused
/// inference operators compute it (Vaswani et al., Attention Is All You Need, 2017).
ValueId self_attention(Call& call, ValueId x, std::string_view suffix) {
  if (call.rank(x) != 3) throw Unsupported{"this rank"};
  if (call.has("mask")) throw Unsupported{"with a mask"};
  for (std::string_view weight : {"qkv_weight", "qkv_bias", "proj_weight", "proj_bias"}) {
    if (!call.is_constant(weight)) throw Unsupported{"weights computed from the inputs"};
  }
  const Shape in = call.shape(x);
  const std::int64_t heads =
      call.has("num_head") ? call.integer("num_head") : call.integer("num_heads");
  const std::int64_t width = in[2];
  if (heads < 1 || width % heads != 0) throw Unsupported{"this number of heads"};
  const ValueId packed = linear(call, x, "qkv_weight", "qkv_bias", "in_proj");
  std::vector<ValueId> parts;
  for (std::string_view part : {"q", "k", "v"}) {
    const auto i = static_cast<std::int64_t>(parts.size());
    const std::string name(part);
    ValueId p = call.slice(packed, 2, i * width, (i + 1) * width, 1, name);
    p = call.reshape(p, {in[0], in[1], heads, width / heads}, name + ".heads");
    parts.push_back(call.permute(p, {0, 2, 1, 3}, name + ".by_head"));
  }
  ValueId y = call.emit(op::Attention{}, parts, "attention");
  y = call.reshape(call.permute(y, {0, 2, 1, 3}, "by_token"), in, "joined");
  return linear(call, y, "proj_weight", "proj_bias", suffix);
}

}  // namespace

void convert_batch_norm(Call& call) {
  const ValueId x = call.real_value("input");
  if (call.boolean_or("training", false) || !call.has("running_mean") ||
      !call.has("running_var")) {
    throw Unsupported{"with statistics of the batch"};
  }
  if (call.rank(x) < 2) throw Unsupported{"this rank"};
  const std::int64_t channels = call.shape(x)[1];
  std::vector<ValueId> inputs{x, per_channel(call, "weight", channels, 1.0),
                              per_channel(call, "bias", channels, 0.0),
                              per_channel(call, "running_mean", channels, 0.0),
                              per_channel(call, "running_var", channels, 1.0)};
  call.returns(call.emit(op::BatchNorm{call.real("eps")}, std::move(inputs)));
}

void convert_layer_norm(Call& call) {
  const ValueId x = call.real_value("input");
  const Ints shape = call.ints("normalized_shape");
  std::vector<ValueId> inputs{x};
  for (std::string_view weight : {"weight", "bias"}) {
    if (call.has(weight) && !call.is_constant(weight)) {
      throw Unsupported{"weights computed from the inputs"};
    }
  }
  if (call.has("weight") || call.has("bias")) {
    inputs.push_back(call.has("weight") ? call.value("weight")
                                        : call.constant(at::ones(shape), "weight"));
  }
  if (call.has("bias")) inputs.push_back(call.value("bias"));
  call.returns(call.emit(
      op::LayerNorm{static_cast<std::int64_t>(shape.size()), call.real("eps")}, inputs));
}

void convert_embedding(Call& call) {
  if (!call.is_constant("weight")) throw Unsupported{"a table computed from the inputs"};
  if (call.is_constant("indices")) throw Unsupported{"this form"};
  call.returns(call.emit(op::Embedding{}, {call.value("indices"), call.value("weight")}));
}

void convert_attention(Call& call) {
  if (call.real_or("dropout_p", 0.0) > 0.0) throw Unsupported{"in training mode"};
  std::vector<ValueId> inputs{call.real_value("query"), call.real_value("key"),
                              call.real_value("value")};
  if (call.boolean_or("enable_gqa", false) &&
      call.shape(inputs[0]).end()[-3] != call.shape(inputs[1]).end()[-3]) {
    throw Unsupported{"with grouped queries"};
  }
  if (call.has("attn_mask")) inputs.push_back(attention_mask(call, "attn_mask"));
  call.returns(call.emit(
      op::Attention{call.boolean_or("is_causal", false), call.real_or("scale", 0.0)},
      inputs));
}

void convert_native_attention(Call& call) {
  const at::Tensor query = call.tensor("query");
  if (!query.is_same(call.tensor("key")) || !query.is_same(call.tensor("value"))) {
    throw Unsupported{"other than self-attention"};
  }
  call.returns(self_attention(call, call.real_value("query"), ""));
}

void convert_encoder_layer(Call& call) {
  const ValueId x = call.real_value("src");
  const bool norm_first = call.boolean_or("norm_first", false);
  const auto norm = [&](ValueId v, std::string_view weight, std::string_view bias,
                        std::string_view suffix) {
    return call.emit(op::LayerNorm{1, call.real("eps")},
                     {v, call.value(weight), call.value(bias)}, suffix);
  };
  const auto feed_forward = [&](ValueId v) {
    const ValueId wide = linear(call, v, "ffn_weight_1", "ffn_bias_1", "linear1");
    const ValueId active =
        call.boolean_or("use_gelu", false)
            ? call.emit(op::Unary{UnaryKind::Gelu, 0, 0, 0}, {wide}, "gelu")
            : call.emit(op::Clamp{}, {wide}, "relu");
    return linear(call, active, "ffn_weight_2", "ffn_bias_2", "linear2");
  };
  const auto add = [&](ValueId a, ValueId b, std::string_view suffix) {
    return call.emit(op::Binary{BinaryKind::Add}, {a, b}, suffix);
  };
  const auto norm1 = [&](ValueId v) {
    return norm(v, "norm_weight_1", "norm_bias_1", "norm1");
  };
  if (norm_first) {
    const ValueId y = add(x, self_attention(call, norm1(x), "out_proj"), "add1");
    const ValueId normed = norm(y, "norm_weight_2", "norm_bias_2", "norm2");
    return call.returns(add(y, feed_forward(normed), ""));
  }
  const ValueId y = norm1(add(x, self_attention(call, x, "out_proj"), "add1"));
  call.returns(norm(add(y, feed_forward(y), "add2"), "norm_weight_2", "norm_bias_2", ""));
}

}  // namespace qopt::frontend
