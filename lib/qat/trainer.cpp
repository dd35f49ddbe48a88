// SPDX-License-Identifier: MIT
// The training loop: steps over shards in parallel, visits that are judged, the best one
// kept, checkpoints on the way.
#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <numeric>

#include "lib/core/files.h"
#include "lib/core/interrupt.h"
#include "lib/core/names.h"
#include "lib/core/parallel.h"
#include "lib/qat/batches.h"
#include "lib/qat/checkpoint.h"
#include "lib/qat/history.h"
#include "lib/qat/losses.h"
#include "lib/qat/network.h"
#include "lib/qat/optimizers.h"
#include "lib/qat/qat.h"
#include "lib/qat/schedule.h"

namespace qopt::qat {
namespace {

/// A mean loss this many times that of the first stretch will not come back.
constexpr double kDiverged = 20;

/// What a step's parts found.
struct Part {
  double loss = 0;
  std::int64_t correct = 0, count = 0;
  std::vector<at::Tensor> gradients;
};

at::Device device_of(const QatRun& run) {
  if (!run.cuda) return at::kCPU;
  if (!at::hasCUDA()) {
    throw Error(ExitCode::Usage, "run.device", "this LibTorch finds no CUDA device",
                "use device: cpu, or a LibTorch with CUDA and its driver");
  }
  return at::Device(at::kCUDA, 0);
}

class Trainer {
 public:
  Trainer(const QatConfig& config, const QatRun& run)
      : config_(config),
        run_(run),
        network_(run.training, run.encoded, config, device_of(run)),
        part_size_(std::max<std::int64_t>(1, config.batch / config.shards)),
        batches_(run.samples, part_size_, config.shards, config.augment, run.seed),
        plain_(run.samples, part_size_, 1, {}, run.seed),
        optimizers_(network_.parameters(), config),
        folder_(run.checkpoint),
        total_(std::max<std::int64_t>(
            1, std::llround(config.epochs *
                            static_cast<double>(batches_.steps_per_epoch())))),
        visit_every_(std::max<std::int64_t>(
            1, std::llround(config.evaluate_every *
                            static_cast<double>(batches_.steps_per_epoch())))) {
    if (config.batch % config.shards != 0) {
      throw Error(ExitCode::Usage, "qat.batch",
                  fmt::format("{} samples cannot be split into {} equal shards",
                              config.batch, config.shards));
    }
    const auto features = run.training.find(feature_value());
    if (config.loss.features > 0 && !(features && run.training.producer(*features))) {
      throw Error(
          ExitCode::Usage, "qat.loss.feature_value",
          fmt::format("the model computes no value '{}'", printable(feature_value())),
          "'qopt inspect' lists their names");
    }
    for (const Network::LayerCodes& layer : network_.codes()) {
      result_.flips.push_back({layer.layer, {}});
      layer_sizes_.push_back(static_cast<double>(layer.codes.size()));
    }
    stretch_.flips.assign(result_.flips.size(), 0);
    if (config.start == Start::Random) network_.randomize(run.seed);
    if (config.ema > 0) average_ = copy_of(parameters());
  }

  QatResult run() {
    if (!resume()) {
      result_.start_score = score_of(run_.encoded);
      visit();
    }
    codes_ = network_.codes();
    last_write_ = Clock::now();
    while (step_ < total_) {
      try {
        throw_if_interrupted();
        train_step();
      } catch (const Error& e) {
        if (e.code() == ExitCode::Interrupted) write_checkpoint();
        throw;
      }
      ++step_;
      count_flips();
      if (run_.status) run_.status(status());
      const bool at_visit = step_ % visit_every_ == 0 || step_ == total_;
      if (at_visit) visit();
      const std::chrono::duration<double> since = Clock::now() - last_write_;
      if (at_visit || since.count() >= config_.checkpoint_seconds) write_checkpoint();
      if (run_.progress) run_.progress(step_, total_);
    }
    put(state(), best_);
    result_.graph = network_.freeze();
    result_.steps = total_;
    if (result_.start_score > best_score_) {
      result_.findings.push_back(fmt::format(
          "on the selection samples the untrained network scores {:.2f}, the trained one "
          "{:.2f}: if the float model was trained on these samples that is memory; "
          "otherwise train longer, or leave 'qat' out",
          result_.start_score, best_score_));
    }
    if (result_.best_step != total_) {
      result_.findings.push_back(
          fmt::format("the best of {} visited states was that of step {}, not the last "
                      "one of step {}",
                      result_.visits.size(), result_.best_step, total_));
    }
    return std::move(result_);
  }

 private:
  using Clock = std::chrono::steady_clock;

  // ------------------------------------------------------------------------ one step
  void train_step() {
    batches_.begin_step(step_);
    const std::vector<at::Tensor> leaves = parameters();
    std::vector<Part> parts(static_cast<std::size_t>(config_.shards));
    parallel_for(config_.shards, run_.threads, [&](std::int64_t shard, int) {
      at::init_num_threads();  // one a worker: results do not depend on their number
      parts[static_cast<std::size_t>(shard)] = run_part(shard, leaves);
    });
    const double share = 1.0 / static_cast<double>(config_.shards);
    std::vector<at::Tensor> gradients(leaves.size());
    double loss = 0;
    for (Part& part : parts) {
      loss += part.loss * share;
      stretch_.correct += part.correct, stretch_.count += part.count;
      for (std::size_t i = 0; i < gradients.size(); ++i) {
        if (!part.gradients[i].defined()) continue;
        if (gradients[i].defined()) {
          gradients[i].add_(part.gradients[i]);
        } else {
          gradients[i] = part.gradients[i].clone();
        }
      }
    }
    if (!std::isfinite(loss)) diverged(fmt::format("the loss is {}", loss));
    stretch_.loss += loss, ++stretch_.steps;
    for (at::Tensor& gradient : gradients) {
      if (gradient.defined()) gradient.mul_(share);
    }
    // Nothing before this changes the network, so a step that is interrupted never was.
    network_.before_step(config_.blend);
    optimizers_.step(gradients,
                     learning_rate(config_, step_, total_, batches_.steps_per_epoch()));
    // Quantisers would hide it from the loss: NaN encodes as zero, infinity clamps.
    std::vector<at::Tensor> finite;
    for (const at::Tensor& leaf : leaves) finite.push_back(leaf.isfinite().all());
    if (!at::stack(finite).all().item<bool>()) diverged("a parameter is not finite");
    network_.after_step();
    if (config_.ema > 0) follow_average();
  }

  Part run_part(std::int64_t shard, const std::vector<at::Tensor>& leaves) const {
    const Batch batch = moved(batches_.part(step_, shard));
    Rng noise = stream(run_.seed, Purpose::Noise, static_cast<std::uint64_t>(step_),
                       static_cast<std::uint64_t>(shard));
    const bool wants_features = config_.loss.features > 0;
    LossInputs in;
    in.labels = batch.labels;
    if (needs_teacher(config_.loss)) {
      const at::NoGradGuard no_grad;
      Network::Pass pass{.mode = Network::Mode::Float};
      if (wants_features) pass.tap = feature_value(), pass.tapped = &in.wanted;
      in.teacher = network_.forward(batch.inputs, pass).at(0);
    }
    Network::Pass pass{.mode = Network::Mode::Train,
                       .batch_statistics = !norms_frozen(),
                       .noise = &noise};
    if (wants_features) pass.tap = feature_value(), pass.tapped = &in.features;
    in.scores = network_.forward(batch.inputs, pass).at(0);
    const at::Tensor loss = loss_of(config_.loss, in);
    Part part;
    part.loss = loss.item<double>();
    part.gradients = torch::autograd::grad({loss}, leaves, {}, false, false, true);
    if (batch.labels.defined()) {
      part.count = batch.labels.size(0);
      part.correct = in.scores.argmax(1).eq(batch.labels).sum().item<std::int64_t>();
    }
    return part;
  }

  Batch moved(Batch batch) const {
    if (!run_.cuda) return batch;
    for (at::Tensor& input : batch.inputs) input = input.to(at::kCUDA);
    if (batch.labels.defined()) batch.labels = batch.labels.to(at::kCUDA);
    return batch;
  }

  std::string feature_value() const {
    return config_.loss.feature_value.empty() ? network_.feature_value()
                                              : config_.loss.feature_value;
  }

  bool norms_frozen() const {
    if (config_.batch_norm == BatchNorms::Freeze) return true;
    const double from = config_.freeze_batch_norm_epoch;
    return from >= 0 && epoch() >= from;
  }

  double epoch() const {
    return static_cast<double>(step_) / static_cast<double>(batches_.steps_per_epoch());
  }

  void follow_average() {
    const at::NoGradGuard no_grad;
    const std::vector<at::Tensor> now = parameters();
    for (std::size_t i = 0; i < now.size(); ++i) {
      average_[i].mul_(config_.ema).add_(now[i], 1 - config_.ema);
    }
  }

  [[noreturn]] void diverged(const std::string& why) const {
    std::vector<std::string> damaged;
    const bool has_checkpoint = folder_.read(run_.identity, damaged).has_value();
    throw Error(ExitCode::Infeasible, fmt::format("training step {}", step_),
                fmt::format("training diverged: {}", why),
                fmt::format("lower qat.learning_rate{}",
                            run_.checkpoint.empty() ? std::string()
                            : has_checkpoint ? "; the last good checkpoint is in " +
                                                   printable(run_.checkpoint.string())
                                             : "; there was no checkpoint yet"));
  }

  /// The score of the network as it is. The start could be lowered: if a later state can
  /// not, its numbers have grown beyond what integers hold.
  double score_of_network() {
    try {
      return score_of(network_.freeze());
    } catch (const Error& e) {
      if (step_ == 0 || e.code() != ExitCode::ModelUnsupported) throw;
      diverged(e.what());
    }
  }

  std::string status() const {
    std::string text =
        fmt::format("loss {:.3f}", stretch_.loss / static_cast<double>(stretch_.steps));
    if (stretch_.count > 0)
      text += fmt::format(", training {:.1f} %", stretch_.accuracy());
    return text;
  }

  // ------------------------------------------------------------------------ visits
  /// Batch norm's statistics for the weights as they are now: means over plain batches.
  void reestimate() {
    std::vector<NormState>& norms = network_.norms();
    if (norms.empty() || norms_frozen()) return;
    const std::int64_t count =
        std::min(config_.reestimate_batches, plain_.steps_per_epoch());
    plain_.begin_step(0);
    struct Seen {
      std::vector<at::Tensor> mean, variance;  // by norm
    };
    std::vector<Seen> seen(static_cast<std::size_t>(count));
    parallel_for(count, run_.threads, [&](std::int64_t i, int) {
      at::init_num_threads();
      const at::NoGradGuard no_grad;
      Seen& mine = seen[static_cast<std::size_t>(i)];
      mine.mean.resize(norms.size()), mine.variance.resize(norms.size());
      // With the noise of training, where there is any: the statistics belong to it.
      Rng noise =
          stream(run_.seed, Purpose::Statistics, static_cast<std::uint64_t>(step_),
                 static_cast<std::uint64_t>(i));
      Network::Pass pass{
          .mode = Network::Mode::Train, .batch_statistics = true, .noise = &noise};
      pass.observe = [&](std::size_t norm, const at::Tensor& mean,
                         const at::Tensor& variance) {
        mine.mean[norm] = mean.to(at::kDouble);
        mine.variance[norm] = variance.to(at::kDouble);
      };
      network_.forward(moved(plain_.part(i, 0)).inputs, pass);
    });
    for (std::size_t n = 0; n < norms.size(); ++n) {
      const double share = 1.0 / static_cast<double>(count);
      at::Tensor mean = at::zeros_like(seen[0].mean[n]), variance = at::zeros_like(mean);
      for (const Seen& one : seen) mean.add_(one.mean[n], share);
      for (const Seen& one : seen) {
        variance.add_(one.variance[n] + (one.mean[n] - mean).square(), share);
      }
      // In place: state() hands these tensors out.
      norms[n].mean.copy_(mean), norms[n].variance.copy_(variance);
    }
  }

  void visit() {
    std::vector<at::Tensor> own;
    if (config_.ema > 0) {
      own = copy_of(state());
      put(parameters(), average_);
      network_.after_step();
    }
    reestimate();
    Visit visit;
    visit.step = step_, visit.epoch = epoch();
    visit.learning_rate = learning_rate(config_, std::max<std::int64_t>(0, step_ - 1),
                                        total_, batches_.steps_per_epoch());
    if (stretch_.steps > 0)
      visit.loss = stretch_.loss / static_cast<double>(stretch_.steps);
    if (stretch_.count > 0) visit.accuracy = stretch_.accuracy();
    std::int64_t flips = 0;
    for (std::size_t l = 0; l < stretch_.flips.size(); ++l) {
      flips += stretch_.flips[l];
      if (step_ > 0) {
        result_.flips[l].share.push_back(static_cast<double>(stretch_.flips[l]) /
                                         layer_sizes_[l] /
                                         static_cast<double>(stretch_.steps));
      }
    }
    if (stretch_.steps > 0) {
      const double codes = std::accumulate(layer_sizes_.begin(), layer_sizes_.end(), 0.0);
      visit.flips =
          static_cast<double>(flips) / codes / static_cast<double>(stretch_.steps);
    }
    const double first = result_.visits.size() > 1 ? result_.visits[1].loss : 0;
    if (first > 0 && visit.loss > kDiverged * std::max(first, 1.0)) {
      diverged(
          fmt::format("the mean loss grew from {:.3g} to {:.3g}", first, visit.loss));
    }
    visit.hash = hash();
    visit.score = score_of_network();
    // The start does not compete: the float model may have learned the selection samples
    // by heart, which training on others makes it forget.
    const bool is_first = result_.visits.size() == 1;
    visit.best = step_ > 0 && (is_first || visit.score > best_score_);
    if (visit.best || step_ == 0) {
      best_score_ = visit.score;
      result_.best_step = step_;
      best_ = copy_of(state());
    }
    result_.visits.push_back(visit);
    if (run_.note) run_.note(text_of(visit));
    stretch_ = {};
    stretch_.flips.assign(result_.flips.size(), 0);
    if (config_.ema > 0) put_back(own);
  }

  /// The state before the averages took its place, steps too: fitting them anew would
  /// start from where the averages left them. Statistics stay re-estimated.
  void put_back(const std::vector<at::Tensor>& own) {
    const auto entries = network_.state();
    for (std::size_t i = 0; i < entries.size(); ++i) {
      const std::string& name = entries[i].name;
      if (name.ends_with(".mean") || name.ends_with(".variance")) continue;
      put({entries[i].tensor}, {own[i]});
    }
  }

  /// Finite, so that it can be compared and kept in a checkpoint: an exact result is the
  /// best, none at all the worst.
  double score_of(const Graph& candidate) const {
    const double score = run_.judge(candidate);
    constexpr double kMost = std::numeric_limits<double>::max();
    return std::isnan(score) ? -kMost : std::clamp(score, -kMost, kMost);
  }

  std::string hash() const {
    std::string all;
    for (const Network::LayerCodes& layer : network_.codes()) {
      all.append(reinterpret_cast<const char*>(layer.codes.data()), layer.codes.size());
    }
    return sha256_hex(all);
  }

  void count_flips() {
    std::vector<Network::LayerCodes> now = network_.codes();
    for (std::size_t l = 0; l < now.size(); ++l) {
      std::int64_t& changed = stretch_.flips[l];
      for (std::size_t i = 0; i < now[l].codes.size(); ++i) {
        changed += now[l].codes[i] != codes_[l].codes[i] ? 1 : 0;
      }
    }
    codes_ = std::move(now);
  }

  // ------------------------------------------------------------------------ state
  std::vector<at::Tensor> parameters() {
    std::vector<at::Tensor> tensors;
    for (const Parameter& p : network_.parameters()) tensors.push_back(p.tensor);
    return tensors;
  }
  std::vector<at::Tensor> state() {
    std::vector<at::Tensor> tensors;
    for (const Checkpoint::Entry& entry : network_.state())
      tensors.push_back(entry.tensor);
    return tensors;
  }
  static std::vector<at::Tensor> copy_of(const std::vector<at::Tensor>& tensors) {
    std::vector<at::Tensor> copies;
    for (const at::Tensor& t : tensors) copies.push_back(t.detach().clone());
    return copies;
  }
  static void put(const std::vector<at::Tensor>& into,
                  const std::vector<at::Tensor>& from) {
    const at::NoGradGuard no_grad;
    for (std::size_t i = 0; i < into.size(); ++i) at::Tensor(into[i]).copy_(from[i]);
  }

  void write_checkpoint() {
    last_write_ = Clock::now();
    if (run_.checkpoint.empty()) return;
    Checkpoint c;
    c.step = step_, c.identity = run_.identity;
    const auto names = network_.state();
    for (std::size_t i = 0; i < names.size(); ++i) {
      c.tensors.push_back({"now/" + names[i].name, names[i].tensor});
      c.tensors.push_back({"best/" + names[i].name, best_[i]});
    }
    for (std::size_t i = 0; i < average_.size(); ++i) {
      c.tensors.push_back({"average/" + network_.parameters()[i].name, average_[i]});
    }
    for (Checkpoint::Entry& entry : optimizers_.state()) c.tensors.push_back(entry);
    write_history(c.header, result_, stretch_, best_score_);
    folder_.write(c);
  }

  bool resume() {
    std::vector<std::string> notes;
    const std::optional<Checkpoint> found = folder_.read(run_.identity, notes);
    for (const std::string& note : notes) {
      if (run_.note) run_.note(note);
      result_.findings.push_back(note);
    }
    if (!found) return false;
    const auto names = network_.state();
    best_.clear();
    for (const Checkpoint::Entry& own : names) {
      put({own.tensor}, {entry_of(*found, "now/" + own.name, own.tensor)});
      best_.push_back(entry_of(*found, "best/" + own.name, own.tensor).clone());
    }
    for (std::size_t i = 0; i < average_.size(); ++i) {
      const std::string name = "average/" + network_.parameters()[i].name;
      put({average_[i]}, {entry_of(*found, name, average_[i])});
    }
    if (!optimizers_.restore(found->tensors)) misfit("its optimizer state does not fit");
    if (found->step < 0 || found->step > total_) {
      misfit(fmt::format("it is of step {} of {}", found->step, total_));
    }
    step_ = found->step;
    const auto fault = read_history(found->header, result_, stretch_, best_score_);
    if (fault) misfit(*fault);
    if (run_.note) run_.note(fmt::format("resumed at step {} of {}", step_, total_));
    return true;
  }

  [[noreturn]] void misfit(const std::string& why) const {
    throw Error(ExitCode::Data, printable(run_.checkpoint.string()),
                "the checkpoint cannot be used: " + printable(why),
                "remove the folder to start anew");
  }

  /// The tensor of that name, of the type and shape of `like`.
  const at::Tensor& entry_of(const Checkpoint& c, const std::string& name,
                             const at::Tensor& like) const {
    const auto at = std::ranges::find(c.tensors, name, &Checkpoint::Entry::name);
    if (at == c.tensors.end()) misfit(fmt::format("it has no '{}'", name));
    if (at->tensor.sizes() != like.sizes() ||
        at->tensor.scalar_type() != like.scalar_type()) {
      misfit(fmt::format("'{}' has another shape or type", name));
    }
    return at->tensor;
  }

  const QatConfig& config_;
  const QatRun& run_;
  Network network_;
  std::int64_t part_size_;
  Batches batches_, plain_;
  Optimizers optimizers_;
  CheckpointFolder folder_;
  std::int64_t total_, visit_every_, step_ = 0;
  std::vector<double> layer_sizes_;  // codes
  std::vector<at::Tensor> average_, best_;
  std::vector<Network::LayerCodes> codes_;
  double best_score_ = 0;
  Stretch stretch_;
  Clock::time_point last_write_;
  QatResult result_;
};

}  // namespace

QatResult train(const QatConfig& config, const QatRun& run) {
  return Trainer(config, run).run();
}

}  // namespace qopt::qat
