/* SPDX-License-Identifier: MIT
 * Average pooling, a mean, a rescaling or a table lookup, run a number of times: a
 * program for instruction counters, cycle models and bench/compare_programs. sums_bench
 * KIND ITERATIONS KIND: mean (7x7x1280), pool (3x3, stride 1, over 56x56x64), rescale or
 * lut (56x56x64). Before the iterations the codes are compared with plain C's; a
 * difference ends with exit status 1. Built with QRT_FORCE_PORTABLE it runs plain C. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qrt/qrt.h"

#define SIZE 56
#define CHANNELS 64
#define CODES (SIZE * SIZE * CHANNELS)

static int8_t x[CODES], y[CODES], plain[CODES], table[256];

/* As lowering has scales of such sums: no shift. */
static void mean(qrt_reduce_fn* kernel, int8_t* result) {
  static const qrt_reduce_params p = {.kept_rank = 1,
                                      .kept_dims = {1280},
                                      .kept_stride = {1},
                                      .reduced_rank = 1,
                                      .reduced_dims = {49},
                                      .reduced_stride = {1280},
                                      .x_zero = -3,
                                      .multiplier = 1 << 26,
                                      .y_zero = 5,
                                      .lo = -128,
                                      .hi = 127,
                                      .x_bytes = 1,
                                      .y_bytes = 1};
  kernel(&p, x, result);
}

static void pool(qrt_avg_pool_fn* kernel, int8_t* result) {
  static int32_t start[SIZE], end[SIZE], multiplier[9];
  static const int8_t shift[9];
  static uint8_t which[SIZE * SIZE];
  qrt_avg_pool_params p = {.n = 1,
                           .h = SIZE,
                           .w = SIZE,
                           .c = CHANNELS,
                           .oh = SIZE,
                           .ow = SIZE,
                           .x_zero = -3,
                           .y_zero = 5,
                           .lo = -128,
                           .hi = 127,
                           .x_bytes = 1,
                           .y_bytes = 1,
                           .which_bytes = 1};
  int32_t i, j;
  p.row_start = p.col_start = start;
  p.row_end = p.col_end = end;
  if (end[0] == 0) {
    for (i = 0; i < SIZE; ++i) {
      start[i] = i > 0 ? i - 1 : 0;
      end[i] = i + 2 < SIZE ? i + 2 : SIZE;
    }
    for (i = 0; i < 9; ++i) multiplier[i] = INT32_MAX / (i + 1);
    for (i = 0; i < SIZE; ++i) {
      for (j = 0; j < SIZE; ++j) {
        const int32_t pixels = (end[i] - start[i]) * (end[j] - start[j]);
        which[i * SIZE + j] = (uint8_t)(pixels - 1);
      }
    }
  }
  kernel(&p, x, multiplier, shift, which, result);
}

static void rescale(qrt_rescale_fn* kernel, int8_t* result) {
  static const qrt_rescale_params p = {.count = CODES,
                                       .x_zero = -3,
                                       .multiplier = 1500000000,
                                       .y_zero = 5,
                                       .lo = -128,
                                       .hi = 127,
                                       .x_bytes = 1,
                                       .y_bytes = 1};
  kernel(&p, x, result);
}

static void lut(qrt_lut_fn* kernel, int8_t* result) {
  static const qrt_lut_params p = {
      .count = CODES, .channels = 1, .x_bytes = 1, .y_bytes = 1};
  kernel(&p, x, table, result);
}

static void run(const char* kind, int is_plain, int8_t* result) {
  if (strcmp(kind, "mean") == 0) {
    mean(is_plain ? qrt_reduce_any_c : qrt.reduce_any, result);
  } else if (strcmp(kind, "pool") == 0) {
    pool(is_plain ? qrt_avg_pool_any_c : qrt.avg_pool_any, result);
  } else if (strcmp(kind, "rescale") == 0) {
    rescale(is_plain ? qrt_rescale_any_c : qrt.rescale_any, result);
  } else {
    lut(is_plain ? qrt_lut_any_c : qrt.lut_any, result);
  }
}

int main(int argc, char** argv) {
  int iterations, i;
  if (argc != 3) {
    fprintf(stderr, "sums_bench mean|pool|rescale|lut ITERATIONS\n");
    return 2;
  }
  for (i = 0; i < CODES; ++i) x[i] = (int8_t)(i * 37 + i / 251);
  for (i = 0; i < 256; ++i) table[i] = (int8_t)(i * 91 + 7);
  run(argv[1], 1, plain);
  run(argv[1], 0, y);
  if (memcmp(y, plain, sizeof y) != 0) {
    printf("a difference\n");
    return 1;
  }
  for (iterations = atoi(argv[2]); iterations > 0; --iterations) run(argv[1], 0, y);
  printf("equal\n");
  return 0;
}
