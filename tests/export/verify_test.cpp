// SPDX-License-Identifier: MIT
// The chain from graph to compiled code: exports of toy graphs are built by the machine's
// compilers and must compute the executor's integers; planted faults must be found and
// named.
#include "lib/export/verify.h"

#include <algorithm>
#include <fstream>

#include "lib/core/error.h"
#include "lib/core/files.h"
#include "lib/export/bytes.h"
#include "lib/export/export.h"
#include "lib/export/golden.h"
#include "lib/export/manifest.h"
#include "lib/export/process.h"
#include "lib/export/version.h"
#include "lib/graph/text.h"
#include "lib/graph/verify.h"
#include "tests/export/toy_graphs.h"
#include "tests/support/catch.h"
#include "tests/support/temp_folder.h"

using namespace qopt;
using namespace qopt::emit;

namespace {

Artifact exported(const Graph& graph) { return export_folder(graph, {}, {"toy"}, 1, 2); }

std::vector<VerifyResult> verified(const Artifact& artifact,
                                   const std::vector<std::string>& targets) {
  const TempFolder folder;
  write_files(artifact, folder.path());
  return verify_folder(folder.path(), targets, 2);
}

void require_passed(const VerifyResult& result) {
  INFO(result.target << ": " << result.detail);
  if (result.mismatch) {
    INFO(result.mismatch->layer << " in " << result.mismatch->vector << " at "
                                << result.mismatch->index << ": expected "
                                << result.mismatch->expected << ", got "
                                << result.mismatch->got);
    REQUIRE(result.status != VerifyStatus::Failed);
  }
  REQUIRE(result.status != VerifyStatus::Failed);
  if (result.status == VerifyStatus::NotTested) {
    WARN("skipped: " << result.target << ": " << result.detail);
  } else {
    REQUIRE(result.vectors > 0);
  }
}

}  // namespace

TEST_CASE("every operator computes the same integers on every target", "[export]") {
  const std::vector<VerifyResult> results =
      verified(exported(qopt::testing::all_ops()), {});
  REQUIRE(results.size() == verify_targets().size() + 1);
  CHECK(results[0].target == "golden");
  CHECK(results[0].status == VerifyStatus::Passed);
  CHECK(results[1].target == "host");
  CHECK(results[1].status == VerifyStatus::Passed);
  for (const VerifyResult& result : results) require_passed(result);
}

TEST_CASE("weights and activations of few levels are exact on every target", "[export]") {
  const Graph graph = qopt::testing::low_bit_net();
  REQUIRE(verify(graph).empty());
  // Every layer has something to get wrong: its results are not all alike.
  const IntegerExecutor executor(graph);
  for (const GoldenVector& vector : make_vectors(graph, {}, 1)) {
    if (vector.name != "noise0") continue;
    executor.run(vector.inputs, [&](ValueId id, const Tensor& tensor) {
      bool differs = false;
      for (std::int64_t i = 1; i < tensor.size(); ++i)
        differs = differs || tensor.integer_at(i) != tensor.integer_at(0);
      INFO(graph.value(id).name);
      CHECK(differs);
    });
  }
  const std::vector<VerifyResult> results = verified(exported(graph), {});
  REQUIRE(results.size() == verify_targets().size() + 1);
  CHECK(results[0].status == VerifyStatus::Passed);
  CHECK(results[1].status == VerifyStatus::Passed);
  for (const VerifyResult& result : results) require_passed(result);
}

TEST_CASE("exports are the same bytes for any number of threads", "[export]") {
  const Graph graph = qopt::testing::all_ops();
  const Artifact one = export_folder(graph, {}, {"toy"}, 1, 1);
  CHECK(one.files == export_folder(graph, {}, {"toy"}, 1, 2).files);
  for (const auto& [path, text] : one.files) {
    INFO(path);
    CHECK(text.find(QOPT_SOURCE_DIR) == std::string::npos);
  }
}

TEST_CASE("the manifest's version is the project's", "[export]") {
  const std::string project = read_file(QOPT_SOURCE_DIR "/CMakeLists.txt");
  CHECK_THAT(project,
             has_text("project(qopt VERSION " + std::string(kToolVersion) + " "));
}

TEST_CASE("an export holds only the kernels it uses", "[export]") {
  const Artifact artifact = exported(qopt::testing::conv_net());
  CHECK(artifact.files.contains("src/qrt/blob.c"));
  CHECK(artifact.files.contains("src/qrt/matrix_c.c"));
  CHECK_FALSE(artifact.files.contains("src/qrt/normalize_c.c"));
  const std::string& rows = artifact.files.at("include/qrt/kernels.inc");
  CHECK_THAT(rows, has_text("QRT_KERNEL(conv2d, s8, neon"));
  CHECK(rows.find("QRT_KERNEL(softmax") == std::string::npos);
}

TEST_CASE("hostile layer names stay names", "[export]") {
  const std::string name =
      "*/ system(\"x\"); /*\n#error <script>\\ ?"
      "?/ ../../x %s";
  const Artifact artifact = exported(qopt::testing::conv_net(name));
  for (const char* path : {"include/model.h", "src/model.c", "selftest.c"}) {
    const std::string& text = artifact.files.at(path);
    CHECK(text.find("\n#error") == std::string::npos);
    // In selftest.c it stands inside a string.
    const bool is_closed = text.find("*/ system") == std::string::npos;
    CHECK((is_closed || path == std::string_view("selftest.c")));
  }
  const auto results = verified(artifact, {"host", "host-clang"});
  for (const VerifyResult& result : results) require_passed(result);
}

TEST_CASE("names of models become C names", "[export]") {
  const std::pair<const char*, const char*> names[] = {
      {"int", "int__run("},  {"9 lives", "n9_lives_run("},
      {"qrt", "m_qrt_run("}, {"a/b;c", "a_b_c_run("},
      {"", "unnamed_run("},  {"Qrt_blob", "m_Qrt_blob_run("}};
  const Graph graph = qopt::testing::conv_net();
  const Blob blob = write_blob(graph);
  for (const auto& [name, function] : names) {
    INFO(name);
    const Artifact artifact = emit_c(graph, blob, {name});
    CHECK_THAT(artifact.files.at("include/model.h"),
               has_text(std::string("void ") + function));
  }
  const Artifact artifact = export_folder(graph, {}, {"qrt"}, 1, 2);
  require_passed(verified(artifact, {"host"})[1]);
}

TEST_CASE("a folder gives back its graph", "[export]") {
  const Graph graph = qopt::testing::all_ops();
  const TempFolder folder;
  write_files(exported(graph), folder.path());
  const Graph loaded = load_export(folder.path());
  CHECK(print(loaded) == print(graph));
  CHECK(constants_of(loaded) == constants_of(graph));
  CHECK(changed_files(folder.path(), read_manifest(folder.path())).empty());

  std::ofstream(folder.path() / "model.qir", std::ios::app) << "\n";
  CHECK_THROWS_AS(load_export(folder.path()), Error);
  std::filesystem::remove(folder.path() / "manifest.json");
  CHECK_THROWS_AS(load_export(folder.path()), Error);
  CHECK_THROWS_AS(verify_folder(folder.path(), {}, 1), Error);
  CHECK_THROWS_AS(verify_folder(folder.path() / "nowhere", {}, 1), Error);
}

TEST_CASE("manifests that lie or are no JSON are refused", "[export]") {
  const TempFolder folder;
  for (const char* text :
       {"", "[]", "{\"format\": 3}", "{\"format\": \"qopt-export\", \"version\": 9}",
        "{\"format\":\"qopt-export\",\"version\":1,\"tool_version\":\"\",\"name\":\"\","
        "\"files\":{\"../../etc/passwd\":{\"sha256\":\"\",\"bytes\":1}}}",
        "{\"format\":\"qopt-export\",\"version\":1,\"tool_version\":\"\",\"name\":\"\","
        "\"files\":{\"a\":{\"sha256\":5}}}"}) {
    INFO(text);
    std::ofstream(folder.path() / "manifest.json") << text;
    try {
      read_manifest(folder.path());
      FAIL("accepted");
    } catch (const Error& e) {
      CHECK(e.code() == ExitCode::Data);
    }
  }
}

TEST_CASE("unknown targets are named with the nearest known one", "[export]") {
  const TempFolder folder;
  try {
    verify_folder(folder.path(), {"aarch65"}, 1);
    FAIL("accepted");
  } catch (const Error& e) {
    CHECK(e.code() == ExitCode::Usage);
    CHECK_THAT(e.what(), has_text("aarch64"));
  }
}

TEST_CASE("without compilers nothing passes and nothing fails", "[export]") {
  const std::string path = std::getenv("PATH");
  const TempFolder empty;
  ::setenv("PATH", empty.path().c_str(), 1);
  const auto results = verified(exported(qopt::testing::conv_net()), {});
  ::setenv("PATH", path.c_str(), 1);
  CHECK(results[0].status == VerifyStatus::Passed);
  for (std::size_t i = 1; i < results.size(); ++i) {
    CHECK(results[i].status == VerifyStatus::NotTested);
    CHECK_THAT(results[i].detail, has_text("not found"));
    CHECK(results[i].vectors == 0);
  }
}
