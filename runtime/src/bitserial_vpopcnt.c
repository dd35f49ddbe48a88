/* SPDX-License-Identifier: MIT
 * The bit-serial convolution for AVX-512 VL and VPOPCNTDQ: one vector holds a step of
 * four columns and needs no widening, another the results of four rows and columns. */
#include "avx512.h"

#if QRT_HAS_vpopcnt

#define QRT_SEGMENT_STEPS 15
#include "bitserial.h"

/* Byte 8 m + t to place 8 t + m, which is its bit in a word (qrt.h, "bit planes"). */
QRT_INLINE __m512i in_bit_order(__m512i codes) {
  const __m128i pairs =
      _mm_setr_epi8(0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15);
  const __m512i to =
      _mm512_set_epi16(31, 23, 15, 7, 30, 22, 14, 6, 29, 21, 13, 5, 28, 20, 12, 4, 27, 19,
                       11, 3, 26, 18, 10, 2, 25, 17, 9, 1, 24, 16, 8, 0);
  return _mm512_permutexvar_epi16(
      to, _mm512_shuffle_epi8(codes, _mm512_broadcast_i32x4(pairs)));
}

/* A test of 64 bytes is one word of a plane. */
static void pack_words(const int8_t* x, size_t groups, int32_t lo, int bits,
                       uint64_t* planes, size_t plane_words) {
  const __m512i less = _mm512_set1_epi8((char)lo);
  size_t g;
  int j;
  for (g = 0; g < groups; ++g, x += QRT_WORD_CODES) {
    const __m512i codes = in_bit_order(_mm512_sub_epi8(_mm512_loadu_si512(x), less));
    for (j = 0; j < bits; ++j) {
      planes[(size_t)j * plane_words + g] =
          _mm512_test_epi8_mask(codes, _mm512_set1_epi8((char)(1 << j)));
    }
  }
}

/* Two words of each of four rows are one vector; an odd last word is there twice. */
static void sum_rows(const qrt_bits* b, const uint64_t* panel, int32_t* sums) {
  const __mmask8 first = (__mmask8)(b->depth % 2 == 1 ? 0x55 : 0xFF);
  __m512i total = _mm512_setzero_si512();
  __m256i rows;
  int j;
  for (j = b->p->x_bits - 1; j >= 0; --j) {
    const uint64_t* plane = panel + (size_t)j * b->panel_plane;
    const size_t steps = (b->depth + 1) / 2;
    size_t k;
    total = _mm512_add_epi64(total, total);
    for (k = 0; k < steps; ++k) {
      const __m512i words = _mm512_loadu_si512(plane + 8 * k);
      total = _mm512_add_epi64(
          total,
          _mm512_maskz_popcnt_epi64((__mmask8)(k + 1 == steps ? first : 0xFF), words));
    }
  }
  total = _mm512_add_epi64(total, _mm512_shuffle_epi32(total, _MM_PERM_BADC));
  rows = _mm512_cvtepi64_epi32(total);
  sums[0] = _mm256_extract_epi32(rows, 0);
  sums[1] = _mm256_extract_epi32(rows, 2);
  sums[2] = _mm256_extract_epi32(rows, 4);
  sums[3] = _mm256_extract_epi32(rows, 6);
}

static __m512i words_of_row(const uint64_t* a) {
  return _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i*)(const void*)a));
}
static __m512i counts_of(__m512i w, const uint64_t* a) {
  return _mm512_popcnt_epi64(_mm512_and_si512(w, words_of_row(a)));
}
/* Behind the steps a row's word is there twice: of four columns. */
static __m256i tail_of(__m256i w, const uint64_t* a) {
  const __m256i word = _mm256_set1_epi64x((long long)a[0]);
  return _mm256_popcnt_epi64(_mm256_and_si256(w, word));
}

/* Sums of four rows in the two 64-bit lanes of each column. */
typedef struct {
  __m512i row[4];
} qrt_step_sums;

static inline __m512i with_tails(__m512i steps, __m256i tails) {
  const __m512i spread = _mm512_maskz_expand_epi64(0x55, _mm512_castsi256_si512(tails));
  return _mm512_add_epi64(steps, spread);
}

QRT_INLINE qrt_step_sums sum_chunk(const qrt_segment* segment, const uint64_t* panel,
                                   const uint64_t* weights) {
  __m512i s0 = _mm512_setzero_si512(), s1 = s0, s2 = s0, s3 = s0;
  __m256i t0 = _mm256_setzero_si256(), t1 = t0, t2 = t0, t3 = t0;
  qrt_step_sums sums;
  for (;; ++segment) {
    const uint64_t* a = panel + segment->x / 8;
    const uint64_t* w = weights + segment->w / 8;
    int64_t n;
    for (n = segment->steps; n > 0; --n, a += 8, w += 8) {
      const __m512i column = _mm512_loadu_si512(w);
      s0 = _mm512_add_epi64(s0, counts_of(column, a));
      s1 = _mm512_add_epi64(s1, counts_of(column, a + 2));
      s2 = _mm512_add_epi64(s2, counts_of(column, a + 4));
      s3 = _mm512_add_epi64(s3, counts_of(column, a + 6));
    }
    if (segment->then & QRT_TAIL) {
      const __m256i column = _mm256_loadu_si256((const __m256i*)(const void*)w);
      t0 = _mm256_add_epi64(t0, tail_of(column, a));
      t1 = _mm256_add_epi64(t1, tail_of(column, a + 2));
      t2 = _mm256_add_epi64(t2, tail_of(column, a + 4));
      t3 = _mm256_add_epi64(t3, tail_of(column, a + 6));
    }
    if (segment->then & QRT_DOUBLE) {
      s0 = _mm512_add_epi64(s0, s0);
      s1 = _mm512_add_epi64(s1, s1);
      s2 = _mm512_add_epi64(s2, s2);
      s3 = _mm512_add_epi64(s3, s3);
      t0 = _mm256_add_epi64(t0, t0);
      t1 = _mm256_add_epi64(t1, t1);
      t2 = _mm256_add_epi64(t2, t2);
      t3 = _mm256_add_epi64(t3, t3);
    }
    if (segment->then & QRT_LAST) break;
  }
  if (segment->then & QRT_TAIL) {
    s0 = with_tails(s0, t0);
    s1 = with_tails(s1, t1);
    s2 = with_tails(s2, t2);
    s3 = with_tails(s3, t3);
  }
  sums.row[0] = s0;
  sums.row[1] = s1;
  sums.row[2] = s2;
  sums.row[3] = s3;
  return sums;
}

/* 32-bit lane 4 c + r: column c of row r. */
QRT_INLINE __m512i by_columns(const qrt_step_sums* s) {
  const __m512i low = _mm512_add_epi64(s->row[0], _mm512_slli_epi64(s->row[1], 32));
  const __m512i high = _mm512_add_epi64(s->row[2], _mm512_slli_epi64(s->row[3], 32));
  return _mm512_add_epi32(_mm512_unpacklo_epi64(low, high),
                          _mm512_unpackhi_epi64(low, high));
}

/* One number for each column, four lanes each. */
QRT_INLINE __m512i spread_columns(const int32_t* four) {
  const __m512i index = _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
  const __m128i values = _mm_loadu_si128((const __m128i*)(const void*)four);
  return _mm512_permutexvar_epi32(index, _mm512_castsi128_si512(values));
}

static void run_tiles(const qrt_bits* b, const uint64_t* panels,
                      const qrt_row_term* terms, const uint64_t* w,
                      const qrt_bit_columns* columns, size_t rows, int width, int8_t* y) {
  const qrt_bitserial_params* p = b->p;
  const size_t panel_words = (size_t)p->x_bits * b->panel_plane;
  const size_t step = b->y_step;
  const qrt_avx512_result r = qrt_avx512_prepare(
      spread_columns(columns->base), spread_columns(columns->multiplier),
      spread_columns(columns->shift), p->y_zero, p->lo, p->hi);
  const __m512i offset = spread_columns(columns->offset);
  const __m128i turn =
      _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  size_t row, k, i;
  for (row = 0; row < rows; row += 4, panels += panel_words, terms += 4) {
    const size_t height = rows - row < 4 ? rows - row : 4;
    /* Every lane of a row's term is the same. */
    const __m128i of_rows =
        _mm_setr_epi32(terms[0].of[0], terms[1].of[0], terms[2].of[0], terms[3].of[0]);
    const __m512i term = _mm512_broadcast_i32x4(of_rows);
    __m512i sums = _mm512_setzero_si512();
    int8_t codes[16];
    for (k = 0; k < b->depth; k += b->chunk) {
      const qrt_step_sums part = sum_chunk(b->depth - k <= b->chunk ? b->last : b->full,
                                           panels + 4 * k, w + 4 * k);
      sums = _mm512_add_epi32(sums, by_columns(&part));
    }
    sums = b->has_w_zero ? _mm512_sub_epi32(sums, _mm512_mullo_epi32(offset, term))
                         : _mm512_add_epi32(sums, term);
    _mm_storeu_si128(
        (__m128i*)(void*)codes,
        _mm_shuffle_epi8(_mm512_cvtepi32_epi8(qrt_avx512_codes(&r, sums)), turn));
    for (i = 0; i < height; ++i, y += step) {
      if (width == 4) {
        memcpy(y, codes + 4 * i, 4);
      } else {
        memcpy(y, codes + 4 * i, (size_t)width);
      }
    }
  }
}

QRT_DEFINE_BITSERIAL_KERNEL(bitserial_s8_vpopcnt)

#else
typedef int qrt_bitserial_vpopcnt_is_empty;
#endif
