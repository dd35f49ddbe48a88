/* SPDX-License-Identifier: MIT
 * Depthwise convolution for AVX2. int8 results without weight zero points go sixteen
 * channels at a time: two taps are pairs of 16-bit numbers that one instruction
 * multiplies and adds, accumulators stay in registers, and inside a row of 3x3 windows so
 * do the weights. Taps outside x read a line of x_zero, so that the zero point is folded
 * into the bias for all taps alike. */
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

/* Sixteen 32-bit numbers of sixteen channels, in the order of interleaved pairs: low has
 * channels 0 to 3 and 8 to 11, high 4 to 7 and 12 to 15. */
typedef struct {
  __m256i low, high;
} qrt_sums16;

/* Two taps of sixteen channels as pairs, in the same order. */
typedef qrt_sums16 qrt_pairs16;

QRT_INLINE __m256i load_codes(const int8_t* codes) {
  return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i*)(const void*)codes));
}

QRT_INLINE qrt_pairs16 pairs_of(__m256i x, __m256i u) {
  const qrt_pairs16 pairs = {_mm256_unpacklo_epi16(x, u), _mm256_unpackhi_epi16(x, u)};
  return pairs;
}

QRT_INLINE qrt_sums16 add_pair(qrt_sums16 s, qrt_pairs16 x, qrt_pairs16 w) {
  s.low = _mm256_add_epi32(s.low, _mm256_madd_epi16(x.low, w.low));
  s.high = _mm256_add_epi32(s.high, _mm256_madd_epi16(x.high, w.high));
  return s;
}

/* What sixteen channels need to become codes. */
typedef struct {
  qrt_avx2_result low, high;
  qrt_avx2_range range;
  int is_shifted;
} qrt_depthwise_result;

QRT_INLINE qrt_depthwise_result result_of(const qrt_depthwise_job* job, size_t c) {
  const qrt_conv2d_params* p = job->p;
  const int32_t *base = job->base + c, *multiplier = job->multiplier + c;
  const __m256i low = qrt_avx2_load_split(job->shift + c);
  const __m256i high = qrt_avx2_load_split(job->shift + c + 4);
  qrt_depthwise_result r;
  r.is_shifted = qrt_avx2_is_shifted(low, high);
  r.low = qrt_avx2_prepare(qrt_avx2_load_split(base), qrt_avx2_load_split(multiplier),
                           low, r.is_shifted);
  r.high = qrt_avx2_prepare(qrt_avx2_load_split(base + 4),
                            qrt_avx2_load_split(multiplier + 4), high, r.is_shifted);
  r.range = qrt_avx2_range_of(p->y_zero, p->lo, p->hi);
  return r;
}

/* is_shifted is a constant. */
QRT_INLINE void store_sums(const qrt_depthwise_result* r, const int is_shifted,
                           qrt_sums16 s, int8_t* y) {
  const __m256i low = qrt_avx2_requant_from_start(&r->low, is_shifted, s.low);
  const __m256i high = qrt_avx2_requant_from_start(&r->high, is_shifted, s.high);
  const __m256i bytes =
      _mm256_permute4x64_epi64(qrt_avx2_codes(&r->range, low, high, low, high), 0x08);
  _mm_storeu_si128((__m128i*)(void*)y, _mm256_castsi256_si128(bytes));
}

/* One position, any number of taps: where[t] is the first channel of tap t. */
QRT_INLINE void depthwise_position(const qrt_depthwise_job* job, size_t c,
                                   const int8_t* const* where, size_t count, int8_t* y) {
  const size_t channels = (size_t)job->p->c;
  const qrt_depthwise_result r = result_of(job, c);
  const __m256i none = _mm256_setzero_si256();
  const int8_t* w = job->taps + c;
  qrt_sums16 s = {r.low.start, r.high.start};
  size_t t;
  for (t = 0; t + 2 <= count; t += 2, w += 2 * channels) {
    s = add_pair(s, pairs_of(load_codes(where[t] + c), load_codes(where[t + 1] + c)),
                 pairs_of(load_codes(w), load_codes(w + channels)));
  }
  if (t < count) {
    s = add_pair(s, pairs_of(load_codes(where[t] + c), none),
                 pairs_of(load_codes(w), none));
  }
  if (r.is_shifted) {
    store_sums(&r, 1, s, y);
  } else {
    store_sums(&r, 0, s, y);
  }
}

/* `count` positions of one row whose 3x3 windows lie inside x from left to right.
 * rows[ky] is the first code of kernel row ky, `next[ky]` codes lie between its columns
 * (0 for a line of zeros). is_shifted is a constant. */
QRT_INLINE void depthwise_row3(const qrt_depthwise_job* job,
                               const qrt_depthwise_result* r, const int is_shifted,
                               size_t c, const int8_t* const* rows, const size_t* next,
                               size_t count, int8_t* y) {
  const size_t channels = (size_t)job->p->c, stride = (size_t)job->p->stride_w;
  const __m256i none = _mm256_setzero_si256();
  const int8_t *r0 = rows[0] + c, *r1 = rows[1] + c, *r2 = rows[2] + c;
  /* Columns lie dilation_w pixels apart, positions stride_w. */
  const size_t n0 = next[0] * (size_t)job->p->dilation_w;
  const size_t n1 = next[1] * (size_t)job->p->dilation_w;
  const size_t n2 = next[2] * (size_t)job->p->dilation_w;
  qrt_pairs16 w[5];
  size_t i;
  for (i = 0; i < 5; ++i) {
    const int8_t* tap = job->taps + 2 * i * channels + c;
    w[i] = pairs_of(load_codes(tap), i < 4 ? load_codes(tap + channels) : none);
  }
  for (; count > 0; --count, y += channels) {
    qrt_sums16 s = {r->low.start, r->high.start};
    s = add_pair(s, pairs_of(load_codes(r0), load_codes(r0 + n0)), w[0]);
    s = add_pair(s, pairs_of(load_codes(r0 + 2 * n0), load_codes(r1)), w[1]);
    s = add_pair(s, pairs_of(load_codes(r1 + n1), load_codes(r1 + 2 * n1)), w[2]);
    s = add_pair(s, pairs_of(load_codes(r2), load_codes(r2 + n2)), w[3]);
    s = add_pair(s, pairs_of(load_codes(r2 + 2 * n2), none), w[4]);
    store_sums(r, is_shifted, s, y + c);
    r0 += stride * next[0], r1 += stride * next[1], r2 += stride * next[2];
  }
}

/* Every sixteen channels of one position; the last sixteen begin earlier where channels
 * are no multiple. */
static void depthwise_any(const qrt_depthwise_job* job, const int8_t* picture, int32_t oy,
                          int32_t ox, int8_t* y) {
  const qrt_conv2d_params* p = job->p;
  const size_t channels = (size_t)p->c;
  const int8_t* where[QRT_DEPTHWISE_TAPS];
  size_t count = 0, c;
  int32_t ky, kx;
  for (ky = 0; ky < p->kh; ++ky) {
    const int32_t iy = oy * p->stride_h - p->pad_top + ky * p->dilation_h;
    for (kx = 0; kx < p->kw; ++kx, ++count) {
      const int32_t ix = ox * p->stride_w - p->pad_left + kx * p->dilation_w;
      const int inside = iy >= 0 && iy < p->h && ix >= 0 && ix < p->w;
      const size_t pixel = inside ? (size_t)iy * (size_t)p->w + (size_t)ix : 0;
      where[count] = inside ? picture + pixel * channels : job->zeros;
    }
  }
  for (c = 0; c < channels; c += 16) {
    const size_t at = c + 16 <= channels ? c : channels - 16;
    depthwise_position(job, at, where, count, y + at);
  }
}

/* Positions [begin, end) of one row of 3x3 windows. */
static void depthwise_inner(const qrt_depthwise_job* job, const int8_t* picture,
                            int32_t oy, int32_t begin, int32_t end, int8_t* y) {
  const qrt_conv2d_params* p = job->p;
  const size_t channels = (size_t)p->c, ix = (size_t)(begin * p->stride_w - p->pad_left);
  const int8_t* rows[3];
  size_t next[3], c;
  int32_t ky;
  for (ky = 0; ky < 3; ++ky) {
    const int32_t iy = oy * p->stride_h - p->pad_top + ky * p->dilation_h;
    const int inside = iy >= 0 && iy < p->h;
    const size_t pixel = inside ? (size_t)iy * (size_t)p->w + ix : 0;
    rows[ky] = inside ? picture + pixel * channels : job->zeros;
    next[ky] = inside ? channels : 0;
  }
  for (c = 0; c < channels; c += 16) {
    const size_t at = c + 16 <= channels ? c : channels - 16;
    const qrt_depthwise_result r = result_of(job, at);
    const size_t count = (size_t)(end - begin);
    int8_t* out = y + (size_t)begin * channels;
    if (r.is_shifted) {
      depthwise_row3(job, &r, 1, at, rows, next, count, out);
    } else {
      depthwise_row3(job, &r, 0, at, rows, next, count, out);
    }
  }
}

static void run_depthwise_codes(const qrt_conv2d_params* p, const void* x, const void* w,
                                const void* bias, const int32_t* multiplier,
                                const int8_t* shift, void* y, void* scratch) {
  const size_t channels = (size_t)p->c;
  const qrt_depthwise_job job =
      prepare_job(p, w, (const int32_t*)bias, multiplier, shift, scratch);
  int8_t* out = (int8_t*)y;
  const int32_t begin = job.begin;
  const int32_t end = p->kh == 3 && p->kw == 3 ? job.end : begin;
  int32_t image, oy, ox;
  for (image = 0; image < p->n; ++image) {
    const int8_t* picture =
        (const int8_t*)x + (size_t)image * (size_t)p->h * (size_t)p->w * channels;
    for (oy = 0; oy < p->oh; ++oy, out += (size_t)p->ow * channels) {
      for (ox = 0; ox < p->ow; ++ox) {
        if (ox == begin && begin < end) {
          depthwise_inner(&job, picture, oy, begin, end, out);
          ox = end - 1;
        } else {
          depthwise_any(&job, picture, oy, ox, out + (size_t)ox * channels);
        }
      }
    }
  }
}

void qrt_depthwise_s8_avx2(const qrt_conv2d_params* p, const void* x, const void* w,
                           const void* bias, const int32_t* multiplier,
                           const int8_t* shift, const int16_t* w_zero, void* y,
                           void* scratch) {
  if (!w_zero && p->y_bytes == 1 && p->c >= 16 &&
      (size_t)p->kh * (size_t)p->kw <= QRT_DEPTHWISE_TAPS) {
    run_depthwise_codes(p, x, w, bias, multiplier, shift, y, scratch);
  } else {
    run_depthwise(p, x, w, bias, multiplier, shift, w_zero, y, scratch);
  }
}

#else
typedef int qrt_depthwise_avx2_is_empty;
#endif
