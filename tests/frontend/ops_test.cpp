// SPDX-License-Identifier: MIT
// Every row of the importer's table: a module that uses it imports, and the graph
// computes what LibTorch computes, before and after canonicalisation. A row without a
// case fails.
#include <set>
#include <string>
#include <vector>

#include "lib/frontend/composites.h"
#include "lib/frontend/import.h"
#include "lib/graph/passes/canonicalize.h"
#include "lib/graph/verify.h"
#include "tests/frontend/agreement.h"
#include "tests/frontend/op_cases.h"
#include "tests/frontend/script_model.h"
#include "tests/support/catch.h"

namespace {

using namespace qopt;
using frontend::InputSpec;

std::string source_of(const OpCase& c) {
  constexpr const char* kNames[] = {"x", "y", "z"};
  std::string source = "def forward(self";
  for (std::size_t i = 0; i < c.inputs.size(); ++i)
    source += std::string(", ") + kNames[i];
  source += "):\n";
  return source + (c.body.starts_with(" ") ? c.body : "    return " + c.body + "\n");
}

}  // namespace

TEST_CASE("every row of the table has a case") {
  std::set<std::string> covered;
  for (const OpCase& c : op_cases()) covered.insert(c.schema);
  for (const frontend::SupportedOp& row : frontend::supported_ops()) {
    INFO(row.schema);
    CHECK(covered.contains(std::string(row.schema)));
    CHECK_FALSE(row.becomes.empty());
  }
}

TEST_CASE("every case imports and agrees with LibTorch") {
  frontend::register_missing_operators();
  const ScratchFolder folder;
  double worst = 0.0;
  for (const OpCase& c : op_cases()) {
    const std::string source = source_of(c);
    INFO(source);
    const torch::jit::Module module = make_module(source, c.weights);
    const std::string code = module.get_method("forward").graph()->toString(false);
    const bool uses_row = code.find(c.schema + "(") != std::string::npos ||
                          code.find(c.schema + "_(") != std::string::npos;
    CHECK(uses_row);
    const frontend::Model model = reload(module, folder);
    std::vector<InputSpec> inputs;
    for (const Shape& shape : c.inputs) {
      inputs.push_back({"", shape, inputs.empty() ? c.dtype : DType::F32});
    }
    const Graph graph = model.import(inputs);
    const Agreement imported = compare(model, graph, 5);
    CHECK(imported.largest > 0.0);
    CHECK(imported.relative_error <= 1e-5);
    const Graph canonical = canonicalize(graph);
    const Agreement after = compare(model, canonical, 5);
    CHECK(after.relative_error <= 1e-5);
    worst = std::max({worst, imported.relative_error, after.relative_error});
  }
  UNSCOPED_INFO("worst relative error " << worst);
  CHECK(worst <= 1e-5);
}
