// SPDX-License-Identifier: MIT
// Report: everything a run found out about a compressed model, as plain data. Holds no
// time, no path of the machine and no thread count, so that equal inputs give equal
// bytes; how long it took lives in Timing. Knows no graph algorithm and no file.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/calib/estimators.h"
#include "lib/core/tensor.h"
#include "lib/eval/metrics.h"

namespace qopt::report {

/// Quality of one model on the evaluation set. Classification fills top1 (and top5 where
/// there are more than five classes); without labels, output_sqnr_db against the float
/// model.
struct Metric {
  std::optional<eval::Proportion> top1, top5;
  std::optional<double> output_mse, output_sqnr_db;
};

/// The readings of one model: as given, with other activations (where asked for),
/// simulated, and exactly as the device computes.
struct Metrics {
  std::string data;  // description of the evaluation set
  std::int64_t samples = 0;
  std::optional<Metric> float_model, rewritten, fake_quant, integer;
  std::optional<eval::PairedDrop> drop;          // float -> integer, top-1
  std::optional<eval::PairedDrop> rewrite_drop;  // float -> rewritten, top-1
};

/// An activation that became another, and how far apart the two functions are where the
/// new model uses them: |f - g| over the calibration histogram of what it reads (at the
/// centres of bins).
struct ReplacedActivation {
  std::string layer, from, to;
  double mean_distance = 0, max_distance = 0;
};

/// Top-1 of the float model on simulated analog hardware, read several times.
struct AnalogReading {
  int bits = 0;
  double leakage = 0;
  std::string range;  // what 1 stands for: "observed", "unit"
  bool readout = true;
  std::string data;
  std::int64_t samples = 0;
  std::vector<double> top1;        // percent, one for each reading
  double mean = 0, deviation = 0;  // of the readings (n - 1)
};

/// One state of the search for mixed precision: the layer that was raised to reach it.
struct PrecisionState {
  std::string layer;                 // empty for the first state
  int bits = 0;                      // weights and what they read: at least this many
  std::optional<double> top1, drop;  // percent, points; empty where it was refused
  std::string refused;               // why it has no integer form
};
struct PrecisionLayer {
  std::string name;
  int weight_bits = 0, activation_bits = 0;  // of its weights, of what it reads
};
/// How the widths of the layers were chosen.
struct MixedPrecision {
  std::string data;      // description of the selection samples
  bool is_eval = false;  // they are data.eval, which measures the result too
  std::int64_t samples = 0;
  double float_top1 = 0, target = 0;  // percent, points
  bool reached = false;
  std::int64_t chosen = 0;  // index into path
  std::vector<PrecisionState> path;
  std::vector<PrecisionLayer> layers;  // of the chosen state, in execution order
};

struct Sizes {
  std::uint64_t original_bytes = 0;      // the TorchScript file
  std::uint64_t float_weight_bytes = 0;  // the canonical graph's constants
  std::uint64_t blob_bytes = 0;          // model.qpk
  std::uint64_t arena_bytes = 0, arena_lower_bound = 0;
};

enum class Verification { Passed, Failed, NotTested };
struct VerifyRow {
  std::string target;
  Verification status = Verification::NotTested;
  std::int64_t vectors = 0;
  std::string detail;
};

enum class GateStatus { NotSet, Passed, Failed };
/// A constraint that was checked: what was wanted, what was found.
struct GateCheck {
  std::string name;  // "max_drop", "flash", "ram"
  double limit = 0, value = 0;
  std::string unit;  // "pp", "bytes"
  bool passed = false;
};
struct Gate {
  GateStatus status = GateStatus::NotSet;
  double confidence = 0.95;  // of max_drop's one-sided bound
  std::string data;          // what max_drop was judged on
  std::vector<GateCheck> checks;
};

/// What was chosen for one activation, with the histogram it was chosen from.
struct Activation {
  std::string value, levels;
  int bits = 8;
  calib::Range range;
  float min = 0, max = 0;  // seen while calibrating
  double clipped_fraction = 0;
  float scale = 1;
  std::int32_t zero_point = 0;
  double bin_lo = 0, bin_hi = 0;         // ends of the histogram
  std::vector<std::uint64_t> histogram;  // equal bins over [bin_lo, bin_hi]
};

/// The family of kernels that was chosen for a layer and its cycles on the core,
/// estimated or measured; the next best, where another could run it.
struct Kernel {
  std::string family;
  double cycles = 0;
  bool measured = false;
  std::string runner_up;  // empty: none
  double runner_up_cycles = 0;
  bool runner_up_measured = false;
  std::string reason;  // why a cheaper runner-up was not taken
  int block = 0;       // positions in a block that was chosen; 0: the kernel's own
  bool operator==(const Kernel&) const = default;
};

/// One node of the Integer graph. Optional fields are absent where they have no meaning.
struct Layer {
  std::string name;    // of the result: what follows a fused activation
  std::string module;  // that holds the weights ("layer1.0.conv1"), empty where none
  std::string kind, source;
  Shape shape;  // of the result, physical
  std::optional<int> weight_bits;
  std::string weight_encoding;  // "n8 per channel"
  std::optional<int> activation_bits;
  std::uint64_t weight_bytes = 0;  // all constants of the node, packed
  std::int64_t macs = 0;
  std::optional<int> acc_bits;
  int acc_limit = 32;
  std::int64_t acc_lo = 0, acc_hi = 0;
  std::optional<double> clipped_fraction;
  std::optional<double> sqnr_isolated_db;    // this value's own encoding alone
  std::optional<double> sqnr_cumulative_db;  // everything before it as well
  std::optional<double> mse_cumulative;
  std::optional<Kernel> kernel;  // of convolutions
};

/// What training visited: one entry for each state of the quantised weights that was
/// judged, and how often codes changed in between.
struct Training {
  std::string data, selection;  // descriptions of the two sets
  std::string score_unit;       // "%" (top-1) or "dB" (SQNR of the outputs)
  std::int64_t steps = 0, best_step = 0;
  double start_score = 0;  // before training
  struct Visit {
    std::int64_t step = 0;
    double epoch = 0, learning_rate = 0, loss = 0, accuracy = 0, score = 0;
    double flips = 0;  // share of all codes that changed a step
    std::string hash;  // SHA-256 of the codes
    bool best = false;
  };
  std::vector<Visit> visits;
  struct Flips {
    std::string layer;
    std::vector<double> share;  // of the layer's codes that changed a step, by stretch
  };
  std::vector<Flips> flips;
};

struct Finding {
  std::string severity;  // "warning", "note"
  std::string where, what;
};

struct Report {
  std::string name, qopt_version;
  std::string config_digest;  // SHA-256 of qopt.resolved.yaml
  std::string model_digest;   // SHA-256 of the model file
  std::string calibration;    // description of the calibration set
  std::int64_t calibration_samples = 0;
  std::uint64_t seed = 0;
  Metrics metrics;
  std::vector<ReplacedActivation> replaced_activations;
  std::optional<AnalogReading> analog;
  std::optional<MixedPrecision> mixed_precision;
  Sizes size;
  std::vector<VerifyRow> verify;
  Gate gate;
  std::string core;  // that the layers' kernels were chosen for
  std::vector<Layer> layers;
  std::vector<Activation> activations;
  std::optional<Training> training;
  std::vector<Finding> findings;

  std::int64_t total_macs() const;
};

std::string_view verification_name(
    Verification status);                       // "passed", "failed", "not_tested"
std::string_view gate_name(GateStatus status);  // "passed", "failed", "not_set"

/// Wall-clock and memory of a run: written beside the report, never into it.
struct Timing {
  struct Step {
    std::string name;
    double seconds = 0;
  };
  std::vector<Step> steps;
  double total_seconds = 0;
  std::uint64_t peak_memory_bytes = 0;
  int threads = 0;
  std::string config_file;  // so that `qopt eval DIR` finds the data again
};

/// report.json (keys in a fixed order, version 1; docs/report.md lists them) and its
/// inverse for `qopt compare`. from_json throws Error(Data) naming `file` when it is no
/// such report.
std::string to_json(const Report& report);
std::string to_json(const Timing& timing);
Report from_json(std::string_view text, std::string_view file);

/// The page people look at: one file, no network, light and dark.
std::string to_html(const Report& report);

/// The summary printed on a terminal.
std::string to_text(const Report& report);

}  // namespace qopt::report
