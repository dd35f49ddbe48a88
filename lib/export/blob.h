// SPDX-License-Identifier: MIT
// The weight blob (model.qpk): magic, version, section table with CRC-32, 64-byte aligned
// sections. This file writes it and reads it back on the host; runtime/include/qrt/blob.h
// is the device's reader of the same layout. docs/blob.md draws it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/core/tensor.h"
#include "lib/export/bit_panels.h"
#include "lib/export/kernel_choice.h"
#include "lib/graph/graph.h"
#include "lib/graph/text.h"

namespace qopt::emit {

/// Dense bit packing, little-endian bit order: element i of a row occupies bits
/// [i*bits, (i+1)*bits) of that row, two's complement, or where `odd` (below 8 bits) the
/// field (code + 2^bits - 1) / 2 of an odd code; each row of `row_length` elements starts
/// on a byte. 8 and 16 bits are the plain bytes.
std::string pack_rows(const Tensor& codes, std::int64_t row_length, int bits,
                      bool odd = false);
Tensor unpack_rows(std::string_view bytes, DType dtype, const Shape& shape,
                   std::int64_t row_length, int bits, bool odd = false);

struct Section {
  std::string name;         // the constant's name
  DType dtype = DType::I8;  // of the unpacked tensor
  Shape shape;
  int bits = 8;                 // stored bits an element; dtype width * 8 when not packed
  bool odd = false;             // packed fields say odd codes
  std::int64_t row_length = 1;  // elements of a packed row
  std::optional<BitLevels> panels;  // bit panels instead of rows; `bits` planes
  std::uint64_t offset = 0, size_bytes = 0;
  std::uint32_t crc = 0;  // CRC-32 of the section's bytes
};

struct Blob {
  std::string bytes;
  std::vector<Section> sections;  // in file order
  std::uint32_t header_crc = 0;   // covers every section's CRC: identifies the whole blob
};

/// What write_blob will store of each constant, without offsets and CRCs: weights of
/// convolutions at their `weight_bits` (or more where a code needs it), odd where their
/// encoding is `o`, as bit panels where the convolutions that read them shall count bits
/// on `target`; the rest plain.
std::vector<Section> plan_sections(const Graph& integer_graph,
                                   const KernelTarget& target = {});

/// Packs every constant of an Integer graph (weights at their `weight_bits`), in graph
/// order.
Blob write_blob(const Graph& integer_graph, const KernelTarget& target = {});

/// Parses and checks untrusted bytes: every bound, overlap, count and CRC before any use.
/// Throws Error(Data) with the offset and the reason.
std::vector<Section> read_sections(std::string_view bytes);
/// All constants of a blob by name.
Constants read_constants(std::string_view bytes);

}  // namespace qopt::emit
