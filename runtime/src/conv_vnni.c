/* SPDX-License-Identifier: MIT
 * Direct int8 convolution for AVX-512 VNNI: eight positions by sixteen channels. VPDPBUSD
 * multiplies unsigned by signed bytes and adds four products to 32 bits without
 * saturation. The weights are its unsigned side, 128 more than they are, which is one
 * more zero point (conv.h); so the codes of a position can be broadcast from where they
 * lie. */
#include "qrt/qrt.h"

#if QRT_HAS_vnni
#include <immintrin.h>

#define QRT_TILE_COLUMNS 16
#define QRT_PANELS 1
#define QRT_WEIGHT_OFFSET 128
#define QRT_ROW_POSITIONS 0

#include "conv.h"

#define QRT_INLINE static inline __attribute__((always_inline))
#define QRT_NOINLINE __attribute__((noinline))

static void unpack_codes(int8_t* dst, const uint8_t* src, size_t count, int bits,
                         int odd) {
  qrt_unpack_row(dst, src, count, bits, odd, 0);
}

/* 1 * code, four at a time; the tail as scalars. */
static int32_t sum_codes(const int8_t* codes, size_t count) {
  const __m512i ones = _mm512_set1_epi8(1);
  __m512i sums = _mm512_setzero_si512();
  int32_t total;
  size_t i;
  for (i = 0; i + 64 <= count; i += 64) {
    sums = _mm512_dpbusd_epi32(sums, ones, _mm512_loadu_si512(codes + i));
  }
  total = _mm512_reduce_add_epi32(sums);
  for (; i < count; ++i) total += codes[i];
  return total;
}

/* Four words of four rows, transposed, 128 added to every byte. */
QRT_INLINE void transpose(const int8_t* const* rows, size_t k, int8_t* dst) {
  const __m128i top = _mm_set1_epi8(INT8_MIN);
  __m128i a[4], ab[2], cd[2];
  size_t i;
  for (i = 0; i < 4; ++i) {
    a[i] = _mm_loadu_si128((const __m128i*)(const void*)(rows[i] + k));
    a[i] = _mm_xor_si128(a[i], top);
  }
  ab[0] = _mm_unpacklo_epi32(a[0], a[1]);
  ab[1] = _mm_unpackhi_epi32(a[0], a[1]);
  cd[0] = _mm_unpacklo_epi32(a[2], a[3]);
  cd[1] = _mm_unpackhi_epi32(a[2], a[3]);
  for (i = 0; i < 2; ++i) {
    _mm_storeu_si128((__m128i*)(void*)(dst + 128 * i), _mm_unpacklo_epi64(ab[i], cd[i]));
    _mm_storeu_si128((__m128i*)(void*)(dst + 128 * i + 64),
                     _mm_unpackhi_epi64(ab[i], cd[i]));
  }
}

static void pack_panel(const int8_t* const* w, size_t depth, int8_t* panel) {
  size_t k, i;
  for (i = 0; i < 16; i += 4) {
    for (k = 0; k < depth; k += 16) transpose(w + i, k, panel + 16 * k + 4 * i);
  }
}

/* Four codes of one position in every lane. */
QRT_INLINE __m512i broadcast(const int8_t* codes) {
  int32_t word;
  memcpy(&word, codes, 4);
  return _mm512_set1_epi32(word);
}

#define QRT_DOT_WORD(j)                                     \
  {                                                         \
    const __m512i w = _mm512_loadu_si512(panel + 64 * (j)); \
    const size_t at = k + 4 * (j);                          \
    a0 = _mm512_dpbusd_epi32(a0, w, broadcast(p0 + at));    \
    a1 = _mm512_dpbusd_epi32(a1, w, broadcast(p1 + at));    \
    a2 = _mm512_dpbusd_epi32(a2, w, broadcast(p2 + at));    \
    a3 = _mm512_dpbusd_epi32(a3, w, broadcast(p3 + at));    \
    a4 = _mm512_dpbusd_epi32(a4, w, broadcast(p4 + at));    \
    a5 = _mm512_dpbusd_epi32(a5, w, broadcast(p5 + at));    \
    a6 = _mm512_dpbusd_epi32(a6, w, broadcast(p6 + at));    \
    a7 = _mm512_dpbusd_epi32(a7, w, broadcast(p7 + at));    \
  }

/* sums[i]: position i with sixteen channels. */
QRT_INLINE void multiply(const qrt_conv_tile* tile, const int8_t* const* rows,
                         __m512i* sums) {
  const int8_t* panel = tile->panel;
  const int8_t *p0 = rows[0], *p1 = rows[1], *p2 = rows[2], *p3 = rows[3];
  const int8_t *p4 = rows[4], *p5 = rows[5], *p6 = rows[6], *p7 = rows[7];
  const size_t length = tile->length, pitch = tile->pitch;
  size_t segment, k;
  __m512i a0 = _mm512_setzero_si512(), a1 = a0, a2 = a0, a3 = a0;
  __m512i a4 = a0, a5 = a0, a6 = a0, a7 = a0;
  for (segment = tile->segments; segment > 0; --segment) {
    for (k = 0; k < length; k += 16, panel += 256) {
      QRT_DOT_WORD(0)
      QRT_DOT_WORD(1)
      QRT_DOT_WORD(2)
      QRT_DOT_WORD(3)
    }
    p0 += pitch, p1 += pitch, p2 += pitch, p3 += pitch;
    p4 += pitch, p5 += pitch, p6 += pitch, p7 += pitch;
  }
  sums[0] = a0, sums[1] = a1, sums[2] = a2, sums[3] = a3;
  sums[4] = a4, sums[5] = a5, sums[6] = a6, sums[7] = a7;
}

/* What sixteen channels need to become codes. */
typedef struct {
  __m512i base, multiplier, odd_multiplier, w_zero, left, right, last, lo, hi, zero;
} qrt_vnni_result;

static qrt_vnni_result load_result(const qrt_conv_tile* tile) {
  qrt_vnni_result r;
  r.base = _mm512_loadu_si512(tile->base);
  r.multiplier = _mm512_loadu_si512(tile->multiplier);
  r.odd_multiplier = _mm512_srli_epi64(r.multiplier, 32);
  r.w_zero = _mm512_loadu_si512(tile->w_zero);
  r.left = _mm512_loadu_si512(tile->left);
  r.right = _mm512_sub_epi32(_mm512_setzero_si512(), _mm512_loadu_si512(tile->right));
  /* The last bit shifted out; a count of -1 gives 0. */
  r.last = _mm512_sub_epi32(r.right, _mm512_set1_epi32(1));
  r.zero = _mm512_set1_epi32(tile->y_zero);
  r.lo = _mm512_set1_epi32(tile->lo - tile->y_zero);
  r.hi = _mm512_set1_epi32(tile->hi - tile->y_zero);
  return r;
}

/* N19, N5 and N7. multiplier >= 0, so N2 cannot saturate. */
QRT_INLINE __m512i finish(const qrt_conv_tile* tile, const qrt_vnni_result* r,
                          size_t position, __m512i sums) {
  const __m512i one = _mm512_set1_epi32(1), half = _mm512_set1_epi64((long long)1 << 30);
  const __m512i row_sum = _mm512_set1_epi32(tile->row_sums[position]);
  __m512i x = _mm512_sub_epi32(sums, _mm512_mullo_epi32(r->w_zero, row_sum));
  __m512i even, odd;
  x = _mm512_add_epi32(_mm512_sllv_epi32(x, r->left), r->base);
  even = _mm512_add_epi64(_mm512_mul_epi32(x, r->multiplier), half);
  odd = _mm512_add_epi64(_mm512_mul_epi32(_mm512_srli_epi64(x, 32), r->odd_multiplier),
                         half);
  x = _mm512_mask_blend_epi32(0xAAAA, _mm512_srli_epi64(even, 31),
                              _mm512_slli_epi64(odd, 1));
  x = _mm512_add_epi32(_mm512_srav_epi32(x, r->right),
                       _mm512_and_si512(_mm512_srlv_epi32(x, r->last), one));
  x = _mm512_min_epi32(_mm512_max_epi32(x, r->lo), r->hi);
  return _mm512_add_epi32(x, r->zero);
}

QRT_NOINLINE static void multiply_tile(const qrt_conv_tile* tile) {
  const qrt_vnni_result r = load_result(tile);
  const int whole = tile->y_bytes == 1 && tile->width == 16;
  size_t first, i, j;
  for (first = 0; first < tile->count; first += 8) {
    const size_t left = tile->count - first < 8 ? tile->count - first : 8;
    const int8_t* rows[8];
    __m512i sums[8];
    for (i = 0; i < 8; ++i) rows[i] = tile->rows[first + (i < left ? i : 0)];
    multiply(tile, rows, sums);
    for (i = 0; i < left; ++i) {
      const __m512i codes = finish(tile, &r, first + i, sums[i]);
      const size_t at = (first + i) * tile->y_step;
      if (whole) {
        _mm_storeu_si128((__m128i*)(void*)((int8_t*)tile->y + at),
                         _mm512_cvtepi32_epi8(codes));
      } else {
        int32_t values[16];
        _mm512_storeu_si512(values, codes);
        for (j = 0; j < tile->width; ++j) {
          qrt_store(tile->y, at + j, tile->y_bytes, values[j]);
        }
      }
    }
  }
}

QRT_DEFINE_CONV(qrt_conv2d_s8_vnni)

#else
typedef int qrt_conv_vnni_is_empty;
#endif
