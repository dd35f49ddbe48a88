// SPDX-License-Identifier: MIT
// Images per second of the integer executor on Integer graphs of the size of known
// networks, with random weights: ResNet-20 on 32x32 and ResNet-18 on 224x224. One thread,
// so per core.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "lib/core/rng.h"
#include "lib/exec/interval.h"
#include "lib/fixedpoint/integer_executor.h"

namespace {

using namespace qopt;

class Builder {
 public:
  explicit Builder(std::uint64_t seed) : rng_(seed), graph_(Level::Integer) {}

  ValueId input(std::int64_t size, std::int64_t channels) {
    const ValueId id = graph_.add_input("input", DType::I8, {1, size, size, channels});
    encode(id);
    return id;
  }
  ValueId conv(ValueId x, std::int64_t outputs, std::int64_t kernel, std::int64_t stride,
               std::int64_t lo = -128) {
    const std::int64_t inputs = graph_.value(x).shape[3];
    const std::int64_t taps = kernel * kernel * inputs;
    std::vector<std::int8_t> w(static_cast<std::size_t>(outputs * taps));
    for (auto& v : w)
      v = static_cast<std::int8_t>(normal(24.0));  // trained weights cluster so
    std::vector<std::int32_t> bias, multiplier;
    std::vector<std::int8_t> shift;
    for (std::int64_t o = 0; o < outputs; ++o) {
      bias.push_back(static_cast<std::int32_t>(normal(1000.0)));
      multiplier.push_back((1 << 30) + static_cast<std::int32_t>(rng_.below(1 << 30)));
      shift.push_back(-10);
    }
    const std::string name = "conv" + std::to_string(count_++);
    op::QConv2d o;
    o.stride = {stride, stride};
    o.pads = {kernel / 2, kernel / 2, kernel / 2, kernel / 2};
    o.x_zero = -128;
    o.y_zero = lo;
    o.lo = lo;
    const ValueId y =
        graph_.add(o,
                   {x,
                    graph_.add_constant(
                        name + ".w", Tensor::from(w, {outputs, kernel, kernel, inputs})),
                    graph_.add_constant(name + ".b", Tensor::of(bias)),
                    graph_.add_constant(name + ".m", Tensor::of(multiplier)),
                    graph_.add_constant(name + ".s", Tensor::of(shift))},
                   name);
    encode(y);
    return y;
  }
  ValueId add(ValueId a, ValueId b) {
    op::QAdd o;
    o.a_zero = o.b_zero = o.y_zero = -128;
    o.a_multiplier = o.b_multiplier = 1 << 19;
    o.shift = 20;
    const ValueId y = graph_.add(o, {a, b}, "add" + std::to_string(count_++));
    encode(y);
    return y;
  }
  ValueId basic_block(ValueId x, std::int64_t outputs, std::int64_t stride) {
    const bool same = stride == 1 && graph_.value(x).shape[3] == outputs;
    const ValueId y = conv(conv(x, outputs, 3, stride), outputs, 3, 1);
    return add(y, same ? x : conv(x, outputs, 1, stride));
  }
  ValueId max_pool(ValueId x) {
    op::MaxPool2d o;
    o.kernel = {3, 3};
    o.stride = {2, 2};
    o.pads = {1, 1, 1, 1};
    const ValueId y = graph_.add(o, {x}, "max_pool");
    encode(y);
    return y;
  }
  ValueId mean(ValueId x) {
    op::QReduce o;
    o.axes = {1, 2};
    o.keepdim = true;
    o.x_zero = o.y_zero = -128;
    o.multiplier = 1 << 30;
    o.shift = -5;
    const ValueId y = graph_.add(o, {x}, "mean");
    encode(y);
    return y;
  }
  Graph finish(ValueId y) {
    graph_.add_output("output", y);
    assign_accumulator_bits(graph_);
    return std::move(graph_);
  }

 private:
  void encode(ValueId id) {
    graph_.value(id).encoding = Affine{LevelSet::U, 8, {0.05F}, {0}, {}};
  }
  double normal(double sigma) {
    const double x = rng_.normal() * sigma;
    return sigma > 100 ? x : std::min(127.0, std::max(-128.0, x));
  }

  Rng rng_;
  Graph graph_;
  int count_ = 0;
};

Graph resnet20() {
  Builder b(1);
  ValueId x = b.conv(b.input(32, 3), 16, 3, 1);
  for (const std::int64_t width : {16, 32, 64}) {
    for (int block = 0; block < 3; ++block) {
      x = b.basic_block(x, width, width > 16 && block == 0 ? 2 : 1);
    }
  }
  return b.finish(b.conv(b.mean(x), 10, 1, 1));
}

Graph resnet18() {
  Builder b(2);
  ValueId x = b.max_pool(b.conv(b.input(224, 3), 64, 7, 2));
  for (const std::int64_t width : {64, 128, 256, 512}) {
    for (int block = 0; block < 2; ++block) {
      x = b.basic_block(x, width, width > 64 && block == 0 ? 2 : 1);
    }
  }
  return b.finish(b.conv(b.mean(x), 1000, 1, 1));
}

void measure(const char* name, Graph graph, Arithmetic arithmetic, int runs) {
  std::int64_t macs = 0;
  for (const std::int64_t m : count_macs(graph)) macs += m;
  const IntegerExecutor executor(std::move(graph), arithmetic);
  const Value& in = executor.graph().value(executor.graph().inputs()[0]);
  Tensor x = Tensor::zeros(in.dtype, in.shape);
  Rng rng(3);
  for (auto& v : x.mutable_values<std::int8_t>())
    v = static_cast<std::int8_t>(rng.next());
  executor.run(std::span<const Tensor>(&x, 1));
  double best = 1e9;
  for (int i = 0; i < runs; ++i) {
    const auto start = std::chrono::steady_clock::now();
    executor.run(std::span<const Tensor>(&x, 1));
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    best = std::min(best, took.count());
  }
  std::printf("%-17s %7.1f MMAC  best of %4d: %8.3f ms  %8.1f images/s  %6.1f GMAC/s\n",
              name, static_cast<double>(macs) / 1e6, runs, best * 1e3, 1.0 / best,
              static_cast<double>(macs) / best / 1e9);
}

}  // namespace

int main() {
  measure("resnet20 fastest", resnet20(), Arithmetic::Fastest, 200);
  measure("resnet20 float32", resnet20(), Arithmetic::Float32, 50);
  measure("resnet20 float64", resnet20(), Arithmetic::Float64, 50);
  measure("resnet18 fastest", resnet18(), Arithmetic::Fastest, 20);
  measure("resnet18 float32", resnet18(), Arithmetic::Float32, 5);
  return EXIT_SUCCESS;
}
