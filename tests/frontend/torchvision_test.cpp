// SPDX-License-Identifier: MIT
// torchvision's models, scripted and traced: the imported and the canonical graph compute
// what LibTorch's own forward computes. Skipped with a reason where python3-torchvision
// is missing.
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>

#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "lib/frontend/import.h"
#include "lib/graph/passes/canonicalize.h"
#include "tests/frontend/agreement.h"
#include "tests/support/catch.h"

namespace {

using namespace qopt;
using frontend::Model;
namespace fs = std::filesystem;

struct Row {
  std::string name;
  Shape input;
  std::size_t outputs;
};

const std::vector<Row> kModels = {
    {"resnet18", {1, 3, 224, 224}, 1},
    {"mobilenet_v2", {1, 3, 224, 224}, 1},
    {"mobilenet_v3_small", {1, 3, 224, 224}, 1},
    {"squeezenet1_1", {1, 3, 224, 224}, 1},
    {"efficientnet_b0", {1, 3, 224, 224}, 1},
    {"googlenet", {1, 3, 224, 224}, 1},
    {"shufflenet_v2_x1_0", {1, 3, 224, 224}, 1},
    {"regnet_y_400mf", {1, 3, 224, 224}, 1},
    {"densenet121", {1, 3, 224, 224}, 1},
    {"convnext_tiny", {1, 3, 224, 224}, 1},
    {"vit_b_32", {1, 3, 224, 224}, 1},
    {"lraspp_mobilenet_v3_large", {1, 3, 128, 128}, 1},
    {"deeplabv3_mobilenet_v3_large", {1, 3, 128, 128}, 1},
};

// Debian's interpreter: its python3-torchvision belongs to it, whatever else is first in
// PATH.
constexpr const char* kPython = "/usr/bin/python3";
constexpr int kMissing = 77;

/// Runs the program with its output thrown away; its exit status, or -1.
int run_quietly(const std::vector<std::string>& arguments) {
  std::vector<char*> argv;
  for (const std::string& a : arguments) argv.push_back(const_cast<char*>(a.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  pid_t child = 0;
  const int failed =
      posix_spawn(&child, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  int status = 0;
  if (failed != 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status)) return -1;
  return WEXITSTATUS(status);
}

/// The folder of model files, made on first use; empty after a printed reason.
fs::path model_folder() {
  const fs::path folder = fs::path(QOPT_BINARY_DIR) / "torchvision";
  std::vector<std::string> command = {
      kPython, QOPT_SOURCE_DIR "/tests/models/make_torchvision.py", folder.string()};
  for (const Row& row : kModels) command.push_back(row.name);
  if (!fs::exists(kPython)) {
    WARN("skipped: " << kPython << " is absent");
    return {};
  }
  const int status = run_quietly(command);
  if (status == kMissing) {
    WARN("skipped: python3-torchvision is not installed");
    return {};
  }
  CHECK(status == 0);
  return status == 0 ? folder : fs::path();
}

}  // namespace

TEST_CASE("torchvision models agree with LibTorch", "[torchvision]") {
  const fs::path folder = model_folder();
  if (folder.empty()) return;
  for (const Row& row : kModels) {
    for (const char* kind : {"scripted", "traced"}) {
      const fs::path path = folder / (row.name + "." + kind + ".pt");
      INFO(path.filename().string());
      const Model model = Model::load(path);
      const Graph imported =
          model.import(std::vector<frontend::InputSpec>{{"", row.input}});
      CHECK(imported.outputs().size() >= row.outputs);
      const Agreement first = compare(model, imported, 3);
      CHECK(first.largest > 0.1);
      CHECK(first.relative_error <= 1e-5);
      const Agreement second = compare(model, canonicalize(imported), 3);
      CHECK(second.relative_error <= 1e-5);
      std::printf("  %-32s %-9s imported %.2e  canonical %.2e\n", row.name.c_str(), kind,
                  first.relative_error, second.relative_error);
    }
  }
}
