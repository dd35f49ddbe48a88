// SPDX-License-Identifier: MIT
// An export in a user's hands: built by its own CMakeLists.txt, called from C++ with real
// numbers, and run under the sanitizers.
#include <cstdlib>
#include <sstream>

#include "lib/core/error.h"
#include "lib/export/export.h"
#include "lib/export/process.h"
#include "lib/fixedpoint/integer_executor.h"
#include "tests/export/toy_graphs.h"
#include "tests/support/catch.h"
#include "tests/support/temp_folder.h"

using namespace qopt;
using namespace qopt::emit;
using std::chrono::seconds;

namespace {

std::vector<std::string> kernel_sources(const Artifact& artifact) {
  std::vector<std::string> paths;
  for (const auto& [path, text] : artifact.files) {
    if (path.starts_with("src/qrt/") && path.ends_with(".c")) paths.push_back(path);
  }
  return paths;
}

void require_run(const std::vector<std::string>& call,
                 const std::filesystem::path& folder) {
  const ProcessResult result = run_process(call, folder, seconds(300));
  INFO(result.output);
  REQUIRE(result.exit_code == 0);
}

constexpr const char* kProgram = R"(
#include <cstdio>
#include <cstdlib>
#include "model.h"
int main(int, char** argv) {
  alignas(8) static unsigned char blob[TOY_BLOB_BYTES];
  std::FILE* file = std::fopen(argv[1], "rb");
  if (file == nullptr || std::fread(blob, 1, sizeof blob, file) != sizeof blob) return 2;
  toy_model model;
  if (toy_init(&model, blob, sizeof blob - 1) == 0) return 3;
  if (toy_init(&model, blob, sizeof blob) != 0) return 4;
  const int shape[] = TOY_INPUT0_SHAPE;
  if (shape[1] * shape[2] * shape[3] != TOY_INPUT0_COUNT) return 5;
  static float real[TOY_INPUT0_COUNT];
  for (int i = 0; i < TOY_INPUT0_COUNT; ++i) real[i] = static_cast<float>(i % 97) * 0.05f - 0.3f;
  static int8_t in[TOY_INPUT0_COUNT], out[TOY_OUTPUT0_COUNT];
  static float scores[TOY_OUTPUT0_COUNT];
  toy_quantize_input0(real, in);
  for (int round = 0; round < 2; ++round) toy_run_static(&model, in, out);
  toy_dequantize_output0(out, scores);
  for (float score : scores) std::printf("%.9g\n", static_cast<double>(score));
  return 0;
}
)";

}  // namespace

TEST_CASE("a C++ program uses the exported model with real numbers", "[export]") {
  if (find_program("c++").empty() || find_program("cc").empty()) {
    WARN("skipped: no compiler");
    return;
  }
  const Graph graph = qopt::testing::conv_net();
  Artifact artifact = export_folder(graph, {}, {"toy"}, 1, 2);
  artifact.add("user.cpp", kProgram);
  const TempFolder folder;
  write_files(artifact, folder.path());
  std::vector<std::string> call{
      "cc", "-std=c99", "-O1", "-DTOY_STATIC_ARENA", "-Iinclude", "-c", "src/model.c"};
  const std::vector<std::string> kernels = kernel_sources(artifact);
  call.insert(call.end(), kernels.begin(), kernels.end());
  require_run(call, folder.path());
  call = {"c++", "-std=c++17", "-DTOY_STATIC_ARENA", "-Iinclude", "user.cpp", "model.o"};
  for (const std::string& path : kernels) {
    call.push_back(std::filesystem::path(path).stem().string() + ".o");
  }
  call.insert(call.end(), {"-o", "user"});
  require_run(call, folder.path());
  const ProcessResult run = run_process({(folder.path() / "user").string(), "model.qpk"},
                                        folder.path(), seconds(60));
  INFO(run.output);
  REQUIRE(run.exit_code == 0);

  // The same numbers through the executor; its inputs are in the model's own N,C,H,W
  // order.
  std::vector<float> real(192);
  for (int i = 0; i < 192; ++i)
    real[static_cast<std::size_t>(i)] = static_cast<float>(i % 97) * 0.05f - 0.3f;
  const std::vector<std::int64_t> to_nchw{0, 3, 1, 2};
  const Tensor image = permuted(Tensor::from(real, {1, 8, 8, 3}), to_nchw);
  const std::vector<Tensor> inputs{image};
  const Tensor scores = IntegerExecutor(graph).run_real(inputs)[0];
  std::istringstream printed(run.output);
  for (const float score : scores.values<float>()) {
    float got = 0;
    REQUIRE(printed >> got);
    CHECK(got == score);
  }
}

TEST_CASE("an export builds by its own CMakeLists.txt", "[export]") {
  if (find_program("cmake").empty()) {
    WARN("skipped: no cmake");
    return;
  }
  const TempFolder folder;
  write_files(export_folder(qopt::testing::conv_net(), {}, {"toy"}, 1, 2), folder.path());
  require_run({"cmake", "-S", ".", "-B", "build"}, folder.path());
  require_run({"cmake", "--build", "build", "-j2"}, folder.path());
  require_run({"build/toy_selftest", "."}, folder.path());
  const ProcessResult bench =
      run_process({"build/toy_bench", ".", "20"}, folder.path(), seconds(60));
  CHECK(bench.exit_code == 0);
  CHECK_THAT(bench.output, has_text("20 inferences"));
  // A wrong folder and wrong arguments end with a message.
  CHECK(run_process({"build/toy_selftest", "nowhere"}, folder.path(), seconds(60))
            .exit_code == 2);
  CHECK(run_process({"build/toy_selftest", ".", "--what"}, folder.path(), seconds(60))
            .exit_code == 2);
}

TEST_CASE("every kernel stays inside its buffers and the language", "[export]") {
  if (find_program("cc").empty()) {
    WARN("skipped: no compiler");
    return;
  }
  const TempFolder folder;
  const Artifact artifact = export_folder(qopt::testing::all_ops(), {}, {"toy"}, 1, 2);
  write_files(artifact, folder.path());
  for (const bool is_portable : {false, true}) {
    std::vector<std::string> call{"cc",
                                  "-std=c99",
                                  "-O1",
                                  "-g0",
                                  "-fsanitize=address,undefined",
                                  "-fno-sanitize-recover=all",
                                  "-Iinclude",
                                  "-I."};
    call.push_back(is_portable ? "-DQRT_FORCE_PORTABLE" : "-march=native");
    call.push_back("selftest.c");
    const std::vector<std::string> kernels = kernel_sources(artifact);
    call.insert(call.end(), kernels.begin(), kernels.end());
    call.insert(call.end(), {"-o", "selftest"});
    const ProcessResult built = run_process(call, folder.path(), seconds(300));
    if (built.exit_code != 0 && built.output.find("cannot find") != std::string::npos) {
      WARN("skipped: no sanitizer libraries");
      return;
    }
    INFO(built.output);
    REQUIRE(built.exit_code == 0);
    // The program ends without freeing; only its accesses are of interest.
    require_run({"env", "ASAN_OPTIONS=detect_leaks=0", "./selftest", "."}, folder.path());
  }
}

TEST_CASE("every promised compiler accepts an export at -O2 and gives its bits",
          "[export]") {
  const std::pair<Graph, std::vector<std::string>> exports[] = {
      {qopt::testing::all_ops(), {}}, {qopt::testing::low_bit_net(), {"-march=native"}}};
  for (const auto& [graph, flags] : exports) {
    const Artifact artifact = export_folder(graph, {}, {"toy"}, 1, 2);
    const TempFolder folder;
    write_files(artifact, folder.path());
    for (const std::string compiler : {"gcc-12", "clang-14", "clang-19"}) {
      if (find_program(compiler).empty()) {
        WARN("skipped: " << compiler << " is not installed");
        continue;
      }
      INFO(compiler);
      std::vector<std::string> call{compiler,  "-std=c99",     "-O2",       "-Wall",
                                    "-Wextra", "-Wconversion", "-pedantic", "-Werror",
                                    "-I.",     "-Iinclude",    "selftest.c"};
      call.insert(call.end(), flags.begin(), flags.end());
      const std::vector<std::string> kernels = kernel_sources(artifact);
      call.insert(call.end(), kernels.begin(), kernels.end());
      call.insert(call.end(), {"-o", "selftest"});
      require_run(call, folder.path());
      require_run({"./selftest", "."}, folder.path());
    }
  }
}
