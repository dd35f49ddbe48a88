// SPDX-License-Identifier: MIT
// One-node Integer graphs for tests: inputs with encodings, constants, random codes.
#pragma once

#include <string>
#include <vector>

#include "lib/core/rng.h"
#include "lib/exec/interval.h"
#include "lib/fixedpoint/integer_executor.h"
#include "tests/fixedpoint/integer_oracle.h"
#include "tests/support/catch.h"

namespace qopt {

struct Case {
  Graph graph{Level::Integer};
  std::vector<Tensor> inputs;
  std::vector<ValueId> ids;

  /// A graph input of signed codes of `bits` bits (2..8 or 16).
  void input(Tensor codes, int bits = 0) {
    if (bits == 0) bits = codes.dtype() == DType::I16 ? 16 : 8;
    const ValueId id =
        graph.add_input("x" + std::to_string(ids.size()), codes.dtype(), codes.shape());
    if (codes.dtype() != DType::I32) {
      graph.value(id).encoding = Affine{LevelSet::S, bits, {0.5F}, {0}, {}};
    }
    inputs.push_back(std::move(codes));
    ids.push_back(id);
  }
  void constant(Tensor tensor) {
    ids.push_back(
        graph.add_constant("c" + std::to_string(ids.size()), std::move(tensor)));
  }
  /// The node over everything added so far; `bits` true fills acc_bits from the proof.
  void node(Op op, bool bits = true) {
    graph.add_output("y", graph.add(std::move(op), ids, "y"));
    if (bits) assign_accumulator_bits(graph);
  }

  Tensor run(Arithmetic arithmetic = Arithmetic::Fastest) const {
    return IntegerExecutor(graph, arithmetic).run(inputs)[0];
  }
  Tensor oracle() const {
    const Node& last = graph.nodes().back();
    std::vector<Tensor> all;
    std::size_t next = 0;
    for (const ValueId id : last.inputs) {
      const auto& constant = graph.value(id).constant;
      all.push_back(constant ? *constant : inputs[next++]);
    }
    return oracle::apply(graph, last, all);
  }
  /// The executor's result by every arithmetic equals the oracle's.
  void check() const {
    const Tensor expected = oracle();
    for (const Arithmetic a : {Arithmetic::Fastest, Arithmetic::Float32,
                               Arithmetic::Float64, Arithmetic::Plain}) {
      INFO("arithmetic " << static_cast<int>(a));
      CHECK(run(a) == expected);
    }
    const auto codes = analyze_intervals(graph).codes;
    const Interval proven = codes[graph.outputs()[0].value.index];
    for (std::int64_t i = 0; i < expected.size(); ++i) {
      const std::int64_t y = expected.integer_at(i);
      if (y < proven.lo || y > proven.hi) {
        FAIL("code " << y << " leaves [" << proven.lo << ", " << proven.hi << "]");
      }
    }
  }
};

template <class T = std::int8_t>
Tensor codes(const std::vector<int>& values, Shape shape) {
  return Tensor::from(std::vector<T>(values.begin(), values.end()), std::move(shape));
}
inline Tensor i32(const std::vector<std::int32_t>& values) { return Tensor::of(values); }
inline Tensor i8(const std::vector<int>& values) {
  return codes(values, {static_cast<std::int64_t>(values.size())});
}
inline Tensor i16(const std::vector<int>& values) {
  return codes<std::int16_t>(values, {static_cast<std::int64_t>(values.size())});
}

/// Random codes, extremes four times out of ten.
template <class T = std::int8_t>
Tensor random_codes(Rng& rng, const Shape& shape, std::int64_t lo, std::int64_t hi) {
  Tensor t = Tensor::zeros(dtype_of<T>(), shape);
  for (T& v : t.mutable_values<T>()) {
    const std::uint64_t kind = rng.below(10);
    const auto between = lo + static_cast<std::int64_t>(
                                  rng.below(static_cast<std::uint64_t>(hi - lo + 1)));
    v = static_cast<T>(kind < 2 ? lo : (kind < 4 ? hi : between));
  }
  return t;
}
inline Tensor random_any(Rng& rng, const Shape& shape, bool wide) {
  return wide ? random_codes<std::int16_t>(rng, shape, -32768, 32767)
              : random_codes<std::int8_t>(rng, shape, -128, 127);
}
inline std::int64_t between(Rng& rng, std::int64_t lo, std::int64_t hi) {
  return lo +
         static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(hi - lo + 1)));
}
inline std::int64_t random_multiplier(Rng& rng) {
  return rng.below(20) == 0
             ? 0
             : between(rng, std::int64_t{1} << 30, (std::int64_t{1} << 31) - 1);
}

/// The last requantisation brings accumulators of about `acc` to about eight bits.
inline std::int64_t fitting_shift(Rng& rng, double acc) {
  const int bits = static_cast<int>(std::log2(std::max(1.0, acc)));
  return std::clamp<std::int64_t>(7 - bits + between(rng, -2, 2), -31, 30);
}

}  // namespace qopt
