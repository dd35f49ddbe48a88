/* SPDX-License-Identifier: MIT
 * Two neighbours under three columns of weights g0, g1, g2, in exact integers (Winograd's
 * F(2, 3); Lavin and Gray 2016): with d0 to d3 the codes that the two see, s = g0 + g2,
 *     m0 = (d0 - d2) g0    m1 = (d1 + d2) (s + g1)
 *     m3 = (d3 - d1) g2    m2 = (d2 - d1) (s - g1)
 *     y0 = m0 + (m1 + m2) / 2    y1 = (m1 - m2) / 2 + m3
 * takes four products for six; each serves two codes as in conv_avx2.c. What the sums of
 * those hold too much is even where they are halved, and fits 32 bits where conv_plan.h
 * has pairs. Included by conv_avx2.c. */
#ifndef QRT_SRC_CONV_PAIRS_AVX2_H
#define QRT_SRC_CONV_PAIRS_AVX2_H

/* Pairs whose halves of m1 and m2 are kept in the block's lanes, and what is left of
 * these for a position's codes, of two products. */
#define QRT_PAIRS 160
#define QRT_PAIR_LANES (64 * QRT_PAIRS)
#define QRT_PAIR_CODES ((QRT_LANES - QRT_PAIR_LANES) / (2 * QRT_POSITIONS))

QRT_INLINE size_t pairs_of_row(const qrt_conv_tile* tile) { return (tile->row + 1) / 2; }

QRT_INLINE size_t pair_count(const qrt_conv_tile* tile) {
  return tile->count / tile->row * pairs_of_row(tile);
}

/* The first position of a pair. The last of a row may be single. */
QRT_INLINE size_t pair_at(const qrt_conv_tile* tile, size_t pair) {
  const uint32_t each = (uint32_t)pairs_of_row(tile), row = (uint32_t)pair / each;
  return row * tile->row + 2 * ((uint32_t)pair - row * each);
}

QRT_INLINE int is_single(const qrt_conv_tile* tile, size_t position) {
  return position % tile->row + 1 == tile->row;
}

QRT_INLINE size_t pair_channels(const qrt_conv_tile* tile) { return tile->length / 3; }
QRT_INLINE size_t pair_depth(const qrt_conv_tile* tile) {
  return tile->segments * pair_channels(tile);
}

/* ----------------------------------------------------------------- products of codes */

QRT_INLINE __m256i product_of(__m256i a, __m256i b) {
  return _mm256_madd_epi16(a, _mm256_srli_epi64(b, 32));
}

/* What y0 and y1 hold too much of a pair's codes. */
static void pair_products(const qrt_conv_tile* tile, const int8_t* codes,
                          int32_t* products) {
  const size_t channels = pair_channels(tile);
  const __m256i none = _mm256_setzero_si256();
  __m256i first = none, second = none;
  __m128i sums;
  size_t segment, k;
  for (segment = tile->segments; segment > 0; --segment, codes += tile->pitch) {
    for (k = 0; k < channels; k += 16) {
      const __m256i d0 = widen(codes + k), d1 = widen(codes + channels + k);
      const __m256i d2 = widen(codes + 2 * channels + k);
      const __m256i d3 = widen(codes + 3 * channels + k);
      const __m256i left = _mm256_sub_epi16(d0, d2), right = _mm256_sub_epi16(d3, d1);
      first = _mm256_add_epi32(first, product_of(left, left));
      first = _mm256_add_epi32(first,
                               _mm256_add_epi32(product_of(d1, d1), product_of(d2, d2)));
      second = _mm256_add_epi32(second, product_of(right, right));
      second = _mm256_add_epi32(second,
                                _mm256_add_epi32(product_of(d1, d2), product_of(d2, d1)));
    }
  }
  first = add_across(first, second, none, none);
  sums = _mm_add_epi32(_mm256_castsi256_si128(first), _mm256_extracti128_si256(first, 1));
  _mm_storel_epi64((__m128i*)(void*)products, sums);
}

/* Words of all positions: y0's and y1's in turn. */
static void prepare_pairs(const qrt_conv_tile* tile) {
  const size_t pairs = pair_count(tile);
  size_t i;
  for (i = 0; i < pairs; ++i) {
    const size_t at = pair_at(tile, i);
    int32_t products[2];
    pair_products(tile, tile->rows[at], products);
    tile->row_words[at] = products[0];
    if (!is_single(tile, at)) tile->row_words[at + 1] = products[1];
  }
}

/* ------------------------------------------------------------------------- weights */

/* Panels of two products, one behind the other; of what they hold too much for y0 and y1,
 * minus the products of the weights. */
typedef struct {
  int8_t *first, *second;
  __m256i y0[2], y1[2]; /* first and other channels */
} qrt_pair_panels;

QRT_INLINE __m256i first_of(__m256i four) {
  return _mm256_srai_epi16(_mm256_slli_epi16(four, 8), 8);
}
QRT_INLINE __m256i last_of(__m256i four) { return _mm256_srai_epi16(four, 8); }

/* s + g and s - g; sides and middles are first and last weights of fours. */
QRT_INLINE void put_middle(const qrt_pair_panels* to, size_t at, const __m256i* sides,
                           const __m256i* middles) {
  store_lanes(to->first + at, _mm256_add_epi16(sides[1], middles[1]));
  store_lanes(to->first + at + 32, _mm256_add_epi16(sides[0], middles[0]));
  store_lanes(to->second + at, _mm256_sub_epi16(sides[1], middles[1]));
  store_lanes(to->second + at + 32, _mm256_sub_epi16(sides[0], middles[0]));
}

/* Panels of m1 and m2. */
static void pack_middle(const qrt_conv_tile* tile, qrt_pair_panels* to) {
  const size_t channels = pair_channels(tile);
  size_t segment, c, half, i, at = 0;
  for (segment = 0; segment < tile->segments; ++segment) {
    const size_t row = segment * tile->length;
    for (c = row; c < row + channels; c += 16, at += 512) {
      for (half = 0; half < 2; ++half) {
        const int8_t* const* w = tile->w + 4 * half;
        __m256i g0[4], g1[4], g2[4];
        transpose(w, c, g0);
        transpose(w, c + channels, g1);
        transpose(w, c + 2 * channels, g2);
        for (i = 0; i < 4; ++i) {
          const __m256i sides[2] = {_mm256_add_epi16(first_of(g0[i]), first_of(g2[i])),
                                    _mm256_add_epi16(last_of(g0[i]), last_of(g2[i]))};
          const __m256i middles[2] = {first_of(g1[i]), last_of(g1[i])};
          put_middle(to, at + 128 * i + 64 * half, sides, middles);
          to->y0[half] = _mm256_sub_epi32(
              to->y0[half], _mm256_add_epi32(_mm256_madd_epi16(sides[0], sides[1]),
                                             _mm256_madd_epi16(middles[0], middles[1])));
          to->y1[half] = _mm256_sub_epi32(
              to->y1[half], _mm256_add_epi32(_mm256_madd_epi16(sides[0], middles[1]),
                                             _mm256_madd_epi16(middles[0], sides[1])));
        }
      }
    }
  }
}

/* Panels of m0 and m3. */
static void pack_sides(const qrt_conv_tile* tile, qrt_pair_panels* to) {
  const size_t channels = pair_channels(tile);
  size_t segment, c, half, i, at = 0;
  for (segment = 0; segment < tile->segments; ++segment) {
    const size_t row = segment * tile->length;
    for (c = row; c < row + channels; c += 16, at += 512) {
      for (half = 0; half < 2; ++half) {
        const int8_t* const* w = tile->w + 4 * half;
        __m256i g0[4], g2[4];
        transpose(w, c, g0);
        transpose(w, c + 2 * channels, g2);
        for (i = 0; i < 4; ++i) {
          const size_t to_at = at + 128 * i + 64 * half;
          to->y0[half] = put_four(to->first + to_at, g0[i], to->y0[half]);
          to->y1[half] = put_four(to->second + to_at, g2[i], to->y1[half]);
        }
      }
    }
  }
}

/* ------------------------------------------------------------------ multiplication */

QRT_INLINE void put_combined(int16_t* lanes, const int8_t* a, const int8_t* b,
                             const int is_sum) {
  const __m256i u = widen(a), v = widen(b);
  store_lanes(lanes, is_sum ? _mm256_add_epi16(u, v) : _mm256_sub_epi16(u, v));
}

/* Code a plus or minus code b of each of four pairs, as prepare_four lays them down. */
QRT_INLINE void prepare_combined(const qrt_conv_tile* tile, const int8_t* const* rows,
                                 size_t a, size_t b, const int is_sum, size_t begin,
                                 size_t steps, int16_t* lanes) {
  const size_t channels = pair_channels(tile), segment = begin ? begin / channels : 0;
  const size_t skipped = segment * tile->pitch + a, other = b - a;
  const int8_t *p0 = rows[0] + skipped, *p1 = rows[1] + skipped;
  const int8_t *p2 = rows[2] + skipped, *p3 = rows[3] + skipped;
  size_t k = begin - segment * channels;
  for (; steps > 0; --steps, lanes += 64) {
    put_combined(lanes, p0 + k, p0 + other + k, is_sum);
    put_combined(lanes + 16, p1 + k, p1 + other + k, is_sum);
    put_combined(lanes + 32, p2 + k, p2 + other + k, is_sum);
    put_combined(lanes + 48, p3 + k, p3 + other + k, is_sum);
    k += 16;
    if (k == channels) {
      k = 0;
      p0 += tile->pitch, p1 += tile->pitch, p2 += tile->pitch, p3 += tile->pitch;
    }
  }
}

/* Adds m1 and m2, or m0 and m3 where is_middle, a constant, is 0, of four pairs. */
QRT_INLINE void multiply_both(const qrt_conv_tile* tile, const qrt_pair_panels* panels,
                              const int8_t* const* rows, const int is_middle,
                              qrt_ahead* ahead, __m256i* first, __m256i* second) {
  const size_t depth = pair_depth(tile), c = pair_channels(tile);
  int16_t* lanes = tile->lanes + QRT_PAIR_LANES;
  size_t begin, count;
  for (begin = 0; begin < depth; begin += count) {
    int16_t* others;
    count = depth - begin < QRT_PAIR_CODES ? depth - begin : QRT_PAIR_CODES;
    others = lanes + QRT_POSITIONS * count;
    if (is_middle) {
      prepare_combined(tile, rows, c, 2 * c, 1, begin, count / 16, lanes);
      prepare_combined(tile, rows, 2 * c, c, 0, begin, count / 16, others);
    } else {
      prepare_combined(tile, rows, 0, 2 * c, 0, begin, count / 16, lanes);
      prepare_combined(tile, rows, 3 * c, c, 0, begin, count / 16, others);
    }
    multiply_four(panels->first + 32 * begin, lanes, count / 16, 0, ahead->at,
                  ahead->step, first);
    move_ahead(ahead, count / 16);
    multiply_four(panels->second + 32 * begin, others, count / 16, 0, ahead->at,
                  ahead->step, second);
    move_ahead(ahead, count / 16);
  }
}

/* Rows of four pairs from a pair on; the last one stands in for those beyond. */
QRT_INLINE void rows_of_pairs(const qrt_conv_tile* tile, size_t pair, size_t* positions,
                              const int8_t** rows) {
  const size_t last = pair_count(tile) - 1;
  size_t i;
  for (i = 0; i < QRT_POSITIONS; ++i) {
    positions[i] = pair_at(tile, pair + i < last ? pair + i : last);
    rows[i] = tile->rows[positions[i]];
  }
}

/* Halves of m1 + m2 and m1 - m2, sixteen vectors for four pairs. */
QRT_NOINLINE static void multiply_middle(const qrt_conv_tile* tile,
                                         const qrt_pair_panels* panels, size_t pair,
                                         qrt_ahead* ahead, int16_t* halves) {
  __m256i first[2 * QRT_POSITIONS], second[2 * QRT_POSITIONS];
  size_t positions[QRT_POSITIONS], i;
  const int8_t* rows[QRT_POSITIONS];
  rows_of_pairs(tile, pair, positions, rows);
  for (i = 0; i < 2 * QRT_POSITIONS; ++i) first[i] = second[i] = _mm256_setzero_si256();
  multiply_both(tile, panels, rows, 1, ahead, first, second);
  for (i = 0; i < 2 * QRT_POSITIONS; ++i, halves += 32) {
    store_lanes(halves, _mm256_srai_epi32(_mm256_add_epi32(first[i], second[i]), 1));
    store_lanes(halves + 16, _mm256_srai_epi32(_mm256_sub_epi32(first[i], second[i]), 1));
  }
}

/* m0 and m3 are added, and results stored. */
QRT_NOINLINE static void multiply_sides(const qrt_conv_tile* tile,
                                        const qrt_avx2_results* r,
                                        const qrt_pair_panels* panels, size_t pair,
                                        qrt_ahead* ahead, const int16_t* halves) {
  const int is_usual = is_fast(tile, r);
  __m256i first[2 * QRT_POSITIONS], second[2 * QRT_POSITIONS];
  size_t positions[QRT_POSITIONS], i, half;
  const int8_t* rows[QRT_POSITIONS];
  rows_of_pairs(tile, pair, positions, rows);
  for (i = 0; i < QRT_POSITIONS; ++i) {
    int32_t products[2] = {0, 0};
    if (!tile->row_words) {
      pair_products(tile, rows[i], products);
    } else {
      products[0] = tile->row_words[positions[i]];
      if (!is_single(tile, positions[i])) products[1] = tile->row_words[positions[i] + 1];
    }
    for (half = 0; half < 2; ++half, halves += 32) {
      const __m256i* kept = (const __m256i*)(const void*)halves;
      const __m256i y0 =
          _mm256_sub_epi32(panels->y0[half], _mm256_set1_epi32(products[0]));
      const __m256i y1 =
          _mm256_sub_epi32(panels->y1[half], _mm256_set1_epi32(products[1]));
      first[2 * i + half] = _mm256_add_epi32(_mm256_loadu_si256(kept), y0);
      second[2 * i + half] = _mm256_add_epi32(_mm256_loadu_si256(kept + 1), y1);
    }
  }
  multiply_both(tile, panels, rows, 0, ahead, first, second);
  for (i = 0; i < QRT_POSITIONS; ++i) {
    const size_t both = is_single(tile, positions[i]) ? 1 : 2;
    const __m256i sums[4] = {first[2 * i], first[2 * i + 1], second[2 * i],
                             second[2 * i + 1]};
    if (is_usual) {
      store_usual(tile, r, positions[i], both, sums);
    } else {
      store_any(tile, positions[i], both, sums);
    }
  }
}

static void multiply_pairs(const qrt_conv_tile* tile, const qrt_avx2_results* r) {
  const size_t pairs = pair_count(tile);
  qrt_ahead ahead = ahead_of(tile);
  size_t first, last, i;
  for (first = 0; first < pairs; first = last) {
    qrt_pair_panels panels;
    panels.first = tile->room;
    panels.second = tile->room + 32 * pair_depth(tile);
    panels.y0[0] = panels.y0[1] = panels.y1[0] = panels.y1[1] = _mm256_setzero_si256();
    last = pairs - first < QRT_PAIRS ? pairs : first + QRT_PAIRS;
    pack_middle(tile, &panels);
    for (i = first; i < last; i += QRT_POSITIONS) {
      multiply_middle(tile, &panels, i, &ahead, tile->lanes + 64 * (i - first));
    }
    pack_sides(tile, &panels);
    for (i = first; i < last; i += QRT_POSITIONS) {
      multiply_sides(tile, r, &panels, i, &ahead, tile->lanes + 64 * (i - first));
    }
  }
}

#endif /* QRT_SRC_CONV_PAIRS_AVX2_H */
