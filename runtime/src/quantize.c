/* SPDX-License-Identifier: MIT
 * The edge between real numbers and codes (N16, N17). The only floating point of the
 * runtime, no libm: a number beyond +-2^17 clamps in every 16-bit encoding, below that it
 * rounds by its integer part. */
#include "codes.h"
#include "qrt/qrt.h"

/* Nearest integer, ties to even, saturated to +-2^17. Not for NaN. */
static int32_t round_half_even(float x) {
  const float limit = 131072.0f;
  int32_t whole;
  float rest;
  if (x >= limit) return 131072;
  if (x <= -limit) return -131072;
  whole = (int32_t)x;      /* toward zero */
  rest = x - (float)whole; /* exact */
  if (rest > 0.5f || (rest == 0.5f && (whole & 1) != 0)) return whole + 1;
  if (rest < -0.5f || (rest == -0.5f && (whole & 1) != 0)) return whole - 1;
  return whole;
}

void qrt_quantize_f32(const float* real, int32_t count, float scale, int32_t zero,
                      int32_t lo, int32_t hi, int bytes, void* codes) {
  size_t i;
  for (i = 0; i < (size_t)count; ++i) {
    /* volatile: on machines with wider registers the quotient must still round to float.
     */
    volatile float quotient = real[i] / scale;
    const float t = quotient;
    const int32_t q = t == t ? round_half_even(t) : 0;
    qrt_store(codes, i, bytes, qrt_clamp(q + zero, lo, hi));
  }
}

void qrt_dequantize_f32(const void* codes, int32_t count, float scale, int32_t zero,
                        int bytes, float* real) {
  size_t i;
  for (i = 0; i < (size_t)count; ++i) {
    real[i] = scale * (float)(qrt_load(codes, i, bytes) - zero);
  }
}
