// SPDX-License-Identifier: MIT
// CompressConfig: everything `qopt compress` can be told, and the one description of its
// keys. Composes the owners' structs; runs nothing.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "lib/config/fields.h"
#include "lib/config/reader.h"
#include "lib/data/dataset.h"
#include "lib/frontend/import.h"
#include "lib/pipeline/activation_step.h"
#include "lib/pipeline/analog_step.h"
#include "lib/pipeline/mixed_precision.h"
#include "lib/ptq/ptq.h"
#include "lib/qat/qat.h"

namespace qopt::pipeline {

struct ModelConfig {
  std::filesystem::path path;
  std::vector<frontend::InputSpec> inputs;
};

struct DataConfig {
  data::DatasetSpec calibration;
  std::optional<data::DatasetSpec> eval, gate, train, selection;
};

/// At most `value` percentage points of top-1 may be lost, with one-sided `confidence`.
struct MaxDrop {
  double value = 1.0;
  std::string unit = "pp";
  double confidence = 0.95;
};

struct Constraints {
  std::optional<MaxDrop> max_drop;
  std::optional<std::int64_t> flash, ram;  // bytes of model.qpk and of the arena
};

/// The core that kernels are chosen for, and what was measured there (qopt bench).
struct TargetConfig {
  std::string core = "generic";
  std::vector<std::filesystem::path> measurements;
};

struct ExportConfig {
  std::filesystem::path dir;  // empty: out/<name> below the current folder
  std::string name;           // empty: the model file's stem
  TargetConfig target;
  std::vector<std::string> verify{"host"};  // targets, or "all", or "none"
  std::int64_t golden_samples = 4;
  bool sim_torchscript = false;
};

enum class Device { Cpu, Cuda };

struct RunConfig {
  std::int64_t seed = 1;
  Device device = Device::Cpu;  // that trains
  int threads = 0;              // 0: all cores
  std::int64_t sqnr_samples = 16;
};

struct CompressConfig {
  std::int64_t version = 1;
  ModelConfig model;
  DataConfig data;
  std::optional<ActivationStep> replace_activations;
  bool has_ptq = false;
  ptq::PtqConfig ptq;
  std::optional<qat::QatConfig> qat;
  std::optional<MixedPrecisionStep> mixed_precision;
  std::optional<AnalogStep> analog;
  Constraints constraints;
  ExportConfig output;
  RunConfig run;

  config::WrittenPaths written;  // for the resolved dump
  std::filesystem::path file;    // where it was read from

  std::string name() const;              // output.name or the model's stem
  std::filesystem::path folder() const;  // output.dir or out/<name>
  int threads() const;
};

/// The description of all keys, in the order of documentation.
void describe(config::Fields& fields, CompressConfig& config);
void describe(config::Fields& fields, data::DatasetSpec& spec);
void describe(config::Fields& fields, qat::QatConfig& config);

/// Reads `file` with `--set` overrides. Throws ConfigError with every fault, Error(Usage)
/// when the file cannot be read.
CompressConfig read_config(const std::filesystem::path& file,
                           const std::vector<std::string>& overrides);

/// qopt.resolved.yaml: every setting that can change the result, defaults filled in,
/// paths as they were written.
std::string resolved_yaml(const CompressConfig& config);

/// What `qopt schema` prints: JSON Schema (draft 2020-12), and the Markdown reference.
std::string config_json_schema();
std::string config_reference();

}  // namespace qopt::pipeline
