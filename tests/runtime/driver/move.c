/* SPDX-License-Identifier: MIT
 * Copies, fills, table rows against N35 and N37, and the edge to real numbers against N16
 * and N17. */
#include <math.h>
#include <string.h>

#include "driver.h"
#include "qrt/qrt.h"

static int pick_bytes(void) { return 1 << pick(0, 2); }

static void* random_elements(size_t count, int bytes) {
  return random_codes(count, bytes, bytes == 4 ? INT32_MIN : code_min_of(bytes),
                      bytes == 4 ? INT32_MAX : code_max_of(bytes), RANDOM_CODES);
}

/* A random permutation with a source that repeats or is cut, into the middle of a larger
 * result. */
static void check_copy(int cases) {
  int i;
  for (i = 0; i < cases; ++i) {
    qrt_copy_params p = {.rank = pick(0, 6)};
    const driver_row* row;
    int32_t order[6], axis, src_size = 1, dst_size = 1, element, count = 1;
    const int bytes = pick_bytes(), in_order = pick(0, 2) == 0;
    const int32_t before = pick(0, 3);
    const void* src;
    int64_t* expected;
    size_t at = 0;
    p.bytes = (uint8_t)bytes;
    for (axis = 0; axis < p.rank; ++axis) {
      const int32_t other = in_order ? axis : pick(0, axis);
      order[axis] = order[other];
      order[other] = axis;
      p.dims[axis] = pick(1, p.rank <= 2 ? 30 : 4);
      count *= p.dims[axis];
    }
    for (axis = p.rank - 1; axis >= 0; --axis) {
      const int repeat = pick(0, 7) == 0;
      p.src_stride[order[axis]] = repeat ? 0 : src_size;
      if (!repeat) src_size *= p.dims[order[axis]] + (pick(0, 3) == 0 ? pick(0, 2) : 0);
      p.dst_stride[axis] = dst_size;
      dst_size *= p.dims[axis] + (pick(0, 3) == 0 ? pick(0, 2) : 0);
    }
    src = random_elements((size_t)src_size, bytes);
    expected = (int64_t*)guarded((size_t)(dst_size + before) * sizeof *expected);
    for (element = 0; element < dst_size + before; ++element) expected[element] = 55;
    for (element = 0; element < count; ++element) {
      int32_t rest = element, from = 0, to = 0;
      for (axis = p.rank - 1; axis >= 0; --axis) {
        from += rest % p.dims[axis] * p.src_stride[axis];
        to += rest % p.dims[axis] * p.dst_stride[axis];
        rest /= p.dims[axis];
      }
      expected[before + to] = code_at(src, (size_t)from, bytes);
    }
    begin_case("rank %d count %d bytes %d", p.rank, count, bytes);
    while ((row = next_row("copy_any", &at)) != NULL) {
      void* dst = guarded((size_t)((dst_size + before) * bytes));
      for (element = 0; element < dst_size + before; ++element) {
        uint8_t* to = (uint8_t*)dst + element * bytes;
        memset(to, 0, (size_t)bytes);
        *to = 55;
      }
      ((qrt_copy_fn*)row->fn)(&p, src, (uint8_t*)dst + before * bytes);
      compare(row, dst, bytes, expected, (size_t)(dst_size + before));
    }
    end_case();
  }
}

static void check_fill(int cases) {
  int i;
  for (i = 0; i < cases; ++i) {
    const int bytes = pick_bytes();
    const qrt_fill_params p = {pick(1, 99), pick(code_min_of(bytes), code_max_of(bytes)),
                               (uint8_t)bytes};
    int64_t* expected = (int64_t*)guarded((size_t)p.count * sizeof *expected);
    const driver_row* row;
    size_t at = 0;
    int32_t k;
    for (k = 0; k < p.count; ++k) expected[k] = p.value;
    begin_case("count %d value %d bytes %d", p.count, p.value, bytes);
    while ((row = next_row("fill_any", &at)) != NULL) {
      void* y = guarded((size_t)(p.count * bytes));
      ((qrt_fill_fn*)row->fn)(&p, y);
      compare(row, y, bytes, expected, (size_t)p.count);
    }
    end_case();
  }
}

static void check_gather(int cases) {
  int i;
  for (i = 0; i < cases; ++i) {
    qrt_gather_params p = {.count = pick(1, 20), .rows = pick(1, 9)};
    const driver_row* row;
    const int32_t* indices;
    const void* table;
    int64_t* expected;
    size_t at = 0, count;
    int32_t k, d;
    p.depth = pick_channels();
    p.bytes = (uint8_t)pick_bytes();
    indices =
        (const int32_t*)random_codes((size_t)p.count, 4, -2, p.rows + 1, RANDOM_CODES);
    table = random_elements((size_t)(p.rows * p.depth), p.bytes);
    count = (size_t)(p.count * p.depth);
    expected = (int64_t*)guarded(count * sizeof *expected);
    for (k = 0; k < p.count; ++k) {
      const int64_t source = clamp64(indices[k], 0, p.rows - 1);
      for (d = 0; d < p.depth; ++d) {
        expected[k * p.depth + d] =
            code_at(table, (size_t)(source * p.depth + d), p.bytes);
      }
    }
    begin_case("count %d table %dx%d bytes %d", p.count, p.rows, p.depth, p.bytes);
    while ((row = next_row("gather_any", &at)) != NULL) {
      void* y = guarded(count * p.bytes);
      ((qrt_gather_fn*)row->fn)(&p, indices, table, y);
      compare(row, y, p.bytes, expected, count);
    }
    end_case();
  }
}

static float random_real(float scale) {
  switch (pick(0, 9)) {
    case 0: return NAN;
    case 1: return INFINITY;
    case 2: return -INFINITY;
    case 3: return 3.0e38f;
    case 4: return -3.0e38f;
    case 5: return scale * ((float)pick(-300, 300) + 0.5f);
    case 6: return scale * ((float)pick(-40000, 40000) - 0.5f);
    default: return scale * (float)pick(-(1 << 24), 1 << 24) / 65536.0f;
  }
}

static void check_quantize(int cases) {
  static const driver_row row = {"qrt_quantize_f32", "c", NULL};
  int i;
  for (i = 0; i < cases; ++i) {
    const int32_t count = pick(1, 100), bytes = pick(1, 2);
    const int32_t lo = code_min_of(bytes), hi = code_max_of(bytes), zero = pick(lo, hi);
    const float scale = pick(0, 1) == 0 ? 0.125f : 0.0173f;
    float* real = (float*)guarded((size_t)count * sizeof *real);
    float* back = (float*)guarded((size_t)count * sizeof *back);
    void* codes = guarded((size_t)(count * bytes));
    int64_t* expected = (int64_t*)guarded((size_t)count * sizeof *expected);
    int32_t k;
    for (k = 0; k < count; ++k) {
      volatile float t;
      real[k] = random_real(scale);
      t = real[k] / scale;
      if (isnan(t)) {
        expected[k] = zero;
      } else if (t > 100000.0f || t < -100000.0f) {
        expected[k] = t > 0 ? hi : lo;
      } else {
        expected[k] = clamp64((int64_t)rintf(t) + zero, lo, hi);
      }
    }
    begin_case("count %d bytes %d zero %d", count, bytes, zero);
    qrt_quantize_f32(real, count, scale, zero, lo, hi, bytes, codes);
    compare(&row, codes, bytes, expected, (size_t)count);
    qrt_dequantize_f32(codes, count, scale, zero, bytes, back);
    for (k = 0; k < count; ++k) {
      if (back[k] != scale * (float)(code_at(codes, (size_t)k, bytes) - zero)) {
        ++driver_failures;
      }
    }
    end_case();
  }
}

void check_move_kernels(int cases) {
  check_copy(cases);
  check_fill(cases / 2);
  check_gather(cases / 2);
  check_quantize(cases);
}
