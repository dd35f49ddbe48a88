// SPDX-License-Identifier: MIT
#include "lib/pipeline/sqnr.h"

#include <algorithm>
#include <atomic>

#include "lib/core/parallel.h"

namespace qopt::pipeline {
namespace {

/// A value that both graphs know.
struct Pairing {
  std::string name;
  ValueId canonical, integer;
  std::optional<Affine> encoding;
};

std::vector<Pairing> pair_values(const Graph& canonical, const Graph& encoded,
                                 const Graph& integer) {
  std::vector<Pairing> pairs;
  for (const Node& node : integer.nodes()) {
    const Value& value = integer.value(node.output);
    const std::optional<ValueId> found = canonical.find(value.name);
    if (!found || canonical.is_constant(*found)) continue;
    if (canonical.value(*found).dtype != DType::F32 || !value.encoding) continue;
    Pairing pair{value.name, *found, node.output, std::nullopt};
    const std::optional<ValueId> coded = encoded.find(value.name);
    if (coded && encoded.value(*coded).encoding) {
      pair.encoding = std::get<Affine>(*encoded.value(*coded).encoding);
    }
    pairs.push_back(std::move(pair));
  }
  return pairs;
}

}  // namespace

std::map<std::string, ValueNoise> measure_noise(const Graph& canonical,
                                                const Graph& encoded,
                                                const IntegerExecutor& integer,
                                                const data::Dataset& samples,
                                                std::int64_t count, int threads,
                                                const Progress& progress) {
  count = std::min(count, samples.size());
  const std::vector<Pairing> pairs = pair_values(canonical, encoded, integer.graph());
  const aten::FloatExecutor reference(canonical);
  // One row a sample, merged in the order of samples: independent of the threads.
  std::vector<std::vector<ValueNoise>> rows(static_cast<std::size_t>(count));
  std::atomic<std::int64_t> done{0};
  parallel_for(count, threads, [&](std::int64_t item, int) {
    std::vector<ValueNoise>& row = rows[static_cast<std::size_t>(item)];
    row.resize(pairs.size());
    const data::Sample sample = samples.sample(item);
    std::map<ValueId, Tensor> wanted;
    for (const Pairing& pair : pairs) wanted.emplace(pair.canonical, Tensor());
    reference.run(sample.inputs, [&](ValueId id, const Tensor& value) {
      if (const auto found = wanted.find(id); found != wanted.end())
        found->second = value;
    });
    std::map<ValueId, std::size_t> by_integer;
    for (std::size_t p = 0; p < pairs.size(); ++p)
      by_integer.emplace(pairs[p].integer, p);
    integer.run_real(sample.inputs, [&](ValueId id, const Tensor& stored) {
      const auto found = by_integer.find(id);
      if (found == by_integer.end()) return;
      const Pairing& pair = pairs[found->second];
      const Tensor& exact = wanted.at(pair.canonical);
      const Tensor real = to_real(integer.graph(), id, stored);
      ValueNoise& noise = row[found->second];
      if (real.size() == exact.size()) {
        noise.cumulative.add(exact.values<float>(), real.values<float>());
      }
      if (!pair.encoding) return;
      const Tensor alone =
          decode_tensor(encode_tensor(exact, *pair.encoding), *pair.encoding);
      noise.isolated.add(exact.values<float>(), alone.values<float>());
    });
    if (progress) progress(++done, count);
  });
  std::map<std::string, ValueNoise> total;
  for (const std::vector<ValueNoise>& row : rows) {
    for (std::size_t p = 0; p < pairs.size(); ++p) {
      ValueNoise& sum = total[pairs[p].name];
      sum.isolated.merge(row[p].isolated);
      sum.cumulative.merge(row[p].cumulative);
    }
  }
  return total;
}

}  // namespace qopt::pipeline
