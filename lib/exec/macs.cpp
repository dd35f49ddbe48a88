// SPDX-License-Identifier: MIT
// Costs: multiply-accumulates of each node, from shapes and attributes alone.
#include "lib/exec/interval.h"

namespace qopt {
namespace {

/// Elements of a convolution weight that one output element meets: all but the first
/// axis.
std::int64_t taps(const Shape& weight) {
  return weight.empty() || weight[0] == 0 ? 0 : num_elements(weight) / weight[0];
}

std::int64_t last(const Shape& shape, std::size_t from_end) {
  return shape.size() < from_end ? 0 : shape[shape.size() - from_end];
}

std::int64_t node_macs(const Graph& graph, const Node& node) {
  const auto in = [&](std::size_t i) -> const Shape& {
    return graph.value(node.inputs.at(i)).shape;
  };
  const Shape& out_shape = graph.value(node.output).shape;
  const std::int64_t out = num_elements(out_shape);
  // Every input element of a transposed convolution meets all taps of its group.
  const auto transposed = [&](std::int64_t out_channels_per_group) {
    const Shape& w = in(1);
    return num_elements(in(0)) * out_channels_per_group * last(w, 1) * last(w, 2);
  };
  return std::visit(
      Overloaded{
          [&](const op::Conv2d&) { return out * taps(in(1)); },
          [&](const op::QConv2d&) { return out * taps(in(1)); },
          [&](const op::ConvTranspose2d&) { return transposed(in(1).at(1)); },
          [&](const op::QConvTranspose2d& q) {
            // w[O,KH,KW,C/groups]: input elements * O/groups * KH * KW.
            const Shape& w = in(1);
            return num_elements(in(0)) * (w.at(0) / q.groups) * w.at(1) * w.at(2);
          },
          [&](const op::Linear&) { return out * taps(in(1)); },
          [&](const op::MatMul&) { return out * last(in(0), 1); },
          [&](const op::QMatMul&) { return out * last(in(0), 1); },
          [&](const op::Attention&) {
            // q k' over E, then the weights times v over S.
            const std::int64_t queries = num_elements(in(0));
            const std::int64_t keys = last(in(1), 2);
            return queries * keys + out * keys;
          },
          [](const op::Input&) { return std::int64_t{0}; },
          [](const op::BatchNorm&) { return std::int64_t{0}; },
          [](const op::Clamp&) { return std::int64_t{0}; },
          [](const op::Unary&) { return std::int64_t{0}; },
          [](const op::PRelu&) { return std::int64_t{0}; },
          [](const op::Binary&) { return std::int64_t{0}; },
          [](const op::MaxPool2d&) { return std::int64_t{0}; },
          [](const op::AvgPool2d&) { return std::int64_t{0}; },
          [](const op::AdaptiveAvgPool2d&) { return std::int64_t{0}; },
          [](const op::Reduce&) { return std::int64_t{0}; },
          [](const op::Concat&) { return std::int64_t{0}; },
          [](const op::Slice&) { return std::int64_t{0}; },
          [](const op::Reshape&) { return std::int64_t{0}; },
          [](const op::Permute&) { return std::int64_t{0}; },
          [](const op::Expand&) { return std::int64_t{0}; },
          [](const op::Pad&) { return std::int64_t{0}; },
          [](const op::Resize&) { return std::int64_t{0}; },
          [](const op::Softmax&) { return std::int64_t{0}; },
          [](const op::LayerNorm&) { return std::int64_t{0}; },
          [](const op::L2Normalize&) { return std::int64_t{0}; },
          [](const op::Embedding&) { return std::int64_t{0}; },
          [](const op::PixelShuffle&) { return std::int64_t{0}; },
          [](const op::QAdd&) { return std::int64_t{0}; },
          [](const op::QMul&) { return std::int64_t{0}; },
          [](const op::QDiv&) { return std::int64_t{0}; },
          [](const op::Rescale&) { return std::int64_t{0}; },
          [](const op::Lut&) { return std::int64_t{0}; },
          [](const op::QAvgPool2d&) { return std::int64_t{0}; },
          [](const op::QReduce&) { return std::int64_t{0}; },
          [](const op::QResize&) { return std::int64_t{0}; },
          [](const op::QSoftmax&) { return std::int64_t{0}; },
          [](const op::QLayerNorm&) { return std::int64_t{0}; },
          [](const op::QL2Normalize&) { return std::int64_t{0}; },
          [](const op::QGather&) { return std::int64_t{0}; },
      },
      node.op);
}

}  // namespace

std::vector<std::int64_t> count_macs(const Graph& graph) {
  std::vector<std::int64_t> macs;
  macs.reserve(graph.nodes().size());
  for (const Node& node : graph.nodes()) macs.push_back(node_macs(graph, node));
  return macs;
}

}  // namespace qopt
