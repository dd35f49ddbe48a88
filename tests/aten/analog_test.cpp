// SPDX-License-Identifier: MIT
// Analog chains: their values against lib/theory, their gradients against the rules of
// arXiv:2402.02593, the noise's statistics, and that it knows no threads; the
// interpolated activations under autograd.
#include "lib/aten/analog.h"

#include <ATen/Parallel.h>

#include <cmath>

#include "lib/aten/analog_semantics.h"
#include "lib/aten/semantics.h"
#include "lib/exec/executor.h"
#include "lib/theory/analog.h"
#include "tests/support/catch.h"

namespace {

using namespace qopt;
using aten::AnalogChain;

at::Tensor sweep(std::int64_t count, double width) {
  return at::linspace(-width, width, count, at::kFloat);
}

std::vector<float> list(const at::Tensor& t) {
  const at::Tensor flat = t.detach().contiguous();
  return {flat.data_ptr<float>(), flat.data_ptr<float>() + flat.numel()};
}

TEST_CASE("without leakage the chains are clamp and reduced precision, exactly") {
  for (const int bits : {1, 2, 4, 6, 8}) {
    for (const double clamp : {1.0, 0.5, 3.0}) {
      const AnalogChain chain{bits, 0.0, clamp};
      const at::Tensor x = sweep(1001, 4.0);
      std::vector<float> expected;
      for (const float v : list(x)) {
        const double unit = std::clamp(static_cast<double>(v), -clamp, clamp) / clamp;
        expected.push_back(static_cast<float>(
            clamp * theory::reduce_precision(unit, theory::levels_per_unit(bits))));
      }
      Rng rng(1);
      CHECK(list(aten::analog_activation(x, chain, rng)) == expected);
      CHECK(list(aten::analog_readout(x, chain, rng)) == expected);
      CHECK(list(aten::analog_weight(x, chain, rng)) == expected);
    }
  }
}

TEST_CASE("gradients pass inside the clamp, and to weights everywhere") {
  const AnalogChain chain{4, 0.3, 1.0};
  // Both ends of the clamp belong to it.
  const std::vector<float> points = {-2.0F, -1.0F, -0.3F, 0.0F, 0.99F, 1.0F, 1.01F, 5.0F};
  const auto gradient = [&](auto crossing, double leakage) {
    at::Tensor x = at::tensor(points).requires_grad_();
    Rng rng(2);
    at::Tensor weighted = crossing(x, AnalogChain{4, leakage, 1.0}, rng) *
                          at::tensor(std::vector<float>{1, 2, 3, 4, 5, 6, 7, 8});
    weighted.sum().backward();
    return list(x.grad());
  };
  const std::vector<float> inside = {0, 2, 3, 4, 5, 6, 0, 0};
  CHECK(gradient(aten::analog_activation, 0.3) == inside);
  CHECK(gradient(aten::analog_readout, 0.0) == inside);
  CHECK(gradient(aten::analog_weight, 0.3) == std::vector<float>{1, 2, 3, 4, 5, 6, 7, 8});
  // Noise decides at the readout: its clamp comes after it.
  at::Tensor x = at::full({1000}, 1.0, at::kFloat).requires_grad_();
  Rng rng(3);
  aten::analog_readout(x, chain, rng).sum().backward();
  const double passed = x.grad().sum().item<double>();
  CHECK(std::fabs(passed - 500.0) <= 3.0 * std::sqrt(250.0));
}

TEST_CASE("values leave their bins as often as the leakage says") {
  for (const int bits : {2, 4, 6}) {
    for (const double leakage : {0.2, 0.5}) {
      const int levels = theory::levels_per_unit(bits);
      const at::Tensor x = at::zeros({400001}, at::kFloat);  // an odd count
      Rng rng(static_cast<std::uint64_t>(bits));
      const at::Tensor y = aten::analog_activation(x, {bits, leakage, 1.0}, rng);
      const double rate = (y.abs() > 0.5 / levels).to(at::kDouble).mean().item<double>();
      INFO(bits << " bits, leakage " << leakage << ", found " << rate);
      CHECK(std::fabs(rate - leakage) <=
            3.0 * std::sqrt(leakage * (1.0 - leakage) / 400001.0));
      CHECK(std::fabs(y.mean().item<double>()) <=
            4.0 * theory::noise_sigma(leakage, levels) / std::sqrt(400001.0));
    }
  }
}

TEST_CASE("noise is the same for any number of threads, and new for every crossing") {
  const at::Tensor x = sweep(100003, 1.0);
  const AnalogChain chain{4, 0.4, 1.0};
  const int before = at::get_num_threads();
  std::vector<std::vector<float>> runs;
  for (const int threads : {1, 2, 3, 5}) {
    at::set_num_threads(threads);
    Rng rng(7);
    runs.push_back(list(aten::analog_readout(x, chain, rng)));
    if (threads == 1) CHECK(list(aten::analog_readout(x, chain, rng)) != runs[0]);
    CHECK(runs.back() == runs[0]);
  }
  at::set_num_threads(before);
  // A part has the noise of the whole: element i belongs to draw i.
  Rng whole(9), part(9);
  const auto all = list(aten::analog_activation(x, chain, whole));
  const auto some = list(aten::analog_activation(x.slice(0, 0, 5001), chain, part));
  CHECK(std::vector<float>(all.begin(), all.begin() + 5001) == some);
}

TEST_CASE("a chain outside its bounds is refused by name") {
  for (const AnalogChain& chain :
       {AnalogChain{0, 0, 1}, AnalogChain{25, 0, 1}, AnalogChain{4, 1.0, 1},
        AnalogChain{4, -0.1, 1}, AnalogChain{4, NAN, 1}, AnalogChain{4, 0, 0}}) {
    CHECK_THROWS_AS(aten::check(chain, "evaluate.analog"), Error);
  }
  CHECK_NOTHROW(aten::check({4, 0.5, 2.0}, ""));
}

TEST_CASE("an analog layer reads, weighs and answers through its chains") {
  Graph graph(Level::Canonical);
  const ValueId x = graph.add_input("x", DType::F32, {1, 2});
  const ValueId w =
      graph.add_constant("w", Tensor::from(std::vector<float>{1.0F, -0.4F}, {1, 2}));
  const ValueId y = graph.add(op::Linear{}, {x, w}, "y");
  const ValueId z = graph.add(op::Clamp{}, {x}, "digital");
  graph.add_output("y", y);
  graph.add_output("z", z);
  std::vector<double> clamps = aten::weight_clamps(graph);
  CHECK(clamps[w.index] == 1.0);
  clamps[x.index] = 2.0, clamps[y.index] = 2.0;
  const aten::AnalogOptions options{2, 0.0, true};  // three levels a unit
  aten::FloatSemantics digital(graph);
  aten::analog_weights(graph, options, clamps, Rng(1), digital);
  CHECK(list(digital.bound(w)) == std::vector<float>{1.0F, -1.0F / 3.0F});
  aten::AnalogSemantics analog(digital, options, clamps, Rng(2));
  const std::vector<at::Tensor> in{at::tensor({1.0F, 0.6F}).reshape({1, 2})};
  const auto out = execute(graph, analog, std::span<const at::Tensor>(in));
  // x/2 = .5, .3 -> 1/3 (tie toward zero), 1/3; y = 2/3 - 2/9 = 4/9; 2/9 -> 1/3.
  CHECK(list(out[0]) == std::vector<float>{2.0F / 3.0F});
  CHECK(list(out[1]) == std::vector<float>{1.0F, 0.6F});
}

// --------------------------------------------------------------- interpolated
// activations

at::Tensor apply(const op::Unary& unary, const at::Tensor& x) {
  Graph graph(Level::Canonical);
  const ValueId in = graph.add_input("x", DType::F32, {x.numel()});
  graph.add_output("y", graph.add(unary, {in}, "y"));
  const aten::FloatSemantics semantics(graph);
  return semantics.apply(graph, graph.nodes()[1], std::vector<at::Tensor>{x});
}

TEST_CASE("interpolated activations and their derivatives are lib/theory's") {
  using Kind = theory::Interpolation::Kind;
  for (const auto& [kind, math] : {std::pair(UnaryKind::InterpolatedGelu, Kind::Gelu),
                                   std::pair(UnaryKind::InterpolatedSilu, Kind::Silu)}) {
    for (const double factor : {0.0, 0.25, 0.5, 1.0}) {
      for (const double sharpness : {1.0, 0.5, 8.0}) {
        for (const double leak : {0.0, 0.1}) {
          const op::Unary unary{kind, factor, sharpness, leak};
          const theory::Interpolation f{math, factor, sharpness, leak};
          INFO(unary_name(kind) << " " << factor << " " << sharpness << " " << leak);
          at::Tensor x = sweep(801, 6.0);
          x[400] = 0.0F;  // quantised networks hit 0 often: the left derivative holds
          x = x.requires_grad_();
          const at::Tensor y = apply(unary, x);
          y.sum().backward();
          const auto in = list(x), out = list(y), slope = list(x.grad());
          double worst = 0, worst_slope = 0;
          for (std::size_t i = 0; i < in.size(); ++i) {
            const double at = static_cast<double>(in[i]);
            CHECK(std::fabs(apply_unary(unary, at) - f(at)) <= 1e-14);
            worst = std::max(worst, std::fabs(static_cast<double>(out[i]) - f(at)));
            worst_slope = std::max(
                worst_slope, std::fabs(static_cast<double>(slope[i]) - f.derivative(at)));
          }
          CHECK(worst <= 1e-6);
          CHECK(worst_slope <= 1e-6);
        }
      }
    }
  }
}

}  // namespace
