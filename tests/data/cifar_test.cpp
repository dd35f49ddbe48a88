// SPDX-License-Identifier: MIT
#include "lib/data/cifar.h"

#include <cstdlib>
#include <numeric>

#include "lib/data/dataset.h"
#include "tests/data/support.h"

namespace qopt::data {
namespace {

std::string record(int label, char first) {
  std::string out(3073, '\0');
  out[0] = static_cast<char>(label);
  for (std::size_t i = 1; i < out.size(); ++i)
    out[i] = static_cast<char>(first + i / 1024);
  return out;
}

TEST_CASE("CIFAR records are label and planes") {
  const CifarRecords records = parse_cifar(bytes_of(record(9, 1) + record(0, 50)), "f");
  CHECK(records.labels == std::vector<std::int64_t>{9, 0});
  CHECK(records.images.shape() == Shape{2, 3, 32, 32});
  CHECK(records.images.values<std::uint8_t>()[0] == 1);
  CHECK(records.images.values<std::uint8_t>()[3072 + 3071] == 53);
}

TEST_CASE("broken CIFAR files name record and offset") {
  const auto error = [](const std::string& file) {
    return data_error([&] { parse_cifar(bytes_of(file), "batch.bin"); });
  };
  CHECK(has(error(record(1, 0) + "ab"), "batch.bin: 3075 bytes are not whole"));
  CHECK(has(error(record(1, 0) + "ab"), "2 bytes remain after record 1"));
  CHECK(has(error(record(1, 0) + record(10, 0)), "label 10 of record 1 (offset 3073)"));
}

TEST_CASE("CIFAR data set: several files, subset by seed, class names") {
  const TestFolder folder;
  std::string many;
  for (int i = 0; i < 10; ++i) many += record(i, static_cast<char>(i));
  DatasetSpec spec{.format = "cifar"};
  spec.files = {folder.write("a.bin", many), folder.write("b.bin", record(7, 100))};
  folder.write("batches.meta.txt", "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n");
  const auto whole = open_dataset(spec);
  CHECK(whole->size() == 11);
  CHECK(whole->class_names()[7] == "h");
  CHECK(whole->sample(10).inputs[0].values<float>()[0] == 100.0F);
  CHECK(whole->description() == "cifar: a.bin, b.bin, 11 samples");

  spec.samples = 4;
  const auto first = open_dataset(spec);
  CHECK(first->size() == 4);
  CHECK(first->sample(3).label == 3);
  spec.seed = 1;
  const auto labels = [&] {
    const auto drawn = open_dataset(spec);
    std::vector<std::int64_t> out;
    for (std::int64_t i = 0; i < drawn->size(); ++i)
      out.push_back(*drawn->sample(i).label);
    return out;
  };
  const std::vector<std::int64_t> once = labels();
  CHECK(once == labels());
  CHECK(once != std::vector<std::int64_t>{0, 1, 2, 3});
  spec.seed = 2;
  CHECK(once != labels());
  spec.samples = 12;
  CHECK(has(data_error([&] { open_dataset(spec); }),
            "12 samples are asked for, but there are 11"));
  spec.samples = 0;
  CHECK(has(data_error([&] { open_dataset(spec); }), "0 samples"));

  spec.samples.reset();
  spec.labels = spec.files;
  CHECK(has(data_error([&] { open_dataset(spec); }), "carry their labels"));
  spec.labels = {};
  spec.files = {folder.write("empty.bin", "")};
  CHECK(has(data_error([&] { open_dataset(spec); }), "empty.bin: file is empty"));
  spec.files = {};
  CHECK(has(data_error([&] { open_dataset(spec); }), "no files"));
  CHECK(
      has(data_error([] { open_dataset({.format = "cifr"}); }), "did you mean 'cifar'"));
}

TEST_CASE("the real test batch") {
  const char* const from_environment = std::getenv("QOPT_DATA");
  const std::filesystem::path root =
      from_environment ? from_environment : QOPT_SOURCE_DIR "/../shared/data";
  const std::filesystem::path file = root / "cifar10/test_batch.bin";
  if (!std::filesystem::exists(file)) {
    WARN("skipped: no " << file.string());
    return;
  }
  DatasetSpec spec{.format = "cifar"};
  spec.files = {file};
  spec.preprocess.scale = 1.0 / 255;
  spec.preprocess.mean = {0.485, 0.456, 0.406};
  spec.preprocess.stddev = {0.229, 0.224, 0.225};
  const auto dataset = open_dataset(spec);
  CHECK(dataset->size() == 5000);
  CHECK(dataset->class_names().size() == 10);
  const Sample sample = dataset->sample(4999);
  CHECK(sample.inputs[0].shape() == Shape{1, 3, 32, 32});
  for (float x : sample.inputs[0].values<float>()) CHECK((x > -2.2F && x < 2.7F));
}

}  // namespace
}  // namespace qopt::data
