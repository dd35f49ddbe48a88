/* SPDX-License-Identifier: MIT
 * The integer meaning of qopt, once: rounding, saturation, requantisation. Included by
 * the device kernels and by the simulation alike; docs/numerics.md is its text. C99 and
 * C++, no libc.
 *
 * Right shifts of negative numbers are arithmetic (checked below); overflow never happens
 * for arguments inside the stated ranges. */
#ifndef QRT_ARITH_H
#define QRT_ARITH_H

#include <stdint.h>

/* A compile error here means the compiler shifts negative numbers logically. */
typedef char qrt_needs_arithmetic_shift[((-3) >> 1) == -2 ? 1 : -1];

/* N1. Saturation of a 64-bit number to 32 bits. */
static inline int32_t qrt_saturate32(int64_t x) {
  if (x > INT32_MAX) return INT32_MAX;
  if (x < INT32_MIN) return INT32_MIN;
  return (int32_t)x;
}

static inline int32_t qrt_clamp(int32_t x, int32_t lo, int32_t hi) {
  return x < lo ? lo : (x > hi ? hi : x);
}

/* N2. Saturating rounding doubling high multiply, as SQRDMULH / VQRDMULH:
 * floor((2ab + 2^31) / 2^32); INT32_MIN * INT32_MIN saturates. */
static inline int32_t qrt_mul_high(int32_t a, int32_t b) {
  if (a == INT32_MIN && b == INT32_MIN) return INT32_MAX;
  return (int32_t)(((int64_t)a * b + ((int64_t)1 << 30)) >> 31);
}

/* N3. Rounding shift right, ties toward +infinity, as SRSHL / VRSHL by -n: 0 <= n <= 31.
 */
static inline int32_t qrt_shift_right(int32_t x, int n) {
  if (n == 0) return x;
  return (int32_t)(((int64_t)x + ((int64_t)1 << (n - 1))) >> n);
}

/* N3 for 64 bits: |x| < 2^62, 0 <= n <= 62. */
static inline int64_t qrt_shift_right64(int64_t x, int n) {
  if (n == 0) return x;
  return (x + ((int64_t)1 << (n - 1))) >> n;
}

/* N4. Saturating shift left, as SQSHL / VQSHL: 0 <= n <= 30. */
static inline int32_t qrt_shift_left(int32_t x, int n) {
  return qrt_saturate32((int64_t)x * ((int64_t)1 << n));
}

/* N5. The requantiser: acc * multiplier * 2^(shift - 31) in NEON's steps.
 * multiplier is 0 or in [2^18, 2^31 - 1]; -31 <= shift <= 30. A positive shift is applied
 * before the multiplication (with saturation), a negative one after it. */
static inline int32_t qrt_requant(int32_t acc, int32_t multiplier, int shift) {
  const int left = shift > 0 ? shift : 0;
  const int right = shift > 0 ? 0 : -shift;
  return qrt_shift_right(qrt_mul_high(qrt_shift_left(acc, left), multiplier), right);
}

/* The part of a shift that N5 applies after the multiplication. */
static inline int qrt_right_shift(int shift) { return shift < 0 ? shift : 0; }

/* N19. The accumulator of a sum of products: the shift's positive part gives the bias
 * fraction bits. Unsigned: nothing leaves 32 bits but on the way. */
static inline int32_t qrt_accumulate(int32_t sum, int32_t bias, int shift) {
  return (int32_t)(((uint32_t)sum << (shift > 0 ? shift : 0)) + (uint32_t)bias);
}

/* N6. The requantiser of 64-bit accumulators: round_half_up(acc * multiplier * 2^(shift -
 * 31)), exact until the one rounding, saturated to 32 bits. |acc| < 2^62, multiplier >=
 * 0. */
static inline int32_t qrt_requant64(int64_t acc, int32_t multiplier, int shift) {
  /* acc = high * 2^32 + low with 0 <= low < 2^32; so is the product, exactly. */
  const int64_t high = acc >> 32;
  const uint64_t low = (uint64_t)acc & 0xFFFFFFFFu;
  const uint64_t low_product = low * (uint32_t)multiplier;
  const int64_t high_product = high * multiplier + (int64_t)(low_product >> 32);
  const uint64_t rest = low_product & 0xFFFFFFFFu;
  const int n = 31 - shift; /* 1 <= n <= 62 */
  if (n > 32) {
    /* The fraction below 2^32 cannot carry: rounding adds a whole multiple of 2^32. */
    return qrt_saturate32((high_product + ((int64_t)1 << (n - 33))) >> (n - 32));
  }
  {
    const uint64_t half = (uint64_t)1 << (n - 1);
    const uint64_t sum = rest + half; /* < 2^33 */
    const int64_t carried = high_product + (int64_t)(sum >> 32);
    const uint64_t kept = (sum & 0xFFFFFFFFu) >> n; /* n == 32: 0 */
    /* Result = carried * 2^(32 - n) + kept; saturate before it can overflow. */
    if (carried > ((int64_t)1 << 31)) return INT32_MAX;
    if (carried < -((int64_t)1 << 31)) return INT32_MIN;
    return qrt_saturate32(carried * ((int64_t)1 << (32 - n)) + (int64_t)kept);
  }
}

/* N7. Zero point and clamp of a result: saturating add, then [lo, hi]. */
static inline int32_t qrt_finish(int32_t y, int32_t zero, int32_t lo, int32_t hi) {
  return qrt_clamp(qrt_saturate32((int64_t)y + zero), lo, hi);
}

/* N8. Division rounding half away from zero; den != 0, |num| < 2^62. */
static inline int64_t qrt_div_round(int64_t num, int64_t den) {
  const int negative = (num < 0) != (den < 0);
  const uint64_t n = num < 0 ? (uint64_t)0 - (uint64_t)num : (uint64_t)num;
  const uint64_t d = den < 0 ? (uint64_t)0 - (uint64_t)den : (uint64_t)den;
  const uint64_t q = n / d;
  const uint64_t r = n - q * d;
  const uint64_t rounded = q + (r >= d - r ? 1u : 0u);
  return negative ? -(int64_t)rounded : (int64_t)rounded;
}

/* N9. Fixed-point quotient of two activations: num / den * 2^fraction, saturated to
 * +-2^30; a zero denominator gives +-2^30 by the sign of num, 0 for 0/0. fraction is
 * QRT_DIV_FRACTION8 for int8 operands and QRT_DIV_FRACTION16 for int16. */
#define QRT_DIV_FRACTION8 20
#define QRT_DIV_FRACTION16 14
static inline int32_t qrt_div_q(int32_t num, int32_t den, int fraction) {
  const int64_t limit = (int64_t)1 << 30;
  int64_t q;
  if (den == 0) return num > 0 ? (int32_t)limit : (num < 0 ? (int32_t)-limit : 0);
  q = qrt_div_round((int64_t)num * ((int64_t)1 << fraction), den);
  return (int32_t)(q > limit ? limit : (q < -limit ? -limit : q));
}

/* N10. floor(sqrt(x)), exact for every x. */
static inline uint32_t qrt_isqrt(uint64_t x) {
  uint64_t root = 0;
  uint64_t bit = (uint64_t)1 << 62;
  while (bit > x) bit >>= 2;
  while (bit != 0) {
    if (x >= root + bit) {
      x -= root + bit;
      root = (root >> 1) + bit;
    } else {
      root >>= 1;
    }
    bit >>= 2;
  }
  return (uint32_t)root;
}

/* N11. Reciprocal-root scaling shared by layer norm and L2 norm. For v > 0 and v < 2^62:
 * root = isqrt(v * 4^f) with f the largest that keeps v * 4^f < 2^62, so root is in
 * [2^30, 2^31). qrt_over_root gives n / sqrt(v) in Q15, rounded half away from zero;
 * |n| * 2^(15 + f) < 2^62 holds whenever |n| <= 2^15 * sqrt(v). */
typedef struct {
  uint32_t root;
  int f;
} qrt_root;

static inline qrt_root qrt_root_of(uint64_t v) {
  qrt_root r;
  r.f = 0;
  while (v < ((uint64_t)1 << 60)) {
    v <<= 2;
    ++r.f;
  }
  r.root = qrt_isqrt(v);
  return r;
}

static inline int32_t qrt_over_root(int64_t n, qrt_root r) {
  return qrt_saturate32(qrt_div_round(n * ((int64_t)1 << (15 + r.f)), (int64_t)r.root));
}

/* N12. Softmax: the table entry e of each element is exp(-scale * (max - x)) in Q23
 * (rounded half to even at export); y = floor((e * 2^out_bits + sum / 2) / sum). */
static inline int32_t qrt_softmax_out(uint32_t e, uint64_t sum, int out_bits) {
  return (int32_t)((((uint64_t)e << out_bits) + sum / 2u) / sum);
}

/* N13. Layer norm over `count` codes with S1 = sum x, S2 = sum x*x:
 * v = count * S2 - S1 * S1 + eps; z = (count * x - S1) / sqrt(v) in Q15 (0 where v == 0);
 * y = rounding_shift_right64(z * gamma + beta, shift). beta has `shift` fraction bits,
 * gamma `shift - 15`. */
static inline int32_t qrt_layer_norm_out(int32_t z, int32_t gamma, int32_t beta,
                                         int shift) {
  return qrt_saturate32(qrt_shift_right64((int64_t)z * gamma + beta, shift));
}

/* N14. Bilinear weights are Q11 on each axis and sum to 2^11; their products are Q22. */
#define QRT_RESIZE_FRACTION 11

#endif /* QRT_ARITH_H */
