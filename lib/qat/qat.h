// SPDX-License-Identifier: MIT
// Quantization-aware training: settings, and the call that trains the encodings and
// weights of an Encoded graph. Writes encodings and constants; knows no lowering, no
// export: who judges a candidate is handed in.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "lib/data/dataset.h"
#include "lib/graph/graph.h"

namespace qopt::qat {

enum class Optimizer { Sgd, AdamW };
enum class Schedule { Cosine, Step, Constant };
enum class BatchNorms { Train, Freeze };

/// Terms of the loss, each with its factor; 0 leaves it out.
struct LossConfig {
  double cross_entropy = 1.0;  // with labels
  double label_smoothing = 0.0;
  double mse = 0.0;  // outputs against one-hot labels
  double l1 = 0.0;   // outputs against one-hot labels
  // From the float original, without labels (Hinton 2015: KL at a temperature, times
  // T^2).
  double distillation = 0.0;
  double temperature = 4.0;
  double features = 0.0;        // MSE of a value against the original's
  std::string feature_value{};  // empty: what the last layer reads
};

struct Augment {
  std::int64_t crop = 0;  // pixels of zero padding, then a random crop to the size
  bool flip = false;      // left to right, half of the time
};

/// Analog hardware in place of fake quantisation while training: what enters a layer, and
/// its weights, are clamped, lose precision and gain noise (lib/aten/analog.h). One is
/// the largest real number of the encoding that ptq chose.
struct AnalogTraining {
  int bits = 4;
  double leakage = 0;    // probability to leave a level, below 1
  bool readout = false;  // also what leaves a layer
};

enum class Start { Model, Random };

struct QatConfig {
  std::string weight_estimator = "lsq", activation_estimator = "lsq";
  double ewgs_delta = 1e-3;
  double blend = 1e-5;  // rho of estimator blended
  LossConfig loss{};
  Augment augment{};
  std::optional<AnalogTraining> analog{};
  Start start = Start::Model;  // Random: normal weights by fan-in (He 2015), seeded

  Optimizer optimizer = Optimizer::Sgd;
  double learning_rate = 0.01, final_learning_rate = 0.0;
  double momentum = 0.9;
  bool nesterov = true;
  double weight_decay = 1e-4;
  double step_learning_rate = 1.0;  // factor on the learning rate of steps and offsets
  double clip_norm = 0.0;           // 0: no clipping
  Schedule schedule = Schedule::Cosine;
  double warmup_epochs = 0.0;
  std::vector<double> milestones{};  // Step: epochs at which the rate falls ...
  double decay = 0.1;                // ... by this factor

  double epochs = 10.0;
  std::int64_t batch = 100, shards = 2;  // shards: parts of a batch that run in parallel
  double ema = 0.0;                      // decay of the averaged weights; 0: none
  BatchNorms batch_norm = BatchNorms::Train;
  double freeze_batch_norm_epoch = -1;    // from here on running statistics; < 0: never
  std::int64_t reestimate_batches = 20;   // before every evaluation
  std::int64_t selection_samples = 1000;  // held out of the training set
  double evaluate_every = 1.0;            // epochs
  double checkpoint_seconds = 30.0;
};

/// A state of the quantised weights that was evaluated.
struct Visit {
  std::int64_t step = 0;
  double epoch = 0, learning_rate = 0;
  double loss = 0;      // mean training loss since the last visit
  double accuracy = 0;  // percent of the batches' samples since the last visit
  double score = 0;     // on the selection samples, higher is better
  std::string hash;     // SHA-256 of all weight codes
  double flips = 0;     // share of codes that changed a step, since the last visit
  bool best = false;    // the best so far
};

/// Share of a layer's codes that changed a step, in each stretch between visits.
struct LayerFlips {
  std::string layer;
  std::vector<double> share;
};

struct QatResult {
  Graph graph;  // Encoded: the best visited state
  std::vector<Visit> visits;
  std::vector<LayerFlips> flips;
  std::int64_t steps = 0, best_step = 0;
  double start_score = 0;  // of the graph as it came
  std::vector<std::string> findings;
};

/// What a training run needs from outside.
struct QatRun {
  const Graph& training;         // canonicalize_for_training, at batch / shards samples
  const Graph& encoded;          // the start
  const data::Dataset& samples;  // training set
  // Score of an Encoded graph on the selection samples (higher is better), in exact
  // integers where the caller can.
  std::function<double(const Graph&)> judge;
  std::uint64_t seed = 1;
  int threads = 1;
  bool cuda = false;                   // on the first CUDA device
  std::filesystem::path checkpoint{};  // folder; empty: none are written
  std::string identity{};              // of configuration, model and data
  std::function<void(std::int64_t done, std::int64_t total)> progress = {};
  // After each step: mean loss and accuracy since the last visit, in words.
  std::function<void(const std::string&)> status = {};
  std::function<void(const std::string&)> note = {};
};

/// Trains. The result is the same for every number of threads, and for a run that was
/// killed and resumed from its checkpoint. Throws Error(Infeasible) when training
/// diverges, naming the step and the checkpoint that is left.
QatResult train(const QatConfig& config, const QatRun& run);

}  // namespace qopt::qat
