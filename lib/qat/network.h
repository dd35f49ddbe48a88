// SPDX-License-Identifier: MIT
// Network: a graph that trains. Runs the training graph (batch norm apart from its layer)
// with fake quantisation as a hook on values, owns what learns, and freezes it all into
// the Encoded graph it started from. Knows no data, losses or schedules.
#pragma once

#include <ATen/ATen.h>

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "lib/aten/semantics.h"
#include "lib/graph/graph.h"
#include "lib/qat/checkpoint.h"
#include "lib/qat/fake_quantizer.h"
#include "lib/qat/qat.h"

namespace qopt::qat {

/// What an optimiser may treat apart.
enum class Group { Weights, Other, Steps, DecayedSteps };

struct Parameter {
  std::string name;
  at::Tensor tensor;  // a leaf
  Group group = Group::Other;
};

/// Running statistics of one batch norm.
struct NormState {
  std::string name;  // of the batch norm's result
  at::Tensor mean, variance;
};

class Network {
 public:
  /// `training` is canonicalize_for_training of the model at the training batch,
  /// `encoded` the Encoded graph (batch 1) whose encodings are the start. Both come from
  /// one model, so that values are known by name. Throws Error(ModelUnsupported) naming
  /// the first value that has no counterpart.
  Network(const Graph& training, const Graph& encoded, const QatConfig& config,
          at::Device device = at::kCPU);
  ~Network();
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  enum class Mode {
    Float,       // the original: no quantisation, running statistics, original weights
    TrainFloat,  // the trained weights unquantised, statistics of the batch
    Train,       // quantised, statistics of the batch, noise where an estimator has it
    Evaluate,    // quantised, running statistics
  };
  struct Pass {
    Mode mode = Mode::Train;
    bool batch_statistics = true;  // of Train: false uses the running ones
    Rng* noise = nullptr;
    // Sees batch statistics (mean, unbiased-by-nothing variance) by index into norms().
    std::function<void(std::size_t, const at::Tensor&, const at::Tensor&)> observe = {};
    // Receives the value of this name ("" none), for feature distillation.
    std::string tap = {};
    at::Tensor* tapped = nullptr;
  };
  /// Normal weights of deviation sqrt(2 / fan-in) (He 2015), factors 1, offsets and
  /// biases 0; steps are fitted to the new weights.
  void randomize(std::uint64_t seed);

  /// Outputs in graph order. Const and thread-safe; gradients flow to parameters().
  std::vector<at::Tensor> forward(std::span<const at::Tensor> inputs,
                                  const Pass& pass) const;

  std::vector<Parameter>& parameters() { return parameters_; }
  const std::vector<Parameter>& parameters() const { return parameters_; }
  std::vector<NormState>& norms() { return norms_; }
  const std::vector<NormState>& norms() const { return norms_; }

  /// Everything that makes up the network's state at a step, named: parameters, steps and
  /// offsets that do not learn, statistics. Writing into the tensors puts a state back.
  std::vector<Checkpoint::Entry> state();

  /// Between gradients and optimiser: estimators that blend move latent weights towards
  /// the quantised ones, y <- (1 - blend) y + blend w (BCGD).
  void before_step(double blend);
  /// After the optimiser: estimators that project recompute their steps; steps stay
  /// positive, batch-norm factors too (a layer's codes keep their sign when the factor is
  /// folded into the scale).
  void after_step();

  /// Codes of every quantised layer at present, by layer in graph order.
  struct LayerCodes {
    std::string layer;
    std::vector<std::int8_t> codes;
  };
  std::vector<LayerCodes> codes() const;

  /// The Encoded graph with everything that was learned, batch norm folded: what
  /// Evaluate computes, ready to lower.
  Graph freeze() const;

  /// Name of the input of the last layer with weights: the usual features.
  const std::string& feature_value() const { return feature_value_; }

 private:
  struct Layer;
  class Semantics;

  void add_layers(const QatConfig& config);
  void add_norm(Layer& layer);
  void add_quantizers(const QatConfig& config);
  void bypass_clamps();
  void find_analog_ranges();
  void quantize_operands();
  void require_counterparts() const;
  ValueId trained_value(const std::string& encoded_name) const;
  std::vector<double> norm_factors(const Layer& layer) const;  // gamma / deviation
  bool is_analog(const Pass& pass) const;
  const Layer& layer_of_norm(std::size_t norm) const;
  void freeze_layer(Graph& graph, const Layer& layer) const;

  Graph training_, encoded_;
  at::Device device_;
  aten::FloatSemantics original_;
  aten::FloatSemantics quantized_;  // original_ with constant operands as encoded
  std::vector<Layer> layers_;
  std::vector<std::unique_ptr<FakeQuantizer>> quantizers_;  // activations
  std::vector<std::string> quantizer_names_;                // of their first values
  std::optional<AnalogTraining> analog_;
  std::map<std::uint32_t, std::size_t> layer_of_;      // by training value
  std::map<std::uint32_t, std::size_t> quantizer_of_;  // by training value
  std::map<std::uint32_t, std::size_t> quantizer_of_encoded_;
  std::map<std::uint32_t, std::size_t> norm_of_;  // by batch norm's result
  // Where batch norm stands apart, what the Encoded graph calls the layer's result is the
  // batch norm's result here, and the values before it are no values there.
  std::map<std::string, std::optional<ValueId>> moved_;
  std::vector<bool> bypassed_;  // clamps that the quantiser's levels do already
  std::vector<Parameter> parameters_;
  std::vector<NormState> norms_;
  std::string feature_value_;
};

}  // namespace qopt::qat
