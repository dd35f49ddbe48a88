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

/* 8 codes take `bits` whole bytes: read those into one word and cut it. */
static inline void qrt_unpack_eight(qrt_lane* dst, const uint8_t* src, size_t src_bytes,
                                    size_t count, int bits, int32_t zero) {
  const uint32_t mask = (1u << bits) - 1u;
  const uint32_t sign = 1u << (bits - 1);
  uint64_t word = 0;
  size_t i;
  for (i = 0; i < src_bytes; ++i) word |= (uint64_t)src[i] << (8 * i);
  for (i = 0; i < count; ++i) {
    dst[i] = (qrt_lane)(qrt_sign_extend((uint32_t)word & mask, sign) - zero);
    word >>= bits;
  }
}

static inline void qrt_unpack_row(qrt_lane* dst, const uint8_t* src, size_t count,
                                  int bits, int32_t zero) {
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
    for (i = 0; i < count / 2; ++i) {
      dst[2 * i] = (qrt_lane)(qrt_sign_extend(src[i] & 15u, 8u) - zero);
      dst[2 * i + 1] = (qrt_lane)(qrt_sign_extend((uint32_t)src[i] >> 4, 8u) - zero);
    }
    if ((count & 1) != 0) {
      dst[count - 1] = (qrt_lane)(qrt_sign_extend(src[count / 2] & 15u, 8u) - zero);
    }
  } else {
    for (i = 0; i + 8 <= count; i += 8) {
      qrt_unpack_eight(dst + i, src + i / 8 * (size_t)bits, (size_t)bits, 8, bits, zero);
    }
    qrt_unpack_eight(dst + i, src + i / 8 * (size_t)bits, qrt_row_bytes(count - i, bits),
                     count - i, bits, zero);
  }
}

#endif /* QRT_SRC_UNPACK_H */
