/* SPDX-License-Identifier: MIT
 * Loads and stores of codes whose width is a parameter. */
#ifndef QRT_SRC_CODES_H
#define QRT_SRC_CODES_H

#include <stddef.h>
#include <stdint.h>

#include "qrt/arith.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "qrt needs a little-endian target: weights and tables are read in place"
#endif

static inline int32_t qrt_load(const void* codes, size_t index, int bytes) {
  return bytes == 1 ? ((const int8_t*)codes)[index] : ((const int16_t*)codes)[index];
}

static inline void qrt_store(void* codes, size_t index, int bytes, int32_t value) {
  if (bytes == 1) {
    ((int8_t*)codes)[index] = (int8_t)value;
  } else {
    ((int16_t*)codes)[index] = (int16_t)value;
  }
}

/* Address of element `index`. */
static inline const void* qrt_at(const void* codes, size_t index, int bytes) {
  return (const uint8_t*)codes + index * (size_t)bytes;
}

static inline void* qrt_at_mutable(void* codes, size_t index, int bytes) {
  return (uint8_t*)codes + index * (size_t)bytes;
}

/* REQ of N18. */
static inline int32_t qrt_requant_any(int64_t acc, int32_t multiplier, int32_t shift,
                                      int acc64) {
  return acc64 ? qrt_requant64(acc, multiplier, shift)
               : qrt_requant((int32_t)acc, multiplier, shift);
}

#endif /* QRT_SRC_CODES_H */
