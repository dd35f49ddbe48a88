/* SPDX-License-Identifier: MIT
 * Table lookup for AVX2: 64 int8 codes at a time from tables of 256 entries, by sixteen
 * shuffles. Everything else as in plain C. */
#include "avx2.h"

#if QRT_HAS_avx2

#include "lut.h"

/* The table as rows of sixteen entries, those of codes 0 to 127, then those of -128 to
 * -1; all but the first of each half less (exclusive or) the row before. VPSHUFB gives 0
 * for an index below 0, so that a code takes rows until 16 less for each row has left
 * it below 0, and what it took adds up to its own row's entry. */
typedef struct {
  __m256i rows[16];
} lut_rows;

QRT_INLINE lut_rows lut_rows_of(const int8_t* table) {
  lut_rows t;
  __m128i before = _mm_setzero_si128();
  int i;
  for (i = 0; i < 16; ++i) {
    const __m128i row =
        _mm_loadu_si128((const __m128i*)(const void*)(table + 16 * (i ^ 8)));
    t.rows[i] = _mm256_broadcastsi128_si256(i == 8 ? row : _mm_xor_si128(row, before));
    before = row;
  }
  return t;
}

/* Adds one row to the entries of 32 indices. */
QRT_INLINE void take_row(const lut_rows* t, const int row, __m256i* index,
                         __m256i* entries) {
  *entries = _mm256_xor_si256(*entries, _mm256_shuffle_epi8(t->rows[row], *index));
  *index = _mm256_subs_epi8(*index, _mm256_set1_epi8(16));
}

/* Adds the eight rows from `first`, a constant, on to the entries of two times 32
 * indices. Written out: gcc unrolls no loop at -O2. */
QRT_INLINE void take_rows(const lut_rows* t, const int first, __m256i* index,
                          __m256i* entries) {
#define QRT_TAKE(i)                               \
  take_row(t, first + i, &index[0], &entries[0]); \
  take_row(t, first + i, &index[1], &entries[1]);
  QRT_TAKE(0)
  QRT_TAKE(1) QRT_TAKE(2) QRT_TAKE(3) QRT_TAKE(4) QRT_TAKE(5) QRT_TAKE(6) QRT_TAKE(7)
#undef QRT_TAKE
}

/* Whole 64s; returns the codes done. */
static size_t lut_codes64(const int8_t* x, const int8_t* table, int8_t* y, size_t count) {
  const lut_rows t = lut_rows_of(table);
  const __m256i half = _mm256_set1_epi8(INT8_MIN);
  size_t i;
  for (i = 0; i + 64 <= count; i += 64) {
    const __m256i* codes = (const __m256i*)(const void*)(x + i);
    __m256i* results = (__m256i*)(void*)(y + i);
    __m256i index[2], other[2], entries[2];
    index[0] = _mm256_loadu_si256(codes);
    index[1] = _mm256_loadu_si256(codes + 1);
    other[0] = _mm256_xor_si256(index[0], half);
    other[1] = _mm256_xor_si256(index[1], half);
    entries[0] = entries[1] = _mm256_setzero_si256();
    take_rows(&t, 0, index, entries);
    take_rows(&t, 8, other, entries);
    _mm256_storeu_si256(results, entries[0]);
    _mm256_storeu_si256(results + 1, entries[1]);
  }
  return i;
}

void qrt_lut_any_avx2(const qrt_lut_params* p, const void* x, const void* table,
                      void* y) {
  const size_t count = (size_t)p->count;
  size_t done = 0;
  if (!is_byte_table(p)) {
    qrt_lut_any_c(p, x, table, y);
    return;
  }
  done = lut_codes64((const int8_t*)x, (const int8_t*)table, (int8_t*)y, count);
  lut_bytes((const int8_t*)x, (const int8_t*)table, (int8_t*)y, done, count);
}

#else
typedef int qrt_lut_avx2_is_empty;
#endif
