// SPDX-License-Identifier: MIT
// Programs that carry several instruction sets: one binary is right on an old and on a
// new processor, says what it chose, and builds by the export's own CMakeLists.txt.
#include <algorithm>

#include "lib/export/export.h"
#include "lib/export/isa_flags.h"
#include "lib/export/process.h"
#include "lib/export/verify.h"
#include "tests/export/toy_graphs.h"
#include "tests/support/catch.h"
#include "tests/support/temp_folder.h"

using namespace qopt;
using namespace qopt::emit;

namespace {

VerifyResult verified(const Artifact& artifact, const std::string& target) {
  const TempFolder folder;
  write_files(artifact, folder.path());
  return verify_folder(folder.path(), {target}, 2)[1];
}

bool is_skipped(const VerifyResult& result) {
  if (result.status != VerifyStatus::NotTested) return false;
  WARN("skipped: " << result.target << ": " << result.detail);
  return true;
}

}  // namespace

TEST_CASE("one program chooses by the processor it runs on", "[export]") {
  const Artifact artifact = export_folder(qopt::testing::conv_net(), {}, {"toy"}, 1, 2);
  const VerifyResult arm = verified(artifact, "aarch64-dispatch");
  if (!is_skipped(arm)) {
    INFO(arm.detail);
    CHECK(arm.status == VerifyStatus::Passed);
    CHECK_THAT(
        arm.detail,
        has_text(
            "; cortex-a72: c neon; neoverse-n1: c neon dotprod; max: c neon dotprod"));
  }
  const VerifyResult arm32 = verified(artifact, "armv7-dispatch");
  if (!is_skipped(arm32)) {
    INFO(arm32.detail);
    CHECK(arm32.status == VerifyStatus::Passed);
    CHECK_THAT(arm32.detail, has_text("; cortex-a15: c armv7"));
  }
  const VerifyResult host = verified(artifact, "host-dispatch");
  if (!is_skipped(host)) {
    INFO(host.detail);
    CHECK(host.status == VerifyStatus::Passed);
    CHECK_THAT(host.detail, has_text("; here: c"));
#if defined(__x86_64__)
    const bool has_avx2 = host.detail.find("here: c avx2") != std::string::npos;
    CHECK(has_avx2 == (__builtin_cpu_supports("avx2") != 0));
#endif
  }
}

TEST_CASE("a wrong kernel is found on the processor that chooses it", "[export]") {
  Artifact artifact = export_folder(qopt::testing::conv_net(), {}, {"toy"}, 1, 2);
  std::string& text = artifact.files.at("src/qrt/conv_sdot_neon.h");
  const std::string right = "return vdotq_s32(acc, x, w);";
  REQUIRE(text.find(right) != std::string::npos);
  text.replace(text.find(right), right.size(),
               "return vdotq_s32(vdotq_s32(acc, x, w), x, w);");
  const VerifyResult result = verified(artifact, "aarch64-dispatch");
  if (is_skipped(result)) return;
  INFO(result.detail);
  CHECK(result.status == VerifyStatus::Failed);
  CHECK_THAT(result.detail, has_text("; cortex-a72: c neon"));
  CHECK_THAT(result.detail, has_text("; neoverse-n1: c neon dotprod: FAIL"));
}

TEST_CASE("an export that dispatches builds by its own CMakeLists.txt", "[export]") {
  if (find_program("cmake").empty()) {
    WARN("skipped: no cmake");
    return;
  }
  const TempFolder folder;
  write_files(export_folder(qopt::testing::conv_net(), {}, {"toy"}, 1, 2), folder.path());
  for (const std::vector<std::string>& call :
       {std::vector<std::string>{"cmake", "-S", ".", "-B", "build", "-DQRT_DISPATCH=ON"},
        std::vector<std::string>{"cmake", "--build", "build", "-j2"},
        std::vector<std::string>{"build/toy_selftest", "."}}) {
    const ProcessResult run = run_process(call, folder.path(), std::chrono::seconds(300));
    INFO(run.output);
    REQUIRE(run.exit_code == 0);
    if (call[0] == "build/toy_selftest") CHECK_THAT(run.output, has_text("kernels c"));
  }
}

TEST_CASE("kernel files tell their instruction set", "[export]") {
  CHECK(flags_of("src/qrt/conv_dotprod.c", "aarch64").size() == 1);
  CHECK(flags_of("src/qrt/conv_dotprod.c", "x86").empty());
  CHECK(flags_of("src/qrt/conv_neon.c", "aarch64").empty());
  CHECK(flags_of("src/qrt/conv_neon.c", "arm").size() == 1);
  CHECK(flags_of("src/model.c", "x86").empty());
  // Every kernel of the runtime beyond the base has its row.
  const Artifact artifact = export_folder(qopt::testing::all_ops(), {}, {"toy"}, 1, 2);
  for (const char* ending : {"_avx2.c", "_vnni.c", "_dotprod.c", "_neon.c"}) {
    INFO(ending);
    CHECK(std::ranges::any_of(
        artifact.files, [&](const auto& file) { return file.first.ends_with(ending); }));
    CHECK(std::ranges::any_of(isa_flags(),
                              [&](const IsaFlags& row) { return row.ending == ending; }));
  }
}
