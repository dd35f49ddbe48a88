// SPDX-License-Identifier: MIT
// The blob: packing round trips, the layout's own examples, and a reader that any bytes
// may try.
#include "lib/export/blob.h"

#include "lib/core/error.h"
#include "lib/core/rng.h"
#include "lib/export/bytes.h"
#include "tests/export/toy_graphs.h"
#include "tests/support/catch.h"

using namespace qopt;
using namespace qopt::emit;

namespace {

/// Must end in an Error or in constants; anything else is a crash.
bool is_accepted(const std::string& bytes) {
  try {
    read_constants(bytes);
    return true;
  } catch (const Error& e) {
    CHECK(e.code() == ExitCode::Data);
    return false;
  }
}

void put_u32(std::string& bytes, std::size_t at, std::uint32_t value) {
  std::string text;
  append_u32(text, value);
  bytes.replace(at, 4, text);
}

std::uint32_t get_u32(const std::string& bytes, std::size_t at) {
  return ByteReader(std::string_view(bytes).substr(at), "test").u32("a number");
}

/// Makes the header's CRC right again, so that a change reaches the checks behind it.
void fix_header_crc(std::string& bytes) {
  const std::size_t end = std::min<std::size_t>(get_u32(bytes, 8), bytes.size());
  if (end < 64) return;
  put_u32(bytes, 60, crc32(bytes.substr(0, 60) + bytes.substr(64, end - 64)));
}

}  // namespace

TEST_CASE("packing keeps every code at every width", "[export]") {
  Rng rng(3);
  for (const int bits : {1, 2, 3, 4, 5, 6, 7, 8}) {
    for (const std::int64_t row : {1, 3, 8, 9, 64, 65}) {
      std::vector<std::int8_t> codes(static_cast<std::size_t>(row * 5));
      const int half = 1 << (bits - 1);
      for (std::int8_t& code : codes) {
        code = static_cast<std::int8_t>(
            static_cast<int>(rng.below(static_cast<std::uint64_t>(2 * half))) - half);
      }
      codes[0] = static_cast<std::int8_t>(-half);
      codes.back() = static_cast<std::int8_t>(half - 1);
      const Tensor tensor = Tensor::from(codes, {5, row});
      const std::string packed = pack_rows(tensor, row, bits);
      CHECK(packed.size() == static_cast<std::size_t>(5 * ((row * bits + 7) / 8)));
      CHECK(unpack_rows(packed, DType::I8, {5, row}, row, bits) == tensor);
    }
  }
  const Tensor wide = Tensor::from<std::int16_t>({-32768, 1, 32767, -2}, {2, 2});
  CHECK(unpack_rows(pack_rows(wide, 2, 16), DType::I16, {2, 2}, 2, 16) == wide);
  CHECK_THROWS_AS(pack_rows(Tensor::of<std::int8_t>({4}), 1, 3), InternalError);
}

TEST_CASE("packing keeps every odd code at every width", "[export]") {
  Rng rng(4);
  for (int bits = 1; bits <= 7; ++bits) {
    const int most = (1 << bits) - 1;
    for (const std::int64_t row : {1, 3, 8, 9, 64, 65}) {
      std::vector<std::int8_t> codes(static_cast<std::size_t>(row * 5));
      for (std::int8_t& code : codes) {
        code = static_cast<std::int8_t>(
            2 * static_cast<int>(rng.below(std::uint64_t{1} << bits)) - most);
      }
      codes[0] = static_cast<std::int8_t>(-most);
      codes.back() = static_cast<std::int8_t>(most);
      const Tensor tensor = Tensor::from(codes, {5, row});
      const std::string packed = pack_rows(tensor, row, bits, true);
      CHECK(packed.size() == static_cast<std::size_t>(5 * ((row * bits + 7) / 8)));
      CHECK(unpack_rows(packed, DType::I8, {5, row}, row, bits, true) == tensor);
    }
  }
  for (const std::int8_t code : {0, 2, 5, -5}) {
    CHECK_THROWS_AS(pack_rows(Tensor::of<std::int8_t>({code}), 1, 2, true),
                    InternalError);
  }
  CHECK_THROWS_AS(pack_rows(Tensor::of<std::int8_t>({1}), 1, 8, true), InternalError);
}

TEST_CASE("packed bytes are those of docs/blob.md", "[export]") {
  CHECK(pack_rows(Tensor::of<std::int8_t>({1, -1, -1, 1, 1}), 5, 1, true) == "\x19");
  CHECK(pack_rows(Tensor::of<std::int8_t>({3, -1, -3, 1}), 4, 2, true) == "\x87");
  CHECK(pack_rows(Tensor::of<std::int8_t>({3, -2, 7}), 3, 4) == "\xE3\x07");
  CHECK(pack_rows(Tensor::of<std::int8_t>({1, -1, 2, -4}), 4, 3) ==
        std::string("\xB9\x08", 2));
}

TEST_CASE("CRC-32 is the usual one", "[export]") {
  CHECK(crc32("123456789") == 0xCBF43926U);
  CHECK(crc32("") == 0U);
}

TEST_CASE("a blob gives back the constants of its graph", "[export]") {
  for (const Graph& graph : {qopt::testing::conv_net(), qopt::testing::all_ops(),
                             qopt::testing::low_bit_net()}) {
    const Blob blob = write_blob(graph);
    const Constants wanted = constants_of(graph);
    const Constants got = read_constants(blob.bytes);
    REQUIRE(got.size() == wanted.size());
    for (const auto& [name, tensor] : wanted) {
      INFO(name);
      REQUIRE(got.contains(name));
      CHECK(got.find(name)->second == tensor);
    }
    CHECK(write_blob(graph).bytes == blob.bytes);
    const std::vector<Section> sections = read_sections(blob.bytes);
    REQUIRE(sections.size() == blob.sections.size());
    for (std::size_t i = 0; i < sections.size(); ++i) {
      CHECK(sections[i].name == blob.sections[i].name);
      CHECK(sections[i].offset % 64 == 0);
      CHECK(sections[i].offset == blob.sections[i].offset);
      CHECK(sections[i].bits == blob.sections[i].bits);
      CHECK(sections[i].odd == blob.sections[i].odd);
    }
  }
  const Blob blob = write_blob(qopt::testing::conv_net());
  CHECK(blob.sections[4].name == "conv2.w");
  CHECK(blob.sections[4].bits == 4);
  CHECK(blob.sections[4].size_bytes == 8 * 5);  // 9 codes of 4 bits a row
}

TEST_CASE("low-bit weights are stored with the bits of their level set", "[export]") {
  struct Row {
    const char* name;
    int bits;
    bool odd;
  };
  const std::vector<Section> sections = write_blob(qopt::testing::low_bit_net()).sections;
  for (const Row& row :
       {Row{"o1.w", 1, true}, Row{"o2_dw.w", 2, true}, Row{"o3.w", 3, true},
        Row{"o7.w", 7, true}, Row{"t.w", 2, false}, Row{"n2.w", 2, false},
        Row{"s1.w", 1, false}, Row{"s2_dw.w", 2, false}, Row{"u2.w", 2, false},
        Row{"o1_up.w", 1, true}, Row{"o4_wide.w", 4, true}}) {
    INFO(row.name);
    const auto found = std::ranges::find(sections, row.name, &Section::name);
    REQUIRE(found != sections.end());
    CHECK(found->bits == row.bits);
    CHECK(found->odd == row.odd);
  }
}

TEST_CASE("a wrong word about odd codes is refused", "[export]") {
  const std::string good = write_blob(qopt::testing::low_bit_net()).bytes;
  const std::vector<Section> sections = read_sections(good);
  for (std::size_t i = 0; i < sections.size(); ++i) {
    const std::size_t at = 64 + 72 * i + 11;
    for (const char odd : {2, 127, -1}) {
      std::string changed = good;
      changed[at] = odd;
      fix_header_crc(changed);
      CHECK_FALSE(is_accepted(changed));
    }
    if (sections[i].bits < 8) continue;
    std::string changed = good;
    changed[at] = 1;
    fix_header_crc(changed);
    CHECK_FALSE(is_accepted(changed));
  }
}

TEST_CASE("weights that need more bits than declared are stored with more", "[export]") {
  Graph graph(Level::Integer);
  const ValueId x = graph.add_input("x", DType::I8, {1, 1, 1, 2});
  op::QConv2d conv;
  conv.weight_bits = 4;  // an unsigned 4-bit level set: 0..15
  const ValueId w =
      graph.add_constant("w", Tensor::from<std::int8_t>({0, 15}, {1, 1, 1, 2}));
  const ValueId y =
      graph.add(conv,
                {x, w, graph.add_constant("b", Tensor::of<std::int32_t>({0})),
                 graph.add_constant("m", Tensor::of<std::int32_t>({1 << 30})),
                 graph.add_constant("s", Tensor::of<std::int8_t>({0}))},
                "y");
  graph.add_output("y", y);
  const Blob blob = write_blob(graph);
  CHECK(blob.sections[0].bits == 5);
  CHECK(read_constants(blob.bytes).find("w")->second == *graph.value(w).constant);
}

TEST_CASE("weights that something else reads stay plain", "[export]") {
  Graph graph = qopt::testing::conv_net();
  const ValueId w = *graph.find("conv2.w");
  graph.add_output("weights", w);
  const Blob blob = write_blob(graph);
  CHECK(blob.sections[4].name == "conv2.w");
  CHECK(blob.sections[4].bits == 8);
}

TEST_CASE("an empty graph and an empty constant make sound blobs", "[export]") {
  Graph graph(Level::Integer);
  CHECK(read_sections(write_blob(graph).bytes).empty());
  graph.add_constant("none", Tensor::zeros(DType::I32, {0, 3}));
  const Blob blob = write_blob(graph);
  CHECK(read_constants(blob.bytes).find("none")->second.shape() == Shape{0, 3});
}

TEST_CASE("no truncation and no changed byte passes the reader", "[export]") {
  const std::string blob = write_blob(qopt::testing::conv_net()).bytes;
  REQUIRE(is_accepted(blob));
  for (std::size_t size = 0; size < blob.size(); ++size) {
    REQUIRE_FALSE(is_accepted(blob.substr(0, size)));
  }
  REQUIRE_FALSE(is_accepted(blob + '\0'));
  for (std::size_t i = 0; i < blob.size(); ++i) {
    std::string changed = blob;
    changed[i] = static_cast<char>(changed[i] ^ 0x10);
    INFO("byte " << i);
    REQUIRE_FALSE(is_accepted(changed));
  }
}

TEST_CASE("hostile headers with a right CRC are refused or read within bounds",
          "[export]") {
  const std::string blob = write_blob(qopt::testing::conv_net()).bytes;
  const std::size_t header_end = get_u32(blob, 8);
  Rng rng(11);
  constexpr std::uint32_t kValues[] = {0,          1,          63,         64,
                                       0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFC0};
  int accepted = 0;
  for (std::size_t at = 4; at + 4 <= header_end; at += 4) {
    for (const std::uint32_t value : kValues) {
      std::string changed = blob;
      put_u32(changed, at, value);
      fix_header_crc(changed);
      accepted += is_accepted(changed) ? 1 : 0;
    }
  }
  for (int round = 0; round < 3000; ++round) {
    std::string changed = blob;
    for (int k = 0; k < 3; ++k)
      changed[rng.below(header_end)] = static_cast<char>(rng.next());
    fix_header_crc(changed);
    accepted += is_accepted(changed) ? 1 : 0;
  }
  // Changed names are still sound blobs; everything structural is refused.
  CHECK(accepted < 3000);
  for (int round = 0; round < 2000; ++round) {
    std::string random(rng.below(400), '\0');
    for (char& c : random) c = static_cast<char>(rng.next());
    if (round % 2 == 0 && random.size() >= 4) random.replace(0, 4, "QPK1");
    REQUIRE_FALSE(is_accepted(random));
  }
}

TEST_CASE("huge shapes and counts do not allocate", "[export]") {
  std::string blob = write_blob(qopt::testing::conv_net()).bytes;
  std::string many = blob;
  put_u32(many, 12, 0xFFFFFFFF);  // sections
  fix_header_crc(many);
  CHECK_FALSE(is_accepted(many));
  std::string huge = blob;
  for (std::size_t i = 0; i < 4; ++i) put_u32(huge, 64 + 40 + 4 * i, 0xFFFFFFFF);
  fix_header_crc(huge);
  CHECK_FALSE(is_accepted(huge));
}
