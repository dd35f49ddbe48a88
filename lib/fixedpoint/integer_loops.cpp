// SPDX-License-Identifier: MIT
// Bodies of the inner loops. Each public function is a thin wrapper round an
// always-inlined template, so that the compiler vectorises the body anew for every target
// it clones.
#include "lib/fixedpoint/integer_loops.h"

#include <algorithm>

// Sanitizers instrument the resolvers of cloned functions, which run before they are
// ready.
#if defined(__x86_64__) && defined(__ELF__) && defined(__GNUC__) && __GNUC__ >= 12 && \
    !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) &&                          \
    !defined(__SANITIZE_THREAD__)
#define QOPT_CLONES \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define QOPT_CLONES
#endif
#define QOPT_INLINE inline __attribute__((always_inline))

namespace qopt::loops {
namespace {

template <class X, class Y>
QOPT_INLINE void centre_body(const X* x, std::int64_t n, std::int32_t zero, Y* y) {
  for (std::int64_t i = 0; i < n; ++i) {
    y[i] = static_cast<Y>(static_cast<std::int32_t>(x[i]) - zero);
  }
}

template <class P, class A>
QOPT_INLINE void add_body(const P* p, std::int64_t n, A* acc) {
  for (std::int64_t i = 0; i < n; ++i) acc[i] += static_cast<A>(p[i]);
}

template <class X>
QOPT_INLINE void add_centred_body(const X* x, std::int64_t n, std::int32_t zero,
                                  std::int32_t* acc) {
  for (std::int64_t i = 0; i < n; ++i) acc[i] += static_cast<std::int32_t>(x[i]) - zero;
}

QOPT_INLINE void accumulate_body(std::int32_t* acc, std::int64_t n,
                                 const std::int32_t* left, const std::int32_t* bias) {
  for (std::int64_t c = 0; c < n; ++c) {
    const auto scaled = static_cast<std::uint32_t>(acc[c]) << left[c];
    acc[c] = static_cast<std::int32_t>(scaled + static_cast<std::uint32_t>(bias[c]));
  }
}

template <class Y>
QOPT_INLINE void requantise_body(const std::int32_t* acc, std::int64_t n, ChannelShifts s,
                                 std::int32_t zero, std::int32_t lo, std::int32_t hi,
                                 Y* y) {
  const std::int32_t least = lo - zero, most = hi - zero;
  for (std::int64_t c = 0; c < n; ++c) {
    // multiplier >= 0, so the high multiply cannot saturate and fits 32 bits; the logical
    // shift keeps the same 32 bits as the arithmetic one.
    const std::int64_t product = static_cast<std::int64_t>(acc[c]) * s.multiplier[c];
    const auto doubled = static_cast<std::uint64_t>(product) + (std::uint64_t{1} << 30);
    const auto p = static_cast<std::int32_t>(static_cast<std::uint32_t>(doubled >> 31));
    const std::int32_t q = (p >> s.right[c]) + ((p >> s.half[c]) & s.tie[c]);
    y[c] = static_cast<Y>(std::min(std::max(q, least), most) + zero);
  }
}

template <class Y>
QOPT_INLINE void shift_finish_body(const std::int32_t* acc, std::int64_t n, int shift,
                                   std::int32_t zero, std::int32_t lo, std::int32_t hi,
                                   Y* y) {
  const std::int32_t least = lo - zero, most = hi - zero;
  const int half = shift > 0 ? shift - 1 : 0;
  const std::int32_t tie = shift > 0 ? 1 : 0;
  for (std::int64_t i = 0; i < n; ++i) {
    const std::int32_t q = (acc[i] >> shift) + ((acc[i] >> half) & tie);
    y[i] = static_cast<Y>(std::min(std::max(q, least), most) + zero);
  }
}

template <class X>
QOPT_INLINE void max_body(const X* x, std::int64_t n, X* y) {
  for (std::int64_t i = 0; i < n; ++i) y[i] = x[i] > y[i] ? x[i] : y[i];
}

}  // namespace

using I8 = std::int8_t;
using I16 = std::int16_t;
using I32 = std::int32_t;
using I64 = std::int64_t;

QOPT_CLONES void centre(const I8* x, I64 n, I32 zero, float* y) {
  centre_body(x, n, zero, y);
}
QOPT_CLONES void centre(const I16* x, I64 n, I32 zero, float* y) {
  centre_body(x, n, zero, y);
}
QOPT_CLONES void centre(const I8* x, I64 n, I32 zero, double* y) {
  centre_body(x, n, zero, y);
}
QOPT_CLONES void centre(const I16* x, I64 n, I32 zero, double* y) {
  centre_body(x, n, zero, y);
}
QOPT_CLONES void centre(const I8* x, I64 n, I32 zero, I32* y) {
  centre_body(x, n, zero, y);
}
QOPT_CLONES void centre(const I16* x, I64 n, I32 zero, I32* y) {
  centre_body(x, n, zero, y);
}
QOPT_CLONES void centre(const I8* x, I64 n, I32 zero, I16* y) {
  centre_body(x, n, zero, y);
}
QOPT_CLONES void centre(const I16* x, I64 n, I32 zero, I16* y) {
  centre_body(x, n, zero, y);
}

QOPT_CLONES void add(const float* p, I64 n, I32* acc) { add_body(p, n, acc); }
QOPT_CLONES void add(const double* p, I64 n, I32* acc) { add_body(p, n, acc); }
QOPT_CLONES void add(const float* p, I64 n, I64* acc) { add_body(p, n, acc); }
QOPT_CLONES void add(const double* p, I64 n, I64* acc) { add_body(p, n, acc); }

QOPT_CLONES void add_centred(const I8* x, I64 n, I32 zero, I32* acc) {
  add_centred_body(x, n, zero, acc);
}
QOPT_CLONES void add_centred(const I16* x, I64 n, I32 zero, I32* acc) {
  add_centred_body(x, n, zero, acc);
}

QOPT_CLONES void add_products(const I32* x, const I32* w, I64 n, I32* acc) {
  for (I64 i = 0; i < n; ++i) acc[i] += x[i] * w[i];
}

QOPT_CLONES void multiply(const I32* a, const I32* b, I64 n, I32* acc) {
  for (I64 i = 0; i < n; ++i) acc[i] = a[i] * b[i];
}

QOPT_CLONES void weighted_sum(const I32* a, I32 a_multiplier, const I32* b,
                              I32 b_multiplier, I64 n, I32* acc) {
  for (I64 i = 0; i < n; ++i) acc[i] = a[i] * a_multiplier + b[i] * b_multiplier;
}

QOPT_CLONES void accumulate(I32* acc, I64 n, const I32* left, const I32* bias) {
  accumulate_body(acc, n, left, bias);
}
QOPT_CLONES void requantise(const I32* acc, I64 n, ChannelShifts s, I32 zero, I32 lo,
                            I32 hi, I8* y) {
  requantise_body(acc, n, s, zero, lo, hi, y);
}
QOPT_CLONES void requantise(const I32* acc, I64 n, ChannelShifts s, I32 zero, I32 lo,
                            I32 hi, I16* y) {
  requantise_body(acc, n, s, zero, lo, hi, y);
}

QOPT_CLONES void shift_finish(const I32* acc, I64 n, int shift, I32 zero, I32 lo, I32 hi,
                              I8* y) {
  shift_finish_body(acc, n, shift, zero, lo, hi, y);
}
QOPT_CLONES void shift_finish(const I32* acc, I64 n, int shift, I32 zero, I32 lo, I32 hi,
                              I16* y) {
  shift_finish_body(acc, n, shift, zero, lo, hi, y);
}

QOPT_CLONES void max_into(const I8* x, I64 n, I8* y) { max_body(x, n, y); }
QOPT_CLONES void max_into(const I16* x, I64 n, I16* y) { max_body(x, n, y); }

}  // namespace qopt::loops
