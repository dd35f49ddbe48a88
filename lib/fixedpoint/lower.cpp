// SPDX-License-Identifier: MIT
// Lowering's driver: walks the Encoded graph, collects everything that has no integer
// form, and proves the accumulators of the result.
#include "lib/fixedpoint/lower.h"

#include <algorithm>
#include <limits>
#include <set>

#include "lib/exec/interval.h"
#include "lib/fixedpoint/lower_context.h"
#include "lib/graph/verify.h"

namespace qopt {
namespace {

/// Operators that canonicalisation removes, and those that exist only after lowering.
template <class T>
concept NotEncoded = std::same_as<T, op::BatchNorm> || std::same_as<T, op::Attention> ||
    std::same_as<T, op::PixelShuffle> || std::same_as<T, op::QConv2d> ||
    std::same_as<T, op::QConvTranspose2d> || std::same_as<T, op::QMatMul> ||
    std::same_as<T, op::QAdd> || std::same_as<T, op::QMul> || std::same_as<T, op::QDiv> ||
    std::same_as<T, op::Rescale> || std::same_as<T, op::Lut> ||
    std::same_as<T, op::QAvgPool2d> || std::same_as<T, op::QReduce> ||
    std::same_as<T, op::QResize> || std::same_as<T, op::QSoftmax> ||
    std::same_as<T, op::QLayerNorm> || std::same_as<T, op::QL2Normalize> ||
    std::same_as<T, op::QGather>;

template <NotEncoded T>
void lower_node(Lowering&, const Node&, const T&) {
  throw Error(ExitCode::ModelUnsupported, "",
              fmt::format("'{}' has no place in an encoded graph", T::kName));
}

/// True for operators that work on images and so want N,H,W,C.
bool is_image_operator(const Op& op) {
  if (const auto* reduce = std::get_if<op::Reduce>(&op)) {
    return reduce->axes == Ints{2, 3};  // a global pool
  }
  return std::holds_alternative<op::Conv2d>(op) ||
         std::holds_alternative<op::ConvTranspose2d>(op) ||
         std::holds_alternative<op::MaxPool2d>(op) ||
         std::holds_alternative<op::AvgPool2d>(op) ||
         std::holds_alternative<op::AdaptiveAvgPool2d>(op) ||
         std::holds_alternative<op::Resize>(op);
}

/// True for operators that take any layout and pass it on.
bool passes_layout(const Op& op) {
  return std::holds_alternative<op::Clamp>(op) || std::holds_alternative<op::Unary>(op) ||
         std::holds_alternative<op::PRelu>(op) ||
         std::holds_alternative<op::Binary>(op) ||
         std::holds_alternative<op::Concat>(op) ||
         std::holds_alternative<op::Slice>(op) || std::holds_alternative<op::Pad>(op);
}

/// True when an operator on images reads the value, at most layout-neutral ones between.
bool feeds_image_operator(const Graph& graph, ValueId input) {
  std::set<ValueId> seen{input};
  for (const Node& node : graph.nodes()) {
    const bool reads =
        std::ranges::any_of(node.inputs, [&](ValueId id) { return seen.contains(id); });
    if (!reads) continue;
    if (is_image_operator(node.op)) return true;
    if (passes_layout(node.op)) seen.insert(node.output);
  }
  return false;
}

struct Problem {
  std::string where, what, hint;
};

[[noreturn]] void throw_all(const std::vector<Problem>& problems) {
  std::string text;
  for (const Problem& problem : problems) {
    text +=
        fmt::format("{}'{}': {}", text.empty() ? "" : "; ", problem.where, problem.what);
    if (!problem.hint.empty()) text += " (" + problem.hint + ")";
  }
  if (problems.size() == 1) {
    throw Error(ExitCode::ModelUnsupported, problems[0].where, problems[0].what,
                problems[0].hint);
  }
  throw Error(ExitCode::ModelUnsupported, "",
              fmt::format("{} nodes have no integer form: {}", problems.size(), text));
}

void lower_one(Lowering& to, const Node& node) {
  if (std::holds_alternative<op::Input>(node.op)) {
    const bool image =
        to.rank(node.output) == 4 && feeds_image_operator(to.source(), node.output);
    to.add_input(node.output,
                 image ? nhwc_layout() : identity_layout(to.rank(node.output)));
    return;
  }
  std::visit(Overloaded{[](const op::Input&) {},
                        [&](const auto& o) { lower_node(to, node, o); }},
             node.op);
}

/// A 64-bit accumulator takes a 64-bit bias.
void widen_biases(Graph& graph) {
  const auto widen = [&](const auto& conv, std::size_t index) {
    const ValueId old = graph.nodes()[index].inputs.at(2);
    if (conv.acc_bits <= 32 || graph.value(old).dtype != DType::I32) return;
    const Tensor narrow = *graph.value(old).constant;
    const std::span<const std::int32_t> bias = narrow.values<std::int32_t>();
    const Tensor wide = Tensor::of(std::vector<std::int64_t>(bias.begin(), bias.end()));
    const ValueId made = graph.add_constant(graph.value(old).name + ".wide", wide);
    graph.mutable_nodes()[index].inputs[2] = made;
  };
  for (std::size_t i = 0; i < graph.nodes().size(); ++i) {
    const Op op = graph.nodes()[i].op;
    if (const auto* conv = std::get_if<op::QConv2d>(&op)) widen(*conv, i);
    if (const auto* transposed = std::get_if<op::QConvTranspose2d>(&op))
      widen(*transposed, i);
  }
}

}  // namespace

Graph lower_to_integer(const Graph& encoded) {
  QOPT_CHECK(encoded.level() == Level::Encoded, "lowering of level {}",
             level_name(encoded.level()));
  Lowering lowering(encoded);
  std::vector<Problem> problems;
  for (const Node& node : encoded.nodes()) {
    const bool ready =
        std::ranges::all_of(node.inputs, [&](ValueId id) { return lowering.has(id); });
    if (!ready) {
      // What feeds it was refused; say what can be said of the operator itself.
      if (const std::optional<std::string> reason = no_integer_form(encoded, node)) {
        problems.push_back({encoded.value(node.output).name, *reason, {}});
      }
      continue;
    }
    try {
      lower_one(lowering, node);
    } catch (const Error& e) {
      if (e.code() != ExitCode::ModelUnsupported) throw;
      problems.push_back({encoded.value(node.output).name, e.message(), e.hint()});
    }
  }
  for (const Output& output : encoded.outputs()) {
    if (!lowering.has(output.value)) continue;
    try {
      lowering.add_output(output);
    } catch (const Error& e) {
      if (e.code() != ExitCode::ModelUnsupported) throw;
      problems.push_back({output.name, e.message(), e.hint()});
    }
  }
  if (!problems.empty()) throw_all(problems);

  Graph integer = std::move(lowering.graph());
  integer.remove_dead();
  assign_accumulator_bits(integer);
  widen_biases(integer);
  integer.remove_dead();
  require_valid(integer, "lowering");
  require_no_overflow(prove_accumulators(integer));
  return integer;
}

std::optional<std::string> no_integer_form(const Graph& encoded, const Node& node) {
  if (const auto* reduce = std::get_if<op::Reduce>(&node.op);
      reduce != nullptr && reduce->kind == ReduceKind::L2Norm) {
    return "an L2 norm has no integer form";
  }
  if (std::holds_alternative<op::Softmax>(node.op)) {
    const Value& x = encoded.value(node.inputs.at(0));
    if (x.encoding && storage_dtype(affine_of(*x.encoding)) != DType::I8) {
      return "a softmax of 16-bit codes has no integer form";
    }
  }
  return std::nullopt;
}

}  // namespace qopt
