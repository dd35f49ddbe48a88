/* SPDX-License-Identifier: MIT
 * The weight blob's reader. Every number it takes from the bytes is checked before it is
 * used; sums are formed so that they cannot wrap. */
#include "qrt/blob.h"

#include "crc_table.h"

enum {
  kMagicOffset = 0,
  kVersionOffset = 4,
  kHeaderBytesOffset = 8,
  kCountOffset = 12,
  kFileBytesOffset = 16,
  kReservedOffset = 24,
  kHeaderCrcOffset = 60
};

static uint32_t load32(const uint8_t* p) {
  return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
         (uint32_t)p[3] << 24;
}

static uint64_t load64(const uint8_t* p) {
  return (uint64_t)load32(p) | (uint64_t)load32(p + 4) << 32;
}

static int all_zero(const uint8_t* p, size_t count) {
  size_t i;
  for (i = 0; i < count; ++i) {
    if (p[i] != 0) return 0;
  }
  return 1;
}

uint32_t qrt_crc32(uint32_t crc, const void* bytes, size_t size) {
  const uint8_t* p = (const uint8_t*)bytes;
  crc = ~crc;
  for (; size >= 4; size -= 4, p += 4) {
    const uint32_t x = crc ^ load32(p);
    crc = qrt_crc_table[3][x & 255u] ^ qrt_crc_table[2][x >> 8 & 255u] ^
          qrt_crc_table[1][x >> 16 & 255u] ^ qrt_crc_table[0][x >> 24];
  }
  for (; size > 0; --size, ++p) crc = crc >> 8 ^ qrt_crc_table[0][(crc ^ *p) & 255u];
  return ~crc;
}

/* Bits of one plain element; 0 for an unknown dtype. */
static unsigned dtype_bits(unsigned dtype) {
  static const uint8_t bits[8] = {32, 64, 8, 8, 16, 32, 64, 8};
  return dtype < 8 ? bits[dtype] : 0;
}

/* Bit panels (form 2) of weights [o, kh, kw, c], as qrt.h has them. No product wraps:
 * the shape has at most 2^40 elements and none of its extents is 0. */
static uint64_t panel_size(const uint8_t* entry, unsigned bits) {
  const uint64_t o = load32(entry + 40), kh = load32(entry + 44);
  const uint64_t kw = load32(entry + 48), c = load32(entry + 52);
  return (o + 3) / 4 * bits * (kh * kw * ((c + 63) / 64)) * 32;
}

/* Byte 11 of an entry: 0 two's complement, 1 odd codes, 2 bit panels; then bytes 36 and
 * 37 are the lowest code and the step between codes. */
static int is_form_sound(const uint8_t* entry) {
  const int packable = entry[8] == 2;
  if (entry[11] != 2) {
    return load32(entry + 36) == 0 && entry[11] <= (packable && entry[9] < 8 ? 1u : 0u);
  }
  return packable && entry[9] <= 4 && entry[10] == 4 &&
         (entry[37] == 1 || entry[37] == 2) && entry[38] == 0 && entry[39] == 0;
}

/* size_bytes as the shape demands it, or UINT64_MAX where no file could hold it. */
static uint64_t expected_size(const uint8_t* entry, unsigned bits, unsigned rank) {
  const uint64_t row_length = load32(entry + 32);
  uint64_t elements = 1;
  unsigned i;
  for (i = 0; i < rank; ++i) {
    const uint64_t dim = load32(entry + 40 + 4 * i);
    if (dim == 0) {
      elements = 0;
    } else if (elements > ((uint64_t)1 << 40) / dim) {
      return UINT64_MAX;
    } else {
      elements *= dim;
    }
  }
  if (row_length == 0 || elements % row_length != 0) return UINT64_MAX;
  if (entry[11] == 2) return elements == 0 ? UINT64_MAX : panel_size(entry, bits);
  return elements / row_length * ((row_length * bits + 7) / 8);
}

static qrt_status check_entry(const uint8_t* entry, uint32_t names_begin,
                              uint32_t names_end) {
  const uint32_t name_offset = load32(entry);
  const uint32_t name_bytes = load32(entry + 4);
  const unsigned dtype = entry[8], bits = entry[9], rank = entry[10];
  const unsigned width = dtype_bits(dtype);
  const int packable = dtype == 2;
  if (name_offset < names_begin || name_offset > names_end) return QRT_BLOB_BAD_ENTRY;
  if (name_bytes > names_end - name_offset) return QRT_BLOB_BAD_ENTRY;
  if (width == 0 || rank > QRT_BLOB_MAX_RANK) return QRT_BLOB_BAD_ENTRY;
  if (packable ? bits < 1 || bits > 8 : bits != width) return QRT_BLOB_BAD_ENTRY;
  if (!is_form_sound(entry)) return QRT_BLOB_BAD_ENTRY;
  if (!all_zero(entry + 40 + 4 * rank, 4 * (QRT_BLOB_MAX_RANK - (size_t)rank))) {
    return QRT_BLOB_BAD_ENTRY;
  }
  if (expected_size(entry, bits, rank) != load64(entry + 24)) return QRT_BLOB_BAD_ENTRY;
  return QRT_OK;
}

static qrt_status check_header(const uint8_t* p, size_t size) {
  uint64_t table_end;
  uint32_t crc;
  if (size < QRT_BLOB_HEADER_BYTES) return QRT_BLOB_TRUNCATED;
  if (p[0] != 'Q' || p[1] != 'P' || p[2] != 'K' || p[3] != '1') return QRT_BLOB_BAD_MAGIC;
  if (load32(p + kVersionOffset) != QRT_BLOB_VERSION) return QRT_BLOB_BAD_VERSION;
  if (load64(p + kFileBytesOffset) != size) return QRT_BLOB_TRUNCATED;
  table_end =
      QRT_BLOB_HEADER_BYTES + (uint64_t)load32(p + kCountOffset) * QRT_BLOB_ENTRY_BYTES;
  if (table_end > load32(p + kHeaderBytesOffset)) return QRT_BLOB_BAD_HEADER;
  if (load32(p + kHeaderBytesOffset) > size) return QRT_BLOB_BAD_HEADER;
  if (!all_zero(p + kReservedOffset, kHeaderCrcOffset - kReservedOffset)) {
    return QRT_BLOB_BAD_HEADER;
  }
  crc = qrt_crc32(0, p, kHeaderCrcOffset);
  crc = qrt_crc32(crc, p + QRT_BLOB_HEADER_BYTES,
                  load32(p + kHeaderBytesOffset) - QRT_BLOB_HEADER_BYTES);
  return crc == load32(p + kHeaderCrcOffset) ? QRT_OK : QRT_BLOB_BAD_HEADER_CRC;
}

qrt_status qrt_blob_open(const void* bytes, size_t size, qrt_blob* blob) {
  const uint8_t* p = (const uint8_t*)bytes;
  uint32_t count, header_bytes, names_begin, i;
  uint64_t end;
  qrt_status status;
  blob->bytes = NULL;
  blob->section_count = 0;
  if (((uintptr_t)bytes & 7u) != 0) return QRT_BLOB_MISALIGNED;
  status = check_header(p, size);
  if (status != QRT_OK) return status;
  count = load32(p + kCountOffset);
  header_bytes = load32(p + kHeaderBytesOffset);
  names_begin = QRT_BLOB_HEADER_BYTES + count * QRT_BLOB_ENTRY_BYTES;
  end = header_bytes;
  for (i = 0; i < count; ++i) {
    const uint8_t* entry = p + QRT_BLOB_HEADER_BYTES + (size_t)i * QRT_BLOB_ENTRY_BYTES;
    const uint64_t offset = load64(entry + 16);
    const uint64_t length = load64(entry + 24);
    status = check_entry(entry, names_begin, header_bytes);
    if (status != QRT_OK) return status;
    if (offset % QRT_BLOB_ALIGNMENT != 0 || offset < end || offset > size) {
      return QRT_BLOB_BAD_BOUNDS;
    }
    if (length > size - offset) return QRT_BLOB_BAD_BOUNDS;
    end = offset + length;
    if (qrt_crc32(0, p + (size_t)offset, (size_t)length) != load32(entry + 12)) {
      return QRT_BLOB_BAD_CRC;
    }
  }
  blob->bytes = p;
  blob->section_count = count;
  return QRT_OK;
}

qrt_status qrt_blob_section(const qrt_blob* blob, uint32_t index, qrt_section* section) {
  const uint8_t* entry;
  unsigned i;
  if (index >= blob->section_count) return QRT_BLOB_NO_SECTION;
  entry = blob->bytes + QRT_BLOB_HEADER_BYTES + (size_t)index * QRT_BLOB_ENTRY_BYTES;
  section->bytes = blob->bytes + (size_t)load64(entry + 16);
  section->size_bytes = load64(entry + 24);
  section->name = (const char*)blob->bytes + load32(entry);
  section->name_bytes = load32(entry + 4);
  section->row_length = load32(entry + 32);
  section->dtype = entry[8];
  section->bits = entry[9];
  section->rank = entry[10];
  section->odd = entry[11] == 1;
  for (i = 0; i < QRT_BLOB_MAX_RANK; ++i) section->dims[i] = load32(entry + 40 + 4 * i);
  return QRT_OK;
}

const char* qrt_status_text(qrt_status status) {
  switch (status) {
    case QRT_OK: return "ok";
    case QRT_BLOB_MISALIGNED: return "the blob does not start at a multiple of 8 bytes";
    case QRT_BLOB_TRUNCATED: return "the blob's length is not what its header says";
    case QRT_BLOB_BAD_MAGIC: return "not a qpk file";
    case QRT_BLOB_BAD_VERSION: return "a qpk version this reader does not know";
    case QRT_BLOB_BAD_HEADER: return "the blob's header is impossible";
    case QRT_BLOB_BAD_HEADER_CRC: return "the blob's header is damaged";
    case QRT_BLOB_BAD_ENTRY: return "a section's description is impossible";
    case QRT_BLOB_BAD_BOUNDS:
      return "a section lies outside the blob or overlaps another";
    case QRT_BLOB_BAD_CRC: return "a section is damaged";
    case QRT_BLOB_NO_SECTION: return "no such section";
  }
  return "unknown status";
}
