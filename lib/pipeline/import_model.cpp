// SPDX-License-Identifier: MIT
#include "lib/pipeline/import_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "lib/aten/float_executor.h"
#include "lib/core/files.h"
#include "lib/core/names.h"
#include "lib/graph/passes/canonicalize.h"

namespace qopt::pipeline {
namespace {

/// Ten times what the operators' own tests allow a whole network: only a wrong import
/// exceeds it.
constexpr float kImportTolerance = 1e-4F;

/// NaN is never meant; an infinity is, in attention masks that are added to scores.
bool is_mask(const Graph& graph, ValueId id) {
  for (const std::size_t user : graph.users(id)) {
    const Op& op = graph.nodes()[user].op;
    if (!std::holds_alternative<op::Binary>(op) &&
        !std::holds_alternative<op::Attention>(op)) {
      return false;
    }
  }
  return true;
}

void require_finite_constants(const Graph& graph, const std::string& where) {
  std::string names;
  std::size_t count = 0;
  for (std::uint32_t i = 0; i < graph.values().size(); ++i) {
    const Value& value = graph.values()[i];
    if (!value.constant || value.dtype != DType::F32) continue;
    const auto numbers = value.constant->values<float>();
    const bool bad =
        std::ranges::any_of(numbers, [](float x) { return std::isnan(x); }) ||
        (std::ranges::any_of(numbers, [](float x) { return std::isinf(x); }) &&
         !is_mask(graph, ValueId{i}));
    if (!bad) continue;
    if (++count <= 8)
      names += (names.empty() ? "'" : ", '") + printable(value.name) + "'";
  }
  if (count == 0) return;
  throw Error(ExitCode::ModelUnsupported, where,
              fmt::format("{} weight tensor{} with NaN or infinite values: {}{}", count,
                          count == 1 ? "" : "s", names, count > 8 ? ", ..." : ""),
              "train or export the model again");
}

float largest(std::span<const float> values) {
  float most = 0;
  for (const float value : values) most = std::max(most, std::abs(value));
  return most;
}

}  // namespace

ImportedModel import_model(const std::filesystem::path& path,
                           std::span<const frontend::InputSpec> inputs) {
  ImportedModel result{frontend::Model::load(path), Graph(), 0, {}};
  {
    const std::string bytes = read_file(path);
    result.file_bytes = bytes.size();
    result.file_digest = sha256_hex(bytes);
  }
  Graph imported = result.model.import(inputs);
  require_finite_constants(imported, printable(path.string()));
  result.canonical = canonicalize(std::move(imported));
  return result;
}

std::optional<std::string> import_fault(const ImportedModel& imported,
                                        const data::Sample& sample) {
  const std::vector<Tensor> expected = imported.model.forward(sample.inputs);
  const std::vector<Tensor> got =
      aten::FloatExecutor(imported.canonical).run(sample.inputs);
  if (expected.size() != got.size()) {
    return fmt::format("the import has {} outputs, the model {}", got.size(),
                       expected.size());
  }
  for (std::size_t i = 0; i < got.size(); ++i) {
    const std::string name = printable(imported.canonical.outputs()[i].name);
    if (expected[i].shape() != got[i].shape()) {
      return fmt::format("output '{}' is {} after import, {} in the model", name,
                         shape_text(got[i].shape()), shape_text(expected[i].shape()));
    }
    if (expected[i].dtype() != DType::F32 || got[i].dtype() != DType::F32) continue;
    const auto a = expected[i].values<float>(), b = got[i].values<float>();
    float worst = 0;
    for (std::size_t k = 0; k < a.size(); ++k)
      worst = std::max(worst, std::abs(a[k] - b[k]));
    // Negated, so that a NaN is a fault.
    if (!(worst <= kImportTolerance * std::max(largest(a), 1e-6F))) {
      return fmt::format(
          "output '{}' differs from LibTorch's own forward by more than {:g} of "
          "its largest value",
          name, kImportTolerance);
    }
  }
  return std::nullopt;
}

}  // namespace qopt::pipeline
