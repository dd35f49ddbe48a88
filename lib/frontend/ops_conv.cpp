// SPDX-License-Identifier: MIT
// Converters of operators that multiply by weights: convolutions, linear layers and
// matrix products.
#include <ATen/ATen.h>

#include "lib/frontend/table.h"

namespace qopt::frontend {
namespace {

/// Height 1 in front of the width, for one-dimensional forms.
Pair image_pair(const Call& call, std::string_view argument, std::int64_t spatial,
                std::int64_t fill) {
  if (!call.has(argument)) return {fill, fill};
  const Pair p = call.pair(argument, {fill, fill});
  return spatial == 1 ? Pair{fill, p[1]} : p;
}

/// padding='same' puts the odd element at the far end.
Quad convolution_pads(const Call& call, const at::Tensor& weight, std::int64_t spatial,
                      const Pair& dilation) {
  if (!call.has("padding")) return {0, 0, 0, 0};
  if (call.arg("padding").isString()) {
    if (call.arg("padding").toStringRef() == "valid") return {0, 0, 0, 0};
    Quad pads{0, 0, 0, 0};
    for (std::int64_t i = 2 - spatial; i < 2; ++i) {
      const auto axis = static_cast<std::size_t>(i);
      const std::int64_t total = dilation[axis] * (weight.size(i - 2) - 1);
      pads[axis] = total / 2;
      pads[axis + 2] = total - total / 2;
    }
    return pads;
  }
  const Pair p = image_pair(call, "padding", spatial, 0);
  return {p[0], p[1], p[0], p[1]};
}

/// x @ w^T + b with w as LibTorch's linear has it.
void emit_linear(Call& call, ValueId x, const at::Tensor& weight_source,
                 const at::Tensor& weight, std::vector<ValueId> bias) {
  std::vector<ValueId> inputs{x, call.changed_constant(weight_source, weight, "weight")};
  inputs.insert(inputs.end(), bias.begin(), bias.end());
  call.returns(call.reshape(call.emit(op::Linear{}, std::move(inputs)),
                            call.result_shape(), "out"));
}

/// a @ b for any ranks that LibTorch takes.
ValueId product_of(Call& call, ValueId a, ValueId b, std::string_view suffix) {
  const Shape wanted = [&] {
    Shape shape = call.result_shape();
    if (call.rank(b) == 1) shape.push_back(1);
    if (call.rank(a) == 1) shape.insert(shape.end() - 1, 1);
    return shape;
  }();
  if (call.rank(a) == 1) a = call.reshape(a, {1, call.shape(a)[0]}, "row");
  if (call.rank(b) == 1) b = call.reshape(b, {call.shape(b)[0], 1}, "column");
  const ValueId y = call.emit(op::MatMul{}, {a, b}, suffix);
  if (call.shape(y) != wanted) throw Unsupported{"a product of these ranks"};
  return y;
}

}  // namespace

void convert_convolution(Call& call) {
  if (!call.is_constant("weight")) throw Unsupported{"weights computed from the inputs"};
  if (call.has("bias") && !call.is_constant("bias")) {
    throw Unsupported{"a bias computed from the inputs"};
  }
  const at::Tensor weight = call.tensor("weight");
  const std::int64_t spatial = weight.dim() - 2;
  if (spatial < 1 || spatial > 2) throw Unsupported{"three spatial axes"};
  const bool transposed =
      call.boolean_or("transposed", call.op().find("transpose") != std::string::npos);

  // Images are [N,C,H,W]: a missing batch axis and the height of sequences are added.
  ValueId x = call.real_value("input");
  Shape image = call.shape(x);
  if (call.rank(x) == spatial + 1) image.insert(image.begin(), 1);
  if (spatial == 1) image.insert(image.end() - 1, 1);
  x = call.reshape(x, image, "image");

  std::vector<ValueId> inputs{
      x, spatial == 1 ? call.changed_constant(weight, weight.unsqueeze(2), "weight")
                      : call.value("weight")};
  if (call.has("bias")) inputs.push_back(call.value("bias"));
  const Pair stride = image_pair(call, "stride", spatial, 1);
  const Pair dilation = image_pair(call, "dilation", spatial, 1);
  const Quad pads = convolution_pads(call, weight, spatial, dilation);
  const std::int64_t groups = call.integer_or("groups", 1);
  ValueId y;
  if (transposed) {
    const Pair output_padding = image_pair(call, "output_padding", spatial, 0);
    y = call.emit(op::ConvTranspose2d{stride, dilation, output_padding, pads, groups},
                  inputs);
  } else {
    y = call.emit(op::Conv2d{stride, dilation, pads, groups}, inputs);
  }
  call.returns(call.reshape(y, call.result_shape(), "sequence"));
}

void convert_linear(Call& call) {
  const ValueId x = call.real_value("input");
  const at::Tensor weight = call.tensor("weight");
  if (call.is_constant("weight") && (!call.has("bias") || call.is_constant("bias"))) {
    std::vector<ValueId> inputs{x, call.value("weight")};
    if (call.rank(x) == 1) inputs[0] = call.reshape(x, {1, call.shape(x)[0]}, "row");
    if (call.has("bias")) inputs.push_back(call.value("bias"));
    const ValueId y = call.emit(op::Linear{}, std::move(inputs));
    call.returns(call.reshape(y, call.result_shape(), "out"));
    return;
  }
  const ValueId w = call.permute(call.real_value("weight"), {1, 0}, "weight_t");
  ValueId y = product_of(call, x, w, call.has("bias") ? "product" : "");
  if (call.has("bias"))
    y = call.emit(op::Binary{BinaryKind::Add}, {y, call.real_value("bias")});
  call.returns(call.reshape(y, call.result_shape(), "out"));
}

void convert_addmm(Call& call) {
  if (call.real_or("alpha", 1.0) != 1.0 || call.real_or("beta", 1.0) != 1.0) {
    throw Unsupported{"alpha or beta other than 1"};
  }
  const ValueId x = call.real_value("mat1");
  const at::Tensor w = call.tensor("mat2");
  const at::Tensor bias = call.tensor("self");
  if (call.is_constant("mat2") && call.is_constant("self")) {
    const at::Tensor row = bias.expand({w.size(1)}).contiguous();
    emit_linear(call, x, w, w.t(), {call.changed_constant(bias, row, "bias")});
    return;
  }
  const ValueId y = call.emit(op::MatMul{}, {x, call.real_value("mat2")}, "product");
  call.returns(call.emit(op::Binary{BinaryKind::Add}, {y, call.real_value("self")}));
}

void convert_matmul(Call& call) {
  const bool has_self = call.has("self");
  const std::string_view left = has_self ? "self" : "input";
  const std::string_view right = call.has("mat2")  ? "mat2"
                                 : call.has("vec") ? "vec"
                                                   : "other";
  const at::Tensor w = call.tensor(right);
  if (call.is_constant(right) && w.dim() == 2 && call.tensor(left).dim() >= 2) {
    emit_linear(call, call.real_value(left), w, w.t(), {});
    return;
  }
  const ValueId y = product_of(call, call.real_value(left), call.real_value(right), "");
  call.returns(call.reshape(y, call.result_shape(), "out"));
}

void convert_baddbmm(Call& call) {
  const double alpha = call.real_or("alpha", 1.0), beta = call.real_or("beta", 1.0);
  const bool adds = beta != 0.0;
  const bool scales = alpha != 1.0;
  ValueId y =
      call.emit(op::MatMul{}, {call.real_value("batch1"), call.real_value("batch2")},
                adds || scales ? "product" : "");
  if (scales) {
    y = call.emit(op::Binary{BinaryKind::Mul}, {y, call.constant(alpha, "alpha")},
                  adds ? "scaled" : "");
  }
  if (adds) {
    ValueId addend = call.real_value("self", /*allow_infinity=*/true);
    if (beta != 1.0) {
      addend = call.emit(op::Binary{BinaryKind::Mul},
                         {addend, call.constant(beta, "beta")}, "scaled_self");
    }
    y = call.emit(op::Binary{BinaryKind::Add}, {y, addend});
  }
  call.returns(y);
}

}  // namespace qopt::frontend
