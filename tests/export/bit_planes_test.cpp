// SPDX-License-Identifier: MIT
// Values in bit planes: which they are, what they take in the arena, and that chains of
// convolutions over them give the executor's codes on every target; planted faults.
#include "lib/export/bit_planes.h"

#include <algorithm>
#include <set>

#include "lib/export/c_layer.h"
#include "lib/export/export.h"
#include "lib/export/golden_file.h"
#include "lib/export/manifest.h"
#include "lib/export/verify.h"
#include "runtime/include/qrt/qrt.h"
#include "tests/export/bit_nets.h"
#include "tests/support/catch.h"
#include "tests/support/temp_folder.h"

using namespace qopt;
using namespace qopt::emit;
using qopt::testing::bit_chain;
using qopt::testing::bit_perceptron;
using qopt::testing::bit_target;
using qopt::testing::BitNet;

namespace {

ModelCode code_of(const Graph& graph, const KernelTarget& target) {
  return model_code(graph, plan_sections(graph, target), choose_kernels(graph, target));
}
ModelCode code_of(const Graph& graph) { return code_of(graph, bit_target(graph)); }

/// Names of the values in planes, in order.
std::string in_planes(const Graph& graph) {
  std::string names;
  for (const auto& [index, planes] : code_of(graph).planes) {
    names += (names.empty() ? "" : " ") + graph.values()[index].name;
  }
  return names;
}

Artifact exported(const Graph& graph) {
  return export_folder(graph, {}, {"toy", bit_target(graph)}, 1, 2);
}

void require_verified(const Artifact& artifact, const std::vector<std::string>& targets) {
  const TempFolder folder;
  write_files(artifact, folder.path());
  for (const VerifyResult& result : verify_folder(folder.path(), targets, 2)) {
    INFO(result.target << ": " << result.detail);
    if (result.status == VerifyStatus::NotTested) {
      WARN("skipped: " << result.target << ": " << result.detail);
      continue;
    }
    CHECK(result.status == VerifyStatus::Passed);
  }
}

VerifyResult host_verdict(Artifact artifact) {
  add_manifest(artifact, "toy");
  const TempFolder folder;
  write_files(artifact, folder.path());
  return verify_folder(folder.path(), {"host"}, 2)[1];
}

/// Replaces the first `from`; the test is void if it is not there.
void edit(Artifact& artifact, const std::string& path, std::string_view from,
          std::string_view to) {
  std::string& text = artifact.files.at(path);
  const std::size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  text.replace(at, from.size(), to);
}

/// x -> a -> b -> y, all of 64 channels and 2 bits; `change` may branch off before the
/// graph is finished.
template <class Change>
Graph short_chain(Change change) {
  BitNet net;
  const ValueId x = net.input("x", {1, 6, 6, 64}, BitNet::codes(LevelSet::U, 2));
  const ValueId a = net.conv(x, "a", {});
  const ValueId b = net.conv(a, "b", {});
  net.graph.add_output("y", net.conv(b, "c", {}));
  change(net, a);
  return net.finish();
}

op::QConv2d& conv_of(Graph& graph, std::size_t node) {
  return std::get<op::QConv2d>(graph.mutable_nodes()[node].op);
}

}  // namespace

TEST_CASE("what only bit-serial convolutions read lies in planes", "[export]") {
  CHECK(in_planes(bit_chain()) == "a b c d");
  CHECK(in_planes(bit_chain(2)) == "a b c d");
  CHECK(in_planes(bit_perceptron()) == "a b");
  const Graph chain = bit_chain();
  const PlaneMap planes = code_of(chain).planes;
  CHECK(planes.at(chain.find("a")->index) == BitPlanes{2, 0, 0});
  CHECK(planes.at(chain.find("b")->index) == BitPlanes{2, -2, -1});
  CHECK(planes.at(chain.find("c")->index) == BitPlanes{1, 0, 0});
  CHECK(planes.at(chain.find("d")->index) == BitPlanes{3, 0, 0});
  // Where int8 is cheaper nothing counts bits.
  const KernelTarget int8 = bit_target(chain, Family::Int8);
  CHECK(code_of(chain, int8).planes.empty());
}

TEST_CASE("codes stay where anything else reads them", "[export]") {
  CHECK(in_planes(short_chain([](BitNet&, ValueId) {})) == "a b");
  // Two readers that count bits share planes.
  CHECK(in_planes(short_chain([](BitNet& net, ValueId a) {
          net.graph.add_output("z", net.conv(a, "other", {.out = 8, .stride = 2}));
        })) == "a b");
  // A sum, an int8 convolution, a reshape, the caller.
  CHECK(in_planes(short_chain([](BitNet& net, ValueId a) {
          net.graph.add_output("z", net.graph.add(op::QAdd{}, {a, a}, "sum"));
        })) == "b");
  CHECK(in_planes(short_chain([](BitNet& net, ValueId a) {
          net.graph.add_output("z", net.conv(a, "int8", {.kernel = 1, .pad = 0}));
        })) == "b");
  CHECK(in_planes(short_chain([](BitNet& net, ValueId a) {
          net.graph.add_output("z", net.graph.add(op::Reshape{{1, 36, 64}}, {a}, "flat"));
        })) == "b");
  CHECK(in_planes(short_chain(
            [](BitNet& net, ValueId a) { net.graph.add_output("z", a); })) == "b");
}

TEST_CASE("codes stay where planes would not be the reader's", "[export]") {
  const auto changed = [](auto change) {
    Graph graph = short_chain([](BitNet&, ValueId) {});
    change(conv_of(graph, 1), conv_of(graph, 2));
    return in_planes(graph);
  };
  CHECK(changed([](op::QConv2d&, op::QConv2d&) {}) == "a b");
  CHECK(changed([](op::QConv2d& a, op::QConv2d&) { a.lo = 1; }) == "b");
  CHECK(changed([](op::QConv2d& a, op::QConv2d&) { a.hi = 4; }) == "b");
  CHECK(changed([](op::QConv2d& a, op::QConv2d&) { a.hi = 2; }) == "a b");
  CHECK(changed([](op::QConv2d& a, op::QConv2d&) { a.y_zero = 1; }) == "b");
  CHECK(changed([](op::QConv2d&, op::QConv2d& b) { b.x_zero = 2; }) == "b");
  // Planes of 16 channels are as large as those of 64: no gain.
  BitNet net;
  const ValueId x = net.input("x", {1, 6, 6, 64}, BitNet::codes(LevelSet::U, 2));
  const ValueId a =
      net.conv(x, "a", {.out = 16, .result = BitNet::codes(LevelSet::U, 4)});
  net.graph.add_output("y", net.conv(a, "b", {.weights = {1, -1, 2}, .weight_bits = 4}));
  const Graph narrow = net.finish();
  CHECK(plan_sections(narrow, bit_target(narrow))[4].panels.has_value());
  CHECK(in_planes(narrow).empty());
}

TEST_CASE("planes take the bytes that the kernels say", "[export]") {
  for (const Shape& shape : {Shape{1, 1, 1, 1}, Shape{3, 5, 7, 64}, Shape{2, 4, 4, 65},
                             Shape{1, 56, 56, 128}}) {
    for (int bits = 1; bits <= 4; ++bits) {
      CHECK(plane_bytes(shape, bits) ==
            static_cast<std::uint64_t>(shape[0]) *
                qrt_bit_plane_size(shape[1] * shape[2],
                                   static_cast<std::int32_t>(shape[3]), bits));
    }
  }
  const Graph graph = short_chain([](BitNet&, ValueId) {});
  const ModelCode code = code_of(graph);
  for (const ArenaPlan::Slot& slot : code.storage.slots) {
    CHECK(slot.size_bytes == 2 * (36 + 1) * 8);
  }
  REQUIRE(code.storage.slots.size() == 2);
  // "b" is made from "a"; the layer's scratch lives beside them.
  const std::uint64_t both = 2 * 640;
  CHECK(code.storage.lower_bound > both);
  CHECK(code.storage.lower_bound <= both + code.scratch_bytes);
  CHECK(code.storage.bytes >= code.storage.lower_bound);
}

TEST_CASE("the test chains fill their planes", "[export]") {
  for (const Graph& graph : {bit_chain(), bit_chain(2), bit_perceptron()}) {
    const PlaneMap planes = code_of(graph).planes;
    const GoldenVector noise = make_vectors(graph, {}, 1).front();
    IntegerExecutor(graph).run(noise.inputs, [&](ValueId id, const Tensor& tensor) {
      const auto found = planes.find(id.index);
      if (found == planes.end()) return;
      const auto codes = tensor.values<std::int8_t>();
      INFO(graph.value(id).name);
      CHECK(std::set<std::int8_t>(codes.begin(), codes.end()).size() ==
            std::size_t{1} << found->second.bits);
    });
  }
}

TEST_CASE("chains in bit planes equal the executor on every target", "[export]") {
  const Artifact chain = exported(bit_chain(2));
  const std::string& source = chain.files.at("src/model.c");
  CHECK_THAT(source, has_text("a -> i8[2, 9, 7, 128] in 2 bit planes"));
  CHECK_THAT(source, has_text("0: c i8[2, 5, 4, 80] in 1 bit plane\n"));
  CHECK_THAT(source, has_text(".y_bits = 3"));
  require_verified(chain, {"host", "host-clang", "portable", "x86-avx2", "aarch64",
                           "armv7-neon", "host-dispatch"});
  require_verified(exported(bit_perceptron()), {"host", "portable", "aarch64"});
}

TEST_CASE("planted: wrong planes are found, with layer and code", "[export]") {
  const Artifact good = exported(bit_chain());
  CHECK(host_verdict(good).status == VerifyStatus::Passed);
  const auto found_in = [](const Artifact& artifact, const char* layer) {
    const VerifyResult result = host_verdict(artifact);
    INFO(layer << ": " << result.detail);
    CHECK(result.status == VerifyStatus::Failed);
    REQUIRE(result.mismatch.has_value());
    CHECK(result.mismatch->layer == layer);
    CHECK(result.mismatch->index >= 0);
    CHECK(result.mismatch->expected != result.mismatch->got);
  };

  // The first plane is written last.
  Artifact swapped = good;
  const std::string kernel = "src/qrt/bitserial.h";
  edit(swapped, kernel, "out.plane_words = (", "out.plane_words = 0 - (");
  edit(swapped, kernel, "(uint64_t*)y + (size_t)image * p->y_bits *",
       "(uint64_t*)y - ((size_t)image * p->y_bits + p->y_bits - 1) *");
  found_in(swapped, "a");

  // What convolutions see outside is never written: no code of the layer itself differs.
  Artifact outside = good;
  edit(outside, kernel, "pack_outside(&out, y_outside, p->o, p->y_zero, row);",
       "(void)y_outside;");
  const VerifyResult unwritten = host_verdict(outside);
  CHECK(unwritten.status == VerifyStatus::Failed);
  CHECK_THAT(unwritten.detail, has_text("layer=0 outside (a)"));

  // Channels behind the last one are not 0: "b" has 48.
  Artifact behind = good;
  edit(behind, kernel, "memset(row, (uint8_t)to->lo,",
       "memset(row, (uint8_t)to->lo + 1,");
  CHECK_THAT(host_verdict(behind).detail, has_text("layer=1 outside (b)"));

  // Planes read as codes, and codes of another lowest one.
  Artifact codes = good;
  edit(codes, "src/model.c", ".x_planes = 1", ".x_planes = 0");
  found_in(codes, "b");
  Artifact lowest = good;
  edit(lowest, "src/model.c", ".x_lo = -2", ".x_lo = -1");
  found_in(lowest, "c");

  // Where only checksums are on file, a dump names the code.
  Artifact checksums = good;
  const GoldenLayout layout = golden_layout(bit_chain());
  std::vector<Expected> runs =
      read_expected(layout, checksums.files.at("golden/expected.bin"));
  for (Expected& run : runs) run.full = false, run.layers.clear();
  checksums.files["golden/expected.bin"] = write_expected(layout, runs);
  CHECK(host_verdict(checksums).status == VerifyStatus::Passed);
  edit(checksums, "src/model.c", ".hi = 3", ".hi = 2");
  found_in(checksums, "a");
}
