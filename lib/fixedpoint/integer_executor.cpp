// SPDX-License-Identifier: MIT
// The integer executor: prepares one kernel for each node, then walks the graph. The
// operators are in integer_conv, integer_matmul, integer_pointwise, integer_window,
// integer_norm and integer_move.
#include "lib/fixedpoint/integer_executor.h"

#include <cblas.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <mutex>

#include "lib/exec/executor.h"
#include "lib/fixedpoint/integer_node.h"
#include "lib/graph/verify.h"

namespace qopt {
namespace {

/// Samples run in parallel, so BLAS must not add threads of its own.
void use_one_blas_thread() {
  static std::once_flag once;
  std::call_once(once, [] { openblas_set_num_threads(1); });
}

Kernel prepare_node(const NodeView& view) {
  return std::visit(
      [&](const auto& o) -> Kernel {
        using T = std::decay_t<decltype(o)>;
        if constexpr (std::same_as<T, op::Input>) {
          return {};
        } else if constexpr (requires { prepare(view, o); }) {
          return prepare(view, o);
        } else {
          throw InternalError(fmt::format("'{}' in an Integer graph", T::kName));
        }
      },
      view.node.op);
}

class IntegerSemantics {
 public:
  using Value = Tensor;

  explicit IntegerSemantics(const std::vector<Kernel>& kernels) : kernels_(kernels) {}
  Tensor constant(const Graph&, ValueId, const Tensor& tensor) { return tensor; }
  Tensor apply(const Graph&, const Node& node, std::span<const Tensor> in) {
    return kernels_[node.output.index](in, scratch_);
  }

 private:
  const std::vector<Kernel>& kernels_;
  Scratch scratch_;
};

/// Numerics N38 holds for codes inside the proven interval only.
void check_input(const Value& value, const Interval& range, const Tensor& given) {
  if (given.dtype() != value.dtype || given.shape() != value.shape) {
    throw Error(ExitCode::Data, value.name,
                fmt::format("input is {} {}, the model takes {} {}",
                            dtype_name(given.dtype()), shape_text(given.shape()),
                            dtype_name(value.dtype), shape_text(value.shape)));
  }
  if (given.dtype() != DType::I8 && given.dtype() != DType::I16) return;
  if (given.size() == 0) return;
  with_codes(given, [&](auto codes) {
    const auto [lo, hi] = std::minmax_element(codes.begin(), codes.end());
    if (*lo < range.lo || *hi > range.hi) {
      throw Error(ExitCode::Data, value.name,
                  fmt::format("input codes [{}, {}] leave the encoding's [{}, {}]",
                              int{*lo}, int{*hi}, range.lo, range.hi));
    }
  });
}

template <class T>
Tensor round_to(const Tensor& real, DType dtype) {
  QOPT_CHECK(dtype == DType::I32 || dtype == DType::I64,
             "input without an encoding is {}", dtype_name(dtype));
  Tensor out = Tensor::zeros(dtype, real.shape());
  const auto store = [&]<class Y>(std::span<Y> y) {
    for (std::size_t i = 0; i < y.size(); ++i) {
      if constexpr (std::is_same_v<T, float>) {
        // 2^63 is the least float beyond int64; NaN becomes 0.
        const double x = std::nearbyint(static_cast<double>(real.values<float>()[i]));
        constexpr double kLow = static_cast<double>(std::numeric_limits<Y>::min());
        if (!(x == x)) {
          y[i] = 0;
        } else if (x >= -kLow) {
          y[i] = std::numeric_limits<Y>::max();
        } else {
          y[i] = x < kLow ? std::numeric_limits<Y>::min() : static_cast<Y>(x);
        }
      } else {
        y[i] = static_cast<Y>(std::clamp<std::int64_t>(
            real.integer_at(static_cast<std::int64_t>(i)), std::numeric_limits<Y>::min(),
            std::numeric_limits<Y>::max()));
      }
    }
  };
  if (dtype == DType::I32) {
    store(out.mutable_values<std::int32_t>());
  } else {
    store(out.mutable_values<std::int64_t>());
  }
  return out;
}

Ints inverse(const Ints& perm) {
  Ints result(perm.size());
  for (std::size_t i = 0; i < perm.size(); ++i) {
    result[static_cast<std::size_t>(perm[i])] = static_cast<std::int64_t>(i);
  }
  return result;
}

}  // namespace

struct IntegerExecutor::Plan {
  Graph graph;
  IntervalAnalysis intervals;
  std::vector<Kernel> kernels;  // by value index
};

IntegerExecutor::IntegerExecutor(Graph graph, Arithmetic arithmetic)
    : plan_(std::make_unique<Plan>()) {
  use_one_blas_thread();
  plan_->graph = std::move(graph);
  const Graph& g = plan_->graph;
  require_valid(g, "handing the graph to the integer executor");
  plan_->intervals = analyze_intervals(g);
  require_no_overflow(plan_->intervals.proofs);
  plan_->kernels.resize(g.values().size());
  for (const Node& node : g.nodes()) {
    const NodeView view{g, node, plan_->intervals.codes, arithmetic};
    plan_->kernels[node.output.index] = prepare_node(view);
  }
}

IntegerExecutor::~IntegerExecutor() = default;
IntegerExecutor::IntegerExecutor(IntegerExecutor&&) noexcept = default;

const Graph& IntegerExecutor::graph() const { return plan_->graph; }

std::vector<Tensor> IntegerExecutor::run(std::span<const Tensor> inputs,
                                         const Tap& tap) const {
  const Graph& g = plan_->graph;
  const std::vector<ValueId> ids = g.inputs();
  if (inputs.size() != ids.size()) {
    throw Error(
        ExitCode::Data, "",
        fmt::format("{} inputs given, the model takes {}", inputs.size(), ids.size()));
  }
  for (std::size_t i = 0; i < ids.size(); ++i) {
    check_input(g.value(ids[i]), plan_->intervals.codes[ids[i].index], inputs[i]);
  }
  IntegerSemantics semantics(plan_->kernels);
  return execute(g, semantics, inputs, [&](ValueId id, Tensor value) {
    if (tap) tap(id, value);
    return value;
  });
}

std::vector<Tensor> IntegerExecutor::run_real(std::span<const Tensor> inputs,
                                              const Tap& tap) const {
  const Graph& g = plan_->graph;
  const std::vector<ValueId> ids = g.inputs();
  if (inputs.size() != ids.size()) {
    throw Error(
        ExitCode::Data, "",
        fmt::format("{} inputs given, the model takes {}", inputs.size(), ids.size()));
  }
  std::vector<Tensor> stored;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    stored.push_back(to_stored(g, ids[i], inputs[i]));
  }
  std::vector<Tensor> outputs = run(stored, tap);
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    outputs[i] = to_real(g, g.outputs()[i].value, outputs[i]);
  }
  return outputs;
}

Tensor to_stored(const Graph& graph, ValueId id, const Tensor& real) {
  const Value& value = graph.value(id);
  const Ints identity;
  Shape canonical = value.shape;
  for (std::size_t i = 0; i < value.layout.size(); ++i) {
    canonical.at(static_cast<std::size_t>(value.layout[i])) = value.shape[i];
  }
  if (real.shape() != canonical) {
    throw Error(ExitCode::Data, value.name,
                fmt::format("input has shape {}, the model takes {}",
                            shape_text(real.shape()), shape_text(canonical)));
  }
  const Tensor physical = value.layout.empty() ? real : permuted(real, value.layout);
  if (value.encoding) {
    if (real.dtype() != DType::F32) {
      throw Error(ExitCode::Data, value.name,
                  fmt::format("input is {}, not f32", dtype_name(real.dtype())));
    }
    return std::visit(
        Overloaded{[&](const Affine& affine) { return encode_tensor(physical, affine); }},
        *value.encoding);
  }
  if (real.dtype() == DType::F32) return round_to<float>(physical, value.dtype);
  if (real.dtype() == DType::F64) {
    throw Error(ExitCode::Data, value.name, "input is f64, not f32 or an integer type");
  }
  return round_to<std::int64_t>(physical, value.dtype);
}

Tensor to_real(const Graph& graph, ValueId id, const Tensor& stored) {
  const Value& value = graph.value(id);
  QOPT_CHECK(stored.dtype() == value.dtype && stored.shape() == value.shape,
             "'{}' is {} {}", value.name, dtype_name(stored.dtype()),
             shape_text(stored.shape()));
  Tensor real;
  if (value.encoding) {
    real = std::visit(
        Overloaded{[&](const Affine& affine) { return decode_tensor(stored, affine); }},
        *value.encoding);
  } else {
    real = Tensor::zeros(DType::F32, stored.shape());
    auto y = real.mutable_values<float>();
    for (std::size_t i = 0; i < y.size(); ++i) {
      y[i] = static_cast<float>(stored.integer_at(static_cast<std::int64_t>(i)));
    }
  }
  return value.layout.empty() ? real : permuted(real, inverse(value.layout));
}

}  // namespace qopt
