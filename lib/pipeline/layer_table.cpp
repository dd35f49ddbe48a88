// SPDX-License-Identifier: MIT
#include "lib/pipeline/layer_table.h"

#include <fmt/format.h>

#include <set>

namespace qopt::pipeline {
namespace {

constexpr std::size_t kReportBins = 100;

/// Bits of the packed weights where the operator has weights.
std::optional<int> weight_bits(const Op& op) {
  if (const auto* conv = std::get_if<op::QConv2d>(&op))
    return static_cast<int>(conv->weight_bits);
  if (const auto* conv = std::get_if<op::QConvTranspose2d>(&op)) {
    return static_cast<int>(conv->weight_bits);
  }
  return std::nullopt;
}

std::string encoding_text(const Value& value, int bits) {
  if (!value.encoding) return fmt::format("{} bits", bits);
  const Affine& affine = std::get<Affine>(*value.encoding);
  return fmt::format("{}{} {}", level_set_name(affine.levels), affine.bits,
                     affine.axis ? "per channel" : "per tensor");
}

/// "layer1.0.conv1" of weights called "layer1.0.conv1.weight"; empty for other names.
std::string module_of(const std::string& weights) {
  constexpr std::string_view kSuffix = ".weight";
  return weights.ends_with(kSuffix) ? weights.substr(0, weights.size() - kSuffix.size())
                                    : std::string();
}

/// The name under which the model knows a result: lowering wraps linear layers in
/// reshapes, which move nothing, and the last of them carries the name.
ValueId known_as(const Graph& graph, ValueId id,
                 const std::map<std::string, ValueNoise>& noise) {
  ValueId at = id;
  while (noise.count(graph.value(at).name) == 0) {
    const std::vector<std::size_t> users = graph.users(at);
    if (users.size() != 1) return id;
    const Node& user = graph.nodes()[users[0]];
    if (!std::holds_alternative<op::Reshape>(user.op)) return id;
    at = user.output;
  }
  return at;
}

report::Kernel kernel_of(const emit::LayerChoice& choice) {
  report::Kernel kernel;
  kernel.family = emit::family_name(choice.chosen.family);
  kernel.cycles = choice.chosen.cycles;
  kernel.measured = choice.chosen.is_measured;
  kernel.reason = choice.reason;
  kernel.block = choice.chosen.block;
  if (choice.others.empty()) return kernel;
  const emit::Candidate& other = choice.others.front();
  kernel.runner_up = emit::family_name(other.family);
  kernel.runner_up_cycles = other.cycles;
  kernel.runner_up_measured = other.is_measured;
  return kernel;
}

/// The fine histogram from the most negative to the most positive bin.
std::vector<std::uint64_t> fine_bins(const calib::Statistics& s) {
  std::vector<std::uint64_t> bins(s.negative.rbegin(), s.negative.rend());
  bins.insert(bins.end(), s.positive.begin(), s.positive.end());
  return bins;
}

void reduce_histogram(const calib::Statistics& s, report::Activation& out) {
  const std::vector<std::uint64_t> fine = fine_bins(s);
  std::size_t first = 0, last = fine.size();
  while (first < last && fine[first] == 0) ++first;
  while (last > first && fine[last - 1] == 0) --last;
  if (first == last) return;
  const std::size_t group = (last - first + kReportBins - 1) / kReportBins;
  for (std::size_t at = first; at < last; at += group) {
    std::uint64_t sum = 0;
    for (std::size_t i = at; i < std::min(at + group, fine.size()); ++i) sum += fine[i];
    out.histogram.push_back(sum);
  }
  const auto zero = static_cast<double>(s.negative.size());
  out.bin_lo = (static_cast<double>(first) - zero) * s.bin_width;
  out.bin_hi =
      out.bin_lo + static_cast<double>(out.histogram.size() * group) * s.bin_width;
}

}  // namespace

std::vector<report::Layer> layer_table(const Graph& integer,
                                       std::span<const AccumulatorProof> proofs,
                                       const std::vector<emit::Section>& sections,
                                       std::span<const ptq::Choice> choices,
                                       const std::map<std::string, ValueNoise>& noise,
                                       const emit::KernelTarget& target) {
  std::map<std::string_view, std::uint64_t> packed;  // constants not yet counted
  for (const emit::Section& section : sections) packed[section.name] = section.size_bytes;
  std::map<std::string_view, const ptq::Choice*> chosen;
  for (const ptq::Choice& choice : choices) chosen[choice.value] = &choice;
  std::map<std::string_view, const AccumulatorProof*> proven;
  for (const AccumulatorProof& proof : proofs) proven[proof.node] = &proof;
  const std::vector<std::int64_t> macs = count_macs(integer);
  const auto kernels = emit::choose_kernels(integer, target);

  std::vector<report::Layer> layers;
  for (std::size_t i = 0; i < integer.nodes().size(); ++i) {
    const Node& node = integer.nodes()[i];
    const bool computes = !std::holds_alternative<op::Input>(node.op) &&
                          !std::holds_alternative<op::Reshape>(node.op);
    if (!computes) continue;
    const Value& value = integer.value(known_as(integer, node.output, noise));
    report::Layer layer;
    layer.name = value.name;
    layer.kind = op_name(node.op);
    layer.source = node.source;
    layer.shape = integer.value(node.output).shape;
    layer.macs = macs[i];
    layer.weight_bits = weight_bits(node.op);
    if (layer.weight_bits) {
      const Value& weights = integer.value(node.inputs[1]);
      layer.weight_encoding = encoding_text(weights, *layer.weight_bits);
      layer.module = module_of(weights.name);
    }
    for (const ValueId id : node.inputs) {
      const auto found = packed.find(integer.value(id).name);
      if (!integer.is_constant(id) || found == packed.end()) continue;
      layer.weight_bytes += found->second;
      packed.erase(found);  // a shared constant belongs to its first user
    }
    if (value.encoding) layer.activation_bits = std::get<Affine>(*value.encoding).bits;
    if (const auto found = proven.find(integer.value(node.output).name);
        found != proven.end()) {
      layer.acc_bits = found->second->bits;
      layer.acc_limit = found->second->limit;
      layer.acc_lo = found->second->accumulator.lo;
      layer.acc_hi = found->second->accumulator.hi;
    }
    if (const auto found = chosen.find(value.name); found != chosen.end()) {
      layer.clipped_fraction = found->second->clipped_fraction;
    }
    if (const auto found = noise.find(value.name); found != noise.end()) {
      layer.sqnr_isolated_db = found->second.isolated.sqnr_db();
      layer.sqnr_cumulative_db = found->second.cumulative.sqnr_db();
      layer.mse_cumulative = found->second.cumulative.mse();
    }
    if (kernels[i]) layer.kernel = kernel_of(*kernels[i]);
    layers.push_back(std::move(layer));
  }
  return layers;
}

std::vector<report::Activation> activation_table(
    const Graph& canonical, std::span<const ptq::ValueStatistics> statistics,
    std::span<const ptq::Choice> choices) {
  std::map<std::string_view, const calib::Statistics*> seen;
  for (const ptq::ValueStatistics& row : statistics) {
    seen[canonical.value(row.value).name] = &row.statistics;
  }
  std::vector<report::Activation> table;
  for (const ptq::Choice& choice : choices) {
    report::Activation row;
    row.value = choice.value;
    row.levels = level_set_name(choice.encoding.levels);
    row.bits = choice.encoding.bits;
    row.range = choice.range;
    row.clipped_fraction = choice.clipped_fraction;
    row.scale = choice.encoding.scale.front();
    row.zero_point = choice.encoding.zero_point.front();
    if (const auto found = seen.find(choice.value); found != seen.end()) {
      row.min = found->second->min;
      row.max = found->second->max;
      reduce_histogram(*found->second, row);
    }
    table.push_back(std::move(row));
  }
  return table;
}

}  // namespace qopt::pipeline
