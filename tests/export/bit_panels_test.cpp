// SPDX-License-Identifier: MIT
// Bit panels: levels found, round trips, the layout of docs/blob.md; convolutions that
// count bits give the executor's integers on every target.
#include "lib/export/bit_panels.h"

#include <algorithm>

#include "lib/core/error.h"
#include "lib/core/rng.h"
#include "lib/exec/interval.h"
#include "lib/export/blob.h"
#include "lib/export/export.h"
#include "lib/export/verify.h"
#include "tests/export/bit_nets.h"
#include "tests/support/catch.h"
#include "tests/support/temp_folder.h"

using namespace qopt;
using namespace qopt::emit;
using qopt::testing::random_codes;

namespace {

struct ConvForm {
  BitLevels levels;
  int x_bits = 2;
  std::int64_t channels = 64, outputs = 8, kernel = 3, stride = 1;
  std::int32_t x_zero = 0;
  int weight_bits = 2;
  bool has_w_zero = false;
};

/// One convolution over codes 0..2^x_bits-1.
Graph one_conv(const ConvForm& form, std::int64_t size = 6) {
  Graph graph(Level::Integer);
  Rng rng(11);
  const ValueId x = graph.add_input("x", DType::I8, {1, size, size + 1, form.channels});
  graph.value(x).encoding =
      Affine{LevelSet::U, form.x_bits, {0.5F}, {form.x_zero}, std::nullopt};
  std::vector<std::int32_t> bias, multiplier;
  std::vector<std::int8_t> shift, zeros;
  for (std::int64_t o = 0; o < form.outputs; ++o) {
    bias.push_back(static_cast<std::int32_t>(rng.below(400)) - 200);
    multiplier.push_back((1 << 30) + static_cast<std::int32_t>(rng.below(1U << 30)));
    shift.push_back(static_cast<std::int8_t>(-2 - static_cast<int>(rng.below(4))));
    zeros.push_back(static_cast<std::int8_t>(rng.below(3)));
  }
  op::QConv2d o;
  o.stride = {form.stride, form.stride};
  const std::int64_t pad = form.kernel / 2;
  o.pads = {pad, pad, pad, pad};
  o.weight_bits = form.weight_bits;
  o.x_zero = form.x_zero, o.y_zero = -20, o.lo = -100, o.hi = 120;
  const Shape shape{form.outputs, form.kernel, form.kernel, form.channels};
  std::vector<ValueId> inputs = {
      x, graph.add_constant("w", random_codes(rng, shape, form.levels)),
      graph.add_constant("b", Tensor::of(bias)),
      graph.add_constant("m", Tensor::of(multiplier)),
      graph.add_constant("s", Tensor::of(shift))};
  if (form.has_w_zero) {
    std::vector<std::int16_t> w_zero(zeros.begin(), zeros.end());
    inputs.push_back(graph.add_constant("z", Tensor::of(w_zero)));
  }
  const ValueId y = graph.add(o, inputs, "conv");
  graph.value(y).encoding = Affine{LevelSet::S, 8, {0.1F}, {-20}, std::nullopt};
  graph.add_output("y", y);
  assign_accumulator_bits(graph);
  return graph;
}

/// Counts bits wherever that is possible: as measured, nothing is cheaper.
const KernelTarget kTarget{&find_core("cortex-a72"),
                           {{"cycles", {{"conv", Family::BitSerial, 1.0}}}}};

const ConvForm kForms[] = {
    {{1, -1, 2}, 1},                           // odd levels: -1 and 1
    {{1, 0, 1}, 2, 65, 4},                     // a word of one channel
    {{2, -2, 1}, 2, 128, 8, 3, 2, 1},          // two's complement, zero is code 1
    {{2, -3, 2}, 2, 192, 12, 1, 1, 0, 3},      // odd levels: -3, -1, 1, 3
    {{2, -2, 1}, 3, 64, 8, 3, 1, 0, 2, true},  // zero points of the weights
};

}  // namespace

TEST_CASE("the fewest bits that hold the codes are found", "[export]") {
  const auto of = [](std::initializer_list<std::int8_t> codes) {
    return bit_levels(Tensor::of(std::vector<std::int8_t>(codes)));
  };
  CHECK(of({-1, 1}) == BitLevels{1, -1, 2});
  CHECK(of({-1, 0, 1}) == BitLevels{2, -1, 1});
  CHECK(of({-2, 1}) == BitLevels{2, -2, 1});
  CHECK(of({-3, 3, 1}) == BitLevels{2, -3, 2});
  CHECK(of({0, 15}) == BitLevels{4, 0, 1});
  CHECK(of({5, 5}) == BitLevels{1, 5, 1});
  CHECK(of({-128, 127}) == std::nullopt);
  CHECK(of({0, 17}) == std::nullopt);
}

TEST_CASE("panels keep every code", "[export]") {
  Rng rng(5);
  for (int bits = 1; bits <= 4; ++bits) {
    for (const int step : {1, 2}) {
      for (const Shape& shape : {Shape{1, 1, 1, 1}, Shape{5, 3, 3, 64},
                                 Shape{4, 1, 2, 65}, Shape{9, 1, 3, 200}}) {
        const BitLevels levels{bits, -(1 << (bits - 1)), step};
        const Tensor codes = random_codes(rng, shape, levels);
        const std::string packed = pack_panels(codes, levels);
        CHECK(packed.size() == panel_bytes(shape, bits));
        CHECK(unpack_panels(packed, shape, levels) == codes);
      }
    }
  }
  CHECK_THROWS_AS(pack_panels(Tensor::zeros(DType::I8, {1, 1, 1, 1}), {2, 1, 1}),
                  InternalError);
}

TEST_CASE("panels lie as docs/blob.md draws them", "[export]") {
  // Three words a row: a pair, then a single one; of output channel 1, channel 70 of tap
  // 0 (word 1) and channel 3 of tap 1 (word 2).
  Tensor codes = Tensor::zeros(DType::I8, {2, 1, 3, 64});
  const auto values = codes.mutable_values<std::int8_t>();
  values[192 + 64 + 6] = 2;
  values[192 + 128 + 3] = 1;
  const std::string packed = pack_panels(codes, {2, 0, 1});
  REQUIRE(packed.size() == 2 * 3 * 32);
  std::string expected(packed.size(), '\0');
  expected[96 + (1 * 2 + 1) * 8 + 6] = 1;  // plane 1, pair 0, channel 1, word 1, bit 0
  expected[(8 + 1) * 8 + 3] = 1;           // plane 0, single words, channel 1
  CHECK(packed == expected);
}

TEST_CASE("what no bit-serial kernel can run keeps its rows", "[export]") {
  const auto counts_bits = [](const ConvForm& form) {
    return write_blob(one_conv(form), kTarget).sections[0].panels.has_value();
  };
  for (const ConvForm& form : kForms) CHECK(counts_bits(form));
  CHECK_FALSE(counts_bits({{2, -2, 1}, 8}));            // 8 bits of input
  CHECK_FALSE(counts_bits({{2, -2, 1}, 2, 16}));        // a quarter of a word
  CHECK_FALSE(counts_bits({{2, -2, 1}, 2, 64, 8, 1}));  // one word a row
  Graph graph = one_conv(kForms[0]);
  graph.add_output("weights", *graph.find("w"));
  CHECK_FALSE(write_blob(graph, kTarget).sections[0].panels);
}

TEST_CASE("a blob keeps panels at their bits", "[export]") {
  const Graph graph = one_conv({{1, -1, 2}, 1});
  const Blob blob = write_blob(graph, kTarget);
  CHECK(blob.sections[0].bits == 1);
  CHECK(blob.sections[0].size_bytes == 8 * 9 * 64 / 8);
  CHECK(read_sections(blob.bytes)[0].panels == BitLevels{1, -1, 2});
  const Constants constants = read_constants(blob.bytes);
  CHECK(constants.find("w")->second == *graph.value(*graph.find("w")).constant);
}

TEST_CASE("convolutions that count bits equal the executor on every target", "[export]") {
  for (const ConvForm& form : kForms) {
    const Graph graph = one_conv(form);
    const Artifact artifact = export_folder(graph, {}, {"toy", kTarget}, 1, 2);
    const TempFolder folder;
    write_files(artifact, folder.path());
    const bool is_counted =
        artifact.files.at("src/model.c").find("qrt.bitserial_s8") != std::string::npos;
    CHECK(is_counted);
    for (const VerifyResult& result :
         verify_folder(folder.path(), {"host", "aarch64", "armv7-neon"}, 2)) {
      INFO(result.target << ": " << result.detail);
      if (result.status == VerifyStatus::NotTested) {
        WARN("skipped: " << result.target << ": " << result.detail);
        continue;
      }
      CHECK(result.status == VerifyStatus::Passed);
    }
  }
}
