/* SPDX-License-Identifier: MIT
 * Table lookup for AArch64: sixteen int8 codes at a time from tables of 256 entries, in
 * registers. Everything else as in plain C, as on 32-bit machines, whose registers do
 * not hold a table. */
#include "neon.h"

#if QRT_HAS_neon

#include "lut.h"

/* Whole sixteens; returns the codes done. A code picks from the quarter in which its
 * index, less the quarter's first, is below 64. */
static size_t lut_sixteens(const int8_t* x, const int8_t* table, int8_t* y,
                           size_t count) {
  const int8x16x4_t first = vld1q_s8_x4(table), second = vld1q_s8_x4(table + 64);
  const int8x16x4_t third = vld1q_s8_x4(table + 128), last = vld1q_s8_x4(table + 192);
  const uint8x16_t half = vdupq_n_u8(0x80), quarter = vdupq_n_u8(0x40);
  size_t i;
  for (i = 0; i + 16 <= count; i += 16) {
    const uint8x16_t codes = vreinterpretq_u8_s8(vld1q_s8(x + i));
    const uint8x16_t index = veorq_u8(codes, half);
    int8x16_t entries = vqtbl4q_s8(first, index);
    entries = vqtbx4q_s8(entries, second, veorq_u8(index, quarter));
    entries = vqtbx4q_s8(entries, third, codes);
    entries = vqtbx4q_s8(entries, last, veorq_u8(codes, quarter));
    vst1q_s8(y + i, entries);
  }
  return i;
}

void qrt_lut_any_neon(const qrt_lut_params* p, const void* x, const void* table,
                      void* y) {
  const size_t count = (size_t)p->count;
  size_t done;
  if (!is_byte_table(p)) {
    qrt_lut_any_c(p, x, table, y);
    return;
  }
  done = lut_sixteens((const int8_t*)x, (const int8_t*)table, (int8_t*)y, count);
  lut_bytes((const int8_t*)x, (const int8_t*)table, (int8_t*)y, done, count);
}

#else
typedef int qrt_lut_neon_is_empty;
#endif
