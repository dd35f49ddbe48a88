// SPDX-License-Identifier: MIT
// Every row of the importer's table: a module that uses it imports, and the graph
// computes what LibTorch computes, before and after canonicalisation. A row without a
// case fails.
#include <set>
#include <string>
#include <vector>

#include "lib/frontend/composites.h"
#include "lib/frontend/import.h"
#include "lib/graph/passes/canonicalize.h"
#include "lib/graph/verify.h"
#include "tests/frontend/agreement.h"
#include "tests/frontend/script_model.h"
#include "tests/support/catch.h"

namespace {

using namespace qopt;
using frontend::InputSpec;

struct OpCase {
  std::string schema;  // the row it is for
  std::string body;    // of forward(self, x[, y[, z]]); one line is an expression
  std::vector<Shape> inputs;
  Weights weights;
  DType dtype = DType::F32;  // of x
};

const Shape kImage = {2, 4, 6, 5};
const Shape kSequence = {2, 4, 9};
const Shape kTokens = {2, 5, 8};
const Shape kRows = {3, 6};

OpCase pointwise(const std::string& op, const std::string& arguments = "x") {
  return {"aten::" + op, "torch." + op + "(" + arguments + ")", {kRows}, {}};
}

OpCase from_shapes(const std::string& op, const std::string& value) {
  return {"aten::" + op, "x * float(" + value + ")", {kRows}, {}};
}

const std::vector<OpCase>& cases() {
  static const std::vector<OpCase> kCases = {
      {"aten::conv1d",
       "torch.conv1d(x, self.w, self.b, [2], [1], [2], 2)",
       {kSequence},
       {{"w", {6, 2, 3}}, {"b", {6}}}},
      {"aten::conv1d",
       "torch.conv1d(x, self.w, None, [1], [3])",
       {{4, 9}},
       {{"w", {6, 4, 3}}}},
      {"aten::conv2d",
       "torch.conv2d(x, self.w, self.b, [2, 1], [1, 0], [1, 2], 2)",
       {kImage},
       {{"w", {6, 2, 3, 2}}, {"b", {6}}}},
      {"aten::conv2d",
       "torch.conv2d(x, self.w, None, [1, 1], [1, 1], [1, 1], 4)",
       {kImage},
       {{"w", {4, 1, 3, 3}}}},
      {"aten::conv2d",
       "torch.conv2d(x, self.w, self.b, [1, 1], \"same\", [1, 1], 1)",
       {kImage},
       {{"w", {3, 4, 2, 4}}, {"b", {3}}}},
      {"aten::conv2d",
       "torch.conv2d(x, self.w, self.b, [1, 1], \"valid\", [1, 1], 1)",
       {kImage},
       {{"w", {3, 4, 2, 4}}, {"b", {3}}}},
      {"aten::conv2d", "torch.conv2d(x, self.w)", {{4, 6, 5}}, {{"w", {3, 4, 3, 3}}}},
      {"aten::conv_transpose1d",
       "torch.conv_transpose1d(x, self.w, self.b, [2], [1], [1], 2, [1])",
       {kSequence},
       {{"w", {4, 3, 3}}, {"b", {6}}}},
      {"aten::conv_transpose2d",
       "torch.conv_transpose2d(x, self.w, self.b, [2, 3], [1, 0], [1, 2], 2, [1, 1])",
       {kImage},
       {{"w", {4, 3, 3, 2}}, {"b", {6}}}},
      {"aten::_convolution",
       "torch._convolution(x, self.w, self.b, [1, 2], [0, 1], [1, 1], False, [0, 0], 1, "
       "False, "
       "False, True, True)",
       {kImage},
       {{"w", {5, 4, 3, 3}}, {"b", {5}}}},
      {"aten::_convolution",
       "torch._convolution(x, self.w, None, [2, 2], [1, 1], [1, 1], True, [1, 0], 1, "
       "False, False, "
       "True, True)",
       {kImage},
       {{"w", {4, 5, 3, 3}}}},
      {"aten::_convolution_mode",
       "torch._convolution_mode(x, self.w, self.b, [1, 1], \"same\", [2, 1], 1)",
       {kImage},
       {{"w", {5, 4, 3, 3}}, {"b", {5}}}},
      {"aten::convolution",
       "torch.convolution(x, self.w, self.b, [2], [1], [1], False, [0], 2)",
       {kSequence},
       {{"w", {6, 2, 3}}, {"b", {6}}}},
      {"aten::linear",
       "torch.linear(x, self.w, self.b)",
       {kTokens},
       {{"w", {7, 8}}, {"b", {7}}}},
      {"aten::linear", "torch.linear(x, self.w)", {{8}}, {{"w", {7, 8}}}},
      {"aten::linear", "torch.linear(x, y, z)", {kRows, {4, 6}, {4}}, {}},
      {"aten::addmm",
       "torch.addmm(self.b, x, torch.t(self.w))",
       {kRows},
       {{"w", {7, 6}}, {"b", {7}}}},
      {"aten::addmm",
       "torch.addmm(self.b, x, self.w)",
       {kRows},
       {{"w", {6, 7}}, {"b", {1}}}},
      {"aten::addmm", "torch.addmm(z, x, y)", {kRows, {6, 4}, {3, 4}}, {}},
      {"aten::matmul", "torch.matmul(x, self.w)", {kTokens}, {{"w", {8, 3}}}},
      {"aten::matmul", "torch.matmul(x, y)", {{2, 3, 5, 8}, {8, 4}}, {}},
      {"aten::matmul", "torch.matmul(x, y)", {{2, 3, 5, 8}, {3, 8, 4}}, {}},
      {"aten::matmul", "torch.matmul(x, y)", {{8}, {2, 8, 4}}, {}},
      {"aten::matmul", "torch.matmul(x, y)", {{2, 4, 8}, {8}}, {}},
      {"aten::matmul", "torch.matmul(self.w, x)", {{2, 4, 8}}, {{"w", {3, 4}}}},
      {"aten::mm", "torch.mm(x, torch.mm(self.w, y))", {kRows, {4, 5}}, {{"w", {6, 4}}}},
      {"aten::bmm", "torch.bmm(x, y)", {{3, 4, 5}, {3, 5, 2}}, {}},
      {"aten::baddbmm",
       "torch.baddbmm(x, y, z, beta=0.5, alpha=0.25)",
       {{3, 4, 2}, {3, 4, 5}, {3, 5, 2}},
       {}},
      {"aten::baddbmm",
       "torch.baddbmm(x, y, z, beta=0, alpha=0.25)",
       // Large enough that LibTorch does not multiply memory it never wrote by beta.
       {{3, 16, 12}, {3, 16, 20}, {3, 20, 12}},
       {}},
      {"aten::baddbmm", "torch.baddbmm(x, y, z)", {{3, 4, 2}, {3, 4, 5}, {3, 5, 2}}, {}},

      {"aten::batch_norm",
       "torch.batch_norm(x, self.w, self.b, self.m, self.var, False, 0.1, 1e-3, True)",
       {kImage},
       {{"w", {4}}, {"b", {4}}, {"m", {4}}, {"var", {4}}}},
      {"aten::batch_norm",
       "torch.batch_norm(x, None, None, self.m, self.var, False, 0.1, 1e-5, True)",
       {kSequence},
       {{"m", {4}}, {"var", {4}}}},
      {"aten::layer_norm",
       "torch.layer_norm(x, [8], self.w, self.b, 1e-5)",
       {kTokens},
       {{"w", {8}}, {"b", {8}}}},
      {"aten::layer_norm",
       "torch.layer_norm(x, [5, 8], None, None, 1e-2)",
       {kTokens},
       {}},
      {"aten::layer_norm",
       "torch.layer_norm(x, [8], None, self.b)",
       {kTokens},
       {{"b", {8}}}},
      {"aten::native_layer_norm",
       "    y, m, r = torch.native_layer_norm(x, [8], self.w, self.b, 1e-5)\n    return "
       "y\n",
       {kTokens},
       {{"w", {8}}, {"b", {8}}}},
      {"aten::embedding",
       "torch.embedding(self.w, x)",
       {{2, 3}},
       {{"w", {5, 7}}},
       DType::I64},
      {"aten::embedding",
       "torch.embedding(self.w, x)",
       {{4}},
       {{"w", {5, 7}}},
       DType::I32},
      {"aten::scaled_dot_product_attention",
       "torch.scaled_dot_product_attention(x, y, z)",
       {{2, 3, 5, 4}, {2, 3, 6, 4}, {2, 3, 6, 7}},
       {}},
      {"aten::scaled_dot_product_attention",
       "torch.scaled_dot_product_attention(x, y, z, self.m)",
       {{2, 5, 4}, {2, 6, 4}, {2, 6, 4}},
       {{"m", {5, 6}}}},
      {"aten::scaled_dot_product_attention",
       "torch.scaled_dot_product_attention(x, x, y, self.m > -0.4, 0.0, False)",
       {{2, 5, 4}, {2, 5, 4}},
       {{"m", {5, 5}}}},
      {"aten::scaled_dot_product_attention",
       "torch.scaled_dot_product_attention(x, y, y, None, 0.0, True)",
       {{2, 5, 4}, {2, 5, 4}},
       {}},
      {"aten::_scaled_dot_product_attention",
       "    a, b = torch._scaled_dot_product_attention(x, y, z)\n    return a\n",
       {{2, 5, 4}, {2, 6, 4}, {2, 6, 4}},
       {}},
      {"aten::_native_multi_head_attention",
       "    y, w = torch._native_multi_head_attention(x, x, x, 8, 2, self.qkv, self.qb, "
       "self.p, "
       "self.pb, None, False, True)\n    return y\n",
       {kTokens},
       {{"qkv", {24, 8}}, {"qb", {24}}, {"p", {8, 8}}, {"pb", {8}}}},
      {"aten::_transformer_encoder_layer_fwd",
       "torch._transformer_encoder_layer_fwd(x, 8, 2, self.qkv, self.qb, self.p, "
       "self.pb, True, "
       "True, 1e-5, self.n1, self.b1, self.n2, self.b2, self.f1, self.fb1, self.f2, "
       "self.fb2)",
       {kTokens},
       {{"qkv", {24, 8}},
        {"qb", {24}},
        {"p", {8, 8}},
        {"pb", {8}},
        {"n1", {8}},
        {"b1", {8}},
        {"n2", {8}},
        {"b2", {8}},
        {"f1", {12, 8}},
        {"fb1", {12}},
        {"f2", {8, 12}},
        {"fb2", {8}}}},
      {"aten::_transformer_encoder_layer_fwd",
       "torch._transformer_encoder_layer_fwd(x, 8, 4, self.qkv, self.qb, self.p, "
       "self.pb, False, "
       "False, 1e-3, self.n1, self.b1, self.n2, self.b2, self.f1, self.fb1, self.f2, "
       "self.fb2)",
       {kTokens},
       {{"qkv", {24, 8}},
        {"qb", {24}},
        {"p", {8, 8}},
        {"pb", {8}},
        {"n1", {8}},
        {"b1", {8}},
        {"n2", {8}},
        {"b2", {8}},
        {"f1", {12, 8}},
        {"fb1", {12}},
        {"f2", {8, 12}},
        {"fb2", {8}}}},

      pointwise("relu"),
      {"aten::relu", "    y = x * 1.5\n    torch.relu_(y)\n    return y\n", {kRows}, {}},
      pointwise("relu6"),
      pointwise("hardtanh", "x, -0.5, 0.75"),
      {"aten::hardtanh",
       "    y = x * 1.5\n    torch.hardtanh_(y, -0.5, 0.25)\n    return y\n",
       {kRows},
       {}},
      pointwise("clamp", "x, -0.5, 0.75"),
      pointwise("clamp", "x, None, 0.75"),
      pointwise("clamp", "x, min=-0.5"),
      pointwise("clamp_min", "x, 0.25"),
      pointwise("clamp_max", "x, 0.25"),
      pointwise("threshold", "x, 0.5, 0.5"),
      pointwise("leaky_relu", "x, 0.2"),
      {"aten::prelu", "torch.prelu(x, self.w)", {kImage}, {{"w", {4}}}},
      {"aten::prelu", "torch.prelu(x, self.w)", {kImage}, {{"w", {1}}}},
      {"aten::elu", "torch.elu(x, 1.25, 0.5, 2.0)", {kRows}, {}},
      pointwise("celu", "x, 0.75"),
      pointwise("selu"),
      pointwise("gelu"),
      pointwise("gelu", "x, approximate=\"tanh\""),
      pointwise("silu"),
      {"aten::silu", "    y = x * 1.5\n    torch.silu_(y)\n    return y\n", {kRows}, {}},
      pointwise("mish"),
      pointwise("hardswish"),
      pointwise("hardsigmoid"),
      pointwise("sigmoid"),
      pointwise("tanh"),
      pointwise("softplus", "x, 2.0, 1.5"),
      pointwise("exp"),
      pointwise("log", "torch.abs(x) + 0.5"),
      pointwise("sqrt", "torch.abs(x)"),
      pointwise("rsqrt", "torch.abs(x) + 0.5"),
      pointwise("abs"),
      pointwise("neg"),
      pointwise("reciprocal", "torch.abs(x) + 0.5"),
      pointwise("square"),
      pointwise("pow", "x, 1"),
      pointwise("pow", "x, 2"),
      pointwise("pow", "x, 3"),
      pointwise("pow", "torch.abs(x) + 0.5, 0.5"),
      pointwise("pow", "torch.abs(x) + 0.5, -0.5"),
      pointwise("pow", "torch.abs(x) + 0.5, -1.0"),
      pointwise("softmax", "x, -1"),
      pointwise("softmax", "x, 0"),
      pointwise("_softmax", "x, 1, False"),
      pointwise("log_softmax", "x, -1"),

      {"aten::add", "torch.add(x, y)", {kImage, {4, 1, 5}}, {}},
      {"aten::add", "torch.add(x, y, alpha=0.5)", {kRows, kRows}, {}},
      {"aten::add", "torch.add(x, self.w, alpha=2)", {kRows}, {{"w", {6}}}},
      {"aten::add", "self.w + x", {kRows}, {{"w", {3, 1}}}},
      {"aten::add", "x + 3", {kRows}, {}},
      {"aten::add",
       "    y = x * 0.5\n    y += x\n    return torch.relu_(y)\n",
       {kRows},
       {}},
      {"aten::sub", "torch.sub(x, y, alpha=0.5)", {kRows, kRows}, {}},
      {"aten::sub", "x - 0.25", {kRows}, {}},
      {"aten::rsub", "torch.rsub(x, 1.5, 2)", {kRows}, {}},
      {"aten::mul", "x * y", {kImage, {2, 4, 1, 1}}, {}},
      {"aten::mul",
       "    y = x + 1.0\n    y *= self.w\n    return y\n",
       {kRows},
       {{"w", {6}}}},
      {"aten::div", "x / (torch.abs(y) + 0.5)", {kRows, kRows}, {}},
      {"aten::div", "torch.div(x, 3)", {kRows}, {}},
      {"aten::mean", "torch.mean(x, [2, 3])", {kImage}, {}},
      {"aten::mean", "torch.mean(x, [-1, 1], True)", {kImage}, {}},
      {"aten::mean", "torch.mean(x)", {kImage}, {}},
      {"aten::sum", "torch.sum(x, [1])", {kImage}, {}},
      {"aten::sum", "torch.sum(x)", {kImage}, {}},
      {"aten::norm", "torch.norm(x, 2, [1], True)", {kRows}, {}},
      {"aten::norm", "torch.norm(x, 2)", {kRows}, {}},
      {"aten::norm",
       "x / torch.clamp_min(torch.norm(x, 2, [-1], True), 1e-12).expand_as(x)",
       {kRows},
       {}},
      {"aten::linalg_vector_norm",
       "torch.linalg_vector_norm(x, 2, [1], True)",
       {kRows},
       {}},
      {"aten::frobenius_norm", "torch.frobenius_norm(x, [1], False)", {kRows}, {}},

      {"aten::max_pool1d",
       "torch.max_pool1d(x, [3], [2], [1], [1], True)",
       {kSequence},
       {}},
      {"aten::max_pool2d",
       "torch.max_pool2d(x, [3, 2], [2, 1], [1, 1], [1, 2], True)",
       {kImage},
       {}},
      {"aten::max_pool2d", "torch.max_pool2d(x, [2, 2])", {{4, 6, 5}}, {}},
      {"aten::max_pool2d_with_indices",
       "    y, i = torch.max_pool2d_with_indices(x, [3, 3], [2, 2], [1, 1], [1, 1], "
       "False)\n"
       "    return y\n",
       {kImage},
       {}},
      {"aten::avg_pool1d",
       "torch.avg_pool1d(x, [3], [2], [1], False, False)",
       {kSequence},
       {}},
      {"aten::avg_pool2d",
       "torch.avg_pool2d(x, [3, 3], [2, 2], [1, 1], True, False)",
       {kImage},
       {}},
      {"aten::avg_pool2d",
       "torch.avg_pool2d(x, [3, 2], [2, 2], [1, 0], True, True)",
       {kImage},
       {}},
      {"aten::avg_pool2d",
       "torch.avg_pool2d(x, [2, 2], [1, 1], [0, 0], False, True, 3)",
       {kImage},
       {}},
      {"aten::adaptive_avg_pool1d", "torch.adaptive_avg_pool1d(x, [4])", {kSequence}, {}},
      {"aten::adaptive_avg_pool2d", "torch.adaptive_avg_pool2d(x, [1, 1])", {kImage}, {}},
      {"aten::adaptive_avg_pool2d", "torch.adaptive_avg_pool2d(x, [4, 3])", {kImage}, {}},
      {"aten::adaptive_max_pool2d",
       "    y, i = torch.adaptive_max_pool2d(x, [3, 1])\n    return y\n",
       {kImage},
       {}},
      {"aten::upsample_nearest2d",
       "torch.upsample_nearest2d(x, [9, 10], None)",
       {kImage},
       {}},
      {"aten::upsample_nearest2d",
       "torch.upsample_nearest2d(x, None, [2.0, 1.5])",
       {kImage},
       {}},
      {"aten::upsample_bilinear2d",
       "torch.upsample_bilinear2d(x, [9, 10], False, None)",
       {kImage},
       {}},
      {"aten::upsample_bilinear2d",
       "torch.upsample_bilinear2d(x, [11, 7], True, None)",
       {kImage},
       {}},
      {"aten::upsample_bilinear2d",
       "torch.upsample_bilinear2d(x, None, False, [1.7, 2.3])",
       {kImage},
       {}},
      {"aten::pixel_shuffle", "torch.pixel_shuffle(x, 2)", {{1, 8, 3, 2}}, {}},

      {"aten::cat", "torch.cat([x, y, self.w], 1)", {kRows, {3, 2}}, {{"w", {3, 1}}}},
      {"aten::stack", "torch.stack([x, y], -1)", {kRows, kRows}, {}},
      {"aten::chunk",
       "    a, b = torch.chunk(x, 2, 1)\n    return torch.cat([b, a], 1)\n",
       {kRows},
       {}},
      {"aten::split",
       "    a, b = torch.split(x, 4, 1)\n    return a[:, :2] - b\n",
       {kRows},
       {}},
      {"aten::split_with_sizes",
       "    a, b = torch.split_with_sizes(x, [1, 5], 1)\n    return a * b\n",
       {kRows},
       {}},
      {"aten::tensor_split",
       "    a, b, c = torch.tensor_split(x, 3, 1)\n    return a - b * c\n",
       {kRows},
       {}},
      {"aten::unbind",
       "    a, b, c = torch.unbind(x, 0)\n    return a - b * c\n",
       {kRows},
       {}},
      {"aten::slice", "x[1:, :-1:2]", {kRows}, {}},
      {"aten::slice", "x[-2:]", {kRows}, {}},
      {"aten::narrow", "torch.narrow(x, 1, 2, 3)", {kRows}, {}},
      {"aten::select", "x[:, -2]", {kRows}, {}},
      {"aten::index", "x[:, torch.tensor([0, 2, 4, 5, 1])]", {kRows}, {}},
      {"aten::index", "x[torch.tensor([True, False, True])]", {kRows}, {}},
      {"aten::index_select",
       "torch.index_select(x, 1, torch.tensor([5, 4, 1, 2, 3]))",
       {kRows},
       {}},
      {"aten::flatten", "torch.flatten(x, 1)", {kImage}, {}},
      {"aten::unflatten", "x.unflatten(1, [2, 3])", {kRows}, {}},
      {"aten::view", "x.view(-1, 5)", {kImage}, {}},
      {"aten::view_as", "x.view_as(y) + y", {kRows, {6, 3}}, {}},
      {"aten::_unsafe_view", "torch._unsafe_view(x, [9, 2])", {kRows}, {}},
      {"aten::reshape", "torch.reshape(torch.transpose(x, 1, 2), [2, -1])", {kImage}, {}},
      {"aten::reshape_as", "x.reshape_as(y) + y", {kRows, {6, 3}}, {}},
      {"aten::squeeze", "torch.squeeze(x, 1) + torch.squeeze(x)", {{3, 1, 6}}, {}},
      {"aten::unsqueeze", "torch.unsqueeze(x, -2)", {kRows}, {}},
      {"aten::permute", "torch.permute(x, [0, 2, -1, 1])", {kImage}, {}},
      {"aten::transpose", "torch.transpose(x, -1, 1)", {kImage}, {}},
      {"aten::t", "torch.t(x)", {kRows}, {}},
      {"aten::numpy_T", "torch.numpy_T(x)", {kRows}, {}},
      {"aten::expand", "x.expand(4, -1, 6)", {{3, 1}}, {}},
      {"aten::expand_as", "x.expand_as(y) + y", {{6}, kRows}, {}},
      {"aten::repeat", "x.repeat(2, 1, 3)", {kRows}, {}},
      {"aten::roll", "torch.roll(x, [-1, 2], [1, -1])", {kImage}, {}},
      {"aten::roll", "torch.roll(x, [6, 0], [1, 0])", {kRows}, {}},
      {"aten::constant_pad_nd",
       "torch.constant_pad_nd(x, [1, 2, 0, 1], 0.5)",
       {kImage},
       {}},
      {"aten::constant_pad_nd",
       "torch.constant_pad_nd(x, [-1, 2, 1, -2], 0.0)",
       {kImage},
       {}},
      {"aten::pad", "torch.pad(x, [1, 2], \"constant\", 0.25)", {kSequence}, {}},
      {"aten::pad", "torch.pad(x, [0, 0, 1, 0])", {kSequence}, {}},

      {"aten::contiguous", "x.transpose(0, 1).contiguous() * 2.0", {kRows}, {}},
      {"aten::to", "torch.relu(x.to(6))", {kRows}, {}},
      {"aten::type_as", "torch.relu(x.type_as(y)) + y", {kRows, kRows}, {}},
      {"aten::cpu", "torch.relu(x.cpu())", {kRows}, {}},
      {"aten::detach", "torch.relu(x.detach())", {kRows}, {}},
      {"aten::clone",
       "    y = x.clone()\n    y.add_(1.0)\n    return y * x\n",
       {kRows},
       {}},
      {"aten::alias", "torch.relu(torch.alias(x))", {kRows}, {}},
      {"aten::dropout", "torch.dropout(x, 0.5, self.training) * 2.0", {kRows}, {}},
      {"aten::feature_dropout",
       "torch.feature_dropout(x, 0.5, False) * 2.0",
       {kImage},
       {}},
      {"aten::alpha_dropout", "torch.alpha_dropout(x, 0.5, False) * 2.0", {kRows}, {}},

      from_shapes("size", "x.size(1)"),
      from_shapes("dim", "x.dim()"),
      from_shapes("numel", "torch.numel(x)"),
      from_shapes("len", "len(x)"),
      from_shapes("stride", "x.stride(0)"),
      from_shapes("is_floating_point", "torch.is_floating_point(x)"),
      from_shapes("is_same_size", "torch.is_same_size(x, x)"),
      {"aten::zeros_like", "x + torch.zeros_like(x)", {kRows}, {}},
      {"aten::ones_like", "x + torch.ones_like(x)", {kRows}, {}},
      {"aten::full_like", "x + torch.full_like(x, 0.5)", {kRows}, {}},
      {"aten::new_zeros", "torch.cat([x, x.new_zeros([3, 2])], 1)", {kRows}, {}},
      {"aten::new_ones", "torch.cat([x, x.new_ones([3, 2])], 1)", {kRows}, {}},
      {"aten::new_full", "torch.cat([x, x.new_full([3, 2], 0.5)], 1)", {kRows}, {}},
  };
  return kCases;
}

std::string source_of(const OpCase& c) {
  constexpr const char* kNames[] = {"x", "y", "z"};
  std::string source = "def forward(self";
  for (std::size_t i = 0; i < c.inputs.size(); ++i)
    source += std::string(", ") + kNames[i];
  source += "):\n";
  return source + (c.body.starts_with(" ") ? c.body : "    return " + c.body + "\n");
}

}  // namespace

TEST_CASE("every row of the table has a case") {
  std::set<std::string> covered;
  for (const OpCase& c : cases()) covered.insert(c.schema);
  for (const frontend::SupportedOp& row : frontend::supported_ops()) {
    INFO(row.schema);
    CHECK(covered.contains(std::string(row.schema)));
    CHECK_FALSE(row.becomes.empty());
  }
}

TEST_CASE("every case imports and agrees with LibTorch") {
  frontend::register_missing_operators();
  const ScratchFolder folder;
  double worst = 0.0;
  for (const OpCase& c : cases()) {
    const std::string source = source_of(c);
    INFO(source);
    const torch::jit::Module module = make_module(source, c.weights);
    const std::string code = module.get_method("forward").graph()->toString(false);
    const bool uses_row = code.find(c.schema + "(") != std::string::npos ||
                          code.find(c.schema + "_(") != std::string::npos;
    CHECK(uses_row);
    const frontend::Model model = reload(module, folder);
    std::vector<InputSpec> inputs;
    for (const Shape& shape : c.inputs) {
      inputs.push_back({"", shape, inputs.empty() ? c.dtype : DType::F32});
    }
    const Graph graph = model.import(inputs);
    const Agreement imported = compare(model, graph, 5);
    CHECK(imported.largest > 0.0);
    CHECK(imported.relative_error <= 1e-5);
    const Graph canonical = canonicalize(graph);
    const Agreement after = compare(model, canonical, 5);
    CHECK(after.relative_error <= 1e-5);
    worst = std::max({worst, imported.relative_error, after.relative_error});
  }
  UNSCOPED_INFO("worst relative error " << worst);
  CHECK(worst <= 1e-5);
}
