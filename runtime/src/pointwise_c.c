/* SPDX-License-Identifier: MIT
 * Change of encoding and table lookup in plain C. */
#include "lut.h"
#include "rescale.h"

void qrt_rescale_any_c(const qrt_rescale_params* p, const void* x, void* y) {
  rescale_codes(p, x, y, 0, (size_t)p->count);
}

void qrt_lut_any_c(const qrt_lut_params* p, const void* x, const void* table, void* y) {
  const size_t count = (size_t)p->count, channels = (size_t)p->channels;
  const int32_t minimum = p->x_bytes == 1 ? INT8_MIN : INT16_MIN;
  const size_t entries = p->x_bytes == 1 ? 256 : 65536;
  size_t i, channel = 0;
  if (is_byte_table(p)) {
    lut_bytes((const int8_t*)x, (const int8_t*)table, (int8_t*)y, 0, count);
    return;
  }
  for (i = 0; i < count; ++i) {
    const size_t entry = (size_t)(qrt_load(x, i, p->x_bytes) - minimum);
    qrt_store(y, i, p->y_bytes, qrt_load(table, channel * entries + entry, p->y_bytes));
    if (++channel == channels) channel = 0;
  }
}
