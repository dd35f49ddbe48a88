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
#include "lib/graph/passes/canonicalize.h"
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

TEST_CASE("files saved by other people import and agree") {
  struct Row {
    const char* file;
    Shape input;
    std::size_t outputs;
  };
  // The actuator net holds CUDA tensors; this machine needs no CUDA to load it.
  for (const Row& row :
       {Row{"models/mlperftiny_vww.scripted.pt", {1, 3, 96, 96}, 1},
        Row{"torchscript_wild/rlsar_go2_himloco_himloco.pt", {1, 270}, 1},
        Row{"torchscript_wild/wtw_unitree_go1_actuator.pt", {1, 6}, 1}}) {
    const fs::path path = shared(row.file);
    if (path.empty()) return;
    INFO(row.file);
    const Model model = Model::load(path);
    const std::vector<InputSpec> inputs = {{"", row.input, DType::F32}};
    const Graph graph = model.import(inputs);
    CHECK(graph.outputs().size() == row.outputs);
    const Agreement agreement = compare(model, graph, 7);
    CHECK(agreement.largest > 0.01);
    CHECK(agreement.relative_error <= 1e-5);
    CHECK(compare(model, canonicalize(graph), 7).relative_error <= 1e-5);
  }
}

TEST_CASE("stateful LSTM files give their complete list") {
  struct Row {
    const char* file;
    std::vector<InputSpec> inputs;
    std::vector<std::string> wanted;
  };
  const std::vector<Row> rows = {
      {"torchscript_wild/leggedgym_anydrive_v3_lstm.pt",
       {{"", {12, 1, 2}}, {"", {2, 12, 8}}, {"", {2, 12, 8}}},
       {"1 unsupported operator:", "aten::lstm at ", "rnn.py:661"}},
      {"torchscript_wild/unitree_g1_motion.pt",
       {{"", {1, 47}}},
       {"3 unsupported operators:", "aten::lstm at ", "rnn.py:911", "aten::copy_ at ",
        "helpers.py:175: changes the model's own state",
        "helpers.py:176: changes the model's own state"}},
  };
  for (const Row& row : rows) {
    const fs::path path = shared(row.file);
    if (path.empty()) return;
    INFO(row.file);
    const Model model = Model::load(path);
    try {
      model.import(row.inputs);
      FAIL("imported");
    } catch (const Error& e) {
      CHECK(e.code() == ExitCode::ModelUnsupported);
      const std::string text = e.what();
      INFO(text);
      for (const std::string& part : row.wanted)
        CHECK(text.find(part) != std::string::npos);
      CHECK(text.find("supported-ops") != std::string::npos);
    }
  }
}
