// SPDX-License-Identifier: MIT
// One layer with seeded weights, exported as `compress` exports it, golden vectors
// included: layer_export KIND HxWxCIN-COUT BITS FOLDER [CORE]. scripts/bench_layer
// compiles the folder into a program. Knows no kernel and no target.
//
//   KIND  conv3x3, conv1x1, dwconv3x3, dwconv5x5, linear; a suffix s2 (conv3x3s2) is
//         stride 2. Borders are padded by kernel / 2 with real zero.
//   BITS  wWaA: bits of the weights (signed; one bit is -1 and 1) and of the activations
//         (unsigned, input and output alike, after a ReLU).
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <regex>
#include <string>

#include "lib/core/error.h"
#include "lib/core/rng.h"
#include "lib/exec/interval.h"
#include "lib/export/export.h"
#include "lib/fixedpoint/multiplier.h"

namespace {

using namespace qopt;

struct LayerForm {
  std::int64_t height = 0, width = 0, inputs = 0, outputs = 0;
  std::int64_t kernel = 1, stride = 1;
  bool is_depthwise = false;
  int weight_bits = 8, activation_bits = 8;

  std::int64_t depth() const { return kernel * kernel * (is_depthwise ? 1 : inputs); }
};

std::int64_t number(const std::ssub_match& text) {
  const long long value = std::atoll(text.str().c_str());
  if (value < 1 || value > 65536) {
    throw Error(ExitCode::Usage, text.str(), "not an extent from 1 to 65536");
  }
  return value;
}

LayerForm parse(const std::string& kind, const std::string& shape,
                const std::string& bits) {
  LayerForm form;
  std::smatch m;
  if (!std::regex_match(kind, m,
                        std::regex("(conv|dwconv)([1357])x([1357])(s2)?|linear"))) {
    throw Error(ExitCode::Usage, kind,
                "not a kind: conv3x3, conv1x1, dwconv3x3, linear, with s2 for stride 2");
  }
  if (kind != "linear") {
    if (m[2] != m[3]) throw Error(ExitCode::Usage, kind, "the kernel is not square");
    form.kernel = number(m[2]);
    form.is_depthwise = m[1] == "dwconv";
    form.stride = m[4].matched ? 2 : 1;
  }
  if (!std::regex_match(shape, m, std::regex("(\\d+)x(\\d+)x(\\d+)-(\\d+)"))) {
    throw Error(ExitCode::Usage, shape, "not a shape such as 28x28x128-128");
  }
  form.height = number(m[1]), form.width = number(m[2]);
  form.inputs = number(m[3]), form.outputs = number(m[4]);
  if (form.is_depthwise && form.inputs != form.outputs) {
    throw Error(ExitCode::Usage, shape, "a depthwise layer has as many outputs");
  }
  if (kind == "linear" && form.height * form.width != 1) {
    throw Error(ExitCode::Usage, shape, "a linear layer is 1x1xCIN-COUT");
  }
  if (!std::regex_match(bits, m, std::regex("w([1-8])a([1-8])"))) {
    throw Error(ExitCode::Usage, bits, "not bits such as w8a8 or w1a2 (1 to 8)");
  }
  form.weight_bits = std::atoi(m[1].str().c_str());
  form.activation_bits = std::atoi(m[2].str().c_str());
  return form;
}

/// Scales of the requantiser that spread the results over the activations' range: weights
/// and inputs are near uniform, so sums are near normal.
double output_factor(const LayerForm& form) {
  const double weights = std::exp2(form.weight_bits) / std::sqrt(12.0);
  const double inputs = std::exp2(form.activation_bits) / std::sqrt(3.0);
  const double sigma = weights * inputs * std::sqrt(static_cast<double>(form.depth()));
  return std::exp2(form.activation_bits) / (2.0 * sigma);
}

Graph build(const LayerForm& form) {
  Graph graph(Level::Integer);
  Rng rng(20220807);
  const Affine codes{LevelSet::U, form.activation_bits, {0.02F}, {0}, std::nullopt};
  const ValueId x =
      graph.add_input("input", DType::I8, {1, form.height, form.width, form.inputs});
  graph.value(x).encoding = codes;
  const bool is_binary = form.weight_bits == 1;
  const std::int32_t high = is_binary ? 1 : (1 << (form.weight_bits - 1)) - 1;
  const std::int32_t low = form.weight_bits == 8 ? -high : -high - 1;
  const auto between = [&rng](std::int64_t lo, std::int64_t hi) {
    return lo +
           static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(hi - lo + 1)));
  };
  std::vector<std::int8_t> weights(static_cast<std::size_t>(form.outputs * form.depth()));
  for (auto& w : weights) {
    w = static_cast<std::int8_t>(is_binary ? 2 * between(0, 1) - 1 : between(low, high));
  }
  std::vector<std::int32_t> bias, multiplier;
  std::vector<std::int8_t> shift;
  for (std::int64_t o = 0; o < form.outputs; ++o) {
    const double spread = 0.5 + static_cast<double>(between(0, 1000)) / 1000.0;
    const double factor = output_factor(form) * spread;
    const double greatest = std::exp2(form.weight_bits + form.activation_bits) *
                            static_cast<double>(form.depth());
    const Multiplier m =
        to_sum_multiplier(factor, greatest, bias_fraction(form.activation_bits));
    // Up to a quarter of the results' range, as a folded batch norm gives.
    const double reach = std::exp2(form.activation_bits) / 4 / multiplier_value(m) *
                         std::exp2(std::max(m.shift, 0));
    bias.push_back(static_cast<std::int32_t>(
        reach * static_cast<double>(between(-1000, 1000)) / 1000.0));
    multiplier.push_back(m.multiplier);
    shift.push_back(static_cast<std::int8_t>(m.shift));
  }
  op::QConv2d o;
  o.stride = {form.stride, form.stride};
  const std::int64_t pad = form.kernel / 2;
  o.pads = {pad, pad, pad, pad};
  o.groups = form.is_depthwise ? form.inputs : 1;
  o.weight_bits = form.weight_bits;
  o.x_zero = o.y_zero = stored_zero_point(codes);
  o.lo = stored_min(codes);
  o.hi = stored_max(codes);
  const Shape shape{form.outputs, form.kernel, form.kernel,
                    form.is_depthwise ? 1 : form.inputs};
  const ValueId w = graph.add_constant("w", Tensor::from(weights, shape));
  if (is_binary) graph.value(w).encoding = Affine{LevelSet::O, 1, {1}, {0}, std::nullopt};
  const ValueId y = graph.add(o,
                              {x, w, graph.add_constant("b", Tensor::of(bias)),
                               graph.add_constant("m", Tensor::of(multiplier)),
                               graph.add_constant("s", Tensor::of(shift))},
                              "layer");
  graph.value(y).encoding = codes;
  graph.add_output("output", y);
  assign_accumulator_bits(graph);
  return graph;
}

int run(int argc, char** argv) {
  if (argc != 5 && argc != 6) {
    std::fprintf(stderr, "usage: layer_export KIND HxWxCIN-COUT BITS FOLDER [CORE]\n");
    return 2;
  }
  const emit::KernelTarget target{&emit::find_core(argc == 6 ? argv[5] : "generic"), {}};
  const LayerForm form = parse(argv[1], argv[2], argv[3]);
  const Graph graph = build(form);
  std::int64_t macs = 0;
  for (const std::int64_t m : count_macs(graph)) macs += m;
  emit::ExportSizes sizes;
  const emit::Artifact artifact =
      emit::export_folder(graph, {}, {.name = "layer", .target = target}, 1, 1, &sizes);
  std::filesystem::create_directories(argv[4]);
  emit::write_files(artifact, argv[4]);
  std::printf("macs %lld blob_bytes %llu arena_bytes %llu\n",
              static_cast<long long>(macs),
              static_cast<unsigned long long>(sizes.blob_bytes),
              static_cast<unsigned long long>(sizes.arena_bytes));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const Error& e) {
    std::fprintf(stderr, "layer_export: %s\n", e.what());
    return 2;
  }
}
