// SPDX-License-Identifier: MIT
// The program as a script sees it: exit codes, streams, one clear message for each bad
// input, and never a half-written folder.
#include <sys/resource.h>

#include <nlohmann/json.hpp>

#include "lib/core/rng.h"
#include "tests/e2e/program.h"
#include "tests/pipeline/workbench.h"
#include "tests/support/catch.h"

namespace qopt {
namespace {

/// A complete job, and how to run it with changes.
struct Job {
  Workbench bench{40};

  std::string path(const std::string& name) const { return (bench / name).string(); }
  std::string out() const { return path("result"); }

  Finished compress(const std::vector<std::string>& settings = {},
                    const std::vector<std::string>& more = {}) const {
    std::vector<std::string> arguments = {"compress", path("config.yaml"), "-o", out()};
    for (const std::string& setting : settings) {
      arguments.push_back("--set");
      arguments.push_back(setting);
    }
    arguments.insert(arguments.end(), more.begin(), more.end());
    return qopt(arguments);
  }

  /// Neither the folder nor its unfinished form.
  bool left_nothing() const {
    for (const auto& entry : std::filesystem::directory_iterator(bench / "")) {
      if (entry.path().filename().string().find("result") != std::string::npos)
        return false;
    }
    return true;
  }

  void check_refused(const Finished& run, int code, const std::string& part) const {
    INFO(run.err);
    CHECK(run.code == code);
    CHECK(run.out.empty());
    const std::vector<std::string> complaints = run.complaints();
    CHECK(complaints.size() == 1);
    CHECK(run.err.find(part) != std::string::npos);
    CHECK(run.err.find("frame #") == std::string::npos);
    CHECK(left_nothing());
  }
};

std::string random_bytes(std::uint64_t seed, int count) {
  Rng rng(seed);
  std::string bytes;
  for (int i = 0; i < count; ++i) bytes += static_cast<char>(rng.next() & 0xFF);
  return bytes;
}

TEST_CASE("success prints the result on standard output and steps on standard error") {
  const Job job;
  const Finished text = job.compress();
  INFO(text.err);
  CHECK(text.code == 0);
  CHECK(text.out.find("integer") != std::string::npos);
  CHECK(text.out.find("artefact " + job.out()) != std::string::npos);
  CHECK(text.err.find("[1/9] import ... ") != std::string::npos);
  CHECK(text.err.find("[9/9] report ... ") != std::string::npos);
  CHECK(text.complaints().empty());
  CHECK(text.err.find('\x1b') == std::string::npos);
  CHECK(text.err.find('\r') == std::string::npos);

  const Finished json = job.compress({}, {"--format", "json"});
  const auto parsed = nlohmann::json::parse(json.out);
  CHECK(parsed.at("exit_code") == 0);
  CHECK(parsed.at("folder") == job.out());
  CHECK(parsed.at("metrics").at("integer").contains("top1"));
  CHECK(parsed.at("verify")[1].at("status") == "passed");

  CHECK(qopt({"eval", job.out()}).out.find("integer top-1") != std::string::npos);
  CHECK(qopt({"eval", job.path("model.pt"), "--config", job.path("config.yaml")})
            .out.find("float top-1") != std::string::npos);
  CHECK(
      qopt({"eval", job.out(), "--data", "format=idx", "files=" + job.path("images.idx"),
            "labels=" + job.path("labels.idx"), "preprocess={scale: 1/255}"})
          .out == qopt({"eval", job.out()}).out);
  const Finished verify = qopt({"verify", job.out(), "--target", "host,portable"});
  CHECK(verify.code == 0);
  CHECK(verify.out.find("portable") != std::string::npos);
  CHECK(qopt({"compare", job.out(), job.out()}).code == 0);
  const Finished timed = qopt({"bench", job.out(), "--iterations", "3"});
  CHECK(timed.code == 0);
  CHECK(timed.out.find("microseconds over 3 iterations") != std::string::npos);
  const Finished times =
      qopt({"bench", job.out(), "--iterations", "2", "--format", "json"});
  CHECK(nlohmann::json::parse(times.out).at("layers").size() > 1);
}

TEST_CASE("gates and bit-exactness have their own codes") {
  const Job job;
  const Finished gate = job.compress({"constraints.max_drop.value=-90"});
  CHECK(gate.code == 6);
  CHECK(gate.err.find("REJECTED: max_drop") != std::string::npos);
  CHECK(std::filesystem::exists(job.out() + "/REJECTED"));
  CHECK(job.compress({"constraints.ram=16B"}).code == 5);
  CHECK(job.compress().code == 0);

  std::string blob = job.bench.read("result/model.qpk");
  blob.back() = static_cast<char>(blob.back() ^ 1);
  job.bench.write("result/model.qpk", blob);
  const Finished stale = qopt({"verify", job.out(), "--target", "host"});
  CHECK(stale.code == 7);
  CHECK(stale.out.find("golden           failed") != std::string::npos);
  CHECK(qopt({"eval", job.out()}).code == 4);
  job.bench.write("result/model.qpk", blob.substr(0, blob.size() / 2));
  CHECK(qopt({"eval", job.out()}).code == 4);
  CHECK(qopt({"verify", job.out(), "--target", "host"}).code == 7);
  job.bench.write("result/model.qpk", random_bytes(3, 500));
  CHECK(qopt({"eval", job.out()}).code == 4);
  CHECK(qopt({"verify", job.path("")}).code == 4);
  CHECK(qopt({"bench", job.path("")}).code == 4);
  CHECK(qopt({"bench", job.out()}).code == 4);
  CHECK(qopt({"compare", job.path(""), job.path("")}).code != 0);
}

TEST_CASE("usage") {
  CHECK(qopt({"--version"}).out.find("qopt 0.") == 0);
  CHECK(qopt({"--help"}).out.find("Exit codes") != std::string::npos);
  for (const std::vector<std::string>& wrong :
       std::vector<std::vector<std::string>>{{},
                                             {"comprss"},
                                             {"compress"},
                                             {"compress", "a", "b"},
                                             {"compress", "a", "--format", "xml"},
                                             {"inspect", "m.pt"},
                                             {"inspect", "m.pt", "--input", "axb"},
                                             {"compare", "a"},
                                             {"bench"},
                                             {"bench", "x", "--iterations", "0"},
                                             {"bench", "x", "--format", "xml"},
                                             {"bench", "x", "--target", "hots"},
                                             {"verify", "x", "--target", ""}}) {
    const Finished run = qopt(wrong);
    INFO(run.err);
    CHECK(run.code == 2);
    CHECK(run.complaints().size() == 1);
    CHECK(run.out.empty());
  }
  CHECK(qopt({"comprss"}).complaints() ==
        std::vector<std::string>{
            "error: unknown command 'comprss'; did you mean 'compress'?"});
  CHECK(qopt({"supported-ops"}).out.find("aten::conv2d") != std::string::npos);
  CHECK(nlohmann::json::parse(qopt({"supported-ops", "--format", "json"}).out)
            .at("operators")
            .size() > 30);
  CHECK(nlohmann::json::parse(qopt({"schema"}).out).at("else").contains("properties"));
}

TEST_CASE("bad configurations: every fault, exit 2") {
  const Job job;
  job.bench.write("config.yaml",
                  Workbench::config("exprot: 1\nrun: {seed: x, thread: 2}\n"));
  const Finished run = job.compress();
  CHECK(run.code == 2);
  const std::string file = job.path("config.yaml");
  CHECK(
      run.complaints() ==
      std::vector<std::string>{
          file + ":10:13: error: 'run.seed' must be integer from 0 to 9007199254740992, "
                 "not 'x'",
          file + ":10:16: error: unknown key 'thread' in 'run'; did you mean 'threads'?",
          file + ":9:1: error: unknown key 'exprot'; did you mean 'export'?"});
  CHECK(job.left_nothing());
  for (int seed = 0; seed < 5; ++seed) {
    job.bench.write("config.yaml", random_bytes(static_cast<std::uint64_t>(seed), 400));
    const Finished random = job.compress();
    INFO(random.err);
    CHECK(random.code == 2);
    CHECK(random.complaints().size() >= 1);
  }
  job.bench.write("config.yaml", std::string(100000, '['));
  CHECK(job.compress().code == 2);
  std::filesystem::remove(job.bench / "config.yaml");
  job.check_refused(job.compress(), 2, "config.yaml");
}

TEST_CASE("bad models: exit 3") {
  const Job job;
  const std::string good = job.bench.read("model.pt");
  for (const std::size_t keep :
       {std::size_t{0}, std::size_t{10}, good.size() / 2, good.size() - 30}) {
    job.bench.write("model.pt", good.substr(0, keep));
    job.check_refused(job.compress(), 3, "model.pt");
  }
  for (int seed = 0; seed < 3; ++seed) {
    job.bench.write("model.pt", random_bytes(static_cast<std::uint64_t>(seed), 3000));
    job.check_refused(job.compress(), 3, "model.pt");
  }
  job.bench.write("model.pt", good);
  job.check_refused(job.compress({"model.inputs.0.shape=[1, 2, 8, 8]"}), 3, "");
  torch::jit::Module nan = Workbench::model();
  nan.attr("conv").toTensor()[0][0][0][0] = NAN;
  job.bench.save_model(nan, "model.pt");
  job.check_refused(job.compress(), 3, "NaN");
}

TEST_CASE("a missing model names the file") {
  const Job job;
  std::filesystem::remove(job.bench / "model.pt");
  job.check_refused(job.compress(), 3, "model.pt");
  const std::string model = job.path("model.pt");
  for (const std::vector<std::string>& asked : std::vector<std::vector<std::string>>{
           {"inspect", model, "--input", "1x1x8x8"},
           {"init", model},
           {"eval", model, "--config", job.path("config.yaml")}}) {
    const Finished run = qopt(asked);
    INFO(run.err);
    CHECK(run.code == 3);
    CHECK(run.complaints() ==
          std::vector<std::string>{"error: " + model + ": no such file"});
  }
  const Finished bare = qopt({"eval", model});
  CHECK(bare.code == 3);
  CHECK(bare.err.find("no such file") != std::string::npos);
}

TEST_CASE("unsupported operators are all listed: exit 3") {
  const Job job;
  torch::jit::Module module("Odd");
  module.define(
      "def forward(self, x):\n"
      "    return torch.cumsum(torch.sort(x.reshape([1, 64]))[0], 1)\n");
  job.bench.save_model(module, "model.pt");
  const Finished run = job.compress();
  INFO(run.err);
  CHECK(run.code == 3);
  CHECK(run.err.find("aten::sort") != std::string::npos);
  CHECK(run.err.find("aten::cumsum") != std::string::npos);
  CHECK(job.left_nothing());
}

TEST_CASE("bad data: exit 4") {
  const Job job;
  const auto refuse = [&](const std::string& format, const std::string& name,
                          const std::string& bytes) {
    CAPTURE(format, name);
    job.bench.write(name, bytes);
    job.check_refused(
        job.compress({"data.calibration={format: " + format + ", files: " + name + "}"}),
        4, name);
  };
  const std::string images = job.bench.read("images.idx");
  refuse("idx", "cut.idx", images.substr(0, images.size() - 5));
  refuse("idx", "empty.idx", "");
  refuse("idx", "none.idx", Workbench::idx_header(3, {0, 8, 8}));
  refuse("idx", "huge.idx",
         Workbench::idx_header(3, {0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF}));
  refuse("idx", "random.idx", random_bytes(1, 500));
  refuse("idx", "cut.gz", std::string("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03", 10));
  refuse("cifar", "cut.bin", std::string(5000, '\x01'));
  refuse("cifar", "label.bin", std::string(3073, '\xFF'));
  refuse("npy", "random.npy", random_bytes(2, 500));
  const std::string npy = std::string("\x93NUMPY\x01\x00", 8);
  const std::string dict =
      "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 99999999999), }\n";
  refuse("npy", "huge.npy",
         npy + static_cast<char>(dict.size()) + std::string(1, '\0') + dict + "abcd");
  refuse("npy", "cut.npy", npy);
  const auto folder = [&](const std::string& name, const std::string& bytes) {
    CAPTURE(name);
    std::filesystem::create_directories(job.bench / "pics/a");
    job.bench.write("pics/a/" + name, bytes);
    job.check_refused(
        job.compress({"data.calibration={format: image_folder, folder: pics}"}), 4, "");
    std::filesystem::remove_all(job.bench / "pics");
  };
  folder("a.png", std::string("\x89PNG\r\n\x1a\n", 8) + random_bytes(3, 300));
  folder("a.jpg", "\xff\xd8\xff\xe0" + random_bytes(4, 300));
  folder("a.png", "");
  std::filesystem::create_directories(job.bench / "none");
  job.check_refused(
      job.compress({"data.calibration={format: image_folder, folder: none}"}), 4, "");
  job.check_refused(job.compress({"data.calibration.files=nowhere.idx"}), 4,
                    "nowhere.idx");
}

TEST_CASE("hostile names reach no code, page or path") {
  const Job job;
  job.bench.save_model(
      Workbench::model("{'*/ int x; /* <script>alert(1)</script> ../../z': y}"),
      "model.pt");
  const Finished run = job.compress(
      {"export.name='../*/ system(\"x\"); /* <script>'", "export.verify=[host]"});
  INFO(run.err + run.out);
  CHECK(run.code == 0);
  CHECK_FALSE(std::filesystem::exists(job.bench / "z"));
  const std::string page = job.bench.read("result/report.html");
  CHECK(page.find("<script>alert") == std::string::npos);
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(job.bench / "result")) {
    const std::string name = entry.path().filename().string();
    CAPTURE(name);
    CHECK(name.find_first_of("*<>\"; ") == std::string::npos);
  }
}

TEST_CASE("output that cannot be written: exit 2, nothing left") {
  const Job job;
  const auto compress_to = [&](const std::string& out) {
    return qopt({"compress", job.path("config.yaml"), "-o", out});
  };
  const Finished below = compress_to(job.path("model.pt") + "/result");
  INFO(below.err);
  CHECK(below.code == 2);
  CHECK(below.complaints().size() == 1);
  CHECK(compress_to("/proc/result").code == 2);
  CHECK(compress_to(job.path("model.pt")).code == 2);
  CHECK(compress_to(job.path("")).code == 2);  // holds the model: not ours to replace
  CHECK(std::filesystem::exists(job.bench / "model.pt"));

  // A full disk, as a limit on the size of files; the signal that would tell is ignored,
  // so that writing fails as it does on a full disk.
  struct rlimit before = {};
  getrlimit(RLIMIT_FSIZE, &before);
  struct rlimit small = before;
  small.rlim_cur = 2000;
  ::signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &small);
  const Finished full = job.compress();
  setrlimit(RLIMIT_FSIZE, &before);
  ::signal(SIGXFSZ, SIG_DFL);
  job.check_refused(full, 2, "cannot write");
}

TEST_CASE("Ctrl-C: exit 130, nothing left") {
  const Job job;
  for (const int number : {SIGINT, SIGTERM}) {
    const Program program({"compress", job.path("config.yaml"), "-o", job.out(), "--set",
                           "data.calibration={format: random, samples: 100000000}"});
    CHECK(program.wait_for("[1/9]"));
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    program.signal(number);
    const Finished run = program.finish();
    INFO(run.err);
    CHECK(run.code == 130);
    CHECK(run.complaints() == std::vector<std::string>{"error: interrupted"});
    CHECK(job.left_nothing());
  }
}

TEST_CASE("a dry run checks everything and writes nothing") {
  const Job job;
  const Finished run = job.compress({}, {"--dry-run"});
  CHECK(run.code == 0);
  CHECK(run.out.find("would write") != std::string::npos);
  const Finished json = job.compress({}, {"--dry-run", "--format", "json"});
  CHECK(nlohmann::json::parse(json.out).at("folder") == job.out());
  CHECK(job.left_nothing());
  CHECK(job.compress({"data.eval.files=nowhere.idx"}, {"--dry-run"}).code == 4);
}

TEST_CASE("init does not replace a file, and its configuration runs") {
  const Job job;
  CHECK(qopt({"init", job.path("model.pt"), "--input", "1x1x8x8", "-o",
              job.path("new.yaml")})
            .code == 0);
  CHECK(qopt({"init", job.path("model.pt"), "-o", job.path("new.yaml")}).code == 2);
  CHECK(qopt({"compress", job.path("new.yaml"), "--dry-run"}).code == 0);
  CHECK(qopt({"init", job.path("model.pt")}).out.find("version: 1") != std::string::npos);
}

}  // namespace
}  // namespace qopt
