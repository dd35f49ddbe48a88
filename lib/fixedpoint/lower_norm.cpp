// SPDX-License-Identifier: MIT
// Lowering of operators that normalise along axes: softmax, layer norm, L2 normalisation.
#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/core/names.h"
#include "lib/fixedpoint/lower_context.h"

namespace qopt {
namespace {

Error unsupported(std::string what, std::string hint = {}) {
  return Error(ExitCode::ModelUnsupported, "", std::move(what), std::move(hint));
}

/// exp(-scale * d) in Q23 (N12), d the distance to the greatest code.
Tensor exp_table(double scale) {
  std::vector<std::int32_t> table;
  for (int d = 0; d < 256; ++d) {
    table.push_back(
        static_cast<std::int32_t>(round_half_even(std::exp(-scale * d) * 0x1p23)));
  }
  return Tensor::of(table);
}

/// k with scale == 2^-k, 1 <= k <= 16: then the softmax quotient is the code itself.
std::optional<std::int64_t> quotient_bits(double scale) {
  for (int k = 1; k <= 16; ++k) {
    if (scale == std::ldexp(1.0, -k)) return k;
  }
  return std::nullopt;
}

std::vector<double> parameter(const Lowering& to, const Node& node, std::size_t index,
                              std::int64_t count, double otherwise) {
  std::vector<double> out(static_cast<std::size_t>(count), otherwise);
  if (node.inputs.size() <= index) return out;
  const Tensor real = to.real_constant(node.inputs[index]);
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = static_cast<double>(real.values<float>()[i]);
  }
  return out;
}

double largest(const std::vector<double>& values) {
  double most = 0.0;
  for (double v : values) most = std::max(most, std::fabs(v));
  return most;
}

Tensor fixed_point(const std::vector<double>& values, double unit, int fraction) {
  std::vector<std::int32_t> out;
  for (double v : values) {
    out.push_back(
        static_cast<std::int32_t>(round_half_even(std::ldexp(v / unit, fraction))));
  }
  return Tensor::of(out);
}

}  // namespace

void lower_node(Lowering& to, const Node& node, const op::Softmax& o) {
  const ValueId x = node.inputs.at(0);
  const Quant qx = to.quant(x);
  if (qx.dtype != DType::I8) {
    throw unsupported(
        "a softmax of 16-bit codes has no integer form (its table has 256 entries)",
        fmt::format("give its input 8 bits: layers: [{{match: {{name: '{}'}}, "
                    "activations: {{bits: 8}}}}]",
                    printable(to.source().value(x).name)));
  }
  const Target y = to.target(node);
  const Layout layout = to.layout(x);
  const std::int64_t axis = physical_axis(layout, o.axis);
  const ValueId table = to.constant(node, "table", exp_table(qx.scale));
  if (const std::optional<std::int64_t> bits = quotient_bits(y.scale)) {
    to.put(node, y.value, op::QSoftmax{axis, *bits, y.zero, y.lo, y.hi},
           {to.get(x), table}, layout);
    return;
  }
  // Any other scale: 16-bit quotients first, so that the second rounding hardly shows.
  const Affine wide{LevelSet::U, 16, {0x1p-16F}, {0}, {}};
  const Quant q = quant_of(wide);
  const ValueId quotient =
      to.helper(node, "quotient", op::QSoftmax{axis, 16, q.zero, q.lo, q.hi},
                {to.get(x), table}, wide);
  to.put(node, y.value, rescale(q, y), {quotient}, layout);
}

void lower_node(Lowering& to, const Node& node, const op::LayerNorm& o) {
  const ValueId x = node.inputs.at(0);
  const Quant qx = to.quant(x);
  const Target y = to.target(node);
  const Layout layout = with_tail_last(to.layout(x), o.num_axes);
  const Shape& shape = to.shape(x);
  const std::int64_t count =
      num_elements({shape.end() - static_cast<std::ptrdiff_t>(o.num_axes), shape.end()});
  const std::vector<double> gamma = parameter(to, node, 1, count, 1.0);
  const std::vector<double> beta = parameter(to, node, 2, count, 0.0);

  // N33: v is the variance times count^2 in code units.
  const double per_code = static_cast<double>(count) / qx.scale;
  const double eps = round_half_even(o.eps * per_code * per_code);
  if (!(eps < 0x1p61)) {
    throw unsupported(
        fmt::format("eps {} is too large beside the input's scale {}", o.eps, qx.scale));
  }
  // N13: y = (z * gamma + beta) >> shift with z in Q15, so gamma has shift - 15 fraction
  // bits and beta `shift`; as many as 30 bits of gamma and 31 of beta allow (40 are
  // always plenty).
  int shift = 40;
  const auto fits = [&](int s) {
    return std::ldexp(largest(gamma) / y.scale, s - 15) < 0x1p30 &&
           std::ldexp(largest(beta) / y.scale, s) < 0x1p31 - 1;
  };
  while (shift >= 0 && !fits(shift)) --shift;
  if (shift < 0) {
    throw unsupported("gamma and beta are too large beside the result's scale",
                      "the result's range is far too small");
  }
  const op::QLayerNorm norm{
      o.num_axes, static_cast<std::int64_t>(eps), shift, y.zero, y.lo, y.hi};
  to.put(node, y.value, norm,
         {to.get(x, layout),
          to.constant(node, "gamma", fixed_point(gamma, y.scale, shift - 15)),
          to.constant(node, "beta", fixed_point(beta, y.scale, shift))},
         layout);
}

void lower_node(Lowering& to, const Node& node, const op::L2Normalize& o) {
  const ValueId x = node.inputs.at(0);
  const Quant qx = to.quant(x);
  const Target y = to.target(node);
  const Layout layout = to.layout(x);
  const double eps = round_half_even((o.eps / qx.scale) * (o.eps / qx.scale));
  if (!(eps < 0x1p61)) {
    throw unsupported(
        fmt::format("eps {} is too large beside the input's scale {}", o.eps, qx.scale));
  }
  const Multiplier m = to_multiplier(0x1p-15 / y.scale);
  const op::QL2Normalize norm{physical_axis(layout, o.axis),
                              qx.zero,
                              static_cast<std::int64_t>(eps),
                              m.multiplier,
                              m.shift,
                              y.zero,
                              y.lo,
                              y.hi};
  to.put(node, y.value, norm, {to.get(x)}, layout);
}

}  // namespace qopt
