// SPDX-License-Identifier: MIT
// Training on real data in a shortened form: from two bits chosen after the fact to two
// bits trained for, and the export still bit-exact.
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/e2e/program.h"
#include "tests/support/catch.h"

namespace qopt {
namespace {

namespace fs = std::filesystem;

std::string slurp(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Top-1 of the result's integers, in percent.
double top1(const fs::path& folder) {
  const auto report = nlohmann::json::parse(slurp(folder / "report.json"));
  return report.at("metrics").at("integer").at("top1").get<double>();
}

TEST_CASE("two bits on Fashion-MNIST: training makes the difference") {
  const char* given = std::getenv("QOPT_FASHION_MNIST");
  const fs::path data = given != nullptr ? given : "/usr/share/datasets/fashion-mnist";
  if (!fs::exists(data / "train-images-idx3-ubyte.gz")) {
    WARN("skipped: no Fashion-MNIST in " << data.string());
    return;
  }
  const TempFolder temp;
  const std::string config = QOPT_SOURCE_DIR "/configs/fashion_mnist_w2a2.yaml";
  const std::string trained = (temp.path() / "trained").string();
  const std::vector<std::string> shortened = {
      "compress", config,
      "-o",       trained,
      "--set",    "data.train.samples=8000",
      "--set",    "data.eval.samples=2000",
      "--set",    "passes.qat.epochs=2",
      "--set",    "passes.qat.selection_samples=500",
      "--set",    "constraints.max_drop.value=6"};
  const Finished run = qopt(shortened);
  INFO(run.err);
  CHECK(run.code == 0);  // the drop's gate, and bit-exact on this machine
  REQUIRE(fs::exists(temp.path() / "trained" / "report.json"));
  // Noise against the untrained network is no finding.
  CHECK(slurp(temp.path() / "trained" / "report.json").find("signal to noise") ==
        std::string::npos);
  const Finished verified = qopt({"verify", trained});
  INFO(verified.err);
  CHECK(verified.code == 0);
  for (const auto& entry : fs::directory_iterator(temp.path())) {
    CHECK(entry.path().filename() == "trained");  // no checkpoints are left
  }

  // The same without the pass that trains.
  const std::string text = slurp(config);
  const std::size_t from = text.find("  - qat:"), to = text.find("constraints:");
  REQUIRE((from != std::string::npos && to != std::string::npos && from < to));
  std::string untrained = text.substr(0, from) + text.substr(to);
  const std::string model = "../examples";
  untrained.replace(untrained.find(model), model.size(), QOPT_SOURCE_DIR "/examples");
  std::ofstream(temp.path() / "ptq.yaml") << untrained;
  const Finished ptq =
      qopt({"compress", (temp.path() / "ptq.yaml").string(), "-o",
            (temp.path() / "ptq").string(), "--set", "data.eval.samples=2000", "--set",
            "export.verify=none", "--set", "constraints.max_drop.value=100"});
  INFO(ptq.err);
  REQUIRE(ptq.code == 0);
  CHECK(top1(trained) >= top1(temp.path() / "ptq") + 10);
}

}  // namespace
}  // namespace qopt
