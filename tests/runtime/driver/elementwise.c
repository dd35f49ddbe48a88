/* SPDX-License-Identifier: MIT
 * Addition, multiplication, division, rescaling and tables against N24 to N28. */
#include <string.h>

#include "driver.h"
#include "qrt/qrt.h"

static int64_t div_q_meaning(int64_t num, int64_t den, int fraction) {
  const int64_t limit = (int64_t)1 << 30;
  if (den == 0) return num > 0 ? limit : num < 0 ? -limit : 0;
  return clamp64(div_round_meaning(num * ((int64_t)1 << fraction), den), -limit, limit);
}

static int64_t binary_meaning(const qrt_binary_params* p, char op, int32_t a, int32_t b) {
  const int64_t u = a - p->a_zero, v = b - p->b_zero;
  int64_t q;
  if (op == '+') {
    q = shift_right_meaning(u * p->a_multiplier + v * p->b_multiplier, p->shift);
  } else if (op == '*') {
    q = requant_meaning(u * v, p->multiplier, p->shift, p->acc64);
  } else {
    const int fraction = p->a_bytes == 1 && p->b_bytes == 1 ? 20 : 14;
    q = requant_meaning(div_q_meaning(u, v, fraction), p->multiplier, p->shift, 0);
  }
  return finish_meaning(q, p->y_zero, p->lo, p->hi);
}

/* Random extents; an operand repeats along some axes. Returns the elements it then has.
 */
static size_t pick_strides(const qrt_binary_params* p, int32_t* stride) {
  const int repeat = pick(0, 2) == 0;
  size_t count = 1;
  int32_t i;
  for (i = p->rank - 1; i >= 0; --i) {
    const int along = repeat && pick(0, 1) == 0;
    stride[i] = along ? 0 : (int32_t)count;
    if (!along) count *= (size_t)p->dims[i];
  }
  return count;
}

static void pick_binary(qrt_binary_params* p, char op) {
  int32_t i;
  memset(p, 0, sizeof *p);
  p->rank = pick(0, 6);
  for (i = 0; i < p->rank; ++i) p->dims[i] = pick(1, i == p->rank - 1 ? 40 : 3);
  p->a_bytes = (uint8_t)(pick(0, 3) == 0 ? 2 : 1);
  p->b_bytes = (uint8_t)(pick(0, 3) == 0 ? 2 : 1);
  p->y_bytes = (uint8_t)(pick(0, 3) == 0 ? 2 : 1);
  p->a_zero = pick(code_min_of(p->a_bytes), code_max_of(p->a_bytes));
  p->b_zero = pick(code_min_of(p->b_bytes), code_max_of(p->b_bytes));
  p->lo = code_min_of(p->y_bytes);
  p->hi = code_max_of(p->y_bytes);
  p->y_zero = pick(p->lo, p->hi);
  if (op == '+') {
    /* |acc| < 2^31: 2^(8 bytes) * multiplier <= 2^30 for each side. */
    p->a_multiplier = pick(-(1 << (30 - 8 * p->a_bytes)), 1 << (30 - 8 * p->a_bytes));
    p->b_multiplier = pick(-(1 << (30 - 8 * p->b_bytes)), 1 << (30 - 8 * p->b_bytes));
    p->shift = pick(0, 31);
    if (pick(0, 1) == 0) p->shift = 31 - 8 * p->y_bytes;
  } else if (op == '*') {
    p->acc64 = (uint8_t)(p->a_bytes + p->b_bytes >= 4 || pick(0, 3) == 0);
    pick_scale(8 * (p->a_bytes + p->b_bytes), 8 * p->y_bytes, &p->multiplier, &p->shift);
  } else {
    pick_scale(24, 8 * p->y_bytes, &p->multiplier, &p->shift);
  }
}

/* A copy of `count` codes that a kernel may write over. */
static void* copy_of(const void* codes, size_t count, int bytes) {
  void* copy = guarded(count * (size_t)bytes);
  memcpy(copy, codes, count * (size_t)bytes);
  return copy;
}

/* True where the operand is walked as the result is. */
static int is_dense(const qrt_binary_params* p, const int32_t* stride) {
  int32_t i, step = 1;
  for (i = p->rank - 1; i >= 0; --i) {
    if (p->dims[i] != 1 && stride[i] != step) return 0;
    step *= p->dims[i];
  }
  return 1;
}

static void check_binary(const char* kernel, char op, int cases) {
  int i;
  for (i = 0; i < cases; ++i) {
    qrt_binary_params p;
    const code_mode mode = pick_mode();
    const driver_row* row;
    const qrt_team* team = random_team();
    const void *a, *b;
    size_t count = 1, at = 0, element;
    int64_t* expected;
    int32_t axis;
    pick_binary(&p, op);
    a = random_codes(pick_strides(&p, p.a_stride), p.a_bytes, code_min_of(p.a_bytes),
                     code_max_of(p.a_bytes), mode);
    b = random_codes(pick_strides(&p, p.b_stride), p.b_bytes, code_min_of(p.b_bytes),
                     code_max_of(p.b_bytes), mode);
    for (axis = 0; axis < p.rank; ++axis) count *= (size_t)p.dims[axis];
    expected = (int64_t*)guarded(count * sizeof *expected);
    for (element = 0; element < count; ++element) {
      size_t rest = element, a_index = 0, b_index = 0;
      for (axis = p.rank - 1; axis >= 0; --axis) {
        const size_t index = rest % (size_t)p.dims[axis];
        rest /= (size_t)p.dims[axis];
        a_index += index * (size_t)p.a_stride[axis];
        b_index += index * (size_t)p.b_stride[axis];
      }
      expected[element] = binary_meaning(&p, op, code_at(a, a_index, p.a_bytes),
                                         code_at(b, b_index, p.b_bytes));
    }
    begin_case("rank %d last %d bytes %d,%d,%d zeros %d,%d shift %d acc64 %d", p.rank,
               p.rank > 0 ? p.dims[p.rank - 1] : 1, p.a_bytes, p.b_bytes, p.y_bytes,
               p.a_zero, p.b_zero, p.shift, p.acc64);
    while ((row = next_row(kernel, &at)) != NULL) {
      void* y = guarded(count * p.y_bytes);
      ((qrt_binary_fn*)row->fn)(&p, a, b, y);
      compare(row, y, p.y_bytes, expected, count);
      y = guarded(count * p.y_bytes);
      qrt_parallel_binary(team, (qrt_binary_fn*)row->fn, &p, a, b, y);
      compare(row, y, p.y_bytes, expected, count);
      if (p.a_bytes == p.y_bytes && is_dense(&p, p.a_stride)) {
        y = copy_of(a, count, p.a_bytes);
        ((qrt_binary_fn*)row->fn)(&p, y, b, y);
        compare(row, y, p.y_bytes, expected, count);
      }
      if (p.b_bytes == p.y_bytes && is_dense(&p, p.b_stride)) {
        y = copy_of(b, count, p.b_bytes);
        ((qrt_binary_fn*)row->fn)(&p, a, y, y);
        compare(row, y, p.y_bytes, expected, count);
      }
    }
    end_case();
  }
}

static void check_rescale(int cases) {
  int i;
  for (i = 0; i < cases; ++i) {
    qrt_rescale_params p = {.count = pick(1, 300)};
    const driver_row* row;
    const qrt_team* team = random_team();
    const void* x;
    int64_t* expected;
    size_t at = 0, element;
    p.x_bytes = (uint8_t)pick(1, 2);
    p.y_bytes = (uint8_t)pick(1, 2);
    p.x_zero = pick(code_min_of(p.x_bytes), code_max_of(p.x_bytes));
    p.lo = code_min_of(p.y_bytes);
    p.hi = code_max_of(p.y_bytes);
    p.y_zero = pick(p.lo, p.hi);
    pick_scale(8 * p.x_bytes, 8 * p.y_bytes, &p.multiplier, &p.shift);
    if (pick(0, 2) == 0) p.shift = pick(22, 30); /* scaling up saturates */
    x = random_codes((size_t)p.count, p.x_bytes, code_min_of(p.x_bytes),
                     code_max_of(p.x_bytes), pick_mode());
    expected = (int64_t*)guarded((size_t)p.count * sizeof *expected);
    for (element = 0; element < (size_t)p.count; ++element) {
      const int64_t q = requant_meaning(code_at(x, element, p.x_bytes) - p.x_zero,
                                        p.multiplier, p.shift, 0);
      expected[element] = finish_meaning(q, p.y_zero, p.lo, p.hi);
    }
    begin_case("count %d bytes %d,%d multiplier %d shift %d", p.count, p.x_bytes,
               p.y_bytes, p.multiplier, p.shift);
    while ((row = next_row("rescale_any", &at)) != NULL) {
      void* y = guarded((size_t)p.count * p.y_bytes);
      ((qrt_rescale_fn*)row->fn)(&p, x, y);
      compare(row, y, p.y_bytes, expected, (size_t)p.count);
      y = guarded((size_t)p.count * p.y_bytes);
      qrt_parallel_rescale(team, (qrt_rescale_fn*)row->fn, &p, x, y);
      compare(row, y, p.y_bytes, expected, (size_t)p.count);
      if (p.x_bytes != p.y_bytes) continue;
      y = copy_of(x, (size_t)p.count, p.x_bytes);
      ((qrt_rescale_fn*)row->fn)(&p, y, y);
      compare(row, y, p.y_bytes, expected, (size_t)p.count);
    }
    end_case();
  }
}

static void check_lut(int cases) {
  int i;
  for (i = 0; i < cases; ++i) {
    qrt_lut_params p = {.channels = 1};
    const driver_row* row;
    const qrt_team* team = random_team();
    const void *x, *table;
    int64_t* expected;
    size_t at = 0, element, entries;
    p.x_bytes = (uint8_t)(pick(0, 7) == 0 ? 2 : 1);
    p.y_bytes = (uint8_t)pick(1, 2);
    if (p.x_bytes == 1 && pick(0, 1) == 0) p.channels = pick_channels();
    p.count = p.channels * pick(1, p.channels == 1 ? 300 : 30);
    entries = p.x_bytes == 1 ? 256 : 65536;
    x = random_codes((size_t)p.count, p.x_bytes, code_min_of(p.x_bytes),
                     code_max_of(p.x_bytes), pick_mode());
    table = random_codes((size_t)p.channels * entries, p.y_bytes, code_min_of(p.y_bytes),
                         code_max_of(p.y_bytes), RANDOM_CODES);
    expected = (int64_t*)guarded((size_t)p.count * sizeof *expected);
    for (element = 0; element < (size_t)p.count; ++element) {
      const size_t channel = element % (size_t)p.channels;
      const int32_t code = code_at(x, element, p.x_bytes) - code_min_of(p.x_bytes);
      expected[element] = code_at(table, channel * entries + (size_t)code, p.y_bytes);
    }
    begin_case("count %d channels %d bytes %d,%d", p.count, p.channels, p.x_bytes,
               p.y_bytes);
    while ((row = next_row("lut_any", &at)) != NULL) {
      void* y = guarded((size_t)p.count * p.y_bytes);
      ((qrt_lut_fn*)row->fn)(&p, x, table, y);
      compare(row, y, p.y_bytes, expected, (size_t)p.count);
      y = guarded((size_t)p.count * p.y_bytes);
      qrt_parallel_lut(team, (qrt_lut_fn*)row->fn, &p, x, table, y);
      compare(row, y, p.y_bytes, expected, (size_t)p.count);
      if (p.x_bytes != p.y_bytes) continue;
      y = copy_of(x, (size_t)p.count, p.x_bytes);
      ((qrt_lut_fn*)row->fn)(&p, y, table, y);
      compare(row, y, p.y_bytes, expected, (size_t)p.count);
    }
    end_case();
  }
}

void check_elementwise_kernels(int cases) {
  check_binary("add_any", '+', 2 * cases);
  check_binary("mul_any", '*', cases);
  check_binary("div_any", '/', cases);
  check_rescale(cases);
  check_lut(cases / 2);
}
