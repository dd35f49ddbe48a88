// SPDX-License-Identifier: MIT
// Host side of docs/blob.md: the writer, and a reader that believes nothing.
#include "lib/export/blob.h"

#include <algorithm>
#include <bit>
#include <limits>

#include "lib/core/error.h"
#include "lib/core/names.h"
#include "lib/export/bytes.h"
#include "lib/export/row_bits.h"

static_assert(std::endian::native == std::endian::little,
              "tensors are written as they lie");

namespace qopt::emit {
namespace {

constexpr std::string_view kMagic = "QPK1";
constexpr std::uint32_t kVersion = 1;
constexpr std::uint64_t kHeaderBytes = 64, kEntryBytes = 72, kAlignment = 64;
constexpr std::size_t kCrcOffset = 60;
constexpr std::size_t kMaxRank = 8;
/// More elements than any file can hold; keeps products inside 64 bits.
constexpr std::uint64_t kMaxElements = 1ULL << 40;

std::uint64_t align(std::uint64_t at) {
  return (at + kAlignment - 1) / kAlignment * kAlignment;
}

int plain_bits(DType dtype) { return static_cast<int>(dtype_size(dtype)) * 8; }

/// The file's number of a type (docs/blob.md); fixed whatever order the enumerators take.
constexpr DType kTypes[] = {DType::F32, DType::F64, DType::I8,  DType::U8,
                            DType::I16, DType::I32, DType::I64, DType::Bool};

std::uint8_t type_number(DType dtype) {
  return static_cast<std::uint8_t>(
      std::find(std::begin(kTypes), std::end(kTypes), dtype) - std::begin(kTypes));
}

std::uint64_t stored_bytes(std::uint64_t elements, std::uint64_t row_length, int bits) {
  return elements / row_length *
         ((row_length * static_cast<std::uint64_t>(bits) + 7) / 8);
}

std::uint64_t stored_bytes(const Section& section, std::uint64_t elements) {
  if (section.panels) return panel_bytes(section.shape, section.bits);
  return stored_bytes(elements, static_cast<std::uint64_t>(section.row_length),
                      section.bits);
}

/// Bytes 36 to 39 of an entry.
std::uint32_t levels_word(const std::optional<BitLevels>& levels) {
  if (!levels) return 0;
  return static_cast<std::uint8_t>(levels->lowest) |
         static_cast<std::uint32_t>(levels->step) << 8;
}

void append_entry(std::string& out, const Section& section, std::uint32_t name_offset) {
  append_u32(out, name_offset);
  append_u32(out, static_cast<std::uint32_t>(section.name.size()));
  out += static_cast<char>(type_number(section.dtype));
  out += static_cast<char>(section.bits);
  out += static_cast<char>(section.shape.size());
  out += section.panels ? '\2' : section.odd ? '\1' : '\0';
  append_u32(out, section.crc);
  append_u64(out, section.offset);
  append_u64(out, section.size_bytes);
  append_u32(out, static_cast<std::uint32_t>(section.row_length));
  append_u32(out, levels_word(section.panels));
  for (std::size_t i = 0; i < kMaxRank; ++i) {
    append_u32(
        out, i < section.shape.size() ? static_cast<std::uint32_t>(section.shape[i]) : 0);
  }
}

/// One entry of the table, checked by itself; `names` is the range of bytes that holds
/// names.
Section read_entry(ByteReader& in, std::string_view bytes, std::uint64_t names_begin,
                   std::uint64_t names_end) {
  Section section;
  const std::uint64_t name_offset = in.u32("a name's offset");
  const std::uint64_t name_bytes = in.u32("a name's length");
  if (name_offset < names_begin || name_offset > names_end ||
      name_bytes > names_end - name_offset) {
    in.fail("a section's name lies outside the names");
  }
  section.name = std::string(bytes.substr(name_offset, name_bytes));
  const std::string_view kind = in.take(4, "a section's type");
  const auto type = static_cast<unsigned char>(kind[0]);
  const auto bits = static_cast<unsigned char>(kind[1]);
  const auto rank = static_cast<unsigned char>(kind[2]);
  if (type >= std::size(kTypes)) in.fail(fmt::format("unknown element type {}", type));
  section.dtype = kTypes[type];
  section.bits = bits;
  const int plain = plain_bits(section.dtype);
  if (section.dtype == DType::I8 ? bits < 1 || bits > 8 : bits != plain) {
    in.fail(fmt::format("{} bits for {}", bits, dtype_name(section.dtype)));
  }
  const auto form = static_cast<unsigned char>(kind[3]);
  if (form > (section.dtype == DType::I8 && bits < 8 ? 2 : 0)) {
    in.fail(
        fmt::format("form {} of {} bits for {}", form, bits, dtype_name(section.dtype)));
  }
  section.odd = form == 1;
  if (rank > kMaxRank) in.fail(fmt::format("rank {}", rank));
  section.crc = in.u32("a section's CRC");
  section.offset = in.u64("a section's offset");
  section.size_bytes = in.u64("a section's size");
  const std::uint64_t row_length = in.u32("a row length");
  const std::uint32_t levels = in.u32("a section's levels");
  const unsigned step = levels >> 8;
  if (form == 2) {
    if (section.dtype != DType::I8 || bits > 4 || rank != 4 || step < 1 || step > 2) {
      in.fail("bit panels of an impossible kind");
    }
    section.panels =
        BitLevels{bits, static_cast<std::int8_t>(levels & 0xFFU), static_cast<int>(step)};
  } else if (levels != 0) {
    in.fail("reserved bytes are not zero");
  }
  std::uint64_t elements = 1, product = 1;
  for (std::size_t i = 0; i < kMaxRank; ++i) {
    const std::uint64_t dim = in.u32("a dimension");
    if (i >= rank) {
      if (dim != 0) in.fail("a dimension beyond the rank");
      continue;
    }
    if (product > kMaxElements / std::max<std::uint64_t>(dim, 1))
      in.fail("a shape too large");
    product *= std::max<std::uint64_t>(dim, 1);
    elements *= dim;
    section.shape.push_back(static_cast<std::int64_t>(dim));
  }
  if (row_length == 0 || elements % row_length != 0) {
    in.fail(fmt::format("{} elements in rows of {}", elements, row_length));
  }
  section.row_length = static_cast<std::int64_t>(row_length);
  if (section.panels && elements == 0) in.fail("bit panels without an element");
  if (section.size_bytes != stored_bytes(section, elements)) {
    in.fail(fmt::format("{} bytes for shape {} at {} bits", section.size_bytes,
                        shape_text(section.shape), section.bits));
  }
  return section;
}

void check_zeros(std::string_view bytes, std::uint64_t begin, std::uint64_t end) {
  for (std::uint64_t i = begin; i < end; ++i) {
    if (bytes[i] != 0) {
      throw Error(ExitCode::Data, "model.qpk",
                  fmt::format("padding at byte {} is not zero", i));
    }
  }
}

}  // namespace

std::vector<Section> plan_sections(const Graph& graph, const KernelTarget& target) {
  const std::vector<std::optional<LayerChoice>> choices = choose_kernels(graph, target);
  const std::vector<RowBits> rows = row_bits(graph);
  std::vector<bool> in_rows(graph.values().size(), false);
  for (std::size_t n = 0; n < graph.nodes().size(); ++n) {
    const std::vector<ValueId>& inputs = graph.nodes()[n].inputs;
    const bool counts_bits = choices[n] && choices[n]->chosen.family == Family::BitSerial;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (i != 1 || !counts_bits) in_rows[inputs[i].index] = true;
    }
  }
  for (const Output& output : graph.outputs()) in_rows[output.value.index] = true;
  std::vector<Section> sections;
  for (std::size_t i = 0; i < graph.values().size(); ++i) {
    const Value& value = graph.values()[i];
    if (!value.constant) continue;
    Section section;
    section.name = value.name;
    section.dtype = value.dtype;
    section.shape = value.shape;
    section.bits = plain_bits(value.dtype);
    const bool is_packed = rows[i].bits != 0 && rows[i].bits < 8 &&
                           value.dtype == DType::I8 && value.constant->size() > 0;
    if (is_packed) {
      section.bits = rows[i].bits;
      section.odd = rows[i].odd;
      section.row_length = value.constant->size() / value.shape[0];
    }
    if (rows[i].bits != 0 && !in_rows[i]) {
      section.panels = bit_levels(*value.constant);
      section.bits = section.panels->bits;
      section.odd = false;
      section.row_length = value.constant->size() / value.shape[0];
    }
    section.size_bytes =
        stored_bytes(section, static_cast<std::uint64_t>(value.constant->size()));
    sections.push_back(std::move(section));
  }
  return sections;
}

Blob write_blob(const Graph& graph, const KernelTarget& target) {
  Blob blob;
  blob.sections = plan_sections(graph, target);
  std::uint64_t header_bytes = kHeaderBytes + kEntryBytes * blob.sections.size();
  const std::uint64_t names_begin = header_bytes;
  for (const Section& section : blob.sections) {
    constexpr std::int64_t kMaxDim = std::numeric_limits<std::uint32_t>::max();
    const bool fits =
        section.shape.size() <= kMaxRank &&
        std::ranges::all_of(section.shape, [&](std::int64_t d) { return d <= kMaxDim; });
    if (!fits || section.row_length > kMaxDim) {
      throw Error(ExitCode::ModelUnsupported, printable(section.name),
                  fmt::format("a constant of shape {} does not fit the blob format",
                              shape_text(section.shape)));
    }
    header_bytes += section.name.size();
  }
  QOPT_CHECK(header_bytes <= std::numeric_limits<std::uint32_t>::max(),
             "blob header too large");

  std::string body;  // from align(header_bytes) on
  const std::uint64_t begin = align(header_bytes);
  auto section = blob.sections.begin();
  for (const Value& value : graph.values()) {
    if (!value.constant) continue;
    body.resize(align(body.size()), '\0');
    const std::string packed = section->panels
                                   ? pack_panels(*value.constant, *section->panels)
                                   : pack_rows(*value.constant, section->row_length,
                                               section->bits, section->odd);
    QOPT_CHECK(packed.size() == section->size_bytes, "section '{}'", section->name);
    section->offset = begin + body.size();
    section->crc = crc32(packed);
    body += packed;
    ++section;
  }
  std::string table, names;
  for (const Section& s : blob.sections) {
    append_entry(table, s, static_cast<std::uint32_t>(names_begin + names.size()));
    names += s.name;
  }
  std::string& out = blob.bytes;
  out = kMagic;
  append_u32(out, kVersion);
  append_u32(out, static_cast<std::uint32_t>(header_bytes));
  append_u32(out, static_cast<std::uint32_t>(blob.sections.size()));
  append_u64(out, blob.sections.empty() ? header_bytes : begin + body.size());
  out.resize(kCrcOffset, '\0');
  blob.header_crc = crc32(out + table + names);
  append_u32(out, blob.header_crc);
  out += table + names;
  if (!blob.sections.empty()) {
    out.resize(begin, '\0');
    out += body;
  }
  return blob;
}

std::vector<Section> read_sections(std::string_view bytes) {
  ByteReader in(bytes, "model.qpk");
  if (in.take(4, "the magic") != kMagic) in.fail("not a qpk file (wrong magic)");
  const std::uint32_t version = in.u32("the version");
  if (version != kVersion)
    in.fail(fmt::format("version {}, this program reads 1", version));
  const std::uint64_t header_bytes = in.u32("the header's length");
  const std::uint64_t count = in.u32("the section count");
  const std::uint64_t file_bytes = in.u64("the file's length");
  if (file_bytes != bytes.size()) {
    in.fail(fmt::format("should be {} bytes long, is {}", file_bytes, bytes.size()));
  }
  const std::string_view reserved = in.take(36, "reserved bytes");
  if (reserved.find_first_not_of('\0') != std::string_view::npos) {
    in.fail("reserved bytes are not zero");
  }
  const std::uint32_t header_crc = in.u32("the header's CRC");
  const std::uint64_t names_begin = kHeaderBytes + count * kEntryBytes;
  if (names_begin > header_bytes || header_bytes > bytes.size()) {
    in.fail(fmt::format("a header of {} bytes with {} sections", header_bytes, count));
  }
  const std::string covered =
      std::string(bytes.substr(0, kCrcOffset)) +
      std::string(bytes.substr(kHeaderBytes, header_bytes - kHeaderBytes));
  if (crc32(covered) != header_crc) in.fail("the header is damaged (CRC differs)");

  std::vector<Section> sections;
  std::uint64_t end = header_bytes;
  for (std::uint64_t i = 0; i < count; ++i) {
    Section section = read_entry(in, bytes, names_begin, header_bytes);
    if (section.offset % kAlignment != 0 || section.offset < end ||
        section.offset > bytes.size() ||
        section.size_bytes > bytes.size() - section.offset) {
      in.fail(fmt::format("section '{}' at {} with {} bytes is out of place",
                          printable(section.name), section.offset, section.size_bytes));
    }
    check_zeros(bytes, end, section.offset);
    end = section.offset + section.size_bytes;
    if (crc32(bytes.substr(section.offset, section.size_bytes)) != section.crc) {
      in.fail(
          fmt::format("section '{}' is damaged (CRC differs)", printable(section.name)));
    }
    sections.push_back(std::move(section));
  }
  check_zeros(bytes, end, bytes.size());
  return sections;
}

Constants read_constants(std::string_view bytes) {
  Constants constants;
  for (const Section& section : read_sections(bytes)) {
    const std::string_view stored = bytes.substr(section.offset, section.size_bytes);
    Tensor tensor = section.panels
                        ? unpack_panels(stored, section.shape, *section.panels)
                        : unpack_rows(stored, section.dtype, section.shape,
                                      section.row_length, section.bits, section.odd);
    if (!constants.emplace(section.name, std::move(tensor)).second) {
      throw Error(ExitCode::Data, "model.qpk",
                  fmt::format("two sections are named '{}'", printable(section.name)));
    }
  }
  return constants;
}

}  // namespace qopt::emit
