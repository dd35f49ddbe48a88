// SPDX-License-Identifier: MIT
// What the integer operators share: the view of one node while it is prepared, scratch
// memory of one run, and the requantising end of an accumulator. Private to the integer
// executor.
#pragma once

#include <functional>
#include <memory>
#include <new>
#include <span>
#include <vector>

#include "lib/exec/interval.h"
#include "lib/fixedpoint/integer_executor.h"
#include "lib/fixedpoint/integer_loops.h"

namespace qopt {

/// Buffers of one run, reused from node to node; uninitialised.
class Scratch {
 public:
  enum Slot { Image, Columns, Products, Accumulators, Left, Right, kNumSlots };

  template <class T>
  T* take(Slot slot, std::int64_t count) {
    const std::size_t bytes = static_cast<std::size_t>(count) * sizeof(T);
    Buffer& buffer = buffers_[slot];
    if (buffer.bytes < bytes) {
      buffer.memory.reset();
      buffer.memory.reset(::operator new(bytes, kAlign));
      buffer.bytes = bytes;
    }
    return static_cast<T*>(buffer.memory.get());
  }

 private:
  static constexpr std::align_val_t kAlign{64};  // one cache line, one AVX-512 register
  struct Free {
    void operator()(void* p) const { ::operator delete(p, kAlign); }
  };
  struct Buffer {
    std::unique_ptr<void, Free> memory;
    std::size_t bytes = 0;
  };
  Buffer buffers_[kNumSlots];
};

/// A prepared node: its inputs (constants included) to its result.
using Kernel = std::function<Tensor(std::span<const Tensor> in, Scratch& scratch)>;

/// One node while it is prepared. Kernels copy what they need: they outlive it.
struct NodeView {
  const Graph& graph;
  const Node& node;
  const std::vector<Interval>& codes;
  Arithmetic arithmetic;

  const Value& in(std::size_t i) const { return graph.value(node.inputs.at(i)); }
  const Shape& shape(std::size_t i) const { return in(i).shape; }
  const Value& out() const { return graph.value(node.output); }
  const Interval& range(std::size_t i) const { return codes.at(node.inputs.at(i).index); }
  bool has(std::size_t i) const { return i < node.inputs.size(); }
  /// The constant at input `i`; InternalError where it is not one or has another dtype.
  const Tensor& constant(std::size_t i, std::initializer_list<DType> dtypes) const;
};

/// Calls f with the elements of an int8 or int16 tensor.
template <class F>
decltype(auto) with_codes(const Tensor& tensor, F&& f) {
  if (tensor.dtype() == DType::I16) return f(tensor.values<std::int16_t>());
  return f(tensor.values<std::int8_t>());
}
template <class F>
decltype(auto) with_mutable_codes(Tensor& tensor, F&& f) {
  if (tensor.dtype() == DType::I16) return f(tensor.mutable_values<std::int16_t>());
  return f(tensor.mutable_values<std::int8_t>());
}

/// y[0..n) = code - zero of elements from `first`.
void load_centred(const Tensor& x, std::int64_t first, std::int64_t n, std::int64_t zero,
                  std::int32_t* y);

/// Accumulator to code: requantise by N5 or N6 (as acc_bits says), zero point, clamp.
/// With biases what comes in are sums of products, which become accumulators first (N19).
class Requantiser {
 public:
  struct Finish {
    std::int64_t y_zero = 0, lo = -128, hi = 127;
  };
  /// One multiplier and shift for each channel; InternalError outside the ranges of N5.
  Requantiser(std::vector<std::int32_t> multiplier, std::vector<std::int32_t> shift,
              std::int64_t acc_bits, Finish finish);
  /// The same with one bias for each channel.
  Requantiser(std::vector<std::int64_t> bias, std::vector<std::int32_t> multiplier,
              std::vector<std::int32_t> shift, std::int64_t acc_bits, Finish finish);
  /// The same multiplier and shift for `channels` channels.
  Requantiser(std::int64_t multiplier, std::int64_t shift, std::int64_t channels,
              std::int64_t acc_bits, Finish finish);

  std::int64_t channels() const { return static_cast<std::int64_t>(multiplier_.size()); }
  /// Whether accumulators are 64 bits wide (N18).
  bool is_wide() const { return wide_; }
  std::int32_t one(std::int64_t acc, std::int64_t channel) const;

  /// `rows` rows of channels [first, first + count), both sides dense, to out[at...].
  /// `acc` may be changed.
  void run(std::int32_t* acc, std::int64_t rows, std::int64_t first, std::int64_t count,
           Tensor& out, std::int64_t at) const {
    run(acc, count, rows, first, count, out, at, count);
  }
  void run(const std::int64_t* acc, std::int64_t rows, std::int64_t first,
           std::int64_t count, Tensor& out, std::int64_t at) const;
  /// The same with given steps from row to row.
  void run(std::int32_t* acc, std::int64_t acc_step, std::int64_t rows,
           std::int64_t first, std::int64_t count, Tensor& out, std::int64_t at,
           std::int64_t out_step) const;

 private:
  std::int32_t requantised(std::int64_t acc, std::int64_t channel, int shift) const;

  std::vector<std::int64_t> bias_;  // empty: none
  std::vector<std::int32_t> bias32_, left_, multiplier_, shift_, right_, half_, tie_;
  bool wide_ = false, any_left_ = false;
  Finish finish_;
};

/// The int8 shifts of an operator's channels.
std::vector<std::int32_t> channel_shifts(const NodeView& view, std::size_t input);

/// Prepares one node of each kind (integer_conv.cpp, integer_matmul.cpp, ...).
Kernel prepare(const NodeView& view, const op::QConv2d& o);
Kernel prepare(const NodeView& view, const op::QConvTranspose2d& o);
Kernel prepare(const NodeView& view, const op::QMatMul& o);
Kernel prepare(const NodeView& view, const op::QAdd& o);
Kernel prepare(const NodeView& view, const op::QMul& o);
Kernel prepare(const NodeView& view, const op::QDiv& o);
Kernel prepare(const NodeView& view, const op::Rescale& o);
Kernel prepare(const NodeView& view, const op::Lut& o);
Kernel prepare(const NodeView& view, const op::QGather& o);
Kernel prepare(const NodeView& view, const op::MaxPool2d& o);
Kernel prepare(const NodeView& view, const op::QAvgPool2d& o);
Kernel prepare(const NodeView& view, const op::QReduce& o);
Kernel prepare(const NodeView& view, const op::QResize& o);
Kernel prepare(const NodeView& view, const op::QSoftmax& o);
Kernel prepare(const NodeView& view, const op::QLayerNorm& o);
Kernel prepare(const NodeView& view, const op::QL2Normalize& o);
Kernel prepare(const NodeView& view, const op::Concat& o);
Kernel prepare(const NodeView& view, const op::Slice& o);
Kernel prepare(const NodeView& view, const op::Reshape& o);
Kernel prepare(const NodeView& view, const op::Permute& o);
Kernel prepare(const NodeView& view, const op::Expand& o);
Kernel prepare(const NodeView& view, const op::Pad& o);

}  // namespace qopt
