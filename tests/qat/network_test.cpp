// SPDX-License-Identifier: MIT
// A Network against the executors that the rest of the house trusts: it starts where
// post-training quantization ended, and what it computes is what it freezes into.
#include "lib/qat/network.h"

#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <map>
#include <set>

#include "lib/aten/bridge.h"
#include "lib/ptq/layer_bits.h"
#include "tests/qat/support.h"
#include "tests/qat/toy.h"
#include "tests/support/catch.h"

namespace qopt::qat {
namespace {

const Value& named(const Graph& graph, const std::string& name) {
  const auto id = graph.find(name);
  INFO(name);
  REQUIRE(id.has_value());
  return graph.value(*id);
}

/// Samples first .. first + count of the set, as one batch.
at::Tensor batch_of(const data::Dataset& set, std::int64_t first, std::int64_t count) {
  std::vector<at::Tensor> all;
  for (std::int64_t i = 0; i < count; ++i) {
    all.push_back(aten::to_at(set.sample(first + i).inputs[0]));
  }
  return at::cat(all);
}

TEST_CASE("the training graph computes what the canonical one does, under its names") {
  for (const char* net : {kResidualNet, kLinearNet}) {
    const ToyJob job(bits(2, 2), net, 1);
    const aten::FloatExecutor canonical(job.canonical), training(job.training);
    for (std::int64_t i = 0; i < 5; ++i) {
      const auto inputs = job.selection.sample(i).inputs;
      const auto a = canonical.run(inputs), b = training.run(inputs);
      // Batch norm folded into float32 weights moves numbers by a few roundings of sums
      // of at most 128 terms.
      const at::Tensor x = aten::to_at(a[0]), y = aten::to_at(b[0]);
      CHECK((x - y).abs().max().item<double>() <=
            128 * 0x1p-23 * (1 + x.abs().max().item<double>()));
    }
    int norms = 0;
    for (const Node& node : job.training.nodes()) {
      norms += std::holds_alternative<op::BatchNorm>(node.op) ? 1 : 0;
    }
    CHECK(norms == (net == kResidualNet ? 2 : 0));
    for (const Node& node : job.canonical.nodes()) {
      const std::string& name = job.canonical.value(node.output).name;
      const auto twin = job.training.find(name);
      INFO(name);
      REQUIRE(twin.has_value());
      CHECK(job.training.nodes()[*job.training.producer(*twin)].op.index() ==
            node.op.index());
    }
  }
}

/// Checks that codes equal those of post-training quantization, except where the number
/// lies so near a tie that folding batch norm in another order decides.
void check_starts_from_ptq(const ToyJob& job, const QatConfig& config) {
  const Graph frozen = Network(job.training, job.encoded, config).freeze();
  REQUIRE(frozen.values().size() == job.encoded.values().size());
  for (std::size_t i = 0; i < frozen.values().size(); ++i) {
    const ValueId id{static_cast<std::uint32_t>(i)};
    const Value &now = frozen.value(id), &was = job.encoded.value(id);
    INFO(was.name);
    REQUIRE(now.encoding.has_value() == was.encoding.has_value());
    if (!now.encoding) {
      if (!now.constant) continue;
      const auto a = now.constant->values<float>(), b = was.constant->values<float>();
      for (std::size_t k = 0; k < a.size(); ++k) {
        CHECK(std::abs(a[k] - b[k]) <= 1e-5F * (1 + std::abs(b[k])));
      }
      continue;
    }
    const auto &e = std::get<Affine>(*now.encoding), &f = std::get<Affine>(*was.encoding);
    if (!now.constant) {
      CHECK(e == f);
      continue;
    }
    CHECK(e.levels == f.levels);
    CHECK(e.bits == f.bits);
    CHECK(e.axis == f.axis);
    CHECK(e.zero_point == f.zero_point);
    REQUIRE(e.scale.size() == f.scale.size());
    for (std::size_t c = 0; c < e.scale.size(); ++c) {
      CHECK(std::abs(e.scale[c] / f.scale[c] - 1) <= 1e-6F);
    }
    const Tensor codes = encode_tensor(*now.constant, e);
    const Tensor wanted = encode_tensor(*was.constant, f);
    const std::int64_t each = codes.size() / static_cast<std::int64_t>(f.scale.size());
    for (std::int64_t k = 0; k < codes.size(); ++k) {
      if (codes.integer_at(k) == wanted.integer_at(k)) continue;
      const float w = was.constant->values<float>()[static_cast<std::size_t>(k)];
      const float v = w / f.scale[static_cast<std::size_t>(k / each)];
      const float stride = f.levels == LevelSet::O ? 2 : 1;
      const float tie = f.levels == LevelSet::O ? v / 2 : v - 0.5F;
      CHECK(std::abs(tie - std::nearbyint(tie)) * stride <= 1e-4F);
      CHECK(std::abs(codes.integer_at(k) - wanted.integer_at(k)) <= stride);
    }
  }
}

TEST_CASE("an untrained network freezes into what post-training quantization gave") {
  QatConfig config = short_training();
  for (const char* net : {kResidualNet, kLinearNet}) {
    for (const ptq::PtqConfig& settings :
         {bits(8, 8, LevelSet::N), bits(4, 4), bits(2, 2), bits(1, 2, LevelSet::O),
          bits(3, 3, LevelSet::O), bits(2, 4, LevelSet::T), bits(4, 1)}) {
      INFO(text({settings.weights.levels, settings.weights.bits, {}, {}, {}}));
      const ToyJob job(settings, net);
      config.weight_estimator = config.activation_estimator = "lsq";
      check_starts_from_ptq(job, config);
      config.weight_estimator = config.activation_estimator = "clipped_relu";
      check_starts_from_ptq(job, config);
    }
  }
}

/// The network that train() made, put to the test: Evaluate equals the frozen graph's
/// simulation, and its integers follow as they do for post-training quantization.
void check_freezes_what_it_computes(const ToyJob& job, QatConfig config) {
  INFO(config.weight_estimator << ", " << config.activation_estimator);
  Network network(job.training, job.encoded, config);
  // Some steps of plain gradient descent, so that everything has moved.
  for (std::int64_t step = 0; step < 4; ++step) {
    const at::Tensor x = batch_of(job.samples, step * 8, 8);
    Rng noise(static_cast<std::uint64_t>(step));
    Network::Pass pass{.mode = Network::Mode::Train, .noise = &noise};
    pass.observe = [&](std::size_t n, const at::Tensor& mean, const at::Tensor& var) {
      network.norms()[n].mean.copy_(mean);
      network.norms()[n].variance.copy_(var);
    };
    const std::vector<at::Tensor> inputs = {x};
    const at::Tensor y = network.forward(inputs, pass).at(0);
    std::vector<at::Tensor> leaves;
    for (const Parameter& p : network.parameters()) leaves.push_back(p.tensor);
    const auto gradients =
        torch::autograd::grad({y.square().mean()}, leaves, {}, {}, false, true);
    const at::NoGradGuard no_grad;
    for (std::size_t i = 0; i < leaves.size(); ++i) {
      if (gradients[i].defined()) leaves[i].sub_(gradients[i].clamp(-1, 1), 0.02);
    }
    network.before_step(config.blend);
    network.after_step();
  }
  const Graph frozen = network.freeze();
  const aten::FloatExecutor simulated(frozen, aten::FloatExecutor::Mode::FakeQuant);
  const IntegerExecutor device(lower_to_integer(frozen));
  const IntegerExecutor start(lower_to_integer(job.encoded));
  const aten::FloatExecutor start_simulated(job.encoded,
                                            aten::FloatExecutor::Mode::FakeQuant);
  // Both are float32 sums of at most 128 products that meet on a grid: a sum's error of
  // 2^-17 of a step changes a code only where the sum is that near a tie, once in some
  // hundred samples of a thousand codes each. So outputs are equal but for one in ten.
  const std::int64_t count = 40;
  std::int64_t differ = 0, top1 = 0, integer = 0, integer_at_start = 0;
  const float step =
      std::get<Affine>(*frozen.value(frozen.outputs()[0].value).encoding).scale[0];
  for (std::int64_t i = 0; i < count; ++i) {
    const auto sample = job.selection.sample(i).inputs;
    const std::vector<at::Tensor> inputs = {aten::to_at(sample[0])};
    const at::NoGradGuard no_grad;
    // The text's reshape fixes the batch: the sample is repeated to fill it.
    const std::vector<at::Tensor> repeated = {
        inputs[0]
            .expand({job.training.value(job.training.inputs()[0]).shape[0], -1, -1, -1})
            .contiguous()};
    const Tensor own = aten::from_at(
        network.forward(repeated, {.mode = Network::Mode::Evaluate}).at(0)[0]);
    const Tensor sim = simulated.run(sample).at(0).reshaped({3});
    const Tensor exact = device.run_real(sample).at(0).reshaped({3});
    float worst = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      worst = std::max(worst, std::abs(own.values<float>()[k] - sim.values<float>()[k]));
    }
    differ += worst > 1e-5F * step ? 1 : 0;
    top1 += ToyJob::best(own) == ToyJob::best(sim) ? 1 : 0;
    integer += ToyJob::best(exact) == ToyJob::best(sim) ? 1 : 0;
    integer_at_start += ToyJob::best(start.run_real(sample).at(0)) ==
                                ToyJob::best(start_simulated.run(sample).at(0))
                            ? 1
                            : 0;
  }
  CHECK(differ * 10 <= count);
  CHECK(top1 == count);
  // Integers round other ties than floats do: as rarely as at the start, or nearly so.
  CHECK(10 * integer >= 9 * integer_at_start);
  CHECK(10 * integer_at_start >= 9 * count);
}

TEST_CASE("a trained network freezes into what it computes") {
  QatConfig config = short_training();
  const ToyJob job(bits(2, 2));
  SECTION("every estimator of weights") {
    for (const Estimator& row : estimators()) {
      if (!row.for_weights) continue;
      config.weight_estimator = row.name;
      check_freezes_what_it_computes(job, config);
    }
  }
  SECTION("every estimator of activations") {
    for (const Estimator& row : estimators()) {
      if (!row.for_activations) continue;
      config.activation_estimator = row.name;
      check_freezes_what_it_computes(job, config);
    }
  }
}

TEST_CASE("a trained network freezes, for each level set and granularity") {
  const QatConfig config = short_training();
  for (ptq::PtqConfig settings :
       {bits(8, 8, LevelSet::N), bits(1, 2, LevelSet::O), bits(2, 2, LevelSet::T),
        bits(3, 1), bits(3, 3, LevelSet::O)}) {
    INFO(text({settings.weights.levels, settings.weights.bits, {}, {}, {}}));
    check_freezes_what_it_computes(ToyJob(settings), config);
    settings.weights.granularity = ptq::Granularity::PerTensor;
    check_freezes_what_it_computes(ToyJob(settings), config);
  }
  check_freezes_what_it_computes(ToyJob(bits(2, 2), kLinearNet), config);
}

TEST_CASE("a layer that reads few bits of a value that others read gets its own input") {
  // relu1 feeds conv2 (2 bits) and the sum (8 bits).
  const ToyJob job(bits(2, 2));
  CHECK(std::get<Affine>(*named(job.encoded, "relu1").encoding).bits == 8);
  const Value& own = named(job.encoded, "conv2.input");
  CHECK(std::get<Affine>(*own.encoding).bits == 2);
  CHECK(job.training.find("conv2.input").has_value());
  Network network(job.training, job.encoded, short_training());
  const Graph frozen = network.freeze();
  CHECK(std::get<Affine>(*named(frozen, "conv2.input").encoding).bits == 2);
}

TEST_CASE("parameters and states have names of their own") {
  const ToyJob job(bits(2, 2));
  QatConfig config = short_training();
  config.activation_estimator = "lsq_plus";
  Network network(job.training, job.encoded, config);
  std::set<std::string> names;
  for (const Parameter& p : network.parameters()) {
    INFO(p.name);
    CHECK(names.insert(p.name).second);
  }
  names.clear();
  for (const Checkpoint::Entry& entry : network.state()) {
    INFO(entry.name);
    CHECK(names.insert(entry.name).second);
  }
}

TEST_CASE("negative batch-norm factors are turned into the weights") {
  const ToyJob job(bits(4, 4));
  const Network network(job.training, job.encoded, short_training());
  int turned = 0;
  for (const Parameter& p : network.parameters()) {
    if (!p.name.ends_with(".gamma")) continue;
    CHECK(p.tensor.min().item<float>() > 0);
    ++turned;
  }
  CHECK(turned == 2);
  // The original still has them: it computes what the canonical graph does.
  const aten::FloatExecutor canonical(job.canonical);
  const auto sample = job.selection.sample(0).inputs;
  const std::vector<at::Tensor> batch = {
      aten::to_at(sample[0]).expand({8, 1, 8, 8}).contiguous()};
  const at::Tensor y =
      network.forward(batch, {.mode = Network::Mode::Float}).at(0)[0].detach();
  const at::Tensor wanted = aten::to_at(canonical.run(sample).at(0))[0];
  CHECK((y - wanted).abs().max().item<double>() <= 1e-4);
}

std::string fault_of(const char* net) {
  try {
    const ToyJob job(bits(4, 4), net);
    Network(job.training, job.encoded, short_training());
  } catch (const Error& e) {
    CHECK(e.code() == ExitCode::ModelUnsupported);
    return e.what();
  }
  return {};
}

TEST_CASE("what cannot be trained is named") {
  CHECK_THAT(fault_of(R"(graph imported
  #w1 : f32[4,1,3,3]
  #w2 : f32[4,4,1,1]
  #fw : f32[3,256]
  x : f32[{0},1,8,8] = input()
  first = conv2d(x, #w1; pads=[1,1,1,1])
  a = conv2d(first, #w2)
  b = conv2d(a, #w2)
  flat = reshape(b; shape=[{0},256])
  fc = linear(flat, #fw)
  -> logits = fc
)"),
             has_text("b") && has_text("shares its weights with 'a'"));
  CHECK_THAT(fault_of(R"(graph imported
  x : f32[{0},1,8,8] = input()
  flat = reshape(x; shape=[{0},64])
  y = softmax(flat; axis=1)
  -> logits = y
)"),
             has_text("no layer with weights"));
  // The canonical graph folds the factor into conv1, behind the batch norm's back.
  CHECK_THAT(fault_of(R"(graph imported
  #w1 : f32[4,1,3,3]
  #g1 : f32[4]
  #b1 : f32[4]
  #m1 : f32[4]
  #var1 : f32[4]
  #k : f32[4,1,1]
  #fw : f32[3,256]
  x : f32[{0},1,8,8] = input()
  conv1 = conv2d(x, #w1; pads=[1,1,1,1])
  bn1 = batch_norm(conv1, #g1, #b1, #m1, #var1)
  scaled = binary(bn1, #k; kind=mul)
  relu1 = clamp(scaled)
  flat = reshape(relu1; shape=[{0},256])
  fc = linear(flat, #fw)
  -> logits = fc
)"),
             has_text("scaled") && has_text("cannot be trained"));
}

}  // namespace
}  // namespace qopt::qat
