// SPDX-License-Identifier: MIT
// One function for each operator of the Integer level; std::visit lists them all, so that
// a new operator is a compile error here.
#include "lib/export/c_layer.h"

#include <algorithm>

#include "lib/core/error.h"
#include "lib/export/c_layer_builder.h"

namespace qopt::emit {
namespace {

class LayerEmitter : public LayerBuilder {
 public:
  LayerEmitter(const Graph& graph, const Node& node, const StoragePlan& storage,
               const SectionMap& sections, const PlaneMap& planes,
               const std::optional<LayerChoice>& choice)
      : LayerBuilder(graph, node, storage, sections, planes),
        family_(choice ? choice->chosen.family : Family::Int8),
        block_(choice ? choice->chosen.block : 0) {}

  // Nothing to compute at this level.
  void emit(const op::Input&) {}

  void emit(const op::QConv2d& o) {
    const Shape &x = in(0).shape, &w = in(1).shape;
    if (sections_.at(node_.inputs[1].index).is_panels) {
      bitserial_call(o);
      return;
    }
    const bool is_narrow = is_s8(o.acc_bits, in(0), in(1)) && in(2).dtype == DType::I32;
    const bool is_depthwise = is_narrow && o.groups == x[3] && w[0] == x[3] && w[3] == 1;
    qrt_conv2d_params p = conv_params(o);
    p.block = block_;
    if (is_depthwise) {
      conv_call("depthwise_s8", p, qrt_depthwise_s8_scratch_size);
    } else if (is_narrow) {
      const bool sums_bytes = family_ == Family::ByteSums;
      if (sums_bytes) {
        // The kernel loops beyond its operands where two products do not fit.
        QOPT_CHECK(byte_steps(graph_, node_, {p.weight_bits, p.odd_weights != 0}) > 0,
                   "'{}' sums products in bytes", out().name);
        p.x_most = static_cast<std::uint8_t>(most_code(graph_, node_));
      }
      conv_call(sums_bytes                     ? "conv2d_w4a4"
                : family_ == Family::ShortSums ? "conv2d_w4"
                                               : "conv2d_s8",
                p, qrt_conv2d_s8_scratch_size);
    } else {
      conv_call("conv2d_wide", p, qrt_conv2d_wide_scratch_size);
    }
  }

  void emit(const op::QConvTranspose2d& o) {
    const bool is_narrow = is_s8(o.acc_bits, in(0), in(1)) && in(2).dtype == DType::I32;
    const qrt_conv2d_params p = conv_params(o);
    if (is_narrow) {
      conv_call("conv_transpose2d_s8", p, qrt_conv_transpose2d_s8_scratch_size);
    } else {
      conv_call("conv_transpose2d_wide", p, qrt_conv_transpose2d_wide_scratch_size);
    }
  }

  void emit(const op::QMatMul& o) {
    const Shape &a = in(0).shape, &b = in(1).shape, &y = out().shape;
    const Shape batch(y.begin(), y.end() - 2);
    Walk walk{batch, {}};
    for (const Shape* side : {&a, &b}) {
      const Shape own(side->begin(), side->end() - 2);
      std::vector<std::int64_t> strides = broadcast_strides(own, batch);
      const std::int64_t matrix = (*side)[side->size() - 2] * side->back();
      for (std::int64_t& stride : strides) stride *= matrix;
      walk.strides.push_back(std::move(strides));
    }
    walk = merged(walk);
    check_rank(walk, 4);
    qrt_matmul_params p{};
    p.k = extent(a.back());
    const bool is_narrow = is_s8(o.acc_bits, in(0), in(1));
    code_.scratch_bytes =
        is_narrow ? qrt_matmul_s8_scratch_size(&p) : qrt_matmul_wide_scratch_size(&p);
    code_.part_scratch_bytes = code_.scratch_bytes;
    Fields fields{{"batch_rank", number(rank_of(walk))}};
    if (!walk.dims.empty()) {
      fields.push_back({"batch_dims", dims(walk.dims)});
      fields.push_back({"a_batch_stride", dims(walk.strides[0])});
      fields.push_back({"b_batch_stride", dims(walk.strides[1])});
    }
    append(fields, {{"m", number(a[a.size() - 2])},
                    {"k", number(a.back())},
                    {"n", number(b.back())},
                    {"a_zero", number(o.a_zero)},
                    {"b_zero", number(o.b_zero)},
                    {"multiplier", number(o.multiplier)},
                    {"shift", number(o.shift)}});
    append(fields, finish_fields(o));
    append(fields, {{"a_bytes", number(bytes_of(in(0).dtype))},
                    {"b_bytes", number(bytes_of(in(1).dtype))},
                    {"y_bytes", number(bytes_of(out().dtype))},
                    {"acc64", number(o.acc_bits > 32 ? 1 : 0)}});
    call(is_narrow ? "matmul_s8" : "matmul_wide", "qrt_matmul_params", fields,
         {operand(0), operand(1), "y", "scratch"});
  }

  void emit(const op::QAdd& o) {
    Fields fields = binary_walk();
    append(fields, {{"a_zero", number(o.a_zero)},
                    {"b_zero", number(o.b_zero)},
                    {"a_multiplier", number(o.a_multiplier)},
                    {"b_multiplier", number(o.b_multiplier)},
                    {"shift", number(o.shift)}});
    binary("add_any", std::move(fields), finish_fields(o), 0);
  }

  void emit(const op::QMul& o) {
    binary("mul_any", product_fields(o), finish_fields(o), o.acc_bits > 32 ? 1 : 0);
  }

  void emit(const op::QDiv& o) {
    binary("div_any", product_fields(o), finish_fields(o), 0);
  }

  void emit(const op::Rescale& o) {
    Fields fields{{"count", count(out())},
                  {"x_zero", number(o.x_zero)},
                  {"multiplier", number(o.multiplier)},
                  {"shift", number(o.shift)}};
    append(fields, finish_fields(o));
    append(fields, xy_bytes());
    call("rescale_any", "qrt_rescale_params", fields, {operand(0), "y"});
  }

  void emit(const op::Lut&) {
    const Shape& table = in(1).shape;
    Fields fields{{"count", count(out())},
                  {"channels", number(table.size() == 2 ? table[0] : 1)}};
    append(fields, xy_bytes());
    call("lut_any", "qrt_lut_params", fields, {operand(0), operand(1), "y"});
  }

  void emit(const op::MaxPool2d& o) {
    Fields fields = image_fields();
    append(fields, {{"kh", number(o.kernel[0])},
                    {"kw", number(o.kernel[1])},
                    {"stride_h", number(o.stride[0])},
                    {"stride_w", number(o.stride[1])},
                    {"dilation_h", number(o.dilation[0])},
                    {"dilation_w", number(o.dilation[1])},
                    {"pad_top", number(o.pads[0])},
                    {"pad_left", number(o.pads[1])},
                    {"bytes", number(bytes_of(out().dtype))}});
    call("max_pool_any", "qrt_max_pool_params", fields, {operand(0), "y"});
  }

  void emit(const op::QAvgPool2d& o) {
    code_.arrays = {{"int32_t", "row_start", o.row_start},
                    {"int32_t", "row_end", o.row_end},
                    {"int32_t", "col_start", o.col_start},
                    {"int32_t", "col_end", o.col_end}};
    Fields fields = image_fields();
    for (const ArrayCode& array : code_.arrays)
      fields.push_back({array.name, array.name});
    fields.push_back({"x_zero", number(o.x_zero)});
    append(fields, finish_fields(o));
    append(fields, xy_bytes());
    append(fields, {{"which_bytes", number(bytes_of(in(3).dtype))},
                    {"acc64", number(o.acc_bits > 32 ? 1 : 0)}});
    call("avg_pool_any", "qrt_avg_pool_params", fields,
         {operand(0), operand(1), operand(2), operand(3), "y"});
  }

  void emit(const op::QReduce& o) {
    const Shape& x = in(0).shape;
    const std::vector<std::int64_t> strides = dense_strides(x);
    Walk kept{{}, {{}}}, reduced{{}, {{}}};
    for (std::size_t axis = 0; axis < x.size(); ++axis) {
      const bool is_reduced =
          std::ranges::find(o.axes, static_cast<std::int64_t>(axis)) != o.axes.end();
      Walk& walk = is_reduced ? reduced : kept;
      walk.dims.push_back(x[axis]);
      walk.strides[0].push_back(strides[axis]);
    }
    Fields fields;
    const auto describe = [&](const std::string& which, Walk walk) {
      walk = merged(walk);
      check_rank(walk, QRT_MAX_RANK);
      fields.push_back({which + "_rank", number(rank_of(walk))});
      if (walk.dims.empty()) return;
      fields.push_back({which + "_dims", dims(walk.dims)});
      fields.push_back({which + "_stride", dims(walk.strides[0])});
    };
    describe("kept", kept);
    describe("reduced", reduced);
    append(fields, {{"x_zero", number(o.x_zero)},
                    {"multiplier", number(o.multiplier)},
                    {"shift", number(o.shift)}});
    append(fields, finish_fields(o));
    append(fields, xy_bytes());
    fields.push_back({"acc64", number(o.acc_bits > 32 ? 1 : 0)});
    call("reduce_any", "qrt_reduce_params", fields, {operand(0), "y"});
  }

  void emit(const op::QResize&) {
    Fields fields = image_fields();
    fields.push_back({"bytes", number(bytes_of(out().dtype))});
    call("resize_any", "qrt_resize_params", fields,
         {operand(0), operand(1), operand(2), operand(3), operand(4), "y"});
  }

  void emit(const op::QSoftmax& o) {
    Fields fields = axis_fields(o.axis);
    fields.push_back({"out_bits", number(o.out_bits)});
    append(fields, finish_fields(o));
    append(fields, xy_bytes());
    call("softmax_any", "qrt_softmax_params", fields, {operand(0), operand(1), "y"});
  }

  void emit(const op::QLayerNorm& o) {
    const Shape& x = in(0).shape;
    const std::size_t split = x.size() - static_cast<std::size_t>(o.num_axes);
    Fields fields{{"outer", number(product(x, 0, split))},
                  {"depth", number(product(x, split, x.size()))},
                  {"eps", c_integer(o.eps)},
                  {"shift", number(o.shift)}};
    append(fields, finish_fields(o));
    append(fields, xy_bytes());
    call("layer_norm_any", "qrt_layer_norm_params", fields,
         {operand(0), operand(1), operand(2), "y"});
  }

  void emit(const op::QL2Normalize& o) {
    Fields fields = axis_fields(o.axis);
    append(fields, {{"eps", c_integer(o.eps)},
                    {"x_zero", number(o.x_zero)},
                    {"multiplier", number(o.multiplier)},
                    {"shift", number(o.shift)}});
    append(fields, finish_fields(o));
    append(fields, xy_bytes());
    call("l2_normalize_any", "qrt_l2_normalize_params", fields, {operand(0), "y"});
  }

  void emit(const op::QGather&) {
    const Shape& table = in(1).shape;
    call("gather_any", "qrt_gather_params",
         {{"count", count(in(0))},
          {"rows", number(table[0])},
          {"depth", number(table[1])},
          {"bytes", number(bytes_of(in(1).dtype))}},
         {operand(0), operand(1), "y"});
  }

  void emit(const op::Concat& o) {
    const std::vector<std::int64_t> to = dense_strides(out().shape);
    std::int64_t start = 0;
    for (std::size_t i = 0; i < node_.inputs.size(); ++i) {
      const Shape& part = in(i).shape;
      copy({part, {dense_strides(part), to}}, i, 0,
           start * to[static_cast<std::size_t>(o.axis)]);
      start += part[static_cast<std::size_t>(o.axis)];
    }
  }

  void emit(const op::Slice& o) {
    const auto axis = static_cast<std::size_t>(o.axis);
    std::vector<std::int64_t> from = dense_strides(in(0).shape);
    const std::int64_t start = o.start * from[axis];
    from[axis] *= o.step;
    copy({out().shape, {from, dense_strides(out().shape)}}, 0, start, 0);
  }

  void emit(const op::Reshape&) {
    copy({{num_elements(out().shape)}, {{1}, {1}}}, 0, 0, 0);
  }

  void emit(const op::Permute& o) {
    const std::vector<std::int64_t> own = dense_strides(in(0).shape);
    std::vector<std::int64_t> from;
    for (const std::int64_t axis : o.perm)
      from.push_back(own[static_cast<std::size_t>(axis)]);
    copy({out().shape, {from, dense_strides(out().shape)}}, 0, 0, 0);
  }

  void emit(const op::Expand&) {
    copy({out().shape,
          {broadcast_strides(in(0).shape, out().shape), dense_strides(out().shape)}},
         0, 0, 0);
  }

  void emit(const op::Pad& o) {
    const std::vector<std::int64_t> to = dense_strides(out().shape);
    std::int64_t start = 0;
    for (std::size_t axis = 0; axis < to.size(); ++axis)
      start += o.before[axis] * to[axis];
    call("fill_any", "qrt_fill_params",
         {{"count", count(out())},
          {"value", number(static_cast<std::int64_t>(o.value))},
          {"bytes", number(bytes_of(out().dtype))}},
         {"y"});
    copy({in(0).shape, {dense_strides(in(0).shape), to}}, 0, 0, start);
  }

  // Float operators: verify() lets none of them into an Integer graph.
  void emit(const op::Conv2d&) { refuse(); }
  void emit(const op::ConvTranspose2d&) { refuse(); }
  void emit(const op::Linear&) { refuse(); }
  void emit(const op::MatMul&) { refuse(); }
  void emit(const op::BatchNorm&) { refuse(); }
  void emit(const op::Clamp&) { refuse(); }
  void emit(const op::Unary&) { refuse(); }
  void emit(const op::PRelu&) { refuse(); }
  void emit(const op::Binary&) { refuse(); }
  void emit(const op::AvgPool2d&) { refuse(); }
  void emit(const op::AdaptiveAvgPool2d&) { refuse(); }
  void emit(const op::Reduce&) { refuse(); }
  void emit(const op::Resize&) { refuse(); }
  void emit(const op::Softmax&) { refuse(); }
  void emit(const op::LayerNorm&) { refuse(); }
  void emit(const op::L2Normalize&) { refuse(); }
  void emit(const op::Embedding&) { refuse(); }
  void emit(const op::Attention&) { refuse(); }
  void emit(const op::PixelShuffle&) { refuse(); }

 private:
  Family family_;
  std::int32_t block_;
};

/// For each node, whether it is a convolution whose weights lie in bit panels.
std::vector<bool> counting_bits(const Graph& graph, const SectionMap& sections) {
  std::vector<bool> counts_bits;
  for (const Node& node : graph.nodes()) {
    counts_bits.push_back(std::holds_alternative<op::QConv2d>(node.op) &&
                          sections.at(node.inputs[1].index).is_panels);
  }
  return counts_bits;
}

}  // namespace

SectionMap map_sections(const Graph& graph, const std::vector<Section>& sections) {
  SectionMap map;
  std::size_t next = 0;
  for (std::size_t i = 0; i < graph.values().size(); ++i) {
    const Value& value = graph.values()[i];
    if (!value.constant) continue;
    QOPT_CHECK(next < sections.size() && sections[next].name == value.name,
               "the blob is not this graph's");
    map[static_cast<std::uint32_t>(i)] = {next, sections[next].bits, sections[next].odd,
                                          sections[next].panels.has_value()};
    ++next;
  }
  QOPT_CHECK(next == sections.size(), "the blob is not this graph's");
  return map;
}

LayerCode layer_code(const Graph& graph, const Node& node, const StoragePlan& storage,
                     const SectionMap& sections, const PlaneMap& planes,
                     const std::optional<LayerChoice>& choice) {
  if (is_alias(graph, node)) return {};
  LayerEmitter emitter(graph, node, storage, sections, planes, choice);
  std::visit([&](const auto& o) { emitter.emit(o); }, node.op);
  return emitter.take();
}

ModelCode model_code(const Graph& graph, const std::vector<Section>& sections,
                     const std::vector<std::optional<LayerChoice>>& choices) {
  QOPT_CHECK(graph.level() == Level::Integer, "C code of a graph at level {}",
             level_name(graph.level()));
  ModelCode code;
  code.sections = map_sections(graph, sections);
  code.planes = plan_planes(graph, counting_bits(graph, code.sections));
  code.value_bytes = stored_bytes(graph, code.planes);
  code.storage = plan_storage(graph, {}, code.value_bytes);
  std::vector<std::uint64_t> scratch;
  for (std::size_t i = 0; i < graph.nodes().size(); ++i) {
    code.layers.push_back(layer_code(graph, graph.nodes()[i], code.storage, code.sections,
                                     code.planes, choices[i]));
    scratch.push_back(code.layers.back().scratch_bytes);
    code.scratch_bytes = std::max(code.scratch_bytes, scratch.back());
    code.part_scratch_bytes =
        std::max(code.part_scratch_bytes, code.layers.back().part_scratch_bytes);
  }
  code.part_scratch_bytes = (code.part_scratch_bytes + 63) / 64 * 64;
  code.scratch_bytes = (code.scratch_bytes + 63) / 64 * 64;
  // Layers say what scratch they need and not where; now both find their place.
  code.storage = plan_storage(graph, scratch, code.value_bytes);
  code.arena_bytes = std::max<std::uint64_t>(code.storage.bytes, 64);
  return code;
}

ArenaPlan plan_arena(const Graph& graph, const KernelTarget& target) {
  const ModelCode code =
      model_code(graph, plan_sections(graph, target), choose_kernels(graph, target));
  return {code.storage.slots, code.scratch_bytes, code.arena_bytes,
          code.storage.lower_bound};
}

}  // namespace qopt::emit
