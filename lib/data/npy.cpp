// SPDX-License-Identifier: MIT
#include "lib/data/npy.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <memory>
#include <optional>

#include "lib/core/names.h"
#include "lib/data/array_dataset.h"
#include "lib/data/readers.h"
#include "lib/data/zip.h"

static_assert(std::endian::native == std::endian::little, "arrays are read as they lie");

namespace qopt::data {
namespace {

constexpr std::size_t kMaxHeaderBytes = 1 << 16;
constexpr std::size_t kMaxAxes = 16;

struct NpyHeader {
  std::optional<std::string> descr;
  std::optional<bool> fortran_order;
  std::optional<Shape> shape;
};

/// Reads the header, which is the text of a Python dict with three known keys:
/// {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
class HeaderParser {
 public:
  HeaderParser(std::string_view text, std::size_t offset, const std::string& where)
      : text_(text), offset_(offset), where_(where) {}

  NpyHeader parse() {
    NpyHeader header;
    expect('{');
    while (!accept('}')) {
      const std::string key = quoted();
      expect(':');
      if (key == "descr") {
        header.descr = quoted();
      } else if (key == "fortran_order") {
        header.fortran_order = boolean();
      } else if (key == "shape") {
        header.shape = extents();
      } else {
        wrong(fmt::format("unknown key '{}'", printable(key)));
      }
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    if (!header.descr || !header.fortran_order || !header.shape) {
      wrong("descr, fortran_order or shape is missing");
    }
    return header;
  }

 private:
  [[noreturn]] void wrong(const std::string& what) {
    fail(where_, fmt::format("bad NPY header at offset {}: {}", offset_ + at_, what));
  }
  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
  }
  bool accept(char c) {
    skip_space();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!accept(c)) wrong(fmt::format("'{}' expected", c));
  }
  std::string quoted() {
    const char quote = accept('\'') ? '\'' : '"';
    if (quote == '"') expect('"');
    const std::size_t end = text_.find(quote, at_);
    if (end == std::string_view::npos) wrong("a quote is not closed");
    std::string out(text_.substr(at_, end - at_));
    at_ = end + 1;
    return out;
  }
  bool boolean() {
    skip_space();
    for (const bool value : {true, false}) {
      const std::string_view word = value ? "True" : "False";
      if (text_.substr(at_).starts_with(word)) {
        at_ += word.size();
        return value;
      }
    }
    wrong("True or False expected");
  }
  Shape extents() {
    Shape shape;
    expect('(');
    while (!accept(')')) {
      shape.push_back(number());
      if (shape.size() > kMaxAxes) wrong(fmt::format("more than {} axes", kMaxAxes));
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    return shape;
  }
  std::int64_t number() {
    skip_space();
    const std::size_t begin = at_;
    std::int64_t n = 0;
    while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') {
      if (__builtin_mul_overflow(n, std::int64_t{10}, &n) ||
          __builtin_add_overflow(n, std::int64_t{text_[at_] - '0'}, &n)) {
        wrong("an extent is too large");
      }
      ++at_;
    }
    if (at_ == begin) wrong("a number expected");
    return n;
  }

  std::string_view text_;
  std::size_t offset_, at_ = 0;
  const std::string& where_;
};

DType element_type(const std::string& descr, const std::string& where) {
  struct Row {
    std::string_view descr;
    DType dtype;
  };
  constexpr Row kRows[] = {{"<f4", DType::F32}, {"<f8", DType::F64},  {"|i1", DType::I8},
                           {"|u1", DType::U8},  {"<i2", DType::I16},  {"<i4", DType::I32},
                           {"<i8", DType::I64}, {"|b1", DType::Bool}, {"<i1", DType::I8},
                           {"<u1", DType::U8}};
  for (const Row& row : kRows) {
    if (row.descr == descr) return row.dtype;
  }
  fail(where, fmt::format("element type '{}' is not read", printable(descr)),
       "save as one of <f4 <f8 |i1 |u1 <i2 <i4 <i8 |b1, for example array.astype('<f4')");
}

}  // namespace

Tensor parse_npy(Bytes file, const std::string& where) {
  constexpr std::string_view kMagic = "\x93NUMPY";
  if (file.size() < 10 || std::memcmp(file.data(), kMagic.data(), kMagic.size()) != 0) {
    fail(where, "not an NPY file (by its first bytes)");
  }
  const int version = file[6];
  if (version < 1 || version > 3)
    fail(where, fmt::format("NPY version {} at offset 6", version));
  const std::size_t begin = version == 1 ? 10 : 12;
  if (file.size() < begin) fail(where, "file ends inside the NPY header");
  std::size_t length = file[8] | std::size_t{file[9]} << 8;
  if (version > 1) length |= std::size_t{file[10]} << 16 | std::size_t{file[11]} << 24;
  if (length > kMaxHeaderBytes || length > file.size() - begin) {
    fail(where, fmt::format("header of {} bytes at offset {} does not fit the file",
                            length, begin));
  }
  const std::string_view text(reinterpret_cast<const char*>(file.data()) + begin, length);
  const NpyHeader header = HeaderParser(text, begin, where).parse();

  const DType dtype = element_type(*header.descr, where);
  std::uint64_t bytes = dtype_size(dtype);
  bool is_empty = false;
  for (std::int64_t extent : *header.shape) {
    is_empty = is_empty || extent == 0;
    if (__builtin_mul_overflow(bytes, static_cast<std::uint64_t>(extent), &bytes)) {
      fail(where, "declares an array of " + shape_text(*header.shape));
    }
  }
  const Bytes content = file.subspan(begin + length);
  if (bytes != content.size()) {
    fail(where, fmt::format(
                    "an array of {} {} takes {} bytes, {} follow the header at offset {}",
                    header.descr->c_str(), shape_text(*header.shape), bytes,
                    content.size(), begin + length));
  }
  Shape shape = *header.shape;
  if (*header.fortran_order) std::reverse(shape.begin(), shape.end());
  Tensor tensor = Tensor::zeros(dtype, shape);
  if (!content.empty()) {
    std::memcpy(tensor.mutable_bytes().data(), content.data(), content.size());
  }
  if (dtype == DType::Bool) {
    // Any other byte than 0 and 1 is not a bool.
    for (std::byte& b : tensor.mutable_bytes()) b = b == std::byte{0} ? b : std::byte{1};
  }
  if (!*header.fortran_order || is_empty) return tensor.reshaped(*header.shape);
  std::vector<std::int64_t> reversed;
  for (std::size_t i = shape.size(); i-- > 0;)
    reversed.push_back(static_cast<std::int64_t>(i));
  return permuted(tensor, reversed);
}

std::vector<std::pair<std::string, Tensor>> parse_npz(Bytes file,
                                                      const std::string& where) {
  std::vector<std::pair<std::string, Tensor>> arrays;
  for (const ZipEntry& entry : zip_entries(file, where)) {
    std::string name = printable(entry.name);
    const std::string entry_where = where + ": " + name;
    if (name.ends_with(".npy")) name.resize(name.size() - 4);
    arrays.emplace_back(std::move(name),
                        parse_npy(zip_content(file, entry, entry_where), entry_where));
  }
  return arrays;
}

std::unique_ptr<Dataset> open_npy(const DatasetSpec& spec) {
  if (spec.files.empty()) fail("", "data format 'npy' needs `files`");
  ArrayParts parts;
  ArrayParts::Part part;
  part.where = spec.files[0].string();
  // `y` is the usual name of labels, but also of a model's second input.
  const auto is_labels = [](std::string_view name, const Tensor& array) {
    return name == "labels" || name == "label" || (name == "y" && is_label_like(array));
  };
  const auto check_labels = [&](std::vector<std::int64_t> labels,
                                const std::string& where) {
    if (!part.labels.empty()) fail(where, "labels are given twice");
    part.labels = std::move(labels);
    if (part.labels.empty()) fail(where, "there are no labels");
  };
  for (const std::filesystem::path& path : spec.files) {
    const std::string where = path.string(), file = read_source(path);
    if (!file.starts_with("PK")) {
      part.inputs.push_back(parse_npy(bytes_of(file), where));
      continue;
    }
    for (auto& [name, array] : parse_npz(bytes_of(file), where)) {
      if (is_labels(name, array)) {
        check_labels(labels_of(array, where + ": " + name), where);
      } else {
        part.inputs.push_back(std::move(array));
      }
    }
  }
  for (const std::filesystem::path& path : spec.labels) {
    const std::string where = path.string();
    check_labels(labels_of(parse_npy(bytes_of(read_source(path)), where), where), where);
  }
  if (part.inputs.empty()) fail(part.where, "there are only labels, no inputs");
  const std::int64_t count =
      part.inputs[0].shape().empty() ? 0 : part.inputs[0].shape()[0];
  if (!part.labels.empty() && static_cast<std::int64_t>(part.labels.size()) != count) {
    fail(part.where, fmt::format("{} samples but {} labels", count, part.labels.size()));
  }
  parts.parts.push_back(std::move(part));
  return make_array_dataset(std::move(parts), spec,
                            fmt::format("npy: {}", names_text(spec.files)), {});
}

}  // namespace qopt::data
