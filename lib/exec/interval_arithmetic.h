// SPDX-License-Identifier: MIT
// Arithmetic of intervals for the analysis (interval.cpp), private to it: sums and
// products in 128 bits, where no step can overflow. Knows no graph.
#pragma once

#include <algorithm>
#include <limits>

#include "lib/core/tensor.h"
#include "lib/exec/interval.h"

namespace qopt::interval_arithmetic {

using Wide = __int128;

inline std::int64_t saturate(Wide x) {
  constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min();
  constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
  return x < kMin ? kMin : (x > kMax ? kMax : static_cast<std::int64_t>(x));
}

struct WideInterval {
  Wide lo = 0, hi = 0;
};

inline WideInterval operator+(WideInterval a, WideInterval b) {
  return {a.lo + b.lo, a.hi + b.hi};
}
inline WideInterval operator*(WideInterval a, WideInterval b) {
  const Wide corners[] = {a.lo * b.lo, a.lo * b.hi, a.hi * b.lo, a.hi * b.hi};
  return {*std::min_element(corners, corners + 4),
          *std::max_element(corners, corners + 4)};
}
inline WideInterval operator*(Wide n, WideInterval a) { return WideInterval{n, n} * a; }
inline WideInterval hull(WideInterval a, WideInterval b) {
  return {std::min(a.lo, b.lo), std::max(a.hi, b.hi)};
}
inline WideInterval with_zero(WideInterval a) { return hull(a, {0, 0}); }
inline WideInterval wide(const Interval& a) { return {a.lo, a.hi}; }
inline Interval narrow(WideInterval a) { return {saturate(a.lo), saturate(a.hi)}; }
inline Interval hull(const Interval& a, const Interval& b) {
  return {std::min(a.lo, b.lo), std::max(a.hi, b.hi)};
}

/// x - zero for codes x.
inline WideInterval minus(const Interval& x, std::int64_t zero) {
  return {Wide{x.lo} - zero, Wide{x.hi} - zero};
}

/// Encloses requant (N5) and requant64 (N6) of every accumulator in `acc`: both are
/// within one of acc * m * 2^(s - 31), except where they saturate far outside every code.
inline WideInterval requantised(WideInterval acc, std::int64_t multiplier,
                                std::int64_t shift) {
  const int n = static_cast<int>(std::clamp<std::int64_t>(31 - shift, 0, 90));
  constexpr Wide kFar = Wide{1} << 94;  // keeps the products inside 127 bits
  const Wide lo = std::clamp(acc.lo, -kFar, kFar) * multiplier;
  const Wide hi = std::clamp(acc.hi, -kFar, kFar) * multiplier;
  return {(lo >> n) - 1, (hi >> n) + 2};
}

inline Interval finished(WideInterval y, std::int64_t zero, std::int64_t lo,
                         std::int64_t hi) {
  return {std::clamp(saturate(y.lo + zero), lo, hi),
          std::clamp(saturate(y.hi + zero), lo, hi)};
}

inline Interval dtype_range(DType dtype) {
  switch (dtype) {
    case DType::I8: return {-128, 127};
    case DType::U8: return {0, 255};
    case DType::Bool: return {0, 1};
    case DType::I16: return {-32768, 32767};
    case DType::I32:
      return {std::numeric_limits<std::int32_t>::min(),
              std::numeric_limits<std::int32_t>::max()};
    case DType::I64:
      return {std::numeric_limits<std::int64_t>::min(),
              std::numeric_limits<std::int64_t>::max()};
    case DType::F32:
    case DType::F64: break;
  }
  QOPT_CHECK(false, "an Integer graph holds {}", dtype_name(dtype));
  return {};
}

template <class T>
inline Interval extremes(const Tensor& tensor) {
  const auto values = tensor.values<T>();
  const auto [lo, hi] = std::minmax_element(values.begin(), values.end());
  return {static_cast<std::int64_t>(*lo), static_cast<std::int64_t>(*hi)};
}

inline Interval constant_range(const Tensor& tensor) {
  if (tensor.size() == 0) return {0, 0};
  switch (tensor.dtype()) {
    case DType::I8: return extremes<std::int8_t>(tensor);
    case DType::U8: return extremes<std::uint8_t>(tensor);
    case DType::Bool: return extremes<bool>(tensor);
    case DType::I16: return extremes<std::int16_t>(tensor);
    case DType::I32: return extremes<std::int32_t>(tensor);
    case DType::I64: return extremes<std::int64_t>(tensor);
    case DType::F32:
    case DType::F64: break;
  }
  QOPT_CHECK(false, "an Integer graph holds {}", dtype_name(tensor.dtype()));
  return {};
}

/// Sums of the positive and of the negative entries.
struct Parts {
  Wide positive = 0, negative = 0;
  void add(std::int64_t d) { (d > 0 ? positive : negative) += d; }
};

/// Sum over terms x * d with x in `x` (zero included: a partial sum may lack the term).
inline WideInterval sum_of_products(WideInterval x, const Parts& d) {
  x = with_zero(x);
  return {x.hi * d.negative + x.lo * d.positive, x.hi * d.positive + x.lo * d.negative};
}

}  // namespace qopt::interval_arithmetic
