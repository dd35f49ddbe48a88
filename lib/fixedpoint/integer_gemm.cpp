// SPDX-License-Identifier: MIT
// Bounds of partial sums, and the calls into CBLAS.
#include "lib/fixedpoint/integer_gemm.h"

#include <cblas.h>

#include <algorithm>
#include <limits>

namespace qopt {
namespace {

/// Equal cuts; the first piece is the largest, so that `length(pieces)` bounds them all.
std::vector<std::int64_t> equal_cuts(std::int64_t k, std::int64_t pieces) {
  std::vector<std::int64_t> cuts{0};
  const std::int64_t length = (k + pieces - 1) / pieces;
  while (cuts.back() < k) cuts.push_back(std::min(k, cuts.back() + length));
  return cuts;
}

/// Every subset of the terms sums to something in [negative, positive].
bool piece_is_exact(const std::int32_t* w, std::int64_t n, Interval x,
                    std::int64_t limit) {
  std::int64_t up = 0, down = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    up += w[i] > 0 ? w[i] : 0;
    down += w[i] < 0 ? w[i] : 0;
  }
  const __int128 positive =
      static_cast<__int128>(x.hi) * up + static_cast<__int128>(x.lo) * down;
  const __int128 negative =
      static_cast<__int128>(x.lo) * up + static_cast<__int128>(x.hi) * down;
  return positive < limit && -negative < limit;
}

Interval with_zero(Interval x) {
  return {std::min<std::int64_t>(x.lo, 0), std::max<std::int64_t>(x.hi, 0)};
}

int blas_int(std::int64_t x) {
  QOPT_CHECK(x >= 0 && x <= std::numeric_limits<int>::max(), "matrix extent {}", x);
  return static_cast<int>(x);
}

/// Handles products without terms, whose leading dimensions BLAS would refuse.
template <class Real>
bool is_empty(std::int64_t m, std::int64_t n, std::int64_t k, Real* c, std::int64_t ldc) {
  if (m == 0 || n == 0) return true;
  if (k != 0) return false;
  for (std::int64_t row = 0; row < m; ++row)
    std::fill(c + row * ldc, c + row * ldc + n, Real{0});
  return true;
}

}  // namespace

std::vector<std::int64_t> exact_pieces(std::span<const std::int32_t> w, std::int64_t k,
                                       Interval x, std::int64_t limit, int max_pieces) {
  if (k == 0) return {0, 0};
  x = with_zero(x);
  const std::int64_t rows = static_cast<std::int64_t>(w.size()) / k;
  for (std::int64_t pieces = 1; pieces <= max_pieces && pieces <= k; ++pieces) {
    const std::vector<std::int64_t> cuts = equal_cuts(k, pieces);
    bool exact = true;
    for (std::int64_t o = 0; o < rows && exact; ++o) {
      for (std::size_t i = 0; i + 1 < cuts.size() && exact; ++i) {
        exact =
            piece_is_exact(w.data() + o * k + cuts[i], cuts[i + 1] - cuts[i], x, limit);
      }
    }
    if (exact) return cuts;
  }
  return {};
}

std::vector<std::int64_t> exact_pieces(Interval x, Interval w, std::int64_t k,
                                       std::int64_t limit, int max_pieces) {
  if (k == 0) return {0, 0};
  __int128 most = 1;
  for (const std::int64_t a : {x.lo, x.hi}) {
    for (const std::int64_t b : {w.lo, w.hi}) {
      const __int128 product = static_cast<__int128>(a) * b;
      most = std::max(most, product < 0 ? -product : product);
    }
  }
  for (std::int64_t pieces = 1; pieces <= max_pieces && pieces <= k; ++pieces) {
    if (most * ((k + pieces - 1) / pieces) < limit) return equal_cuts(k, pieces);
  }
  return {};
}

void gemm(std::int64_t m, std::int64_t n, std::int64_t k, const float* a,
          std::int64_t lda, const float* b, std::int64_t ldb, bool b_by_rows, float* c,
          std::int64_t ldc) {
  if (is_empty(m, n, k, c, ldc)) return;
  if (m == 1 && b_by_rows) {
    // Old contents are multiplied by zero, which not every version does for a NaN.
    std::fill(c, c + n, 0.0F);
    cblas_sgemv(CblasRowMajor, CblasNoTrans, blas_int(n), blas_int(k), 1.0F, b,
                blas_int(ldb), a, 1, 0.0F, c, 1);
    return;
  }
  cblas_sgemm(CblasRowMajor, CblasNoTrans, b_by_rows ? CblasTrans : CblasNoTrans,
              blas_int(m), blas_int(n), blas_int(k), 1.0F, a, blas_int(lda), b,
              blas_int(ldb), 0.0F, c, blas_int(ldc));
}

void gemm(std::int64_t m, std::int64_t n, std::int64_t k, const double* a,
          std::int64_t lda, const double* b, std::int64_t ldb, bool b_by_rows, double* c,
          std::int64_t ldc) {
  if (is_empty(m, n, k, c, ldc)) return;
  if (m == 1 && b_by_rows) {
    // Old contents are multiplied by zero, which not every version does for a NaN.
    std::fill(c, c + n, 0.0);
    cblas_dgemv(CblasRowMajor, CblasNoTrans, blas_int(n), blas_int(k), 1.0, b,
                blas_int(ldb), a, 1, 0.0, c, 1);
    return;
  }
  cblas_dgemm(CblasRowMajor, CblasNoTrans, b_by_rows ? CblasTrans : CblasNoTrans,
              blas_int(m), blas_int(n), blas_int(k), 1.0, a, blas_int(lda), b,
              blas_int(ldb), 0.0, c, blas_int(ldc));
}

}  // namespace qopt
