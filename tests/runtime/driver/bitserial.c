/* SPDX-License-Identifier: MIT
 * Bit-serial convolution against N21: every pair of bits, every level set, codes and bit
 * planes on both sides, and the sums that would overflow a byte or 16 bits. */
#include "driver.h"
#include "qrt/qrt.h"

typedef struct {
  qrt_bitserial_params p;
  int32_t* x; /* A, unsigned codes */
  int32_t* u; /* U [o, kh, kw, c] */
  const int32_t* bias;
  int32_t* multiplier;
  int8_t* shift;
  int16_t* w_zero; /* NULL: 0 */
} bit_case;

static size_t words_of(int32_t channels) { return ((size_t)channels + 63) / 64; }

/* ------------------------------------------------------------ layouts, from qrt.h's text
 */

static void set_bit(uint64_t* word, int32_t channel) {
  const int in_byte = channel % 64 / 8, byte = channel % 8;
  *word |= (uint64_t)1 << (8 * byte + in_byte);
}

static int get_bit(uint64_t word, int32_t channel) {
  return (int)(word >> (8 * (channel % 8) + channel % 64 / 8) & 1);
}

/* Planes of codes [n, positions, c]; the position behind the last holds `outside`. */
static uint64_t* planes_of(const int32_t* codes, int32_t n, size_t positions, int32_t c,
                           int bits, int32_t outside) {
  const size_t image = qrt_bit_plane_size((int64_t)positions, c, bits) / 8;
  uint64_t* planes = (uint64_t*)guarded_scratch((size_t)n * image * 8);
  size_t i, at;
  int32_t k;
  int j;
  for (i = 0; i < (size_t)n; ++i) {
    for (at = 0; at <= positions; ++at) {
      for (k = 0; k < c; ++k) {
        const int32_t code = at < positions
                                 ? codes[(i * positions + at) * (size_t)c + (size_t)k]
                                 : outside;
        for (j = 0; j < bits; ++j) {
          const size_t word =
              i * image + ((size_t)j * (positions + 1) + at) * words_of(c);
          if (code >> j & 1) set_bit(planes + word + k / 64, k);
        }
      }
    }
  }
  return planes;
}

/* All codes that planes can hold: [n, positions + 1, 64 * words]. */
static int8_t* codes_of(const uint64_t* planes, int32_t n, size_t positions, int32_t c,
                        int bits) {
  const size_t image = qrt_bit_plane_size((int64_t)positions, c, bits) / 8;
  const size_t channels = 64 * words_of(c);
  int8_t* codes = (int8_t*)guarded((size_t)n * (positions + 1) * channels);
  size_t i, at, k;
  int j;
  for (i = 0; i < (size_t)n; ++i) {
    for (at = 0; at <= positions; ++at) {
      for (k = 0; k < channels; ++k) {
        int code = 0;
        for (j = 0; j < bits; ++j) {
          const size_t word =
              i * image + ((size_t)j * (positions + 1) + at) * words_of(c) + k / 64;
          code |= get_bit(planes[word], (int32_t)(k % 64)) << j;
        }
        codes[(i * (positions + 1) + at) * channels + k] = (int8_t)code;
      }
    }
  }
  return codes;
}

static uint64_t* panels_of(const bit_case* t) {
  const qrt_bitserial_params* p = &t->p;
  const size_t words = words_of(p->c), taps = (size_t)(p->kh * p->kw);
  const size_t depth = taps * words;
  uint64_t* panels = (uint64_t*)guarded_scratch(qrt_bit_panel_size(p));
  int32_t o, k;
  size_t tap;
  int i;
  for (o = 0; o < p->o; ++o) {
    for (tap = 0; tap < taps; ++tap) {
      for (k = 0; k < p->c; ++k) {
        const int32_t code = t->u[((size_t)o * taps + tap) * (size_t)p->c + (size_t)k];
        const size_t word = tap * words + (size_t)k / 64;
        const size_t in_plane = word + 1 == depth && depth % 2 == 1
                                    ? 4 * word + (size_t)(o % 4)
                                    : word / 2 * 8 + (size_t)(o % 4) * 2 + word % 2;
        for (i = 0; i < p->weight_bits; ++i) {
          const size_t plane = (size_t)(o / 4) * p->weight_bits + (size_t)i;
          if (code >> i & 1) set_bit(panels + plane * 4 * depth + in_plane, k);
        }
      }
    }
  }
  return panels;
}

/* ------------------------------------------------------------------------- the meaning
 */

static int64_t weight_of(const bit_case* t, int32_t o, size_t index) {
  return t->p.w_scale * t->u[index] - t->p.w_offset - (t->w_zero ? t->w_zero[o] : 0);
}

static int64_t sum_of(const bit_case* t, int32_t n, int32_t oh, int32_t ow, int32_t o) {
  const qrt_bitserial_params* p = &t->p;
  int64_t sum = 0;
  int32_t kh, kw, c;
  for (kh = 0; kh < p->kh; ++kh) {
    for (kw = 0; kw < p->kw; ++kw) {
      const int32_t ih = oh * p->stride_h - p->pad_top + kh * p->dilation_h;
      const int32_t iw = ow * p->stride_w - p->pad_left + kw * p->dilation_w;
      if (ih < 0 || ih >= p->h || iw < 0 || iw >= p->w) continue;
      for (c = 0; c < p->c; ++c) {
        const size_t at = (size_t)(((n * p->h + ih) * p->w + iw) * p->c + c);
        const size_t k = (size_t)(((o * p->kh + kh) * p->kw + kw) * p->c + c);
        sum += (t->x[at] + p->x_lo - p->x_zero) * weight_of(t, o, k);
      }
    }
  }
  return sum;
}

/* Codes y[n, oh, ow, o]. */
static void bitserial_meaning(const bit_case* t, int64_t* y) {
  const qrt_bitserial_params* p = &t->p;
  int32_t n, oh, ow, o;
  for (n = 0; n < p->n; ++n)
    for (oh = 0; oh < p->oh; ++oh)
      for (ow = 0; ow < p->ow; ++ow)
        for (o = 0; o < p->o; ++o) {
          const int64_t q = requant_sum_meaning(sum_of(t, n, oh, ow, o), t->bias[o],
                                                t->multiplier[o], t->shift[o], 0);
          *y++ = finish_meaning(q, p->y_zero, p->lo, p->hi);
        }
}

/* The same as planes hold them. */
static int64_t* planes_meaning(const qrt_bitserial_params* p, const int64_t* y) {
  const size_t positions = (size_t)(p->oh * p->ow), channels = 64 * words_of(p->o);
  int64_t* all =
      (int64_t*)guarded((size_t)p->n * (positions + 1) * channels * sizeof(int64_t));
  size_t i, at, k;
  for (i = 0; i < (size_t)p->n; ++i)
    for (at = 0; at <= positions; ++at)
      for (k = 0; k < (size_t)p->o; ++k)
        all[(i * (positions + 1) + at) * channels + k] =
            (at < positions ? y[(i * positions + at) * (size_t)p->o + k] : p->y_zero) -
            p->lo;
  return all;
}

/* ------------------------------------------------------------------------------- cases
 */

static void pick_shape(qrt_bitserial_params* p) {
  static const int32_t channels[] = {1, 7, 8, 60, 64, 65, 128, 130, 192, 256, 320};
  const int square = pick(0, 1);
  const int flat = pick(0, 3) == 0; /* few rows, so that parts are tiles of channels */
  p->c = channels[pick(0, 10)];
  p->o = flat || pick(0, 3) == 0 ? 68 : pick(1, 9);
  p->n = flat ? 1 : pick(1, 2);
  do {
    p->h = pick(1, flat ? 2 : 8);
    p->w = pick(1, 11);
    p->kh = square ? 3 : pick(1, 3);
    p->kw = square ? 3 : pick(1, 3);
    p->stride_h = pick(1, 2);
    p->stride_w = pick(1, 2);
    p->dilation_h = pick(0, 4) == 0 ? 2 : 1;
    p->dilation_w = pick(0, 4) == 0 ? 2 : 1;
    p->pad_top = square ? 1 : pick(0, 2);
    p->pad_left = square ? 1 : pick(0, 2);
    p->oh =
        (p->h + p->pad_top + pick(0, 1) - p->dilation_h * (p->kh - 1) - 1) / p->stride_h +
        1;
    p->ow = (p->w + p->pad_left + pick(0, 1) - p->dilation_w * (p->kw - 1) - 1) /
                p->stride_w +
            1;
  } while (p->oh < 1 || p->ow < 1 || p->oh * p->ow > 40 ||
           p->h + p->pad_top < p->dilation_h * (p->kh - 1) + 1 ||
           p->w + p->pad_left < p->dilation_w * (p->kw - 1) + 1);
}

/* One position whose sums reach what `pick_shape` cannot: the depth alone is long. */
static void pick_deep(qrt_bitserial_params* p) {
  p->c = 64 * pick(20, 70) + pick(0, 1);
  p->o = pick(1, 5);
  p->n = 1;
  p->h = p->w = p->kh = p->kw = pick(1, 3);
  p->oh = p->ow = p->stride_h = p->stride_w = p->dilation_h = p->dilation_w = 1;
}

static void pick_levels(bit_case* t) {
  qrt_bitserial_params* p = &t->p;
  p->w_scale = 1;
  switch (pick(0, 2)) {
    case 0: p->w_offset = 1 << (p->weight_bits - 1); break; /* two's complement */
    case 1: p->w_offset = 0; break;
    default: /* odd levels */
      p->w_scale = 2;
      p->w_offset = (1 << p->weight_bits) - 1;
      break;
  }
  if (pick(0, 3) == 0) {
    int32_t o;
    t->w_zero = (int16_t*)guarded((size_t)p->o * 2);
    for (o = 0; o < p->o; ++o) t->w_zero[o] = (int16_t)pick(-8, 7);
  }
}

static int32_t* bit_codes(size_t count, int bits, int all_ones) {
  const int32_t top = (1 << bits) - 1, mode = all_ones ? 0 : pick(0, 5);
  int32_t* codes = (int32_t*)random_codes(count, 4, 0, top, RANDOM_CODES);
  size_t i;
  if (mode > 1) return codes;
  for (i = 0; i < count; ++i) codes[i] = mode == 0 ? top : pick(0, 3) == 0 ? 0 : top;
  return codes;
}

static void make_case(bit_case* t, int weight_bits, int x_bits, int deep, int all_ones) {
  qrt_bitserial_params* p = &t->p;
  size_t depth, positions, o;
  int bits = 1;
  p->weight_bits = (uint8_t)weight_bits;
  p->x_bits = (uint8_t)x_bits;
  if (deep) {
    pick_deep(p);
  } else {
    pick_shape(p);
  }
  pick_levels(t);
  depth = (size_t)(p->kh * p->kw * p->c);
  positions = (size_t)(p->h * p->w);
  p->x_lo = pick(0, 1) ? 0 : pick(-128, 127 - (1 << x_bits) + 1);
  p->x_zero = p->x_lo + (pick(0, 1) ? 0 : pick(0, (1 << x_bits) - 1));
  p->x_planes = (uint8_t)pick(0, 1);
  p->y_bits = (uint8_t)(pick(0, 1) ? 0 : pick(1, 4));
  p->lo = -128;
  p->hi = 127;
  if (p->y_bits) {
    p->lo = pick(-128, 127 - (1 << p->y_bits) + 1);
    p->hi = p->lo + pick(0, (1 << p->y_bits) - 1);
    p->y_zero = p->lo + pick(0, (1 << p->y_bits) - 1);
  } else {
    p->y_zero = pick(-128, 127);
    if (pick(0, 2) == 0) p->lo = p->y_zero;
    if (pick(0, 4) == 0) p->hi = pick(p->lo, 127);
  }
  t->x = bit_codes((size_t)p->n * positions * (size_t)p->c, x_bits, all_ones);
  t->u = bit_codes((size_t)p->o * depth, weight_bits, all_ones);
  t->bias =
      (const int32_t*)random_codes((size_t)p->o, 4, -(1 << 12), 1 << 12, pick_mode());
  t->multiplier = (int32_t*)guarded((size_t)p->o * 4);
  t->shift = (int8_t*)guarded((size_t)p->o);
  while ((size_t)1 << bits < depth << (weight_bits + x_bits)) ++bits;
  for (o = 0; o < (size_t)p->o; ++o) {
    int32_t multiplier, shift;
    pick_scale(bits / 2 + 4, p->y_bits ? p->y_bits : 8, &multiplier, &shift);
    t->multiplier[o] = multiplier;
    if (shift > 0 && pick(0, 1) != 0) shift = -shift;
    t->shift[o] = (int8_t)provable_shift(shift, (int64_t)4 << bits, 0);
  }
  begin_case(
      "w%da%d x %dx%dx%dx%d%s lo %d zero %d y %dx%dx%d planes %d [%d,%d] zero %d kernel "
      "%dx%d stride %d,%d dilation %d,%d pads %d,%d scale %d offset %d%s",
      weight_bits, x_bits, p->n, p->h, p->w, p->c, p->x_planes ? " planes" : "", p->x_lo,
      p->x_zero, p->oh, p->ow, p->o, p->y_bits, p->lo, p->hi, p->y_zero, p->kh, p->kw,
      p->stride_h, p->stride_w, p->dilation_h, p->dilation_w, p->pad_top, p->pad_left,
      p->w_scale, p->w_offset, t->w_zero ? ",w" : "");
}

/* The scratch that every part of the layer fits into. */
static size_t bit_part_scratch(const qrt_team* team, const qrt_bitserial_params* p) {
  const int32_t threads = team->parallel->threads;
  int32_t asked, part;
  size_t most = 0;
  for (asked = 2; asked <= threads; ++asked) {
    for (part = 0; part < qrt_bitserial_parts(p, asked); ++part) {
      const qrt_bitserial_part slice = qrt_bitserial_part_of(p, part, asked);
      const size_t size = qrt_bitserial_s8_scratch_size(&slice.p);
      if (size > most) most = size;
    }
  }
  return most;
}

/* Memory for y. */
static void* guarded_result(const qrt_bitserial_params* p) {
  const int64_t positions = (int64_t)p->oh * p->ow;
  if (!p->y_bits) return guarded((size_t)(p->n * positions * p->o));
  return guarded_scratch((size_t)p->n * qrt_bit_plane_size(positions, p->o, p->y_bits));
}

/* Compares y with `expected`: codes, or all that planes can hold. */
static void compare_result(const driver_row* row, const qrt_bitserial_params* p,
                           const void* y, const int64_t* expected) {
  const size_t positions = (size_t)(p->oh * p->ow);
  if (p->y_bits) {
    compare(row, codes_of((const uint64_t*)y, p->n, positions, p->o, p->y_bits), 1,
            expected, (size_t)p->n * (positions + 1) * 64 * words_of(p->o));
  } else {
    compare(row, y, 1, expected, (size_t)p->n * positions * (size_t)p->o);
  }
}

static void check_case(const bit_case* t) {
  const qrt_bitserial_params* p = &t->p;
  const size_t in_positions = (size_t)(p->h * p->w), positions = (size_t)(p->oh * p->ow);
  const size_t count = (size_t)p->n * positions * (size_t)p->o;
  const size_t x_count = (size_t)p->n * in_positions * (size_t)p->c;
  int64_t* expected = (int64_t*)guarded(count * sizeof *expected);
  const uint64_t* panels = panels_of(t);
  const qrt_team* team = random_team();
  const driver_row* row;
  const void* x;
  size_t at = 0, i;
  bitserial_meaning(t, expected);
  if (p->x_planes) {
    x = planes_of(t->x, p->n, in_positions, p->c, p->x_bits, p->x_zero - p->x_lo);
  } else {
    int8_t* codes = (int8_t*)guarded(x_count);
    for (i = 0; i < x_count; ++i) codes[i] = (int8_t)(t->x[i] + p->x_lo);
    x = codes;
  }
  if (p->y_bits) expected = planes_meaning(p, expected);
  while ((row = next_row("bitserial_s8", &at)) != NULL) {
    qrt_bitserial_fn* const kernel = (qrt_bitserial_fn*)row->fn;
    void* scratch = guarded_scratch(qrt_bitserial_s8_scratch_size(p));
    void* y = guarded_result(p);
    kernel(p, x, panels, t->bias, t->multiplier, t->shift, t->w_zero, y, scratch);
    compare_result(row, p, y, expected);
    y = guarded_result(p);
    give_scratch(bit_part_scratch(team, p));
    qrt_parallel_bitserial(team, kernel, p, x, panels, t->bias, t->multiplier, t->shift,
                           t->w_zero, y, scratch);
    compare_result(row, p, y, expected);
  }
  end_case();
}

void check_bitserial_kernels(int cases) {
  int i, pair;
  for (i = 0; i < (cases + 15) / 16; ++i) {
    for (pair = 0; pair < 16; ++pair) {
      bit_case t = {.x = NULL};
      /* First the greatest sums there can be. */
      const int all_ones = i == 0 && pair % 5 == 0;
      make_case(&t, 1 + pair / 4, 1 + pair % 4, i % 8 == 7 || all_ones, all_ones);
      check_case(&t);
    }
  }
}
