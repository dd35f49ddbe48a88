// SPDX-License-Identifier: MIT
#include "lib/pipeline/compress_config.h"

#include <fmt/format.h>

#include <algorithm>

#include "lib/config/writer.h"
#include "lib/core/files.h"
#include "lib/core/parallel.h"
#include "lib/export/cost_model.h"
#include "lib/export/verify.h"

namespace qopt::pipeline {
namespace {

using config::Count;
using config::Fields;
using config::Key;
using config::Spelling;

constexpr Spelling<DType> kInputTypes[] = {
    {DType::F32, "f32"}, {DType::I64, "i64"}, {DType::I32, "i32"}};
constexpr Spelling<LevelSet> kLevelSets[] = {{LevelSet::U, "u"},
                                             {LevelSet::S, "s"},
                                             {LevelSet::N, "n"},
                                             {LevelSet::O, "o"},
                                             {LevelSet::T, "t"}};
/// Without o, which has no code for the zero of padding.
constexpr Spelling<LevelSet> kActivationLevels[] = {
    {LevelSet::U, "u"}, {LevelSet::S, "s"}, {LevelSet::N, "n"}, {LevelSet::T, "t"}};
constexpr Spelling<ptq::Granularity> kGranularities[] = {
    {ptq::Granularity::PerTensor, "per_tensor"},
    {ptq::Granularity::PerChannel, "per_channel"}};

constexpr Spelling<Device> kDevices[] = {{Device::Cpu, "cpu"}, {Device::Cuda, "cuda"}};
/// Widths that have an encoding (bits_fault in lib/graph/encoding.h; the step checks the
/// level set's own).
config::Type bit_width() { return config::integer_of({1, 2, 3, 4, 5, 6, 7, 8, 16}); }
config::Type percent() { return config::real(50, 100); }
config::Type extent() { return config::integer(1, 1 << 20); }
config::Type any_real() { return config::real(-1e30, 1e30); }

config::Type calibrator() {
  std::vector<std::string> names;
  for (const calib::Estimator& row : calib::estimators()) names.emplace_back(row.name);
  return config::choice(std::move(names));
}

config::Type dataset_format() {
  std::vector<std::string> names;
  for (const data::DatasetFormat& row : data::dataset_formats())
    names.emplace_back(row.name);
  return config::choice(std::move(names));
}

config::Type verify_target() {
  std::vector<std::string> names;
  for (const emit::Target& target : emit::verify_targets()) names.push_back(target.name);
  names.emplace_back("all");
  names.emplace_back("none");
  return config::choice(std::move(names));
}

config::Type target_core() {
  std::vector<std::string> names;
  for (const emit::Core& core : emit::cores()) names.emplace_back(core.name);
  return config::choice(std::move(names));
}

void describe_input(Fields& f, frontend::InputSpec& v) {
  f.key({.name = "name",
         .help = "argument name; the model's own where absent",
         .example = "x"},
        config::text(), v.name);
  f.list({.name = "shape", .help = "extents, the batch (1) first", .required = true},
         extent(), Count{1, 8}, v.shape);
  f.enumeration({.name = "dtype", .help = "element type"}, kInputTypes, v.dtype);
}

void describe_preprocess(Fields& f, data::Preprocess& v) {
  f.key({.name = "channels", .help = "1 forces grey, 3 forces colour", .example = "3"},
        config::integer_of({1, 3}), v.channels);
  f.key({.name = "resize_shorter",
         .help = "bilinear, shorter side to this many pixels",
         .example = "256"},
        config::integer(1, 16384), v.resize_shorter);
  f.list({.name = "resize",
          .help = "bilinear, to exactly height, width",
          .example = "[96, 96]"},
         config::integer(1, 16384), v.resize);
  f.list(
      {.name = "crop", .help = "centre crop to height, width", .example = "[224, 224]"},
      config::integer(1, 16384), v.crop);
  f.key({.name = "scale", .help = "factor on the raw values, such as 1/255"}, any_real(),
        v.scale);
  f.list({.name = "mean",
          .help = "subtracted: one number, or one for each channel",
          .example = "[0.485, 0.456, 0.406]"},
         any_real(), Count{1, 4096}, v.mean);
  f.list({.name = "std",
          .help = "divided by: one number, or one for each channel",
          .example = "[0.229, 0.224, 0.225]"},
         config::real(1e-30, 1e30), Count{1, 4096}, v.stddev);
  if (v.resize_shorter && v.resize) {
    f.refuse("resize", "'resize' and 'resize_shorter' exclude each other");
  }
}

void describe_weights(Fields& f, ptq::WeightConfig& v) {
  f.key({.name = "bits", .help = "bits of a weight code"}, bit_width(), v.bits);
  f.enumeration(
      {.name = "levels",
       .help = "codes: s two's complement, n narrow symmetric, o odd (1 to 7 bits; -1 "
               "and 1 at 1 bit), t ternary (2 bits)"},
      kLevelSets, v.levels);
  f.key({.name = "symmetric", .help = "zero point 0"}, v.symmetric);
  f.enumeration(
      {.name = "granularity", .help = "one scale for the tensor or for each channel"},
      kGranularities, v.granularity);
  f.key({.name = "calibrator", .help = "how the range is chosen"}, calibrator(),
        v.calibrator);
  f.key({.name = "percentile", .help = "share of values kept, for calibrator percentile"},
        percent(), v.percentile);
}

void describe_activations(Fields& f, ptq::ActivationConfig& v) {
  f.key({.name = "bits", .help = "bits of an activation code"}, bit_width(), v.bits);
  f.enumeration(
      {.name = "levels", .help = "codes; chosen by sign where absent", .example = "s"},
      kActivationLevels, v.levels);
  f.key({.name = "symmetric", .help = "zero point 0 (or the middle of u)"}, v.symmetric);
  f.key({.name = "calibrator", .help = "how the range is chosen"}, calibrator(),
        v.calibrator);
  f.key({.name = "percentile", .help = "share of values kept, for calibrator percentile"},
        percent(), v.percentile);
  f.key({.name = "momentum", .help = "weight of the past, for calibrator moving_average"},
        config::real(0, 0.9999), v.momentum);
}

void describe_ptq(Fields& f, ptq::PtqConfig& v) {
  f.block({.name = "weights", .help = "how weights are encoded"}, true,
          [&](Fields& g) { describe_weights(g, v.weights); });
  f.block({.name = "activations", .help = "how activations are encoded"}, true,
          [&](Fields& g) { describe_activations(g, v.activations); });
  f.key({.name = "first_last_bits",
         .help = "the first and the last layer have at least this many bits; o and t "
                 "become n there"},
        bit_width(), v.first_last_bits);
  f.key({.name = "residual_bits",
         .help = "values that others than layers read have at least this many bits; a "
                 "layer with fewer gets an input of its own"},
        bit_width(), v.residual_bits);
  f.key({.name = "unify_add", .help = "one scale for both operands of an addition"},
        v.unify_add);
  f.key(
      {.name = "quantize_conv11", .help = "false: 1x1 convolutions keep first_last_bits"},
      v.kinds.quantize_conv11);
  f.key({.name = "quantize_group",
         .help = "false: grouped convolutions keep first_last_bits"},
        v.kinds.quantize_group);
  f.list({.name = "skip_layers",
          .help = "numbers of convolutions, from 0, that keep first_last_bits",
          .example = "[0, 1]"},
         config::integer(0, 1 << 20), Count{1, 4096}, v.kinds.skip_layers);
  f.key({.name = "skip_layers_ratio",
         .help = "this share of the convolutions, from the first, keeps first_last_bits"},
        config::real(0, 1), v.kinds.skip_layers_ratio);
}

void describe_rule(Fields& f, ptq::LayerRule& v) {
  v.where = f.where();
  f.block({.name = "match", .help = "which layers", .required = true}, true,
          [&](Fields& g) {
            v.where = g.where("name").empty() ? v.where : g.where("name");
            g.key({.name = "name", .help = "name pattern of * and ?", .required = true},
                  config::text(), v.pattern);
          });
  const bool weights = v.weight_bits || v.weight_levels || v.granularity;
  f.block({.name = "weights", .help = "what differs for their weights"}, weights,
          [&](Fields& g) {
            g.key({.name = "bits", .help = "bits of a weight code", .example = "4"},
                  bit_width(), v.weight_bits);
            g.enumeration({.name = "levels", .help = "codes"}, kLevelSets,
                          v.weight_levels);
            g.enumeration({.name = "granularity", .help = "scales"}, kGranularities,
                          v.granularity);
          });
  const bool activations = v.activation_bits || v.activation_levels || v.symmetric ||
                           v.calibrator || v.percentile;
  f.block({.name = "activations", .help = "what differs for their results"}, activations,
          [&](Fields& g) {
            g.key({.name = "bits", .help = "bits of an activation code", .example = "16"},
                  bit_width(), v.activation_bits);
            g.enumeration({.name = "levels", .help = "codes"}, kActivationLevels,
                          v.activation_levels);
            g.key({.name = "symmetric", .help = "zero point 0", .example = "true"},
                  v.symmetric);
            g.key({.name = "calibrator", .help = "how the range is chosen"}, calibrator(),
                  v.calibrator);
            g.key(
                {.name = "percentile", .help = "share of values kept", .example = "99.9"},
                percent(), v.percentile);
          });
}

void describe_data(Fields& f, DataConfig& v) {
  f.block(
      {.name = "calibration", .help = "samples that choose the ranges", .required = true},
      true, [&](Fields& g) { describe(g, v.calibration); });
  const auto spec = [](Fields& g, data::DatasetSpec& s) { describe(g, s); };
  f.optional_block({.name = "eval", .help = "labelled samples that measure the result"},
                   v.eval, spec);
  f.optional_block(
      {.name = "gate", .help = "samples that only max_drop is judged on (default: eval)"},
      v.gate, spec);
  f.optional_block({.name = "train", .help = "samples that qat trains on"}, v.train,
                   spec);
  f.optional_block({.name = "selection",
                    .help = "samples that select the best state (default: held out of "
                            "train)"},
                   v.selection, spec);
}

void describe_constraints(Fields& f, Constraints& v) {
  f.optional_block(
      {.name = "max_drop", .help = "accuracy that may be lost, else exit code 6"},
      v.max_drop, [](Fields& g, MaxDrop& d) {
        g.key({.name = "value", .help = "at most", .required = true},
              config::real(-100, 100), d.value);
        g.key({.name = "unit", .help = "pp: percentage points of top-1"},
              config::choice({"pp"}), d.unit);
        g.key({.name = "confidence", .help = "of the one-sided bound that is compared"},
              config::real(0.5, 0.9999), d.confidence);
      });
  f.key({.name = "flash",
         .help = "largest model.qpk, else exit code 5",
         .example = "200KiB"},
        config::size(), v.flash);
  f.key({.name = "ram", .help = "largest arena, else exit code 5", .example = "64KiB"},
        config::size(), v.ram);
}

void describe_export(Fields& f, ExportConfig& v) {
  f.key({.name = "name",
         .help = "C prefix and title (default: the model file's name)",
         .example = "my_model"},
        config::text(), v.name);
  f.key({.name = "dir",
         .help = "folder to write (default: out/NAME)",
         .recorded = false,
         .example = "out/my_model"},
        config::path(), v.dir);
  f.block({.name = "target", .help = "what kernels are chosen for, layer by layer"}, true,
          [&](Fields& g) {
            g.key(
                {.name = "core", .help = "processor core; generic: the mean of several"},
                target_core(), v.target.core);
            g.list({.name = "measurements",
                    .help = "what `qopt bench --format json` printed there; takes the "
                            "place of estimates",
                    .example = "[bench.json]"},
                   config::path(), Count{1, 16}, v.target.measurements);
          });
  f.list({.name = "verify", .help = "targets to compile and compare, or all, or none"},
         verify_target(), Count{1, 16}, v.verify);
  const bool is_special =
      std::ranges::count(v.verify, "all") + std::ranges::count(v.verify, "none");
  if (is_special && v.verify.size() > 1) {
    f.refuse("verify", "'all' and 'none' stand alone in 'export.verify'");
  }
  f.key({.name = "golden_samples", .help = "real samples among the golden vectors"},
        config::integer(0, 64), v.golden_samples);
  f.key({.name = "sim_torchscript",
         .help = "also write model.sim.pt, the simulated TorchScript"},
        v.sim_torchscript);
}

void describe_run(Fields& f, RunConfig& v) {
  f.key({.name = "seed", .help = "of everything drawn at random"},
        config::integer(0, 1LL << 53), v.seed);
  f.enumeration({.name = "device", .help = "where qat trains; the rest runs on the CPU"},
                kDevices, v.device);
  f.key({.name = "threads",
         .help = "0: every core; the result is the same for any number",
         .recorded = false},
        config::integer(0, 1024), v.threads);
  f.key({.name = "sqnr_samples", .help = "calibration samples for the table of layers"},
        config::integer(0, 4096), v.sqnr_samples);
}

}  // namespace

void describe(Fields& f, data::DatasetSpec& v) {
  f.key({.name = "format", .help = "reader", .required = true}, dataset_format(),
        v.format);
  f.list({.name = "files",
          .help = "record or image files (idx, cifar, npy)",
          .example = "[images.npy]"},
         config::path(), Count{1, 4096}, v.files);
  f.list({.name = "labels", .help = "label files (idx, npy)", .example = "[labels.npy]"},
         config::path(), Count{1, 4096}, v.labels);
  f.key({.name = "folder",
         .help = "root with one folder a class (image_folder)",
         .example = "images"},
        config::path(), v.folder);
  f.key({.name = "samples", .help = "use only this many", .example = "512"},
        config::integer(1, 1LL << 40), v.samples);
  f.key({.name = "seed",
         .help = "draw them with this seed (absent: take the first)",
         .example = "1"},
        config::integer(0, 1LL << 53), v.seed);
  f.block({.name = "preprocess", .help = "applied in this order"}, true,
          [&](Fields& g) { describe_preprocess(g, v.preprocess); });
  if (v.format == "image_folder") {
    if (v.folder.empty()) f.refuse("format", "format image_folder needs 'folder'");
  } else if (!v.format.empty() && v.format != "random" && v.files.empty()) {
    f.refuse("format", fmt::format("format {} needs 'files'", v.format));
  }
}

void describe(Fields& f, CompressConfig& v) {
  f.key({.name = "version", .help = "of this format", .required = true},
        config::integer_of({1}), v.version);
  f.block({.name = "model", .help = "what to compress", .required = true}, true,
          [&](Fields& g) {
            g.key({.name = "path", .help = "TorchScript file", .required = true},
                  config::path(), v.model.path);
            g.block_list(
                {.name = "inputs", .help = "what it is called with", .required = true},
                v.model.inputs, describe_input);
          });
  f.block({.name = "data", .help = "what to calibrate and measure on", .required = true},
          true, [&](Fields& g) { describe_data(g, v.data); });
  const config::StepField rows[] = {
      {{.name = "replace_activations",
        .help = "other activation functions, before anything else"},
       v.replace_activations.has_value(),
       [&](Fields& g) {
         if (!v.replace_activations) v.replace_activations.emplace();
         describe(g, *v.replace_activations);
       }},
      {{.name = "ptq", .help = "post-training quantization to integers"},
       v.has_ptq,
       [&](Fields& g) {
         v.has_ptq = true;
         describe_ptq(g, v.ptq);
       }},
      {{.name = "mixed_precision",
        .help = "more bits for the most sensitive layers, until a drop is met"},
       v.mixed_precision.has_value(),
       [&](Fields& g) {
         if (!v.mixed_precision) v.mixed_precision.emplace();
         describe(g, *v.mixed_precision);
       }},
      {{.name = "qat", .help = "training of what ptq chose, and of the weights"},
       v.qat.has_value(),
       [&](Fields& g) {
         if (!v.qat) v.qat.emplace();
         describe(g, *v.qat);
       }}};
  f.steps({.name = "passes", .help = "methods, in order", .required = true}, rows);
  f.block_list({.name = "layers", .help = "exceptions by name; later ones win"},
               v.ptq.layers, describe_rule);
  f.block({.name = "evaluate", .help = "further readings of the result"},
          v.analog.has_value(), [&](Fields& g) {
            g.optional_block(
                {.name = "analog",
                 .help = "top-1 of the float model on noisy analog hardware"},
                v.analog, [](Fields& h, AnalogStep& a) { describe(h, a); });
          });
  f.block({.name = "constraints", .help = "what the result must keep"},
          v.constraints.max_drop || v.constraints.flash || v.constraints.ram,
          [&](Fields& g) { describe_constraints(g, v.constraints); });
  f.block({.name = "export", .help = "what is written"}, true,
          [&](Fields& g) { describe_export(g, v.output); });
  f.block({.name = "run", .help = "how it is run"}, true,
          [&](Fields& g) { describe_run(g, v.run); });
  if (v.qat && !v.data.train) {
    f.refuse("passes", "pass 'qat' needs samples in 'data.train'");
  }
  if (v.qat && !v.has_ptq) {
    f.refuse("passes", "pass 'qat' trains what 'ptq' chose: put 'ptq' before it");
  }
  const bool has_teacher =
      v.qat && (v.qat->loss.distillation > 0 || v.qat->loss.features > 0);
  if (has_teacher && v.replace_activations) {
    f.refuse("passes",
             "pass 'qat' cannot distil after 'replace_activations': its teacher would "
             "have the new activations, which its weights were not trained for");
  }
  if (v.mixed_precision && !v.has_ptq) {
    f.refuse("passes", "'mixed_precision' needs the step 'ptq', which it starts from");
  }
  if (v.analog && !v.data.eval) {
    f.refuse("evaluate", "'evaluate.analog' needs labelled samples in 'data.eval'");
  }
  if (v.constraints.max_drop && !v.data.eval && !v.data.gate) {
    f.refuse("constraints",
             "'constraints.max_drop' needs labelled samples in 'data.eval'");
  }
}

std::string CompressConfig::name() const {
  return output.name.empty() ? model.path.stem().string() : output.name;
}

std::filesystem::path CompressConfig::folder() const {
  return output.dir.empty() ? std::filesystem::path("out") / name() : output.dir;
}

int CompressConfig::threads() const {
  return run.threads > 0 ? run.threads : default_threads();
}

CompressConfig read_config(const std::filesystem::path& file,
                           const std::vector<std::string>& overrides) {
  CompressConfig config;
  config.file = file;
  std::string text;
  try {
    text = read_file(file, config::kMaxTextBytes);
  } catch (const Error& e) {
    // A configuration that cannot be read is a fault of the command, not of the data.
    throw Error(ExitCode::Usage, e.where(), e.message(), e.hint());
  }
  config::Source source{file, std::move(text), overrides};
  config.written = config::read(source, [&](Fields& f) { describe(f, config); });
  return config;
}

std::string resolved_yaml(const CompressConfig& config) {
  CompressConfig copy = config;
  return "# Every setting that can change the result. Paths are relative to the folder "
         "of the\n"
         "# configuration that this was made from.\n" +
         config::write_yaml([&](Fields& f) { describe(f, copy); },
                            config::YamlStyle::Plain, config.written);
}

std::string config_reference() {
  CompressConfig defaults;
  return config::write_reference([&](Fields& f) { describe(f, defaults); });
}

}  // namespace qopt::pipeline
