// SPDX-License-Identifier: MIT
// qopt bench on toy exports: every layer has a figure, natively a time and under
// emulation a repeatable count; what cannot be counted says why.
#include "lib/export/bench.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lib/core/error.h"
#include "lib/core/files.h"
#include "lib/export/export.h"
#include "lib/export/instruction_counter.h"
#include "lib/export/kernel_choice.h"
#include "lib/export/manifest.h"
#include "lib/export/process.h"
#include "lib/export/verify.h"
#include "tests/export/toy_graphs.h"
#include "tests/support/catch.h"
#include "tests/support/temp_folder.h"

using namespace qopt;
using namespace qopt::emit;

namespace {

void write_export(const std::filesystem::path& folder) {
  write_files(export_folder(qopt::testing::conv_net(), {}, {"toy"}, 1, 2), folder);
}

std::size_t layer_count() {
  std::size_t count = 0;
  const Graph graph = qopt::testing::conv_net();
  for (const Node& node : graph.nodes()) {
    count += std::holds_alternative<op::Input>(node.op) ? 0 : 1;
  }
  return count;
}

ExitCode code_of(const std::filesystem::path& folder, const std::string& target) {
  try {
    bench_folder(folder, target, 2, 2);
  } catch (const Error& e) {
    return e.code();
  }
  return ExitCode::Ok;
}

}  // namespace

TEST_CASE("a bench times every layer on this machine", "[export]") {
  const TempFolder folder;
  write_export(folder.path());
  const BenchResult result = bench_folder(folder.path(), "host", 5, 2);
  if (!result.not_counted.empty()) {
    WARN("skipped: " << result.not_counted);
    return;
  }
  CHECK(result.unit == "ns");
  CHECK(result.iterations == 5);
  REQUIRE(result.layers.size() == layer_count());
  CHECK(result.total.median >= result.total.min);
  CHECK(result.total.min > 0);
  int convolutions = 0;
  for (const BenchLayer& layer : result.layers) {
    INFO(layer.name);
    CHECK(layer.figure.median >= layer.figure.min);
    CHECK(layer.figure.min >= 0);
    CHECK(layer.figure.min <= result.total.median);
    CHECK(layer.family.has_value() == (layer.kind == "qconv2d"));
    convolutions += layer.family ? 1 : 0;
  }
  CHECK(convolutions > 0);

  const auto json = nlohmann::json::parse(bench_json(result));
  CHECK(json.at("version") == 1);
  CHECK(json.at("unit") == "ns");
  CHECK(json.at("not_counted").is_null());
  CHECK(json.at("layers").size() == result.layers.size());
  CHECK_THAT(bench_text(result), has_text("microseconds over 5 iterations"));
  // What it prints is what export.target.measurements reads.
  const Measurement read = parse_measurement(bench_json(result), "bench.json");
  CHECK(read.unit == "ns");
  CHECK(read.rows.size() == static_cast<std::size_t>(convolutions));
}

TEST_CASE("a bench says the family that was chosen for each layer", "[export]") {
  const TempFolder folder;
  const Graph graph = qopt::testing::low_bit_net();
  const KernelTarget target{&find_core("cortex-a53"), {}};
  write_files(export_folder(graph, {}, {"toy", target}, 1, 2), folder.path());
  const BenchResult result = bench_folder(folder.path(), "host", 2, 2);
  if (!result.not_counted.empty()) {
    WARN("skipped: " << result.not_counted);
    return;
  }
  const auto choices = choose_kernels(graph, target);
  auto layer = result.layers.begin();
  int short_sums = 0, byte_sums = 0;
  for (std::size_t i = 0; i < choices.size(); ++i) {
    if (std::holds_alternative<op::Input>(graph.nodes()[i].op)) continue;
    REQUIRE(layer != result.layers.end());
    INFO(layer->name);
    REQUIRE(layer->family.has_value() == choices[i].has_value());
    if (choices[i]) CHECK(*layer->family == choices[i]->chosen.family);
    short_sums += layer->family == Family::ShortSums ? 1 : 0;
    byte_sums += layer->family == Family::ByteSums ? 1 : 0;
    ++layer;
  }
  CHECK(short_sums > 0);
  CHECK(byte_sums > 0);
}

TEST_CASE("under emulation a bench counts instructions, never time", "[export]") {
  const TempFolder folder;
  write_export(folder.path());
  const BenchResult result = bench_folder(folder.path(), "aarch64", 3, 2);
  if (!result.not_counted.empty()) {
    CHECK(result.layers.empty());
    CHECK(result.unit.empty());
    WARN("skipped: " << result.not_counted);
    return;
  }
  CHECK(result.unit == "instructions");
  REQUIRE(result.layers.size() == layer_count());
  double sum = 0;
  for (const BenchLayer& layer : result.layers) {
    INFO(layer.name << " " << layer.figure.median << " " << layer.figure.min);
    CHECK(layer.figure.min > 0);
    CHECK(layer.figure.median == layer.figure.min);  // exact and repeatable
    sum += layer.figure.median;
  }
  CHECK(result.total.median == sum);
  const BenchResult again = bench_folder(folder.path(), "aarch64", 2, 2);
  CHECK(again.total.median == result.total.median);
  CHECK_THAT(bench_text(result), has_text("executed instructions over 3 iterations"));
}

TEST_CASE("what was not counted says why", "[export]") {
  BenchResult result;
  result.target = "aarch64";
  result.iterations = 3;
  result.not_counted = "qemu-aarch64 does not load the counter: no plugins";
  CHECK(bench_text(result) ==
        "target aarch64\nnot counted: qemu-aarch64 does not load the counter: no "
        "plugins\n");
  const auto json = nlohmann::json::parse(bench_json(result));
  CHECK(json.at("unit").is_null());
  CHECK(json.at("total").is_null());
  CHECK(json.at("not_counted") == result.not_counted);
  CHECK_THROWS_AS(parse_measurement(bench_json(result), "m"), Error);
}

TEST_CASE("a bench refuses what is no export", "[export]") {
  const TempFolder folder;
  CHECK(code_of(folder.path(), "host") == ExitCode::Data);
  CHECK(code_of(folder.path() / "none", "host") == ExitCode::Data);
  write_export(folder.path());
  CHECK(code_of(folder.path(), "hosst") == ExitCode::Usage);
  CHECK_THROWS_WITH(bench_folder(folder.path(), "hosst", 2, 2),
                    has_text("did you mean 'host'?"));
  write_file_atomic(folder.path() / "bench.c", "int main(void) { return 0; }\n");
  CHECK(code_of(folder.path(), "host") == ExitCode::Data);  // not the manifest's
  Artifact artifact = export_folder(qopt::testing::conv_net(), {}, {"toy"}, 1, 2);
  artifact.files["bench.c"] = "int main(void) { return 0; }\n";
  add_manifest(artifact, "toy");
  const TempFolder silent;
  write_files(artifact, silent.path());
  CHECK_THROWS_WITH(bench_folder(silent.path(), "host", 2, 2),
                    has_text("export the model again"));
  artifact.files["bench.c"] = "int main(void) { return 3; }\n";
  add_manifest(artifact, "toy");
  const TempFolder failing;
  write_files(artifact, failing.path());
  CHECK_THROWS_WITH(bench_folder(failing.path(), "host", 2, 2), has_text("code 3"));
}

TEST_CASE("lists of marks are read strictly", "[export]") {
  const TempFolder folder;
  const auto read = [&](const std::string& text) {
    write_file_atomic(folder.path() / "m", text);
    return read_marks(folder.path() / "m");
  };
  REQUIRE(read("0 5\n1 19\n"));
  CHECK(read("0 5\n1 19\n")->at(1).instructions == 19);
  CHECK(read("")->empty());
  for (const char* bad : {"0", "0 5", "x 5\n", "0 y\n", "0  5\n", "0 5 \n", "0 -5\n"}) {
    INFO(bad);
    CHECK_FALSE(read(bad));
  }
  CHECK_FALSE(read_marks(folder.path() / "none"));
}
