// SPDX-License-Identifier: MIT
// Files saved by other people: they import, and the graph computes what LibTorch
// computes.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "lib/aten/float_executor.h"
#include "lib/core/rng.h"
#include "lib/frontend/import.h"
#include "lib/graph/text.h"
#include "tests/frontend/agreement.h"
#include "tests/support/catch.h"

namespace {

using namespace qopt;
using frontend::InputSpec;
using frontend::Model;
namespace fs = std::filesystem;

/// The folder of shared material; empty (after a printed reason) where the file is
/// absent.
fs::path shared(const std::string& file) {
  const char* root = std::getenv("QOPT_DATA");
  const fs::path path =
      fs::path(root != nullptr ? root : QOPT_SOURCE_DIR "/../shared/data") / file;
  if (fs::exists(path)) return path;
  WARN("skipped: " << path.string() << " is absent");
  return {};
}

}  // namespace

TEST_CASE("resnet20 imports and agrees with LibTorch") {
  for (const char* file :
       {"models/resnet20_cifar10.scripted.pt", "models/resnet20_cifar10.traced.pt"}) {
    const fs::path path = shared(file);
    if (path.empty()) return;
    INFO(file);
    const Model model = Model::load(path);
    CHECK(model.argument_names() == std::vector<std::string>{"x"});
    const std::vector<InputSpec> inputs = {{"", {1, 3, 32, 32}, DType::F32}};
    const Graph graph = model.import(inputs);
    CHECK(graph.level() == Level::Imported);
    CHECK(graph.outputs().size() == 1);
    CHECK(graph.find("layer1.0.conv1").has_value());
    CHECK(graph.find("layer1.0.conv1.weight").has_value());
    CHECK(graph.find("layer3.2.bn2").has_value());
    CHECK(graph.find("linear").has_value());
    const Agreement agreement = compare(model, graph, 7);
    UNSCOPED_INFO("relative error " << agreement.relative_error);
    CHECK(agreement.relative_error <= 1e-5);
  }
}
