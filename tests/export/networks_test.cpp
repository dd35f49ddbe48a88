// SPDX-License-Identifier: MIT
// What an export of a whole network costs: arena, weight bytes, object code. The graphs
// have the shapes of ResNet-18, MobileNetV2 and SqueezeNet.
#include <algorithm>
#include <map>
#include <sstream>

#include "lib/export/arena.h"
#include "lib/export/c_layer.h"
#include "lib/export/process.h"
#include "tests/export/networks.h"
#include "tests/support/catch.h"
#include "tests/support/temp_folder.h"

using namespace qopt;
using namespace qopt::emit;
using std::chrono::seconds;

namespace {

/// The most bytes of arena that one layer's operands and result take, those written in
/// place apart.
std::uint64_t largest_step(const Graph& graph) {
  const StoragePlan plan = plan_storage(graph);
  std::uint64_t most = 0;
  for (const Node& node : graph.nodes()) {
    if (is_alias(graph, node)) continue;
    std::map<std::uint64_t, std::uint64_t> buffers;  // by offset
    std::vector<ValueId> values = node.inputs;
    values.push_back(node.output);
    for (const ValueId id : values) {
      const Place& place = plan.places[id.index];
      if (place.kind != Place::Kind::Arena) continue;
      const Value& value = graph.value(id);
      buffers[place.offset] =
          static_cast<std::uint64_t>(num_elements(value.shape)) * dtype_size(value.dtype);
    }
    std::uint64_t bytes = 0;
    for (const auto& [offset, size] : buffers) bytes += size;
    most = std::max(most, bytes);
  }
  return most;
}

}  // namespace

TEST_CASE("arenas of known networks lie within 5 % of the lower bound", "[export]") {
  const std::pair<const char*, Graph> networks[] = {
      {"resnet18", qopt::testing::resnet18()},
      {"resnet18 w2a2", qopt::testing::resnet18({2, 2})},
      {"mobilenet_v2", qopt::testing::mobilenet_v2()},
      {"squeezenet", qopt::testing::squeezenet()}};
  for (const auto& [name, graph] : networks) {
    const ArenaPlan plan = plan_arena(graph);
    INFO(name << ": arena " << plan.arena_bytes << ", bound " << plan.lower_bound);
    CHECK(plan.lower_bound <= plan.arena_bytes);
    CHECK(20 * plan.arena_bytes <= 21 * plan.lower_bound);
    CHECK(plan.lower_bound >= largest_step(graph));
  }
}

TEST_CASE("weights take the bytes that their bits need", "[export]") {
  for (const int bits : {1, 2, 3, 4, 5, 6, 7, 8, 16}) {
    for (const int activations : {2, 8}) {
      if (activations == 2 && bits > 4) continue;
      const Graph graph = qopt::testing::resnet18({bits, activations});
      std::uint64_t stored = 0, minimum = 0, others = 0, weights = 0, panels = 0;
      const std::vector<Section> sections = plan_sections(graph);
      for (const Section& section : sections) {
        if (!section.name.ends_with(".w")) {
          others += section.size_bytes;
          continue;
        }
        const bool is_edge = section.shape[3] == 3 || section.shape[0] == 1000;
        const int wanted = is_edge && bits < 8 ? 8 : bits;
        const auto elements = static_cast<std::uint64_t>(num_elements(section.shape));
        INFO(bits << " bits: " << section.name);
        CHECK(section.bits == wanted);
        stored += section.size_bytes;
        minimum += (elements * static_cast<std::uint64_t>(wanted) + 7) / 8;
        panels += section.panels ? 1 : 0;
        ++weights;
      }
      INFO(bits << " bits, activations of " << activations << ": " << stored
                << " bytes of " << minimum);
      CHECK(weights == 21);
      CHECK((panels > 0) == (activations == 2 && bits <= 2));
      CHECK(100 * stored <= 101 * minimum);
      // The file has nothing else of size: 72 bytes, a name and padding a section.
      if (bits != 2 && bits != 16) continue;
      const std::uint64_t frame = 64 + sections.size() * (72 + 16 + 64) + 64;
      CHECK(write_blob(graph).bytes.size() <= stored + others + frame);
    }
  }
}

namespace {

/// .text and .rodata of an object file, by the target's `size -A`.
std::uint64_t code_bytes(const std::string& listing) {
  std::istringstream lines(listing);
  std::uint64_t total = 0;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string section;
    std::uint64_t bytes = 0;
    if (!(fields >> section >> bytes)) continue;
    if (section.starts_with(".text") || section.starts_with(".rodata") ||
        section.starts_with(".data.rel.ro")) {
      total += bytes;
    }
  }
  return total;
}

struct Target {
  std::string compiler, size;
  std::vector<std::string> flags;
};

}  // namespace

TEST_CASE("the code of ResNet-18 stays under 1 MB on every target", "[export]") {
  const Graph graph = qopt::testing::resnet18({2, 2});
  Artifact artifact = emit_c(graph, write_blob(graph), {"net"});
  artifact.files.erase("model.qpk");
  const TempFolder folder;
  write_files(artifact, folder.path());
  const Target targets[] = {
      {"gcc",
       "size",
       {"-mavx2", "-mavx512vl", "-mavx512bw", "-mavx512vnni", "-mavx512vpopcntdq"}},
      {"aarch64-linux-gnu-gcc", "aarch64-linux-gnu-size", {"-march=armv8.2-a+dotprod"}},
      {"arm-linux-gnueabihf-gcc", "arm-linux-gnueabihf-size", {"-mfpu=neon"}}};
  for (const Target& target : targets) {
    if (find_program(target.compiler).empty() || find_program(target.size).empty()) {
      WARN("skipped: " << target.compiler << " is not installed");
      continue;
    }
    std::vector<std::string> call{target.compiler, "-std=c99", "-O2",
                                  "-Iinclude",     "-c",       "src/model.c"};
    call.insert(call.end(), target.flags.begin(), target.flags.end());
    std::vector<std::string> list{target.size, "-A", "model.o"};
    for (const auto& [path, text] : artifact.files) {
      if (!path.starts_with("src/qrt/") || !path.ends_with(".c")) continue;
      call.push_back(path);
      list.push_back(std::filesystem::path(path).stem().string() + ".o");
    }
    const ProcessResult built = run_process(call, folder.path(), seconds(600));
    INFO(target.compiler << ": " << built.output);
    REQUIRE(built.exit_code == 0);
    const ProcessResult sizes = run_process(list, folder.path(), seconds(60));
    REQUIRE(sizes.exit_code == 0);
    const std::uint64_t bytes = code_bytes(sizes.output);
    INFO(bytes << " bytes");
    CHECK(bytes > 10'000);
    CHECK(bytes < 1'000'000);
  }
}
