/* SPDX-License-Identifier: MIT
 * Convolution, depthwise and transposed convolution, matrix product against N21 to N23.
 */
#include "driver.h"
#include "qrt/qrt.h"

typedef struct {
  qrt_conv2d_params p;
  const void* x;
  const int32_t* codes; /* unpacked weights [o, kh, kw, c / groups] */
  const void* packed;
  int64_t* bias;
  const void* stored_bias;
  int32_t* multiplier;
  int8_t* shift;
  int16_t* w_zero; /* NULL: 0 */
  int32_t* weight_sums;
} conv_case;

static int64_t input(const conv_case* t, int32_t n, int32_t h, int32_t w, int32_t c) {
  const qrt_conv2d_params* p = &t->p;
  const size_t index =
      (((size_t)n * (size_t)p->h + (size_t)h) * (size_t)p->w + (size_t)w) * (size_t)p->c +
      (size_t)c;
  return code_at(t->x, index, p->x_bytes) - p->x_zero;
}

static int64_t weight(const conv_case* t, int32_t o, int32_t kh, int32_t kw, int32_t c) {
  const qrt_conv2d_params* p = &t->p;
  const int32_t channels = p->c / p->groups;
  return t->codes[((o * p->kh + kh) * p->kw + kw) * channels + c] -
         (t->w_zero ? t->w_zero[o] : 0);
}

static size_t output_index(const qrt_conv2d_params* p, int32_t n, int32_t oh, int32_t ow,
                           int32_t o) {
  return (((size_t)n * (size_t)p->oh + (size_t)oh) * (size_t)p->ow + (size_t)ow) *
             (size_t)p->o +
         (size_t)o;
}

/* Products of the position pair (ih, iw) of x and (oh, ow) of y under tap (kh, kw). */
static void add_tap(const conv_case* t, int64_t* acc, int32_t n, int32_t ih, int32_t iw,
                    int32_t oh, int32_t ow, int32_t kh, int32_t kw) {
  const qrt_conv2d_params* p = &t->p;
  const int32_t channels = p->c / p->groups, outputs = p->o / p->groups;
  int32_t o, c;
  if (ih < 0 || ih >= p->h || iw < 0 || iw >= p->w) return;
  if (oh < 0 || oh >= p->oh || ow < 0 || ow >= p->ow) return;
  for (o = 0; o < p->o; ++o) {
    int64_t* sum = acc + output_index(p, n, oh, ow, o);
    const int32_t first = o / outputs * channels;
    for (c = 0; c < channels; ++c) {
      *sum += input(t, n, ih, iw, first + c) * weight(t, o, kh, kw, c);
    }
  }
}

/* Accumulators become codes in place. */
static void finish_conv(const conv_case* t, int64_t* acc) {
  const qrt_conv2d_params* p = &t->p;
  const size_t count = output_index(p, p->n, 0, 0, 0);
  size_t i;
  for (i = 0; i < count; ++i) {
    const size_t o = i % (size_t)p->o;
    const int64_t q =
        requant_sum_meaning(acc[i], t->bias[o], t->multiplier[o], t->shift[o], p->acc64);
    acc[i] = finish_meaning(q, p->y_zero, p->lo, p->hi);
  }
}

static void conv_meaning(const conv_case* t, int64_t* y) {
  const qrt_conv2d_params* p = &t->p;
  int32_t n, oh, ow, kh, kw;
  for (n = 0; n < p->n; ++n)
    for (oh = 0; oh < p->oh; ++oh)
      for (ow = 0; ow < p->ow; ++ow)
        for (kh = 0; kh < p->kh; ++kh)
          for (kw = 0; kw < p->kw; ++kw)
            add_tap(t, y, n, oh * p->stride_h - p->pad_top + kh * p->dilation_h,
                    ow * p->stride_w - p->pad_left + kw * p->dilation_w, oh, ow, kh, kw);
  finish_conv(t, y);
}

static void transposed_meaning(const conv_case* t, int64_t* y) {
  const qrt_conv2d_params* p = &t->p;
  int32_t n, ih, iw, kh, kw;
  for (n = 0; n < p->n; ++n)
    for (ih = 0; ih < p->h; ++ih)
      for (iw = 0; iw < p->w; ++iw)
        for (kh = 0; kh < p->kh; ++kh)
          for (kw = 0; kw < p->kw; ++kw)
            add_tap(t, y, n, ih, iw, ih * p->stride_h - p->pad_top + kh * p->dilation_h,
                    iw * p->stride_w - p->pad_left + kw * p->dilation_w, kh, kw);
  finish_conv(t, y);
}

static void pick_groups(qrt_conv2d_params* p, int depthwise) {
  p->c = pick_channels();
  p->o = pick_channels();
  p->groups = 1;
  if (depthwise) {
    p->o = p->groups = p->c;
  } else if (pick(0, 3) == 0) {
    const int32_t groups = pick(2, 4);
    p->c = groups * pick(1, 17);
    p->o = groups * pick(1, 9);
    p->groups = groups;
  }
}

/* Some pictures are large enough for several strips or blocks of the direct kernels. */
static void pick_geometry(qrt_conv2d_params* p, int transposed) {
  const int large = !transposed && p->c <= 7 && p->o <= 17 && pick(0, 3) == 0;
  if (!transposed && pick(0, 11) == 0) { /* rows of a matrix */
    p->n = pick(1, 2);
    p->h = p->oh = p->kh = p->kw = 1;
    p->w = p->ow = pick(1, 50);
    p->stride_h = pick(1, 2);
    p->stride_w = p->dilation_h = p->dilation_w = 1;
    p->pad_top = p->pad_left = 0;
    return;
  }
  do {
    int32_t bottom, right;
    p->n = large ? 1 : pick(1, 2);
    p->h = large ? pick(14, 40) : pick(1, 9);
    p->w = large ? pick(10, 40) : pick(1, 9);
    p->kh = pick(0, 2) == 0 ? 1 : pick(1, 4);
    p->kw = p->kh == 1 ? pick(0, 1) == 0 ? 1 : pick(1, 5) : pick(1, 4);
    p->stride_h = pick(1, 3);
    p->stride_w = pick(1, 3);
    p->dilation_h = pick(1, 2);
    p->dilation_w = pick(1, 3);
    p->pad_top = pick(0, 2);
    p->pad_left = pick(0, 3);
    bottom = pick(0, 2);
    right = pick(0, 2);
    if (transposed) {
      p->oh = (p->h - 1) * p->stride_h - p->pad_top - bottom +
              p->dilation_h * (p->kh - 1) + pick(0, p->stride_h - 1) + 1;
      p->ow = (p->w - 1) * p->stride_w - p->pad_left - right +
              p->dilation_w * (p->kw - 1) + pick(0, p->stride_w - 1) + 1;
    } else {
      const int32_t rows = p->h + p->pad_top + bottom - p->dilation_h * (p->kh - 1);
      const int32_t cols = p->w + p->pad_left + right - p->dilation_w * (p->kw - 1);
      p->oh = rows > 0 ? (rows - 1) / p->stride_h + 1 : 0;
      p->ow = cols > 0 ? (cols - 1) / p->stride_w + 1 : 0;
    }
  } while (p->oh < 1 || p->ow < 1 || p->oh * p->ow > (large ? 560 : 120));
}

/* A deep layer: the largest K of ResNet, on a picture of few positions. */
static void pick_deep(qrt_conv2d_params* p) {
  p->n = p->groups = 1;
  p->c = 512;
  p->o = pick(1, 5);
  p->kh = p->kw = pick(0, 3) == 0 ? 2 : 3;
  p->stride_h = p->stride_w = pick(0, 2) == 0 ? 2 : 1;
  p->oh = p->ow = pick(0, 3) == 0 ? 2 : 3;
  p->h = p->w = (p->oh - 1) * p->stride_h + p->kh - 2;
  p->dilation_h = p->dilation_w = 1;
  p->pad_top = p->pad_left = 1;
}

/* The first layer of a network for images, grey or of colours: windows are gathered. */
static void pick_image(qrt_conv2d_params* p) {
  p->n = p->groups = 1;
  p->c = pick(0, 1) == 0 ? 1 : 3;
  p->kh = p->kw = pick(3, 5);
  p->h = p->w = pick(8, 16);
  p->stride_h = p->stride_w = pick(1, 2);
  p->dilation_h = p->dilation_w = 1;
  p->pad_top = p->pad_left = p->kh / 2;
  p->oh = p->ow = (p->h - 1) / p->stride_h + 1;
}

/* A depthwise 3x3 layer with enough channels and columns for the widest vectors. */
static void pick_depthwise(qrt_conv2d_params* p) {
  p->n = 1;
  p->c = p->o = p->groups = pick(16, 80);
  p->kh = p->kw = 3;
  p->h = p->oh = pick(1, 4);
  p->stride_h = p->dilation_h = 1;
  p->stride_w = pick(1, 2);
  p->dilation_w = pick(0, 3) == 0 ? 2 : 1;
  p->pad_top = 1;
  p->pad_left = pick(0, 2);
  p->ow = pick(1, 9);
  p->w = (p->ow - 1) * p->stride_w + 1 + pick(0, 1);
}

/* Three columns under whole vectors of channels: kernels may treat neighbours together.
 */
static void pick_neighbours(qrt_conv2d_params* p) {
  const int large = pick(0, 11) == 0; /* more neighbours in a block than are kept */
  p->n = large ? 1 : pick(1, 2);
  p->groups = 1;
  p->c = large ? 16 : 16 * pick(1, 3);
  p->o = large ? pick(1, 3) : pick_channels();
  p->kh = pick(1, 3);
  p->kw = 3;
  p->stride_h = pick(1, 2);
  p->dilation_h = pick(1, 2);
  p->stride_w = p->dilation_w = 1;
  p->pad_top = pick(0, 1);
  p->pad_left = pick(0, 2);
  p->h = p->dilation_h * (p->kh - 1) + (large ? 19 : pick(1, 7));
  p->w = 2 + (large ? 18 : pick(1, 9));
  p->oh = (p->h + p->pad_top - p->dilation_h * (p->kh - 1) - 1) / p->stride_h + 1;
  p->ow = p->w + p->pad_left + pick(0, 1) - 2;
}

/* Several kernel rows that end in the first half of a vector. */
static void pick_ragged(qrt_conv2d_params* p) {
  p->n = p->groups = 1;
  p->c = 16 * pick(1, 3) + pick(1, 8);
  p->o = pick_channels();
  p->kh = pick(2, 3);
  p->kw = pick(0, 1) == 0 ? 1 : 3;
  p->stride_h = p->stride_w = p->dilation_h = p->dilation_w = 1;
  p->pad_top = pick(0, 1);
  p->pad_left = p->kw == 1 ? 0 : pick(0, 1);
  p->h = p->kh + pick(0, 3);
  p->w = p->kw + pick(0, 6);
  p->oh = p->h + p->pad_top - p->kh + 1;
  p->ow = p->w + p->pad_left - p->kw + 1;
}

static void pick_output(int32_t* y_zero, int32_t* lo, int32_t* hi, int bytes) {
  *lo = code_min_of(bytes);
  *hi = code_max_of(bytes);
  *y_zero = pick(*lo, *hi);
  if (pick(0, 2) == 0) *lo = *y_zero; /* relu */
  if (pick(0, 4) == 0) *hi = pick(*lo, *hi);
}

static int bits_of(int64_t x) {
  int bits = 1;
  while (x != 0) {
    x /= 2;
    ++bits;
  }
  return bits;
}

/* Codes of x whose products with the weights' sum up in bytes for two steps or more. */
static void pick_small_codes(conv_case* t, code_mode mode) {
  qrt_conv2d_params* p = &t->p;
  const int greatest =
      p->odd_weights ? (1 << p->weight_bits) - 1 : 1 << (p->weight_bits - 1);
  const int32_t fitting = INT8_MAX / 2 / greatest;
  const int32_t most = pick(0, 1) == 0 ? fitting : pick(1, fitting);
  /* Bytes, and what they are widened to, get as full as they may. */
  const int32_t least = mode != ALL_MINIMUM && pick(0, 1) == 0 ? 0 : -most;
  p->x_most = (uint8_t)most;
  p->x_zero = pick(-most, most);
  t->x = random_codes((size_t)(p->n * p->h * p->w * p->c), 1, least, most, mode);
}

/* Weights of s8 kernels have at most `most_bits` bits. */
static void make_conv(conv_case* t, int wide, int depthwise, int transposed,
                      int most_bits, int has_small_codes) {
  qrt_conv2d_params* p = &t->p;
  const code_mode mode = pick_mode();
  /* Rare things come together, so that whole vectors are often without them. */
  const int is_usual = pick(0, 2) != 0, has_great_biases = pick(0, 7) == 0;
  size_t depth, o;
  int64_t greatest;
  int32_t* biases;
  pick_groups(p, depthwise);
  pick_geometry(p, transposed);
  if (!wide && !depthwise && !transposed && pick(0, 15) == 0) pick_deep(p);
  if (!wide && !depthwise && !transposed && pick(0, 11) == 0) pick_image(p);
  if (!wide && depthwise && pick(0, 2) != 0) pick_depthwise(p);
  if (!wide && !depthwise && !transposed && pick(0, 4) == 0) pick_neighbours(p);
  if (most_bits < 8 && pick(0, 3) == 0) pick_ragged(p);
  if (has_small_codes && pick(0, 7) == 0) pick_deep(p);
  depth = (size_t)(p->kh * p->kw * (p->c / p->groups));
  p->x_bytes = (uint8_t)(wide ? pick(1, 2) : 1);
  p->y_bytes = (uint8_t)(pick(0, 3) == 0 ? 2 : 1);
  p->weight_bits = (uint8_t)pick(1, most_bits);
  if (pick(0, 1) == 0) p->weight_bits = (uint8_t)most_bits;
  if (wide && pick(0, 1) == 0) p->weight_bits = 16;
  p->x_zero = pick(code_min_of(p->x_bytes), code_max_of(p->x_bytes));
  if (pick(0, 3) == 0) p->x_zero = code_max_of(p->x_bytes);
  pick_output(&p->y_zero, &p->lo, &p->hi, p->y_bytes);
  t->x = random_codes((size_t)(p->n * p->h * p->w * p->c), p->x_bytes,
                      code_min_of(p->x_bytes), code_max_of(p->x_bytes), mode);
  p->odd_weights = (uint8_t)(p->weight_bits < 8 && pick(0, 1) == 0);
  t->codes = random_weights((size_t)p->o, depth, p->weight_bits, p->odd_weights, mode);
  if (has_small_codes) pick_small_codes(t, mode);
  p->narrow_weights = 1;
  for (o = 0; o < (size_t)p->o * depth; ++o) {
    if (t->codes[o] == -128) p->narrow_weights = 0;
  }
  if (pick(0, 3) == 0) p->narrow_weights = 0;
  t->packed = pack_weights(t->codes, (size_t)p->o, depth, p->weight_bits, p->odd_weights);
  if (pick(0, 1) == 0) {
    t->weight_sums = (int32_t*)guarded((size_t)p->o * 4);
    for (o = 0; o < (size_t)p->o * depth; ++o) t->weight_sums[o / depth] += t->codes[o];
    p->weight_sums = t->weight_sums;
  }
  t->w_zero = pick(0, 2) == 0 ? (int16_t*)guarded((size_t)p->o * 2) : NULL;
  greatest =
      ((int64_t)1 << (8 * p->x_bytes + p->weight_bits + p->odd_weights)) * (int64_t)depth;
  p->acc64 = (uint8_t)(greatest > (int64_t)1 << 30 || (wide && pick(0, 3) == 0));
  p->bias_bytes = (uint8_t)(wide && p->acc64 ? 4 * pick(1, 2) : 4);
  t->bias = (int64_t*)guarded((size_t)p->o * 8);
  biases = (int32_t*)random_codes((size_t)p->o, 4, -(1 << 20), 1 << 20, mode);
  t->stored_bias = biases;
  t->multiplier = (int32_t*)guarded((size_t)p->o * 4);
  t->shift = (int8_t*)guarded((size_t)p->o);
  for (o = 0; o < (size_t)p->o; ++o) {
    int32_t multiplier, shift;
    pick_scale(bits_of(greatest) - 3, 8 * p->y_bytes, &multiplier, &shift);
    if (is_usual && shift > 0) shift = 0;
    t->multiplier[o] = multiplier;
    t->shift[o] = (int8_t)provable_shift(shift, greatest, p->acc64);
    if (has_great_biases && !p->acc64 && t->shift[o] <= 0 && pick(0, 3) == 0) {
      /* As near the accumulator's end as a bias may be, and often hardly scaled. */
      const int32_t most = (int32_t)(INT32_MAX - greatest);
      biases[o] = pick(0, 1) == 0 ? most - pick(0, 1 << 20) : pick(0, 1 << 20) - most;
      if (pick(0, 1) == 0) {
        t->multiplier[o] = pick(1 << 30, INT32_MAX);
        t->shift[o] = 0;
      }
    }
    t->bias[o] = code_at(t->stored_bias, o, 4);
    if (t->w_zero) {
      t->w_zero[o] =
          (int16_t)pick(-(1 << (p->weight_bits - 1)), (1 << (p->weight_bits - 1)) - 1);
    }
    if (p->bias_bytes == 8) t->bias[o] *= (int64_t)pick(1, 1 << 20);
  }
  if (p->bias_bytes == 8) t->stored_bias = t->bias;
  /* Great layers are there for what a kernel's own blocks come to. */
  if (pick(0, p->oh * p->ow < 64 ? 2 : 15) == 0) p->block = pick(1, 2 * p->oh * p->ow);
  begin_case(
      "x %dx%dx%dx%d/%d y %dx%dx%d/%d kernel %dx%d stride %d,%d dilation %d,%d pads "
      "%d,%d groups %d bits %d%s zeros %d,%d%s acc64 %d narrow %d sums %d block %d most "
      "%d",
      p->n, p->h, p->w, p->c, p->x_bytes, p->oh, p->ow, p->o, p->y_bytes, p->kh, p->kw,
      p->stride_h, p->stride_w, p->dilation_h, p->dilation_w, p->pad_top, p->pad_left,
      p->groups, p->weight_bits, p->odd_weights ? " odd" : "", p->x_zero, p->y_zero,
      t->w_zero ? ",w" : "", p->acc64, p->narrow_weights, p->weight_sums != NULL,
      p->block, p->x_most);
}

typedef size_t conv_scratch_fn(const qrt_conv2d_params* p);

/* The scratch that every part of the layer fits into. */
static size_t conv_part_scratch(const qrt_team* team, const qrt_conv2d_params* p,
                                conv_scratch_fn* scratch_size) {
  const int32_t threads = team->parallel->threads;
  int32_t asked, part;
  size_t most = 0;
  for (asked = 2; asked <= threads; ++asked) {
    for (part = 0; part < qrt_conv2d_parts(p, asked); ++part) {
      const qrt_conv2d_part slice = qrt_conv2d_part_of(p, part, asked);
      const size_t size = scratch_size(&slice.p);
      if (size > most) most = size;
    }
  }
  return most;
}

static void check_conv(const char* kernel, int wide, int depthwise, int transposed,
                       int most_bits, int has_small_codes, conv_scratch_fn* scratch_size,
                       int cases) {
  int i;
  for (i = 0; i < cases; ++i) {
    conv_case t = {.x = NULL};
    const driver_row* row;
    size_t at = 0, count;
    int64_t* expected;
    const qrt_team* team;
    make_conv(&t, wide, depthwise, transposed, most_bits, has_small_codes);
    team = random_team();
    count = output_index(&t.p, t.p.n, 0, 0, 0);
    expected = (int64_t*)guarded(count * sizeof *expected);
    if (transposed) {
      transposed_meaning(&t, expected);
    } else {
      conv_meaning(&t, expected);
    }
    while ((row = next_row(kernel, &at)) != NULL) {
      void* y = guarded(count * t.p.y_bytes);
      void* scratch = guarded_scratch(scratch_size(&t.p));
      ((qrt_conv2d_fn*)row->fn)(&t.p, t.x, t.packed, t.stored_bias, t.multiplier, t.shift,
                                t.w_zero, y, scratch);
      compare(row, y, t.p.y_bytes, expected, count);
      if (transposed) continue;
      y = guarded(count * t.p.y_bytes);
      give_scratch(conv_part_scratch(team, &t.p, scratch_size));
      qrt_parallel_conv2d(team, (qrt_conv2d_fn*)row->fn, &t.p, t.x, t.packed,
                          t.stored_bias, t.multiplier, t.shift, t.w_zero, y, scratch);
      compare(row, y, t.p.y_bytes, expected, count);
    }
    end_case();
  }
}

static void matmul_meaning(const qrt_matmul_params* p, const void* a, const void* b,
                           size_t a_start, size_t b_start, int64_t* y) {
  int32_t i, j, k;
  for (i = 0; i < p->m; ++i) {
    for (j = 0; j < p->n; ++j) {
      int64_t acc = 0, q;
      for (k = 0; k < p->k; ++k) {
        const int64_t u = code_at(a, a_start + (size_t)(i * p->k + k), p->a_bytes);
        const int64_t v = code_at(b, b_start + (size_t)(k * p->n + j), p->b_bytes);
        acc += (u - p->a_zero) * (v - p->b_zero);
      }
      q = requant_meaning(acc, p->multiplier, p->shift, p->acc64);
      *y++ = finish_meaning(q, p->y_zero, p->lo, p->hi);
    }
  }
}

static void check_matmul(const char* kernel, int wide, int cases) {
  int i;
  for (i = 0; i < cases; ++i) {
    const int lone = pick(0, 2) == 0;
    qrt_matmul_params p = {.batch_rank = lone ? 0 : 2};
    const code_mode mode = pick_mode();
    const int32_t d0 = lone ? 1 : pick(1, 3), d1 = lone ? 1 : pick(1, 2);
    const int repeat_a = pick(0, 3) == 0, repeat_b = pick(0, 3) == 0;
    const driver_row* row;
    const qrt_team* team;
    const void *a, *b;
    int64_t *expected, greatest;
    size_t at = 0, matrix;
    int32_t u, v;
    p.m = pick(1, 35);
    p.k = pick_channels();
    p.n = pick(1, 18);
    p.a_bytes = (uint8_t)(wide ? pick(1, 2) : 1);
    p.b_bytes = (uint8_t)(wide ? pick(1, 2) : 1);
    p.y_bytes = (uint8_t)pick(1, 2);
    p.a_zero = pick(code_min_of(p.a_bytes), code_max_of(p.a_bytes));
    p.b_zero = pick(0, 2) == 0 ? 0 : pick(code_min_of(p.b_bytes), code_max_of(p.b_bytes));
    pick_output(&p.y_zero, &p.lo, &p.hi, p.y_bytes);
    greatest = ((int64_t)1 << (8 * (p.a_bytes + p.b_bytes))) * p.k;
    p.acc64 = (uint8_t)(greatest > (int64_t)1 << 30 || (wide && pick(0, 3) == 0));
    pick_scale(bits_of(greatest) - 3, 8 * p.y_bytes, &p.multiplier, &p.shift);
    p.shift = provable_shift(p.shift, greatest, p.acc64);
    p.batch_dims[0] = d0;
    p.batch_dims[1] = d1;
    p.a_batch_stride[1] = p.m * p.k;
    p.a_batch_stride[0] = repeat_a ? 0 : d1 * p.m * p.k;
    p.b_batch_stride[1] = repeat_b ? 0 : p.k * p.n;
    p.b_batch_stride[0] = (repeat_b ? 1 : d1) * p.k * p.n;
    a = random_codes((size_t)((repeat_a ? 1 : d0) * d1 * p.m * p.k), p.a_bytes,
                     code_min_of(p.a_bytes), code_max_of(p.a_bytes), mode);
    b = random_codes((size_t)(d0 * (repeat_b ? 1 : d1) * p.k * p.n), p.b_bytes,
                     code_min_of(p.b_bytes), code_max_of(p.b_bytes), mode);
    begin_case("batch %dx%d m %d k %d n %d bytes %d,%d,%d zeros %d,%d acc64 %d", d0, d1,
               p.m, p.k, p.n, p.a_bytes, p.b_bytes, p.y_bytes, p.a_zero, p.b_zero,
               p.acc64);
    team = random_team();
    matrix = (size_t)(p.m * p.n);
    expected = (int64_t*)guarded((size_t)(d0 * d1) * matrix * sizeof *expected);
    for (u = 0; u < d0; ++u) {
      for (v = 0; v < d1; ++v) {
        const int32_t a_start = u * p.a_batch_stride[0] + v * p.a_batch_stride[1];
        const int32_t b_start = u * p.b_batch_stride[0] + v * p.b_batch_stride[1];
        matmul_meaning(&p, a, b, (size_t)a_start, (size_t)b_start,
                       expected + (size_t)(u * d1 + v) * matrix);
      }
    }
    while ((row = next_row(kernel, &at)) != NULL) {
      const size_t count = (size_t)(d0 * d1) * matrix;
      void* y = guarded(count * p.y_bytes);
      void* scratch = guarded_scratch(wide ? qrt_matmul_wide_scratch_size(&p)
                                           : qrt_matmul_s8_scratch_size(&p));
      ((qrt_matmul_fn*)row->fn)(&p, a, b, y, scratch);
      compare(row, y, p.y_bytes, expected, count);
      y = guarded(count * p.y_bytes);
      give_scratch(wide ? qrt_matmul_wide_scratch_size(&p)
                        : qrt_matmul_s8_scratch_size(&p));
      qrt_parallel_matmul(team, (qrt_matmul_fn*)row->fn, &p, a, b, y, scratch);
      compare(row, y, p.y_bytes, expected, count);
    }
    end_case();
  }
}

void check_matrix_kernels(int cases) {
  check_conv("conv2d_s8", 0, 0, 0, 8, 0, qrt_conv2d_s8_scratch_size, 2 * cases);
  check_conv("conv2d_wide", 1, 0, 0, 8, 0, qrt_conv2d_wide_scratch_size, cases);
  check_conv("depthwise_s8", 0, 1, 0, 8, 0, qrt_depthwise_s8_scratch_size, 2 * cases);
  check_conv("conv_transpose2d_s8", 0, 0, 1, 8, 0, qrt_conv_transpose2d_s8_scratch_size,
             cases);
  check_conv("conv_transpose2d_wide", 1, 0, 1, 8, 0,
             qrt_conv_transpose2d_wide_scratch_size, cases / 2);
  check_matmul("matmul_s8", 0, cases);
  check_matmul("matmul_wide", 1, cases);
  check_conv("conv2d_w4", 0, 0, 0, 4, 0, qrt_conv2d_s8_scratch_size, 2 * cases);
  check_conv("conv2d_w4a4", 0, 0, 0, 4, 1, qrt_conv2d_s8_scratch_size, 2 * cases);
}
