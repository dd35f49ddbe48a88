// SPDX-License-Identifier: MIT
// Exact integer matrix products through floating-point BLAS. A sum of integers is exact
// in float as long as every partial sum, in any order and with fused multiply-add, stays
// below 2^24 (float32) or 2^53 (float64); this file finds out where that holds. Knows no
// operator.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "lib/exec/interval.h"

namespace qopt {

/// Cuts of [0, k) into the fewest equal pieces such that no partial sum of
/// x[i] * w[o][i], i in one piece, can reach `limit` for any row o of `w` (row-major, k
/// columns) and any x[i] in `x`: {0, ..., k}. Empty when more than `max_pieces` would be
/// needed.
std::vector<std::int64_t> exact_pieces(std::span<const std::int32_t> w, std::int64_t k,
                                       Interval x, std::int64_t limit, int max_pieces);
/// The same where both factors are only known by their intervals.
std::vector<std::int64_t> exact_pieces(Interval x, Interval w, std::int64_t k,
                                       std::int64_t limit, int max_pieces);

/// First sum that the type may not hold, or that a further term could round.
template <class Real>
constexpr std::int64_t exact_limit() {
  return sizeof(Real) == 4 ? std::int64_t{1} << 24 : std::int64_t{1} << 53;
}

/// c[m,n] = a[m,k] * b, row-major with leading dimensions; b is [n,k] when `b_by_rows`
/// (each row one output), else [k,n].
void gemm(std::int64_t m, std::int64_t n, std::int64_t k, const float* a,
          std::int64_t lda, const float* b, std::int64_t ldb, bool b_by_rows, float* c,
          std::int64_t ldc);
void gemm(std::int64_t m, std::int64_t n, std::int64_t k, const double* a,
          std::int64_t lda, const double* b, std::int64_t ldb, bool b_by_rows, double* c,
          std::int64_t ldc);

}  // namespace qopt
