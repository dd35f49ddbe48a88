// SPDX-License-Identifier: MIT
#include "lib/ptq/layer_bits.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "lib/graph/verify.h"
#include "lib/ptq/settings.h"

namespace qopt::ptq {
namespace {

const op::Conv2d* convolution(const Graph& graph, const Node& node) {
  return has_weights(graph, node) ? std::get_if<op::Conv2d>(&node.op) : nullptr;
}

/// Bits of what layer `i` reads.
int input_bits(std::size_t i, const std::vector<bool>& kept, const PtqConfig& config) {
  const int bits = config.activations.bits;
  return kept[i] ? std::max(bits, config.first_last_bits) : bits;
}

/// What a reader other than a layer needs.
int other_bits(const PtqConfig& config) {
  return std::max(config.activations.bits, config.residual_bits);
}

}  // namespace

std::vector<bool> kept_layers(const Graph& graph, const PtqConfig& config) {
  const LayerKinds& kinds = config.kinds;
  std::vector<bool> kept(graph.nodes().size(), false);
  std::vector<std::size_t> layers, convolutions;
  for (std::size_t i = 0; i < graph.nodes().size(); ++i) {
    const Node& node = graph.nodes()[i];
    if (!has_weights(graph, node)) continue;
    layers.push_back(i);
    const op::Conv2d* conv = convolution(graph, node);
    if (conv == nullptr) continue;
    convolutions.push_back(i);
    const Shape& w = graph.value(node.inputs[1]).shape;
    const bool is_pointwise = w[2] == 1 && w[3] == 1;
    if (!kinds.quantize_conv11 && is_pointwise) kept[i] = true;
    if (!kinds.quantize_group && conv->groups > 1) kept[i] = true;
  }
  if (!layers.empty()) kept[layers.front()] = kept[layers.back()] = true;
  const auto count = static_cast<std::int64_t>(convolutions.size());
  for (const std::int64_t skip : kinds.skip_layers) {
    if (skip < 0 || skip >= count) {
      throw Error(ExitCode::Usage, "skip_layers",
                  fmt::format("there is no convolution number {}", skip),
                  fmt::format("the model has {}, counted from 0", count));
    }
    kept[convolutions[static_cast<std::size_t>(skip)]] = true;
  }
  const auto first = static_cast<std::int64_t>(
      std::floor(kinds.skip_layers_ratio * static_cast<double>(count)));
  for (std::int64_t i = 0; i < first; ++i)
    kept[convolutions[static_cast<std::size_t>(i)]] = true;
  return kept;
}

std::vector<int> needed_bits(const Graph& graph, const PtqConfig& config) {
  const std::vector<bool> kept = kept_layers(graph, config);
  std::vector<int> bits(graph.values().size(), 0);
  const auto need = [&](ValueId id, int wanted) {
    bits[id.index] = std::max(bits[id.index], wanted);
  };
  for (const Output& output : graph.outputs()) {
    need(output.value, std::max(config.activations.bits, config.first_last_bits));
  }
  for (std::size_t i = graph.nodes().size(); i-- > 0;) {
    const Node& node = graph.nodes()[i];
    for (std::size_t k = 0; k < node.inputs.size(); ++k) {
      if (has_weights(graph, node)) {
        if (k == 0) need(node.inputs[k], input_bits(i, kept, config));
      } else if (keeps_encoding(node.op)) {
        need(node.inputs[k], bits[node.output.index]);
      } else {
        need(node.inputs[k], other_bits(config));
      }
    }
  }
  return bits;
}

Graph separate_layer_inputs(const Graph& canonical, const PtqConfig& config) {
  const std::vector<bool> kept = kept_layers(canonical, config);
  const std::vector<int> needed = needed_bits(canonical, config);
  // By value and bits: the layers that read the value with these bits, too few for
  // others.
  std::map<std::pair<std::uint32_t, int>, std::vector<std::string>> readers;
  for (std::size_t i = 0; i < canonical.nodes().size(); ++i) {
    const Node& node = canonical.nodes()[i];
    if (!has_weights(canonical, node)) continue;
    const ValueId input = node.inputs[0];
    const int bits = input_bits(i, kept, config);
    if (bits >= needed[input.index]) continue;
    readers[{input.index, bits}].push_back(canonical.value(node.output).name);
  }
  Graph graph = canonical;
  for (const auto& [key, names] : readers) {
    const ValueId value{key.first};
    const std::size_t at = *graph.producer(*graph.find(names.front()));
    // A clamp without bounds: the same number, in an encoding of its own.
    constexpr double kInf = std::numeric_limits<double>::infinity();
    const ValueId own =
        graph.insert(at, op::Clamp{-kInf, kInf}, {value}, names.front() + ".input");
    for (const std::string& name : names) {
      graph.mutable_nodes()[*graph.producer(*graph.find(name))].inputs[0] = own;
    }
  }
  require_valid(graph, "separate_layer_inputs");
  return graph;
}

}  // namespace qopt::ptq
