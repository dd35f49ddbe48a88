// SPDX-License-Identifier: MIT
// The inner loops of the integer executor, compiled once for each vector width. Every
// loop is plain integer (or exact float) arithmetic over contiguous elements; knows no
// operator.
#pragma once

#include <cstdint>

namespace qopt::loops {

/// y[i] = x[i] - zero, exact in every type.
void centre(const std::int8_t* x, std::int64_t n, std::int32_t zero, float* y);
void centre(const std::int16_t* x, std::int64_t n, std::int32_t zero, float* y);
void centre(const std::int8_t* x, std::int64_t n, std::int32_t zero, double* y);
void centre(const std::int16_t* x, std::int64_t n, std::int32_t zero, double* y);
void centre(const std::int8_t* x, std::int64_t n, std::int32_t zero, std::int32_t* y);
void centre(const std::int16_t* x, std::int64_t n, std::int32_t zero, std::int32_t* y);
/// The caller knows that the differences fit 16 bits.
void centre(const std::int8_t* x, std::int64_t n, std::int32_t zero, std::int16_t* y);
void centre(const std::int16_t* x, std::int64_t n, std::int32_t zero, std::int16_t* y);

/// acc[i] += p[i], p holding integers.
void add(const float* p, std::int64_t n, std::int32_t* acc);
void add(const double* p, std::int64_t n, std::int32_t* acc);
void add(const float* p, std::int64_t n, std::int64_t* acc);
void add(const double* p, std::int64_t n, std::int64_t* acc);
/// acc[i] += x[i] - zero.
void add_centred(const std::int8_t* x, std::int64_t n, std::int32_t zero,
                 std::int32_t* acc);
void add_centred(const std::int16_t* x, std::int64_t n, std::int32_t zero,
                 std::int32_t* acc);
/// acc[i] += x[i] * w[i].
void add_products(const std::int32_t* x, const std::int32_t* w, std::int64_t n,
                  std::int32_t* acc);
/// acc[i] = a[i] * b[i].
void multiply(const std::int32_t* a, const std::int32_t* b, std::int64_t n,
              std::int32_t* acc);
/// acc[i] = a[i] * a_multiplier + b[i] * b_multiplier.
void weighted_sum(const std::int32_t* a, std::int32_t a_multiplier, const std::int32_t* b,
                  std::int32_t b_multiplier, std::int64_t n, std::int32_t* acc);

/// acc[c] = acc[c] * 2^left[c] + bias[c], in the 32 bits that hold it (numerics N19).
void accumulate(std::int32_t* acc, std::int64_t n, const std::int32_t* left,
                const std::int32_t* bias);

/// How one channel is requantised (numerics N5) when shift <= 0: high multiply, then a
/// rounding shift right by `right` as (p >> right) + ((p >> half) & tie), which cannot
/// overflow.
struct ChannelShifts {
  const std::int32_t* multiplier;
  const std::int32_t* right;
  const std::int32_t* half;  // max(right - 1, 0)
  const std::int32_t* tie;   // right > 0
};
/// y[c] = clamp(requant(acc[c]), lo - zero, hi - zero) + zero for `n` channels.
void requantise(const std::int32_t* acc, std::int64_t n, ChannelShifts s,
                std::int32_t zero, std::int32_t lo, std::int32_t hi, std::int8_t* y);
void requantise(const std::int32_t* acc, std::int64_t n, ChannelShifts s,
                std::int32_t zero, std::int32_t lo, std::int32_t hi, std::int16_t* y);
/// y[i] = clamp(rounding_shift_right(acc[i], shift) + zero, lo, hi).
void shift_finish(const std::int32_t* acc, std::int64_t n, int shift, std::int32_t zero,
                  std::int32_t lo, std::int32_t hi, std::int8_t* y);
void shift_finish(const std::int32_t* acc, std::int64_t n, int shift, std::int32_t zero,
                  std::int32_t lo, std::int32_t hi, std::int16_t* y);

/// y[i] = max(y[i], x[i]).
void max_into(const std::int8_t* x, std::int64_t n, std::int8_t* y);
void max_into(const std::int16_t* x, std::int64_t n, std::int16_t* y);

}  // namespace qopt::loops
