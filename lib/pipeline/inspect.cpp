// SPDX-License-Identifier: MIT
#include "lib/pipeline/inspect.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lib/config/units.h"
#include "lib/config/writer.h"
#include "lib/core/names.h"
#include "lib/exec/interval.h"
#include "lib/graph/text.h"
#include "lib/pipeline/compress_config.h"
#include "lib/pipeline/import_model.h"
#include "lib/report/format.h"

namespace qopt::pipeline {
namespace {

using Json = nlohmann::ordered_json;

struct NodeRow {
  std::string name, kind, shape;
  std::int64_t parameters = 0, macs = 0;
};

std::vector<NodeRow> node_rows(const Graph& graph) {
  const std::vector<std::int64_t> macs = count_macs(graph);
  std::vector<NodeRow> rows;
  for (std::size_t i = 0; i < graph.nodes().size(); ++i) {
    const Node& node = graph.nodes()[i];
    const Value& value = graph.value(node.output);
    NodeRow row{value.name, std::string(op_name(node.op)), shape_text(value.shape), 0,
                macs[i]};
    for (const ValueId id : node.inputs) {
      if (graph.is_constant(id)) row.parameters += graph.value(id).constant->size();
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace

frontend::InputSpec parse_input(std::string_view text) {
  const auto fail = [&]() {
    throw Error(ExitCode::Usage, "--input",
                fmt::format("'{}' is no shape", printable(text)),
                "write 1x3x224x224, 1x128:i64 or name=1x3x224x224");
  };
  frontend::InputSpec spec;
  std::string_view rest = text;
  if (const std::size_t equals = rest.find('='); equals != std::string_view::npos) {
    spec.name = rest.substr(0, equals);
    rest.remove_prefix(equals + 1);
  }
  if (const std::size_t colon = rest.find(':'); colon != std::string_view::npos) {
    const std::string_view type = rest.substr(colon + 1);
    if (type == dtype_name(DType::I64)) {
      spec.dtype = DType::I64;
    } else if (type == dtype_name(DType::I32)) {
      spec.dtype = DType::I32;
    } else if (type != dtype_name(DType::F32)) {
      fail();
    }
    rest = rest.substr(0, colon);
  }
  while (true) {
    const std::size_t at = rest.find_first_of("x,");
    const std::optional<std::int64_t> extent = config::parse_integer(rest.substr(0, at));
    if (!extent || *extent < 1 || *extent > (1 << 20) || spec.shape.size() >= 8) fail();
    spec.shape.push_back(*extent);
    if (at == std::string_view::npos) return spec;
    rest.remove_prefix(at + 1);
  }
}

std::string inspect_text(const std::filesystem::path& path,
                         std::span<const frontend::InputSpec> inputs) {
  const ImportedModel imported = import_model(path, inputs);
  std::string out = fmt::format("{:<48} {:<20} {:<20} {:>12} {:>14}\n", "name",
                                "operator", "shape", "parameters", "MACs");
  std::int64_t parameters = 0, macs = 0;
  for (const NodeRow& row : node_rows(imported.canonical)) {
    out += fmt::format("{:<48} {:<20} {:<20} {:>12} {:>14}\n", printable(row.name),
                       row.kind, row.shape, row.parameters, row.macs);
    parameters += row.parameters;
    macs += row.macs;
  }
  out += fmt::format("{} nodes, {} parameters, {} MACs, {} file\n",
                     imported.canonical.nodes().size(), report::count_text(parameters),
                     report::count_text(macs), report::bytes_text(imported.file_bytes));
  for (const Output& output : imported.canonical.outputs()) {
    out += fmt::format("output {}: {}\n", printable(output.name),
                       shape_text(imported.canonical.value(output.value).shape));
  }
  return out;
}

std::string inspect_json(const std::filesystem::path& path,
                         std::span<const frontend::InputSpec> inputs) {
  const ImportedModel imported = import_model(path, inputs);
  Json json;
  json["version"] = 1;
  json["file_bytes"] = imported.file_bytes;
  json["sha256"] = imported.file_digest;
  json["nodes"] = Json::array();
  for (const NodeRow& row : node_rows(imported.canonical)) {
    json["nodes"].push_back({{"name", row.name},
                             {"operator", row.kind},
                             {"shape", row.shape},
                             {"parameters", row.parameters},
                             {"macs", row.macs}});
  }
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string inspect_graph(const std::filesystem::path& path,
                          std::span<const frontend::InputSpec> inputs) {
  return print(import_model(path, inputs).canonical);
}

std::string initial_config(const std::filesystem::path& path,
                           std::vector<frontend::InputSpec> inputs,
                           const std::filesystem::path& folder) {
  const frontend::Model model = frontend::Model::load(path);
  std::string head =
      "# A configuration for qopt; `qopt schema` gives the JSON Schema, docs/config.md "
      "the\n"
      "# reference. Keys behind # show what else can be set.\n";
  if (inputs.empty()) {
    head += "# The shapes below are guesses: give the shapes that your model takes.\n";
    for (const std::string& name : model.argument_names()) {
      inputs.push_back({name, {1, 3, 224, 224}, DType::F32});
    }
  }
  CompressConfig config;
  std::error_code error;
  config.model.path = std::filesystem::absolute(path, error)
                          .lexically_relative(std::filesystem::absolute(folder, error));
  if (config.model.path.empty()) config.model.path = path;
  config.model.inputs = std::move(inputs);
  config.has_ptq = true;
  // Random data lets the file run at once; it says nothing about accuracy.
  config.data.calibration.format = "random";
  config.data.calibration.samples = 32;
  config.data.calibration.seed = 1;
  return head + config::write_yaml([&](config::Fields& f) { describe(f, config); },
                                   config::YamlStyle::Commented);
}

}  // namespace qopt::pipeline
