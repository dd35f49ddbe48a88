/* SPDX-License-Identifier: MIT
 * A float convolution for 32-bit NEON and AArch64 to compare with: 3x3, stride 1, borders
 * of zeros, bias and ReLU, four positions by eight channels in registers, weights packed
 * beforehand. f32_conv SIZE C O ITERATIONS C and O are multiples of 4 and 8. An iteration
 * copies the image with its border and convolves it. Before the iterations outputs at
 * many places are compared with plain loops; a difference beyond rounding ends with exit
 * status 1. A reference of its own making, not a library's. arm-linux-gnueabihf-gcc
 * -std=c99 -O2 -static -marm -march=armv7-a -mfpu=neon -mfloat-abi=hard -ffp-contract=off
 * -o f32_conv bench/f32_conv.c -lm */
#include <arm_neon.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
  size_t size, c, o;
  const float *x, *w; /* [size][size][c], [o / 8][9 * c][8] */
  const float* bias;
  float *padded, *y;
} layer;

/* Four positions with eight channels; rows[ky] is the first code of the first window's
 * row. */
static void four_positions(const layer* l, const float* const* rows, const float* w,
                           const float* bias, float* y) {
  const float32x4_t zero = vdupq_n_f32(0.0F);
  float32x4_t a0 = vld1q_f32(bias), b0 = vld1q_f32(bias + 4);
  float32x4_t a1 = a0, a2 = a0, a3 = a0, b1 = b0, b2 = b0, b3 = b0;
  size_t ky, k;
  for (ky = 0; ky < 3; ++ky) {
    const float *x0 = rows[ky], *x1 = x0 + l->c, *x2 = x1 + l->c, *x3 = x2 + l->c;
    for (k = 0; k < 3 * l->c; k += 4, w += 32) {
      const float32x4_t u0 = vld1q_f32(x0 + k), u1 = vld1q_f32(x1 + k);
      const float32x4_t u2 = vld1q_f32(x2 + k), u3 = vld1q_f32(x3 + k);
#define STEP(j, half, lane)                                                      \
  __asm__ volatile("" ::: "memory"); /* loads stay here, so registers suffice */ \
  {                                                                              \
    const float32x4_t v = vld1q_f32(w + 8 * (j));                                \
    const float32x4_t u = vld1q_f32(w + 8 * (j) + 4);                            \
    a0 = vmlaq_lane_f32(a0, v, vget_##half##_f32(u0), lane);                     \
    b0 = vmlaq_lane_f32(b0, u, vget_##half##_f32(u0), lane);                     \
    a1 = vmlaq_lane_f32(a1, v, vget_##half##_f32(u1), lane);                     \
    b1 = vmlaq_lane_f32(b1, u, vget_##half##_f32(u1), lane);                     \
    a2 = vmlaq_lane_f32(a2, v, vget_##half##_f32(u2), lane);                     \
    b2 = vmlaq_lane_f32(b2, u, vget_##half##_f32(u2), lane);                     \
    a3 = vmlaq_lane_f32(a3, v, vget_##half##_f32(u3), lane);                     \
    b3 = vmlaq_lane_f32(b3, u, vget_##half##_f32(u3), lane);                     \
  }
      STEP(0, low, 0)
      STEP(1, low, 1)
      STEP(2, high, 0)
      STEP(3, high, 1)
    }
  }
  vst1q_f32(y, vmaxq_f32(a0, zero)), vst1q_f32(y + 4, vmaxq_f32(b0, zero));
  y += l->o;
  vst1q_f32(y, vmaxq_f32(a1, zero)), vst1q_f32(y + 4, vmaxq_f32(b1, zero));
  y += l->o;
  vst1q_f32(y, vmaxq_f32(a2, zero)), vst1q_f32(y + 4, vmaxq_f32(b2, zero));
  y += l->o;
  vst1q_f32(y, vmaxq_f32(a3, zero)), vst1q_f32(y + 4, vmaxq_f32(b3, zero));
}

/* The last four positions of a row begin earlier where its size is no multiple of four.
 */
static void convolve(const layer* l) {
  const size_t line = (l->size + 2) * l->c;
  size_t oy, ox, o, ky;
  for (oy = 0; oy < l->size; ++oy) {
    memcpy(l->padded + (oy + 1) * line + l->c, l->x + oy * l->size * l->c,
           l->size * l->c * sizeof(float));
  }
  for (o = 0; o < l->o; o += 8) {
    const float* w = l->w + o * 9 * l->c;
    for (oy = 0; oy < l->size; ++oy) {
      for (ox = 0; ox < l->size; ox += 4) {
        const size_t at = ox + 4 <= l->size ? ox : l->size - 4;
        const float* rows[3];
        for (ky = 0; ky < 3; ++ky) rows[ky] = l->padded + (oy + ky) * line + at * l->c;
        four_positions(l, rows, w, l->bias + o, l->y + (oy * l->size + at) * l->o + o);
      }
    }
  }
}

static float* numbers(size_t count) {
  float* p = (float*)calloc(count, sizeof *p);
  if (p == NULL) exit(2);
  return p;
}

static unsigned state = 7;
static float next_number(void) {
  state = state * 1664525u + 1013904223u;
  return (float)(state >> 8) / 8388608.0F - 1.0F;
}

static int differs(const layer* l, size_t place) {
  const size_t o = place % l->o, ox = place / l->o % l->size, oy = place / l->o / l->size;
  const size_t line = (l->size + 2) * l->c;
  double sum = l->bias[o];
  size_t ky, k;
  for (ky = 0; ky < 3; ++ky) {
    for (k = 0; k < 3 * l->c; ++k) {
      sum += (double)l->padded[(oy + ky) * line + ox * l->c + k] *
             l->w[((o / 8) * 9 * l->c + ky * 3 * l->c + k) * 8 + o % 8];
    }
  }
  return fabs((sum > 0 ? sum : 0) - l->y[place]) > 1e-3;
}

int main(int argc, char** argv) {
  const size_t size = argc == 5 ? (size_t)atol(argv[1]) : 0;
  const size_t c = argc == 5 ? (size_t)atol(argv[2]) : 0;
  const size_t o = argc == 5 ? (size_t)atol(argv[3]) : 0;
  float *x, *w, *bias;
  layer l;
  size_t i;
  long n;
  if (size < 4 || c % 4 != 0 || o % 8 != 0 || c == 0 || o == 0) {
    fprintf(stderr, "usage: f32_conv SIZE C O ITERATIONS\n");
    return 2;
  }
  x = numbers(size * size * c), w = numbers(o * 9 * c), bias = numbers(o);
  for (i = 0; i < size * size * c; ++i) x[i] = next_number();
  for (i = 0; i < o * 9 * c; ++i) w[i] = next_number();
  for (i = 0; i < o; ++i) bias[i] = next_number();
  l.size = size, l.c = c, l.o = o, l.x = x, l.w = w, l.bias = bias;
  l.padded = numbers((size + 2) * (size + 2) * c), l.y = numbers(size * size * o);
  convolve(&l);
  for (i = 0; i < 400; ++i) {
    state = state * 1664525u + 1013904223u;
    if (differs(&l, (state >> 8) % (size * size * o))) {
      fprintf(stderr, "f32_conv: an output differs\n");
      return 1;
    }
  }
  for (n = atol(argv[4]); n > 0; --n) convolve(&l);
  printf("outputs equal\n");
  return 0;
}
