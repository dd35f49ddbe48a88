// SPDX-License-Identifier: MIT
// Exports on threads: every layer of every vector has the bytes of one thread, whatever
// the number of threads and whoever runs them; and no two threads touch one byte.
#include <algorithm>

#include "lib/export/c_layer.h"
#include "lib/export/export.h"
#include "lib/export/process.h"
#include "tests/export/bit_nets.h"
#include "tests/export/toy_graphs.h"
#include "tests/support/catch.h"
#include "tests/support/temp_folder.h"

using namespace qopt;
using namespace qopt::emit;
using std::chrono::seconds;

namespace {

/// Layers of every kind that is cut: images, rows, tiles of channels, batches.
Graph wide_net() {
  qopt::testing::ToyGraph t;
  Graph& g = t.graph;
  const ValueId x = t.input("image", {2, 19, 17, 3});
  const ValueId a = t.conv(x, "conv", {.out = 40, .weight_bits = 5}, -118);
  const ValueId b = t.conv(a, "depthwise", {.out = 40, .groups = 40}, 3);
  const ValueId c = t.add(a, b, "sum");
  const ValueId two =
      t.conv(c, "two", {.out = 64, .kernel = 1, .pad = 0, .lo = 0, .hi = 3}, 1);
  g.value(two).encoding = Affine{LevelSet::U, 2, {0.5F}, {0}, std::nullopt};
  const ValueId bits = t.conv(two, "bits", {.out = 72, .stride = 2, .weight_bits = 2});
  op::MaxPool2d pool;
  pool.kernel = {3, 3}, pool.stride = {2, 2}, pool.pads = {1, 1, 1, 1};
  const ValueId small = g.add(pool, {bits}, "pool");
  op::QReduce mean;
  mean.axes = {1, 2};
  mean.multiplier = 1 << 30, mean.shift = -3;
  const ValueId row =
      g.add(op::Reshape{{1, 1, 2, 72}}, {g.add(mean, {small}, "mean")}, "features");
  const ValueId linear = t.conv(row, "linear", {.out = 100, .kernel = 1, .pad = 0});
  const ValueId flat = g.add(op::Reshape{{2, 25, 72}}, {small}, "flat");
  const ValueId turned = g.add(op::Permute{{0, 2, 1}}, {flat}, "turned");
  op::QMatMul product;
  product.multiplier = 1 << 30, product.shift = -9;
  g.add_output("product", g.add(product, {flat, turned}, "product"));
  g.add_output("linear", linear);
  return std::move(g);
}

std::vector<std::string> kernel_sources(const Artifact& artifact) {
  std::vector<std::string> paths;
  for (const auto& [path, text] : artifact.files) {
    if (path.starts_with("src/qrt/") && path.ends_with(".c")) paths.push_back(path);
  }
  return paths;
}

struct Build {
  std::string name, compiler;
  std::vector<std::string> flags, runner;
};

/// Builds the selftest; empty, or why this machine cannot.
std::string build_selftest(const Artifact& artifact, const Build& build,
                           const std::filesystem::path& folder) {
  if (find_program(build.compiler).empty()) return build.compiler + " is not installed";
  if (!build.runner.empty() && find_program(build.runner[0]).empty()) {
    return build.runner[0] + " is not installed";
  }
  // Toy layers are worth cutting, too.
  std::vector<std::string> call{
      build.compiler,        "-std=c99",  "-O2",     "-Wall", "-Wextra",
      "-Wconversion",        "-pedantic", "-Werror", "-I.",   "-Iinclude",
      "-DQRT_LEAST_WORK=64", "selftest.c"};
  call.insert(call.end(), build.flags.begin(), build.flags.end());
  const std::vector<std::string> kernels = kernel_sources(artifact);
  call.insert(call.end(), kernels.begin(), kernels.end());
  call.insert(call.end(), {"-o", "selftest"});
  const ProcessResult built = run_process(call, folder, seconds(300));
  if (built.exit_code != 0 && built.output.find("cannot find") != std::string::npos) {
    return "libraries are missing: " + built.output.substr(0, 200);
  }
  INFO(build.name << ": " << built.output);
  REQUIRE(built.exit_code == 0);
  return {};
}

void require_same(const Artifact& artifact, const Build& build,
                  const std::vector<int>& threads) {
  const TempFolder folder;
  write_files(artifact, folder.path());
  const std::string obstacle = build_selftest(artifact, build, folder.path());
  if (!obstacle.empty()) {
    WARN("skipped: " << build.name << ": " << obstacle);
    return;
  }
  for (const int count : threads) {
    std::vector<std::string> call = build.runner;
    call.insert(call.end(), {"./selftest", ".", "--threads", std::to_string(count)});
    const ProcessResult run = run_process(call, folder.path(), seconds(300));
    INFO(build.name << ", " << count << " threads: " << run.output);
    CHECK(run.exit_code == 0);
    CHECK(run.output.starts_with("PASS"));
  }
}

Artifact exported(const Graph& graph, const KernelTarget& target = {}) {
  return export_folder(graph, {}, {"toy", target}, 1, 2);
}

/// Chains in bit planes: parts are rows, images, and words of channels.
std::vector<Artifact> in_bit_planes() {
  std::vector<Artifact> artifacts;
  for (const Graph& graph : {qopt::testing::bit_chain(), qopt::testing::bit_chain(2),
                             qopt::testing::bit_perceptron()}) {
    artifacts.push_back(exported(graph, qopt::testing::bit_target(graph)));
    CHECK_THAT(artifacts.back().files.at("src/model.c"), has_text(".x_planes = 1"));
  }
  return artifacts;
}

const Build kNative{
    "native", "cc", {"-march=native", "-DSELFTEST_PTHREADS", "-pthread"}, {}};
const Build kArm{
    "aarch64",
    "aarch64-linux-gnu-gcc",
    {"-march=armv8.2-a+dotprod", "-static", "-DSELFTEST_PTHREADS", "-pthread"},
    {"qemu-aarch64", "-cpu", "max"}};

}  // namespace

TEST_CASE("any number of threads gives the bytes of one", "[export]") {
  for (const Graph& graph :
       {wide_net(), qopt::testing::all_ops(), qopt::testing::low_bit_net()}) {
    require_same(exported(graph), kNative, {1, 2, 3, 8});
  }
  const Artifact wide = exported(wide_net());
  const std::string& source = wide.files.at("src/model.c");
  for (const char* runner :
       {"conv2d", "bitserial", "matmul", "binary", "max_pool", "reduce"}) {
    INFO(runner);
    CHECK(source.find(std::string("qrt_parallel_") + runner + "(team") !=
          std::string::npos);
  }
  require_same(wide, kArm, {1, 2, 3, 8});
  require_same(wide, {"OpenMP", "cc", {"-DSELFTEST_OPENMP", "-fopenmp"}, {}}, {1, 3});
}

TEST_CASE("bit planes are the same on any number of threads", "[export]") {
  const std::vector<Artifact> artifacts = in_bit_planes();
  for (const Artifact& artifact : artifacts) {
    require_same(artifact, kNative, {1, 2, 3, 4, 7, 16});
  }
  require_same(artifacts[1], kArm, {1, 3, 4});
}

TEST_CASE("threads share nothing that one of them writes", "[export]") {
  const Build sanitized{"ThreadSanitizer",
                        "cc",
                        {"-march=native", "-g", "-fsanitize=thread",
                         "-fno-sanitize-recover=all", "-DSELFTEST_PTHREADS", "-pthread"},
                        {}};
  require_same(exported(wide_net()), sanitized, {3, 8});
  for (const Artifact& artifact : in_bit_planes()) {
    require_same(artifact, sanitized, {3, 8});
  }
}

TEST_CASE("a selftest without threads says so", "[export]") {
  const Artifact artifact = exported(qopt::testing::conv_net());
  const TempFolder folder;
  write_files(artifact, folder.path());
  if (!build_selftest(artifact, {"plain", "cc", {}, {}}, folder.path()).empty()) {
    WARN("skipped: no compiler");
    return;
  }
  for (const char* count : {"2", "0", "-1", "65"}) {
    const ProcessResult run =
        run_process({"./selftest", ".", "--threads", count}, folder.path(), seconds(60));
    CHECK(run.exit_code == 2);
    CHECK_THAT(run.output, has_text("cannot run on"));
  }
}

TEST_CASE("each thread has scratch for any part it may get", "[export]") {
  const Graph graph = wide_net();
  const ModelCode code = model_code(graph, plan_sections(graph), choose_kernels(graph));
  CHECK(code.part_scratch_bytes > 0);
  CHECK(code.part_scratch_bytes % 64 == 0);
  for (const LayerCode& layer : code.layers) {
    CHECK(layer.part_scratch_bytes <= code.part_scratch_bytes);
  }
  // One thread needs none of it.
  CHECK(code.arena_bytes == std::max<std::uint64_t>(code.storage.bytes, 64));
}
