/* SPDX-License-Identifier: MIT
 * Bit-serial convolution around a register tile of 4 output positions times 4 output
 * channels that the including file provides: packs codes into bit planes, gathers the
 * planes of 4 positions into a panel, walks blocks of panels. Knows the layouts of qrt.h
 * ("bit planes", "bit panels") and no instruction set.
 *
 * The sum over two unsigned codes of few bits is a sum over pairs of bit planes,
 *     sum A * U = sum over i, j of 2^(i + j) * popcount(A_j & U_i),
 * (Umuroglu and Jahre, "Streamlined deployment for quantized neural networks", 2017).
 * Pairs are walked from the greatest weight down and the sums doubled in between.
 * Offsets of the weights cost one popcount sum a position, shared by all channels; the
 * zero point of the activations is folded into the bias.
 *
 * The including file defines before this header
 *   QRT_SEGMENT_STEPS  steps after which its sums must be widened
 * and after it
 *   pack_words  64-channel groups of codes become one word in each plane
 *   sum_rows    sums of the codes A in the rows of one panel
 *   run_tiles   a block of panels times 4 columns, requantised and stored */
#ifndef QRT_SRC_BITSERIAL_H
#define QRT_SRC_BITSERIAL_H

#include <string.h>

#include "qrt/qrt.h"

#define QRT_WORD_CODES 64

/* What turns the sums of four columns into codes. base: bias less the activations' zero
 * point, with the fraction bits of N19; offset: U minus the weight is this. */
typedef struct {
  int32_t base[4], multiplier[4], shift[4], offset[4];
} qrt_bit_columns;

/* What a row adds to each of four columns: -offset * sum A, or, where the columns'
 * offsets differ, sum A for the kernel to multiply. */
typedef struct {
  int32_t of[4];
} qrt_row_term;

/* A run of steps along one pair of planes; a step is two words of each row and column. x
 * and w are bytes from the panels' beginnings. */
enum { QRT_TAIL = 1, QRT_DOUBLE = 2, QRT_LAST = 4 };
typedef struct {
  int64_t x, w, steps;
  int64_t then; /* QRT_TAIL: add the odd word behind the steps; then QRT_DOUBLE: double
                   all sums; then QRT_LAST: the end */
} qrt_segment;

typedef struct {
  const qrt_bitserial_params* p;
  size_t words;         /* of a position in one plane */
  size_t depth;         /* words of a row of a panel in one plane: kh * kw * words */
  size_t plane_words;   /* of one plane of the whole of x */
  size_t panel_plane;   /* words of one plane of a panel of activations */
  size_t y_step;        /* codes from one position of run_tiles' y to the next */
  size_t chunk;         /* words after which 16-bit sums must be widened, or depth */
  qrt_segment full[32]; /* a chunk that is not the last one */
  qrt_segment last[32];
  int16_t y_zero[8]; /* for vector loads */
  int8_t lo[16], hi[16];
  int has_w_zero;      /* offsets differ, rows carry plain sums of A */
  int has_left_shifts; /* some shift is positive */
} qrt_bits;

static void pack_words(const int8_t* x, size_t groups, int32_t lo, int bits,
                       uint64_t* planes, size_t plane_words);
static void sum_rows(const qrt_bits* b, const uint64_t* panel, int32_t* sums);
static void run_tiles(const qrt_bits* b, const uint64_t* panels,
                      const qrt_row_term* terms, const uint64_t* w,
                      const qrt_bit_columns* columns, size_t rows, int width, int8_t* y);

static size_t bit_words(int32_t channels) {
  return ((size_t)channels + QRT_WORD_CODES - 1) / QRT_WORD_CODES;
}

/* Word of one column in a plane of a panel of weights: pairs of words of 4 columns, then
 * single words where the depth is odd. */
static size_t column_index(size_t depth, size_t word, size_t column) {
  return word + 1 == depth && depth % 2 == 1 ? 4 * word + column
                                             : word / 2 * 8 + column * 2 + word % 2;
}

/* Panels of activations hold an odd single word twice, for two columns at a time. */

/* ------------------------------------------------------------------- planes of a tensor
 */

/* Planes of one image that are being written. */
typedef struct {
  uint64_t* words;
  size_t step;        /* words from one position to the next */
  size_t plane_words; /* from one plane to the next */
  int32_t lo;         /* the code whose bits are all 0 */
  int bits;
} qrt_planes;

/* Codes of `positions` positions with c channels each, from position `first` on. */
static void pack_positions(const qrt_planes* to, size_t first, const int8_t* x,
                           size_t positions, int32_t c, int8_t* row) {
  const size_t words = bit_words(c), channels = (size_t)c;
  uint64_t* at = to->words + first * to->step;
  size_t i;
  if (channels % QRT_WORD_CODES == 0 && words == to->step) {
    pack_words(x, positions * words, to->lo, to->bits, at, to->plane_words);
    return;
  }
  memset(row, (uint8_t)to->lo, words * QRT_WORD_CODES);
  for (i = 0; i < positions; ++i, at += to->step) {
    memcpy(row, x + i * channels, channels);
    pack_words(row, words, to->lo, to->bits, at, to->plane_words);
  }
}

/* The position behind the last one: real zero, what convolutions see outside. */
static void pack_outside(const qrt_planes* to, size_t positions, int32_t c, int32_t zero,
                         int8_t* row) {
  const size_t words = bit_words(c);
  memset(row, (uint8_t)to->lo, words * QRT_WORD_CODES);
  memset(row, (uint8_t)zero, (size_t)c);
  pack_words(row, words, to->lo, to->bits, to->words + positions * to->step,
             to->plane_words);
}

/* ----------------------------------------------------------------------------- panels */

/* `run` words of 4 rows to word k on. */
static void place_rows(const qrt_bits* b, uint64_t* plane, size_t k, const uint64_t* s0,
                       const uint64_t* s1, const uint64_t* s2, const uint64_t* s3,
                       size_t run) {
  uint64_t* dst = plane + k / 2 * 8;
  const size_t end = k + run;
  if (k % 2 == 1) {
    dst[1] = *s0++;
    dst[3] = *s1++;
    dst[5] = *s2++;
    dst[7] = *s3++;
    dst += 8;
    ++k;
  }
  for (; k + 2 <= end; k += 2, dst += 8, s0 += 2, s1 += 2, s2 += 2, s3 += 2) {
    memcpy(dst, s0, 16);
    memcpy(dst + 2, s1, 16);
    memcpy(dst + 4, s2, 16);
    memcpy(dst + 6, s3, 16);
  }
  if (k == end) return;
  dst[0] = *s0;
  dst[2] = *s1;
  dst[4] = *s2;
  dst[6] = *s3;
  if (end == b->depth) {
    dst[1] = *s0;
    dst[3] = *s1;
    dst[5] = *s2;
    dst[7] = *s3;
  }
}

typedef struct {
  int32_t oy, ox;
} qrt_bit_position;

/* Four positions of one output row whose taps all lie inside. */
static void gather_inside(const qrt_bits* b, const uint64_t* planes, int32_t iy,
                          int32_t ix, uint64_t* panel) {
  const qrt_bitserial_params* p = b->p;
  const size_t stride = (size_t)p->stride_w * b->words;
  const size_t run = (size_t)p->kw * b->words;
  const size_t row_step = (size_t)p->dilation_h * (size_t)p->w * b->words;
  const uint64_t* row = planes + ((size_t)iy * (size_t)p->w + (size_t)ix) * b->words;
  size_t k;
  for (k = 0; k < b->depth; k += run, row += row_step) {
    const uint64_t* src = row;
    uint64_t* plane = panel;
    int j;
    for (j = 0; j < p->x_bits; ++j, src += b->plane_words, plane += b->panel_plane) {
      place_rows(b, plane, k, src, src + stride, src + 2 * stride, src + 3 * stride, run);
    }
  }
}

/* Four positions tap by tap; those outside are the position behind the last one. */
static void gather_taps(const qrt_bits* b, const uint64_t* planes,
                        const qrt_bit_position* at, uint64_t* panel) {
  const qrt_bitserial_params* p = b->p;
  const size_t outside = (size_t)p->h * (size_t)p->w;
  size_t k = 0;
  int32_t ky, kx;
  for (ky = 0; ky < p->kh; ++ky) {
    for (kx = 0; kx < p->kw; ++kx, k += b->words) {
      const uint64_t* src[4];
      uint64_t* plane = panel;
      size_t offset = 0;
      int i;
      for (i = 0; i < 4; ++i) {
        const int32_t iy = at[i].oy * p->stride_h - p->pad_top + ky * p->dilation_h;
        const int32_t ix = at[i].ox * p->stride_w - p->pad_left + kx * p->dilation_w;
        const int inside = iy >= 0 && iy < p->h && ix >= 0 && ix < p->w;
        const size_t position = inside ? (size_t)iy * (size_t)p->w + (size_t)ix : outside;
        src[i] = planes + position * b->words;
      }
      for (i = 0; i < p->x_bits; ++i) {
        place_rows(b, plane, k, src[0] + offset, src[1] + offset, src[2] + offset,
                   src[3] + offset, b->words);
        offset += b->plane_words;
        plane += b->panel_plane;
      }
    }
  }
}

/* The next `rows` positions; a panel's other rows repeat the last one. */
static void gather_panel(const qrt_bits* b, const uint64_t* planes, qrt_bit_position* at,
                         int rows, uint64_t* panel) {
  const qrt_bitserial_params* p = b->p;
  const int32_t iy = at->oy * p->stride_h - p->pad_top;
  const int32_t ix = at->ox * p->stride_w - p->pad_left;
  const int32_t last_ix = ix + 3 * p->stride_w + p->kw - 1;
  const int is_inside =
      iy >= 0 && ix >= 0 && last_ix < p->w && iy + (p->kh - 1) * p->dilation_h < p->h;
  qrt_bit_position positions[4];
  int row;
  if (rows == 4 && at->ox + 4 <= p->ow && (p->dilation_w == 1 || p->kw == 1) &&
      is_inside) {
    gather_inside(b, planes, iy, ix, panel);
    at->ox += 4;
    if (at->ox == p->ow) {
      at->ox = 0;
      ++at->oy;
    }
    return;
  }
  for (row = 0; row < 4; ++row) {
    /* The first row always exists; said so, compilers see no index of -1. */
    positions[row] = row < rows || row == 0 ? *at : positions[row - 1];
    if (row >= rows) continue;
    if (++at->ox == p->ow) {
      at->ox = 0;
      ++at->oy;
    }
  }
  gather_taps(b, planes, positions, panel);
}

/* ---------------------------------------------------------------------------- columns */

static uint32_t count_word(uint64_t x) {
#if QRT_HAS_avx2 && defined(__POPCNT__)
  return (uint32_t)__builtin_popcountll(x);
#else
  x -= x >> 1 & 0x5555555555555555u;
  x = (x & 0x3333333333333333u) + (x >> 2 & 0x3333333333333333u);
  x = (x + (x >> 4)) & 0x0F0F0F0F0F0F0F0Fu;
  return (uint32_t)((x * 0x0101010101010101u) >> 56);
#endif
}

/* Sum of U over one column of a panel. */
static uint32_t column_sum(const qrt_bits* b, const uint64_t* w, size_t column) {
  uint32_t sum = 0;
  int i;
  for (i = b->p->weight_bits - 1; i >= 0; --i) {
    const uint64_t* plane = w + (size_t)i * 4 * b->depth;
    size_t k;
    sum *= 2;
    for (k = 0; k < b->depth; ++k) {
      sum += count_word(plane[column_index(b->depth, k, column)]);
    }
  }
  return sum;
}

/* sum (A - a)(s U - f) = s sum A U - f sum A - a (s sum U - f K), where a is the code of
 * zero and K counts real channels. Unsigned: steps may wrap, the end may not. */
static void prepare_columns(qrt_bits* b, const uint64_t* w, const int32_t* bias,
                            const int32_t* multiplier, const int8_t* shift,
                            const int16_t* w_zero, qrt_bit_columns* columns) {
  const qrt_bitserial_params* p = b->p;
  const uint32_t count = (uint32_t)p->kh * (uint32_t)p->kw * (uint32_t)p->c;
  const uint32_t zero = (uint32_t)(p->x_zero - p->x_lo);
  int32_t o;
  memset(columns, 0, ((size_t)p->o + 3) / 4 * sizeof *columns);
  b->has_w_zero = w_zero != NULL;
  b->has_left_shifts = 0;
  for (o = 0; o < p->o; ++o) {
    qrt_bit_columns* c = columns + o / 4;
    const int slot = o % 4;
    const int32_t offset = p->w_offset + (w_zero ? w_zero[o] : 0);
    uint32_t base = (uint32_t)bias[o];
    if (zero != 0) {
      const uint64_t* panel = w + (size_t)(o / 4) * (size_t)p->weight_bits * 4 * b->depth;
      const uint32_t sum = (uint32_t)p->w_scale * column_sum(b, panel, (size_t)slot);
      base -= (zero * (sum - (uint32_t)offset * count)) << (shift[o] > 0 ? shift[o] : 0);
    }
    c->base[slot] = (int32_t)base;
    c->multiplier[slot] = multiplier[o];
    c->shift[slot] = shift[o];
    c->offset[slot] = offset;
    if (shift[o] > 0) b->has_left_shifts = 1;
  }
}

/* All pairs of planes from the greatest weight down, over `words` words. */
static void list_segments(const qrt_bits* b, size_t words, qrt_segment* next) {
  const qrt_bitserial_params* p = b->p;
  int s, i;
  for (s = p->weight_bits + p->x_bits - 2; s >= 0; --s) {
    const int first = s < p->x_bits ? 0 : s - p->x_bits + 1;
    const int last = s < p->weight_bits ? s : p->weight_bits - 1;
    for (i = first; i <= last; ++i) {
      const size_t steps = words / 2;
      const size_t parts = (steps + QRT_SEGMENT_STEPS - 1) / QRT_SEGMENT_STEPS;
      const size_t size = parts == 0 ? 0 : (steps + parts - 1) / parts;
      size_t done = 0;
      do {
        next->x = (int64_t)(((size_t)(s - i) * b->panel_plane + done * 8) * 8);
        next->w = (int64_t)(((size_t)i * 4 * b->depth + done * 8) * 8);
        next->steps = (int64_t)(steps - done < size ? steps - done : size);
        done += size;
        next->then = 0;
        if (done >= steps) {
          if (words % 2 == 1) next->then |= QRT_TAIL;
          if (i == last && s > 0)
            next->then |= QRT_DOUBLE; /* the next pairs weigh half */
          if (i == last && s == 0) next->then |= QRT_LAST;
          if (i == last && s == 0 && p->w_scale == 2) next->then |= QRT_DOUBLE;
        }
        ++next;
      } while (done < steps);
    }
  }
}

static void prepare_bits(qrt_bits* b, const qrt_bitserial_params* p) {
  const size_t codes = ((size_t)1 << p->weight_bits) - 1;
  const size_t products = codes * (((size_t)1 << p->x_bits) - 1) * (size_t)p->w_scale;
  int i;
  b->p = p;
  b->words = bit_words(p->c);
  b->depth = (size_t)p->kh * (size_t)p->kw * b->words;
  b->plane_words = ((size_t)p->h * (size_t)p->w + 1) * b->words;
  b->panel_plane = (b->depth + 1) / 2 * 8;
  b->y_step = p->y_pitch && !p->y_bits ? (size_t)p->y_pitch : (size_t)p->o;
  /* A 16-bit lane takes half a word's products: 32 a word. 480 words are 16 segments of
   * 15 steps; with more pairs of planes the products allow fewer: 32 segments are enough.
   */
  b->chunk = 65535 / (32 * products) / 2 * 2;
  if (b->chunk > 480) b->chunk = 480;
  if (b->chunk > b->depth) b->chunk = b->depth;
  for (i = 0; i < 8; ++i) b->y_zero[i] = (int16_t)p->y_zero;
  memset(b->lo, (uint8_t)p->lo, sizeof b->lo);
  memset(b->hi, (uint8_t)p->hi, sizeof b->hi);
  list_segments(b, b->chunk, b->full);
  list_segments(b, (b->depth - 1) % b->chunk + 1, b->last);
}

/* -------------------------------------------------------------------------------- all */

static void prepare_rows(const qrt_bits* b, const uint64_t* panel, qrt_row_term* terms) {
  const uint32_t factor = b->has_w_zero ? 1u : 0u - (uint32_t)b->p->w_offset;
  int32_t sums[4] = {0, 0, 0, 0};
  int row, i;
  if (factor != 0) sum_rows(b, panel, sums);
  for (row = 0; row < 4; ++row) {
    const int32_t term = (int32_t)(factor * (uint32_t)sums[row]);
    for (i = 0; i < 4; ++i) terms[row].of[i] = term;
  }
}

/* Multiplies a block of panels with all columns; y is its first position. */
static void run_columns(const qrt_bits* b, const uint64_t* panels,
                        const qrt_row_term* terms, const uint64_t* w,
                        const qrt_bit_columns* columns, size_t rows, int8_t* y) {
  const qrt_bitserial_params* p = b->p;
  int32_t o;
  for (o = 0; o < p->o; o += 4, ++columns) {
    run_tiles(b, panels, terms, w, columns, rows, p->o - o < 4 ? p->o - o : 4, y + o);
    w += (size_t)p->weight_bits * 4 * b->depth;
  }
}

static void run_bitserial(const qrt_bitserial_params* p, const void* x, const void* w,
                          const int32_t* bias, const int32_t* multiplier,
                          const int8_t* shift, const int16_t* w_zero, void* y,
                          void* scratch) {
  const qrt_bitserial_layout at = qrt_bitserial_layout_of(p);
  const size_t in_positions = (size_t)p->h * (size_t)p->w;
  const size_t positions = (size_t)p->oh * (size_t)p->ow;
  const int32_t y_rows = p->y_rows ? p->y_rows : p->oh;
  const size_t y_first = (size_t)p->y_row * (size_t)p->ow;
  const size_t y_outside = (size_t)y_rows * (size_t)p->ow;
  uint8_t* const memory = (uint8_t*)scratch;
  uint64_t* const own_planes = (uint64_t*)(void*)memory;
  uint64_t* const panels = (uint64_t*)(void*)(memory + at.panels);
  qrt_bit_columns* const columns = (qrt_bit_columns*)(void*)(memory + at.columns);
  qrt_row_term* const terms = (qrt_row_term*)(void*)(memory + at.terms);
  int8_t* const row = (int8_t*)(memory + at.row);
  qrt_planes in, out;
  qrt_bits b;
  int32_t image;
  prepare_bits(&b, p);
  prepare_columns(&b, (const uint64_t*)w, bias, multiplier, shift, w_zero, columns);
  in.words = own_planes;
  in.step = b.words;
  in.plane_words = b.plane_words;
  in.lo = p->x_lo;
  in.bits = p->x_bits;
  out.step = bit_words(p->y_pitch ? p->y_pitch : p->o);
  out.plane_words = (y_outside + 1) * out.step;
  out.lo = p->lo;
  out.bits = p->y_bits;
  for (image = 0; image < p->n; ++image) {
    const uint64_t* planes = own_planes;
    qrt_bit_position position = {0, 0};
    size_t done, rows;
    if (p->x_planes) {
      planes = (const uint64_t*)x + (size_t)image * p->x_bits * b.plane_words;
    } else {
      const int8_t* codes =
          (const int8_t*)x + (size_t)image * in_positions * (size_t)p->c;
      pack_positions(&in, 0, codes, in_positions, p->c, row);
      pack_outside(&in, in_positions, p->c, p->x_zero, row);
    }
    out.words = (uint64_t*)y + (size_t)image * p->y_bits * out.plane_words;
    for (done = 0; done < positions; done += rows) {
      uint64_t* panel = panels;
      int8_t* codes;
      size_t i;
      rows = positions - done < at.block_rows ? positions - done : at.block_rows;
      for (i = 0; i < rows; i += 4, panel += (size_t)p->x_bits * b.panel_plane) {
        const int height = rows - i < 4 ? (int)(rows - i) : 4;
        gather_panel(&b, planes, &position, height, panel);
        prepare_rows(&b, panel, terms + i);
      }
      codes = p->y_bits != 0 ? (int8_t*)(memory + at.codes)
                             : (int8_t*)y + ((size_t)image * positions + done) * b.y_step;
      run_columns(&b, panels, terms, (const uint64_t*)w, columns, rows, codes);
      if (p->y_bits != 0) pack_positions(&out, y_first + done, codes, rows, p->o, row);
    }
    if (p->y_bits != 0 && p->y_row + p->oh == y_rows) {
      pack_outside(&out, y_outside, p->o, p->y_zero, row);
    }
  }
}

#define QRT_DEFINE_BITSERIAL_KERNEL(name)                                                \
  void qrt_##name(const qrt_bitserial_params* p, const void* x, const void* w,           \
                  const void* bias, const int32_t* multiplier, const int8_t* shift,      \
                  const int16_t* w_zero, void* y, void* scratch) {                       \
    run_bitserial(p, x, w, (const int32_t*)bias, multiplier, shift, w_zero, y, scratch); \
  }

#endif /* QRT_SRC_BITSERIAL_H */
