// SPDX-License-Identifier: MIT
#include <algorithm>
#include <limits>

#include "lib/calib/statistics.h"
#include "tests/ptq/support.h"

namespace qopt::ptq {
namespace {

constexpr std::string_view kNet = R"(graph canonical
  #w1 : f32[4,3,3,3]
  #b1 : f32[4]
  #w2 : f32[5,4]
  x : f32[1,3,8,8] = input()
  conv = conv2d(x, #w1, #b1; pads=[1,1,1,1])
  relu = clamp(conv)
  pool = reduce(relu; axes=[2,3])
  fc = linear(pool, #w2)
  -> logits = fc
)";

/// The samples 1, 2, 3, ... of shape 1x1, without memory.
class Counting : public data::Dataset {
 public:
  explicit Counting(std::int64_t count) : count_(count) {}
  std::int64_t size() const override { return count_; }
  data::Sample sample(std::int64_t i) const override {
    return {{Tensor::from(std::vector<float>{static_cast<float>(i + 1)}, {1, 1})},
            std::nullopt};
  }
  const std::vector<std::string>& class_names() const override { return names_; }
  std::string description() const override { return "counting"; }

 private:
  std::int64_t count_;
  std::vector<std::string> names_;
};

bool same(const calib::Statistics& a, const calib::Statistics& b) {
  return a.sample_min == b.sample_min && a.sample_max == b.sample_max && a.min == b.min &&
         a.max == b.max && a.bin_width == b.bin_width && a.positive == b.positive &&
         a.negative == b.negative && a.zeros == b.zeros && a.count == b.count;
}

TEST_CASE("statistics and encodings are the same for 1, 2 and 3 threads") {
  const Graph graph = graph_of(kNet);
  const Samples samples(input_shapes(graph), 23);
  const auto one = collect_statistics(graph, samples, 1);
  CHECK(one.size() == 5);
  const PtqResult expected = quantize(graph, one, {});
  for (const int threads : {2, 3, 64}) {
    const auto many = collect_statistics(graph, samples, threads);
    REQUIRE(many.size() == one.size());
    for (std::size_t i = 0; i < one.size(); ++i) {
      CHECK(many[i].value == one[i].value);
      CHECK(same(many[i].statistics, one[i].statistics));
    }
    CHECK(print(quantize(graph, many, {}).graph) == print(expected.graph));
  }
}

TEST_CASE("statistics are those of the numbers") {
  const Graph graph = parse(R"(graph canonical
  x : f32[1,4] = input()
  y = clamp(x)
  -> y = y
)",
                            {});
  const Samples samples({Tensor::from(std::vector<float>{-2, 0, 1, 3}, {1, 4}),
                         Tensor::from(std::vector<float>{0.5F, -8, 4, 0}, {1, 4})});
  std::int64_t done = 0;
  const auto all =
      collect_statistics(graph, samples, 1, [&](std::int64_t d, std::int64_t total) {
        CHECK(d == done + 1);
        CHECK(total == 4);
        done = d;
      });
  CHECK(done == 4);
  REQUIRE(all.size() == 2);
  const calib::Statistics& x = all[0].statistics;
  CHECK(x.sample_min == std::vector<float>{-2, -8});
  CHECK(x.sample_max == std::vector<float>{3, 4});
  CHECK(x.min == -8);
  CHECK(x.zeros == 2);
  CHECK(x.count == 8);
  CHECK(x.negative[512] == 1);
  const calib::Statistics& y = all[1].statistics;
  CHECK(y.min == 0);
  CHECK(y.zeros == 4);
}

TEST_CASE("memory does not grow with the number of samples") {
  const Graph graph = parse(R"(graph canonical
  x : f32[1,1] = input()
  y = clamp(x)
  -> y = y
)",
                            {});
  // 1, 2, 3, ... : what a run of samples keeps is seen from its ends.
  const auto all = collect_statistics(graph, Counting(10000), 2);
  const calib::Statistics& x = all[0].statistics;
  REQUIRE(x.sample_min.size() == calib::kMostExtremes);
  CHECK(x.sample_max.size() == calib::kMostExtremes);
  CHECK(x.count == 10000);
  CHECK(x.sample_min.front() == 1);
  CHECK(x.sample_max.back() == 10000);
  bool complete = true;
  for (std::size_t i = 1; i < x.sample_min.size(); ++i) {
    complete = complete && x.sample_min[i] == x.sample_max[i - 1] + 1;
  }
  CHECK(complete);  // every sample is in exactly one run, in order
  const auto one = collect_statistics(graph, Counting(10000), 1);
  CHECK(same(one[0].statistics, x));
}

TEST_CASE("samples that do not fit the model are data errors") {
  const Graph graph = graph_of(kNet);
  const auto error = [&](const data::Dataset& samples) {
    return error_of([&] { collect_statistics(graph, samples, 2); }, ExitCode::Data);
  };
  CHECK(error(Samples({{1, 3, 9, 8}}, 2))
            .find("calibration sample 0: is f32 1x3x9x8, the model's input 'x' takes f32 "
                  "1x3x8x8") != std::string::npos);
  CHECK(error(Samples({{1, 3, 8, 8}, {1, 3, 8, 8}}, 2)).find("has 2 tensors") !=
        std::string::npos);
  CHECK(error(Samples({Tensor::zeros(DType::I64, {1, 3, 8, 8})})).find("is i64") !=
        std::string::npos);
}

TEST_CASE("NaN and infinity are named, wherever they come from") {
  const Graph graph = graph_of(kNet);
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(),
                          std::numeric_limits<float>::infinity()}) {
    std::vector<Tensor> inputs;
    for (std::uint64_t i = 0; i < 6; ++i) inputs.push_back(noise({1, 3, 8, 8}, i));
    Tensor broken = Tensor::zeros(DType::F32, {1, 3, 8, 8});
    broken.mutable_values<float>()[77] = bad;
    inputs[4] = std::move(broken);
    const Samples samples(std::move(inputs));
    for (const int threads : {1, 2}) {
      const std::string text =
          error_of([&] { collect_statistics(graph, samples, threads); }, ExitCode::Data);
      CHECK(text.find("calibration sample 4: holds NaN or infinity (input 'x')") !=
            std::string::npos);
    }

    Tensor weights = Tensor::zeros(DType::F32, {5, 4});
    weights.mutable_values<float>()[3] = bad;
    const Graph poisoned = graph_of(kNet, {{"w2", weights}});
    const std::string text = error_of(
        [&] {
          collect_statistics(poisoned, Samples({{1, 3, 8, 8}}, 2), 1);
        },
        ExitCode::ModelUnsupported);
    CHECK(text.find("constants hold NaN or infinity: w2") != std::string::npos);
  }
  const Graph exploding = graph_of(R"(graph canonical
  x : f32[1,4] = input()
  big = unary(x; kind=exp)
  bigger = unary(big; kind=exp)
  -> y = bigger
)");
  const Samples samples({Tensor::from(std::vector<float>{10, 0, 0, 0}, {1, 4})});
  const std::string text = error_of([&] { collect_statistics(exploding, samples, 1); },
                                    ExitCode::ModelUnsupported);
  CHECK(text.find("bigger") != std::string::npos);
  CHECK(text.find("is NaN or infinite for calibration sample 0") != std::string::npos);
}

}  // namespace
}  // namespace qopt::ptq
