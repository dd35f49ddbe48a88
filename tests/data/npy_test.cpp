// SPDX-License-Identifier: MIT
#include "lib/data/npy.h"

#include "lib/core/rng.h"
#include "lib/data/dataset.h"
#include "tests/data/fixtures.h"
#include "tests/data/support.h"

namespace qopt::data {
namespace {

std::string npy(const std::string& header, const std::string& content, char version = 1) {
  std::string out = "\x93NUMPY";
  out += version;
  out += '\0';
  out += static_cast<char>(header.size() & 255);
  out += static_cast<char>(header.size() >> 8);
  if (version > 1) out += std::string(2, '\0');
  return out + header + content;
}

std::string error_of(const std::string& file) {
  return data_error([&] { parse_npy(bytes_of(file), "a.npy"); });
}

TEST_CASE("NPY headers of all versions and spellings") {
  const std::string content("\1\0\2\0\3\0\4\0", 8);
  for (const char version : {1, 2, 3}) {
    for (const char* header :
         {"{'descr': '<i2', 'fortran_order': False, 'shape': (2, 2), }          \n",
          "{\"shape\":(2,2),\"fortran_order\":False,\"descr\":\"<i2\"}"}) {
      const Tensor array = parse_npy(bytes_of(npy(header, content, version)), "f");
      CHECK(array.dtype() == DType::I16);
      CHECK(array.shape() == Shape{2, 2});
      CHECK(array.values<std::int16_t>()[3] == 4);
    }
  }
  const Tensor scalar = parse_npy(
      bytes_of(npy("{'descr':'|u1','fortran_order':False,'shape':()}", "\5")), "f");
  CHECK(scalar.shape().empty());
  const Tensor flags =
      parse_npy(bytes_of(npy("{'descr':'|b1','fortran_order':False,'shape':(3,)}",
                             std::string("\0\1\7", 3))),
                "f");
  CHECK(flags.integer_at(0) == 0);
  CHECK(flags.integer_at(2) == 1);
}

TEST_CASE("Fortran order is turned") {
  const Tensor array = parse_npy(bytes_of(unhex(kFileNpyFortran)), "f");
  CHECK(array.shape() == Shape{2, 3});
  for (std::int64_t i = 0; i < 6; ++i) CHECK(array.integer_at(i) == i);
}

TEST_CASE("broken and hostile NPY files") {
  const std::string good = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}";
  CHECK(has(error_of("PNG"), "a.npy: not an NPY file"));
  CHECK(has(error_of(npy(good, "1234567")), "takes 8 bytes, 7 follow"));
  CHECK(has(error_of(npy(good, "123456789")), "takes 8 bytes, 9 follow"));
  CHECK(has(error_of(npy(good, "", 9)), "version 9"));
  CHECK(has(error_of(npy(good, "").substr(0, 30)), "header of 55 bytes"));
  CHECK(has(error_of(npy("{'descr': '>f4', 'fortran_order': False, 'shape': (2,)}",
                         "12345678")),
            "'>f4' is not read"));
  CHECK(has(error_of(npy("{'descr': '|O', 'fortran_order': False, 'shape': (2,)}", "")),
            "'|O' is not read"));
  CHECK(has(error_of(npy("{'descr': '<f4', 'shape': (2,)}", "")), "missing"));
  CHECK(has(error_of(npy("{'descr': '<f4', 'fortran_order': 1, 'shape': (2,)}", "")),
            "bad NPY header at offset 44: True or False"));
  CHECK(has(error_of(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}", "")),
            "a number expected"));
  CHECK(has(error_of(npy("{'descr': '<f4', 'fortran_order': False, 'shape': "
                         "(99999999999999999999,)}",
                         "")),
            "too large"));
  CHECK(has(error_of(npy("{'descr': '<f4', 'fortran_order': False, 'shape': "
                         "(4611686018427387904, 4)}",
                         "")),
            "declares an array"));
  CHECK(
      has(error_of(npy(
              "{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776,)}", "")),
          "takes 4398046511104 bytes, 0 follow"));
  CHECK(has(error_of(npy("{'evil': 'x'}", "")), "unknown key"));
}

TEST_CASE("NPZ archives, stored and deflated, with their check sums") {
  const auto stored = parse_npz(bytes_of(unhex(kFileNpzStored)), "f");
  REQUIRE(stored.size() == 1);
  CHECK(stored[0].first == "a");
  CHECK(stored[0].second.integer_at(3) == 3);
  const auto deflated = parse_npz(bytes_of(unhex(kFileNpzDeflate)), "f");
  REQUIRE(deflated.size() == 2);
  CHECK(deflated[0].first == "images");
  CHECK(deflated[0].second.values<float>()[5] == 5.0F);

  const auto error = [](std::string file) {
    return data_error([&] { parse_npz(bytes_of(file), "a.npz"); });
  };
  std::string flipped = unhex(kFileNpzStored);
  flipped[180] = static_cast<char>(flipped[180] ^ 1);
  CHECK(has(error(flipped), "a.npz: a.npy: check sum is wrong"));
  CHECK(has(error(unhex(kFileNpzStored).substr(0, 200)), "its end is missing"));
  // A deflated entry that claims 3 GiB is refused by the ratio before memory is taken.
  std::string bomb = unhex(kFileNpzDeflate);
  const std::size_t directory = bomb.find("PK\1\2");
  bomb.replace(directory + 24, 4, std::string("\0\0\0\xC0", 4));
  CHECK(has(error(bomb), "cannot come from"));
  std::string method = unhex(kFileNpzDeflate);
  method[directory + 10] = 12;
  CHECK(has(error(method), "compression method 12"));
  std::string encrypted = unhex(kFileNpzDeflate);
  encrypted[directory + 8] = 1;
  CHECK(has(error(encrypted), "encrypted"));
}

TEST_CASE("random damage never crashes") {
  Rng rng(11);
  for (const std::string_view hex : {kFileNpzStored, kFileNpzDeflate, kFileNpyFortran}) {
    for (int round = 0; round < 2000; ++round) {
      std::string file = unhex(hex);
      for (int k = 0; k < 3; ++k) {
        file[static_cast<std::size_t>(rng.below(file.size()))] =
            static_cast<char>(rng.next());
      }
      data_error([&] { parse_npz(bytes_of(file), "f"); });
      data_error([&] { parse_npy(bytes_of(file), "f"); });
    }
  }
}

TEST_CASE("NPY data sets: several inputs, labels, indices stay integers") {
  const TestFolder folder;
  DatasetSpec spec{.format = "npy"};
  spec.files = {folder.write("all.npz", unhex(kFileNpzDeflate))};
  const auto dataset = open_dataset(spec);
  CHECK(dataset->size() == 2);
  CHECK(dataset->sample(1).label == 0);
  CHECK(dataset->sample(1).inputs[0].shape() == Shape{1, 3});
  CHECK(dataset->sample(1).inputs[0].values<float>()[0] == 3.0F);

  // A `y` that cannot be labels is the second input of a model.
  std::string y = unhex(kFileNpzStored);
  for (std::size_t at; (at = y.find("a.npy")) != std::string::npos;) y[at] = 'y';
  spec.files = {folder.write("y.npz", y)};
  const Sample plain = open_dataset(spec)->sample(1);
  CHECK(plain.inputs.at(0).shape() == Shape{1, 2});
  CHECK_FALSE(plain.label.has_value());

  const auto ids =
      folder.write("ids.npy", npy("{'descr':'<i8','fortran_order':False,'shape':(2,1)}",
                                  std::string("\7\0\0\0\0\0\0\0\10\0\0\0\0\0\0\0", 16)));
  spec.files = {ids, folder.write("x.npy", npy("{'descr':'|i1','fortran_order':False,"
                                               "'shape':(2,2)}",
                                               "\1\2\3\4"))};
  spec.labels = {ids};
  const auto two = open_dataset(spec);
  const Sample sample = two->sample(1);
  REQUIRE(sample.inputs.size() == 2);
  CHECK(sample.inputs[0].values<std::int64_t>()[0] == 8);
  CHECK(sample.inputs[1].values<float>()[1] == 4.0F);
  CHECK(sample.label == 8);

  spec.preprocess.scale = 2;
  CHECK(has(data_error([&] { open_dataset(spec); }), "several inputs"));
  spec.preprocess = {};
  spec.labels = {spec.files[1]};
  CHECK(has(data_error([&] { open_dataset(spec); }),
            "labels must be integers in one column"));
  spec.labels = {folder.write(
      "neg.npy", npy("{'descr':'|i1','fortran_order':False,'shape':(2,)}", "\1\xFF"))};
  CHECK(has(data_error([&] { open_dataset(spec); }), "label -1 of record 1 is negative"));
  spec.labels = {folder.write(
      "one.npy", npy("{'descr':'|i1','fortran_order':False,'shape':(1,)}", "\1"))};
  CHECK(has(data_error([&] { open_dataset(spec); }), "2 samples but 1 labels"));
}

TEST_CASE("random data: seeded, each sample its own") {
  DatasetSpec spec{.format = "random"};
  spec.shapes = {{1, 3, 8, 8}, {1, 2}};
  spec.samples = 3;
  spec.seed = 5;
  const auto a = open_dataset(spec), b = open_dataset(spec);
  CHECK(a->size() == 3);
  CHECK(a->sample(2).inputs[0] == b->sample(2).inputs[0]);
  CHECK_FALSE(a->sample(1).inputs[0] == a->sample(2).inputs[0]);
  CHECK(a->sample(0).inputs[1].shape() == Shape{1, 2});
  CHECK_FALSE(a->sample(0).label.has_value());
  spec.seed = 6;
  CHECK_FALSE(open_dataset(spec)->sample(2).inputs[0] == a->sample(2).inputs[0]);
  spec.shapes = {{1LL << 40}};
  CHECK(has(data_error([&] { open_dataset(spec); }), "cannot make random samples"));
  spec.shapes = {};
  CHECK(has(data_error([&] { open_dataset(spec); }), "needs the shapes"));
}

}  // namespace
}  // namespace qopt::data
