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
QRT_INLINE uint8x16_t look_up(uint8x16_t table, uint8x16_t i) {
#if QRT_HAS_neon
  return vqtbl1q_u8(table, i);
#else
  const uint8x8x2_t halves = {{vget_low_u8(table), vget_high_u8(table)}};
  return vcombine_u8(vtbl2_u8(halves, vget_low_u8(i)), vtbl2_u8(halves, vget_high_u8(i)));
#endif
}

/* 64 codes of 2 bits: four bits are looked up as two codes. */
QRT_INLINE void unpack_quarters(int8_t* dst, const uint8_t* src, int odd) {
  static const int8_t codes[2][32] = {
      {0, 1, -2, -1, 0, 1, -2, -1, 0,  1,  -2, -1, 0,  1,  -2, -1,
       0, 0, 0,  0,  1, 1, 1,  1,  -2, -2, -2, -2, -1, -1, -1, -1},
      {-3, -1, 1,  3,  -3, -1, 1,  3,  -3, -1, 1, 3, -3, -1, 1, 3,
       -3, -3, -3, -3, -1, -1, -1, -1, 1,  1,  1, 1, 3,  3,  3, 3}};
  const uint8x16_t low = vreinterpretq_u8_s8(vld1q_s8(codes[odd]));
  const uint8x16_t high = vreinterpretq_u8_s8(vld1q_s8(codes[odd] + 16));
  const uint8x16_t bytes = vld1q_u8(src);
  const uint8x16x2_t fours =
      vzipq_u8(vandq_u8(bytes, vdupq_n_u8(15)), vshrq_n_u8(bytes, 4));
  const uint8x16x2_t a =
      vzipq_u8(look_up(low, fours.val[0]), look_up(high, fours.val[0]));
  const uint8x16x2_t b =
      vzipq_u8(look_up(low, fours.val[1]), look_up(high, fours.val[1]));
  const int8x16x4_t all = {{vreinterpretq_s8_u8(a.val[0]), vreinterpretq_s8_u8(a.val[1]),
                            vreinterpretq_s8_u8(b.val[0]),
                            vreinterpretq_s8_u8(b.val[1])}};
  store_64_codes(dst, all);
}

/* Where the fields of sixteen codes lie in 16 bytes: for each the byte that it begins in,
 * how far left that is shifted until the field ends at the top, what the next byte is
 * multiplied with until its share lies there (0 where it has none), and how far down both
 * go in the end. */
typedef struct {
  uint8x16_t first, second;
  int8x16_t first_up;
  uint8x16_t second_up;
  int8x16_t down;
} qrt_fields;

QRT_INLINE qrt_fields fields_of(int bits) {
  static const uint8_t codes[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  const uint8x16_t bit = vmulq_u8(vld1q_u8(codes), vdupq_n_u8((uint8_t)bits));
  qrt_fields f;
  f.first = vshrq_n_u8(bit, 3);
  f.second = vaddq_u8(f.first, vdupq_n_u8(1));
  f.first_up = vsubq_s8(vdupq_n_s8((int8_t)(8 - bits)),
                        vreinterpretq_s8_u8(vandq_u8(bit, vdupq_n_u8(7))));
  f.second_up = vshlq_u8(vdupq_n_u8(1), vaddq_s8(f.first_up, vdupq_n_s8(8)));
  f.down = vdupq_n_s8((int8_t)(bits - 8));
  return f;
}

/* Codes of fields at the top of their bytes, whatever lies below. */
QRT_INLINE int8x16_t codes_of_top(uint8x16_t top, int8x16_t down, int bits, int odd) {
  if (odd) return odd_codes(vshlq_u8(top, down), bits);
  return vshlq_s8(vreinterpretq_s8_u8(top), down);
}

/* Sixteen codes of `bits` bits, which begin `skip` bytes into the 16 at `src`. */
QRT_INLINE int8x16_t unpack_sixteen(const uint8_t* src, uint8_t skip, const qrt_fields* f,
                                    int bits, int odd) {
  const uint8x16_t bytes = vld1q_u8(src), to = vdupq_n_u8(skip);
  const uint8x16_t first = look_up(bytes, vaddq_u8(f->first, to));
  const uint8x16_t second = look_up(bytes, vaddq_u8(f->second, to));
  return codes_of_top(vmlaq_u8(vshlq_u8(first, f->first_up), second, f->second_up),
                      f->down, bits, odd);
}

/* Widths for which every two neighbours lie in two bytes, and where these are: for each
 * of eight pairs of codes its bytes, how far left they are shifted until the codes meet
 * where the bytes do, what brings the second code to its top then, and how far down both
 * go in the end. Multiplied instead of shifted: N1 shifts in one pipe only. */
#define QRT_HAS_PAIRS(bits) ((bits) == 3 || (bits) == 5 || (bits) == 6)

typedef struct {
  uint8x16_t bytes;
  int16x8_t up;
  uint8x16_t second_up;
  int8x16_t down;
} qrt_field_pairs;

QRT_INLINE qrt_field_pairs field_pairs_of(int bits) {
  static const uint8_t codes[8] = {0, 2, 4, 6, 8, 10, 12, 14};
  const uint8x8_t bit = vmul_u8(vld1_u8(codes), vdup_n_u8((uint8_t)bits));
  const uint8x8_t byte = vshr_n_u8(bit, 3);
  const uint8x8x2_t both = vzip_u8(byte, vadd_u8(byte, vdup_n_u8(1)));
  qrt_field_pairs f;
  f.bytes = vcombine_u8(both.val[0], both.val[1]);
  f.up = vsubq_s16(vdupq_n_s16((int16_t)(8 - bits)),
                   vreinterpretq_s16_u16(vmovl_u8(vand_u8(bit, vdup_n_u8(7)))));
  f.second_up = vreinterpretq_u8_u16(vdupq_n_u16((uint16_t)(1 + (256 << (8 - bits)))));
  f.down = vdupq_n_s8((int8_t)(bits - 8));
  return f;
}

/* Sixteen codes of `bits` bits, as unpack_sixteen. */
QRT_INLINE int8x16_t unpack_eight_pairs(const uint8_t* src, uint8_t skip,
                                        const qrt_field_pairs* f, int bits, int odd) {
  const uint8x16_t pairs = look_up(vld1q_u8(src), vaddq_u8(f->bytes, vdupq_n_u8(skip)));
  const uint8x16_t meeting =
      vreinterpretq_u8_u16(vshlq_u16(vreinterpretq_u16_u8(pairs), f->up));
  return codes_of_top(vmulq_u8(meeting, f->second_up), f->down, bits, odd);
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

#if QRT_HAS_neon
/* Sixteen codes of 7 bits in 14 bytes: code i of eight lies in the i-th byte and the one
 * before, the last in the seventh alone. Bytes are shifted where they lie, and brought
 * into the order of their codes, the last ones from where nothing was shifted. */
typedef struct {
  int8x16_t before_up, down;
  uint8x16_t up, order;
} qrt_sevens;

QRT_INLINE qrt_sevens sevens(void) {
  static const int8_t before_up[16] = {-7, -6, -5, -4, -3, -2, -1, -7,
                                       -6, -5, -4, -3, -2, -1, 0,  0};
  static const uint8_t up[16] = {2, 4, 8, 16, 32, 64, 128, 2, 4, 8, 16, 32, 64, 128};
  static const uint8_t order[16] = {0, 1, 2, 3,  4,  5,  6,  16 + 6,
                                    7, 8, 9, 10, 11, 12, 13, 16 + 13};
  qrt_sevens f;
  f.before_up = vld1q_s8(before_up);
  f.up = vld1q_u8(up);
  f.order = vld1q_u8(order);
  f.down = vdupq_n_s8(-1);
  return f;
}

/* Reads the byte before them too, and two behind. In assembly: a look-up in two vectors
 * wants neighbouring registers, into which gcc 12 copies. */
QRT_INLINE int8x16_t unpack_sixteen_sevens(const uint8_t* src, const qrt_sevens* f,
                                           int odd) {
  uint8x16_t top;
  __asm__(
      "ldur q30, [%[src], #-1]\n\t"
      "ldr q31, [%[src]]\n\t"
      "ushl v30.16b, v30.16b, %[before_up].16b\n\t"
      "mla v30.16b, v31.16b, %[up].16b\n\t"
      "tbl %[top].16b, {v30.16b, v31.16b}, %[order].16b"
      : [top] "=w"(top)
      : [src] "r"(src), [before_up] "w"(f->before_up), [up] "w"(f->up),
        [order] "w"(f->order)
      : "v30", "v31", "memory");
  return codes_of_top(top, f->down, 7, odd);
}

/* Groups of 64 codes of 7 bits; returns how many codes they are. Nothing is read outside
 * them: the first and the last group are unpacked like any. */
QRT_INLINE size_t unpack_sevens(int8_t* dst, const uint8_t* src, size_t count, int odd) {
  const qrt_sevens f = sevens();
  size_t done = unpack_groups(dst, src, count < 64 ? count : 64, 7, 0, odd);
  for (; done + 128 <= count; done += 64) {
    const uint8_t* group = src + done / 8 * 7;
    int8x16x4_t codes;
    codes.val[0] = unpack_sixteen_sevens(group, &f, odd);
    codes.val[1] = unpack_sixteen_sevens(group + 14, &f, odd);
    codes.val[2] = unpack_sixteen_sevens(group + 28, &f, odd);
    codes.val[3] = unpack_sixteen_sevens(group + 42, &f, odd);
    store_64_codes(dst + done, codes);
  }
  return done + unpack_groups(dst + done, src + done / 8 * 7, count - done, 7, 0, odd);
}
#else
QRT_INLINE size_t unpack_sevens(int8_t* dst, const uint8_t* src, size_t count, int odd) {
  return unpack_groups(dst, src, count, 7, 0, odd);
}
#endif

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
    done = unpack_sevens(dst, src, count, odd);
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
