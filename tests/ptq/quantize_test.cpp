// SPDX-License-Identifier: MIT
#include <cmath>

#include "lib/aten/float_executor.h"
#include "lib/calib/projection.h"
#include "tests/ptq/support.h"

namespace qopt::ptq {
namespace {

TEST_CASE("values fused into a clamp have no encoding, its result is unsigned") {
  const Graph graph = graph_of(R"(graph canonical
  #w : f32[4,3,3,3]
  #b : f32[4]
  x : f32[1,3,8,8] = input()
  conv = conv2d(x, #w, #b)
  relu = clamp(conv)
  wide = clamp(relu; lo=-1, hi=1)
  -> y = wide
)");
  const PtqResult result = quantized(graph);
  CHECK(result.graph.level() == Level::Encoded);
  CHECK_FALSE(value_of(result.graph, "conv").encoding.has_value());
  CHECK_FALSE(value_of(result.graph, "b").encoding.has_value());
  CHECK(encoding_of(result.graph, "relu").levels == LevelSet::U);
  CHECK(encoding_of(result.graph, "relu").zero_point[0] == 0);
  CHECK(encoding_of(result.graph, "x").levels == LevelSet::S);
  CHECK(result.choices.size() == 3);
  CHECK(result.choices[0].value == "x");
  CHECK(result.findings.empty());
}

TEST_CASE("weights have a scale for each output channel, on the operator's axis") {
  const Graph graph = graph_of(R"(graph canonical
  #w : f32[4,3,3,3]
  #t : f32[4,6,2,2]
  #g : f32[6,2,2,2]
  #l : f32[7,8]
  #m : f32[7,5]
  x : f32[1,3,8,8] = input()
  conv = conv2d(x, #w)
  up = conv_transpose2d(conv, #t)
  grouped = conv_transpose2d(up, #g; groups=2)
  rows = reshape(grouped; shape=[4,8,8])
  fc = linear(rows, #l)
  product = matmul(fc, #m)
  -> y = product
)");
  const PtqResult result = quantized(graph);
  const auto check = [&](std::string_view name, std::optional<int> axis,
                         std::size_t scales) {
    const Affine& e = encoding_of(result.graph, name);
    CHECK(e.levels == LevelSet::N);
    CHECK(e.bits == 8);
    CHECK(e.axis == axis);
    CHECK(e.scale.size() == scales);
  };
  check("w", 0, 4);
  check("t", 1, 6);
  check("g", std::nullopt, 1);
  check("l", 0, 7);
  check("m", 1, 5);
  // Min-max to the bit: the largest weight of each channel is code 127 or -127.
  const Affine& e = encoding_of(result.graph, "t");
  const auto weights = value_of(result.graph, "t").constant->values<float>();
  for (std::size_t o = 0; o < 6; ++o) {
    float most = 0;
    for (std::size_t c = 0; c < 4; ++c) {
      for (std::size_t k = 0; k < 4; ++k)
        most = std::max(most, std::abs(weights[(c * 6 + o) * 4 + k]));
    }
    CHECK(e.scale[o] == static_cast<float>(static_cast<double>(most) / 127));
  }
  PtqConfig per_tensor;
  per_tensor.weights.granularity = Granularity::PerTensor;
  CHECK_FALSE(encoding_of(quantized(graph, per_tensor).graph, "w").axis.has_value());
}

TEST_CASE(
    "operators that move codes keep one encoding, from where the numbers are made") {
  const Graph graph = graph_of(R"(graph canonical
  #c : f32[1,1,8,8]
  #w : f32[2,4,1,1]
  x : f32[1,3,8,8] = input()
  scaled : f32[1,3,8,8] = binary(x, x; kind=mul)
  joined = concat(scaled, #c; axis=1)
  turned = permute(joined; perm=[0,1,3,2])
  pooled = max_pool2d(turned; kernel=[2,2], stride=[2,2])
  padded = pad(pooled; before=[0,0,1,1], after=[0,0,0,0], value=-3)
  conv = conv2d(padded, #w)
  -> y = conv
)");
  const PtqResult result = quantized(graph);
  const Affine& e = encoding_of(result.graph, "scaled");
  for (const char* name : {"c", "joined", "turned", "pooled", "padded"}) {
    CHECK(encoding_of(result.graph, name) == e);
  }
  CHECK_FALSE(encoding_of(result.graph, "x") == e);
  // The padding's -3 is part of the range, though no operand goes so low.
  CHECK(decode(encode(-3, e), e) < -2.9F);
}

TEST_CASE("a concat does not coarsen what is much narrower or wider than it") {
  const Graph graph = graph_of(R"(graph canonical
  #big : f32[1,1]
  x : f32[1,8] = input()
  wide = binary(x, #big; kind=mul)
  few = slice(wide; axis=1, end=1)
  small = unary(x; kind=sigmoid)
  other = binary(small, small)
  rest = slice(x; axis=1, end=4)
  cat = concat(few, rest, small; axis=1)
  -> y = cat
  -> z = other
  -> w = wide
)",
                               {{"big", Tensor::from(std::vector<float>{50}, {1, 1})}});
  // Channel 0 is quiet, so that `few` is narrow though `wide`, whose codes it takes, is
  // not.
  std::vector<Tensor> inputs;
  for (std::uint64_t i = 0; i < 8; ++i) {
    Tensor t = noise({1, 8}, i + 1);
    t.mutable_values<float>()[0] *= 0.01F;
    inputs.push_back(std::move(t));
  }
  const PtqResult result =
      quantize(graph, collect_statistics(graph, Samples(std::move(inputs)), 1), {});
  const auto scale = [&](const char* name) {
    return encoding_of(result.graph, name).scale[0];
  };
  CHECK(scale("few") == scale("wide"));
  CHECK(scale("rest") == scale("x"));
  CHECK(scale("cat") == scale("rest"));
  CHECK(scale("wide") > 10 * scale("cat"));
  CHECK(scale("small") < scale("cat") / 2);
}

TEST_CASE("unify_add joins the operands of additions, not their result") {
  const Graph graph = graph_of(R"(graph canonical
  #w : f32[3,3,1,1]
  #k : f32[1,3,1,1]
  x : f32[1,3,8,8] = input()
  conv = conv2d(x, #w)
  sum = binary(conv, x)
  shifted = binary(sum, #k)
  -> y = shifted
)");
  PtqConfig config;
  const PtqResult apart = quantized(graph, config);
  CHECK_FALSE(encoding_of(apart.graph, "conv") == encoding_of(apart.graph, "x"));
  config.unify_add = true;
  const PtqResult joined = quantized(graph, config);
  CHECK(encoding_of(joined.graph, "conv") == encoding_of(joined.graph, "x"));
  CHECK_FALSE(encoding_of(joined.graph, "sum") == encoding_of(joined.graph, "x"));
  // Constant operands are n16 either way.
  const Affine& k = encoding_of(joined.graph, "k");
  CHECK((k.levels == LevelSet::N && k.bits == 16 && !k.axis));
}

TEST_CASE("softmax is a code over 2^bits, unless it meets other numbers") {
  const Graph graph = graph_of(R"(graph canonical
  x : f32[1,2,8] = input()
  s = softmax(x; axis=2)
  r = reshape(s; shape=[2,8])
  t = softmax(x; axis=1)
  both = concat(t, x; axis=0)
  -> a = r
  -> b = both
)");
  const PtqResult result = quantized(graph);
  for (const char* name : {"s", "r"}) {
    const Affine& e = encoding_of(result.graph, name);
    CHECK(e.levels == LevelSet::U);
    CHECK(e.scale[0] == 1.0F / 256);
    CHECK(e.zero_point[0] == 0);
  }
  CHECK(encoding_of(result.graph, "t") == encoding_of(result.graph, "x"));
}

TEST_CASE("an embedding table has the encoding of what it gives") {
  const Graph graph = graph_of(R"(graph canonical
  #table : f32[10,4]
  #w : f32[3,4]
  ids : i64[1,6] = input()
  rows = embedding(ids, #table)
  fc = linear(rows, #w)
  -> y = fc
)");
  std::vector<Tensor> inputs;
  for (std::int64_t i = 0; i < 4; ++i) {
    inputs.push_back(Tensor::from(std::vector<std::int64_t>{i, 0, 1, 2, 3, 4}, {1, 6}));
  }
  const PtqResult result =
      quantize(graph, collect_statistics(graph, Samples(std::move(inputs)), 1), {});
  const Affine& e = encoding_of(result.graph, "rows");
  CHECK(encoding_of(result.graph, "table") == e);
  CHECK_FALSE(value_of(result.graph, "ids").encoding.has_value());
  // The range covers the rows that no sample asked for, too.
  for (float x : value_of(result.graph, "table").constant->values<float>()) {
    CHECK(std::abs(decode(encode(x, e), e) - x) < 3 * e.scale[0]);
  }
}

TEST_CASE("tied weights with two encodings become two constants") {
  const Graph graph = graph_of(R"(graph canonical
  #w : f32[6,6]
  x : f32[1,6] = input()
  a = linear(x, #w)
  b = linear(a, #w)
  c = binary(b, #w)
  -> y = c
)");
  PtqConfig config;
  config.first_last_bits = 4;
  config.layers = {{.pattern = "b", .weight_bits = 4}};
  const PtqResult result = quantized(graph, config);
  const Graph& g = result.graph;
  const auto operand = [&](std::string_view node) {
    return g.value(g.nodes()[*g.producer(*g.find(node))].inputs[1]);
  };
  CHECK(std::get<Affine>(*operand("a").encoding).bits == 8);
  CHECK(std::get<Affine>(*operand("b").encoding).bits == 4);
  CHECK(std::get<Affine>(*operand("c").encoding).bits == 16);
  CHECK(*operand("a").constant == *operand("b").constant);
  // Without the rule the two layers share it.
  const PtqResult plain = quantized(graph);
  CHECK(plain.graph.nodes()[1].inputs[1] == plain.graph.nodes()[2].inputs[1]);
}

TEST_CASE("dead channels and dead values are found and still valid") {
  Tensor weights = noise({4, 3, 1, 1}, 3);
  for (std::size_t i = 3; i < 6; ++i) weights.mutable_values<float>()[i] = 0;
  const Graph graph =
      graph_of(R"(graph canonical
  #w : f32[4,3,1,1]
  #z : f32[2,4,1,1]
  x : f32[1,3,4,4] = input()
  conv = conv2d(x, #w)
  none = conv2d(conv, #z)
  -> y = none
)",
               {{"w", weights}, {"z", Tensor::zeros(DType::F32, {2, 4, 1, 1})}});
  const PtqResult result = quantized(graph);
  CHECK(encoding_of(result.graph, "w").scale[1] == 1.0F);
  CHECK(any_has(result.findings,
                "conv: 1 of 4 output channels have only zero weights (1)"));
  CHECK(any_has(result.findings, "none: all weights are zero"));
  CHECK(any_has(result.findings, "none: always 0 on the calibration samples"));
  CHECK(encoding_of(result.graph, "none").scale[0] == 1.0F);
}

TEST_CASE("a channel that is zero but for noise does not need a wide accumulator") {
  Tensor weights = noise({2, 3, 1, 1}, 3);
  for (std::size_t i = 3; i < 6; ++i) weights.mutable_values<float>()[i] = 1e-20F;
  const Graph graph =
      graph_of(R"(graph canonical
  #w : f32[2,3,1,1]
  #b : f32[2]
  x : f32[1,3,4,4] = input()
  conv = conv2d(x, #w, #b)
  -> y = conv
)",
               {{"w", weights}, {"b", Tensor::of(std::vector<float>{1, 1})}});
  const PtqResult result = quantized(graph);
  const double in_codes = 1.0 / encoding_of(result.graph, "w").scale[1] /
                          encoding_of(result.graph, "x").scale[0];
  CHECK(in_codes < 0x1p30);
}

TEST_CASE("a value that only happens to be positive is unsigned and a finding") {
  const Graph graph =
      graph_of(R"(graph canonical
  #k : f32[1,4]
  x : f32[1,4] = input()
  high = binary(x, #k)
  -> y = high
)",
               {{"k", Tensor::from(std::vector<float>{9, 9, 9, 9}, {1, 4})}});
  const PtqResult result = quantized(graph);
  CHECK(encoding_of(result.graph, "high").levels == LevelSet::U);
  CHECK(any_has(result.findings, "high: never negative"));
  PtqConfig config;
  config.activations.levels = LevelSet::S;
  const PtqResult as_signed = quantized(graph, config);
  CHECK(encoding_of(as_signed.graph, "high").levels == LevelSet::S);
  CHECK(as_signed.findings.empty());
}

TEST_CASE("symmetric activations centre on zero") {
  const Graph graph = graph_of(R"(graph canonical
  #w : f32[4,3,1,1]
  x : f32[1,3,8,8] = input()
  conv = conv2d(x, #w)
  relu = clamp(conv)
  -> y = relu
)");
  PtqConfig config;
  config.activations.symmetric = true;
  for (const calib::Estimator& row : calib::estimators()) {
    config.activations.calibrator = row.name;
    const PtqResult result = quantized(graph, config);
    CHECK(encoding_of(result.graph, "x").zero_point[0] == 0);
    CHECK(encoding_of(result.graph, "relu").levels == LevelSet::U);
    config.activations.levels = LevelSet::N;
    CHECK(encoding_of(quantized(graph, config).graph, "relu").levels == LevelSet::N);
    config.activations.levels.reset();
  }
}

constexpr std::string_view kNet = R"(graph canonical
  #w1 : f32[16,3,3,3]
  #b1 : f32[16]
  #w2 : f32[16,16,3,3]
  #b2 : f32[16]
  #w3 : f32[10,16]
  x : f32[1,3,16,16] = input()
  conv1 = conv2d(x, #w1, #b1; pads=[1,1,1,1])
  relu1 = clamp(conv1)
  conv2 = conv2d(relu1, #w2, #b2; pads=[1,1,1,1])
  sum = binary(conv2, relu1)
  relu2 = clamp(sum)
  pool = reduce(relu2; axes=[2,3])
  fc = linear(pool, #w3)
  -> logits = fc
)";

/// Signal to noise of the fake-quantised outputs on fresh samples.
double output_sqnr(const Graph& graph, const Graph& encoded) {
  using aten::FloatExecutor;
  const FloatExecutor real(graph), fake(encoded, FloatExecutor::Mode::FakeQuant);
  double signal = 0, error = 0;
  const Samples fresh(input_shapes(graph), 16, 99);
  for (std::int64_t i = 0; i < fresh.size(); ++i) {
    const data::Sample sample = fresh.sample(i);
    const Tensor expected = real.run(sample.inputs)[0], got = fake.run(sample.inputs)[0];
    for (std::size_t k = 0; k < expected.values<float>().size(); ++k) {
      const double r = expected.values<float>()[k];
      const double e = r - static_cast<double>(got.values<float>()[k]);
      signal += r * r;
      error += e * e;
    }
  }
  return 10 * std::log10(signal / error);
}

TEST_CASE("8 bits are close to float with every calibrator, and fewer bits are worse") {
  const Graph graph = graph_of(kNet);
  const Samples samples(input_shapes(graph), 32);
  const auto statistics = collect_statistics(graph, samples, 2);
  PtqConfig config;
  for (const calib::Estimator& row : calib::estimators()) {
    INFO(row.name);
    config.activations.calibrator = row.name;
    const PtqResult result = quantize(graph, statistics, config);
    CHECK(output_sqnr(graph, result.graph) > 25.0);
    for (const Choice& choice : result.choices) {
      // The moving average lies inside the extremes of most samples: that is its idea.
      CHECK(choice.clipped_fraction <= (row.name == "minmax" ? 0.0 : 0.1));
    }
  }
  config.activations.calibrator = "mse";
  double before = 100;
  for (const int bits : {16, 8, 6, 4, 3, 2}) {
    config.first_last_bits = 2;
    config.weights.bits = config.activations.bits = bits;
    const double sqnr = output_sqnr(graph, quantize(graph, statistics, config).graph);
    CHECK(sqnr < before);
    before = sqnr;
  }
}

TEST_CASE("weights of two and three levels take their exact projection") {
  const Graph graph = graph_of(kNet);
  PtqConfig config;
  config.first_last_bits = 1;
  for (const char* calibrator : {"minmax", "mse"}) {
    config.weights.calibrator = calibrator;
    for (const Granularity granularity :
         {Granularity::PerTensor, Granularity::PerChannel}) {
      config.weights.granularity = granularity;
      config.weights.levels = LevelSet::O;
      config.weights.bits = 1;
      const Affine binary = encoding_of(quantized(graph, config).graph, "w2");
      config.weights.levels = LevelSet::T;
      config.weights.bits = 2;
      const Affine ternary = encoding_of(quantized(graph, config).graph, "w2");
      const std::span<const float> all = value_of(graph, "w2").constant->values<float>();
      const std::size_t count = all.size() / binary.scale.size();
      CHECK((binary.scale.size() == 1) == (granularity == Granularity::PerTensor));
      for (std::size_t c = 0; c < binary.scale.size(); ++c) {
        const auto channel = all.subspan(c * count, count);
        CHECK(binary.scale[c] == calib::binary_scale(channel));
        CHECK(ternary.scale[c] == calib::ternary_scale(channel).scale);
      }
    }
  }
}

TEST_CASE("a channel of zeros in odd weights stays near zero") {
  const Graph graph =
      graph_of(R"(graph canonical
  #w : f32[2,1,1,1]
  x : f32[1,1,4,4] = input()
  conv = conv2d(x, #w)
  -> y = conv
)",
               {{"w", Tensor::from(std::vector<float>{0, 0.5F}, {2, 1, 1, 1})}});
  for (const int bits : {1, 2}) {
    PtqConfig config;
    config.weights = {.bits = bits, .levels = LevelSet::O};
    config.first_last_bits = 1;
    const PtqResult result = quantized(graph, config);
    const Affine& e = encoding_of(result.graph, "w");
    CHECK(e.scale[0] < 1e-37F);
    CHECK(e.scale[1] == (bits == 1 ? 0.5F : 0.5F / 3));
    CHECK(any_has(result.findings, "only zero weights"));
  }
}

TEST_CASE("weight calibrators other than the extremes") {
  const Graph graph = graph_of(kNet);
  PtqConfig config;
  config.weights.bits = 3;
  config.first_last_bits = 3;
  const Affine extremes = encoding_of(quantized(graph, config).graph, "w2");
  for (const char* name : {"mse", "percentile"}) {
    config.weights.calibrator = name;
    config.weights.percentile = 90;
    const Affine e = encoding_of(quantized(graph, config).graph, "w2");
    REQUIRE(e.scale.size() == extremes.scale.size());
    for (std::size_t c = 0; c < e.scale.size(); ++c)
      CHECK(e.scale[c] <= extremes.scale[c]);
    CHECK_FALSE(e.scale == extremes.scale);
  }
  // The odd levels reach as far with a finer step.
  config.weights.levels = LevelSet::O;
  config.weights.calibrator = "mse";
  const Affine odd = encoding_of(quantized(graph, config).graph, "w2");
  for (std::size_t c = 0; c < odd.scale.size(); ++c)
    CHECK(odd.scale[c] < extremes.scale[c]);
}

}  // namespace
}  // namespace qopt::ptq
