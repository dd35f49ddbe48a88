// SPDX-License-Identifier: MIT
// What the emitters of all operators share: operands, parameters that fit 32 bits, walks
// of few axes, and the parameter lists that several operators have in common. Private to
// c_layer.cpp.
#pragma once

#include <algorithm>
#include <limits>

#include "lib/core/error.h"
#include "lib/core/names.h"
#include "lib/export/c_layer.h"
#include "lib/export/strides.h"
#include "runtime/include/qrt/parallel.h"
#include "runtime/include/qrt/qrt.h"

namespace qopt::emit {

using Field = CWriter::Field;
using Fields = std::vector<Field>;

inline int bytes_of(DType dtype) { return static_cast<int>(dtype_size(dtype)); }

inline std::int64_t product(const Shape& shape, std::size_t begin, std::size_t end) {
  return num_elements({shape.begin() + static_cast<std::ptrdiff_t>(begin),
                       shape.begin() + static_cast<std::ptrdiff_t>(end)});
}

inline std::string braces(const std::vector<std::int64_t>& values) {
  std::string text = "{";
  for (std::size_t i = 0; i < values.size(); ++i)
    text += (i ? ", " : "") + c_integer(values[i]);
  return text + "}";
}

/// The runner of qrt/parallel.h that cuts a kernel's work; empty where none does.
inline std::string runner_of(std::string_view kernel) {
  constexpr std::pair<std::string_view, std::string_view> kRunners[] = {
      {"conv2d_", "conv2d"},     {"depthwise_", "conv2d"},  {"bitserial_", "bitserial"},
      {"matmul_", "matmul"},     {"add_", "binary"},        {"mul_", "binary"},
      {"div_", "binary"},        {"rescale_", "rescale"},   {"lut_", "lut"},
      {"max_pool_", "max_pool"}, {"avg_pool_", "avg_pool"}, {"reduce_", "reduce"}};
  for (const auto& [prefix, runner] : kRunners) {
    if (kernel.starts_with(prefix)) return fmt::format("qrt_parallel_{}", runner);
  }
  return {};
}

/// True for the kernels that take the sums of weights.
inline bool takes_weight_sums(std::string_view kernel) {
  constexpr std::string_view kDirect[] = {"conv2d_s8", "conv2d_w4", "conv2d_w4a4",
                                          "depthwise_s8"};
  return std::ranges::find(kDirect, kernel) != std::end(kDirect);
}

/// The greatest scratch of any part that any number of threads cuts `p` into.
template <class Params, class Parts, class PartOf, class Size>
std::uint64_t part_scratch(const Params& p, Parts parts, PartOf part_of, Size size) {
  std::uint64_t most = 0;
  for (std::int32_t threads = 2; threads <= QRT_MAX_THREADS; ++threads) {
    const std::int32_t count = parts(&p, threads);
    for (std::int32_t part = 0; part < count; ++part) {
      const auto slice = part_of(&p, part, threads);
      most = std::max<std::uint64_t>(most, size(&slice.p));
    }
  }
  return most;
}

/// Collects the code of one node.
class LayerBuilder {
 public:
  LayerBuilder(const Graph& graph, const Node& node, const StoragePlan& storage,
               const SectionMap& sections, const PlaneMap& planes)
      : graph_(graph),
        node_(node),
        storage_(storage),
        sections_(sections),
        planes_(planes) {}

  LayerCode take() {
    std::sort(code_.activations.begin(), code_.activations.end());
    // Not std::ranges::unique: clang 14 cannot compile libstdc++ 12's subrange.
    code_.activations.erase(
        std::unique(code_.activations.begin(), code_.activations.end()),
        code_.activations.end());
    return std::move(code_);
  }

 protected:
  [[noreturn]] void refuse() const {
    throw InternalError(
        fmt::format("'{}' ({}) in an integer graph", out().name, op_name(node_.op)));
  }
  [[noreturn]] void unsupported(const std::string& what) const {
    throw Error(ExitCode::ModelUnsupported, printable(out().name), what);
  }

  const Value& in(std::size_t i) const {
    QOPT_CHECK(i < node_.inputs.size(), "'{}' has {} inputs", out().name,
               node_.inputs.size());
    return graph_.value(node_.inputs[i]);
  }
  const Value& out() const { return graph_.value(node_.output); }

  /// A 32-bit parameter of a kernel.
  std::int32_t extent(std::int64_t value) const {
    if (value < std::numeric_limits<std::int32_t>::min() ||
        value > std::numeric_limits<std::int32_t>::max()) {
      unsupported(
          fmt::format("needs the number {}, the runtime counts in 32 bits", value));
    }
    return static_cast<std::int32_t>(value);
  }
  std::string number(std::int64_t value) const { return c_integer(extent(value)); }
  std::string count(const Value& value) const {
    return number(num_elements(value.shape));
  }
  std::string dims(const std::vector<std::int64_t>& values) const {
    for (const std::int64_t value : values) extent(value);
    return braces(values);
  }
  static std::int64_t rank_of(const Walk& walk) {
    return static_cast<std::int64_t>(walk.dims.size());
  }
  void check_rank(const Walk& walk, std::size_t limit) const {
    if (walk.dims.size() <= limit) return;
    unsupported(fmt::format("needs {} axes that cannot be merged, the runtime has {}",
                            walk.dims.size(), limit));
  }
  static void append(Fields& fields, const Fields& more) {
    fields.insert(fields.end(), more.begin(), more.end());
  }

  std::string operand(std::size_t i) {
    const Place& place = storage_.places[node_.inputs[i].index];
    if (place.kind == Place::Kind::Constant) {
      code_.uses_model = true;
      return fmt::format("m->weights[{}]", sections_.at(place.index).index);
    }
    code_.activations.push_back(i);
    return fmt::format("x{}", i);
  }

  void call(std::string kernel, std::string type, Fields fields,
            std::vector<std::string> operands) {
    std::string runner = runner_of(kernel);
    if (!runner.empty()) code_.uses_team = true;
    code_.calls.push_back({std::move(kernel), std::move(runner), std::move(type),
                           std::move(fields), std::move(operands)});
  }

  template <class O>
  Fields finish_fields(const O& o) const {
    return {{"y_zero", number(o.y_zero)}, {"lo", number(o.lo)}, {"hi", number(o.hi)}};
  }
  Fields xy_bytes() const {
    return {{"x_bytes", number(bytes_of(in(0).dtype))},
            {"y_bytes", number(bytes_of(out().dtype))}};
  }
  Fields image_fields() const {
    const Shape &x = in(0).shape, &y = out().shape;
    return {{"n", number(x[0])}, {"h", number(x[1])},  {"w", number(x[2])},
            {"c", number(x[3])}, {"oh", number(y[1])}, {"ow", number(y[2])}};
  }
  Fields axis_fields(std::int64_t axis) const {
    const Shape& x = in(0).shape;
    const auto at = static_cast<std::size_t>(axis);
    return {{"outer", number(product(x, 0, at))},
            {"axis", number(x[at])},
            {"inner", number(product(x, at + 1, x.size()))}};
  }

  static bool is_s8(std::int64_t acc_bits, const Value& a, const Value& b) {
    return acc_bits <= 32 && a.dtype == DType::I8 && b.dtype == DType::I8;
  }

  template <class Conv>
  qrt_conv2d_params conv_params(const Conv& o) {
    const Shape &x = in(0).shape, &w = in(1).shape, &y = out().shape;
    qrt_conv2d_params p{};
    p.n = extent(x[0]), p.h = extent(x[1]), p.w = extent(x[2]), p.c = extent(x[3]);
    p.oh = extent(y[1]), p.ow = extent(y[2]), p.o = extent(y[3]);
    p.kh = extent(w[1]), p.kw = extent(w[2]);
    p.stride_h = extent(o.stride[0]), p.stride_w = extent(o.stride[1]);
    p.dilation_h = extent(o.dilation[0]), p.dilation_w = extent(o.dilation[1]);
    p.pad_top = extent(o.pads[0]), p.pad_left = extent(o.pads[1]);
    p.groups = extent(o.groups);
    p.x_zero = extent(o.x_zero), p.y_zero = extent(o.y_zero);
    p.lo = extent(o.lo), p.hi = extent(o.hi);
    p.x_bytes = static_cast<std::uint8_t>(bytes_of(in(0).dtype));
    p.y_bytes = static_cast<std::uint8_t>(bytes_of(out().dtype));
    p.bias_bytes = static_cast<std::uint8_t>(bytes_of(in(2).dtype));
    p.acc64 = o.acc_bits > 32 ? 1 : 0;
    const Value& weights = in(1);
    QOPT_CHECK(weights.constant.has_value(), "weights of '{}' are not constant",
               out().name);
    const SectionRef& section = sections_.at(node_.inputs[1].index);
    p.weight_bits = static_cast<std::uint8_t>(section.bits);
    p.odd_weights = section.odd ? 1 : 0;
    p.narrow_weights = 0;
    if (weights.dtype == DType::I8) {
      const auto codes = weights.constant->template values<std::int8_t>();
      p.narrow_weights =
          std::ranges::find(codes, std::int8_t{-128}) == codes.end() ? 1 : 0;
    }
    return p;
  }

  /// Sum of each output channel's stored weight codes: what a zero point of x multiplies.
  std::vector<std::int64_t> weight_sums() const {
    const Value& weights = in(1);
    const auto codes = weights.constant->template values<std::int8_t>();
    const std::size_t rows = static_cast<std::size_t>(weights.shape[0]);
    std::vector<std::int64_t> sums(rows);
    for (std::size_t i = 0; i < codes.size(); ++i) {
      sums[i / (codes.size() / rows)] += codes[i];
    }
    return sums;
  }

  void conv_call(std::string kernel, const qrt_conv2d_params& p,
                 std::size_t (*scratch_size)(const qrt_conv2d_params*)) {
    code_.scratch_bytes = scratch_size(&p);
    if (!runner_of(kernel).empty()) {
      code_.part_scratch_bytes =
          part_scratch(p, qrt_conv2d_parts, qrt_conv2d_part_of, scratch_size);
    }
    Fields fields;
    const auto field = [&](const char* name, std::int64_t value) {
      fields.push_back({name, c_integer(value)});
    };
    field("n", p.n), field("h", p.h), field("w", p.w), field("c", p.c);
    field("oh", p.oh), field("ow", p.ow), field("o", p.o), field("kh", p.kh),
        field("kw", p.kw);
    field("stride_h", p.stride_h), field("stride_w", p.stride_w);
    field("dilation_h", p.dilation_h), field("dilation_w", p.dilation_w);
    field("pad_top", p.pad_top), field("pad_left", p.pad_left), field("groups", p.groups);
    field("x_zero", p.x_zero), field("y_zero", p.y_zero), field("lo", p.lo),
        field("hi", p.hi);
    field("x_bytes", p.x_bytes), field("y_bytes", p.y_bytes);
    field("weight_bits", p.weight_bits), field("bias_bytes", p.bias_bytes);
    field("acc64", p.acc64), field("narrow_weights", p.narrow_weights);
    if (p.odd_weights != 0) field("odd_weights", p.odd_weights);
    if (p.block != 0) field("block", p.block);
    if (p.x_most != 0) field("x_most", p.x_most);
    if (p.x_zero != 0 && takes_weight_sums(kernel)) {
      code_.arrays = {{"int32_t", "weight_sums", weight_sums()}};
      fields.push_back({"weight_sums", "weight_sums"});
    }
    std::vector<std::string> operands;
    for (std::size_t i = 0; i < 5; ++i) operands.push_back(operand(i));
    operands.push_back(node_.inputs.size() > 5 ? operand(5) : "NULL");
    operands.push_back("y");
    operands.push_back("scratch");
    call(std::move(kernel), "qrt_conv2d_params", std::move(fields), std::move(operands));
  }

  /// A convolution whose weights lie in bit panels.
  void bitserial_call(const op::QConv2d& o) {
    const std::optional<BitSerial> form = bit_serial_form(graph_, node_);
    QOPT_CHECK(form.has_value(), "'{}' has bit panels", out().name);
    const Shape &x = in(0).shape, &w = in(1).shape, &y = out().shape;
    qrt_bitserial_params p{};
    p.n = extent(x[0]), p.h = extent(x[1]), p.w = extent(x[2]), p.c = extent(x[3]);
    p.oh = extent(y[1]), p.ow = extent(y[2]), p.o = extent(y[3]);
    p.kh = extent(w[1]), p.kw = extent(w[2]);
    p.stride_h = extent(o.stride[0]), p.stride_w = extent(o.stride[1]);
    p.dilation_h = extent(o.dilation[0]), p.dilation_w = extent(o.dilation[1]);
    p.pad_top = extent(o.pads[0]), p.pad_left = extent(o.pads[1]);
    p.weight_bits = static_cast<std::uint8_t>(form->weights.bits);
    p.x_bits = static_cast<std::uint8_t>(form->x_bits);
    p.x_planes = planes_.contains(node_.inputs[0].index) ? 1 : 0;
    const auto planes = planes_.find(node_.output.index);
    if (planes != planes_.end())
      p.y_bits = static_cast<std::uint8_t>(planes->second.bits);
    code_.scratch_bytes = qrt_bitserial_s8_scratch_size(&p);
    code_.part_scratch_bytes = part_scratch(p, qrt_bitserial_parts, qrt_bitserial_part_of,
                                            qrt_bitserial_s8_scratch_size);
    Fields fields = image_fields();
    append(fields, {{"o", number(y[3])},
                    {"kh", number(w[1])},
                    {"kw", number(w[2])},
                    {"stride_h", number(o.stride[0])},
                    {"stride_w", number(o.stride[1])},
                    {"dilation_h", number(o.dilation[0])},
                    {"dilation_w", number(o.dilation[1])},
                    {"pad_top", number(o.pads[0])},
                    {"pad_left", number(o.pads[1])},
                    {"x_zero", number(o.x_zero)},
                    {"x_lo", number(form->x_lo)}});
    append(fields, finish_fields(o));
    append(fields, {{"w_scale", number(form->weights.step)},
                    {"w_offset", number(-form->weights.lowest)},
                    {"weight_bits", number(p.weight_bits)},
                    {"x_bits", number(p.x_bits)}});
    if (p.x_planes != 0) fields.push_back({"x_planes", number(p.x_planes)});
    if (p.y_bits != 0) fields.push_back({"y_bits", number(p.y_bits)});
    std::vector<std::string> operands;
    for (std::size_t i = 0; i < 5; ++i) operands.push_back(operand(i));
    operands.push_back(node_.inputs.size() > 5 ? operand(5) : "NULL");
    operands.push_back("y");
    operands.push_back("scratch");
    call("bitserial_s8", "qrt_bitserial_params", std::move(fields), std::move(operands));
  }

  /// Walk of (a, b) over the result; a rank of 0 is one element.
  Fields binary_walk() const {
    const Shape& y = out().shape;
    const Walk walk = merged({y,
                              {broadcast_strides(in(0).shape, y),
                               broadcast_strides(in(1).shape, y), dense_strides(y)}});
    check_rank(walk, QRT_MAX_RANK);
    if (walk.dims.empty()) return {{"rank", "0"}};
    return {{"rank", number(rank_of(walk))},
            {"dims", dims(walk.dims)},
            {"a_stride", dims(walk.strides[0])},
            {"b_stride", dims(walk.strides[1])}};
  }
  template <class O>
  Fields product_fields(const O& o) const {
    Fields fields = binary_walk();
    append(fields, {{"a_zero", number(o.a_zero)},
                    {"b_zero", number(o.b_zero)},
                    {"multiplier", number(o.multiplier)},
                    {"shift", number(o.shift)}});
    return fields;
  }
  void binary(std::string kernel, Fields fields, const Fields& finish, int acc64) {
    append(fields, finish);
    append(fields, {{"a_bytes", number(bytes_of(in(0).dtype))},
                    {"b_bytes", number(bytes_of(in(1).dtype))},
                    {"y_bytes", number(bytes_of(out().dtype))},
                    {"acc64", number(acc64)}});
    call(std::move(kernel), "qrt_binary_params", std::move(fields),
         {operand(0), operand(1), "y"});
  }

  /// Copies the walk (strides[0] in input `i`, strides[1] in y) between element offsets.
  void copy(Walk walk, std::size_t i, std::int64_t from_start, std::int64_t to_start) {
    if (std::ranges::find(walk.dims, 0) != walk.dims.end()) return;
    walk = merged(walk);
    if (walk.dims.empty()) walk = {{1}, {{1}, {1}}};
    check_rank(walk, QRT_MAX_RANK);
    const std::int64_t width = bytes_of(out().dtype);
    std::string from = operand(i), to = "y";
    if (from_start != 0) {
      from = fmt::format("(const char*){} + {}", from, number(from_start * width));
    }
    if (to_start != 0) to = fmt::format("(char*)y + {}", number(to_start * width));
    call("copy_any", "qrt_copy_params",
         {{"rank", number(rank_of(walk))},
          {"dims", dims(walk.dims)},
          {"src_stride", dims(walk.strides[0])},
          {"dst_stride", dims(walk.strides[1])},
          {"bytes", number(width)}},
         {from, to});
  }

  const Graph& graph_;
  const Node& node_;
  const StoragePlan& storage_;
  const SectionMap& sections_;
  const PlaneMap& planes_;
  LayerCode code_;
};

}  // namespace qopt::emit
