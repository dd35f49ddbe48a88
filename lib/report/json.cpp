// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "lib/report/report.h"

namespace qopt::report {
namespace {

using Json = nlohmann::ordered_json;

/// Decimal digits beyond the noise would only make reports differ in look; the values are
/// rounded to what the text shows, so reading back and printing again gives the same
/// bytes.
Json number(double value) {
  if (!std::isfinite(value)) return nullptr;
  const std::string digits = fmt::format("{:.9g}", value);
  double rounded = 0;  // stays where the digits say less than any double
  std::from_chars(digits.data(), digits.data() + digits.size(), rounded);
  return rounded;
}

template <class T>
Json optional_number(const std::optional<T>& value) {
  return value ? number(static_cast<double>(*value)) : Json(nullptr);
}

/// Signal-to-noise: null where there is no signal, "exact" where there is no noise.
Json decibels(const std::optional<double>& value) {
  if (value && std::isinf(*value)) return "exact";
  return optional_number(value);
}

Json interval(const eval::Interval95& i) {
  return Json::array({number(i.lo), number(i.hi)});
}

void add_proportion(Json& json, const std::string& name,
                    const std::optional<eval::Proportion>& p) {
  if (!p) return;
  json[name] = number(p->percent);
  json[name + "_interval"] = interval(p->interval);
  json["samples"] = p->count;
}

Json metric_json(const Metric& metric) {
  Json json = Json::object();
  add_proportion(json, "top1", metric.top1);
  add_proportion(json, "top5", metric.top5);
  if (metric.output_mse) json["output_mse"] = number(*metric.output_mse);
  if (metric.output_mse) json["output_sqnr_db"] = decibels(metric.output_sqnr_db);
  return json;
}

Json metrics_json(const Metrics& metrics) {
  Json json = Json::object();
  if (!metrics.data.empty()) json["data"] = metrics.data;
  if (metrics.samples > 0) json["samples"] = metrics.samples;
  if (metrics.float_model) json["float"] = metric_json(*metrics.float_model);
  if (metrics.rewritten) json["rewritten"] = metric_json(*metrics.rewritten);
  if (metrics.fake_quant) json["fake_quant"] = metric_json(*metrics.fake_quant);
  if (metrics.integer) json["integer"] = metric_json(*metrics.integer);
  return json;
}

Json drop_json(const eval::PairedDrop& drop) {
  Json json;
  json["points"] = number(drop.drop);
  json["interval"] = interval(drop.interval);
  json["upper_bound"] = number(drop.upper_bound);
  json["p_value"] = number(drop.p_value);
  json["lost"] = drop.lost;
  json["gained"] = drop.gained;
  json["samples"] = drop.count;
  return json;
}

Json replaced_json(const ReplacedActivation& r) {
  return {{"layer", r.layer},
          {"from", r.from},
          {"to", r.to},
          {"mean_distance", number(r.mean_distance)},
          {"max_distance", number(r.max_distance)}};
}

Json analog_json(const AnalogReading& a) {
  Json json = {{"bits", a.bits},         {"leakage", number(a.leakage)},
               {"range", a.range},       {"readout", a.readout},
               {"data", a.data},         {"samples", a.samples},
               {"mean", number(a.mean)}, {"deviation", number(a.deviation)}};
  json["top1"] = Json::array();
  for (const double percent : a.top1) json["top1"].push_back(number(percent));
  return json;
}

AnalogReading read_analog(const Json& json) {
  return {json.at("bits"),
          json.at("leakage"),
          json.at("range"),
          json.at("readout"),
          json.at("data"),
          json.at("samples"),
          json.at("top1").get<std::vector<double>>(),
          json.at("mean"),
          json.at("deviation")};
}

Json precision_json(const MixedPrecision& m) {
  Json json = {{"data", m.data},
               {"on_eval", m.is_eval},
               {"samples", m.samples},
               {"float_top1", number(m.float_top1)},
               {"target", number(m.target)},
               {"reached", m.reached},
               {"chosen", m.chosen}};
  json["path"] = Json::array();
  for (const PrecisionState& s : m.path) {
    json["path"].push_back({{"layer", s.layer},
                            {"bits", s.bits},
                            {"top1", optional_number(s.top1)},
                            {"drop", optional_number(s.drop)},
                            {"refused", s.refused}});
  }
  json["layers"] = Json::array();
  for (const PrecisionLayer& l : m.layers) {
    json["layers"].push_back({{"name", l.name},
                              {"weight_bits", l.weight_bits},
                              {"activation_bits", l.activation_bits}});
  }
  return json;
}

Json gate_json(const Gate& gate) {
  Json json;
  json["status"] = gate_name(gate.status);
  if (gate.status == GateStatus::NotSet) return json;
  if (!gate.data.empty()) {
    json["data"] = gate.data;
    json["confidence"] = number(gate.confidence);
  }
  json["checks"] = Json::array();
  for (const GateCheck& check : gate.checks) {
    json["checks"].push_back({{"name", check.name},
                              {"limit", number(check.limit)},
                              {"value", number(check.value)},
                              {"unit", check.unit},
                              {"passed", check.passed}});
  }
  return json;
}

Json kernel_json(const Kernel& kernel) {
  Json json;
  json["family"] = kernel.family;
  json["cycles"] = number(kernel.cycles);
  json["measured"] = kernel.measured;
  if (kernel.block != 0) json["block"] = kernel.block;
  if (kernel.runner_up.empty()) return json;
  json["runner_up"] = {{"family", kernel.runner_up},
                       {"cycles", number(kernel.runner_up_cycles)},
                       {"measured", kernel.runner_up_measured}};
  if (!kernel.reason.empty()) json["reason"] = kernel.reason;
  return json;
}

Json layer_json(const Layer& layer) {
  Json json;
  json["name"] = layer.name;
  if (!layer.module.empty()) json["module"] = layer.module;
  json["kind"] = layer.kind;
  json["shape"] = layer.shape;
  json["weight_bits"] = layer.weight_bits ? Json(*layer.weight_bits) : Json(nullptr);
  json["weight_encoding"] = layer.weight_encoding;
  json["activation_bits"] =
      layer.activation_bits ? Json(*layer.activation_bits) : Json(nullptr);
  json["bytes"] = layer.weight_bytes;
  json["macs"] = layer.macs;
  json["acc_bits"] = layer.acc_bits ? Json(*layer.acc_bits) : Json(nullptr);
  json["acc_limit"] = layer.acc_limit;
  json["acc_range"] = Json::array({layer.acc_lo, layer.acc_hi});
  json["clipping"] = optional_number(layer.clipped_fraction);
  json["sqnr_isolated_db"] = decibels(layer.sqnr_isolated_db);
  json["sqnr_cumulative_db"] = decibels(layer.sqnr_cumulative_db);
  json["mse_cumulative"] = optional_number(layer.mse_cumulative);
  if (layer.kernel) json["kernel"] = kernel_json(*layer.kernel);
  json["source"] = layer.source;
  return json;
}

Json activation_json(const Activation& a) {
  Json json;
  json["value"] = a.value;
  json["levels"] = a.levels;
  json["bits"] = a.bits;
  json["range"] = Json::array({number(a.range.lo), number(a.range.hi)});
  json["seen"] = Json::array({number(a.min), number(a.max)});
  json["clipping"] = number(a.clipped_fraction);
  json["scale"] = number(a.scale);
  json["zero_point"] = a.zero_point;
  json["bins"] = Json::array({number(a.bin_lo), number(a.bin_hi)});
  json["histogram"] = a.histogram;
  return json;
}

Json training_json(const Training& t) {
  Json json;
  json["data"] = t.data;
  json["selection"] = t.selection;
  json["score_unit"] = t.score_unit;
  json["steps"] = t.steps;
  json["best_step"] = t.best_step;
  json["start_score"] = decibels(t.start_score);
  json["visits"] = Json::array();
  for (const Training::Visit& v : t.visits) {
    json["visits"].push_back({{"step", v.step},
                              {"epoch", number(v.epoch)},
                              {"learning_rate", number(v.learning_rate)},
                              {"loss", number(v.loss)},
                              {"accuracy", number(v.accuracy)},
                              {"score", decibels(v.score)},
                              {"flips", number(v.flips)},
                              {"hash", v.hash},
                              {"best", v.best}});
  }
  json["flips"] = Json::array();
  for (const Training::Flips& layer : t.flips) {
    Json share = Json::array();
    for (const double value : layer.share) share.push_back(number(value));
    json["flips"].push_back({{"layer", layer.layer}, {"share", std::move(share)}});
  }
  return json;
}

// ------------------------------------------------------------------------------- reading

std::optional<double> maybe_number(const Json& json) {
  if (json.is_string() && json == "exact") return std::numeric_limits<double>::infinity();
  if (json.is_null()) return std::nullopt;
  return json.get<double>();
}

std::optional<int> maybe_int(const Json& json) {
  return json.is_null() ? std::nullopt : std::optional<int>(json.get<int>());
}

eval::Interval95 read_interval(const Json& json) {
  return {json.at(0).get<double>(), json.at(1).get<double>()};
}

std::optional<eval::Proportion> read_proportion(const Json& json,
                                                const std::string& name) {
  if (!json.contains(name)) return std::nullopt;
  return eval::Proportion{json.at(name).get<double>(),
                          read_interval(json.at(name + "_interval")),
                          json.at("samples").get<std::int64_t>()};
}

std::optional<Metric> read_metric(const Json& metrics, const char* name) {
  if (!metrics.contains(name)) return std::nullopt;
  const Json& json = metrics.at(name);
  Metric metric{read_proportion(json, "top1"), read_proportion(json, "top5"), {}, {}};
  if (json.contains("output_mse")) {
    metric.output_mse = json.at("output_mse").get<double>();
    metric.output_sqnr_db = maybe_number(json.at("output_sqnr_db"));
  }
  return metric;
}

template <class E>
E named(const Json& json, std::initializer_list<E> all, std::string_view (*name)(E)) {
  for (const E value : all) {
    if (json.get<std::string>() == name(value)) return value;
  }
  throw Error(ExitCode::Data, "", "unknown status");
}

Kernel read_kernel(const Json& json) {
  Kernel kernel{
      json.at("family"),        json.at("cycles"),     json.at("measured"), {}, 0, false,
      json.value("reason", ""), json.value("block", 0)};
  if (!json.contains("runner_up")) return kernel;
  const Json& other = json.at("runner_up");
  kernel.runner_up = other.at("family");
  kernel.runner_up_cycles = other.at("cycles");
  kernel.runner_up_measured = other.at("measured");
  return kernel;
}

Training read_training(const Json& json) {
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  Training t;
  t.data = json.at("data");
  t.selection = json.at("selection");
  t.score_unit = json.at("score_unit");
  t.steps = json.at("steps");
  t.best_step = json.at("best_step");
  t.start_score = maybe_number(json.at("start_score")).value_or(kNone);
  for (const Json& v : json.at("visits")) {
    t.visits.push_back({v.at("step"), v.at("epoch"), v.at("learning_rate"), v.at("loss"),
                        v.at("accuracy"), maybe_number(v.at("score")).value_or(kNone),
                        v.at("flips"), v.at("hash"), v.at("best")});
  }
  for (const Json& layer : json.at("flips")) {
    t.flips.push_back({layer.at("layer"), layer.at("share").get<std::vector<double>>()});
  }
  return t;
}

MixedPrecision read_precision(const Json& json) {
  MixedPrecision m{json.at("data"),
                   json.at("on_eval"),
                   json.at("samples"),
                   json.at("float_top1"),
                   json.at("target"),
                   json.at("reached"),
                   json.at("chosen"),
                   {},
                   {}};
  for (const Json& s : json.at("path")) {
    m.path.push_back({s.at("layer"), s.at("bits"), maybe_number(s.at("top1")),
                      maybe_number(s.at("drop")), s.at("refused")});
  }
  for (const Json& l : json.at("layers"))
    m.layers.push_back({l.at("name"), l.at("weight_bits"), l.at("activation_bits")});
  return m;
}

std::optional<eval::PairedDrop> read_drop(const Json& json) {
  if (json.is_null()) return std::nullopt;
  return eval::PairedDrop{json.at("points"),      read_interval(json.at("interval")),
                          json.at("upper_bound"), json.at("p_value"),
                          json.at("lost"),        json.at("gained"),
                          json.at("samples")};
}

Report read_report(const Json& json) {
  Report report;
  if (json.at("version").get<int>() != 1)
    throw Error(ExitCode::Data, "", "unknown version");
  report.name = json.at("name");
  report.qopt_version = json.at("qopt_version");
  report.config_digest = json.at("config").at("sha256");
  report.seed = json.at("config").at("seed");
  report.model_digest = json.at("model").at("sha256");
  report.calibration = json.at("calibration").at("data");
  report.calibration_samples = json.at("calibration").at("samples");
  const Json& metrics = json.at("metrics");
  report.metrics.data = metrics.value("data", "");
  report.metrics.samples = metrics.value("samples", std::int64_t{0});
  report.metrics.float_model = read_metric(metrics, "float");
  report.metrics.rewritten = read_metric(metrics, "rewritten");
  report.metrics.fake_quant = read_metric(metrics, "fake_quant");
  report.metrics.integer = read_metric(metrics, "integer");
  report.metrics.drop = read_drop(json.at("drop"));
  report.metrics.rewrite_drop = read_drop(json.value("rewrite_drop", Json(nullptr)));
  if (json.contains("mixed_precision"))
    report.mixed_precision = read_precision(json.at("mixed_precision"));
  if (json.contains("analog")) report.analog = read_analog(json.at("analog"));
  for (const Json& r : json.value("replaced_activations", Json::array())) {
    report.replaced_activations.push_back({r.at("layer"), r.at("from"), r.at("to"),
                                           r.at("mean_distance"), r.at("max_distance")});
  }
  const Json& size = json.at("size");
  report.size = {size.at("original_bytes"), size.at("float_weight_bytes"),
                 size.at("blob_bytes"), size.at("arena_bytes"),
                 size.at("arena_lower_bound")};
  for (const Json& row : json.at("verify")) {
    report.verify.push_back(
        {row.at("target"),
         named(row.at("status"),
               {Verification::Passed, Verification::Failed, Verification::NotTested},
               verification_name),
         row.at("vectors"), row.at("detail")});
  }
  const Json& gate = json.at("gate");
  report.gate.status =
      named(gate.at("status"),
            {GateStatus::NotSet, GateStatus::Passed, GateStatus::Failed}, gate_name);
  report.gate.data = gate.value("data", "");
  report.gate.confidence = gate.value("confidence", 0.95);
  if (gate.contains("checks")) {
    for (const Json& c : gate.at("checks")) {
      report.gate.checks.push_back(
          {c.at("name"), c.at("limit"), c.at("value"), c.at("unit"), c.at("passed")});
    }
  }
  report.core = json.value("core", "");
  for (const Json& l : json.at("layers")) {
    Layer layer;
    layer.name = l.at("name");
    layer.module = l.value("module", "");
    layer.kind = l.at("kind");
    layer.source = l.at("source");
    layer.shape = l.at("shape").get<Shape>();
    layer.weight_bits = maybe_int(l.at("weight_bits"));
    layer.weight_encoding = l.at("weight_encoding");
    layer.activation_bits = maybe_int(l.at("activation_bits"));
    layer.weight_bytes = l.at("bytes");
    layer.macs = l.at("macs");
    layer.acc_bits = maybe_int(l.at("acc_bits"));
    layer.acc_limit = l.at("acc_limit");
    layer.acc_lo = l.at("acc_range").at(0);
    layer.acc_hi = l.at("acc_range").at(1);
    layer.clipped_fraction = maybe_number(l.at("clipping"));
    layer.sqnr_isolated_db = maybe_number(l.at("sqnr_isolated_db"));
    layer.sqnr_cumulative_db = maybe_number(l.at("sqnr_cumulative_db"));
    layer.mse_cumulative = maybe_number(l.at("mse_cumulative"));
    if (l.contains("kernel")) layer.kernel = read_kernel(l.at("kernel"));
    report.layers.push_back(std::move(layer));
  }
  for (const Json& a : json.at("activations")) {
    Activation act;
    act.value = a.at("value");
    act.levels = a.at("levels");
    act.bits = a.at("bits");
    act.range = {a.at("range").at(0), a.at("range").at(1)};
    act.min = a.at("seen").at(0);
    act.max = a.at("seen").at(1);
    act.clipped_fraction = a.at("clipping");
    act.scale = a.at("scale");
    act.zero_point = a.at("zero_point");
    act.bin_lo = a.at("bins").at(0);
    act.bin_hi = a.at("bins").at(1);
    act.histogram = a.at("histogram").get<std::vector<std::uint64_t>>();
    report.activations.push_back(std::move(act));
  }
  if (json.contains("training")) report.training = read_training(json.at("training"));
  for (const Json& f : json.at("findings")) {
    report.findings.push_back({f.at("severity"), f.at("where"), f.at("what")});
  }
  return report;
}

/// Names out of a model file may be no UTF-8; such bytes are shown as replacement
/// characters.
std::string dump(const Json& json) {
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

std::int64_t Report::total_macs() const {
  std::int64_t total = 0;
  for (const Layer& layer : layers) total += layer.macs;
  return total;
}

std::string_view verification_name(Verification status) {
  switch (status) {
    case Verification::Passed: return "passed";
    case Verification::Failed: return "failed";
    case Verification::NotTested: return "not_tested";
  }
  throw InternalError("unknown verification status");
}

std::string_view gate_name(GateStatus status) {
  switch (status) {
    case GateStatus::NotSet: return "not_set";
    case GateStatus::Passed: return "passed";
    case GateStatus::Failed: return "failed";
  }
  throw InternalError("unknown gate status");
}

std::string to_json(const Report& report) {
  Json json;
  json["version"] = 1;
  json["name"] = report.name;
  json["qopt_version"] = report.qopt_version;
  json["config"] = {{"sha256", report.config_digest}, {"seed", report.seed}};
  json["model"] = {{"sha256", report.model_digest}};
  json["calibration"] = {{"data", report.calibration},
                         {"samples", report.calibration_samples}};
  json["metrics"] = metrics_json(report.metrics);
  json["drop"] = report.metrics.drop ? drop_json(*report.metrics.drop) : Json(nullptr);
  if (report.metrics.rewrite_drop)
    json["rewrite_drop"] = drop_json(*report.metrics.rewrite_drop);
  if (!report.replaced_activations.empty()) {
    json["replaced_activations"] = Json::array();
    for (const ReplacedActivation& r : report.replaced_activations)
      json["replaced_activations"].push_back(replaced_json(r));
  }
  if (report.analog) json["analog"] = analog_json(*report.analog);
  if (report.mixed_precision)
    json["mixed_precision"] = precision_json(*report.mixed_precision);
  json["size"] = {{"original_bytes", report.size.original_bytes},
                  {"float_weight_bytes", report.size.float_weight_bytes},
                  {"blob_bytes", report.size.blob_bytes},
                  {"arena_bytes", report.size.arena_bytes},
                  {"arena_lower_bound", report.size.arena_lower_bound},
                  {"macs", report.total_macs()}};
  json["verify"] = Json::array();
  for (const VerifyRow& row : report.verify) {
    json["verify"].push_back({{"target", row.target},
                              {"status", verification_name(row.status)},
                              {"vectors", row.vectors},
                              {"detail", row.detail}});
  }
  json["gate"] = gate_json(report.gate);
  json["findings"] = Json::array();
  for (const Finding& f : report.findings) {
    json["findings"].push_back(
        {{"severity", f.severity}, {"where", f.where}, {"what", f.what}});
  }
  if (!report.core.empty()) json["core"] = report.core;
  json["layers"] = Json::array();
  for (const Layer& layer : report.layers) json["layers"].push_back(layer_json(layer));
  json["activations"] = Json::array();
  for (const Activation& a : report.activations) {
    json["activations"].push_back(activation_json(a));
  }
  if (report.training) json["training"] = training_json(*report.training);
  return dump(json);
}

std::string to_json(const Timing& timing) {
  Json json;
  json["version"] = 1;
  json["total_seconds"] = number(timing.total_seconds);
  json["peak_memory_bytes"] = timing.peak_memory_bytes;
  json["threads"] = timing.threads;
  json["config_file"] = timing.config_file;
  json["steps"] = Json::array();
  for (const Timing::Step& step : timing.steps) {
    json["steps"].push_back({{"name", step.name}, {"seconds", number(step.seconds)}});
  }
  return dump(json);
}

Report from_json(std::string_view text, std::string_view file) {
  try {
    return read_report(Json::parse(text));
  } catch (const nlohmann::json::exception& e) {
    throw Error(ExitCode::Data, std::string(file),
                std::string("no qopt report: ") + e.what());
  } catch (const Error& e) {
    throw Error(ExitCode::Data, std::string(file), "no qopt report: " + e.message());
  }
}

}  // namespace qopt::report
