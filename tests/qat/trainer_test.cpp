// SPDX-License-Identifier: MIT
// Training as a whole: the same bytes for every number of threads and for a run that was
// stopped and went on; what diverges or does not fit ends with a clear error.
#include <atomic>
#include <fstream>
#include <limits>

#include "lib/core/files.h"
#include "lib/core/interrupt.h"
#include "lib/qat/checkpoint.h"
#include "tests/qat/support.h"
#include "tests/qat/toy.h"
#include "tests/support/catch.h"
#include "tests/support/temp_folder.h"

namespace qopt::qat {
namespace {

/// All that a run gives, as text: the graph with its constants, visits, flips.
std::string text_of(const QatResult& r) {
  std::string out = print(r.graph);
  for (const Value& value : r.graph.values()) {
    if (!value.constant) continue;
    out += value.name + " " + sha256_hex(value.constant->bytes()) + "\n";
  }
  for (const Visit& v : r.visits) {
    out += fmt::format("{} {:a} {:a} {:a} {:a} {:a} {} {:a} {}\n", v.step, v.epoch,
                       v.learning_rate, v.loss, v.accuracy, v.score, v.hash, v.flips,
                       v.best);
  }
  for (const LayerFlips& f : r.flips) {
    out += f.layer;
    for (const double share : f.share) out += fmt::format(" {:a}", share);
    out += '\n';
  }
  return out + fmt::format("{} {} {:a}\n", r.steps, r.best_step, r.start_score);
}

struct Variant {
  std::string name;
  std::function<void(QatConfig&)> change;
};
const std::vector<Variant> kVariants = {
    {"lsq", [](QatConfig&) {}},
    {"noise",
     [](QatConfig& c) {
       c.weight_estimator = c.activation_estimator = "noise";
       c.augment = {.crop = 1, .flip = true};
     }},
    {"blended, averaged",
     [](QatConfig& c) {
       c.weight_estimator = "blended", c.activation_estimator = "three_valued";
       c.blend = 0.3, c.ema = 0.7;
     }},
    {"AdamW, LSQ+, distillation of scores and features",
     [](QatConfig& c) {
       c.optimizer = Optimizer::AdamW, c.learning_rate = 0.002;
       c.activation_estimator = "lsq_plus";
       c.loss = {.cross_entropy = 0.5, .distillation = 1, .features = 0.1};
       c.clip_norm = 1;
     }},
    {"batch norm that freezes on the way",
     [](QatConfig& c) {
       c.freeze_batch_norm_epoch = 0.7, c.warmup_epochs = 0.3;
       c.activation_estimator = "pact";
     }},
};

TEST_CASE("training lifts the score, and keeps the best state") {
  const ToyJob job(bits(2, 2));
  QatConfig config = short_training();
  config.epochs = 4;
  const QatResult result = train(config, job.run());
  CHECK(result.steps == 40);
  REQUIRE(result.visits.size() == 9);  // at the start, then every five steps
  double best = -1;
  for (std::size_t i = 0; i < result.visits.size(); ++i) {
    const Visit& v = result.visits[i];
    CHECK(v.step == static_cast<std::int64_t>(5 * i));
    CHECK(v.best == (i > 0 && v.score > best));  // the start does not compete
    if (i > 0) best = std::max(best, v.score);
  }
  CHECK(job.accuracy(result.graph) == best);
  CHECK(best >= result.start_score + 20);
  CHECK(best >= 85);
  CHECK(result.visits.back().loss < result.visits[1].loss);
  for (const LayerFlips& layer : result.flips) {
    REQUIRE(layer.share.size() == 8);
    for (const double share : layer.share) CHECK((share >= 0 && share <= 1));
  }
}

TEST_CASE("results do not depend on the number of threads") {
  const ToyJob job(bits(2, 2));
  for (const Variant& variant : kVariants) {
    INFO(variant.name);
    QatConfig config = short_training();
    config.epochs = 1, config.shards = 4;
    variant.change(config);
    const ToyJob parts(bits(2, 2), kResidualNet, 4);
    QatRun run = parts.run();
    const std::string one = text_of(train(config, run));
    for (const int threads : {2, 4}) {
      run.threads = threads;
      CHECK(text_of(train(config, run)) == one);
    }
  }
}

/// Trains with interruptions where `stops` says, going on each time, and returns the
/// result as text.
std::string with_stops(const ToyJob& job, const QatConfig& config,
                       const std::vector<std::int64_t>& stops, bool inside_a_step) {
  const TempFolder temp;
  QatRun run = job.run();
  run.threads = 2;
  run.checkpoint = temp.path() / "checkpoints";
  std::size_t next = 0;
  std::int64_t step = 0;
  std::atomic<int> fetched = 0;
  const auto due = [&] { return next < stops.size() && step >= stops[next]; };
  run.progress = [&](std::int64_t done, std::int64_t) {
    step = done, fetched = 0;
    if (!inside_a_step && due()) set_interrupted(true);
  };
  std::string result;
  while (result.empty()) {
    if (inside_a_step) {
      // The tenth sample that a step fetches belongs to one of its parts, not to the
      // next.
      job.samples.before_sample = [&](std::int64_t) {
        if (++fetched == 10 && due()) set_interrupted(true);
      };
    }
    try {
      result = text_of(train(config, run));
    } catch (const Error& e) {
      set_interrupted(false);
      REQUIRE(e.code() == ExitCode::Interrupted);
      REQUIRE(next < stops.size());
      ++next;
    }
    job.samples.before_sample = {};
  }
  CHECK(next == stops.size());
  return result;
}

TEST_CASE("a run that was interrupted and went on ends in the same bytes") {
  const ToyJob job(bits(2, 2));
  for (const Variant& variant : kVariants) {
    INFO(variant.name);
    QatConfig config = short_training();
    variant.change(config);
    const std::string whole = text_of(train(config, job.run()));
    CHECK(with_stops(job, config, {3, 5, 12}, false) == whole);
    CHECK(with_stops(job, config, {2, 9, 16}, true) == whole);
  }
}

TEST_CASE("a run that was killed goes on from its last checkpoint, to the same bytes") {
  const ToyJob job(bits(2, 2));
  QatConfig config = short_training();
  const std::string whole = text_of(train(config, job.run()));
  config.checkpoint_seconds = 0;  // after every step
  struct Killed {};
  for (const std::int64_t at : {1, 7, 10, 19}) {
    const TempFolder temp;
    QatRun run = job.run();
    run.checkpoint = temp.path();
    run.progress = [&](std::int64_t done, std::int64_t) {
      if (done == at) throw Killed();
    };
    CHECK_THROWS_AS(train(config, run), Killed);
    // As if killed within a write: one file is half there.
    if (at == 7) {
      const std::string bytes = read_file(temp.path() / "a.ckpt");
      std::ofstream(temp.path() / "a.ckpt", std::ios::binary) << bytes.substr(0, 99);
    }
    std::vector<std::string> notes;
    run.progress = {};
    run.note = [&](const std::string& note) { notes.push_back(note); };
    CHECK(text_of(train(config, run)) == whole);
    bool resumed = false;
    for (const std::string& note : notes) {
      resumed |= note.find("resumed at step") != std::string::npos;
    }
    CHECK(resumed);
  }
}

std::string fault_of(const QatConfig& config, const QatRun& run, ExitCode code) {
  try {
    train(config, run);
  } catch (const Error& e) {
    CHECK(e.code() == code);
    return std::string(e.what());
  }
  return {};
}

TEST_CASE("a checkpoint whose contents do not fit is an error, not a crash") {
  const ToyJob job(bits(2, 2));
  QatConfig config = short_training();
  config.epochs = 0.5;
  const auto damaged = [&](const std::function<void(Checkpoint&)>& damage) {
    const TempFolder temp;
    QatRun run = job.run();
    run.checkpoint = temp.path();
    train(config, run);
    const CheckpointFolder folder(temp.path());
    std::vector<std::string> notes;
    std::optional<Checkpoint> c = folder.read("toy", notes);
    REQUIRE(c.has_value());
    c->step = 5;
    damage(*c);
    folder.remove();
    folder.write(*c);
    return fault_of(config, run, ExitCode::Data);
  };
  CHECK(damaged([](Checkpoint&) {}).empty());
  const auto message = has_text("checkpoint");
  CHECK_THAT(damaged([](Checkpoint& c) { c.tensors.erase(c.tensors.begin()); }), message);
  CHECK_THAT(damaged([](Checkpoint& c) { c.tensors[0].tensor = at::zeros({1}); }),
             message);
  CHECK_THAT(damaged([](Checkpoint& c) {
               c.tensors[0].tensor = c.tensors[0].tensor.to(at::kLong);
             }),
             message);
  CHECK_THAT(damaged([](Checkpoint& c) {
               for (auto& entry : c.tensors) {
                 if (entry.name.starts_with("momentum/"))
                   entry.tensor = at::zeros({1, 1});
               }
             }),
             message);
  CHECK_THAT(damaged([](Checkpoint& c) { c.header.erase("visits"); }), message);
  CHECK_THAT(damaged([](Checkpoint& c) { c.header["best_score"] = "high"; }), message);
  CHECK_THAT(damaged([](Checkpoint& c) { c.header["stretch"]["flips"] = {1}; }), message);
  CHECK_THAT(damaged([](Checkpoint& c) { c.step = -3; }), message);
  CHECK_THAT(damaged([](Checkpoint& c) { c.step = 1000000; }), message);
}

TEST_CASE("training that diverges says at which step and what is left") {
  const ToyJob job(bits(2, 2));
  QatConfig config = short_training();
  config.learning_rate = 1e30;
  const TempFolder temp;
  QatRun run = job.run();
  run.checkpoint = temp.path();
  const std::string fault = fault_of(config, run, ExitCode::Infeasible);
  CHECK_THAT(fault, has_text("training step") && has_text("diverged"));
  CHECK_THAT(fault, has_text("learning_rate") && has_text("no checkpoint yet"));
  CHECK(std::filesystem::is_empty(temp.path()));

  // Numbers that stay finite and outgrow what integers hold. What was written before is
  // there.
  config.learning_rate = 1e6;
  config.checkpoint_seconds = 0;
  CHECK_THAT(fault_of(config, run, ExitCode::Infeasible),
             has_text("diverged") && has_text("ratio of scales") &&
                 has_text("the last good checkpoint is in " + temp.path().string()));
  CHECK_FALSE(std::filesystem::is_empty(temp.path()));

  // A number that is not finite in the loss itself: the float original gives it.
  config = short_training();
  config.loss = {.cross_entropy = 0, .distillation = 1e308};
  CHECK_THAT(fault_of(config, job.run(), ExitCode::Infeasible),
             has_text("training step 0") && has_text("diverged"));
}

TEST_CASE("a score that is no number does not stop a run from going on") {
  const ToyJob job(bits(2, 2));
  QatConfig config = short_training();
  config.epochs = 1;
  const TempFolder temp;
  QatRun run = job.run();
  run.judge = [n = 0](const Graph&) mutable {
    return ++n % 2 == 0 ? std::numeric_limits<double>::infinity()
                        : std::numeric_limits<double>::quiet_NaN();
  };
  run.checkpoint = temp.path();
  const std::string whole = text_of(train(config, run));
  CHECK(text_of(train(config, run)) == whole);
}

TEST_CASE("a run on a CUDA device is the CPU's but for the order of sums") {
  const ToyJob job(bits(2, 2));
  QatConfig config = short_training();
  QatRun run = job.run();
  run.cuda = true;
  if (!at::hasCUDA()) {
    CHECK_THAT(fault_of(config, run, ExitCode::Usage), has_text("finds no CUDA device"));
    WARN("skipped: this LibTorch finds no CUDA device");
    return;
  }
  const QatResult there = train(config, run);
  run.cuda = false;
  const QatResult here = train(config, run);
  REQUIRE(there.visits.size() == here.visits.size());
  CHECK(there.start_score == here.start_score);
  // The same batches: rounding differs from the first step on, so losses stay near.
  CHECK(std::abs(there.visits[1].loss - here.visits[1].loss) < 0.1 * here.visits[1].loss);
  CHECK(there.visits.back().loss < there.visits[1].loss);
}

TEST_CASE("settings that do not fit are refused by their key") {
  const ToyJob job(bits(2, 2));
  QatConfig config = short_training();
  config.shards = 3;
  CHECK_THAT(fault_of(config, job.run(), ExitCode::Usage), has_text("qat.batch"));
  config = short_training();
  config.loss.features = 1, config.loss.feature_value = "nowhere";
  CHECK_THAT(fault_of(config, job.run(), ExitCode::Usage),
             has_text("feature_value") && has_text("nowhere"));
  config.loss.feature_value = "relu2";
  config.epochs = 0.2;
  CHECK(fault_of(config, job.run(), ExitCode::Usage).empty());
}

}  // namespace
}  // namespace qopt::qat
