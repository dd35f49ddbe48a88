// SPDX-License-Identifier: MIT
// Faults planted into exported folders: each must be found, with the layer and the
// element that shows it first.
#include <algorithm>

#include "lib/core/error.h"
#include "lib/export/bytes.h"
#include "lib/export/export.h"
#include "lib/export/golden_file.h"
#include "lib/export/manifest.h"
#include "lib/export/verify.h"
#include "tests/export/toy_graphs.h"
#include "tests/support/catch.h"
#include "tests/support/temp_folder.h"

using namespace qopt;
using namespace qopt::emit;

namespace {

const Artifact& good_export() {
  static const Artifact artifact =
      export_folder(qopt::testing::conv_net(), {}, {"toy"}, 1, 2);
  return artifact;
}

/// Replaces the first `from` after `anchor`; the test is void if it is not there.
void edit(Artifact& artifact, const std::string& path, std::string_view anchor,
          std::string_view from, std::string_view to) {
  std::string& text = artifact.files.at(path);
  const std::size_t begin = text.find(anchor);
  REQUIRE(begin != std::string::npos);
  const std::size_t at = text.find(from, begin);
  REQUIRE(at != std::string::npos);
  text.replace(at, from.size(), to);
}

struct Verdict {
  VerifyResult golden, host;
};

Verdict verdict(const Artifact& artifact) {
  const TempFolder folder;
  write_files(artifact, folder.path());
  std::vector<VerifyResult> results = verify_folder(folder.path(), {"host"}, 2);
  REQUIRE(results.size() == 2);
  return {results[0], results[1]};
}

/// The fault passes for a fresh export: its manifest is made anew.
Verdict verdict_with_new_manifest(Artifact artifact) {
  add_manifest(artifact, "toy");
  return verdict(artifact);
}

/// The executor's value at a reported mismatch.
std::int64_t truth_at(const Mismatch& mismatch) {
  const Graph graph = qopt::testing::conv_net();
  const IntegerExecutor executor(graph);
  for (const GoldenVector& vector : make_vectors(graph, {}, 1)) {
    if (vector.name != mismatch.vector) continue;
    std::int64_t value = 0;
    executor.run(vector.inputs, [&](ValueId id, const Tensor& tensor) {
      if (graph.value(id).name == mismatch.layer)
        value = tensor.integer_at(mismatch.index);
    });
    return value;
  }
  throw InternalError("no vector " + mismatch.vector);
}

void require_found(const VerifyResult& result, const std::string& layer) {
  INFO(result.detail);
  CHECK(result.status == VerifyStatus::Failed);
  REQUIRE(result.mismatch.has_value());
  CHECK(result.mismatch->layer == layer);
  CHECK(result.mismatch->index >= 0);
  CHECK(result.mismatch->expected != result.mismatch->got);
  CHECK(result.mismatch->expected == truth_at(*result.mismatch));
}

void put_u32(std::string& bytes, std::size_t at, std::uint32_t value) {
  std::string text;
  append_u32(text, value);
  bytes.replace(at, 4, text);
}

/// Makes the CRCs of a changed section and of the header right again.
void fix_crcs(std::string& blob, const Section& section, std::size_t index) {
  put_u32(blob, 64 + 72 * index + 12,
          crc32(std::string_view(blob).substr(section.offset, section.size_bytes)));
  const std::uint32_t header =
      ByteReader(std::string_view(blob).substr(8), "blob").u32("length");
  put_u32(blob, 60, crc32(blob.substr(0, 60) + blob.substr(64, header - 64)));
}

/// Changes two bytes of a section and makes every CRC of the blob right again.
void swap_weights(std::string& blob, const Section& section, std::size_t index,
                  std::size_t a, std::size_t b) {
  std::swap(blob[section.offset + a], blob[section.offset + b]);
  fix_crcs(blob, section, index);
}

}  // namespace

TEST_CASE("an untouched export passes", "[export]") {
  const Verdict v = verdict(good_export());
  CHECK(v.golden.status == VerifyStatus::Passed);
  CHECK(v.host.status == VerifyStatus::Passed);
  CHECK(v.host.vectors == 8);
  CHECK_FALSE(v.host.mismatch.has_value());
}

TEST_CASE("planted: a zero point at the padded border", "[export]") {
  Artifact artifact = good_export();
  edit(artifact, "src/model.c", "layer0_conv1(", ".x_zero = -118", ".x_zero = -117");
  const Verdict stale = verdict(artifact);
  CHECK(stale.golden.status == VerifyStatus::Failed);
  CHECK_THAT(stale.golden.detail, has_text("src/model.c"));
  require_found(stale.host, "conv1");
  const Verdict fresh = verdict_with_new_manifest(artifact);
  CHECK(fresh.golden.status == VerifyStatus::Passed);
  require_found(fresh.host, "conv1");
}

TEST_CASE("planted: a shift, a clamp, a stride order, a swapped operand", "[export]") {
  struct Fault {
    const char *anchor, *from, *to, *layer;
  };
  const Fault faults[] = {
      {"layer2_sum(", ".shift = 20", ".shift = 19", "sum"},
      {"layer0_conv1(", ".hi = 127", ".hi = 126", "conv1"},
      {"layer3_conv3(", ".pad_left = 1", ".pad_left = 0", "conv3"},
      {"layer1_conv2(", "m->weights[6]", "m->weights[2]", "conv2"},
      {"layer4_mean(", ".kept_stride = {1}", ".kept_stride = {2}", "mean"},
  };
  for (const Fault& fault : faults) {
    INFO(fault.layer << ": " << fault.to);
    Artifact artifact = good_export();
    edit(artifact, "src/model.c", fault.anchor, fault.from, fault.to);
    require_found(verdict_with_new_manifest(artifact).host, fault.layer);
  }
}

TEST_CASE("planted: a kernel that rounds ties down", "[export]") {
  Artifact artifact = good_export();
  edit(artifact, "include/qrt/arith.h", "qrt_shift_right(int32_t x",
       "((int64_t)1 << (n - 1)))", "((int64_t)1 << (n - 1)) - 1)");
  const Verdict v = verdict_with_new_manifest(artifact);
  CHECK(v.host.status == VerifyStatus::Failed);
  CHECK_THAT(v.host.detail, has_text("FAIL requant row="));

  // Without the requantiser's own table the vectors still meet ties.
  edit(artifact, "selftest.c", "int main(", "check_requant(folder);",
       "(void)check_requant;");
  const Verdict layers = verdict_with_new_manifest(artifact);
  CHECK(layers.host.status == VerifyStatus::Failed);
  REQUIRE(layers.host.mismatch.has_value());
  CHECK(layers.host.mismatch->expected == truth_at(*layers.host.mismatch));
  CHECK(layers.host.mismatch->got == layers.host.mismatch->expected - 1);
}

TEST_CASE("planted: swapped weights with right CRCs", "[export]") {
  Artifact artifact = good_export();
  const std::vector<Section> sections = read_sections(artifact.files.at("model.qpk"));
  REQUIRE(sections[0].name == "conv1.w");
  swap_weights(artifact.files.at("model.qpk"), sections[0], 0, 3, 4);
  REQUIRE(read_sections(artifact.files.at("model.qpk")).size() == sections.size());
  const Verdict v = verdict_with_new_manifest(artifact);
  // The golden values were those of the old weights; the code refuses the new blob.
  CHECK(v.golden.status == VerifyStatus::Failed);
  REQUIRE(v.golden.mismatch.has_value());
  CHECK(v.golden.mismatch->layer == "conv1");
  CHECK(v.golden.mismatch->index % 8 == 0);  // the channel of the swapped weights
  CHECK(v.golden.mismatch->got == truth_at(*v.golden.mismatch));
  CHECK(v.host.status == VerifyStatus::Failed);
  CHECK_THAT(v.host.detail, has_text("not the blob this code was written with"));
}

TEST_CASE("planted: odd weights read without their offset, or with one bit flipped",
          "[export]") {
  const Graph graph = qopt::testing::low_bit_net();
  const Artifact good = export_folder(graph, {}, {"toy"}, 1, 2);
  const auto found_in = [&](const Artifact& artifact, const char* layer) {
    const Verdict v = verdict_with_new_manifest(artifact);
    INFO(layer << ": " << v.host.detail);
    CHECK(v.golden.status == VerifyStatus::Passed);
    CHECK(v.host.status == VerifyStatus::Failed);
    REQUIRE(v.host.mismatch.has_value());
    CHECK(v.host.mismatch->layer == layer);
  };
  Artifact offset = good;
  edit(offset, "src/qrt/unpack.h", "qrt_field_of(", "(odd ? field.mask",
       "(odd ? field.mask - 1u");
  found_in(offset, "o3");
  for (const char* layer : {"o1", "o2_dw"}) {
    Artifact plain = good;
    edit(plain, "src/model.c", fmt::format("_{}(", layer), ".odd_weights = 1",
         ".odd_weights = 0");
    found_in(plain, layer);
  }

  // One weight changes its sign: the blob is sound, but not what was recorded.
  Artifact flipped = good;
  std::string& blob = flipped.files.at("model.qpk");
  const std::vector<Section> sections = read_sections(blob);
  const auto at = std::ranges::find(sections, "o1.w", &Section::name);
  REQUIRE(at != sections.end());
  blob[at->offset + 5] = static_cast<char>(blob[at->offset + 5] ^ 0x10);
  fix_crcs(blob, *at, static_cast<std::size_t>(at - sections.begin()));
  REQUIRE(read_sections(blob).size() == sections.size());
  const Verdict v = verdict_with_new_manifest(flipped);
  CHECK(v.golden.status == VerifyStatus::Failed);
  REQUIRE(v.golden.mismatch.has_value());
  CHECK(v.golden.mismatch->layer == "o1");
  CHECK(v.host.status == VerifyStatus::Failed);
}

TEST_CASE("planted: a damaged blob", "[export]") {
  Artifact artifact = good_export();
  std::string& blob = artifact.files.at("model.qpk");
  blob.back() = static_cast<char>(blob.back() ^ 1);
  const Verdict v = verdict_with_new_manifest(artifact);
  CHECK(v.golden.status == VerifyStatus::Failed);
  CHECK_THAT(v.golden.detail, has_text("CRC"));
  CHECK(v.host.status == VerifyStatus::NotTested);
}

TEST_CASE("planted: an edited golden file, with and without its manifest", "[export]") {
  Artifact artifact = good_export();
  const GoldenLayout layout = golden_layout(qopt::testing::conv_net());
  std::string& file = artifact.files.at("golden/expected.bin");
  // Vector 0 is whole: header, flag, CRCs, then conv1 (512 bytes) and conv2.
  const std::size_t values = 32 + 4 + 4 * layout.layers.size();
  file[values + 512 + 33] = static_cast<char>(file[values + 512 + 33] + 1);
  for (const bool is_fixed : {false, true}) {
    INFO("manifest " << (is_fixed ? "made anew" : "as it was"));
    const Verdict v = is_fixed ? verdict_with_new_manifest(artifact) : verdict(artifact);
    require_found(v.golden, "conv2");
    CHECK(v.golden.mismatch->index == 33);
    CHECK(v.golden.mismatch->vector == "noise0");
    CHECK(v.host.status == VerifyStatus::Failed);
    REQUIRE(v.host.mismatch.has_value());
    CHECK(v.host.mismatch->layer == "conv2");
    CHECK(v.host.mismatch->index == 33);
    CHECK_THAT(
        v.golden.detail,
        has_text(is_fixed ? "not what the integer executor computes" : "manifest.json"));
  }
}

TEST_CASE("planted: a fault that only CRCs can see is still named", "[export]") {
  Artifact artifact = good_export();
  const GoldenLayout layout = golden_layout(qopt::testing::conv_net());
  std::vector<Expected> expected =
      read_expected(layout, artifact.files.at("golden/expected.bin"));
  for (Expected& run : expected) {
    run.full = false;
    run.layers.clear();
  }
  artifact.files["golden/expected.bin"] = write_expected(layout, expected);
  const Verdict untouched = verdict_with_new_manifest(artifact);
  CHECK(untouched.golden.status == VerifyStatus::Passed);
  CHECK(untouched.host.status == VerifyStatus::Passed);
  edit(artifact, "src/model.c", "layer2_sum(", ".y_zero = 3", ".y_zero = 4");
  require_found(verdict_with_new_manifest(artifact).host, "sum");
  // A stale CRC: only two checksums can be told.
  expected[2].crc[4] ^= 1;
  Artifact stale = good_export();
  stale.files["golden/expected.bin"] = write_expected(layout, expected);
  const Verdict v = verdict_with_new_manifest(stale);
  CHECK(v.golden.status == VerifyStatus::Failed);
  REQUIRE(v.golden.mismatch.has_value());
  CHECK(v.golden.mismatch->layer == "mean");
  CHECK(v.golden.mismatch->index == -1);
}

TEST_CASE("planted: code that does not compile, code that writes outside", "[export]") {
  Artifact broken = good_export();
  edit(broken, "src/model.c", "void toy_run(", "{", "{ int unused;");
  const Verdict v = verdict_with_new_manifest(broken);
  CHECK(v.host.status == VerifyStatus::Failed);
  CHECK_THAT(v.host.detail, has_text("does not compile"));
  CHECK_THAT(v.host.detail, has_text("unused"));

  Artifact outside = good_export();
  edit(outside, "src/model.c", "void toy_run_parallel(", "TOY_TAP(0",
       "a[TOY_ARENA_BYTES] = 1;\n  TOY_TAP(0");
  const Verdict w = verdict_with_new_manifest(outside);
  CHECK(w.host.status == VerifyStatus::Failed);
  CHECK_THAT(w.host.detail, has_text("outside its bounds"));
}
