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
#include "lib/graph/text.h"
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
