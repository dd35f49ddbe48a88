// SPDX-License-Identifier: MIT
#include "lib/export/kernel_choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>

#include "lib/core/error.h"
#include "lib/core/files.h"
#include "lib/core/names.h"
#include "lib/export/bit_panels.h"
#include "runtime/include/qrt/qrt.h"

namespace qopt::emit {
namespace {

constexpr std::int64_t kWordCodes = 64;
/// Of weights whose products short and byte sums take.
constexpr int kMaxShortBits = 4;
/// Codes that a byte's lane adds one product each of, and steps that bytes must hold.
constexpr std::int64_t kByteCodes = 4, kByteSteps = 2;
constexpr std::uint64_t kMaxMeasurementBytes = 16ULL << 20;
constexpr double kMaxValue = 1e18;

/// The families that can run a convolution whose weights lie in rows as `row` says,
/// cheapest kind of code first.
std::vector<Family> possible(const Graph& graph, const Node& node,
                             const op::QConv2d& conv, const RowBits& row) {
  const Value &x = graph.value(node.inputs[0]), &w = graph.value(node.inputs[1]);
  const bool is_narrow = conv.acc_bits <= 32 && x.dtype == DType::I8 &&
                         w.dtype == DType::I8 &&
                         graph.value(node.inputs[2]).dtype == DType::I32;
  if (!is_narrow) return {Family::Wide};
  if (conv.groups == x.shape[3] && w.shape[0] == x.shape[3] && w.shape[3] == 1) {
    return {Family::Depthwise};
  }
  std::vector<Family> families{Family::Int8};
  if (row.bits <= kMaxShortBits) families.push_back(Family::ShortSums);
  if (byte_steps(graph, node, row) > 0) families.push_back(Family::ByteSums);
  if (bit_serial_form(graph, node)) families.push_back(Family::BitSerial);
  return families;
}

/// How the direct kernels walk a layer in blocks of `block` positions; nothing where 32
/// bits do not hold its extents.
std::optional<qrt_conv_plan> direct_plan(const Graph& graph, const Node& node,
                                         const op::QConv2d& conv, std::int32_t block) {
  const Shape &x = graph.value(node.inputs[0]).shape,
              &w = graph.value(node.inputs[1]).shape, &y = graph.value(node.output).shape;
  const auto fits = [](std::int64_t v) {
    return v >= std::numeric_limits<std::int32_t>::min() &&
           v <= std::numeric_limits<std::int32_t>::max();
  };
  for (const Shape* shape : {&x, &w, &y}) {
    if (!std::ranges::all_of(*shape, fits) || num_elements(*shape) == 0) {
      return std::nullopt;
    }
  }
  if (!std::ranges::all_of(conv.stride, fits) ||
      !std::ranges::all_of(conv.dilation, fits) ||
      !std::ranges::all_of(conv.pads, fits)) {
    return std::nullopt;
  }
  const auto narrow = [](std::int64_t v) { return static_cast<std::int32_t>(v); };
  qrt_conv2d_params p{};
  p.n = narrow(x[0]), p.h = narrow(x[1]), p.w = narrow(x[2]), p.c = narrow(x[3]);
  p.oh = narrow(y[1]), p.ow = narrow(y[2]), p.o = narrow(y[3]);
  p.kh = narrow(w[1]), p.kw = narrow(w[2]);
  p.stride_h = narrow(conv.stride[0]), p.stride_w = narrow(conv.stride[1]);
  p.dilation_h = narrow(conv.dilation[0]), p.dilation_w = narrow(conv.dilation[1]);
  p.pad_top = narrow(conv.pads[0]), p.pad_left = narrow(conv.pads[1]);
  p.groups = narrow(conv.groups);
  p.weight_bits = static_cast<std::uint8_t>(conv.weight_bits);
  p.block = block;
  return qrt_conv_plan_of(&p);
}

std::optional<ConvWork> work_of(const Graph& graph, const Node& node,
                                const op::QConv2d& conv, const RowBits& row,
                                std::int32_t positions = 0) {
  const std::optional<qrt_conv_plan> plan = direct_plan(graph, node, conv, positions);
  if (!plan) return std::nullopt;
  const Shape &x = graph.value(node.inputs[0]).shape,
              &w = graph.value(node.inputs[1]).shape, &y = graph.value(node.output).shape;
  ConvWork work;
  work.positions = y[0] * y[1] * y[2];
  work.lines = y[0] * y[1];
  work.outputs = y[3];
  work.taps = w[1] * w[2];
  work.depth = static_cast<std::int64_t>(plan->segments * plan->length);
  const auto block = static_cast<std::int64_t>(plan->block);
  work.blocks = (work.positions + block - 1) / block;
  work.copied_bytes = static_cast<std::int64_t>(plan->codes);
  // In place, what the positions cover of x.
  work.block_bytes = work.copied_bytes > 0
                         ? work.copied_bytes
                         : block * conv.stride[0] * conv.stride[1] * x[3];
  work.panels = (work.outputs + QRT_CONV_COLUMNS - 1) / QRT_CONV_COLUMNS;
  work.panel_bytes = QRT_CONV_COLUMNS * work.depth;
  work.weight_bits = static_cast<int>(conv.weight_bits);
  work.has_pairs = plan->has_pairs != 0;
  work.inputs = x[0] * x[1] * x[2];
  work.words = (x[3] + kWordCodes - 1) / kWordCodes;
  if (const std::int64_t steps = byte_steps(graph, node, row); steps > 0) {
    const std::int64_t own = static_cast<std::int64_t>(plan->length) / kByteCodes;
    work.widenings =
        static_cast<std::int64_t>(plan->segments) * ((own + steps - 1) / steps);
  }
  if (const std::optional<BitSerial> form = bit_serial_form(graph, node)) {
    work.pairs = form->weights.bits * form->x_bits;
    work.x_planes = form->x_bits;
  }
  return work;
}

/// A family with the blocks that suit the core best. Others than the kernels' own have to
/// gain a hundredth, and to take no more scratch for copied codes: memory is dearer.
Candidate candidate_of(const Graph& graph, const Node& node, const op::QConv2d& conv,
                       const RowBits& row, const Core& core, Family family,
                       const ConvWork& own) {
  constexpr std::int32_t kBlocks[] = {64, 128, 512, 1024, 2048};
  constexpr double kGain = 0.99;
  Candidate best{family, estimated_cycles(core, family, own)};
  const bool has_blocks =
      family == Family::Int8 || family == Family::ShortSums || family == Family::ByteSums;
  if (!has_blocks || !chooses_blocks(core)) return best;
  double least = kGain * (best.cycles + block_cycles(core, own));
  for (const std::int32_t block : kBlocks) {
    const ConvWork work = *work_of(graph, node, conv, row, block);
    if (work.copied_bytes > own.copied_bytes) continue;
    const double cycles = estimated_cycles(core, family, work);
    const double all = cycles + block_cycles(core, work);
    if (all >= least) continue;
    least = all;
    best = {family, cycles, false, block};
  }
  return best;
}

/// Cycles that one unit of a measurement stands for: 1, or all estimates over all values.
double cycles_per_unit(const Measurement& measured, const Graph& graph,
                       const std::vector<std::vector<Candidate>>& candidates) {
  if (measured.unit == "cycles") return 1;
  double cycles = 0, values = 0;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const std::string& layer = graph.value(graph.nodes()[i].output).name;
    for (const Candidate& candidate : candidates[i]) {
      for (const Measurement::Row& row : measured.rows) {
        if (row.family != candidate.family || row.layer != layer) continue;
        cycles += candidate.cycles, values += row.value;
      }
    }
  }
  return values > 0 ? cycles / values : 1;
}

void apply(const Measurement& measured, const Graph& graph,
           const std::vector<std::vector<Candidate>>& estimates,
           std::vector<std::vector<Candidate>>& candidates) {
  const double scale = cycles_per_unit(measured, graph, estimates);
  std::map<std::pair<std::string_view, Family>, double> values;
  for (const Measurement::Row& row : measured.rows) {
    values[{row.layer, row.family}] = row.value;
  }
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const std::string& layer = graph.value(graph.nodes()[i].output).name;
    for (Candidate& candidate : candidates[i]) {
      const auto found = values.find({layer, candidate.family});
      if (found == values.end()) continue;
      candidate.cycles = std::max(1.0, found->second * scale);
      candidate.is_measured = candidate.is_bearable = true;
    }
  }
}

/// True for each value that something else than a bit-serial convolution's weights reads.
std::vector<bool> read_as_rows(const Graph& graph,
                               const std::vector<std::vector<Candidate>>& candidates) {
  std::vector<bool> rows(graph.values().size(), false);
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const std::vector<ValueId>& inputs = graph.nodes()[i].inputs;
    const bool counts_bits =
        !candidates[i].empty() && candidates[i].front().family == Family::BitSerial;
    for (std::size_t k = 0; k < inputs.size(); ++k) {
      if (k != 1 || !counts_bits) rows[inputs[k].index] = true;
    }
  }
  for (const Output& output : graph.outputs()) rows[output.value.index] = true;
  return rows;
}

std::string candidate_text(const Candidate& c) {
  return fmt::format("{}{} {} {}", family_name(c.family),
                     c.block > 0 ? fmt::format(" in blocks of {}", c.block) : "",
                     cycles_text(c.cycles), c.is_measured ? "measured" : "estimated");
}

[[noreturn]] void no_measurement(std::string_view file, const std::string& why) {
  throw Error(ExitCode::Data, printable(file), why,
              "give what `qopt bench --format json` printed");
}

}  // namespace

Measurement parse_measurement(std::string_view text, std::string_view file) {
  using Json = nlohmann::json;
  Measurement measured;
  try {
    const Json json = Json::parse(text);
    if (json.at("version").get<int>() != 1) no_measurement(file, "is of another version");
    measured.unit = json.at("unit").get<std::string>();
    if (measured.unit != "ns" && measured.unit != "instructions" &&
        measured.unit != "cycles") {
      no_measurement(file, fmt::format("measures in '{}', not in ns, instructions or "
                                       "cycles",
                                       printable(measured.unit)));
    }
    for (const Json& layer : json.at("layers")) {
      if (layer.at("family").is_null()) continue;
      const auto family = layer.at("family").get<std::string>();
      const std::optional<Family> known = family_named(family);
      if (!known) {
        no_measurement(file, fmt::format("unknown family '{}'", printable(family)));
      }
      Measurement::Row row{layer.at("name").get<std::string>(), *known,
                           layer.at("median").get<double>()};
      if (!(row.value > 0 && row.value < kMaxValue)) {
        no_measurement(
            file, fmt::format("layer '{}' took {}", printable(row.layer), row.value));
      }
      measured.rows.push_back(std::move(row));
    }
  } catch (const Json::exception& e) {
    no_measurement(file, fmt::format("is malformed: {}", printable(e.what())));
  }
  return measured;
}

Measurement read_measurement(const std::filesystem::path& file) {
  return parse_measurement(read_file(file, kMaxMeasurementBytes), file.string());
}

std::int64_t most_code(const Graph& graph, const Node& node) {
  const Value& x = graph.value(node.inputs[0]);
  const auto* codes = x.encoding ? std::get_if<Affine>(&*x.encoding) : nullptr;
  const std::int64_t zero = std::get<op::QConv2d>(node.op).x_zero;
  std::int64_t most = std::max<std::int64_t>(1, std::abs(zero));
  const std::int64_t ends[] = {codes ? stored_min(*codes) : -128,
                               codes ? stored_max(*codes) : 127};
  for (const std::int64_t end : ends) most = std::max(most, std::abs(end));
  return most;
}

std::int64_t byte_steps(const Graph& graph, const Node& node, const RowBits& row) {
  if (row.bits > kMaxShortBits) return 0;
  const std::int64_t weight = row.odd ? (1 << row.bits) - 1 : 1 << (row.bits - 1);
  const std::int64_t product = most_code(graph, node) * weight;
  return std::numeric_limits<std::int8_t>::max() / product / kByteSteps * kByteSteps;
}

Family exported_family(const Graph& graph, const Node& node, bool has_panels) {
  if (has_panels) return Family::BitSerial;
  return possible(graph, node, std::get<op::QConv2d>(node.op), RowBits{8, false}).front();
}

std::vector<std::optional<LayerChoice>> choose_kernels(const Graph& graph,
                                                       const KernelTarget& target) {
  std::vector<std::vector<Candidate>> candidates(graph.nodes().size());
  const std::vector<RowBits> rows = row_bits(graph);
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const Node& node = graph.nodes()[i];
    const auto* conv = std::get_if<op::QConv2d>(&node.op);
    if (conv == nullptr) continue;
    const RowBits& row = rows[node.inputs[1].index];
    const std::optional<ConvWork> work = work_of(graph, node, *conv, row);
    if (!work) continue;
    std::vector<Family> families = possible(graph, node, *conv, row);
    std::erase_if(families, [&](Family f) { return !has_kernels(*target.core, f); });
    for (const Family family : families) {
      candidates[i].push_back(
          candidate_of(graph, node, *conv, row, *target.core, family, *work));
      candidates[i].back().is_bearable =
          is_bearable(*target.core, family, families, *work);
    }
  }
  const std::vector<std::vector<Candidate>> estimates = candidates;
  for (const Measurement& measured : target.measured) {
    apply(measured, graph, estimates, candidates);
  }
  for (std::vector<Candidate>& row : candidates) {
    std::ranges::stable_sort(
        row, {}, [](const Candidate& c) { return std::pair(!c.is_bearable, c.cycles); });
  }
  // Weights lie in the blob once: in panels only where every reader counts bits. A layer
  // that loses its panels reads rows itself, but then so do all that share its weights.
  const std::vector<bool> in_rows = read_as_rows(graph, candidates);
  std::vector<std::optional<LayerChoice>> choices(candidates.size());
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    std::vector<Candidate>& row = candidates[i];
    if (row.empty()) continue;
    LayerChoice choice;
    if (row.front().family == Family::BitSerial &&
        in_rows[graph.nodes()[i].inputs[1].index]) {
      std::swap(row[0], row[1]);
      choice.reason = "its weights are also read as rows";
    }
    choice.chosen = row.front();
    choice.others.assign(row.begin() + 1, row.end());
    std::ranges::stable_sort(choice.others, {}, &Candidate::cycles);
    if (choice.reason.empty() && !choice.others.empty() &&
        choice.others.front().cycles < choice.chosen.cycles) {
      choice.reason = "on one of its cores more than twice another's";
    }
    choices[i] = choice;
  }
  return choices;
}

std::string cycles_text(double cycles) {
  if (cycles >= 1e6) return fmt::format("{:.2f} Mcycles", cycles / 1e6);
  if (cycles >= 1e3) return fmt::format("{:.2f} kcycles", cycles / 1e3);
  return fmt::format("{:.0f} cycles", cycles);
}

std::string choice_text(const LayerChoice& choice, std::string_view core) {
  std::string text = fmt::format("{} for {}", candidate_text(choice.chosen), core);
  if (!choice.others.empty()) {
    text += fmt::format(" ({}{}{})", candidate_text(choice.others.front()),
                        choice.reason.empty() ? "" : ", but ", choice.reason);
  }
  return text;
}

}  // namespace qopt::emit
