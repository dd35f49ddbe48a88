// SPDX-License-Identifier: MIT
#include "lib/data/idx.h"

#include <zlib.h>

#include "lib/data/dataset.h"
#include "tests/data/support.h"

namespace qopt::data {
namespace {

std::string gzipped(const std::string& text) {
  z_stream stream{};
  REQUIRE(deflateInit2(&stream, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) ==
          Z_OK);
  std::string out(deflateBound(&stream, text.size()) + 32, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string big_endian(std::uint32_t v) {
  return {static_cast<char>(v >> 24), static_cast<char>(v >> 16),
          static_cast<char>(v >> 8), static_cast<char>(v)};
}

std::string idx(char type, std::vector<std::uint32_t> extents,
                const std::string& content) {
  std::string out = {0, 0, type, static_cast<char>(extents.size())};
  for (std::uint32_t extent : extents) out += big_endian(extent);
  return out + content;
}

const std::string kImages =
    idx(8, {2, 2, 3}, std::string("\0\1\2\3\4\5\6\7\10\11\12\377", 12));
const std::string kLabels = idx(8, {2}, std::string("\3\1", 2));

TEST_CASE("an IDX file, plain or gzip, is its array") {
  for (const std::string& file : {kImages, gzipped(kImages)}) {
    const Tensor array = parse_idx(bytes_of(file), "f");
    CHECK(array.dtype() == DType::U8);
    CHECK(array.shape() == Shape{2, 2, 3});
    CHECK(array.values<std::uint8_t>()[11] == 255);
  }
  const Tensor words =
      parse_idx(bytes_of(idx(0x0B, {2}, std::string("\1\2\377\376", 4))), "f");
  CHECK(words.values<std::int16_t>()[0] == 0x102);
  CHECK(words.values<std::int16_t>()[1] == -2);
  // A gzip file of two members is their concatenation.
  const std::string joined = gzipped(kImages.substr(0, 10)) + gzipped(kImages.substr(10));
  CHECK(parse_idx(bytes_of(joined), "f") == parse_idx(bytes_of(kImages), "f"));
}

TEST_CASE("broken IDX files say what is wrong and where") {
  const auto error = [](const std::string& file) {
    return data_error([&] { parse_idx(bytes_of(file), "some.idx"); });
  };
  CHECK(has(error(""), "some.idx: file ends at offset 0"));
  CHECK(has(error("abcdefgh"), "not an IDX file"));
  CHECK(has(error(idx(7, {2}, "ab")), "element type 0x07"));
  CHECK(has(error(std::string("\0\0\10\0", 4)), "0 axes"));
  CHECK(has(error(kImages.substr(0, 20)), "8 more bytes expected"));
  CHECK(has(error(kImages + "x"), "1 bytes follow the array"));
  CHECK(has(error(gzipped(kImages + "x")), "goes on after the 28 bytes"));
  CHECK(has(error(gzipped(kImages).substr(0, 20)), "some.idx: compressed data ends"));
  std::string damaged = gzipped(kImages);
  damaged[damaged.size() - 6] =
      static_cast<char>(damaged[damaged.size() - 6] ^ 1);  // its CRC
  CHECK(has(error(damaged), "damaged compressed data"));
}

TEST_CASE("hostile IDX sizes take no memory") {
  const auto error = [](const std::string& file) {
    return data_error([&] { parse_idx(bytes_of(file), "f"); });
  };
  CHECK(
      has(error(idx(8, {0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF}, "")), "beyond"));
  // 1 GiB is allowed as such, but not out of 40 compressed bytes.
  CHECK(has(error(gzipped(idx(8, {1 << 15, 1 << 15}, ""))), "cannot come from"));
  CHECK(has(error(idx(8, {1 << 15, 1 << 15}, "")), "more bytes expected"));
}

TEST_CASE("IDX data set: grey images with the channel axis, labels, preprocessing") {
  const TestFolder folder;
  DatasetSpec spec{.format = "idx"};
  spec.files = {folder.write("images.gz", gzipped(kImages))};
  spec.labels = {folder.write("labels", kLabels)};
  spec.preprocess.scale = 1.0 / 255;
  spec.preprocess.mean = {0.5};
  spec.preprocess.stddev = {0.25};
  const auto dataset = open_dataset(spec);
  REQUIRE(dataset->size() == 2);
  const Sample sample = dataset->sample(1);
  CHECK(sample.label == 1);
  REQUIRE(sample.inputs.size() == 1);
  CHECK(sample.inputs[0].shape() == Shape{1, 1, 2, 3});
  CHECK(sample.inputs[0].values<float>()[5] == 2.0F);
  CHECK(sample.inputs[0].values<float>()[0] ==
        static_cast<float>((6.0 / 255 - 0.5) / 0.25));
  CHECK(dataset->description() == "idx: images.gz, 2 samples");

  spec.labels = {folder.write("three", idx(8, {3}, "abc"))};
  CHECK(has(data_error([&] { open_dataset(spec); }), "3 labels for the 2 samples"));
  spec.labels.push_back(spec.labels[0]);
  CHECK(has(data_error([&] { open_dataset(spec); }),
            "1 IDX image files but 2 label files"));
  spec.labels = {};
  CHECK_FALSE(open_dataset(spec)->sample(0).label.has_value());
  spec.files = {folder.path() / "missing"};
  CHECK(has(data_error([&] { open_dataset(spec); }), "missing"));
  spec.files = {folder.write("none", idx(8, {0, 2, 3}, ""))};
  CHECK(has(data_error([&] { open_dataset(spec); }), "empty"));
}

TEST_CASE("Fashion-MNIST as Debian ships it") {
  const std::filesystem::path root = "/usr/share/datasets/fashion-mnist";
  if (!std::filesystem::exists(root)) {
    WARN("skipped: Debian's dataset-fashion-mnist is not installed");
    return;
  }
  DatasetSpec spec{.format = "idx"};
  spec.files = {root / "t10k-images-idx3-ubyte.gz"};
  spec.labels = {root / "t10k-labels-idx1-ubyte.gz"};
  const auto dataset = open_dataset(spec);
  REQUIRE(dataset->size() == 10000);
  std::vector<int> counts(10, 0);
  for (std::int64_t i = 0; i < dataset->size(); ++i) {
    ++counts[static_cast<std::size_t>(*dataset->sample(i).label)];
  }
  CHECK(counts == std::vector<int>(10, 1000));
  CHECK(dataset->sample(0).inputs[0].shape() == Shape{1, 1, 28, 28});
}

}  // namespace
}  // namespace qopt::data
