/* SPDX-License-Identifier: MIT
 * Times the variants of kernels.inc that this build has, on layers of known networks.
 *     kernels_bench [repetitions]
 * Prints the best processor time of the repetitions. The input codes are a fixed pattern:
 * no kernel's time depends on them. Figures taken under an emulator are not times of the
 * device. */
#define _POSIX_C_SOURCE 199309L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "qrt/qrt.h"

typedef void any_fn(void);
typedef struct {
  const char* kernel;
  const char* isa;
  any_fn* fn;
} bench_row;

static const bench_row rows[] = {
#define QRT_KERNEL(op, types, isa, symbol) \
  QRT_IF_##isa({#op "_" #types, #isa, (any_fn*)symbol}, )
#include "qrt/kernels.inc"
#undef QRT_KERNEL
};

typedef struct {
  const char* name;
  const char* kernel;
  int32_t size, channels, outputs, kernel_size, stride, weight_bits, groups;
} layer;

static const layer layers[] = {
    {"resnet18 conv1 224", "conv2d_s8", 224, 3, 64, 7, 2, 8, 1},
    {"3x3 56x56x64->64", "conv2d_s8", 56, 64, 64, 3, 1, 8, 1},
    {"3x3 56x56x64->64 4 bit", "conv2d_s8", 56, 64, 64, 3, 1, 4, 1},
    {"3x3 28x28x128->128", "conv2d_s8", 28, 128, 128, 3, 1, 8, 1},
    {"3x3 14x14x256->256", "conv2d_s8", 14, 256, 256, 3, 1, 8, 1},
    {"3x3 7x7x512->512", "conv2d_s8", 7, 512, 512, 3, 1, 8, 1},
    {"1x1 56x56x64->256", "conv2d_s8", 56, 64, 256, 1, 1, 8, 1},
    {"linear 512->1000", "conv2d_s8", 1, 512, 1000, 1, 1, 8, 1},
    {"depthwise 3x3 56x56x144", "depthwise_s8", 56, 144, 144, 3, 1, 8, 144},
    {"16-bit 3x3 28x28x64->64", "conv2d_wide", 28, 64, 64, 3, 1, 16, 1},
};

static double now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static void* pattern(size_t bytes) {
  uint8_t* p = (uint8_t*)malloc(bytes);
  size_t i;
  if (!p) exit(2);
  for (i = 0; i < bytes; ++i) p[i] = (uint8_t)(i * 37 + i / 251);
  return p;
}

static void bench_layer(const layer* l, const bench_row* row, int repetitions) {
  const int wide = strcmp(l->kernel, "conv2d_wide") == 0;
  const int32_t out = (l->size - 1) / l->stride + 1;
  qrt_conv2d_params p;
  size_t depth, scratch_bytes;
  double best = 1e30, macs;
  void *x, *w, *bias, *y, *scratch;
  int32_t *multiplier, o;
  int8_t* shift;
  int i;
  memset(&p, 0, sizeof p);
  p.n = p.stride_h = p.stride_w = p.dilation_h = p.dilation_w = 1;
  p.stride_h = p.stride_w = l->stride;
  p.h = p.w = l->size;
  p.c = l->channels;
  p.oh = p.ow = out;
  p.o = l->outputs;
  p.kh = p.kw = l->kernel_size;
  p.pad_top = p.pad_left = l->kernel_size / 2;
  p.groups = l->groups;
  p.x_zero = -3;
  p.lo = -128;
  p.hi = 127;
  p.x_bytes = wide ? 2 : 1;
  p.y_bytes = 1;
  p.weight_bits = (uint8_t)l->weight_bits;
  p.bias_bytes = 4;
  p.acc64 = (uint8_t)wide;
  depth = (size_t)(p.kh * p.kw * (p.c / p.groups));
  scratch_bytes = l->groups > 1 ? qrt_depthwise_s8_scratch_size(&p)
                  : wide        ? qrt_conv2d_wide_scratch_size(&p)
                                : qrt_conv2d_s8_scratch_size(&p);
  x = pattern((size_t)(p.h * p.w * p.c) * p.x_bytes);
  w = pattern((size_t)p.o * ((depth * p.weight_bits + 7) / 8));
  bias = pattern((size_t)p.o * 4);
  memset(bias, 0, (size_t)p.o * 4);
  y = pattern((size_t)(p.oh * p.ow * p.o));
  scratch = pattern(scratch_bytes);
  multiplier = (int32_t*)malloc((size_t)p.o * 4);
  shift = (int8_t*)malloc((size_t)p.o);
  if (!multiplier || !shift) exit(2);
  for (o = 0; o < p.o; ++o) {
    multiplier[o] = 1500000000;
    shift[o] = -9;
  }
  for (i = 0; i < repetitions; ++i) {
    const double begin = now_ms();
    ((qrt_conv2d_fn*)row->fn)(&p, x, w, bias, multiplier, shift, NULL, y, scratch);
    if (now_ms() - begin < best) best = now_ms() - begin;
  }
  macs = (double)(p.oh * p.ow) * p.o * (double)depth;
  printf("%-26s %-8s %9.3f ms %8.2f GMAC/s\n", l->name, row->isa, best,
         macs / best * 1e-6);
  free(x);
  free(w);
  free(bias);
  free(y);
  free(scratch);
  free(multiplier);
  free(shift);
}

int main(int argc, char** argv) {
  const int repetitions = argc > 1 ? atoi(argv[1]) : 10;
  size_t i, r;
  for (i = 0; i < sizeof layers / sizeof layers[0]; ++i) {
    for (r = 0; r < sizeof rows / sizeof rows[0]; ++r) {
      if (strcmp(rows[r].kernel, layers[i].kernel) == 0) {
        bench_layer(&layers[i], &rows[r], repetitions);
      }
    }
  }
  return 0;
}
