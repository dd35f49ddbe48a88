/* SPDX-License-Identifier: MIT
 * Max pooling, resizing, softmax and normalisation against N31 to N36. */
#include <string.h>

#include "driver.h"
#include "qrt/qrt.h"

static void* codes_of(size_t count, int bytes) {
  return random_codes(count, bytes, code_min_of(bytes), code_max_of(bytes), pick_mode());
}

static size_t image_index(int32_t h, int32_t w, int32_t c, int32_t n, int32_t y,
                          int32_t x, int32_t channel) {
  return (size_t)(((n * h + y) * w + x) * c + channel);
}

static void check_max_pool(int cases) {
  int i;
  for (i = 0; i < cases; ++i) {
    qrt_max_pool_params p = {.n = pick(1, 2)};
    const driver_row* row;
    const qrt_team* team = random_team();
    const void* x;
    int64_t* expected;
    size_t at = 0, count;
    int32_t n, oh, ow, c, kh, kw;
    p.bytes = (uint8_t)(pick(0, 3) == 0 ? 2 : 1);
    p.h = pick(1, 9);
    p.w = pick(1, 9);
    p.c = pick_channels();
    p.oh = pick(1, 5);
    p.ow = pick(1, 5);
    p.kh = pick(1, 4);
    p.kw = pick(1, 4);
    p.stride_h = pick(1, 3);
    p.stride_w = pick(1, 3);
    p.dilation_h = pick(1, 2);
    p.dilation_w = pick(1, 2);
    p.pad_top = pick(0, 2);
    p.pad_left = pick(0, 2);
    count = (size_t)(p.n * p.oh * p.ow * p.c);
    x = codes_of((size_t)(p.n * p.h * p.w * p.c), p.bytes);
    expected = (int64_t*)guarded(count * sizeof *expected);
    for (n = 0; n < p.n; ++n)
      for (oh = 0; oh < p.oh; ++oh)
        for (ow = 0; ow < p.ow; ++ow)
          for (c = 0; c < p.c; ++c) {
            int64_t greatest = code_min_of(p.bytes);
            for (kh = 0; kh < p.kh; ++kh)
              for (kw = 0; kw < p.kw; ++kw) {
                const int32_t ih = oh * p.stride_h - p.pad_top + kh * p.dilation_h;
                const int32_t iw = ow * p.stride_w - p.pad_left + kw * p.dilation_w;
                if (ih >= 0 && ih < p.h && iw >= 0 && iw < p.w) {
                  const int64_t code =
                      code_at(x, image_index(p.h, p.w, p.c, n, ih, iw, c), p.bytes);
                  if (code > greatest) greatest = code;
                }
              }
            expected[image_index(p.oh, p.ow, p.c, n, oh, ow, c)] = greatest;
          }
    begin_case("x %dx%dx%d y %dx%d kernel %dx%d bytes %d", p.h, p.w, p.c, p.oh, p.ow,
               p.kh, p.kw, p.bytes);
    while ((row = next_row("max_pool_any", &at)) != NULL) {
      void* y = guarded(count * p.bytes);
      ((qrt_max_pool_fn*)row->fn)(&p, x, y);
      compare(row, y, p.bytes, expected, count);
      y = guarded(count * p.bytes);
      qrt_parallel_max_pool(team, (qrt_max_pool_fn*)row->fn, &p, x, y);
      compare(row, y, p.bytes, expected, count);
    }
    end_case();
  }
}

static void pick_taps(int32_t count, int32_t extent, int32_t* index, int16_t* part) {
  int32_t i;
  for (i = 0; i < count; ++i) {
    index[2 * i] = pick(0, extent - 1);
    index[2 * i + 1] = pick(0, extent - 1);
    part[2 * i] = (int16_t)(pick(0, 2) == 0 ? 2048 : pick(0, 2048));
    part[2 * i + 1] = (int16_t)(2048 - part[2 * i]);
  }
}

static void check_resize(int cases) {
  int i;
  for (i = 0; i < cases; ++i) {
    qrt_resize_params p = {.n = pick(1, 2)};
    const driver_row* row;
    const void* x;
    int32_t *row_index, *col_index, n, oh, ow, c;
    int16_t *row_weight, *col_weight;
    int64_t* expected;
    size_t at = 0, count;
    p.bytes = (uint8_t)pick(1, 2);
    p.h = pick(1, 6);
    p.w = pick(1, 6);
    p.c = pick_channels();
    p.oh = pick(1, 6);
    p.ow = pick(1, 6);
    row_index = (int32_t*)guarded((size_t)p.oh * 8);
    col_index = (int32_t*)guarded((size_t)p.ow * 8);
    row_weight = (int16_t*)guarded((size_t)p.oh * 4);
    col_weight = (int16_t*)guarded((size_t)p.ow * 4);
    pick_taps(p.oh, p.h, row_index, row_weight);
    pick_taps(p.ow, p.w, col_index, col_weight);
    x = codes_of((size_t)(p.n * p.h * p.w * p.c), p.bytes);
    count = (size_t)(p.n * p.oh * p.ow * p.c);
    expected = (int64_t*)guarded(count * sizeof *expected);
    for (n = 0; n < p.n; ++n)
      for (oh = 0; oh < p.oh; ++oh)
        for (ow = 0; ow < p.ow; ++ow)
          for (c = 0; c < p.c; ++c) {
            int64_t acc = 0;
            int32_t u, v;
            for (u = 0; u < 2; ++u)
              for (v = 0; v < 2; ++v) {
                acc += (int64_t)row_weight[2 * oh + u] * col_weight[2 * ow + v] *
                       code_at(x,
                               image_index(p.h, p.w, p.c, n, row_index[2 * oh + u],
                                           col_index[2 * ow + v], c),
                               p.bytes);
              }
            expected[image_index(p.oh, p.ow, p.c, n, oh, ow, c)] =
                shift_right_meaning(acc, 22);
          }
    begin_case("x %dx%dx%d y %dx%d bytes %d", p.h, p.w, p.c, p.oh, p.ow, p.bytes);
    while ((row = next_row("resize_any", &at)) != NULL) {
      void* y = guarded(count * p.bytes);
      ((qrt_resize_fn*)row->fn)(&p, x, row_index, row_weight, col_index, col_weight, y);
      compare(row, y, p.bytes, expected, count);
    }
    end_case();
  }
}

static void check_softmax(int cases) {
  int i;
  for (i = 0; i < cases; ++i) {
    qrt_softmax_params p = {.outer = pick(1, 3), .x_bytes = 1};
    const driver_row* row;
    const void* x;
    int32_t *table, outer, inner, k;
    int64_t* expected;
    size_t at = 0, count;
    p.axis = pick(1, 70);
    p.inner = pick(0, 1) == 0 ? 1 : pick(1, 5);
    p.y_bytes = (uint8_t)pick(1, 2);
    p.out_bits = 8 * p.y_bytes;
    p.lo = code_min_of(p.y_bytes);
    p.hi = code_max_of(p.y_bytes);
    p.y_zero = p.lo;
    table = (int32_t*)guarded(256 * 4);
    table[0] = 1 << 23;
    for (k = 1; k < 256; ++k) table[k] = pick(0, table[k - 1]);
    count = (size_t)(p.outer * p.axis * p.inner);
    x = codes_of(count, 1);
    expected = (int64_t*)guarded(count * sizeof *expected);
    for (outer = 0; outer < p.outer; ++outer)
      for (inner = 0; inner < p.inner; ++inner) {
        const size_t start = (size_t)(outer * p.axis * p.inner + inner);
        int32_t greatest = -128;
        int64_t sum = 0;
        for (k = 0; k < p.axis; ++k) {
          const int32_t code = code_at(x, start + (size_t)(k * p.inner), 1);
          if (code > greatest) greatest = code;
        }
        for (k = 0; k < p.axis; ++k) {
          sum += table[greatest - code_at(x, start + (size_t)(k * p.inner), 1)];
        }
        for (k = 0; k < p.axis; ++k) {
          const size_t element = start + (size_t)(k * p.inner);
          const int64_t e = table[greatest - code_at(x, element, 1)];
          expected[element] = finish_meaning(
              (e * ((int64_t)1 << p.out_bits) + sum / 2) / sum, p.y_zero, p.lo, p.hi);
        }
      }
    begin_case("%dx%dx%d out_bits %d", p.outer, p.axis, p.inner, p.out_bits);
    while ((row = next_row("softmax_any", &at)) != NULL) {
      void* y = guarded(count * p.y_bytes);
      ((qrt_softmax_fn*)row->fn)(&p, x, table, y);
      compare(row, y, p.y_bytes, expected, count);
    }
    end_case();
  }
}

static void check_layer_norm(int cases) {
  int i;
  for (i = 0; i < cases; ++i) {
    qrt_layer_norm_params p = {.outer = pick(1, 4)};
    const driver_row* row;
    const void* x;
    int32_t *gamma, *beta, outer, k;
    int64_t* expected;
    size_t at = 0, count;
    p.depth = pick_channels();
    p.x_bytes = (uint8_t)pick(1, 2);
    p.y_bytes = (uint8_t)pick(1, 2);
    p.eps = pick(0, 2) == 0 ? 0 : pick(0, 100000);
    p.shift = pick(15, 40);
    p.lo = code_min_of(p.y_bytes);
    p.hi = code_max_of(p.y_bytes);
    p.y_zero = pick(p.lo, p.hi);
    count = (size_t)(p.outer * p.depth);
    x = codes_of(count, p.x_bytes);
    gamma = (int32_t*)random_codes((size_t)p.depth, 4, -(1 << 28), 1 << 28, RANDOM_CODES);
    beta = (int32_t*)random_codes((size_t)p.depth, 4, INT32_MIN, INT32_MAX, RANDOM_CODES);
    expected = (int64_t*)guarded(count * sizeof *expected);
    for (outer = 0; outer < p.outer; ++outer) {
      const size_t start = (size_t)(outer * p.depth);
      int64_t sum = 0, squares = 0;
      uint64_t v;
      for (k = 0; k < p.depth; ++k) {
        const int64_t code = code_at(x, start + (size_t)k, p.x_bytes);
        sum += code;
        squares += code * code;
      }
      v = (uint64_t)(p.depth * squares - sum * sum + p.eps);
      for (k = 0; k < p.depth; ++k) {
        const int64_t n =
            p.depth * (int64_t)code_at(x, start + (size_t)k, p.x_bytes) - sum;
        const int64_t z = over_root_meaning(n, v);
        const int64_t q = clamp64(shift_right_meaning(z * gamma[k] + beta[k], p.shift),
                                  INT32_MIN, INT32_MAX);
        expected[start + (size_t)k] = finish_meaning(q, p.y_zero, p.lo, p.hi);
      }
    }
    begin_case("%dx%d bytes %d,%d eps %lld shift %d", p.outer, p.depth, p.x_bytes,
               p.y_bytes, (long long)p.eps, p.shift);
    while ((row = next_row("layer_norm_any", &at)) != NULL) {
      void* y = guarded(count * p.y_bytes);
      ((qrt_layer_norm_fn*)row->fn)(&p, x, gamma, beta, y);
      compare(row, y, p.y_bytes, expected, count);
    }
    end_case();
  }
}

static void check_l2_normalize(int cases) {
  int i;
  for (i = 0; i < cases; ++i) {
    qrt_l2_normalize_params p = {.outer = pick(1, 3)};
    const driver_row* row;
    const void* x;
    int32_t outer, inner, k;
    int64_t* expected;
    size_t at = 0, count;
    p.axis = pick_channels();
    p.inner = pick(0, 1) == 0 ? 1 : pick(1, 5);
    p.x_bytes = (uint8_t)pick(1, 2);
    p.y_bytes = (uint8_t)pick(1, 2);
    p.eps = pick(0, 2) == 0 ? 0 : pick(0, 100000);
    p.x_zero = pick(0, 2) == 0 ? code_min_of(p.x_bytes)
                               : pick(code_min_of(p.x_bytes), code_max_of(p.x_bytes));
    p.lo = code_min_of(p.y_bytes);
    p.hi = code_max_of(p.y_bytes);
    p.y_zero = pick(p.lo, p.hi);
    pick_scale(16, 8 * p.y_bytes, &p.multiplier, &p.shift);
    count = (size_t)(p.outer * p.axis * p.inner);
    x = codes_of(count, p.x_bytes);
    expected = (int64_t*)guarded(count * sizeof *expected);
    for (outer = 0; outer < p.outer; ++outer)
      for (inner = 0; inner < p.inner; ++inner) {
        const size_t start = (size_t)(outer * p.axis * p.inner + inner);
        int64_t v = 0;
        for (k = 0; k < p.axis; ++k) {
          const int64_t n =
              code_at(x, start + (size_t)(k * p.inner), p.x_bytes) - p.x_zero;
          v += n * n;
        }
        if (v < p.eps) v = p.eps;
        for (k = 0; k < p.axis; ++k) {
          const size_t element = start + (size_t)(k * p.inner);
          const int64_t z =
              over_root_meaning(code_at(x, element, p.x_bytes) - p.x_zero, (uint64_t)v);
          expected[element] = finish_meaning(requant_meaning(z, p.multiplier, p.shift, 0),
                                             p.y_zero, p.lo, p.hi);
        }
      }
    begin_case("%dx%dx%d bytes %d,%d eps %lld", p.outer, p.axis, p.inner, p.x_bytes,
               p.y_bytes, (long long)p.eps);
    while ((row = next_row("l2_normalize_any", &at)) != NULL) {
      void* y = guarded(count * p.y_bytes);
      ((qrt_l2_normalize_fn*)row->fn)(&p, x, y);
      compare(row, y, p.y_bytes, expected, count);
    }
    end_case();
  }
}

void check_axis_kernels(int cases) {
  check_max_pool(cases);
  check_resize(cases / 2);
  check_softmax(cases / 2);
  check_layer_norm(cases);
  check_l2_normalize(cases);
}
