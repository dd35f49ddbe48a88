/* SPDX-License-Identifier: MIT
 * What the direct convolutions of NEON and AArch64 share: unpacking of weights, sums, and
 * the step from accumulators to stored codes. Include after conv.h. */
#ifndef QRT_SRC_CONV_NEON_H
#define QRT_SRC_CONV_NEON_H

#include "conv.h"
#include "neon.h"

/* Odd levels: twice the field less the greatest. */
QRT_INLINE int8x16_t odd_codes(uint8x16_t field, int bits) {
  return vreinterpretq_s8_u8(
      vsubq_u8(vaddq_u8(field, field), vdupq_n_u8((uint8_t)((1 << bits) - 1))));
}

/* The upper four bits of bytes as codes, with their sign where levels are not odd. */
QRT_INLINE int8x16_t upper_nibbles(int8x16_t bytes, int odd) {
  if (odd) return odd_codes(vshrq_n_u8(vreinterpretq_u8_s8(bytes), 4), 4);
  return vshrq_n_s8(bytes, 4);
}

/* One store on AArch64, which takes half the vector pipes' time of two pairs on N1. */
QRT_INLINE void store_64_codes(int8_t* dst, int8x16x4_t codes) {
#if QRT_HAS_neon
  vst1q_s8_x4(dst, codes);
#else
  vst1q_s8(dst, codes.val[0]);
  vst1q_s8(dst + 16, codes.val[1]);
  vst1q_s8(dst + 32, codes.val[2]);
  vst1q_s8(dst + 48, codes.val[3]);
#endif
}

/* 32 codes of 4 bits. */
QRT_INLINE int8x16x2_t nibbles(const uint8_t* src, int odd) {
  const int8x16_t bytes = vreinterpretq_s8_u8(vld1q_u8(src));
  return vzipq_s8(upper_nibbles(vshlq_n_s8(bytes, 4), odd), upper_nibbles(bytes, odd));
}

/* 64 codes of 4 bits. */
QRT_INLINE void unpack_nibbles(int8_t* dst, const uint8_t* src, int odd) {
  const int8x16x2_t a = nibbles(src, odd), b = nibbles(src + 16, odd);
  const int8x16x4_t codes = {{a.val[0], a.val[1], b.val[0], b.val[1]}};
  store_64_codes(dst, codes);
}

/* table[i] for each i below 16, 0 for others. */
QRT_INLINE int8x16_t look_up(int8x16_t table, uint8x16_t i) {
#if QRT_HAS_neon
  return vqtbl1q_s8(table, i);
#else
  const int8x8x2_t halves = {{vget_low_s8(table), vget_high_s8(table)}};
  return vcombine_s8(vtbl2_s8(halves, vreinterpret_s8_u8(vget_low_u8(i))),
                     vtbl2_s8(halves, vreinterpret_s8_u8(vget_high_u8(i))));
#endif
}

/* 64 codes of 2 bits: four bits are looked up as two codes. */
QRT_INLINE void unpack_quarters(int8_t* dst, const uint8_t* src, int odd) {
  static const int8_t codes[2][32] = {
      {0, 1, -2, -1, 0, 1, -2, -1, 0,  1,  -2, -1, 0,  1,  -2, -1,
       0, 0, 0,  0,  1, 1, 1,  1,  -2, -2, -2, -2, -1, -1, -1, -1},
      {-3, -1, 1,  3,  -3, -1, 1,  3,  -3, -1, 1, 3, -3, -1, 1, 3,
       -3, -3, -3, -3, -1, -1, -1, -1, 1,  1,  1, 1, 3,  3,  3, 3}};
  const int8x16_t low = vld1q_s8(codes[odd]), high = vld1q_s8(codes[odd] + 16);
  const uint8x16_t bytes = vld1q_u8(src);
  const uint8x16x2_t fours =
      vzipq_u8(vandq_u8(bytes, vdupq_n_u8(15)), vshrq_n_u8(bytes, 4));
  const int8x16x2_t a = vzipq_s8(look_up(low, fours.val[0]), look_up(high, fours.val[0]));
  const int8x16x2_t b = vzipq_s8(look_up(low, fours.val[1]), look_up(high, fours.val[1]));
  const int8x16x4_t all = {{a.val[0], a.val[1], b.val[0], b.val[1]}};
  store_64_codes(dst, all);
}

/* Where the fields of sixteen codes lie in 16 bytes: for each the two bytes that hold it,
 * low one first, and how far left it is shifted to the top of them. */
typedef struct {
  uint8x16_t first, last;
  int16x8_t up;
  int8x16_t down;
} qrt_fields;

/* For each of eight codes, which `codes` counts: the byte that its field begins in and
 * the next one; `skip`: bits of these before the field. */
QRT_INLINE uint8x16_t field_bytes(const uint8_t* codes, int bits, int16x8_t* skip) {
  const uint8x8_t bit = vmul_u8(vld1_u8(codes), vdup_n_u8((uint8_t)bits));
  const uint8x8_t byte = vshr_n_u8(bit, 3);
  const uint8x8x2_t both = vzip_u8(byte, vadd_u8(byte, vdup_n_u8(1)));
  *skip = vreinterpretq_s16_u16(vmovl_u8(vand_u8(bit, vdup_n_u8(7))));
  return vcombine_u8(both.val[0], both.val[1]);
}

QRT_INLINE qrt_fields fields_of(int bits) {
  static const uint8_t codes[8] = {0, 1, 2, 3, 4, 5, 6, 7};
  qrt_fields f;
  int16x8_t skip;
  f.first = field_bytes(codes, bits, &skip);
  f.last = vaddq_u8(f.first, vdupq_n_u8((uint8_t)bits));
  f.up = vsubq_s16(vdupq_n_s16((int16_t)(16 - bits)), skip);
  f.down = vdupq_n_s8((int8_t)(bits - 8));
  return f;
}

/* Sixteen codes of `bits` bits, which begin `skip` bytes into the 16 at `src`. */
QRT_INLINE int8x16_t unpack_sixteen(const uint8_t* src, uint8_t skip, const qrt_fields* f,
                                    int bits, int odd) {
  const int8x16_t bytes = vreinterpretq_s8_u8(vld1q_u8(src));
  const uint8x16_t to = vdupq_n_u8(skip);
  const int16x8_t a = vreinterpretq_s16_s8(look_up(bytes, vaddq_u8(f->first, to)));
  const int16x8_t b = vreinterpretq_s16_s8(look_up(bytes, vaddq_u8(f->last, to)));
  const int8x16_t top = vuzpq_s8(vreinterpretq_s8_s16(vshlq_s16(a, f->up)),
                                 vreinterpretq_s8_s16(vshlq_s16(b, f->up)))
                            .val[1];
  if (odd) return odd_codes(vshlq_u8(vreinterpretq_u8_s8(top), f->down), bits);
  return vshlq_s8(top, f->down);
}

/* Widths for which every two neighbours lie in two bytes, and where these are: for each
 * of eight pairs of codes its bytes, how far left it is shifted to the top of them, and
 * how far its codes are shifted left and right after that. */
#define QRT_HAS_PAIRS(bits) ((bits) == 3 || (bits) == 5 || (bits) == 6)

typedef struct {
  uint8x16_t bytes;
  int16x8_t up, first_up;
  int8x16_t down;
} qrt_field_pairs;

QRT_INLINE qrt_field_pairs field_pairs_of(int bits) {
  static const uint8_t codes[8] = {0, 2, 4, 6, 8, 10, 12, 14};
  qrt_field_pairs f;
  int16x8_t skip;
  f.bytes = field_bytes(codes, bits, &skip);
  f.up = vsubq_s16(vdupq_n_s16((int16_t)(16 - 2 * bits)), skip);
  f.first_up = vdupq_n_s16((int16_t)bits);
  f.down = vdupq_n_s8((int8_t)(bits - 8));
  return f;
}

/* Sixteen codes of `bits` bits, as unpack_sixteen. */
QRT_INLINE int8x16_t unpack_eight_pairs(const uint8_t* src, uint8_t skip,
                                        const qrt_field_pairs* f, int bits, int odd) {
  const int8x16_t bytes = vreinterpretq_s8_u8(vld1q_u8(src));
  const int16x8_t second = vshlq_s16(
      vreinterpretq_s16_s8(look_up(bytes, vaddq_u8(f->bytes, vdupq_n_u8(skip)))), f->up);
  const int8x16_t top = vtrnq_s8(vreinterpretq_s8_s16(vshlq_s16(second, f->first_up)),
                                 vreinterpretq_s8_s16(second))
                            .val[1];
  if (odd) return odd_codes(vshlq_u8(vreinterpretq_u8_s8(top), f->down), bits);
  return vshlq_s8(top, f->down);
}

#define QRT_UNPACK_QUARTER(i, at)                                                    \
  (has_pairs                                                                         \
       ? unpack_eight_pairs(src + (at), (uint8_t)((i)*quarter - (at)), &pairs, bits, \
                            odd)                                                     \
       : unpack_sixteen(src + (at), (uint8_t)((i)*quarter - (at)), &fields, bits, odd))

/* Groups of 64 codes of 3, 5, 6 or 7 bits; returns how many codes they are. Nothing is
 * read outside a group: its last two quarters lie in its last 16 bytes. `has_pairs` and
 * `odd` are constants. */
QRT_INLINE size_t unpack_groups(int8_t* dst, const uint8_t* src, size_t count, int bits,
                                int has_pairs, int odd) {
  const qrt_field_pairs pairs = field_pairs_of(bits);
  const qrt_fields fields = fields_of(bits);
  const size_t quarter = 2 * (size_t)bits, last = 8 * (size_t)bits - 16;
  const size_t third = 2 * quarter < last ? 2 * quarter : last;
  size_t done;
  for (done = 0; done + 64 <= count; done += 64, src += 4 * quarter) {
    int8x16x4_t codes;
    codes.val[0] = QRT_UNPACK_QUARTER(0, 0);
    codes.val[1] = QRT_UNPACK_QUARTER(1, quarter);
    codes.val[2] = QRT_UNPACK_QUARTER(2, third);
    codes.val[3] = QRT_UNPACK_QUARTER(3, last);
    store_64_codes(dst + done, codes);
  }
  return done;
}

/* The codes of a row that fill whole vectors; returns how many they are. `odd` is a
 * constant. */
QRT_INLINE size_t unpack_vectors(int8_t* dst, const uint8_t* src, size_t count, int bits,
                                 int odd) {
  const size_t bytes = qrt_row_bytes(count, bits);
  size_t done = 0;
  if (bits == 4) {
    for (; done + 64 <= count; done += 64) {
      unpack_nibbles(dst + done, src + done / 2, odd);
    }
  } else if (bits == 2) {
    for (; done + 64 <= count; done += 64) {
      unpack_quarters(dst + done, src + done / 4, odd);
    }
  } else if (QRT_HAS_PAIRS(bits)) {
    done = unpack_groups(dst, src, count, bits, 1, odd);
  } else if (bits == 7) {
    done = unpack_groups(dst, src, count, bits, 0, odd);
  }
  if (done + 16 <= count && bytes >= 16) {
    const qrt_fields f = fields_of(bits);
    size_t at = done / 8 * (size_t)bits;
    for (; done + 16 <= count && at + 16 <= bytes; done += 16, at += 2 * (size_t)bits) {
      vst1q_s8(dst + done, unpack_sixteen(src + at, 0, &f, bits, odd));
    }
    /* The last ones lie in the row's last 16 bytes. */
    for (; done + 16 <= count; done += 16, at += 2 * (size_t)bits) {
      vst1q_s8(dst + done, unpack_sixteen(src + bytes - 16, (uint8_t)(at + 16 - bytes),
                                          &f, bits, odd));
    }
  }
  return done;
}

static void unpack_codes(int8_t* dst, const uint8_t* src, size_t count, int bits,
                         int odd) {
  size_t done;
  if (bits == 8) {
    memcpy(dst, src, count);
    return;
  }
  done = odd ? unpack_vectors(dst, src, count, bits, 1)
             : unpack_vectors(dst, src, count, bits, 0);
  if (done < count) {
    qrt_unpack_row(dst + done, src + done / 8 * (size_t)bits, count - done, bits, odd, 0);
  }
}

static int32_t sum_codes(const int8_t* codes, size_t count) {
  int32x4_t sums = vdupq_n_s32(0);
  int32_t parts[4], total;
  size_t i;
  for (i = 0; i + 16 <= count; i += 16) {
    sums = vpadalq_s16(sums, vpaddlq_s8(vld1q_s8(codes + i)));
  }
  vst1q_s32(parts, sums);
  total = parts[0] + parts[1] + parts[2] + parts[3];
  for (; i < count; ++i) total += codes[i];
  return total;
}

/* What the results of four channels need, in registers. */
typedef struct {
  int32x4_t base, multiplier, left, right;
} qrt_neon_result;

QRT_INLINE qrt_neon_result load_result(const qrt_conv_tile* tile, size_t column) {
  qrt_neon_result r;
  r.base = vld1q_s32(tile->base + column);
  r.multiplier = vld1q_s32(tile->multiplier + column);
  r.left = vld1q_s32(tile->left + column);
  r.right = vld1q_s32(tile->right + column);
  return r;
}

/* Where the sums of four channels begin. */
QRT_INLINE int32x4_t first_sums(const qrt_conv_tile* tile, size_t column, int with_base) {
  return with_base ? vld1q_s32(tile->base + column) : vdupq_n_s32(0);
}

/* N5 of sums that hold their base. */
QRT_INLINE int32x4_t requant_based(const qrt_neon_result* r, int32x4_t sums) {
  return vrshlq_s32(vqrdmulhq_s32(sums, r->multiplier), r->right);
}

/* N19 and N5 of the products of one position with four channels. `any_left` is a
 * constant. */
QRT_INLINE int32x4_t requant_sums(const qrt_neon_result* r, int32x4_t sums,
                                  int any_left) {
  if (any_left) sums = vshlq_s32(sums, r->left);
  return requant_based(r, vaddq_s32(sums, r->base));
}

/* N7 for int8 results. */
QRT_INLINE int8x16_t finish_codes(const qrt_conv_tile* tile, int32x4_t a, int32x4_t b,
                                  int32x4_t c, int32x4_t d) {
  const qrt_neon_bounds bounds = {vld1q_dup_s16(&tile->y_zero16),
                                  vld1q_dup_s8(&tile->lo8), vld1q_dup_s8(&tile->hi8)};
  return qrt_neon_codes(&bounds, a, b, c, d);
}

/* True where every result of the tile takes the short way: int8, no weight zero point. */
QRT_INLINE int is_plain(const qrt_conv_tile* tile) {
  return tile->y_bytes == 1 && !tile->row_sums;
}

/* The first channels of four (from `column` on) at one position, any kind of result. */
static void store_any(const qrt_conv_tile* tile, size_t position, size_t column,
                      int32x4_t sums) {
  const qrt_neon_result r = load_result(tile, column);
  const size_t at = position * tile->y_step + column;
  int32_t codes[4];
  size_t i;
  if (tile->row_sums) {
    sums = vmlsq_s32(sums, vld1q_s32(tile->w_zero + column),
                     vdupq_n_s32(tile->row_sums[position]));
  }
  vst1q_s32(codes,
            qrt_neon_finish(requant_sums(&r, sums, 1), tile->y_zero, tile->lo, tile->hi));
  for (i = 0; i < 4 && column + i < tile->width; ++i) {
    qrt_store(tile->y, at + i, tile->y_bytes, codes[i]);
  }
}

#endif /* QRT_SRC_CONV_NEON_H */
