// SPDX-License-Identifier: MIT
// How a sensitivity table is shown: as text for a terminal, as JSON for programs.
#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "lib/core/names.h"
#include "lib/pipeline/sensitivity.h"
#include "lib/report/format.h"

namespace qopt::pipeline {
namespace {

using Json = nlohmann::ordered_json;

std::string cell(const Reading& reading) {
  return reading.top1 ? fmt::format("{:.2f} %", *reading.top1)
                      : report::decibels_text(reading.sqnr_db);
}

Json json_of(const Reading& reading) {
  Json json = Json::object();
  if (reading.top1) json["top1"] = *reading.top1;
  if (reading.top5) json["top5"] = *reading.top5;
  json["output_mse"] = reading.mse;
  const bool is_exact = reading.sqnr_db && std::isinf(*reading.sqnr_db);
  json["output_sqnr_db"] = !reading.sqnr_db ? Json(nullptr)
                           : is_exact       ? Json("exact")
                                            : Json(*reading.sqnr_db);
  return json;
}

}  // namespace

std::string sensitivity_text(const Sensitivity& s) {
  const bool classify = s.float_model.top1.has_value();
  std::string out = fmt::format("{} samples, {}\n", s.samples, printable(s.data));
  out += classify ? fmt::format("top-1: float {}, all quantized {}\n",
                                cell(s.float_model), cell(s.all))
                  : fmt::format("output SQNR: all quantized {}\n", cell(s.all));
  out += fmt::format("{:<40}{:>8}{:>7}{:>12}{:>12}{:>14}\n", "layer", "weights", "reads",
                     "alone", "all others", "MSE alone");
  for (const LayerSensitivity& row : s.layers) {
    out += fmt::format("{:<40}{:>8}{:>7}{:>12}{:>12}{:>14.4g}\n", printable(row.layer),
                       fmt::format("w{}", row.weight_bits),
                       fmt::format("a{}", row.activation_bits), cell(row.alone),
                       cell(row.spared), row.alone.mse);
  }
  return out;
}

std::string sensitivity_json(const Sensitivity& s) {
  Json json;
  json["version"] = 1;
  json["data"] = s.data;
  json["samples"] = s.samples;
  json["float"] = json_of(s.float_model);
  json["all"] = json_of(s.all);
  json["layers"] = Json::array();
  for (const LayerSensitivity& row : s.layers) {
    json["layers"].push_back({{"layer", row.layer},
                              {"activation", row.activation},
                              {"weight_bits", row.weight_bits},
                              {"activation_bits", row.activation_bits},
                              {"alone", json_of(row.alone)},
                              {"all_others", json_of(row.spared)}});
  }
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace qopt::pipeline
