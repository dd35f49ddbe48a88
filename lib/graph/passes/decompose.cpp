// SPDX-License-Identifier: MIT
// Composite operators taken apart: attention and pixel shuffle.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "lib/graph/passes/edit.h"
#include "lib/graph/passes/passes.h"

namespace qopt {
namespace {

/// Added where attention must not look. exp(-10000) is zero in float32, so softmax is as
/// with -inf for every score that differs by less; and unlike -inf it has a place in a
/// range.
constexpr double kMasked = -1e4;

/// A causal mask is stored; beyond this a model has no use on a small device.
constexpr std::int64_t kMaxMaskElements = std::int64_t{1} << 26;

/// [L,S] with kMasked above the diagonal, as torch's is_causal.
Tensor causal_mask(DType dtype, std::int64_t rows, std::int64_t cols) {
  if (rows * cols > kMaxMaskElements) {
    throw Error(ExitCode::ModelUnsupported, "",
                fmt::format("a causal mask of {}x{} is too large", rows, cols));
  }
  std::vector<double> mask(static_cast<std::size_t>(rows * cols), 0.0);
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t c = r + 1; c < cols; ++c) {
      mask[static_cast<std::size_t>(r * cols + c)] = kMasked;
    }
  }
  return edit::tensor_of(dtype, mask, {rows, cols});
}

/// A constant mask with its -inf made kMasked; any other mask as it is.
ValueId finite_mask(Graph& graph, ValueId mask) {
  std::optional<std::vector<double>> reals = edit::constant_reals(graph, mask);
  if (!reals || std::ranges::none_of(*reals, [](double x) { return x < kMasked; })) {
    return mask;
  }
  for (double& x : *reals) x = x < kMasked ? kMasked : x;
  const Value& value = graph.value(mask);
  return graph.add_constant(value.name,
                            edit::tensor_of(value.dtype, *reals, value.shape));
}

bool take_attention_apart(Graph& graph, std::size_t i) {
  const auto* found = std::get_if<op::Attention>(&graph.nodes()[i].op);
  if (found == nullptr) return false;
  const op::Attention attention = *found;
  const Node node = graph.nodes()[i];  // a copy: inserting moves nodes
  const std::string name = graph.value(node.output).name;
  const ValueId q = node.inputs[0], k = node.inputs[1], v = node.inputs[2];
  const DType dtype = graph.value(q).dtype;
  const auto emit = [&](Op op, std::vector<ValueId> inputs, std::string_view part) {
    return graph.insert(i++, std::move(op), std::move(inputs),
                        fmt::format("{}.{}", name, part), node.source);
  };

  Ints swap(graph.value(k).shape.size());
  std::iota(swap.begin(), swap.end(), 0);
  std::swap(swap[swap.size() - 1], swap[swap.size() - 2]);
  const ValueId transposed = emit(op::Permute{swap}, {k}, "k_transposed");
  ValueId scores = emit(op::MatMul{}, {q, transposed}, "scores");
  const auto width = static_cast<double>(graph.value(q).shape.back());
  const double scale = attention.scale != 0.0 ? attention.scale : 1.0 / std::sqrt(width);
  if (scale != 1.0 && std::isfinite(scale)) {
    const ValueId factor =
        graph.add_constant(name + ".scale", edit::tensor_of(dtype, {scale}, {1}));
    scores = emit(op::Binary{BinaryKind::Mul}, {scores, factor}, "scaled");
  }
  if (attention.causal) {
    const Shape& shape = graph.value(scores).shape;
    const ValueId mask = graph.add_constant(
        name + ".causal_mask",
        causal_mask(dtype, shape[shape.size() - 2], shape[shape.size() - 1]));
    scores = emit(op::Binary{BinaryKind::Add}, {scores, mask}, "causal");
  }
  if (node.inputs.size() > 3) {
    const ValueId mask = finite_mask(graph, node.inputs[3]);
    scores = emit(op::Binary{BinaryKind::Add}, {scores, mask}, "masked");
  }
  const auto last = static_cast<std::int64_t>(graph.value(scores).shape.size()) - 1;
  const ValueId weights = emit(op::Softmax{last}, {scores}, "weights");
  edit::become(graph, i, op::MatMul{}, {weights, v});
  return true;
}

bool take_pixel_shuffle_apart(Graph& graph, std::size_t i) {
  const auto* shuffle = std::get_if<op::PixelShuffle>(&graph.nodes()[i].op);
  if (shuffle == nullptr) return false;
  const std::int64_t r = shuffle->factor;
  const ValueId x = graph.nodes()[i].inputs[0];
  const Shape in = graph.value(x).shape;
  const Shape out = graph.value(graph.nodes()[i].output).shape;
  const std::string name = graph.value(graph.nodes()[i].output).name;
  const std::string source = graph.nodes()[i].source;
  const ValueId split =
      graph.insert(i++, op::Reshape{{in[0], out[1], r, r, in[2], in[3]}}, {x},
                   name + ".split", source);
  const ValueId moved = graph.insert(i++, op::Permute{{0, 1, 4, 2, 5, 3}}, {split},
                                     name + ".moved", source);
  edit::become(graph, i, op::Reshape{out}, {moved});
  return true;
}

}  // namespace

bool decompose_attention(Graph& graph) {
  return edit::rewrite_all(graph, take_attention_apart);
}

bool decompose_pixel_shuffle(Graph& graph) {
  return edit::rewrite_all(graph, take_pixel_shuffle_apart);
}

}  // namespace qopt
