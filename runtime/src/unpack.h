/* SPDX-License-Identifier: MIT
 * Unpacks one row of bit-packed weights (docs/blob.md) into lanes, minus a zero point.
 * The including file says what a lane is: typedef ... qrt_lane. */
#ifndef QRT_SRC_UNPACK_H
#define QRT_SRC_UNPACK_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of a packed row. */
static inline size_t qrt_row_bytes(size_t count, int bits) {
  return (count * (size_t)bits + 7) / 8;
}

static inline int32_t qrt_sign_extend(uint32_t code, uint32_t sign) {
  return (int32_t)(code ^ sign) - (int32_t)sign;
}

/* What a field of `bits` < 8 bits says, minus a zero point: two's complement, or the odd
 * number 2 * field - (2^bits - 1). Both are ((field ^ flip) << shift) - base. */
typedef struct {
  uint32_t mask, flip;
  int shift;
  int32_t base;
} qrt_field;

static inline qrt_field qrt_field_of(int bits, int odd, int32_t zero) {
  qrt_field field;
  field.mask = (1u << bits) - 1u;
  field.flip = odd ? 0 : 1u << (bits - 1);
  field.shift = odd ? 1 : 0;
  field.base = (int32_t)(odd ? field.mask : field.flip) + zero;
  return field;
}

static inline qrt_lane qrt_field_lane(const qrt_field* field, uint32_t word) {
  return (qrt_lane)((int32_t)(((word & field->mask) ^ field->flip) << field->shift) -
                    field->base);
}

/* 8 codes take `bits` whole bytes: read those into one word and cut it. */
static inline void qrt_unpack_eight(qrt_lane* dst, const uint8_t* src, size_t src_bytes,
                                    size_t count, int bits, const qrt_field* field) {
  uint64_t word = 0;
  size_t i;
  for (i = 0; i < src_bytes; ++i) word |= (uint64_t)src[i] << (8 * i);
  for (i = 0; i < count; ++i) {
    dst[i] = qrt_field_lane(field, (uint32_t)word);
    word >>= bits;
  }
}

/* `odd` only where bits < 8. */
static inline void qrt_unpack_row(qrt_lane* dst, const uint8_t* src, size_t count,
                                  int bits, int odd, int32_t zero) {
  size_t i;
  if (bits == 8) {
    for (i = 0; i < count; ++i) dst[i] = (qrt_lane)((int8_t)src[i] - zero);
  } else if (bits == 16) {
    for (i = 0; i < count; ++i) {
      const uint32_t code = (uint32_t)src[2 * i] | (uint32_t)src[2 * i + 1] << 8;
      dst[i] = (qrt_lane)(qrt_sign_extend(code, 0x8000u) - zero);
    }
  } else if (bits == 4) {
    /* The commonest narrow width, without the word. */
    const qrt_field field = qrt_field_of(4, odd, zero);
    for (i = 0; i < count / 2; ++i) {
      dst[2 * i] = qrt_field_lane(&field, src[i]);
      dst[2 * i + 1] = qrt_field_lane(&field, (uint32_t)src[i] >> 4);
    }
    if ((count & 1) != 0) dst[count - 1] = qrt_field_lane(&field, src[count / 2]);
  } else {
    const qrt_field field = qrt_field_of(bits, odd, zero);
    for (i = 0; i + 8 <= count; i += 8) {
      qrt_unpack_eight(dst + i, src + i / 8 * (size_t)bits, (size_t)bits, 8, bits,
                       &field);
    }
    qrt_unpack_eight(dst + i, src + i / 8 * (size_t)bits, qrt_row_bytes(count - i, bits),
                     count - i, bits, &field);
  }
}

#endif /* QRT_SRC_UNPACK_H */
