// SPDX-License-Identifier: MIT
// One configuration with every calibrator in turn: which choice of ranges is best here.
#pragma once

#include <string>
#include <vector>

#include "lib/pipeline/compress_config.h"
#include "lib/pipeline/listener.h"
#include "lib/report/report.h"

namespace qopt::pipeline {

struct CalibratorRow {
  std::string name;
  report::Metrics metrics;  // float, fake-quant and integer on data.eval
};

/// One row for each row of calib::estimators(), in its order, for the activations;
/// statistics are collected once, the float model is read once. Rules of single layers
/// stay as they are. Throws Error(Usage) without data.eval.
std::vector<CalibratorRow> compare_calibrators(const CompressConfig& config,
                                               Listener& listener);

std::string calibrators_text(const std::vector<CalibratorRow>& rows);
std::string calibrators_json(const std::vector<CalibratorRow>& rows);

}  // namespace qopt::pipeline
