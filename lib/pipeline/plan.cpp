// SPDX-License-Identifier: MIT
#include "lib/pipeline/plan.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lib/aten/float_executor.h"
#include "lib/core/names.h"
#include "lib/exec/interval.h"
#include "lib/pipeline/import_model.h"
#include "lib/pipeline/prepare.h"
#include "lib/pipeline/result_folder.h"
#include "lib/pipeline/sources.h"

namespace qopt::pipeline {
namespace {

using Json = nlohmann::ordered_json;

Json tensors_json(const std::vector<frontend::InputSpec>& tensors) {
  Json json = Json::array();
  for (const frontend::InputSpec& tensor : tensors) {
    json.push_back({{"name", tensor.name},
                    {"dtype", dtype_name(tensor.dtype)},
                    {"shape", tensor.shape}});
  }
  return json;
}

}  // namespace

Plan make_plan(const CompressConfig& config) {
  aten::use_one_thread_per_caller();
  require_replaceable(config.folder());
  kernel_target(config);
  const ImportedModel imported = import_model(config.model.path, config.model.inputs);
  const Graph canonical = prepare(config, imported.canonical).graph;
  const Sources sources = open_sources(config, canonical);

  Plan plan{.model = config.model.path,
            .folder = config.folder(),
            .nodes = canonical.nodes().size(),
            .macs = 0,
            .inputs = real_inputs(canonical),
            .outputs = {},
            .calibration = sources.calibration->description(),
            .eval = {},
            .gate = {}};
  for (const std::int64_t node : count_macs(canonical)) plan.macs += node;
  for (const Output& output : canonical.outputs()) {
    const Value& value = canonical.value(output.value);
    plan.outputs.push_back({output.name, value.shape, value.dtype});
  }
  if (sources.eval) plan.eval = sources.eval->description();
  if (sources.gate) plan.gate = sources.gate->description();
  return plan;
}

std::string plan_text(const Plan& plan) {
  std::string out = fmt::format("model        {}: {} nodes, {} MACs\n",
                                printable(plan.model.string()), plan.nodes, plan.macs);
  const auto tensor = [&](const char* what, const frontend::InputSpec& t) {
    out += fmt::format("{:<12} {} {} {}\n", what, printable(t.name), dtype_name(t.dtype),
                       shape_text(t.shape));
  };
  for (const frontend::InputSpec& input : plan.inputs) tensor("input", input);
  for (const frontend::InputSpec& output : plan.outputs) tensor("output", output);
  out += "calibration  " + printable(plan.calibration) + "\n";
  if (plan.eval) out += "evaluation   " + printable(*plan.eval) + "\n";
  if (plan.gate) out += "gate         " + printable(*plan.gate) + "\n";
  return out + fmt::format("would write  {}\n", printable(plan.folder.string()));
}

std::string plan_json(const Plan& plan) {
  Json json;
  json["version"] = 1;
  json["model"] = {
      {"path", plan.model.string()}, {"nodes", plan.nodes}, {"macs", plan.macs}};
  json["inputs"] = tensors_json(plan.inputs);
  json["outputs"] = tensors_json(plan.outputs);
  json["calibration"] = plan.calibration;
  json["eval"] = plan.eval ? Json(*plan.eval) : Json(nullptr);
  json["gate"] = plan.gate ? Json(*plan.gate) : Json(nullptr);
  json["folder"] = plan.folder.string();
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace qopt::pipeline
