/* SPDX-License-Identifier: MIT
 * The bit-serial convolution in plain C on 64-bit words. */
#define QRT_SEGMENT_STEPS 15
#include "bitserial_words.h"

/* Counts of the eight bytes of a word. */
static uint64_t count_bytes(uint64_t x) {
  x -= x >> 1 & 0x5555555555555555u;
  x = (x & 0x3333333333333333u) + (x >> 2 & 0x3333333333333333u);
  return (x + (x >> 4)) & 0x0F0F0F0F0F0F0F0Fu;
}

static uint32_t add_bytes(uint64_t x) {
  const uint64_t mask = 0x00FF00FF00FF00FFu;
  x = (x & mask) + (x >> 8 & mask);
  return (uint32_t)((x * 0x0001000100010001u) >> 48);
}

/* popcount of a & b over up to 15 steps. */
static uint32_t count_steps(const uint64_t* a, const uint64_t* b, int64_t steps) {
  uint64_t bytes = 0;
  for (; steps > 0; --steps, a += 8, b += 8) {
    bytes += count_bytes(a[0] & b[0]) + count_bytes(a[1] & b[1]);
  }
  return add_bytes(bytes);
}

/* Sum of one row times one column over one chunk. */
static uint32_t sum_segments(const qrt_segment* segment, const uint64_t* a,
                             const uint64_t* w, int row, int column) {
  uint32_t sum = 0;
  for (;; ++segment) {
    const uint64_t* u = a + segment->x / 8 + 2 * row;
    const uint64_t* v = w + segment->w / 8;
    sum += count_steps(u, v + 2 * column, segment->steps);
    if (segment->then & QRT_TAIL) {
      sum += count_word(u[8 * segment->steps] & v[8 * segment->steps + column]);
    }
    if (segment->then & QRT_DOUBLE) sum *= 2;
    if (segment->then & QRT_LAST) return sum;
  }
}

static void run_tiles(const qrt_bits* b, const uint64_t* panels,
                      const qrt_row_term* terms, const uint64_t* w,
                      const qrt_bit_columns* columns, size_t rows, int width, int8_t* y) {
  const qrt_bitserial_params* p = b->p;
  const size_t panel_words = (size_t)p->x_bits * b->panel_plane;
  size_t row;
  int column;
  for (row = 0; row < rows; ++row, y += b->y_step) {
    const uint64_t* panel = panels + row / 4 * panel_words;
    const int in_panel = (int)(row % 4);
    for (column = 0; column < width; ++column) {
      const int shift = columns->shift[column];
      uint32_t sum = 0;
      int32_t acc;
      size_t k;
      for (k = 0; k < b->depth; k += b->chunk) {
        const qrt_segment* segments = b->depth - k > b->chunk ? b->full : b->last;
        sum += sum_segments(segments, panel + 4 * k, w + 4 * k, in_panel, column);
      }
      if (b->has_w_zero) {
        sum -= (uint32_t)columns->offset[column] * (uint32_t)terms[row].of[0];
      } else {
        sum += (uint32_t)terms[row].of[0];
      }
      acc = qrt_accumulate((int32_t)sum, columns->base[column], shift);
      y[column] = (int8_t)qrt_finish(
          qrt_requant(acc, columns->multiplier[column], qrt_right_shift(shift)),
          p->y_zero, p->lo, p->hi);
    }
  }
}

QRT_DEFINE_BITSERIAL_KERNEL(bitserial_s8_c)
