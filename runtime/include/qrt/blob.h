/* SPDX-License-Identifier: MIT
 * Reader of the weight blob (docs/blob.md) on the device: checks untrusted bytes
 * completely, then lends pointers into them. No copies, no memory of its own, no libc. */
#ifndef QRT_BLOB_H
#define QRT_BLOB_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define QRT_BLOB_VERSION 1
#define QRT_BLOB_HEADER_BYTES 64
#define QRT_BLOB_ENTRY_BYTES 72
#define QRT_BLOB_ALIGNMENT 64
#define QRT_BLOB_MAX_RANK 8

typedef enum {
  QRT_OK = 0,
  QRT_BLOB_MISALIGNED, /* the bytes do not start at a multiple of 8 */
  QRT_BLOB_TRUNCATED,  /* shorter than its header, or than the header says */
  QRT_BLOB_BAD_MAGIC,
  QRT_BLOB_BAD_VERSION,
  QRT_BLOB_BAD_HEADER, /* impossible counts or lengths */
  QRT_BLOB_BAD_HEADER_CRC,
  QRT_BLOB_BAD_ENTRY,  /* reserved bytes, name, dtype, bits, odd, rank, dims or size */
  QRT_BLOB_BAD_BOUNDS, /* a section is misaligned, out of order or outside the file */
  QRT_BLOB_BAD_CRC,    /* a section's bytes are damaged */
  QRT_BLOB_NO_SECTION  /* no section of that index */
} qrt_status;

/* An opened blob. Valid while the bytes are; they must not change. */
typedef struct {
  const uint8_t* bytes;
  uint32_t section_count;
} qrt_blob;

typedef struct {
  const void* bytes;
  uint64_t size_bytes;
  const char* name; /* name_bytes long, no terminator */
  uint32_t name_bytes;
  uint32_t row_length;
  uint8_t dtype; /* docs/blob.md */
  uint8_t bits;
  uint8_t rank;
  uint8_t odd; /* 1: packed fields say odd codes */
  uint32_t dims[QRT_BLOB_MAX_RANK];
} qrt_section;

/* Checks all of the bytes; on QRT_OK every section is sound. */
qrt_status qrt_blob_open(const void* bytes, size_t size, qrt_blob* blob);

/* Section number `index` of an opened blob. */
qrt_status qrt_blob_section(const qrt_blob* blob, uint32_t index, qrt_section* section);

/* CRC-32 (IEEE 802.3) of `size` bytes, continued from `crc` (0 to begin). */
uint32_t qrt_crc32(uint32_t crc, const void* bytes, size_t size);

/* One short sentence for a log. */
const char* qrt_status_text(qrt_status status);

#ifdef __cplusplus
}
#endif

#endif /* QRT_BLOB_H */
