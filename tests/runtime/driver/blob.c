/* SPDX-License-Identifier: MIT
 * The blob reader against files built here from docs/blob.md, and against damaged ones.
 */
#include "qrt/blob.h"

#include <stdio.h>
#include <string.h>

#include "driver.h"

enum { kSections = 5, kHeader = 64, kEntry = 72, kMaxFile = 2048 };

typedef struct {
  const char* name;
  unsigned dtype, bits, rank;
  uint32_t dims[8], row_length, size_bytes;
  unsigned form, levels; /* bit panels: 2; lowest code and step in two bytes */
} section_case;

static const section_case sections[kSections] = {
    {"conv.weight", 2, 5, 4, {3, 1, 2, 3}, 6, 12, 0, 0},
    {"bias", 5, 32, 1, {3}, 3, 12, 0, 0},
    {"empty", 4, 16, 2, {0, 7}, 1, 0, 0, 0},
    {"scalar", 2, 8, 0, {0}, 1, 1, 0, 0},
    {"panels", 2, 2, 4, {5, 1, 1, 65}, 65, 256, 2, 0x1FE},
};

static void fail(const char* what) {
  if (driver_failures++ == 0) printf("DIFFERENCE blob reader: %s\n", what);
}

static void put32(uint8_t* p, uint32_t x) {
  int i;
  for (i = 0; i < 4; ++i) p[i] = (uint8_t)(x >> (8 * i));
}

/* The CRC by its definition, one bit at a time. */
static uint32_t crc_meaning(uint32_t crc, const uint8_t* p, size_t size) {
  size_t i;
  int bit;
  crc = ~crc;
  for (i = 0; i < size; ++i) {
    crc ^= p[i];
    for (bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (crc & 1 ? 0xEDB88320u : 0);
  }
  return ~crc;
}

static void sign_header(uint8_t* file, uint32_t header_bytes) {
  const uint32_t crc = crc_meaning(0, file, 60);
  put32(file + 60, crc_meaning(crc, file + kHeader, header_bytes - kHeader));
}

static uint32_t header_bytes_of(void) {
  uint32_t names = 0;
  int i;
  for (i = 0; i < kSections; ++i) names += (uint32_t)strlen(sections[i].name);
  return kHeader + kSections * kEntry + names;
}

/* Writes the file; returns its length. */
static uint32_t make_blob(uint8_t* file) {
  const uint32_t header_bytes = header_bytes_of();
  uint32_t name = kHeader + kSections * kEntry, end = header_bytes, i, k;
  memset(file, 0, kMaxFile);
  memcpy(file, "QPK1", 4);
  put32(file + 4, 1);
  put32(file + 8, header_bytes);
  put32(file + 12, kSections);
  for (i = 0; i < kSections; ++i) {
    const section_case* s = &sections[i];
    uint8_t* entry = file + kHeader + i * kEntry;
    const uint32_t offset = (end + 63) / 64 * 64;
    for (k = 0; k < s->size_bytes; ++k) file[offset + k] = (uint8_t)next_random();
    put32(entry, name);
    put32(entry + 4, (uint32_t)strlen(s->name));
    memcpy(file + name, s->name, strlen(s->name));
    name += (uint32_t)strlen(s->name);
    entry[8] = (uint8_t)s->dtype;
    entry[9] = (uint8_t)s->bits;
    entry[10] = (uint8_t)s->rank;
    put32(entry + 12, crc_meaning(0, file + offset, s->size_bytes));
    put32(entry + 16, offset);
    put32(entry + 24, s->size_bytes);
    put32(entry + 32, s->row_length);
    entry[11] = (uint8_t)s->form;
    put32(entry + 36, s->levels);
    for (k = 0; k < s->rank; ++k) put32(entry + 40 + 4 * k, s->dims[k]);
    end = offset + s->size_bytes;
  }
  put32(file + 16, end);
  sign_header(file, header_bytes);
  return end;
}

/* Opens a copy whose end is the end of the world; 1 if it opened. Every section of an
 * opened blob must lie inside. */
static int opens(const uint8_t* file, size_t size, qrt_status* status) {
  uint8_t* copy = (uint8_t*)guarded_scratch(size);
  qrt_blob blob;
  qrt_section section;
  uint32_t i;
  memcpy(copy, file, size);
  *status = qrt_blob_open(copy, size, &blob);
  if (*status == QRT_OK) {
    for (i = 0; i < blob.section_count; ++i) {
      if (qrt_blob_section(&blob, i, &section) != QRT_OK) fail("a section is missing");
      if ((const uint8_t*)section.bytes < copy ||
          section.size_bytes > size - (size_t)((const uint8_t*)section.bytes - copy)) {
        fail("a section lies outside");
      }
    }
    if (qrt_blob_section(&blob, blob.section_count, &section) != QRT_BLOB_NO_SECTION) {
      fail("a section too many");
    }
  } else if (blob.section_count != 0 || strlen(qrt_status_text(*status)) < 10) {
    fail("a refused blob has sections, or no text");
  }
  ++driver_comparisons;
  end_case();
  return *status == QRT_OK;
}

static void check_sound(const uint8_t* file, uint32_t size) {
  qrt_blob blob;
  qrt_section section;
  uint8_t* copy = (uint8_t*)guarded_scratch(size);
  uint32_t i, end = header_bytes_of();
  memcpy(copy, file, size);
  if (qrt_blob_open(copy, size, &blob) != QRT_OK || blob.section_count != kSections) {
    fail("a sound file is refused");
    return;
  }
  for (i = 0; i < kSections; ++i) {
    const section_case* s = &sections[i];
    const uint8_t* expected = copy + (end + 63) / 64 * 64;
    qrt_blob_section(&blob, i, &section);
    if ((const uint8_t*)section.bytes != expected ||
        section.size_bytes != s->size_bytes || section.dtype != s->dtype ||
        section.bits != s->bits || section.rank != s->rank ||
        section.row_length != s->row_length || section.name_bytes != strlen(s->name) ||
        memcmp(section.name, s->name, section.name_bytes) != 0 ||
        memcmp(section.dims, s->dims, s->rank * sizeof s->dims[0]) != 0) {
      fail("a section is read wrongly");
    }
    end = (uint32_t)(expected - copy) + s->size_bytes;
  }
  if (qrt_blob_open(copy + 1, size - 1, &blob) != QRT_BLOB_MISALIGNED) fail("misaligned");
  end_case();
}

/* Byte `at` belongs to no field and no section. */
static int is_padding(uint32_t at) {
  uint32_t end = header_bytes_of(), i;
  for (i = 0; i < kSections; ++i) {
    const uint32_t begin = (end + 63) / 64 * 64;
    if (at >= end && at < begin) return 1;
    end = begin + sections[i].size_bytes;
  }
  return 0;
}

static void check_damage(const uint8_t* file, uint32_t size) {
  uint8_t damaged[kMaxFile];
  qrt_status status;
  uint32_t i;
  for (i = 0; i < size; ++i) {
    if (opens(file, i, &status)) fail("a truncated file opens");
    memcpy(damaged, file, size);
    damaged[i] = (uint8_t)(damaged[i] ^ pick(1, 255));
    if (opens(damaged, size, &status) != is_padding(i))
      fail("a changed byte goes unseen");
    memcpy(damaged, file, size);
    damaged[i] = (uint8_t)(damaged[i] ^ 1u << pick(0, 7));
    if (opens(damaged, size, &status) != is_padding(i)) fail("a changed bit goes unseen");
  }
}

/* Hostile headers with a right CRC: the fields' own checks must hold. */
static void check_hostile(const uint8_t* file, uint32_t size, int cases) {
  static const uint32_t nasty[8] = {0,          1,          63,         64,
                                    0x7FFFFFFF, 0x80000000, 0xFFFFFFC0, 0xFFFFFFFF};
  uint8_t hostile[kMaxFile];
  qrt_status status;
  int i, changes;
  for (i = 0; i < cases; ++i) {
    memcpy(hostile, file, size);
    for (changes = pick(1, 3); changes > 0; --changes) {
      const uint32_t field = (uint32_t)pick(2, (int32_t)header_bytes_of() / 4 - 1) * 4;
      if (pick(0, 1) == 0) {
        put32(hostile + field, nasty[pick(0, 7)]);
      } else {
        hostile[field + (uint32_t)pick(0, 3)] = (uint8_t)next_random();
      }
    }
    sign_header(hostile, header_bytes_of());
    opens(hostile, size, &status);
  }
  for (i = 0; i < cases; ++i) {
    const uint32_t length = (uint32_t)pick(0, kMaxFile);
    uint32_t k;
    for (k = 0; k < length; ++k) hostile[k] = (uint8_t)next_random();
    if (length >= 8 && pick(0, 1) == 0) memcpy(hostile, "QPK1\1\0\0\0", 8);
    if (opens(hostile, length, &status)) fail("random bytes open");
  }
}

/* Single faults with the reason that must be given. */
static void check_reasons(const uint8_t* file, uint32_t size) {
  static const struct {
    uint32_t offset, value;
    qrt_status status;
  } faults[] = {
      {0, 0x314B5052, QRT_BLOB_BAD_MAGIC},
      {4, 2, QRT_BLOB_BAD_VERSION},
      {8, 0xFFFFFFFF, QRT_BLOB_BAD_HEADER},
      {12, 0x10000000, QRT_BLOB_BAD_HEADER},
      {16, 1, QRT_BLOB_TRUNCATED},
      {24, 1, QRT_BLOB_BAD_HEADER},
      {64, 0, QRT_BLOB_BAD_ENTRY},
      {68, 0xFFFFFFFF, QRT_BLOB_BAD_ENTRY},
      {72, 0x00040508, QRT_BLOB_BAD_ENTRY},
      {72, 0x00040902, QRT_BLOB_BAD_ENTRY},
      {72, 0x00090502, QRT_BLOB_BAD_ENTRY},
      {72, 0x02040502, QRT_BLOB_BAD_ENTRY},
      {72, 0x01040802, QRT_BLOB_BAD_ENTRY},
      {72 + 72, 0x01012005, QRT_BLOB_BAD_ENTRY},
      {76, 0, QRT_BLOB_BAD_CRC},
      {80, 8, QRT_BLOB_BAD_BOUNDS},
      {80, 0, QRT_BLOB_BAD_BOUNDS},
      {84, 1, QRT_BLOB_BAD_BOUNDS},
      {88, 13, QRT_BLOB_BAD_ENTRY},
      {92, 1, QRT_BLOB_BAD_ENTRY},
      {96, 0, QRT_BLOB_BAD_ENTRY},
      {96, 4, QRT_BLOB_BAD_ENTRY},
      {100, 1, QRT_BLOB_BAD_ENTRY},
      {104, 0xFFFFFFFF, QRT_BLOB_BAD_ENTRY},
      {120, 1, QRT_BLOB_BAD_ENTRY},
      {388, 0x3FE, QRT_BLOB_BAD_ENTRY}, /* bit panels: step, rest, size, no rows */
      {388, 0x101FE, QRT_BLOB_BAD_ENTRY},
      {376, 255, QRT_BLOB_BAD_ENTRY},
      {392, 0, QRT_BLOB_BAD_ENTRY},
  };
  uint8_t damaged[kMaxFile];
  qrt_status status;
  size_t i;
  for (i = 0; i < sizeof faults / sizeof faults[0]; ++i) {
    memcpy(damaged, file, size);
    put32(damaged + faults[i].offset, faults[i].value);
    sign_header(damaged, header_bytes_of());
    opens(damaged, size, &status);
    if (status != faults[i].status) {
      printf("fault %zu at %u: %s\n", i, (unsigned)faults[i].offset,
             qrt_status_text(status));
      fail("another reason than expected");
    }
  }
}

void check_blob_reader(int cases) {
  uint8_t file[kMaxFile];
  const uint32_t size = make_blob(file);
  uint32_t i;
  if (qrt_crc32(0, "123456789", 9) != 0xCBF43926u) fail("the CRC's check value");
  for (i = 0; i < 400; ++i) {
    if (qrt_crc32(7, file + i, i) != crc_meaning(7, file + i, i)) fail("the CRC");
  }
  begin_case("blob of %u bytes", (unsigned)size);
  check_sound(file, size);
  check_reasons(file, size);
  check_damage(file, size);
  check_hostile(file, size, 20 * cases);
}
