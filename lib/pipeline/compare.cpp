// SPDX-License-Identifier: MIT
#include "lib/pipeline/compare.h"

#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>

#include "lib/core/files.h"
#include "lib/core/names.h"
#include "lib/report/format.h"

namespace qopt::pipeline {
namespace {

using Json = nlohmann::ordered_json;

/// One line of the table: a quantity of both results, empty where a result has none.
struct Row {
  std::string name;
  std::optional<double> a, b;
  std::string unit;
};

std::optional<double> top1(const std::optional<report::Metric>& metric) {
  if (!metric || !metric->top1) return std::nullopt;
  return metric->top1->percent;
}

std::optional<double> sqnr(const std::optional<report::Metric>& metric) {
  return metric ? metric->output_sqnr_db : std::nullopt;
}

std::vector<Row> rows_of(const report::Report& a, const report::Report& b) {
  std::vector<Row> rows = {
      {"float top-1", top1(a.metrics.float_model), top1(b.metrics.float_model), "%"},
      {"fake-quant top-1", top1(a.metrics.fake_quant), top1(b.metrics.fake_quant), "%"},
      {"integer top-1", top1(a.metrics.integer), top1(b.metrics.integer), "%"},
      {"output SQNR", sqnr(a.metrics.integer), sqnr(b.metrics.integer), "dB"},
      {"blob", static_cast<double>(a.size.blob_bytes),
       static_cast<double>(b.size.blob_bytes), "bytes"},
      {"arena", static_cast<double>(a.size.arena_bytes),
       static_cast<double>(b.size.arena_bytes), "bytes"},
      {"MACs", static_cast<double>(a.total_macs()), static_cast<double>(b.total_macs()),
       ""},
  };
  std::erase_if(rows, [](const Row& row) { return !row.a && !row.b; });
  return rows;
}

std::string number(const std::optional<double>& value) {
  return value ? fmt::format("{:.10g}", *value) : "-";
}

struct LayerPair {
  const report::Layer *a = nullptr, *b = nullptr;
};

/// Layers of both in a's order, then those that only b has.
std::vector<std::pair<std::string, LayerPair>> pair_layers(const report::Report& a,
                                                           const report::Report& b) {
  std::map<std::string, const report::Layer*> rest;
  for (const report::Layer& layer : b.layers) rest.emplace(layer.name, &layer);
  std::vector<std::pair<std::string, LayerPair>> pairs;
  for (const report::Layer& layer : a.layers) {
    const auto found = rest.find(layer.name);
    pairs.push_back(
        {layer.name, {&layer, found == rest.end() ? nullptr : found->second}});
    if (found != rest.end()) rest.erase(found);
  }
  for (const report::Layer& layer : b.layers) {
    if (rest.count(layer.name) > 0) pairs.push_back({layer.name, {nullptr, &layer}});
  }
  return pairs;
}

std::string bits(const report::Layer* layer) {
  if (layer == nullptr) return "-";
  return fmt::format(
      "{}/{}", layer->weight_bits ? fmt::format("w{}", *layer->weight_bits) : "-",
      layer->activation_bits ? fmt::format("a{}", *layer->activation_bits) : "-");
}

std::string noise(const report::Layer* layer) {
  return layer == nullptr ? "-" : report::decibels_text(layer->sqnr_cumulative_db);
}

Json maybe(const std::optional<double>& value) {
  return value ? Json(*value) : Json(nullptr);
}

}  // namespace

report::Report load_report(const std::filesystem::path& path) {
  const std::filesystem::path file =
      std::filesystem::is_directory(path) ? path / "report.json" : path;
  return report::from_json(read_file(file, 1ULL << 30), printable(file.string()));
}

std::string compare_text(const report::Report& a, const report::Report& b) {
  std::string out = fmt::format("{:<18}{:>16}{:>16}{:>16}\n", "", "A", "B", "B - A");
  for (const Row& row : rows_of(a, b)) {
    const std::string difference =
        row.a && row.b ? fmt::format("{:+.10g}", *row.b - *row.a) : "-";
    out += fmt::format("{:<18}{:>16}{:>16}{:>16} {}\n", row.name, number(row.a),
                       number(row.b), difference, row.unit);
  }
  out += fmt::format("\n{:<40}{:>10}{:>10}{:>12}{:>12}{:>12}{:>12}\n", "layer", "bits A",
                     "bits B", "bytes A", "bytes B", "SQNR A", "SQNR B");
  for (const auto& [name, pair] : pair_layers(a, b)) {
    const auto bytes = [](const report::Layer* l) {
      return l == nullptr ? std::string("-") : fmt::format("{}", l->weight_bytes);
    };
    out += fmt::format("{:<40}{:>10}{:>10}{:>12}{:>12}{:>12}{:>12}\n", printable(name),
                       bits(pair.a), bits(pair.b), bytes(pair.a), bytes(pair.b),
                       noise(pair.a), noise(pair.b));
  }
  return out;
}

std::string compare_json(const report::Report& a, const report::Report& b) {
  Json json;
  json["version"] = 1;
  json["rows"] = Json::array();
  for (const Row& row : rows_of(a, b)) {
    json["rows"].push_back({{"name", row.name},
                            {"a", maybe(row.a)},
                            {"b", maybe(row.b)},
                            {"unit", row.unit}});
  }
  json["layers"] = Json::array();
  for (const auto& [name, pair] : pair_layers(a, b)) {
    const auto side = [](const report::Layer* l) -> Json {
      if (l == nullptr) return nullptr;
      Json one = {{"bytes", l->weight_bytes}};
      one["weight_bits"] = l->weight_bits ? Json(*l->weight_bits) : Json(nullptr);
      one["activation_bits"] =
          l->activation_bits ? Json(*l->activation_bits) : Json(nullptr);
      one["sqnr_cumulative_db"] = maybe(l->sqnr_cumulative_db);
      return one;
    };
    json["layers"].push_back({{"name", name}, {"a", side(pair.a)}, {"b", side(pair.b)}});
  }
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace qopt::pipeline
