// SPDX-License-Identifier: MIT
// One layer, or a chain of them, with seeded weights, exported as `compress` exports it,
// golden vectors included: layer_export KIND HxWxCIN-COUT BITS FOLDER [CORE].
// scripts/bench_layer compiles the folder into a program. Knows no kernel and no target.
//
//   KIND  conv3x3, conv1x1, dwconv3x3, dwconv5x5, linear; a suffix s2 (conv3x3s2) is
//         stride 2, a suffix x4 (conv3x3x4) four such layers, those behind the first from
//         COUT channels. Borders are padded by kernel / 2 with real zero.
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
  std::int64_t kernel = 1, stride = 1, layers = 1;
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
                        std::regex("(?:(conv|dwconv)([1357])x([1357])(s2)?|linear)"
                                   "(?:x([1-9]))?"))) {
    throw Error(ExitCode::Usage, kind,
                "not a kind: conv3x3, conv1x1, dwconv3x3, linear, with s2 for stride 2, "
                "x4 for four layers");
  }
  if (m[5].matched) form.layers = number(m[5]);
  if (m[1].matched) {
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
  if (kind.starts_with("linear") && form.height * form.width != 1) {
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

/// One layer behind x; `suffix` (empty for a lone layer) ends its names.
ValueId add_layer(Graph& graph, Rng& rng, const LayerForm& form, ValueId x,
                  const std::string& suffix) {
  const Affine codes = std::get<Affine>(*graph.value(x).encoding);
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
  const ValueId w = graph.add_constant("w" + suffix, Tensor::from(weights, shape));
  if (is_binary) graph.value(w).encoding = Affine{LevelSet::O, 1, {1}, {0}, std::nullopt};
  const ValueId y = graph.add(o,
                              {x, w, graph.add_constant("b" + suffix, Tensor::of(bias)),
                               graph.add_constant("m" + suffix, Tensor::of(multiplier)),
                               graph.add_constant("s" + suffix, Tensor::of(shift))},
                              "layer" + suffix);
  graph.value(y).encoding = codes;
  return y;
}

Graph build(LayerForm form) {
  Graph graph(Level::Integer);
  Rng rng(20220807);
  ValueId x =
      graph.add_input("input", DType::I8, {1, form.height, form.width, form.inputs});
  graph.value(x).encoding =
      Affine{LevelSet::U, form.activation_bits, {0.02F}, {0}, std::nullopt};
  for (std::int64_t i = 1; i <= form.layers; ++i, form.inputs = form.outputs) {
    x = add_layer(graph, rng, form, x, form.layers == 1 ? "" : std::to_string(i));
  }
  graph.add_output("output", x);
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
  std::printf("macs %lld blob_bytes %llu arena_bytes %llu arena_lower_bound %llu\n",
              static_cast<long long>(macs),
              static_cast<unsigned long long>(sizes.blob_bytes),
              static_cast<unsigned long long>(sizes.arena_bytes),
              static_cast<unsigned long long>(sizes.arena_lower_bound));
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
