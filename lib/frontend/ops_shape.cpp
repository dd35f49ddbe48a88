// SPDX-License-Identifier: MIT
// Converters of operators that move elements: reshaping, permuting, cutting, joining,
// padding.
#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>

#include "lib/frontend/table.h"

namespace qopt::frontend {
namespace {

/// The tensor argument under whichever name the schema gives it.
ValueId moved(Call& call) {
  for (std::string_view name : {"self", "input", "tensor"}) {
    if (call.has(name)) return call.value(name);
  }
  throw Unsupported{"this form"};
}

/// x[start : start + lengths...] along an axis, one value for each length.
void return_pieces(Call& call, ValueId x, std::int64_t axis) {
  std::vector<ValueId> pieces;
  std::int64_t start = 0;
  const std::size_t count = call.result_tensors().size();
  for (std::size_t i = 0; i < count; ++i) {
    const std::int64_t extent = call.result_shape(i).at(static_cast<std::size_t>(axis));
    pieces.push_back(call.slice(x, axis, start, start + extent, 1, std::to_string(i)));
    start += extent;
  }
  call.returns(std::move(pieces));
}

/// x at constant positions along an axis: as few strided slices as possible, joined.
ValueId take(Call& call, ValueId x, std::int64_t axis, const Ints& positions) {
  constexpr std::size_t kMostPieces = 64;
  const std::int64_t extent = call.shape(x).at(static_cast<std::size_t>(axis));
  std::vector<ValueId> pieces;
  for (std::size_t i = 0; i < positions.size();) {
    std::size_t end = i + 1;
    const std::int64_t step = end < positions.size() ? positions[end] - positions[i] : 1;
    while (step > 0 && end < positions.size() &&
           positions[end] - positions[end - 1] == step)
      ++end;
    const std::int64_t first = positions[i] < 0 ? positions[i] + extent : positions[i];
    const std::int64_t last = first + (static_cast<std::int64_t>(end - i) - 1) *
                                          std::max<std::int64_t>(step, 1);
    const bool whole = i == 0 && end == positions.size();
    pieces.push_back(
        call.slice(x, axis, first, last + 1, std::max<std::int64_t>(step, 1),
                   whole ? std::string() : fmt::format("piece{}", pieces.size())));
    if (pieces.size() > kMostPieces) throw Unsupported{"a scattered choice of positions"};
    i = end;
  }
  if (pieces.empty()) throw Unsupported{"an empty choice of positions"};
  return pieces.size() == 1 ? pieces[0] : call.emit(op::Concat{axis}, pieces);
}

Ints positions_of(const at::Tensor& index) {
  const at::Tensor flat = index.to(at::kLong).contiguous().reshape({-1});
  return Ints(flat.data_ptr<std::int64_t>(),
              flat.data_ptr<std::int64_t>() + flat.numel());
}

}  // namespace

void convert_identity(Call& call) { call.returns(moved(call)); }

void convert_dropout(Call& call) {
  if (call.boolean_or("train", false) && call.real_or("p", 0.0) > 0.0) {
    throw Unsupported{"in training mode"};
  }
  call.returns(moved(call));
}

void convert_to(Call& call) {
  const at::Tensor from = call.tensor(call.has("self") ? "self" : "input");
  const at::Tensor to = call.result_tensors().at(0);
  const bool both_integers = c10::isIntegralType(from.scalar_type(), false) &&
                             c10::isIntegralType(to.scalar_type(), false);
  if (from.scalar_type() != to.scalar_type() && !both_integers) {
    throw Unsupported{fmt::format("from {} to {}", c10::toString(from.scalar_type()),
                                  c10::toString(to.scalar_type()))};
  }
  call.returns(moved(call));
}

void convert_reshape(Call& call) {
  call.returns(call.reshape(moved(call), call.result_shape()));
}

void convert_permute(Call& call) {
  const ValueId x = moved(call);
  const std::int64_t rank = call.rank(x);
  Ints perm(static_cast<std::size_t>(rank));
  std::iota(perm.begin(), perm.end(), 0);
  const std::string op = call.op();
  if (call.has("dims")) {
    perm = call.ints("dims");
    for (std::int64_t& axis : perm) axis = call.axis(axis, rank);
  } else if (op == "numpy_T") {
    std::ranges::reverse(perm);
  } else if (op == "t") {
    if (rank == 2) std::swap(perm[0], perm[1]);
  } else {
    const std::int64_t a = call.axis(call.integer("dim0"), rank);
    const std::int64_t b = call.axis(call.integer("dim1"), rank);
    if (rank > 0)
      std::swap(perm[static_cast<std::size_t>(a)], perm[static_cast<std::size_t>(b)]);
  }
  call.returns(call.permute(x, perm));
}

void convert_expand(Call& call) {
  ValueId x = moved(call);
  const Shape wanted = call.result_shape();
  if (call.shape(x) == wanted) return call.returns(x);
  call.returns(call.emit(op::Expand{wanted}, {x}));
}

void convert_repeat(Call& call) {
  ValueId x = moved(call);
  const Shape wanted = call.result_shape();
  Shape shape = call.shape(x);
  shape.insert(shape.begin(), wanted.size() - shape.size(), 1);
  x = call.reshape(x, shape, "ranked");
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (shape[i] == wanted[i]) continue;
    if (shape[i] == 0 || wanted[i] == 0) throw Unsupported{"an empty tensor"};
    const std::int64_t copies = wanted[i] / shape[i];
    shape[i] = wanted[i];
    if (copies == wanted[i]) {
      x = call.emit(op::Expand{shape}, {x});
    } else {
      x = call.emit(op::Concat{static_cast<std::int64_t>(i)},
                    std::vector<ValueId>(static_cast<std::size_t>(copies), x));
    }
  }
  call.returns(x);
}

void convert_cat(Call& call) {
  const std::int64_t rank = static_cast<std::int64_t>(call.result_shape().size());
  std::vector<ValueId> parts;
  for (const at::Tensor& t : call.tensors("tensors")) {
    // LibTorch skips the empty one-dimensional tensors that loops start with.
    if (t.dim() == 1 && t.numel() == 0 && rank != 1) continue;
    parts.push_back(call.value_of(t, fmt::format("part{}", parts.size())));
  }
  if (parts.size() == 1) return call.returns(parts[0]);
  call.returns(call.emit(op::Concat{call.axis(call.integer("dim"), rank)}, parts));
}

void convert_stack(Call& call) {
  const Shape wanted = call.result_shape();
  const std::int64_t axis =
      call.axis(call.integer("dim"), static_cast<std::int64_t>(wanted.size()));
  Shape shape = wanted;
  shape[static_cast<std::size_t>(axis)] = 1;
  std::vector<ValueId> parts;
  for (const at::Tensor& t : call.tensors("tensors")) {
    const std::string suffix = fmt::format("part{}", parts.size());
    parts.push_back(call.reshape(call.value_of(t, suffix), shape, suffix));
  }
  call.returns(parts.size() == 1 ? parts[0] : call.emit(op::Concat{axis}, parts));
}

void convert_pieces(Call& call) {
  const ValueId x = moved(call);
  return_pieces(call, x, call.axis(call.integer_or("dim", 0), call.rank(x)));
}

void convert_unbind(Call& call) {
  const ValueId x = moved(call);
  const std::int64_t axis = call.axis(call.integer("dim"), call.rank(x));
  std::vector<ValueId> pieces;
  for (std::int64_t i = 0; i < call.shape(x)[static_cast<std::size_t>(axis)]; ++i) {
    const ValueId piece = call.slice(x, axis, i, i + 1, 1, fmt::format("{}.slice", i));
    pieces.push_back(call.reshape(piece, call.result_shape(0), std::to_string(i)));
  }
  call.returns(std::move(pieces));
}

void convert_select(Call& call) {
  const ValueId x = moved(call);
  const std::int64_t axis = call.axis(call.integer("dim"), call.rank(x));
  std::int64_t index = call.integer("index");
  if (index < 0) index += call.shape(x)[static_cast<std::size_t>(axis)];
  const ValueId piece = call.slice(x, axis, index, index + 1, 1, "slice");
  call.returns(call.reshape(piece, call.result_shape()));
}

void convert_slice(Call& call) {
  const ValueId x = moved(call);
  const std::int64_t axis = call.axis(call.integer("dim"), call.rank(x));
  const std::int64_t extent = call.shape(x)[static_cast<std::size_t>(axis)];
  const auto clipped = [&](std::int64_t i) {
    return std::clamp<std::int64_t>(i < 0 ? i + extent : i, 0, extent);
  };
  const std::int64_t step = call.integer_or("step", 1);
  std::int64_t start = call.integer_or("start", 0), end = 0;
  if (call.has("length")) {  // narrow
    start = clipped(start);
    end = start + call.integer("length");
  } else {
    start = clipped(start);
    end = std::max(start, clipped(call.integer_or("end", extent)));
  }
  call.returns(call.slice(x, axis, start, end, step));
}

void convert_index(Call& call) {
  const ValueId x = moved(call);
  if (call.has("index")) {  // index_select
    if (!call.is_constant("index"))
      throw Unsupported{"positions computed from the inputs"};
    const std::int64_t axis = call.axis(call.integer("dim"), call.rank(x));
    return call.returns(take(call, x, axis, positions_of(call.tensor("index"))));
  }
  // x[:, :, index]: exactly one axis with a list of positions.
  const c10::IValue& indices = call.arg("indices");
  std::int64_t axis = -1;
  at::Tensor index;
  for (std::size_t i = 0; i < indices.toListRef().size(); ++i) {
    const c10::IValue& entry = indices.toListRef()[i];
    if (entry.isNone() || !entry.toTensor().defined()) continue;
    if (axis >= 0) throw Unsupported{"positions on several axes"};
    axis = static_cast<std::int64_t>(i);
    index = entry.toTensor();
  }
  if (axis < 0) return call.returns(x);
  if (!call.is_constant(index)) throw Unsupported{"positions computed from the inputs"};
  if (index.scalar_type() == at::kBool) {
    if (index.dim() != 1) throw Unsupported{"a mask of several axes"};
    index = index.nonzero();
  } else if (index.dim() != 1) {
    throw Unsupported{"positions of several axes"};
  }
  call.returns(take(call, x, axis, positions_of(index)));
}

void convert_roll(Call& call) {
  ValueId x = moved(call);
  const Ints shifts = call.ints("shifts"), axes = call.ints("dims");
  if (axes.size() != shifts.size()) throw Unsupported{"without axes"};
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const std::int64_t axis = call.axis(axes[i], call.rank(x));
    const std::int64_t extent = call.shape(x)[static_cast<std::size_t>(axis)];
    if (extent == 0) continue;
    const std::int64_t cut = ((extent - shifts[i]) % extent + extent) % extent;
    if (cut == 0) continue;
    const ValueId tail = call.slice(x, axis, cut, extent, 1, "tail");
    const ValueId head = call.slice(x, axis, 0, cut, 1, "head");
    x = call.emit(op::Concat{axis}, {tail, head}, i + 1 < axes.size() ? "part" : "");
  }
  call.returns(x);
}

void convert_pad(Call& call) {
  if (call.has("mode") && call.arg("mode").isString() &&
      call.arg("mode").toStringRef() != "constant") {
    throw Unsupported{fmt::format("mode '{}'", call.arg("mode").toStringRef())};
  }
  ValueId x = moved(call);
  const std::size_t rank = call.shape(x).size();
  const Ints list = call.ints("pad");
  op::Pad pad{Ints(rank, 0), Ints(rank, 0), call.real_or("value", 0.0)};
  // The list holds (before, after) for the last axis first.
  for (std::size_t i = 0; i + 1 < list.size(); i += 2) {
    pad.before.at(rank - 1 - i / 2) = list[i];
    pad.after.at(rank - 1 - i / 2) = list[i + 1];
  }
  // Negative padding cuts.
  for (std::size_t i = 0; i < rank; ++i) {
    const std::int64_t start = std::max<std::int64_t>(0, -pad.before[i]);
    const std::int64_t end = call.shape(x)[i] - std::max<std::int64_t>(0, -pad.after[i]);
    x = call.slice(x, static_cast<std::int64_t>(i), start, end, 1, "cut");
    pad.before[i] = std::max<std::int64_t>(0, pad.before[i]);
    pad.after[i] = std::max<std::int64_t>(0, pad.after[i]);
  }
  const auto is_zero = [](std::int64_t n) { return n == 0; };
  const bool nothing =
      std::ranges::all_of(pad.before, is_zero) && std::ranges::all_of(pad.after, is_zero);
  call.returns(nothing ? x : call.emit(pad, {x}));
}

}  // namespace qopt::frontend
