// SPDX-License-Identifier: MIT
#include "lib/data/cifar.h"

#include <fmt/format.h>

#include <cstring>
#include <system_error>

#include "lib/data/array_dataset.h"
#include "lib/data/readers.h"

namespace qopt::data {
namespace {

constexpr std::size_t kPixelBytes = 3 * 32 * 32;
constexpr std::size_t kRecordBytes = 1 + kPixelBytes;
constexpr std::int64_t kClasses = 10;

/// Names from `batches.meta.txt` beside the data, where it lists exactly one a line.
std::vector<std::string> names_beside(const std::filesystem::path& data_file) {
  const std::filesystem::path meta = data_file.parent_path() / "batches.meta.txt";
  std::error_code error;
  if (!std::filesystem::is_regular_file(meta, error)) return {};
  const std::string text = read_source(meta, 4096);
  std::vector<std::string> names;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    std::string line = text.substr(at, end - at);
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (!line.empty()) names.push_back(std::move(line));
    at = end + 1;
  }
  if (names.size() != static_cast<std::size_t>(kClasses)) names.clear();
  return names;
}

}  // namespace

CifarRecords parse_cifar(Bytes file, const std::string& where) {
  if (file.size() % kRecordBytes != 0) {
    fail(where,
         fmt::format("{} bytes are not whole CIFAR-10 records of {}: {} bytes remain "
                     "after record {}",
                     file.size(), kRecordBytes, file.size() % kRecordBytes,
                     file.size() / kRecordBytes),
         "is the file complete, and CIFAR-10 in its binary version?");
  }
  const std::size_t count = file.size() / kRecordBytes;
  CifarRecords records;
  records.images =
      Tensor::zeros(DType::U8, {static_cast<std::int64_t>(count), 3, 32, 32});
  std::byte* out = records.images.mutable_bytes().data();
  for (std::size_t i = 0; i < count; ++i) {
    const Bytes record = file.subspan(i * kRecordBytes, kRecordBytes);
    if (record[0] >= kClasses) {
      fail(where, fmt::format("label {} of record {} (offset {}) is not in 0..{}",
                              record[0], i, i * kRecordBytes, kClasses - 1));
    }
    records.labels.push_back(record[0]);
    std::memcpy(out + i * kPixelBytes, record.data() + 1, kPixelBytes);
  }
  return records;
}

std::unique_ptr<Dataset> open_cifar(const DatasetSpec& spec) {
  if (!spec.labels.empty()) {
    fail(spec.labels[0].string(), "CIFAR records carry their labels",
         "remove `labels` from the data section");
  }
  ArrayParts parts;
  for (const std::filesystem::path& path : spec.files) {
    const std::string where = path.string();
    CifarRecords records = parse_cifar(bytes_of(read_source(path)), where);
    if (records.labels.empty()) fail(where, "file is empty");
    parts.add(std::move(records.images), std::move(records.labels), where);
  }
  std::vector<std::string> names;
  if (!spec.files.empty()) names = names_beside(spec.files[0]);
  return make_array_dataset(std::move(parts), spec,
                            fmt::format("cifar: {}", names_text(spec.files)),
                            std::move(names));
}

}  // namespace qopt::data
