// SPDX-License-Identifier: MIT
#include "lib/data/idx.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "lib/data/array_dataset.h"
#include "lib/data/inflate.h"
#include "lib/data/readers.h"

namespace qopt::data {
namespace {

constexpr int kMaxAxes = 8;

/// Plain and compressed files alike, as "the next n bytes".
class IdxSource {
 public:
  IdxSource(Bytes file, const std::string& where) : file_(file), where_(where) {
    if (is_gzip(file)) {
      inflater_ = std::make_unique<Inflater>(file, Inflater::Wrapper::Gzip, where);
    }
  }
  std::vector<std::uint8_t> take(std::uint64_t count) {
    if (inflater_) return inflater_->take(count);
    if (count > file_.size() - at_) {
      fail(where_, fmt::format("file ends at offset {}, {} more bytes expected",
                               file_.size(), count - (file_.size() - at_)));
    }
    const Bytes part = file_.subspan(at_, static_cast<std::size_t>(count));
    at_ += part.size();
    return {part.begin(), part.end()};
  }
  void expect_end() {
    if (inflater_) return inflater_->expect_end();
    if (at_ != file_.size()) {
      fail(where_, fmt::format("{} bytes follow the array, which ends at offset {}",
                               file_.size() - at_, at_));
    }
  }

 private:
  Bytes file_;
  const std::string& where_;
  std::size_t at_ = 0;
  std::unique_ptr<Inflater> inflater_;
};

std::uint32_t big_endian32(const std::uint8_t* p) {
  return std::uint32_t{p[0]} << 24 | std::uint32_t{p[1]} << 16 |
         std::uint32_t{p[2]} << 8 | p[3];
}

DType element_type(std::uint8_t code, const std::string& where) {
  switch (code) {
    case 0x08: return DType::U8;
    case 0x09: return DType::I8;
    case 0x0B: return DType::I16;
    case 0x0C: return DType::I32;
    case 0x0D: return DType::F32;
    case 0x0E: return DType::F64;
    default: break;
  }
  fail(where, fmt::format("unknown IDX element type 0x{:02X} at offset 2", code));
}

}  // namespace

Tensor parse_idx(Bytes file, const std::string& where) {
  IdxSource source(file, where);
  const std::vector<std::uint8_t> magic = source.take(4);
  if (magic[0] != 0 || magic[1] != 0) {
    fail(where,
         fmt::format("not an IDX file: it starts with {:02X} {:02X} instead of 00 00",
                     magic[0], magic[1]));
  }
  const DType dtype = element_type(magic[2], where);
  const int axes = magic[3];
  if (axes < 1 || axes > kMaxAxes) {
    fail(where, fmt::format("{} axes at offset 3, 1 to {} expected", axes, kMaxAxes));
  }
  const std::vector<std::uint8_t> extents = source.take(4U * static_cast<unsigned>(axes));
  Shape shape;
  const std::size_t width = dtype_size(dtype);
  std::uint64_t bytes = width;
  for (int axis = 0; axis < axes; ++axis) {
    const std::uint32_t extent = big_endian32(&extents[4U * static_cast<unsigned>(axis)]);
    shape.push_back(extent);
    if (__builtin_mul_overflow(bytes, std::uint64_t{extent}, &bytes) ||
        bytes > kMaxFileBytes) {
      fail(where, fmt::format("declares an array of {}, beyond {} bytes",
                              shape_text(shape), kMaxFileBytes));
    }
  }
  std::vector<std::uint8_t> content = source.take(bytes);
  source.expect_end();
  if (width > 1) {
    for (std::size_t i = 0; i < content.size(); i += width) {
      std::reverse(content.begin() + static_cast<std::ptrdiff_t>(i),
                   content.begin() + static_cast<std::ptrdiff_t>(i + width));
    }
  }
  Tensor tensor = Tensor::zeros(dtype, std::move(shape));
  if (!content.empty()) {
    std::memcpy(tensor.mutable_bytes().data(), content.data(), content.size());
  }
  return tensor;
}

std::unique_ptr<Dataset> open_idx(const DatasetSpec& spec) {
  if (!spec.labels.empty() && spec.labels.size() != spec.files.size()) {
    fail("",
         fmt::format("{} IDX image files but {} label files", spec.files.size(),
                     spec.labels.size()),
         "give one label file for each image file, in the same order");
  }
  ArrayParts parts;
  for (std::size_t f = 0; f < spec.files.size(); ++f) {
    const std::string where = spec.files[f].string();
    Tensor array = parse_idx(bytes_of(read_source(spec.files[f])), where);
    Shape shape = array.shape();
    // [N,H,W] are grey images: the channel axis is implied.
    if (shape.size() == 3) array = array.reshaped({shape[0], 1, shape[1], shape[2]});
    std::vector<std::int64_t> labels;
    if (!spec.labels.empty()) {
      const std::string label_where = spec.labels[f].string();
      labels = labels_of(parse_idx(bytes_of(read_source(spec.labels[f])), label_where),
                         label_where);
      if (static_cast<std::int64_t>(labels.size()) != shape[0]) {
        fail(label_where, fmt::format("{} labels for the {} samples of {}", labels.size(),
                                      shape[0], spec.files[f].filename().string()));
      }
    }
    parts.add(std::move(array), std::move(labels), where);
  }
  return make_array_dataset(std::move(parts), spec,
                            fmt::format("idx: {}", names_text(spec.files)), {});
}

}  // namespace qopt::data
