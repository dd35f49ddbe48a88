/* SPDX-License-Identifier: MIT
 * Depthwise convolution for AArch64 with int8 results and no weight zero points: sixteen
 * channels at a time, accumulators in registers, codes read where they lie. Taps outside
 * x read a line of x_zero, so the zero point is folded into the bias for all taps alike.
 * Inside a row of 3x3 windows the nine weight vectors stay in registers. */
#ifndef QRT_SRC_DEPTHWISE_NEON_H
#define QRT_SRC_DEPTHWISE_NEON_H

#include "depthwise.h"
#include "neon.h"

/* Input of a band of rows, and a line, in the first cache. */
#define QRT_DEPTHWISE_BAND_BYTES 24576
#define QRT_LINE_BYTES 64

typedef struct {
  const qrt_conv2d_params* p;
  const int32_t* multiplier;
  int narrow;
  /* Scratch: */
  int32_t *base, *left, *right; /* [c] */
  int8_t* taps;                 /* [kh * kw][c] */
  int8_t* zeros;                /* [c] of x_zero */
} qrt_depthwise_job;

/* What turns sums of sixteen channels into codes: from here on in registers. */
typedef struct {
  const int32_t *base, *left, *multiplier, *right;
  qrt_neon_bounds bounds;
} qrt_depthwise_result;

QRT_INLINE qrt_depthwise_result result_of(const qrt_depthwise_job* job, size_t c) {
  qrt_depthwise_result r;
  r.base = job->base + c;
  r.left = job->left + c;
  r.multiplier = job->multiplier + c;
  r.right = job->right + c;
  r.bounds = qrt_neon_bounds_of(job->p->y_zero, job->p->lo, job->p->hi);
  return r;
}

/* Sums of sixteen channels. */
typedef struct {
  int32x4_t a, b, c, d;
} qrt_sums16;

/* Two taps; without -128 among the weights both products fit one 16-bit lane. */
QRT_INLINE qrt_sums16 add_pair(qrt_sums16 s, int8x16_t x, int8x16_t w, int8x16_t u,
                               int8x16_t v, int narrow) {
  int16x8_t low = vmull_s8(vget_low_s8(x), vget_low_s8(w));
  int16x8_t high = vmull_high_s8(x, w);
  if (narrow) {
    low = vmlal_s8(low, vget_low_s8(u), vget_low_s8(v));
    high = vmlal_high_s8(high, u, v);
  }
  s.a = vaddw_s16(s.a, vget_low_s16(low));
  s.b = vaddw_high_s16(s.b, low);
  s.c = vaddw_s16(s.c, vget_low_s16(high));
  s.d = vaddw_high_s16(s.d, high);
  if (!narrow) {
    low = vmull_s8(vget_low_s8(u), vget_low_s8(v));
    high = vmull_high_s8(u, v);
    s.a = vaddw_s16(s.a, vget_low_s16(low));
    s.b = vaddw_high_s16(s.b, low);
    s.c = vaddw_s16(s.c, vget_low_s16(high));
    s.d = vaddw_high_s16(s.d, high);
  }
  return s;
}

QRT_INLINE qrt_sums16 add_single(qrt_sums16 s, int8x16_t x, int8x16_t w) {
  const int16x8_t low = vmull_s8(vget_low_s8(x), vget_low_s8(w));
  const int16x8_t high = vmull_high_s8(x, w);
  s.a = vaddw_s16(s.a, vget_low_s16(low));
  s.b = vaddw_high_s16(s.b, low);
  s.c = vaddw_s16(s.c, vget_low_s16(high));
  s.d = vaddw_high_s16(s.d, high);
  return s;
}

QRT_INLINE qrt_sums16 load_sums(const int32_t* values) {
  const qrt_sums16 s = {vld1q_s32(values), vld1q_s32(values + 4), vld1q_s32(values + 8),
                        vld1q_s32(values + 12)};
  return s;
}

/* Where sums begin: with the base, or, where that has fraction bits (N19), without. */
QRT_INLINE qrt_sums16 first_sums(const qrt_depthwise_result* r, int any_left) {
  const int32x4_t zero = vdupq_n_s32(0);
  const qrt_sums16 none = {zero, zero, zero, zero};
  return any_left ? none : load_sums(r->base);
}

/* N19, N5 and N7; `any_left` is a constant. */
QRT_INLINE void store_sums(const qrt_depthwise_result* r, qrt_sums16 s, int any_left,
                           int8_t* y) {
  const qrt_sums16 m = load_sums(r->multiplier), right = load_sums(r->right);
  if (any_left) {
    const qrt_sums16 left = load_sums(r->left), base = load_sums(r->base);
    s.a = vaddq_s32(vshlq_s32(s.a, left.a), base.a);
    s.b = vaddq_s32(vshlq_s32(s.b, left.b), base.b);
    s.c = vaddq_s32(vshlq_s32(s.c, left.c), base.c);
    s.d = vaddq_s32(vshlq_s32(s.d, left.d), base.d);
  }
  vst1q_s8(y, qrt_neon_codes(&r->bounds, vrshlq_s32(vqrdmulhq_s32(s.a, m.a), right.a),
                             vrshlq_s32(vqrdmulhq_s32(s.b, m.b), right.b),
                             vrshlq_s32(vqrdmulhq_s32(s.c, m.c), right.c),
                             vrshlq_s32(vqrdmulhq_s32(s.d, m.d), right.d)));
}

/* True where a base of the sixteen channels has fraction bits. */
QRT_INLINE int has_left(const qrt_depthwise_result* r) {
  const qrt_sums16 left = load_sums(r->left);
  return vmaxvq_s32(vorrq_s32(vorrq_s32(left.a, left.b), vorrq_s32(left.c, left.d))) != 0;
}

/* One position, any number of taps: where[t] is the first channel of tap t. */
QRT_INLINE void depthwise_position(const qrt_depthwise_job* job, size_t c,
                                   const int8_t* const* where, size_t count, int narrow,
                                   int8_t* y) {
  const size_t channels = (size_t)job->p->c;
  const qrt_depthwise_result result = result_of(job, c);
  const int8_t* w = job->taps + c;
  qrt_sums16 s = first_sums(&result, 1);
  size_t t;
  for (t = 0; t + 2 <= count; t += 2, w += 2 * channels) {
    s = add_pair(s, vld1q_s8(where[t] + c), vld1q_s8(w), vld1q_s8(where[t + 1] + c),
                 vld1q_s8(w + channels), narrow);
  }
  if (t < count) s = add_single(s, vld1q_s8(where[t] + c), vld1q_s8(w));
  store_sums(&result, s, 1, y);
}

/* Output rows [top, bottom) of an image and their positions [begin, end), whose 3x3
 * windows lie inside x from left to right. */
typedef struct {
  const int8_t* picture;
  int8_t* out;
  int32_t top, bottom, begin, end;
  int left, right; /* 1: and begin - 1, end, whose windows lack but one column */
} qrt_depthwise_band;

/* Nine taps of sixteen channels, or the codes under them. */
typedef struct {
  int8x16_t at[9];
} qrt_nine;

/* One position; `narrow` and `any_left` are constants. */
QRT_INLINE void finish_window(const qrt_depthwise_result* result, const qrt_nine* x,
                              qrt_nine* w, int narrow, int any_left, int8_t* y) {
  qrt_sums16 s = first_sums(result, any_left);
  /* Without this, gcc 12 keeps the taps' lower halves in nine registers more. */
  __asm__("" : "+w"(w->at[0]), "+w"(w->at[1]), "+w"(w->at[2]), "+w"(w->at[3]));
  __asm__("" : "+w"(w->at[4]), "+w"(w->at[5]), "+w"(w->at[6]), "+w"(w->at[7]));
  __asm__("" : "+w"(w->at[8]));
  s = add_pair(s, x->at[0], w->at[0], x->at[1], w->at[1], narrow);
  s = add_pair(s, x->at[2], w->at[2], x->at[3], w->at[3], narrow);
  s = add_pair(s, x->at[4], w->at[4], x->at[5], w->at[5], narrow);
  s = add_pair(s, x->at[6], w->at[6], x->at[7], w->at[7], narrow);
  store_sums(result, add_single(s, x->at[8], w->at[8]), any_left, y);
}

/* A row of x under windows, and what masks offsets into it; the line of zeros outside. */
typedef struct {
  const int8_t* start;
  size_t mask;
} qrt_depthwise_line;

QRT_INLINE qrt_depthwise_line line_at(const qrt_depthwise_band* band,
                                      const qrt_conv2d_params* p, int32_t iy, size_t c,
                                      const int8_t* zeros) {
  const size_t bytes = (size_t)p->w * (size_t)p->c;
  const int inside = iy >= 0 && iy < p->h;
  qrt_depthwise_line line;
  line.start = inside ? band->picture + (size_t)iy * bytes + c : zeros;
  line.mask = inside ? SIZE_MAX : 0;
  return line;
}

/* Sixteen channels of a band; `narrow` and `any_left` are constants. */
QRT_INLINE void depthwise_rows(const qrt_depthwise_job* job, size_t c,
                               const qrt_depthwise_band* band, int narrow, int any_left) {
  const qrt_conv2d_params* p = job->p;
  const size_t channels = (size_t)p->c;
  const size_t stride = (size_t)p->stride_w * channels;
  const size_t dilation = (size_t)p->dilation_w * channels;
  const size_t pad = (size_t)p->pad_left * channels;
  const size_t first = (size_t)band->begin * stride - pad;
  const size_t behind = (size_t)band->end * stride - pad;
  const qrt_depthwise_result result = result_of(job, c);
  const int8_t* taps = job->taps + c;
  qrt_nine w = {{vld1q_s8(taps), vld1q_s8(taps + channels), vld1q_s8(taps + 2 * channels),
                 vld1q_s8(taps + 3 * channels), vld1q_s8(taps + 4 * channels),
                 vld1q_s8(taps + 5 * channels), vld1q_s8(taps + 6 * channels),
                 vld1q_s8(taps + 7 * channels), vld1q_s8(taps + 8 * channels)}};
  const int8_t* const zeros = job->zeros + c;
  int8_t* y = band->out +
              ((size_t)band->top * (size_t)p->ow + (size_t)band->begin) * channels + c;
  int32_t iy = band->top * p->stride_h - p->pad_top;
  int32_t rows = band->bottom - band->top;
  for (; rows > 0; --rows, iy += p->stride_h) {
    const qrt_depthwise_line top = line_at(band, p, iy, c, zeros);
    const qrt_depthwise_line middle = line_at(band, p, iy + p->dilation_h, c, zeros);
    const qrt_depthwise_line bottom = line_at(band, p, iy + 2 * p->dilation_h, c, zeros);
    const size_t n0 = top.mask & dilation, s0 = top.mask & stride;
    const size_t n1 = middle.mask & dilation, s1 = middle.mask & stride;
    const size_t n2 = bottom.mask & dilation, s2 = bottom.mask & stride;
    const int8_t* r0 = top.start + (top.mask & first);
    const int8_t* r1 = middle.start + (middle.mask & first);
    const int8_t* r2 = bottom.start + (bottom.mask & first);
    int8_t* const next_y = y + (size_t)p->ow * channels;
    int32_t count = band->end - band->begin;
    if (band->left) {
      const int8x16_t zero = vld1q_s8(zeros);
      const size_t second = dilation - pad;
      const int8_t* const a = top.start + (top.mask & second);
      const int8_t* const b = middle.start + (middle.mask & second);
      const int8_t* const d = bottom.start + (bottom.mask & second);
      const qrt_nine x = {{zero, vld1q_s8(a), vld1q_s8(a + n0), zero, vld1q_s8(b),
                           vld1q_s8(b + n1), zero, vld1q_s8(d), vld1q_s8(d + n2)}};
      finish_window(&result, &x, &w, narrow, any_left, y - channels);
    }
    if (band->right) {
      const int8x16_t zero = vld1q_s8(zeros);
      const int8_t* const a = top.start + (top.mask & behind);
      const int8_t* const b = middle.start + (middle.mask & behind);
      const int8_t* const d = bottom.start + (bottom.mask & behind);
      const qrt_nine x = {{vld1q_s8(a), vld1q_s8(a + n0), zero, vld1q_s8(b),
                           vld1q_s8(b + n1), zero, vld1q_s8(d), vld1q_s8(d + n2), zero}};
      finish_window(&result, &x, &w, narrow, any_left, y + (size_t)count * channels);
    }
    for (; count > 0; --count, y += channels) {
      const qrt_nine x = {{vld1q_s8(r0), vld1q_s8(r0 + n0), vld1q_s8(r0 + 2 * n0),
                           vld1q_s8(r1), vld1q_s8(r1 + n1), vld1q_s8(r1 + 2 * n1),
                           vld1q_s8(r2), vld1q_s8(r2 + n2), vld1q_s8(r2 + 2 * n2)}};
      finish_window(&result, &x, &w, narrow, any_left, y);
      r0 += s0, r1 += s1, r2 += s2;
    }
    y = next_y;
  }
}

QRT_NOINLINE static void depthwise_three(const qrt_depthwise_job* job, size_t c,
                                         const qrt_depthwise_band* band) {
  const qrt_depthwise_result result = result_of(job, c);
  if (!job->narrow) {
    depthwise_rows(job, c, band, 0, 1);
  } else if (has_left(&result)) {
    depthwise_rows(job, c, band, 1, 1);
  } else {
    depthwise_rows(job, c, band, 1, 0);
  }
}

/* Every sixteen channels of one position. */
QRT_NOINLINE static void depthwise_any(const qrt_depthwise_job* job,
                                       const int8_t* const* where, size_t count,
                                       int8_t* y) {
  const size_t channels = (size_t)job->p->c;
  size_t c;
  for (c = 0; c < channels; c += 16) {
    /* The last sixteen begin earlier where channels are no multiple. */
    const size_t at = c + 16 <= channels ? c : channels - 16;
    if (job->narrow) {
      depthwise_position(job, at, where, count, 1, y + at);
    } else {
      depthwise_position(job, at, where, count, 0, y + at);
    }
  }
}

/* [16][9] codes as [9][16], rows `step` apart: taking every third code twice over is
 * taking every ninth. */
QRT_INLINE void transpose_nine(const int8_t* src, int8_t* dst, size_t step) {
  int8_t third[3][48];
  size_t i, j;
  for (i = 0; i < 3; ++i) {
    const int8x16x3_t parts = vld3q_s8(src + 48 * i);
    vst1q_s8(third[0] + 16 * i, parts.val[0]);
    vst1q_s8(third[1] + 16 * i, parts.val[1]);
    vst1q_s8(third[2] + 16 * i, parts.val[2]);
  }
  for (j = 0; j < 3; ++j) {
    const int8x16x3_t parts = vld3q_s8(third[j]);
    vst1q_s8(dst + j * step, parts.val[0]);
    vst1q_s8(dst + (3 + j) * step, parts.val[1]);
    vst1q_s8(dst + (6 + j) * step, parts.val[2]);
  }
}

/* Weights as [kh * kw][c] int8. */
static void unpack_int8_taps(const qrt_conv2d_params* p, const void* w, int8_t* taps) {
  const size_t count = (size_t)p->kh * (size_t)p->kw, channels = (size_t)p->c;
  const size_t row_bytes = qrt_row_bytes(count, p->weight_bits);
  size_t channel = 0, tap, done;
  if (p->weight_bits == 8 && count == 9) {
    for (; channel + 16 <= channels; channel += 16) {
      transpose_nine((const int8_t*)w + 9 * channel, taps + channel, channels);
    }
  }
  for (; channel < channels; ++channel) {
    const uint8_t* row = (const uint8_t*)w + channel * row_bytes;
    qrt_lane eight[8];
    for (done = 0; done < count; done += 8) {
      const size_t some = count - done < 8 ? count - done : 8;
      qrt_unpack_row(eight, row + done / 8 * p->weight_bits, some, p->weight_bits,
                     p->odd_weights, 0);
      for (tap = 0; tap < some; ++tap) {
        taps[(done + tap) * channels + channel] = (int8_t)eight[tap];
      }
    }
  }
}

/* The bias and x_zero's part of the sums, and N5's shifts. At least sixteen channels: the
 * last eight begin earlier where they are no multiple, and are done twice. */
static void prepare_channels(qrt_depthwise_job* job, const int32_t* bias,
                             const int8_t* shift) {
  const qrt_conv2d_params* p = job->p;
  const size_t count = (size_t)p->kh * (size_t)p->kw, channels = (size_t)p->c;
  const int32x4_t zero = vdupq_n_s32(0);
  const int32_t* sums = p->weight_sums;
  size_t c, t, half;
  if (!sums) {
    int32_t* own = job->right; /* until the shifts come */
    memset(own, 0, channels * sizeof *own);
    for (t = 0; t < count; ++t) { /* at most QRT_DEPTHWISE_TAPS codes */
      for (c = 0; c < channels; ++c) own[c] += job->taps[t * channels + c];
    }
    sums = own;
  }
  for (c = 0; c < channels; c += 8) {
    const size_t at = c + 8 <= channels ? c : channels - 8;
    const int16x8_t up = vmaxq_s16(vmovl_s8(vld1_s8(shift + at)), vdupq_n_s16(0));
    for (half = 0; half < 8; half += 4) {
      const int32x4_t left = vmovl_s16(half == 0 ? vget_low_s16(up) : vget_high_s16(up));
      const int32x4_t part = vmulq_n_s32(vld1q_s32(sums + at + half), p->x_zero);
      vst1q_s32(job->base + at + half,
                vsubq_s32(vld1q_s32(bias + at + half), vshlq_s32(part, left)));
      vst1q_s32(job->left + at + half, left);
    }
  }
  for (c = 0; c < channels; c += 8) {
    const size_t at = c + 8 <= channels ? c : channels - 8;
    const int16x8_t shifts = vmovl_s8(vld1_s8(shift + at));
    vst1q_s32(job->right + at, vminq_s32(vmovl_s16(vget_low_s16(shifts)), zero));
    vst1q_s32(job->right + at + 4, vminq_s32(vmovl_s16(vget_high_s16(shifts)), zero));
  }
}

/* Positions [begin, end) of an output row whose windows lie inside x from left to right.
 */
static void inner_positions(const qrt_conv2d_params* p, int32_t* begin, int32_t* end) {
  const int32_t reach = (p->kw - 1) * p->dilation_w;
  *begin = 0;
  while (*begin < p->ow && *begin * p->stride_w < p->pad_left) ++*begin;
  *end = p->ow;
  while (*end > *begin && (*end - 1) * p->stride_w - p->pad_left + reach >= p->w) --*end;
}

/* What a position takes of the first cache while sixteen channels after the other go
 * through a band: a line, or more where a power of two between positions leaves sets of
 * the cache unused. */
static size_t cached_bytes(size_t channels) {
  const size_t power = channels & (~channels + 1);
  const size_t apart = power < QRT_LINE_BYTES ? QRT_LINE_BYTES : power;
  return apart < channels ? apart : channels;
}

/* What `band` says of every row of an image, in bands of rows of which the first cache
 * keeps what sixteen channels leave for the next. */
static void inner_bands(const qrt_depthwise_job* job, qrt_depthwise_band band) {
  const qrt_conv2d_params* p = job->p;
  const size_t channels = (size_t)p->c;
  const size_t row = (size_t)p->stride_h * (size_t)p->w * cached_bytes(channels);
  const size_t fitting = QRT_DEPTHWISE_BAND_BYTES / row;
  const int32_t rows = fitting < 1               ? 1
                       : fitting > (size_t)p->oh ? p->oh
                                                 : (int32_t)fitting;
  size_t c;
  for (band.top = 0; band.top < p->oh; band.top = band.bottom) {
    band.bottom = p->oh - band.top < rows ? p->oh : band.top + rows;
    for (c = 0; c < channels; c += 16) {
      depthwise_three(job, c + 16 <= channels ? c : channels - 16, &band);
    }
  }
}

static void run_depthwise_codes(const qrt_conv2d_params* p, const void* x, const void* w,
                                const void* bias, const int32_t* multiplier,
                                const int8_t* shift, void* y, void* scratch) {
  enum { kMaxTaps = QRT_DEPTHWISE_TAPS };
  const size_t channels = (size_t)p->c, count = (size_t)p->kh * (size_t)p->kw;
  const int is_three = p->kh == 3 && p->kw == 3;
  int is_inner;
  qrt_depthwise_job job;
  qrt_depthwise_band band;
  int8_t* out = (int8_t*)y;
  int32_t image, oy, ox, ky, kx;
  job.p = p;
  job.multiplier = multiplier;
  job.narrow = p->narrow_weights || p->weight_bits < 8;
  job.base = (int32_t*)scratch;
  job.left = job.base + channels;
  job.right = job.left + channels;
  job.zeros = (int8_t*)(job.right + channels);
  job.taps = job.zeros + channels;
  memset(job.zeros, (uint8_t)p->x_zero, channels);
  unpack_int8_taps(p, w, job.taps);
  prepare_channels(&job, (const int32_t*)bias, shift);
  inner_positions(p, &band.begin, &band.end);
  if (!is_three) band.end = band.begin;
  is_inner = band.begin < band.end;
  band.left = is_inner && band.begin == 1 && p->pad_left <= p->dilation_w;
  band.right = is_inner && band.end == p->ow - 1 &&
               band.end * p->stride_w - p->pad_left + p->dilation_w < p->w;
  for (image = 0; image < p->n; ++image) {
    band.picture =
        (const int8_t*)x + (size_t)image * (size_t)p->h * (size_t)p->w * channels;
    band.out = out;
    for (oy = 0; oy < p->oh; ++oy, out += (size_t)p->ow * channels) {
      for (ox = 0; ox < p->ow; ++ox) {
        const int8_t* where[kMaxTaps];
        size_t t = 0;
        if (is_inner && ox == band.begin - band.left) ox = band.end + band.right;
        if (ox == p->ow) break;
        for (ky = 0; ky < p->kh; ++ky) {
          const int32_t iy = oy * p->stride_h - p->pad_top + ky * p->dilation_h;
          for (kx = 0; kx < p->kw; ++kx, ++t) {
            const int32_t ix = ox * p->stride_w - p->pad_left + kx * p->dilation_w;
            const int inside = iy >= 0 && iy < p->h && ix >= 0 && ix < p->w;
            where[t] = inside ? band.picture +
                                    ((size_t)iy * (size_t)p->w + (size_t)ix) * channels
                              : job.zeros;
          }
        }
        depthwise_any(&job, where, count, out + (size_t)ox * channels);
      }
    }
    if (is_inner) inner_bands(&job, band);
  }
}

static int is_depthwise_codes(const qrt_conv2d_params* p, const int16_t* w_zero) {
  return !w_zero && p->y_bytes == 1 && p->c >= 16 &&
         (size_t)p->kh * (size_t)p->kw <= QRT_DEPTHWISE_TAPS;
}

#endif /* QRT_SRC_DEPTHWISE_NEON_H */
