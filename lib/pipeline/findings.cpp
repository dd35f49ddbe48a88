// SPDX-License-Identifier: MIT
#include "lib/pipeline/findings.h"

#include <fmt/format.h>

namespace qopt::pipeline {
namespace {

constexpr double kCleanSqnr = 25;  // dB; what 8 bits usually reach or exceed
constexpr double kMuchClipping =
    0.01;                          // a percent of the values: accuracy usually suffers
constexpr double kNoisySqnr = 10;  // dB; below it a layer carries little of its signal

}  // namespace

std::vector<report::Finding> gather_findings(const CompressConfig& config,
                                             const ImportedModel& imported,
                                             const Sources& sources,
                                             const ptq::PtqResult& quantized,
                                             const report::Report& report) {
  std::vector<report::Finding> findings;
  const auto warn = [&](std::string where, std::string what) {
    findings.push_back({"warning", std::move(where), std::move(what)});
  };
  const auto note = [&](std::string where, std::string what) {
    findings.push_back({"note", std::move(where), std::move(what)});
  };
  if (const auto fault = import_fault(imported, sources.calibration->sample(0))) {
    warn("import", *fault);
  }
  if (config.data.calibration.format == "random") {
    warn("data.calibration",
         "ranges come from random noise; use real samples for accuracy");
  }
  if (!sources.eval) note("data.eval", "absent, so accuracy was not measured");
  if (const auto& drop = report.metrics.rewrite_drop; drop && drop->interval.lo > 0) {
    warn("replace_activations",
         fmt::format("costs {:.2f} pp [{:.2f}, {:.2f}] before any quantization; the "
                     "weights were trained for the old activations",
                     drop->drop, drop->interval.lo, drop->interval.hi));
  }
  if (const auto& mixed = report.mixed_precision) {
    if (!mixed->reached) {
      warn("mixed_precision",
           fmt::format("no state met {:g} pp; kept the one that loses {:.2f} pp",
                       mixed->target,
                       *mixed->path[static_cast<std::size_t>(mixed->chosen)].drop));
    }
    if (mixed->is_eval) {
      note("mixed_precision",
           "chose on data.eval, so the figures there are no test of the choice; give "
           "data.selection, or judge on data.gate");
    }
  }
  for (const std::string& text : quantized.findings) warn("", text);
  for (const report::Layer& layer : report.layers) {
    // Noise is measured against the float model, which training has left behind.
    if (report.training) break;
    // Values just outside the range lose nothing: only clipping that costs signal is
    // worth a word.
    const bool costs = layer.sqnr_isolated_db.value_or(0) < kCleanSqnr;
    if (costs && layer.clipped_fraction.value_or(0) > kMuchClipping) {
      warn(layer.name, fmt::format("{:.2f} % of its calibration values are clipped",
                                   100 * *layer.clipped_fraction));
    }
    if (layer.sqnr_cumulative_db && *layer.sqnr_cumulative_db < kNoisySqnr) {
      note(layer.name, fmt::format("only {:.1f} dB of signal to noise here",
                                   *layer.sqnr_cumulative_db));
    }
  }
  if (report.size.blob_bytes >= report.size.original_bytes) {
    warn("model.qpk", "the blob is not smaller than the model file");
  }
  if (report.verify.empty()) warn("export.verify", "none: the export was not verified");
  for (const report::VerifyRow& row : report.verify) {
    if (row.status == report::Verification::NotTested) {
      warn("verify " + row.target, "not tested: " + row.detail);
    }
  }
  return findings;
}

}  // namespace qopt::pipeline
