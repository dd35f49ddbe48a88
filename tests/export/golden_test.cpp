// SPDX-License-Identifier: MIT
#include "lib/export/golden.h"

#include <nlohmann/json.hpp>
#include <set>

#include "lib/core/error.h"
#include "lib/export/bytes.h"
#include "lib/export/golden_file.h"
#include "tests/export/toy_graphs.h"
#include "tests/support/catch.h"

using namespace qopt;
using namespace qopt::emit;

namespace {

std::vector<Tensor> one_sample(const Graph& graph) {
  std::vector<Tensor> inputs;
  for (const ValueId id : graph.inputs()) {
    inputs.push_back(Tensor::zeros(graph.value(id).dtype, graph.value(id).shape));
  }
  return inputs;
}

/// The requantiser by exact 128-bit arithmetic, apart from arith.h.
std::int64_t exact_requant(std::int64_t acc, std::int64_t m, int s) {
  const auto floor_shift = [](__int128 x, int n) { return x >> n; };
  const auto sat = [](__int128 x) {
    return x > INT32_MAX ? __int128{INT32_MAX} : x < INT32_MIN ? __int128{INT32_MIN} : x;
  };
  const __int128 left = sat(static_cast<__int128>(acc) << (s > 0 ? s : 0));
  const __int128 high = sat(floor_shift(2 * left * m + (__int128{1} << 31), 32));
  const int n = s > 0 ? 0 : -s;
  return static_cast<std::int64_t>(
      n == 0 ? high : floor_shift(high + (__int128{1} << (n - 1)), n));
}

}  // namespace

TEST_CASE("vectors stay in the codes of their inputs and cover the extremes",
          "[export]") {
  const Graph graph = qopt::testing::all_ops();
  const auto vectors = make_vectors(graph, {one_sample(graph), one_sample(graph)}, 4);
  std::set<std::string> names;
  for (const GoldenVector& vector : vectors) {
    CHECK(names.insert(vector.name).second);
    REQUIRE(vector.inputs.size() == 3);
    CHECK(vector.inputs[0].dtype() == DType::I8);
    CHECK(vector.inputs[0].shape() == Shape{2, 7, 6, 4});
    CHECK(vector.inputs[1].dtype() == DType::I32);
  }
  for (const char* name : {"sample0", "sample1", "all_min", "all_max", "all_zero",
                           "checker", "ramp", "noise0", "noise1", "noise2"}) {
    CHECK(names.contains(name));
  }
  const auto of = [&](std::string_view name) {
    for (const GoldenVector& v : vectors) {
      if (v.name == name) return v.inputs[0];
    }
    throw InternalError("no such vector");
  };
  CHECK(of("all_min").integer_at(5) == -128);
  CHECK(of("all_max").integer_at(5) == 127);
  CHECK(of("all_zero").integer_at(5) == -118);
  CHECK(of("checker").integer_at(0) == -128);
  CHECK(of("checker").integer_at(1) == 127);
  CHECK(of("ramp").integer_at(255) == 127);
  CHECK(of("ramp").integer_at(256) == -128);

  // Codes of a narrow 4-bit input stay inside it.
  Graph narrow(Level::Integer);
  const ValueId x = narrow.add_input("x", DType::I8, {300});
  narrow.value(x).encoding = Affine{LevelSet::N, 4, {1.0F}, {2}, std::nullopt};
  for (const GoldenVector& vector : make_vectors(narrow, {}, 4)) {
    for (const std::int8_t code : vector.inputs[0].values<std::int8_t>()) {
      REQUIRE(code >= -7);
      REQUIRE(code <= 7);
    }
  }
}

TEST_CASE("another seed gives other noise, the same seed the same", "[export]") {
  const Graph graph = qopt::testing::conv_net();
  const auto a = make_vectors(graph, {}, 1), b = make_vectors(graph, {}, 1),
             c = make_vectors(graph, {}, 2);
  CHECK(a[0].name == "noise0");
  CHECK(a[0].inputs[0] == b[0].inputs[0]);
  CHECK_FALSE(a[0].inputs[0] == c[0].inputs[0]);
}

TEST_CASE("golden files are the executor's values and do not depend on threads",
          "[export]") {
  const Graph graph = qopt::testing::conv_net();
  const IntegerExecutor executor(graph);
  const auto vectors = make_vectors(graph, {one_sample(graph)}, 1);
  Artifact one, two;
  add_golden(one, executor, vectors, 1);
  add_golden(two, executor, vectors, 2);
  CHECK(one.files == two.files);
  CHECK(one.files.size() == 4);

  const GoldenLayout layout = golden_layout(graph);
  CHECK(layout.layers.size() == 8);
  const auto read = read_vectors(graph, layout, one.files["golden/vectors.bin"]);
  const auto expected = read_expected(layout, one.files["golden/expected.bin"]);
  REQUIRE(read.size() == vectors.size());
  REQUIRE(expected.size() == vectors.size());
  for (std::size_t i = 0; i < read.size(); ++i) {
    CHECK(read[i].name == vectors[i].name);
    CHECK(read[i].inputs[0] == vectors[i].inputs[0]);
    CHECK(expected[i].full);
    const std::vector<Tensor> outputs = executor.run(vectors[i].inputs);
    CHECK(std::memcmp(outputs[0].bytes().data(), expected[i].outputs.data(), 10) == 0);
    CHECK(layer_crcs(layout, expected[i].layers) == expected[i].crc);
  }
  const auto index = nlohmann::json::parse(one.files["golden/index.json"]);
  CHECK(index["layers"][1]["name"] == "conv2");
  CHECK(index["layers"][1]["offset"] == 512);
  CHECK(index["rounding"]["sampled"].get<int>() > 1000);
  CHECK(index["rounding"]["ties"].get<int>() > 0);
  CHECK(index["rounding"]["clamped"].get<int>() > 0);
}

TEST_CASE("large networks keep one full recording and CRCs of the others", "[export]") {
  qopt::testing::ToyGraph t;
  const ValueId x = t.input("x", {1, 4, 4, 2});
  const ValueId wide = t.graph.add(op::Reshape{{1, 32}}, {x}, "row");
  const ValueId tall = t.graph.add(op::Expand{{200000, 32}}, {wide}, "tall");  // 6.4 MB
  t.graph.add_output("y", t.graph.add(op::Slice{0, 7, 9, 1}, {tall}, "y"));
  const IntegerExecutor executor(t.graph);
  Artifact artifact;
  add_golden(artifact, executor, make_vectors(t.graph, {}, 1), 2);
  CHECK(artifact.files["golden/expected.bin"].size() < (8U << 20));
  const auto expected =
      read_expected(golden_layout(t.graph), artifact.files["golden/expected.bin"]);
  CHECK(expected[0].full);
  for (std::size_t i = 1; i < expected.size(); ++i) {
    CHECK_FALSE(expected[i].full);
    CHECK(expected[i].outputs.size() == 64);
  }
}

TEST_CASE("damaged golden files are refused", "[export]") {
  const Graph graph = qopt::testing::conv_net();
  const GoldenLayout layout = golden_layout(graph);
  Artifact artifact;
  add_golden(artifact, IntegerExecutor(graph), make_vectors(graph, {}, 1));
  for (const char* path : {"golden/vectors.bin", "golden/expected.bin"}) {
    const std::string good = artifact.files[path];
    const bool is_vectors = std::string_view(path) == "golden/vectors.bin";
    for (std::size_t size = 0; size < good.size(); size += 1 + good.size() / 500) {
      INFO(path << " cut at " << size);
      if (is_vectors) {
        REQUIRE_THROWS_AS(read_vectors(graph, layout, good.substr(0, size)), Error);
      } else {
        REQUIRE_THROWS_AS(read_expected(layout, good.substr(0, size)), Error);
      }
    }
    for (std::size_t at = 0; at < 32; ++at) {
      std::string changed = good;
      changed[at] = static_cast<char>(changed[at] ^ 0x41);
      if (at >= 24 && is_vectors) continue;  // a name
      INFO(path << " byte " << at);
      if (is_vectors) {
        REQUIRE_THROWS_AS(read_vectors(graph, layout, changed), Error);
      } else {
        REQUIRE_THROWS_AS(read_expected(layout, changed), Error);
      }
    }
  }
}

TEST_CASE("the requantiser table is exact and full of ties", "[export]") {
  const std::string table = requant_table();
  ByteReader in(table, "requant.bin");
  CHECK(in.take(8, "magic") == std::string_view("QOPTGR1\0", 8));
  const std::uint32_t rows = in.u32("rows");
  in.u32("padding");
  CHECK(rows > 1500);
  CHECK(in.left() == rows * 16);
  int ties = 0;
  for (std::uint32_t i = 0; i < rows; ++i) {
    const auto acc = static_cast<std::int32_t>(in.u32("acc"));
    const auto multiplier = static_cast<std::int32_t>(in.u32("multiplier"));
    const auto shift = static_cast<std::int32_t>(in.u32("shift"));
    const auto expected = static_cast<std::int32_t>(in.u32("expected"));
    INFO(acc << " * " << multiplier << " >> " << shift);
    REQUIRE(expected == exact_requant(acc, multiplier, shift));
    const bool halves = multiplier == 1 << 30 && shift < 0 && acc % 2 == 0;
    const std::int64_t unit = std::int64_t{1} << -std::min(shift, 0);
    if (halves && ((acc / 2) & (unit - 1)) == unit / 2) ++ties;
  }
  CHECK(ties >= 200);
}
