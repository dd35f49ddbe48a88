/* SPDX-License-Identifier: MIT
 * N28 on runs of codes of any width. */
#ifndef QRT_SRC_LUT_H
#define QRT_SRC_LUT_H

#include "codes.h"
#include "qrt/qrt.h"

/* Whether one table of 256 int8 entries serves all codes. */
static inline int is_byte_table(const qrt_lut_params* p) {
  return p->x_bytes == 1 && p->y_bytes == 1 && p->channels == 1;
}

/* Codes [first, count) of such a table. */
static inline void lut_bytes(const int8_t* x, const int8_t* table, int8_t* y,
                             size_t first, size_t count) {
  const int8_t* zero = table + 128;
  size_t i;
  for (i = first; i < count; ++i) y[i] = zero[x[i]];
}

#endif /* QRT_SRC_LUT_H */
