// SPDX-License-Identifier: MIT
// The arena planner: gives every activation a place in one static buffer. Works on
// lifetimes and sizes alone; knows no C and no kernels beyond the scratch they ask for.
#include "lib/export/arena.h"

#include <algorithm>
#include <numeric>

#include "lib/core/error.h"

namespace qopt::emit {
namespace {

constexpr std::uint64_t kAlignment = 64;  // one cache line; enough for every vector load

std::uint64_t align(std::uint64_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

bool moves_only_unit_axes(const op::Permute& permute, const Shape& shape) {
  std::int64_t last = -1;
  for (const std::int64_t axis : permute.perm) {
    if (shape[static_cast<std::size_t>(axis)] == 1) continue;
    if (axis < last) return false;
    last = axis;
  }
  return true;
}

/// The value in whose storage each value lies: what a reshape renames, and a dying input
/// that an elementwise kernel writes over.
std::vector<std::uint32_t> storage_roots(const Graph& graph) {
  const std::size_t count = graph.values().size();
  std::vector<std::uint32_t> alias(count);
  std::iota(alias.begin(), alias.end(), 0U);
  for (const Node& node : graph.nodes()) {
    if (is_alias(graph, node)) alias[node.output.index] = alias[node.inputs[0].index];
  }
  // The last step that reads each value or another name of it; the end for outputs. What
  // the caller or the blob owns is never written.
  std::vector<std::size_t> last(count, 0);
  std::vector<bool> is_fixed(count, false);
  for (std::size_t step = 0; step < graph.nodes().size(); ++step) {
    const Node& node = graph.nodes()[step];
    for (const ValueId id : node.inputs) last[alias[id.index]] = step;
    if (std::holds_alternative<op::Input>(node.op)) is_fixed[node.output.index] = true;
  }
  for (const Output& output : graph.outputs()) {
    last[alias[output.value.index]] = graph.nodes().size();
  }
  for (std::size_t i = 0; i < count; ++i) {
    if (graph.values()[i].constant) is_fixed[i] = true;
  }
  std::vector<std::uint32_t> root = alias;
  for (std::size_t step = 0; step < graph.nodes().size(); ++step) {
    const Node& node = graph.nodes()[step];
    if (is_alias(graph, node)) {
      root[node.output.index] = root[node.inputs[0].index];
      continue;
    }
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      const std::uint32_t own = alias[node.inputs[i].index];
      if (is_fixed[own] || last[own] != step || !may_overwrite(graph, node, i)) continue;
      // Another name of the same storage must be walked alike.
      const bool is_alone = std::ranges::all_of(node.inputs, [&](ValueId other) {
        return alias[other.index] != own ||
               graph.value(other).shape == graph.value(node.output).shape;
      });
      if (!is_alone) continue;
      root[node.output.index] = root[own];
      break;
    }
  }
  return root;
}

bool overlap_in_time(const Lifetime& a, const Lifetime& b) {
  return a.first <= b.last && b.first <= a.last;
}

/// Aligned bytes alive at each step up to the last one.
std::vector<std::uint64_t> live_bytes(const std::vector<Lifetime>& buffers) {
  std::vector<std::uint64_t> live;
  for (const Lifetime& buffer : buffers) {
    if (live.size() <= buffer.last) live.resize(buffer.last + 1, 0);
    for (std::size_t step = buffer.first; step <= buffer.last; ++step)
      live[step] += align(buffer.size_bytes);
  }
  return live;
}

/// Offsets for `order`: each buffer goes into the tightest gap left by those already
/// placed that live at the same time (Pisarchyk and Lee, "Efficient Memory Management for
/// Deep Neural Net Inference", 2020, greedy by size). Returns the total.
std::uint64_t place(const std::vector<Lifetime>& buffers,
                    const std::vector<std::size_t>& order,
                    std::vector<std::uint64_t>& offsets) {
  offsets.assign(buffers.size(), 0);
  std::vector<std::size_t> placed;  // by offset
  std::uint64_t total = 0;
  for (const std::size_t item : order) {
    const std::uint64_t size = align(buffers[item].size_bytes);
    std::uint64_t cursor = 0, best = 0, best_gap = UINT64_MAX;
    for (const std::size_t other : placed) {
      if (!overlap_in_time(buffers[item], buffers[other])) continue;
      if (offsets[other] > cursor) {
        const std::uint64_t gap = offsets[other] - cursor;
        if (gap >= size && gap < best_gap) {
          best = cursor;
          best_gap = gap;
        }
      }
      cursor = std::max(cursor, offsets[other] + align(buffers[other].size_bytes));
    }
    offsets[item] = best_gap == UINT64_MAX ? cursor : best;
    total = std::max(total, offsets[item] + size);
    const auto at = std::upper_bound(
        placed.begin(), placed.end(), item,
        [&](std::size_t a, std::size_t b) { return offsets[a] < offsets[b]; });
    placed.insert(at, item);
  }
  return total;
}

}  // namespace

bool is_alias(const Graph& graph, const Node& node) {
  if (std::holds_alternative<op::Reshape>(node.op)) return true;
  const Shape& in = node.inputs.empty() ? graph.value(node.output).shape
                                        : graph.value(node.inputs[0]).shape;
  if (const auto* permute = std::get_if<op::Permute>(&node.op)) {
    return moves_only_unit_axes(*permute, in);
  }
  if (std::holds_alternative<op::Expand>(node.op) ||
      std::holds_alternative<op::Slice>(node.op)) {
    return num_elements(graph.value(node.output).shape) == num_elements(in);
  }
  return false;
}

bool may_overwrite(const Graph& graph, const Node& node, std::size_t i) {
  const bool is_elementwise = std::holds_alternative<op::QAdd>(node.op) ||
                              std::holds_alternative<op::QMul>(node.op) ||
                              std::holds_alternative<op::QDiv>(node.op) ||
                              std::holds_alternative<op::Rescale>(node.op) ||
                              std::holds_alternative<op::Lut>(node.op);
  const Value &in = graph.value(node.inputs[i]), &out = graph.value(node.output);
  return is_elementwise && in.shape == out.shape &&
         dtype_size(in.dtype) == dtype_size(out.dtype);
}

StoragePlan plan_storage(const Graph& graph,
                         const std::vector<std::uint64_t>& scratch_bytes,
                         const std::vector<std::uint64_t>& value_bytes) {
  const std::size_t count = graph.values().size();
  QOPT_CHECK(scratch_bytes.empty() || scratch_bytes.size() == graph.nodes().size(),
             "scratch of {} nodes", scratch_bytes.size());
  QOPT_CHECK(value_bytes.empty() || value_bytes.size() == count, "bytes of {} values",
             value_bytes.size());
  StoragePlan plan;
  plan.places.resize(count);
  const std::vector<std::uint32_t> root = storage_roots(graph);
  std::vector<Lifetime> life(count);
  for (std::size_t i = 0; i < count; ++i) {
    const Value& value = graph.values()[i];
    if (value.constant)
      plan.places[i] = {Place::Kind::Constant, static_cast<std::uint32_t>(i), 0};
    life[i].size_bytes = !value_bytes.empty()
                             ? value_bytes[i]
                             : static_cast<std::uint64_t>(num_elements(value.shape)) *
                                   dtype_size(value.dtype);
  }
  for (std::size_t step = 0; step < graph.nodes().size(); ++step) {
    const Node& node = graph.nodes()[step];
    const std::uint32_t own = root[node.output.index];
    if (own == node.output.index) life[own].first = life[own].last = step;
    if (const auto* input = std::get_if<op::Input>(&node.op)) {
      plan.places[own] = {Place::Kind::Input, static_cast<std::uint32_t>(input->index),
                          0};
    }
    life[own].last = std::max(life[own].last, step);
    for (const ValueId id : node.inputs) {
      Lifetime& used = life[root[id.index]];
      used.last = std::max(used.last, step);
    }
  }
  // A result goes straight into the caller's buffer; a second output of the same storage,
  // or one that is a graph input or a constant, is copied at the end.
  const std::size_t end = graph.nodes().size();
  for (std::size_t k = 0; k < graph.outputs().size(); ++k) {
    const std::uint32_t own = root[graph.outputs()[k].value.index];
    life[own].last = end;
    Place& place = plan.places[own];
    if (place.kind == Place::Kind::Arena) {
      place = {Place::Kind::Output, static_cast<std::uint32_t>(k), 0};
    } else {
      plan.copies.push_back(k);
    }
  }

  std::vector<Lifetime> buffers;
  std::vector<std::uint32_t> owners;
  for (const Node& node : graph.nodes()) {
    const std::uint32_t own = root[node.output.index];
    if (own != node.output.index || plan.places[own].kind != Place::Kind::Arena) continue;
    buffers.push_back(life[own]);
    owners.push_back(own);
  }
  for (std::size_t step = 0; step < scratch_bytes.size(); ++step) {
    if (scratch_bytes[step] != 0) buffers.push_back({step, step, scratch_bytes[step]});
  }
  const ArenaLayout layout = plan_offsets(buffers);
  for (std::size_t i = 0; i < owners.size(); ++i) {
    plan.places[owners[i]].offset = layout.offsets[i];
    plan.slots.push_back({ValueId{owners[i]}, layout.offsets[i], buffers[i].size_bytes});
    plan.lifetimes.push_back(buffers[i]);
  }
  plan.scratch.assign(graph.nodes().size(), 0);
  for (std::size_t i = owners.size(); i < buffers.size(); ++i) {
    plan.scratch[buffers[i].first] = layout.offsets[i];
  }
  plan.bytes = layout.bytes;
  plan.lower_bound = layout.lower_bound;
  for (std::size_t i = 0; i < count; ++i) {
    if (root[i] != i) plan.places[i] = plan.places[root[i]];
  }
  return plan;
}

ArenaLayout plan_offsets(const std::vector<Lifetime>& buffers) {
  const std::vector<std::uint64_t> live = live_bytes(buffers);
  ArenaLayout layout;
  for (const std::uint64_t bytes : live) {
    layout.lower_bound = std::max(layout.lower_bound, bytes);
  }
  std::vector<std::size_t> by_size(buffers.size());
  std::iota(by_size.begin(), by_size.end(), std::size_t{0});
  std::vector<std::size_t> by_time = by_size;
  std::stable_sort(by_size.begin(), by_size.end(), [&](std::size_t a, std::size_t b) {
    return buffers[a].size_bytes > buffers[b].size_bytes;
  });
  std::stable_sort(by_time.begin(), by_time.end(), [&](std::size_t a, std::size_t b) {
    return buffers[a].first < buffers[b].first;
  });
  // What is alive at the fullest step first, without gaps (greedy by breadth).
  std::vector<std::uint64_t> breadth(buffers.size(), 0);
  for (std::size_t i = 0; i < buffers.size(); ++i) {
    for (std::size_t step = buffers[i].first; step <= buffers[i].last; ++step)
      breadth[i] = std::max(breadth[i], live[step]);
  }
  std::vector<std::size_t> by_breadth = by_size;
  std::stable_sort(by_breadth.begin(), by_breadth.end(),
                   [&](std::size_t a, std::size_t b) { return breadth[a] > breadth[b]; });
  // Each order wins on some networks; all are cheap, so keep the best.
  layout.bytes = UINT64_MAX;
  for (const std::vector<std::size_t>& order : {by_size, by_time, by_breadth}) {
    std::vector<std::uint64_t> offsets;
    const std::uint64_t bytes = place(buffers, order, offsets);
    if (bytes >= layout.bytes) continue;
    layout.bytes = bytes;
    layout.offsets = std::move(offsets);
  }
  return layout;
}

}  // namespace qopt::emit
