/* SPDX-License-Identifier: MIT
 * Four rows times four columns of bit words for AArch64, in assembly: 16 sums of bytes, 8
 * of 16 bits, 4 columns and 4 turning temporaries are all 32 registers, and no compiler
 * keeps them there. One step is 48 operations on two pipes; what is loaded for the next
 * step is spread between them, for cores that issue in order. Included by
 * bitserial_neon.c. */
#ifndef QRT_SRC_BITSERIAL_TILE_H
#define QRT_SRC_BITSERIAL_TILE_H

#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverlength-strings"
#endif

/* v0..v3: columns; v4..v7: rows and temporaries; v16..v31: sums of bytes, 4 a row. */
#define QRT_OP(op, d, a, b) #op " v" #d ".16b, v" #a ".16b, v" #b ".16b\n\t"
#define QRT_CNT(d, a) "cnt v" #d ".16b, v" #a ".16b\n\t"
#define QRT_LDR(d, base, offset) "ldr q" #d ", [%[" #base "], #" #offset "]\n\t"
#define QRT_WIDEN(s, c) "uadalp %[" #s "].8h, v" #c ".16b\n\t"
#define QRT_ZERO(s) "movi %[" #s "].8h, #0\n\t"
#define QRT_PAIR(s, t) "addp %[" #s "].8h, %[" #s "].8h, %[" #t "].8h\n\t"
#define QRT_TWICE(s) "add %[" #s "].8h, %[" #s "].8h, %[" #s "].8h\n\t"

/* Takes one step off n; the pointers stay where no step follows, so that nothing is read
 * behind the end. */
#define QRT_NEXT_STEP               \
  "subs %[n], %[n], #1\n\t"         \
  "csel %[d], %[step], xzr, ne\n\t" \
  "add %[a], %[a], %[d]\n\t"        \
  "add %[w], %[w], %[d]\n\t"

/* Row a meets the columns for the first time. */
#define QRT_ROW_START(a, c0, c1, c2, c3) \
  QRT_OP(and, c0, a, 0) QRT_OP(and, c1, a, 1) QRT_OP(and, c2, a, 2) QRT_OP(and, c3, a, 3)

/* Row a meets the columns again; `then` is loaded once t0 is free. */
#define QRT_ROW_STEP(a, t0, t1, t2, c0, c1, c2, c3, then)                    \
  QRT_OP(and, t0, a, 0)                                                      \
  QRT_OP(and, t1, a, 1)                                                      \
  QRT_OP(and, t2, a, 2) QRT_OP(and, a, a, 3) QRT_CNT(t0, t0) QRT_CNT(t1, t1) \
      QRT_CNT(t2, t2) QRT_CNT(a, a) QRT_OP(add, c0, c0, t0) then             \
      QRT_OP(add, c1, c1, t1) QRT_OP(add, c2, c2, t2) QRT_OP(add, c3, c3, a)

#define QRT_CNT_ROW(c0, c1, c2, c3) \
  QRT_CNT(c0, c0) QRT_CNT(c1, c1) QRT_CNT(c2, c2) QRT_CNT(c3, c3)

/* Sums over the segments of one chunk, each with at least one step: two 16-bit lanes for
 * each column of a row. */
QRT_INLINE void sum_four_rows(const qrt_segment* segment, const uint64_t* panel,
                              const uint64_t* weights, uint16x8_t* row0, uint16x8_t* row1,
                              uint16x8_t* row2, uint16x8_t* row3) {
  uint16x8_t s0, s1, s2, s3, s4, s5, s6, s7;
  const uint64_t *a, *w;
  int64_t n, d, then;
  __asm__(
      QRT_ZERO(s0) QRT_ZERO(s1) QRT_ZERO(s2) QRT_ZERO(s3)
      QRT_ZERO(s4) QRT_ZERO(s5) QRT_ZERO(s6) QRT_ZERO(s7)
      "0:\n\t"
      "ldp %[a], %[w], [%[segment]]\n\t"
      "ldp %[n], %[then], [%[segment], #16]\n\t"
      "add %[segment], %[segment], #32\n\t"
      "add %[a], %[a], %[panel]\n\t"
      "add %[w], %[w], %[weights]\n\t"
      QRT_LDR(0, w, 0) QRT_LDR(4, a, 0) QRT_LDR(1, w, 16) QRT_LDR(2, w, 32)
      QRT_LDR(3, w, 48) QRT_LDR(5, a, 16) QRT_LDR(6, a, 32) QRT_LDR(7, a, 48)
      QRT_NEXT_STEP
      QRT_ROW_START(4, 16, 17, 18, 19)
      QRT_ROW_START(5, 20, 21, 22, 23)
      QRT_LDR(4, a, 0)
      QRT_CNT_ROW(16, 17, 18, 19)
      QRT_ROW_START(6, 24, 25, 26, 27)
      QRT_CNT_ROW(20, 21, 22, 23)
      QRT_OP(and, 28, 7, 0) QRT_LDR(0, w, 0) QRT_OP(and, 29, 7, 1) QRT_LDR(1, w, 16)
      QRT_OP(and, 30, 7, 2) QRT_LDR(2, w, 32) QRT_OP(and, 31, 7, 3) QRT_LDR(3, w, 48)
      QRT_CNT_ROW(24, 25, 26, 27) QRT_CNT_ROW(28, 29, 30, 31)
      "b.eq 2f\n\t"
      "1:\n\t"
      QRT_ROW_STEP(4, 5, 6, 7, 16, 17, 18, 19, QRT_LDR(5, a, 16))
      QRT_ROW_STEP(5, 6, 7, 4, 20, 21, 22, 23, QRT_LDR(6, a, 32))
      QRT_ROW_STEP(6, 7, 4, 5, 24, 25, 26, 27, QRT_LDR(7, a, 48))
      QRT_NEXT_STEP
      QRT_OP(and, 4, 7, 0) QRT_LDR(0, w, 0) QRT_OP(and, 5, 7, 1) QRT_LDR(1, w, 16)
      QRT_OP(and, 6, 7, 2) QRT_LDR(2, w, 32) QRT_OP(and, 7, 7, 3) QRT_LDR(3, w, 48)
      QRT_CNT(4, 4) QRT_CNT(5, 5) QRT_CNT(6, 6) QRT_CNT(7, 7)
      QRT_OP(add, 28, 28, 4) QRT_LDR(4, a, 0) QRT_OP(add, 29, 29, 5)
      QRT_OP(add, 30, 30, 6) QRT_OP(add, 31, 31, 7)
      "b.ne 1b\n\t"
      "2:\n\t"
      QRT_OP(addp, 16, 16, 17) QRT_OP(addp, 18, 18, 19) QRT_OP(addp, 20, 20, 21)
      QRT_OP(addp, 22, 22, 23) QRT_WIDEN(s0, 16) QRT_OP(addp, 24, 24, 25)
      QRT_WIDEN(s1, 18) QRT_OP(addp, 26, 26, 27) QRT_WIDEN(s2, 20)
      QRT_OP(addp, 28, 28, 29) QRT_WIDEN(s3, 22) QRT_OP(addp, 30, 30, 31)
      QRT_WIDEN(s4, 24) QRT_WIDEN(s5, 26) QRT_WIDEN(s6, 28) QRT_WIDEN(s7, 30)
      "cbz %[then], 0b\n\t"
      "tbz %[then], #0, 3f\n\t"
      QRT_LDR(0, w, 64) QRT_LDR(4, a, 64) QRT_LDR(1, w, 80) QRT_LDR(5, a, 80)
      QRT_LDR(6, a, 96) QRT_LDR(7, a, 112)
      QRT_OP(and, 16, 4, 0) QRT_OP(and, 17, 4, 1) QRT_OP(and, 18, 5, 0)
      QRT_OP(and, 19, 5, 1) QRT_CNT_ROW(16, 17, 18, 19)
      QRT_OP(and, 20, 6, 0) QRT_OP(and, 21, 6, 1) QRT_OP(and, 22, 7, 0)
      QRT_OP(and, 23, 7, 1) QRT_WIDEN(s0, 16) QRT_CNT(20, 20) QRT_WIDEN(s1, 17)
      QRT_CNT(21, 21) QRT_WIDEN(s2, 18) QRT_CNT(22, 22) QRT_WIDEN(s3, 19)
      QRT_CNT(23, 23) QRT_WIDEN(s4, 20) QRT_WIDEN(s5, 21) QRT_WIDEN(s6, 22)
      QRT_WIDEN(s7, 23)
      "3:\n\t"
      "tbz %[then], #1, 4f\n\t"
      QRT_TWICE(s0) QRT_TWICE(s1) QRT_TWICE(s2) QRT_TWICE(s3)
      QRT_TWICE(s4) QRT_TWICE(s5) QRT_TWICE(s6) QRT_TWICE(s7)
      "4:\n\t"
      "tbz %[then], #2, 0b\n\t"
      QRT_PAIR(s0, s1) QRT_PAIR(s2, s3) QRT_PAIR(s4, s5) QRT_PAIR(s6, s7)
      : [segment] "+r"(segment), [a] "=&r"(a), [w] "=&r"(w), [n] "=&r"(n), [d] "=&r"(d),
        [then] "=&r"(then), [s0] "=&w"(s0), [s1] "=&w"(s1), [s2] "=&w"(s2), [s3] "=&w"(s3),
        [s4] "=&w"(s4), [s5] "=&w"(s5), [s6] "=&w"(s6), [s7] "=&w"(s7)
      : [panel] "r"(panel), [weights] "r"(weights), [step] "r"((int64_t)64)
      : "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v16", "v17", "v18", "v19", "v20",
        "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31", "cc",
        "memory");
  *row0 = s0;
  *row1 = s2;
  *row2 = s4;
  *row3 = s6;
}

#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

#endif /* QRT_SRC_BITSERIAL_TILE_H */
