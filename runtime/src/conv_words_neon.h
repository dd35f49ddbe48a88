/* SPDX-License-Identifier: MIT
 * Weight panels of words for AArch64 (SDOT, byte sums): for each four codes of depth
 * sixteen channels side by side, a word of 32 bits each. Include after conv_neon.h. */
#ifndef QRT_SRC_CONV_WORDS_NEON_H
#define QRT_SRC_CONV_WORDS_NEON_H

/* Four rows of four words, transposed. */
QRT_INLINE void transpose(const int8_t* const* rows, size_t k, int8_t* dst) {
  const int32x4_t a = vreinterpretq_s32_s8(vld1q_s8(rows[0] + k));
  const int32x4_t b = vreinterpretq_s32_s8(vld1q_s8(rows[1] + k));
  const int32x4_t c = vreinterpretq_s32_s8(vld1q_s8(rows[2] + k));
  const int32x4_t d = vreinterpretq_s32_s8(vld1q_s8(rows[3] + k));
  const int64x2_t ab0 = vreinterpretq_s64_s32(vtrn1q_s32(a, b));
  const int64x2_t ab1 = vreinterpretq_s64_s32(vtrn2q_s32(a, b));
  const int64x2_t cd0 = vreinterpretq_s64_s32(vtrn1q_s32(c, d));
  const int64x2_t cd1 = vreinterpretq_s64_s32(vtrn2q_s32(c, d));
  vst1q_s8(dst, vreinterpretq_s8_s64(vtrn1q_s64(ab0, cd0)));
  vst1q_s8(dst + 64, vreinterpretq_s8_s64(vtrn1q_s64(ab1, cd1)));
  vst1q_s8(dst + 128, vreinterpretq_s8_s64(vtrn2q_s64(ab0, cd0)));
  vst1q_s8(dst + 192, vreinterpretq_s8_s64(vtrn2q_s64(ab1, cd1)));
}

static void pack_panel(const int8_t* const* w, size_t segments, size_t run,
                       int8_t* panel) {
  const size_t depth = segments * run;
  size_t k, i;
  for (i = 0; i < 16; i += 4) {
    for (k = 0; k < depth; k += 16) transpose(w + i, k, panel + 16 * k + 4 * i);
  }
}

#endif /* QRT_SRC_CONV_WORDS_NEON_H */
