// SPDX-License-Identifier: MIT
// What is told of LibTorch's exceptions.
#include <c10/util/Exception.h>
#include <torch/csrc/jit/frontend/error_report.h>

#include <stdexcept>

#include "lib/frontend/script.h"
#include "tests/support/catch.h"

namespace qopt::frontend {
namespace {

TEST_CASE("the reason is the message, without excerpts and stacks") {
  const std::string source = "def forward(self, x):\n  return missing(x)\n";
  const torch::jit::SourceRange range(std::make_shared<torch::jit::Source>(source), 31,
                                      38);
  torch::jit::ErrorReport report(range);
  report << "undefined value missing";
  CHECK(reason_of(report) == "undefined value missing");
  // Where the source is damaged, what() ends the process; the reason needs no source.
  torch::jit::ErrorReport damaged(
      torch::jit::SourceRange(std::make_shared<torch::jit::Source>(source), 5000, 6000));
  damaged << "expected )";
  CHECK(reason_of(damaged) == "expected )");

  try {
    TORCH_CHECK(false, "sizes differ");
  } catch (const c10::Error& e) {
    CHECK(reason_of(e) == "sizes differ");
  }
  CHECK(reason_of(std::runtime_error("plain")) == "plain");
}

}  // namespace
}  // namespace qopt::frontend
