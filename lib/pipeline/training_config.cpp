// SPDX-License-Identifier: MIT
// The keys of the step `qat`: one description for reading, dumps, schema and reference.
#include <fmt/format.h>

#include "lib/pipeline/compress_config.h"
#include "lib/qat/estimators.h"

namespace qopt::pipeline {
namespace {

using config::Count;
using config::Fields;
using config::Spelling;

constexpr Spelling<qat::Optimizer> kOptimizers[] = {{qat::Optimizer::Sgd, "sgd"},
                                                    {qat::Optimizer::AdamW, "adamw"}};
constexpr Spelling<qat::Schedule> kSchedules[] = {{qat::Schedule::Cosine, "cosine"},
                                                  {qat::Schedule::Step, "step"},
                                                  {qat::Schedule::Constant, "constant"}};
constexpr Spelling<qat::Start> kStarts[] = {{qat::Start::Model, "model"},
                                            {qat::Start::Random, "random"}};
constexpr Spelling<qat::BatchNorms> kBatchNorms[] = {{qat::BatchNorms::Train, "train"},
                                                     {qat::BatchNorms::Freeze, "freeze"}};

config::Type estimator(bool of_weights) {
  std::vector<std::string> names;
  for (const qat::Estimator& row : qat::estimators()) {
    if (of_weights ? row.for_weights : row.for_activations) names.emplace_back(row.name);
  }
  return config::choice(std::move(names));
}
config::Type factor() { return config::real(0, 1e6); }

void describe_loss(Fields& f, qat::LossConfig& v) {
  f.key({.name = "cross_entropy", .help = "factor, with labels"}, factor(),
        v.cross_entropy);
  f.key({.name = "label_smoothing", .help = "of cross_entropy"}, config::real(0, 0.99),
        v.label_smoothing);
  f.key({.name = "mse", .help = "factor, outputs against one-hot labels"}, factor(),
        v.mse);
  f.key({.name = "l1", .help = "factor, outputs against one-hot labels"}, factor(), v.l1);
  f.key({.name = "distillation",
         .help = "factor, divergence from the float model's scores; needs no labels"},
        factor(), v.distillation);
  f.key({.name = "temperature", .help = "of distillation"}, config::real(0.1, 100),
        v.temperature);
  f.key({.name = "features",
         .help = "factor, square error of feature_value against the float model's"},
        factor(), v.features);
  f.key({.name = "feature_value",
         .help = "name of a value; absent: what the last layer reads"},
        config::text(), v.feature_value);
}

void describe_optimizer(Fields& f, qat::QatConfig& v) {
  f.enumeration({.name = "kind", .help = "method"}, kOptimizers, v.optimizer);
  f.key({.name = "learning_rate", .help = "at its highest"}, config::real(0, 100),
        v.learning_rate);
  f.key({.name = "final_learning_rate", .help = "of schedule cosine at the end"},
        config::real(0, 100), v.final_learning_rate);
  f.key({.name = "momentum", .help = "of sgd"}, config::real(0, 0.9999), v.momentum);
  f.key({.name = "nesterov", .help = "look ahead, of sgd"}, v.nesterov);
  f.key({.name = "weight_decay",
         .help = "of weights and pact's bounds; steps, biases and batch norm have none"},
        config::real(0, 1), v.weight_decay);
  f.key({.name = "step_learning_rate",
         .help = "factor on the learning rate of steps and offsets"},
        factor(), v.step_learning_rate);
  f.key({.name = "clip_norm", .help = "largest norm of all gradients together; 0: none"},
        factor(), v.clip_norm);
  f.enumeration({.name = "schedule", .help = "how the learning rate falls"}, kSchedules,
                v.schedule);
  f.key({.name = "warmup_epochs", .help = "rise from 0 at the start"},
        config::real(0, 1e6), v.warmup_epochs);
  f.list({.name = "milestones", .help = "epochs of schedule step", .example = "[10, 15]"},
         config::real(0, 1e6), Count{1, 64}, v.milestones);
  f.key({.name = "decay", .help = "factor at each milestone"}, config::real(0, 1),
        v.decay);
}

}  // namespace

void describe(Fields& f, qat::QatConfig& v) {
  f.key({.name = "weights", .help = "estimator of the weights"}, estimator(true),
        v.weight_estimator);
  f.key({.name = "activations", .help = "estimator of the activations"}, estimator(false),
        v.activation_estimator);
  f.key({.name = "ewgs_delta", .help = "scaling factor of estimator ewgs"},
        config::real(0, 1), v.ewgs_delta);
  f.key({.name = "blend", .help = "rho of estimator blended"}, config::real(0, 1),
        v.blend);
  f.key({.name = "epochs", .help = "passes over the training set"},
        config::real(1e-6, 1e6), v.epochs);
  f.key({.name = "batch", .help = "samples a step"}, config::integer(1, 1 << 20),
        v.batch);
  f.key({.name = "shards",
         .help = "equal parts of a batch that run side by side, each with its own batch "
                 "norm; the result depends on it, not on the threads"},
        config::integer(1, 256), v.shards);
  f.block({.name = "loss", .help = "what is minimised"}, true,
          [&](Fields& g) { describe_loss(g, v.loss); });
  f.block({.name = "optimizer", .help = "how it is minimised"}, true,
          [&](Fields& g) { describe_optimizer(g, v); });
  f.block(
      {.name = "augment", .help = "changes to training images"}, true, [&](Fields& g) {
        g.key({.name = "crop", .help = "shift by up to this many pixels, zeros beyond"},
              config::integer(0, 1024), v.augment.crop);
        g.key({.name = "flip", .help = "mirror left to right, half of the time"},
              v.augment.flip);
      });
  f.enumeration({.name = "start", .help = "weights to start from"}, kStarts, v.start);
  f.optional_block(
      {.name = "analog",
       .help = "train for analog hardware: what enters a layer and its weights lose "
               "precision and gain noise, in place of fake quantisation"},
      v.analog, [](Fields& g, qat::AnalogTraining& a) {
        g.key({.name = "bits", .help = "2^bits - 1 levels per unit"},
              config::integer(1, 24), a.bits);
        g.key({.name = "leakage", .help = "probability that noise leaves a level"},
              config::real(0, 0.999), a.leakage);
        g.key({.name = "readout", .help = "also what leaves a layer"}, a.readout);
      });
  f.key({.name = "ema", .help = "decay of averaged weights, which are judged; 0: none"},
        config::real(0, 0.999999), v.ema);
  f.enumeration({.name = "batch_norm",
                 .help = "train by the batch's statistics, or freeze the model's"},
                kBatchNorms, v.batch_norm);
  f.key({.name = "freeze_batch_norm_epoch",
         .help = "from this epoch on with running statistics; below 0: never"},
        config::real(-1, 1e6), v.freeze_batch_norm_epoch);
  f.key({.name = "reestimate_batches",
         .help = "parts of batches for batch norm's statistics before a judgement"},
        config::integer(1, 1 << 20), v.reestimate_batches);
  f.key({.name = "selection_samples",
         .help = "held out of data.train to select the best state, without "
                 "data.selection"},
        config::integer(1, 1LL << 40), v.selection_samples);
  f.key({.name = "evaluate_every", .help = "epochs between judged states"},
        config::real(1e-3, 1e6), v.evaluate_every);
  f.key({.name = "checkpoint_seconds",
         .help = "between checkpoints; the result does not depend on it",
         .recorded = false},
        config::real(0, 1e6), v.checkpoint_seconds);
  if (v.batch % v.shards != 0) {
    f.refuse("shards", fmt::format("'batch' of {} cannot be split into {} equal shards",
                                   v.batch, v.shards));
  }
}

}  // namespace qopt::pipeline
