// SPDX-License-Identifier: MIT
// Makes golden vectors and records what the integer executor computes for them.
#include "lib/export/golden.h"

#include <algorithm>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>

#include "lib/core/error.h"
#include "lib/core/files.h"
#include "lib/core/parallel.h"
#include "lib/core/rng.h"
#include "lib/export/golden_file.h"
#include "lib/export/golden_stats.h"

namespace qopt::emit {
namespace {

using Json = nlohmann::ordered_json;

/// Whole recordings are kept while they fit here; of later vectors the layers' CRC-32s
/// and the outputs. Keeps the folder of a 224x224 network small and loses no exactness.
constexpr std::uint64_t kGoldenBudgetBytes = 8ULL << 20;
/// Results looked at for the rounding statistics, a layer and vector.
constexpr std::int64_t kStatSamples = 256;

struct CodeRange {
  std::int64_t lo = 0, hi = 0, zero = 0;
};

/// Codes that a graph input may hold. Index inputs of a gather reach past its table on
/// both sides, because the device clamps them.
CodeRange code_range(const Graph& graph, ValueId id) {
  const Value& value = graph.value(id);
  if (value.encoding) {
    const Affine& affine = std::get<Affine>(*value.encoding);
    return {stored_min(affine), stored_max(affine), stored_zero_point(affine)};
  }
  switch (value.dtype) {
    case DType::I8: return {-128, 127, 0};
    case DType::I16: return {-32768, 32767, 0};
    case DType::Bool: return {0, 1, 0};
    default: break;
  }
  std::int64_t rows = 0;
  for (const std::size_t user : graph.users(id)) {
    const Node& node = graph.nodes()[user];
    if (!std::holds_alternative<op::QGather>(node.op)) continue;
    rows = std::max(rows, graph.value(node.inputs[1]).shape[0]);
  }
  return {-1, std::max<std::int64_t>(rows, 1), 0};
}

Tensor filled(const Value& value, const std::function<std::int64_t(std::int64_t)>& code) {
  Tensor tensor = Tensor::zeros(value.dtype, value.shape);
  const std::int64_t count = tensor.size();
  const auto fill = [&](auto codes) {
    using T = typename decltype(codes)::value_type;
    for (std::int64_t i = 0; i < count; ++i) {
      codes[static_cast<std::size_t>(i)] = static_cast<T>(code(i));
    }
  };
  switch (value.dtype) {
    case DType::I8: fill(tensor.mutable_values<std::int8_t>()); break;
    case DType::I16: fill(tensor.mutable_values<std::int16_t>()); break;
    case DType::I32: fill(tensor.mutable_values<std::int32_t>()); break;
    case DType::I64: fill(tensor.mutable_values<std::int64_t>()); break;
    default:
      throw InternalError(
          fmt::format("golden input of type {}", dtype_name(value.dtype)));
  }
  return tensor;
}

std::string bytes_text(const Tensor& tensor) {
  const std::span<const std::byte> bytes = tensor.bytes();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Json layers_json(const Graph& graph, const GoldenLayout& layout) {
  Json layers = Json::array();
  std::uint64_t offset = 0;
  for (std::size_t i = 0; i < layout.layers.size(); ++i) {
    const Value& value = graph.value(layout.layers[i]);
    layers.push_back(
        {{"index", i},
         {"name", value.name},
         {"op", op_name(graph.nodes()[*graph.producer(layout.layers[i])].op)},
         {"dtype", dtype_name(value.dtype)},
         {"shape", value.shape},
         {"offset", offset}});
    offset += layout.layer_bytes[i];
  }
  return layers;
}

}  // namespace

std::vector<GoldenVector> make_vectors(const Graph& graph,
                                       const std::vector<std::vector<Tensor>>& samples,
                                       std::uint64_t seed) {
  std::vector<GoldenVector> vectors;
  const auto construct = [&](std::string name, auto&& code_of) {
    GoldenVector vector{std::move(name), {}};
    for (const ValueId id : graph.inputs()) {
      const CodeRange range = code_range(graph, id);
      vector.inputs.push_back(
          filled(graph.value(id), [&](std::int64_t i) { return code_of(range, i); }));
    }
    vectors.push_back(std::move(vector));
  };
  // Noise about the zero point, `part` of the range wide: small amplitudes keep deep
  // layers away from their clamps, so that roundings show.
  const auto noise = [&](std::string name, std::uint64_t stream, std::int64_t part) {
    Rng rng(seed * 0x9E3779B97F4A7C15ULL + stream);
    construct(std::move(name), [&](const CodeRange& range, std::int64_t) {
      const std::int64_t width = std::max<std::int64_t>((range.hi - range.lo) / part, 1);
      const auto drawn =
          static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(width) + 1));
      const std::int64_t low = part == 1 ? range.lo : range.zero - width / 2;
      return std::clamp(low + drawn, range.lo, range.hi);
    });
  };
  const auto sample = [&](std::size_t i) {
    vectors.push_back({fmt::format("sample{}", i), samples[i]});
  };
  // Emulated targets of large networks run a prefix of the list: one of each kind comes
  // first.
  if (!samples.empty()) sample(0);
  noise("noise0", 0, 1);
  construct("all_max", [](const CodeRange& r, std::int64_t) { return r.hi; });
  construct("ramp", [](const CodeRange& r, std::int64_t i) {
    return r.lo + i % (r.hi - r.lo + 1);
  });
  construct("all_min", [](const CodeRange& r, std::int64_t) { return r.lo; });
  construct("checker",
            [](const CodeRange& r, std::int64_t i) { return i % 2 == 0 ? r.lo : r.hi; });
  construct("all_zero", [](const CodeRange& r, std::int64_t) { return r.zero; });
  noise("noise1", 1, 4);
  noise("noise2", 2, 32);
  for (std::size_t i = 1; i < samples.size(); ++i) sample(i);
  return vectors;
}

Recording record_run(const IntegerExecutor& executor, const GoldenLayout& layout,
                     const std::vector<Tensor>& inputs) {
  Recording run;
  std::size_t next = 0;
  run.layers.reserve(layout.all_layers_bytes);
  const auto tap = [&](ValueId id, const Tensor& tensor) {
    if (next == layout.layers.size() || layout.layers[next] != id)
      return;  // a graph input
    run.layers += bytes_text(tensor);
    ++next;
  };
  for (const Tensor& output : executor.run(inputs, tap))
    run.outputs += bytes_text(output);
  QOPT_CHECK(next == layout.layers.size() &&
                 run.layers.size() == layout.all_layers_bytes &&
                 run.outputs.size() == layout.outputs_bytes,
             "executor tapped {} of {} layers", next, layout.layers.size());
  return run;
}

namespace {

RoundingStats stats_of(const Graph& graph, const GoldenLayout& layout,
                       const std::vector<Tensor>& inputs, const Recording& run) {
  std::vector<Tensor> values(graph.values().size());
  for (std::size_t i = 0; i < layout.inputs.size(); ++i) {
    values[layout.inputs[i].index] = inputs[i];
  }
  std::uint64_t at = 0;
  for (std::size_t i = 0; i < layout.layers.size(); ++i) {
    const Value& value = graph.value(layout.layers[i]);
    Tensor tensor = Tensor::zeros(value.dtype, value.shape);
    if (layout.layer_bytes[i] != 0) {
      std::memcpy(tensor.mutable_bytes().data(), run.layers.data() + at,
                  layout.layer_bytes[i]);
    }
    values[layout.layers[i].index] = std::move(tensor);
    at += layout.layer_bytes[i];
  }
  RoundingStats stats;
  for (const Node& node : graph.nodes()) {
    count_rounding(
        graph, node, kStatSamples,
        [&](ValueId id) -> const Tensor& {
          const Value& value = graph.value(id);
          return value.constant ? *value.constant : values[id.index];
        },
        stats);
  }
  return stats;
}

}  // namespace

void add_golden(Artifact& artifact, const IntegerExecutor& executor,
                const std::vector<GoldenVector>& vectors, int threads) {
  const Graph& graph = executor.graph();
  const GoldenLayout layout = golden_layout(graph);
  const std::uint64_t fitting =
      kGoldenBudgetBytes / std::max<std::uint64_t>(layout.all_layers_bytes, 1);
  const std::size_t num_full =
      std::max<std::size_t>(static_cast<std::size_t>(fitting), 1);
  std::vector<Expected> runs(vectors.size());
  std::vector<RoundingStats> stats(vectors.size());
  parallel_for(static_cast<std::int64_t>(vectors.size()), threads,
               [&](std::int64_t item, int) {
                 const auto i = static_cast<std::size_t>(item);
                 Recording run = record_run(executor, layout, vectors[i].inputs);
                 runs[i].full = i < num_full;
                 runs[i].crc = layer_crcs(layout, run.layers);
                 runs[i].outputs = std::move(run.outputs);
                 if (!runs[i].full) return;
                 stats[i] = stats_of(graph, layout, vectors[i].inputs, run);
                 runs[i].layers = std::move(run.layers);
               });

  RoundingStats total;
  Json vectors_json = Json::array();
  for (std::size_t i = 0; i < vectors.size(); ++i) {
    total.sampled += stats[i].sampled;
    total.ties += stats[i].ties;
    total.clamped += stats[i].clamped;
    vectors_json.push_back({{"name", vectors[i].name}, {"all_layers", runs[i].full}});
  }
  const std::string inputs = write_vectors(layout, vectors);
  const std::string expected = write_expected(layout, runs);
  const std::string requant = requant_table();
  const Json index = {
      {"format", "qopt-golden"},
      {"version", 1},
      {"vectors", vectors_json},
      {"layers", layers_json(graph, layout)},
      {"rounding",
       {{"sampled", total.sampled}, {"ties", total.ties}, {"clamped", total.clamped}}},
      {"sha256",
       {{"vectors.bin", sha256_hex(inputs)},
        {"expected.bin", sha256_hex(expected)},
        {"requant.bin", sha256_hex(requant)}}}};
  artifact.add("golden/vectors.bin", inputs);
  artifact.add("golden/expected.bin", expected);
  artifact.add("golden/requant.bin", requant);
  artifact.add("golden/index.json",
               index.dump(1, ' ', false, Json::error_handler_t::replace) + "\n");
}

}  // namespace qopt::emit
