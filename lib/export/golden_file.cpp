// SPDX-License-Identifier: MIT
#include "lib/export/golden_file.h"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <span>

#include "lib/core/error.h"
#include "lib/core/rng.h"
#include "lib/export/bytes.h"
#include "runtime/include/qrt/arith.h"

namespace qopt::emit {
namespace {

constexpr std::string_view kVectorsMagic{"QOPTGV1\0", 8};
constexpr std::string_view kExpectedMagic{"QOPTGE1\0", 8};
constexpr std::string_view kRequantMagic{"QOPTGR1\0", 8};
constexpr std::size_t kNameBytes = 32;
constexpr std::uint32_t kMaxVectors = 4096;  // guards allocations when reading

std::uint64_t bytes_of(const Value& value) {
  return static_cast<std::uint64_t>(num_elements(value.shape)) * dtype_size(value.dtype);
}

}  // namespace

GoldenLayout golden_layout(const Graph& graph) {
  GoldenLayout layout;
  for (const Node& node : graph.nodes()) {
    if (std::holds_alternative<op::Input>(node.op)) continue;
    layout.layers.push_back(node.output);
    layout.layer_bytes.push_back(bytes_of(graph.value(node.output)));
    layout.all_layers_bytes += layout.layer_bytes.back();
  }
  layout.inputs = graph.inputs();
  for (const ValueId id : layout.inputs) layout.inputs_bytes += bytes_of(graph.value(id));
  for (const Output& output : graph.outputs()) {
    layout.outputs.push_back(output.value);
    layout.outputs_bytes += bytes_of(graph.value(output.value));
  }
  return layout;
}

std::string write_vectors(const GoldenLayout& layout,
                          const std::vector<GoldenVector>& vectors) {
  std::string out(kVectorsMagic);
  append_u32(out, static_cast<std::uint32_t>(vectors.size()));
  append_u32(out, static_cast<std::uint32_t>(layout.inputs.size()));
  append_u64(out, layout.inputs_bytes);
  for (const GoldenVector& vector : vectors) {
    std::string name = vector.name.substr(0, kNameBytes - 1);
    name.resize(kNameBytes, '\0');
    out += name;
  }
  for (const GoldenVector& vector : vectors) {
    const std::size_t before = out.size();
    for (const Tensor& input : vector.inputs) {
      const std::span<const std::byte> bytes = input.bytes();
      out.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    }
    QOPT_CHECK(out.size() - before == layout.inputs_bytes,
               "vector '{}' has {} bytes, not {}", vector.name, out.size() - before,
               layout.inputs_bytes);
  }
  return out;
}

std::string write_expected(const GoldenLayout& layout,
                           const std::vector<Expected>& runs) {
  std::string out(kExpectedMagic);
  append_u32(out, static_cast<std::uint32_t>(runs.size()));
  append_u32(out, static_cast<std::uint32_t>(layout.layers.size()));
  append_u64(out, layout.all_layers_bytes);
  append_u64(out, layout.outputs_bytes);
  for (const Expected& run : runs) {
    QOPT_CHECK(run.crc.size() == layout.layers.size() &&
                   run.outputs.size() == layout.outputs_bytes &&
                   run.layers.size() == (run.full ? layout.all_layers_bytes : 0),
               "recorded run does not fit the graph");
    append_u32(out, run.full ? 1 : 0);
    for (const std::uint32_t crc : run.crc) append_u32(out, crc);
    out += run.layers;
    out += run.outputs;
  }
  return out;
}

std::vector<GoldenVector> read_vectors(const Graph& graph, const GoldenLayout& layout,
                                       std::string_view bytes) {
  ByteReader in(bytes, "golden/vectors.bin");
  if (in.take(8, "the magic") != kVectorsMagic)
    in.fail("no golden vectors (wrong magic)");
  const std::uint32_t count = in.u32("the vector count");
  const std::uint32_t inputs = in.u32("the input count");
  const std::uint64_t input_bytes = in.u64("the input size");
  if (inputs != layout.inputs.size() || input_bytes != layout.inputs_bytes) {
    in.fail("made for another graph");
  }
  if (count > kMaxVectors || count * (kNameBytes + input_bytes) != in.left()) {
    in.fail(fmt::format("{} vectors do not fill the file", count));
  }
  std::vector<GoldenVector> vectors(count);
  for (GoldenVector& vector : vectors) {
    const std::string_view name = in.take(kNameBytes, "a name");
    vector.name = std::string(name.substr(0, name.find('\0')));
  }
  for (GoldenVector& vector : vectors) {
    for (const ValueId id : layout.inputs) {
      const Value& value = graph.value(id);
      Tensor tensor = Tensor::zeros(value.dtype, value.shape);
      const std::string_view taken = in.take(bytes_of(value), "an input");
      if (!taken.empty())
        std::memcpy(tensor.mutable_bytes().data(), taken.data(), taken.size());
      vector.inputs.push_back(std::move(tensor));
    }
  }
  return vectors;
}

std::vector<Expected> read_expected(const GoldenLayout& layout, std::string_view bytes) {
  ByteReader in(bytes, "golden/expected.bin");
  if (in.take(8, "the magic") != kExpectedMagic)
    in.fail("no expected values (wrong magic)");
  const std::uint32_t count = in.u32("the vector count");
  const std::uint32_t layers = in.u32("the layer count");
  const std::uint64_t layer_bytes = in.u64("the layers' size");
  const std::uint64_t output_bytes = in.u64("the outputs' size");
  if (layers != layout.layers.size() || layer_bytes != layout.all_layers_bytes ||
      output_bytes != layout.outputs_bytes) {
    in.fail("made for another graph");
  }
  if (count > kMaxVectors) in.fail("too many vectors");
  std::vector<Expected> runs;
  for (std::uint32_t i = 0; i < count; ++i) {
    Expected run;
    const std::uint32_t flag = in.u32("a flag");
    if (flag > 1) in.fail(fmt::format("flag {}", flag));
    run.full = flag == 1;
    if (in.left() / 4 < layers) in.fail("ends inside the CRCs");
    for (std::uint32_t k = 0; k < layers; ++k) run.crc.push_back(in.u32("a CRC"));
    if (run.full) run.layers = std::string(in.take(layer_bytes, "the layers"));
    run.outputs = std::string(in.take(output_bytes, "the outputs"));
    runs.push_back(std::move(run));
  }
  if (in.left() != 0) in.fail(fmt::format("{} bytes too many", in.left()));
  return runs;
}

std::vector<std::uint32_t> layer_crcs(const GoldenLayout& layout,
                                      std::string_view layers) {
  std::vector<std::uint32_t> crcs;
  std::uint64_t at = 0;
  for (const std::uint64_t bytes : layout.layer_bytes) {
    crcs.push_back(crc32(layers.substr(at, bytes)));
    at += bytes;
  }
  return crcs;
}

std::int64_t element_at(std::string_view bytes, DType dtype, std::uint64_t index) {
  const std::size_t width = dtype_size(dtype);
  ByteReader in(bytes.substr(index * width, width), "element");
  switch (width) {
    case 1: return static_cast<std::int8_t>(in.take(1, "a byte")[0]);
    case 2: return static_cast<std::int16_t>(in.u16("a number"));
    case 4: return static_cast<std::int32_t>(in.u32("a number"));
    default: return static_cast<std::int64_t>(in.u64("a number"));
  }
}

std::optional<Difference> first_difference(DType dtype, std::string_view expected,
                                           std::string_view got) {
  QOPT_CHECK(expected.size() == got.size(), "{} and {} bytes", expected.size(),
             got.size());
  const auto [a, b] = std::mismatch(expected.begin(), expected.end(), got.begin());
  if (a == expected.end()) return std::nullopt;
  const auto index = static_cast<std::uint64_t>(a - expected.begin()) / dtype_size(dtype);
  return Difference{static_cast<std::int64_t>(index), element_at(expected, dtype, index),
                    element_at(got, dtype, index)};
}

std::string requant_table() {
  constexpr std::int32_t kMin = std::numeric_limits<std::int32_t>::min();
  constexpr std::int32_t kMax = std::numeric_limits<std::int32_t>::max();
  constexpr std::array<std::int32_t, 7> kMultipliers = {
      0, 1 << 18, 0x6F1234, 1 << 30, (1 << 30) + 1, 0x60000000, kMax};
  constexpr std::array<int, 11> kShifts = {-31, -30, -16, -8, -7, -1, 0, 1, 7, 29, 30};
  constexpr std::array<std::int32_t, 13> kEdges = {
      kMin, kMin + 1, -65536, -129, -128, -1, 0, 1, 127, 128, 65535, kMax - 1, kMax};
  std::vector<std::array<std::int32_t, 3>> rows;
  for (const std::int32_t multiplier : kMultipliers) {
    for (const int shift : kShifts) {
      for (const std::int32_t acc : kEdges) rows.push_back({acc, multiplier, shift});
    }
  }
  // Exact ties of the last rounding: a multiplier of 2^30 halves exactly, so an even acc
  // of 2 * (odd * 2^(n-1)) leaves half a unit before the shift by n.
  for (int n = 1; n <= 20; ++n) {
    for (std::int32_t odd = -9; odd <= 9; odd += 2) {
      rows.push_back({odd * (1 << n), 1 << 30, -n});
      rows.push_back({odd * (1 << n) + 1, 1 << 30, -n});
      rows.push_back({odd * (1 << n) - 1, 1 << 30, -n});
    }
  }
  // Ties of the first rounding (N2): an odd acc times 2^30.
  for (std::int32_t odd = -9; odd <= 9; odd += 2) rows.push_back({odd, 1 << 30, 0});
  Rng rng(0x5EED);
  for (int i = 0; i < 512; ++i) {
    const auto acc = static_cast<std::int32_t>(static_cast<std::uint32_t>(rng.next())) >>
                     static_cast<int>(rng.below(32));
    const auto multiplier = static_cast<std::int32_t>((1 << 30) + rng.below(1 << 30));
    rows.push_back({acc, multiplier, static_cast<std::int32_t>(rng.below(62)) - 31});
  }
  std::string out(kRequantMagic);
  append_u32(out, static_cast<std::uint32_t>(rows.size()));
  append_u32(out, 0);
  for (const auto& [acc, multiplier, shift] : rows) {
    append_u32(out, static_cast<std::uint32_t>(acc));
    append_u32(out, static_cast<std::uint32_t>(multiplier));
    append_u32(out, static_cast<std::uint32_t>(shift));
    append_u32(out, static_cast<std::uint32_t>(qrt_requant(acc, multiplier, shift)));
  }
  return out;
}

}  // namespace qopt::emit
