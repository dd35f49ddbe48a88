/* SPDX-License-Identifier: MIT
 * Depthwise 3x3 convolution for AVX-512 VNNI: 32 channels at two positions. The three
 * rows of one column of x, interleaved, are a fourth of a VPDPBUSD each; where windows
 * move by one column, two of three columns are already there. Codes are its unsigned
 * side, 128 more than they are, which is one more zero point (depthwise_codes.h). What is
 * no 3x3 kernel, or narrower, or rare goes to the AVX2 kernel. */
#include "avx512.h"

#if QRT_HAS_vnni

typedef int8_t qrt_lane;
#define QRT_CODE_OFFSET 128

#include "depthwise_codes.h"

/* Bytes of input that one band of output rows reads, about: what stays in a near cache
 * while the channels are walked. */
#define QRT_BAND_BYTES 131072

/* 32 channels: the weights of column kx are w[4 * kx] and so on; vector j of these, and
 * of sums, has channels 4 j to 4 j + 3 of each sixteen. */
typedef struct {
  __m256i w[12];
  qrt_avx512_scale scale[4]; /* both halves alike */
  qrt_avx512_clamp clamp;
} qrt_depthwise_group;

/* Three rows of 32 channels as four vectors with three bytes a channel; the fourth is
 * `last`. Variables of their own: compilers keep an array in memory. */
#define QRT_INTERLEAVE(t, u, v, w, last)                  \
  {                                                       \
    const __m256i uv_low = _mm256_unpacklo_epi8(u, v);    \
    const __m256i uv_high = _mm256_unpackhi_epi8(u, v);   \
    const __m256i w_low = _mm256_unpacklo_epi8(w, last);  \
    const __m256i w_high = _mm256_unpackhi_epi8(w, last); \
    t##0 = _mm256_unpacklo_epi16(uv_low, w_low);          \
    t##1 = _mm256_unpackhi_epi16(uv_low, w_low);          \
    t##2 = _mm256_unpacklo_epi16(uv_high, w_high);        \
    t##3 = _mm256_unpackhi_epi16(uv_high, w_high);        \
  }

QRT_INLINE __m256i load_codes(const int8_t* codes) {
  return _mm256_loadu_si256((const __m256i*)(const void*)codes);
}

QRT_INLINE __m512i load_lanes(const int32_t* values) {
  const __m128i* v = (const __m128i*)(const void*)values;
  return _mm512_broadcast_i64x4(_mm256_loadu2_m128i(v + 4, v));
}

/* One column of x. Its fourth bytes meet weights of zero. */
#define QRT_COLUMN(t, p0, p1, p2)                               \
  {                                                             \
    const __m256i row0 = _mm256_xor_si256(load_codes(p0), top); \
    const __m256i row1 = _mm256_xor_si256(load_codes(p1), top); \
    const __m256i row2 = _mm256_xor_si256(load_codes(p2), top); \
    QRT_INTERLEAVE(t, row0, row1, row2, row2)                   \
  }

#define QRT_ADD_COLUMN(s, t, kx)                              \
  s##0 = _mm256_dpbusd_epi32(s##0, t##0, g->w[4 * (kx)]);     \
  s##1 = _mm256_dpbusd_epi32(s##1, t##1, g->w[4 * (kx) + 1]); \
  s##2 = _mm256_dpbusd_epi32(s##2, t##2, g->w[4 * (kx) + 2]); \
  s##3 = _mm256_dpbusd_epi32(s##3, t##3, g->w[4 * (kx) + 3]);

/* `any_left` is a constant: where results are scaled up first, the base comes later. */
#define QRT_BEGIN(j) \
  (any_left ? _mm256_setzero_si256() : _mm512_castsi512_si256(g->scale[j].base))
#define QRT_DOUBLED(j) doubled(&g->scale[j], u##j, v##j, any_left)

QRT_INLINE __m512i doubled(const qrt_avx512_scale* s, __m256i u, __m256i v,
                           const int any_left) {
  __m512i sums = _mm512_inserti64x4(_mm512_castsi256_si512(u), v, 1);
  if (any_left) sums = _mm512_add_epi32(_mm512_sllv_epi32(sums, s->left), s->base);
  return qrt_avx512_doubled(s, sums);
}

#define QRT_STORE(y0, y1)                                                            \
  {                                                                                  \
    const __m512i codes = qrt_avx512_pack(&g->clamp, QRT_DOUBLED(0), QRT_DOUBLED(1), \
                                          QRT_DOUBLED(2), QRT_DOUBLED(3));           \
    _mm256_storeu_si256((__m256i*)(void*)(y0), _mm512_castsi512_si256(codes));       \
    _mm256_storeu_si256((__m256i*)(void*)(y1), _mm512_extracti64x4_epi64(codes, 1)); \
  }

#define QRT_SUMS                                                                      \
  __m256i u0 = QRT_BEGIN(0), u1 = QRT_BEGIN(1), u2 = QRT_BEGIN(2), u3 = QRT_BEGIN(3); \
  __m256i v0 = u0, v1 = u1, v2 = u2, v3 = u3;

/* `pairs` times two neighbours inside x from left to right. Row ky begins at r[ky], its
 * pixels lie n[ky] codes apart. `slides`, a constant: windows move by one column and
 * their columns are neighbours. */
QRT_INLINE void convolve_row(const qrt_conv2d_params* p, const qrt_depthwise_group* g,
                             const int8_t* const* r, const size_t* n, size_t pairs,
                             int8_t* y, const int slides, const int any_left) {
  const __m256i top = _mm256_set1_epi8(INT8_MIN);
  const size_t channels = (size_t)p->c;
  const size_t stride = (size_t)p->stride_w, apart = (size_t)p->dilation_w;
  const int8_t *r0 = r[0], *r1 = r[1], *r2 = r[2];
  const size_t n0 = n[0] * apart, n1 = n[1] * apart, n2 = n[2] * apart;
  const size_t m0 = n[0] * stride, m1 = n[1] * stride, m2 = n[2] * stride;
  __m256i a0, a1, a2, a3, b0, b1, b2, b3, t0, t1, t2, t3;
  QRT_COLUMN(a, r0, r1, r2)
  QRT_COLUMN(b, r0 + n0, r1 + n1, r2 + n2)
  for (; pairs > 0; --pairs, y += 2 * channels) {
    QRT_SUMS
    QRT_COLUMN(t, r0 + 2 * n0, r1 + 2 * n1, r2 + 2 * n2)
    QRT_ADD_COLUMN(u, a, 0)
    QRT_ADD_COLUMN(u, b, 1)
    QRT_ADD_COLUMN(u, t, 2)
    r0 += m0, r1 += m1, r2 += m2;
    if (slides) {
      QRT_ADD_COLUMN(v, b, 0)
      QRT_ADD_COLUMN(v, t, 1)
      a0 = t0, a1 = t1, a2 = t2, a3 = t3;
      QRT_COLUMN(b, r0 + 2 * n0, r1 + 2 * n1, r2 + 2 * n2)
      QRT_ADD_COLUMN(v, b, 2)
      r0 += m0, r1 += m1, r2 += m2;
    } else {
      QRT_COLUMN(a, r0, r1, r2)
      QRT_ADD_COLUMN(v, a, 0)
      QRT_COLUMN(a, r0 + n0, r1 + n1, r2 + n2)
      QRT_ADD_COLUMN(v, a, 1)
      QRT_COLUMN(a, r0 + 2 * n0, r1 + 2 * n1, r2 + 2 * n2)
      QRT_ADD_COLUMN(v, a, 2)
      r0 += m0, r1 += m1, r2 += m2;
      if (pairs > 1) {
        QRT_COLUMN(a, r0, r1, r2)
        QRT_COLUMN(b, r0 + n0, r1 + n1, r2 + n2)
      }
    }
    QRT_STORE(y, y + channels)
  }
}

#define QRT_COLUMN_AT(t, i) \
  QRT_COLUMN(t, where[3 * (i)] + c, where[3 * (i) + 1] + c, where[3 * (i) + 2] + c)

/* Two positions anywhere: where[3 * kx + ky] is channel 0 of a tap of the first, the next
 * nine are the second's. */
QRT_INLINE void convolve_two(const qrt_depthwise_group* g, const int8_t* const* where,
                             size_t c, int8_t* y0, int8_t* y1, const int any_left) {
  const __m256i top = _mm256_set1_epi8(INT8_MIN);
  __m256i t0, t1, t2, t3;
  QRT_SUMS
  QRT_COLUMN_AT(t, 0)
  QRT_ADD_COLUMN(u, t, 0)
  QRT_COLUMN_AT(t, 1)
  QRT_ADD_COLUMN(u, t, 1)
  QRT_COLUMN_AT(t, 2)
  QRT_ADD_COLUMN(u, t, 2)
  QRT_COLUMN_AT(t, 3)
  QRT_ADD_COLUMN(v, t, 0)
  QRT_COLUMN_AT(t, 4)
  QRT_ADD_COLUMN(v, t, 1)
  QRT_COLUMN_AT(t, 5)
  QRT_ADD_COLUMN(v, t, 2)
  QRT_STORE(y0, y1)
}

static qrt_depthwise_group group_of(const qrt_depthwise_job* job, size_t c) {
  const qrt_conv2d_params* p = job->p;
  const size_t channels = (size_t)p->c;
  const __m256i none = _mm256_setzero_si256();
  qrt_depthwise_group g;
  __m256i t0, t1, t2, t3;
  size_t kx, j;
  for (kx = 0; kx < 3; ++kx) {
    const int8_t* taps = job->taps + kx * channels + c;
    QRT_INTERLEAVE(t, load_codes(taps), load_codes(taps + 3 * channels),
                   load_codes(taps + 6 * channels), none)
    g.w[4 * kx] = t0, g.w[4 * kx + 1] = t1, g.w[4 * kx + 2] = t2, g.w[4 * kx + 3] = t3;
  }
  for (j = 0; j < 4; ++j) {
    const qrt_avx512_result r = qrt_avx512_prepare(
        load_lanes(job->base + c + 4 * j), load_lanes(job->multiplier + c + 4 * j),
        load_lanes(job->shift + c + 4 * j), p->y_zero, p->lo, p->hi);
    g.scale[j] = qrt_avx512_scale_of(&r);
  }
  g.clamp = qrt_avx512_clamp_of(p->y_zero, p->lo, p->hi);
  return g;
}

/* One output row of 32 channels from c on. */
QRT_INLINE void convolve_line(const qrt_depthwise_job* job, const qrt_depthwise_group* g,
                              const int8_t* picture, int32_t oy, size_t c, int8_t* y,
                              const int any_left) {
  const qrt_conv2d_params* p = job->p;
  const size_t channels = (size_t)p->c;
  /* A single position inside x goes with those at the edge; of an odd number the last two
   * are worked on once more. */
  const int32_t begin = job->begin, count = job->end - begin > 1 ? job->end - begin : 0;
  const int8_t *rows[3], *r[3], *where[18];
  size_t next[3];
  int8_t* edge = NULL; /* a position that waits for another */
  int32_t ky, kx, ox, odd;
  for (ky = 0; ky < 3; ++ky) {
    const int32_t iy = oy * p->stride_h - p->pad_top + ky * p->dilation_h;
    const int inside = iy >= 0 && iy < p->h;
    rows[ky] = inside ? picture + (size_t)iy * (size_t)p->w * channels : job->zeros;
    next[ky] = inside ? channels : 0;
  }
  for (odd = 0; odd <= count % 2 && count > 0; ++odd) {
    const int32_t first = odd ? begin + count - 2 : begin;
    const size_t pairs = odd ? 1 : (size_t)count / 2;
    const size_t ix = (size_t)(first * p->stride_w - p->pad_left);
    int8_t* to = y + (size_t)first * channels;
    for (ky = 0; ky < 3; ++ky) r[ky] = rows[ky] + ix * next[ky] + c;
    if (p->stride_w == 1 && p->dilation_w == 1) {
      convolve_row(p, g, r, next, pairs, to, 1, any_left);
    } else {
      convolve_row(p, g, r, next, pairs, to, 0, any_left);
    }
  }
  for (ox = 0; ox < p->ow; ++ox) {
    const int8_t** at = edge ? where + 9 : where;
    if (ox == begin) ox += count;
    if (ox >= p->ow) break;
    for (kx = 0; kx < 3; ++kx) {
      const int32_t ix = ox * p->stride_w - p->pad_left + kx * p->dilation_w;
      for (ky = 0; ky < 3; ++ky) {
        at[3 * kx + ky] =
            ix >= 0 && ix < p->w ? rows[ky] + (size_t)ix * next[ky] : job->zeros;
      }
    }
    if (edge) {
      convolve_two(g, where, c, edge, y + (size_t)ox * channels, any_left);
      edge = NULL;
    } else {
      edge = y + (size_t)ox * channels;
    }
  }
  if (edge) {
    memcpy(where + 9, where, 9 * sizeof *where);
    convolve_two(g, where, c, edge, edge, any_left);
  }
}

QRT_NOINLINE static void convolve_lines(const qrt_depthwise_job* job, size_t c,
                                        const int8_t* picture, int8_t* y, int32_t first,
                                        int32_t last) {
  const qrt_conv2d_params* p = job->p;
  const qrt_depthwise_group g = group_of(job, c);
  const size_t line = (size_t)p->ow * (size_t)p->c;
  int32_t oy;
  for (oy = first; oy < last; ++oy) {
    int8_t* to = y + (size_t)oy * line + c;
    if (g.scale[0].any_left | g.scale[1].any_left | g.scale[2].any_left |
        g.scale[3].any_left) {
      convolve_line(job, &g, picture, oy, c, to, 1);
    } else {
      convolve_line(job, &g, picture, oy, c, to, 0);
    }
  }
}

/* Whether nine products and the base stay in the bounds of qrt_avx512_doubled. */
static int are_sums_small(const qrt_depthwise_job* job) {
  const size_t channels = (size_t)job->p->c;
  size_t c;
  for (c = 0; c < channels; ++c) {
    if (job->base[c] > 1 << 29 || job->base[c] < -(1 << 29) || job->shift[c] > 8) {
      return 0;
    }
  }
  return 1;
}

void qrt_depthwise_s8_vnni(const qrt_conv2d_params* p, const void* x, const void* w,
                           const void* bias, const int32_t* multiplier,
                           const int8_t* shift, const int16_t* w_zero, void* y,
                           void* scratch) {
  const size_t channels = (size_t)p->c;
  const size_t picture = (size_t)p->h * (size_t)p->w * channels;
  const size_t result = (size_t)p->oh * (size_t)p->ow * channels;
  const size_t line = (size_t)p->w * channels * (size_t)p->stride_h;
  const int32_t band = (int32_t)(line < QRT_BAND_BYTES ? QRT_BAND_BYTES / line : 1);
  qrt_depthwise_job job;
  int32_t image, oy;
  size_t c;
  if (!w_zero && p->y_bytes == 1 && channels >= 32 && p->kh == 3 && p->kw == 3) {
    job = prepare_job(p, w, (const int32_t*)bias, multiplier, shift, scratch);
    if (are_sums_small(&job)) {
      for (image = 0; image < p->n; ++image) {
        for (oy = 0; oy < p->oh; oy += band) {
          const int32_t last = p->oh - oy < band ? p->oh : oy + band;
          for (c = 0; c < channels; c += 32) {
            convolve_lines(&job, c + 32 <= channels ? c : channels - 32,
                           (const int8_t*)x + (size_t)image * picture,
                           (int8_t*)y + (size_t)image * result, oy, last);
          }
        }
      }
      return;
    }
  }
  qrt_depthwise_s8_avx2(p, x, w, bias, multiplier, shift, w_zero, y, scratch);
}

#else
typedef int qrt_depthwise_vnni_is_empty;
#endif
