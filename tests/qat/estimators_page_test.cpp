// SPDX-License-Identifier: MIT
// The page on training shows the table of estimators as it is.
#include <fmt/format.h>

#include "lib/core/files.h"
#include "lib/qat/estimators.h"
#include "tests/support/catch.h"

namespace qopt::qat {
namespace {

TEST_CASE("docs/training.md holds the table of estimators, in its order") {
  std::string table =
      "| estimator | weights | activations | what it does | source |\n"
      "|---|---|---|---|---|\n";
  for (const Estimator& row : estimators()) {
    table += fmt::format("| `{}` | {} | {} | {} | {} |\n", row.name,
                         row.for_weights ? "yes" : "", row.for_activations ? "yes" : "",
                         row.summary, row.source);
  }
  INFO(table);
  const std::string page = read_file(QOPT_SOURCE_DIR "/docs/training.md");
  CHECK(page.find("\n" + table + "\n") != std::string::npos);
}

}  // namespace
}  // namespace qopt::qat
