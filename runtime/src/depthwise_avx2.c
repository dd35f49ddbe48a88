/* SPDX-License-Identifier: MIT
 * Depthwise convolution for AVX2. int8 results without weight zero points go sixteen
 * channels at a time: two taps are pairs of 16-bit numbers that one instruction
 * multiplies and adds. Under 3x3 kernels that move by one column, two of three columns
 * are already there. Taps outside x read a line of x_zero, so that the zero point is
 * folded into the bias for all taps alike. */
#include "avx2.h"

#if QRT_HAS_avx2

#include "depthwise.h"

static void add_products(int32_t* acc, const int8_t* x, const int16_t* w, size_t count,
                         int32_t x_zero) {
  const __m256i zero = _mm256_set1_epi32(x_zero);
  size_t i;
  for (i = 0; i + 8 <= count; i += 8) {
    __m256i* sums = (__m256i*)(void*)(acc + i);
    const __m256i codes = _mm256_sub_epi32(qrt_avx2_load8(x + i), zero);
    const __m256i weights =
        _mm256_cvtepi16_epi32(_mm_loadu_si128((const __m128i*)(const void*)(w + i)));
    _mm256_storeu_si256(sums, _mm256_add_epi32(_mm256_loadu_si256(sums),
                                               _mm256_mullo_epi32(codes, weights)));
  }
  for (; i < count; ++i) add_product(acc + i, x[i], w[i], x_zero);
}

static inline __m256i load_eight(const int32_t* values) {
  return _mm256_loadu_si256((const __m256i*)(const void*)values);
}

static void finish_channels(const qrt_conv2d_params* p, const int32_t* sums,
                            const int32_t* bias, const int32_t* multiplier,
                            const int8_t* shift, size_t count, void* y, size_t y_index) {
  size_t i = 0;
  if (p->y_bytes == 1) {
    for (; i + 8 <= count; i += 8) {
      const __m256i q =
          qrt_avx2_requant_sums(load_eight(sums + i), load_eight(bias + i),
                                load_eight(multiplier + i), qrt_avx2_load8(shift + i));
      qrt_avx2_store8((int8_t*)y + y_index + i,
                      qrt_avx2_finish(q, p->y_zero, p->lo, p->hi));
    }
  }
  for (; i < count; ++i)
    finish_channel(p, sums[i], bias[i], multiplier[i], shift[i], y, y_index + i);
}

#define QRT_CODE_OFFSET 0

#include "depthwise_codes.h"

/* Bytes of input that one band of output rows reads, about: what stays in a near cache
 * while the channels are walked. */
#define QRT_BAND_BYTES 131072

/* Sixteen 32-bit numbers, or pairs of 16-bit ones, of sixteen channels in the order of
 * interleaved vectors: low has channels 0 to 3 and 8 to 11, high the others. */
typedef struct {
  __m256i low, high;
} qrt_channels16;

QRT_INLINE __m256i load_codes(const int8_t* codes) {
  return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i*)(const void*)codes));
}

QRT_INLINE qrt_channels16 pairs_of(__m256i x, __m256i u) {
  const qrt_channels16 pairs = {_mm256_unpacklo_epi16(x, u), _mm256_unpackhi_epi16(x, u)};
  return pairs;
}

QRT_INLINE qrt_channels16 add_pair(qrt_channels16 s, qrt_channels16 x, qrt_channels16 w) {
  s.low = _mm256_add_epi32(s.low, _mm256_madd_epi16(x.low, w.low));
  s.high = _mm256_add_epi32(s.high, _mm256_madd_epi16(x.high, w.high));
  return s;
}

QRT_INLINE qrt_avx2_results results_of(const qrt_depthwise_job* job, size_t c) {
  const qrt_conv2d_params* p = job->p;
  return qrt_avx2_results_of(job->base + c, job->multiplier + c,
                             qrt_avx2_load_split(job->shift + c),
                             qrt_avx2_load_split(job->shift + c + 4),
                             (size_t)p->kh * (size_t)p->kw, p->y_zero, p->lo, p->hi);
}

/* One position. is_shifted is a constant. */
QRT_INLINE void store_one(const qrt_avx2_results* r, const int is_shifted,
                          qrt_channels16 s, int8_t* y) {
  const __m256i codes = qrt_avx2_codes(r, is_shifted, s.low, s.high, s.low, s.high);
  _mm_storeu_si128((__m128i*)(void*)y, _mm256_castsi256_si128(codes));
}

/* ----------------------------------------------------------------------- 3x3 kernels */

/* Sixteen channels. Rows 0 and 1 of a column are pairs, and so are its row 2 and that of
 * the next column. */
typedef struct {
  qrt_channels16 column[3];   /* weights of rows 0 and 1 */
  qrt_channels16 left, right; /* of row 2: columns 0 and 1, and column 2 alone */
  qrt_avx2_results r;
} qrt_depthwise_group;

static qrt_depthwise_group group_of(const qrt_depthwise_job* job, size_t c) {
  const size_t channels = (size_t)job->p->c;
  const int8_t* taps = job->taps + c;
  qrt_depthwise_group g;
  size_t kx;
  for (kx = 0; kx < 3; ++kx) {
    g.column[kx] = pairs_of(load_codes(taps + kx * channels),
                            load_codes(taps + (3 + kx) * channels));
  }
  g.left = pairs_of(load_codes(taps + 6 * channels), load_codes(taps + 7 * channels));
  g.right = pairs_of(_mm256_setzero_si256(), load_codes(taps + 8 * channels));
  g.r = results_of(job, c);
  return g;
}

/* Windows of a row whose columns have come but for the last, or the last two; and row 2
 * of the column before. */
typedef struct {
  qrt_channels16 older, newer;
  __m256i last;
} qrt_windows;

/* The next column of x comes; sums of the window that it ends. */
QRT_INLINE qrt_channels16 advance(const qrt_depthwise_group* g, qrt_windows* windows,
                                  const int8_t* row0, const int8_t* row1,
                                  const int8_t* row2) {
  const __m256i last = load_codes(row2);
  const qrt_channels16 column = pairs_of(load_codes(row0), load_codes(row1));
  const qrt_channels16 both = pairs_of(windows->last, last);
  const qrt_channels16 sums =
      add_pair(add_pair(windows->older, column, g->column[2]), both, g->right);
  windows->older =
      add_pair(add_pair(windows->newer, column, g->column[1]), both, g->left);
  windows->newer.low = _mm256_madd_epi16(column.low, g->column[0].low);
  windows->newer.high = _mm256_madd_epi16(column.high, g->column[0].high);
  windows->last = last;
  return sums;
}

/* The three input rows of an output row from a channel on; `next` codes lie between the
 * pixels of one (0 for a line of zeros). */
typedef struct {
  const int8_t* row[3];
  size_t next[3];
  const int8_t* zeros;
} qrt_depthwise_rows;

QRT_INLINE qrt_channels16 advance_at(const qrt_depthwise_group* g, qrt_windows* windows,
                                     const qrt_depthwise_rows* x, int32_t ix,
                                     int32_t width) {
  const size_t at = (size_t)ix;
  if (ix < 0 || ix >= width) {
    return advance(g, windows, x->zeros, x->zeros, x->zeros);
  }
  return advance(g, windows, x->row[0] + at * x->next[0], x->row[1] + at * x->next[1],
                 x->row[2] + at * x->next[2]);
}

/* An output row of windows that move by one column and have no gaps: inside x two of them
 * at a time. is_shifted is a constant. */
QRT_INLINE void convolve_sliding(const qrt_conv2d_params* p, const qrt_depthwise_group* g,
                                 const int is_shifted, const qrt_depthwise_rows* x,
                                 int8_t* y) {
  const size_t channels = (size_t)p->c;
  const __m256i none = _mm256_setzero_si256();
  qrt_windows windows = {{none, none}, {none, none}, none};
  int32_t ix = -p->pad_left, count = p->ow, pairs;
  (void)advance_at(g, &windows, x, ix, p->w);
  (void)advance_at(g, &windows, x, ix + 1, p->w);
  for (ix += 2; ix < 0 && count > 0; ++ix, --count, y += channels) {
    store_one(&g->r, is_shifted, advance_at(g, &windows, x, ix, p->w), y);
  }
  pairs = (count < p->w - ix ? count : p->w - ix) / 2;
  if (pairs > 0) {
    const size_t n0 = x->next[0], n1 = x->next[1], n2 = x->next[2], at = (size_t)ix;
    const int8_t *r0 = x->row[0] + at * n0, *r1 = x->row[1] + at * n1;
    const int8_t* r2 = x->row[2] + at * n2;
    count -= 2 * pairs;
    ix += 2 * pairs;
    for (; pairs > 0; --pairs, y += 2 * channels) {
      const qrt_channels16 s = advance(g, &windows, r0, r1, r2);
      const qrt_channels16 t = advance(g, &windows, r0 + n0, r1 + n1, r2 + n2);
      const __m256i codes =
          qrt_avx2_codes(&g->r, is_shifted, s.low, s.high, t.low, t.high);
      _mm_storeu_si128((__m128i*)(void*)y, _mm256_castsi256_si128(codes));
      _mm_storeu_si128((__m128i*)(void*)(y + channels),
                       _mm256_extracti128_si256(codes, 1));
      r0 += 2 * n0, r1 += 2 * n1, r2 += 2 * n2;
    }
  }
  for (; count > 0; ++ix, --count, y += channels) {
    store_one(&g->r, is_shifted, advance_at(g, &windows, x, ix, p->w), y);
  }
}

/* The same where windows move or reach further: each is worked on by itself. */
QRT_INLINE void convolve_apart(const qrt_conv2d_params* p, const qrt_depthwise_group* g,
                               const int is_shifted, const qrt_depthwise_rows* x,
                               int8_t* y) {
  const __m256i none = _mm256_setzero_si256();
  int32_t ix = -p->pad_left, ox;
  for (ox = 0; ox < p->ow; ++ox, ix += p->stride_w, y += p->c) {
    qrt_windows windows = {{none, none}, {none, none}, none};
    (void)advance_at(g, &windows, x, ix, p->w);
    (void)advance_at(g, &windows, x, ix + p->dilation_w, p->w);
    store_one(&g->r, is_shifted, advance_at(g, &windows, x, ix + 2 * p->dilation_w, p->w),
              y);
  }
}

/* An output row. is_shifted is a constant. */
QRT_INLINE void convolve_row(const qrt_conv2d_params* p, const qrt_depthwise_group* g,
                             const int is_shifted, const qrt_depthwise_rows* x,
                             int8_t* y) {
  if (p->stride_w == 1 && p->dilation_w == 1) {
    convolve_sliding(p, g, is_shifted, x, y);
  } else {
    convolve_apart(p, g, is_shifted, x, y);
  }
}

/* Output rows [first, last) of sixteen channels from c on. */
QRT_NOINLINE static void convolve_lines(const qrt_depthwise_job* job, size_t c,
                                        const int8_t* picture, int8_t* y, int32_t first,
                                        int32_t last) {
  const qrt_conv2d_params* p = job->p;
  const qrt_depthwise_group g = group_of(job, c);
  const size_t channels = (size_t)p->c, line = (size_t)p->ow * channels;
  int32_t oy, ky;
  for (oy = first; oy < last; ++oy) {
    int8_t* to = y + (size_t)oy * line + c;
    qrt_depthwise_rows x;
    x.zeros = job->zeros;
    for (ky = 0; ky < 3; ++ky) {
      const int32_t iy = oy * p->stride_h - p->pad_top + ky * p->dilation_h;
      const int inside = iy >= 0 && iy < p->h;
      x.row[ky] =
          inside ? picture + (size_t)iy * (size_t)p->w * channels + c : job->zeros;
      x.next[ky] = inside ? channels : 0;
    }
    if (g.r.is_shifted) {
      convolve_row(p, &g, 1, &x, to);
    } else {
      convolve_row(p, &g, 0, &x, to);
    }
  }
}

static void run_three(const qrt_depthwise_job* job, const int8_t* picture, int8_t* y) {
  const qrt_conv2d_params* p = job->p;
  const size_t channels = (size_t)p->c;
  const size_t line = (size_t)p->w * channels * (size_t)p->stride_h;
  const int32_t band = (int32_t)(line < QRT_BAND_BYTES ? QRT_BAND_BYTES / line : 1);
  int32_t oy;
  size_t c;
  for (oy = 0; oy < p->oh; oy += band) {
    const int32_t last = p->oh - oy < band ? p->oh : oy + band;
    for (c = 0; c < channels; c += 16) {
      convolve_lines(job, c + 16 <= channels ? c : channels - 16, picture, y, oy, last);
    }
  }
}

/* --------------------------------------------------------------------- other kernels */

/* Sixteen channels of one position: where[t] is the first channel of tap t. */
QRT_INLINE qrt_channels16 sum_taps(const qrt_depthwise_job* job, size_t c,
                                   const int8_t* const* where, size_t count) {
  const size_t channels = (size_t)job->p->c;
  const __m256i none = _mm256_setzero_si256();
  const int8_t* w = job->taps + c;
  qrt_channels16 s = {none, none};
  size_t t;
  for (t = 0; t + 2 <= count; t += 2, w += 2 * channels) {
    s = add_pair(s, pairs_of(load_codes(where[t] + c), load_codes(where[t + 1] + c)),
                 pairs_of(load_codes(w), load_codes(w + channels)));
  }
  if (t < count) {
    s = add_pair(s, pairs_of(load_codes(where[t] + c), none),
                 pairs_of(load_codes(w), none));
  }
  return s;
}

/* Channels that one walk over the positions takes, in sixteens. */
#define QRT_DEPTHWISE_SIXTEENS 4

static void run_any(const qrt_depthwise_job* job, const int8_t* picture, size_t first,
                    int8_t* y) {
  const qrt_conv2d_params* p = job->p;
  const size_t channels = (size_t)p->c;
  size_t at[QRT_DEPTHWISE_SIXTEENS], sixteens = 0, i;
  qrt_avx2_results r[QRT_DEPTHWISE_SIXTEENS];
  int32_t oy, ox, ky, kx;
  for (; sixteens < QRT_DEPTHWISE_SIXTEENS && first < channels; ++sixteens, first += 16) {
    at[sixteens] = first + 16 <= channels ? first : channels - 16;
    r[sixteens] = results_of(job, at[sixteens]);
  }
  for (oy = 0; oy < p->oh; ++oy) {
    for (ox = 0; ox < p->ow; ++ox, y += channels) {
      const int8_t* where[QRT_DEPTHWISE_TAPS];
      size_t count = 0;
      for (ky = 0; ky < p->kh; ++ky) {
        const int32_t iy = oy * p->stride_h - p->pad_top + ky * p->dilation_h;
        for (kx = 0; kx < p->kw; ++kx, ++count) {
          const int32_t ix = ox * p->stride_w - p->pad_left + kx * p->dilation_w;
          const int inside = iy >= 0 && iy < p->h && ix >= 0 && ix < p->w;
          const size_t pixel = inside ? (size_t)iy * (size_t)p->w + (size_t)ix : 0;
          where[count] = inside ? picture + pixel * channels : job->zeros;
        }
      }
      for (i = 0; i < sixteens; ++i) {
        const qrt_channels16 s = sum_taps(job, at[i], where, count);
        if (r[i].is_shifted) {
          store_one(&r[i], 1, s, y + at[i]);
        } else {
          store_one(&r[i], 0, s, y + at[i]);
        }
      }
    }
  }
}

static void run_depthwise_codes(const qrt_depthwise_job* job, const int8_t* x,
                                int8_t* y) {
  const qrt_conv2d_params* p = job->p;
  const size_t channels = (size_t)p->c;
  const size_t picture = (size_t)p->h * (size_t)p->w * channels;
  const size_t result = (size_t)p->oh * (size_t)p->ow * channels;
  int32_t image;
  size_t c;
  for (image = 0; image < p->n; ++image, x += picture, y += result) {
    if (p->kh == 3 && p->kw == 3) {
      run_three(job, x, y);
    } else {
      for (c = 0; c < channels; c += 16 * QRT_DEPTHWISE_SIXTEENS) run_any(job, x, c, y);
    }
  }
}

/* Whether qrt_avx2_codes is exact for every channel. */
static int are_sums_small(const qrt_depthwise_job* job) {
  const size_t channels = (size_t)job->p->c;
  const size_t taps = (size_t)job->p->kh * (size_t)job->p->kw;
  size_t c;
  for (c = 0; c < channels; c += 8) {
    const size_t at = c + 8 <= channels ? c : channels - 8;
    if (!qrt_avx2_is_small(load_eight(job->base + at), load_eight(job->shift + at),
                           taps)) {
      return 0;
    }
  }
  return 1;
}

void qrt_depthwise_s8_avx2(const qrt_conv2d_params* p, const void* x, const void* w,
                           const void* bias, const int32_t* multiplier,
                           const int8_t* shift, const int16_t* w_zero, void* y,
                           void* scratch) {
  if (!w_zero && p->y_bytes == 1 && p->c >= 16 &&
      (size_t)p->kh * (size_t)p->kw <= QRT_DEPTHWISE_TAPS) {
    const qrt_depthwise_job job =
        prepare_job(p, w, (const int32_t*)bias, multiplier, shift, scratch);
    if (are_sums_small(&job)) {
      run_depthwise_codes(&job, (const int8_t*)x, (int8_t*)y);
      return;
    }
  }
  run_depthwise(p, x, w, bias, multiplier, shift, w_zero, y, scratch);
}

#else
typedef int qrt_depthwise_avx2_is_empty;
#endif
