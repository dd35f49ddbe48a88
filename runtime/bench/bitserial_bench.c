/* SPDX-License-Identifier: MIT
 * One bit-serial 3x3 (or 1x1) layer, checked, then run a number of times: a program for
 * instruction counters and cycle models.
 *     bitserial_bench WEIGHT_BITS X_BITS SIZE C O KERNEL FORM ITERATIONS
 * FORM: codes (int8 in, int8 out: packing and requantising included) or planes (bit
 * planes in and out). The weights are two's complement codes. Before the iterations,
 * outputs at many places are compared with plain loops; a difference ends with exit
 * status 1. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qrt/qrt.h"

static void* zeros(size_t bytes) {
  void* p = NULL;
  if (bytes < 64) bytes = 64;
  p = calloc(1, bytes);
  if (!p) exit(2);
  return p;
}

static uint32_t state = 7;
static uint32_t next(void) {
  state = state * 1664525u + 1013904223u;
  return state >> 8;
}

static int32_t x_code(const int8_t* x, const qrt_bitserial_params* p, int32_t y,
                      int32_t at, int32_t c) {
  if (y < 0 || y >= p->h || at < 0 || at >= p->w) return p->x_zero;
  return x[((size_t)y * (size_t)p->w + (size_t)at) * (size_t)p->c + (size_t)c];
}

/* Bit of channel c in a word: bit c % 64 / 8 of byte c % 8 (qrt.h). */
static uint64_t channel_bit(int32_t c) {
  return (uint64_t)1 << (8 * (c % 8) + c % 64 / 8);
}

static void pack_x(const qrt_bitserial_params* p, const int8_t* x, uint64_t* planes) {
  const size_t words = (size_t)(p->c + 63) / 64, positions = (size_t)(p->h * p->w);
  size_t at;
  int32_t c;
  int j;
  for (at = 0; at < positions; ++at)
    for (c = 0; c < p->c; ++c)
      for (j = 0; j < p->x_bits; ++j)
        if ((x[at * (size_t)p->c + (size_t)c] - p->x_lo) >> j & 1)
          planes[((size_t)j * (positions + 1) + at) * words + (size_t)c / 64] |=
              channel_bit(c);
}

static void pack_w(const qrt_bitserial_params* p, const uint8_t* u, uint64_t* panels) {
  const size_t words = (size_t)(p->c + 63) / 64;
  const size_t depth = (size_t)(p->kh * p->kw) * words;
  int32_t o, tap, c;
  int i;
  for (o = 0; o < p->o; ++o)
    for (tap = 0; tap < p->kh * p->kw; ++tap)
      for (c = 0; c < p->c; ++c) {
        const size_t k = (size_t)tap * words + (size_t)c / 64;
        const size_t in_plane = k + 1 == depth && depth % 2 == 1
                                    ? 4 * k + (size_t)(o % 4)
                                    : k / 2 * 8 + (size_t)(o % 4) * 2 + k % 2;
        const uint8_t code = u[(size_t)((o * p->kh * p->kw + tap) * p->c + c)];
        for (i = 0; i < p->weight_bits; ++i)
          if (code >> i & 1)
            panels[((size_t)(o / 4) * p->weight_bits + (size_t)i) * 4 * depth +
                   in_plane] |= channel_bit(c);
      }
}

int main(int argc, char** argv) {
  qrt_bitserial_params p;
  int8_t *x, *y, *shift;
  uint8_t* u;
  uint64_t *panels, *x_planes, *y_planes;
  int32_t *bias, *multiplier, o, tap, c;
  void* scratch;
  size_t i, taps, depth;
  int planes, iterations, bits = 1;
  if (argc != 9) {
    fprintf(stderr,
            "bitserial_bench WEIGHT_BITS X_BITS SIZE C O KERNEL codes|planes N\n");
    return 2;
  }
  memset(&p, 0, sizeof p);
  p.weight_bits = (uint8_t)atoi(argv[1]);
  p.x_bits = (uint8_t)atoi(argv[2]);
  p.h = p.w = p.oh = p.ow = atoi(argv[3]);
  p.c = atoi(argv[4]);
  p.o = atoi(argv[5]);
  p.kh = p.kw = atoi(argv[6]);
  p.pad_top = p.pad_left = p.kh / 2;
  planes = strcmp(argv[7], "planes") == 0;
  iterations = atoi(argv[8]);
  p.n = p.stride_h = p.stride_w = p.dilation_h = p.dilation_w = 1;
  p.w_scale = 1;
  p.w_offset = 1 << (p.weight_bits - 1);
  p.hi = (1 << p.x_bits) - 1;
  p.x_planes = (uint8_t)planes;
  p.y_bits = planes ? p.x_bits : 0;
  taps = (size_t)(p.kh * p.kw);
  depth = taps * (size_t)p.c;
  x = (int8_t*)zeros((size_t)(p.h * p.w * p.c));
  u = (uint8_t*)zeros((size_t)p.o * depth);
  y = (int8_t*)zeros((size_t)(p.oh * p.ow * p.o));
  shift = (int8_t*)zeros((size_t)p.o);
  bias = (int32_t*)zeros((size_t)p.o * 4);
  multiplier = (int32_t*)zeros((size_t)p.o * 4);
  panels = (uint64_t*)zeros(qrt_bit_panel_size(&p));
  x_planes = (uint64_t*)zeros(qrt_bit_plane_size((int64_t)p.h * p.w, p.c, p.x_bits));
  y_planes = (uint64_t*)zeros(qrt_bit_plane_size((int64_t)p.oh * p.ow, p.o, p.x_bits));
  scratch = zeros(qrt_bitserial_s8_scratch_size(&p));
  for (i = 0; i < (size_t)(p.h * p.w * p.c); ++i) {
    x[i] = (int8_t)(next() & ((1u << p.x_bits) - 1));
  }
  for (i = 0; i < (size_t)p.o * depth; ++i) {
    u[i] = (uint8_t)(next() & ((1u << p.weight_bits) - 1));
  }
  while ((1u << (2 * bits)) < depth) ++bits;
  for (o = 0; o < p.o; ++o) {
    bias[o] = (int32_t)(next() % 2048) - 512;
    multiplier[o] = (int32_t)(1 << 30) + (int32_t)(next() << 5);
    shift[o] = (int8_t)(-bits - 1);
  }
  pack_w(&p, u, panels);
  pack_x(&p, x, x_planes);
  qrt.bitserial_s8(&p, planes ? (const void*)x_planes : x, panels, bias, multiplier,
                   shift, NULL, planes ? (void*)y_planes : y, scratch);
  for (i = 0; i < 400; ++i) {
    const int32_t oy = (int32_t)(next() % (uint32_t)p.oh);
    const int32_t ox = (int32_t)(next() % (uint32_t)p.ow);
    const size_t at = (size_t)(oy * p.ow + ox);
    int32_t sum, got, expected;
    o = (int32_t)(next() % (uint32_t)p.o);
    sum = bias[o];
    for (tap = 0; tap < p.kh * p.kw; ++tap)
      for (c = 0; c < p.c; ++c)
        sum +=
            (x_code(x, &p, oy - p.pad_top + tap / p.kw, ox - p.pad_left + tap % p.kw, c) -
             p.x_zero) *
            (u[((size_t)o * taps + (size_t)tap) * (size_t)p.c + (size_t)c] - p.w_offset);
    expected = qrt_finish(qrt_requant(sum, multiplier[o], shift[o]), 0, p.lo, p.hi);
    got = y[at * (size_t)p.o + (size_t)o];
    if (planes) {
      const size_t words = (size_t)(p.o + 63) / 64;
      int j;
      for (got = 0, j = 0; j < p.y_bits; ++j) {
        const size_t word =
            ((size_t)j * ((size_t)(p.oh * p.ow) + 1) + at) * words + (size_t)o / 64;
        if (y_planes[word] & channel_bit(o)) got |= 1 << j;
      }
    }
    if (got != expected) {
      printf("y[%d,%d,%d] is %d, expected %d\n", oy, ox, o, got, expected);
      return 1;
    }
  }
  for (; iterations > 0; --iterations) {
    qrt.bitserial_s8(&p, planes ? (const void*)x_planes : x, panels, bias, multiplier,
                     shift, NULL, planes ? (void*)y_planes : y, scratch);
  }
  printf("equal\n");
  return 0;
}
