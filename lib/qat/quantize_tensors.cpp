// SPDX-License-Identifier: MIT
#include "lib/qat/quantize_tensors.h"

namespace qopt::qat {
namespace {

/// [rows] shaped so that it broadcasts along the outermost axis of x; one entry is a
/// scalar.
at::Tensor along_rows(const at::Tensor& entries, const at::Tensor& x) {
  if (entries.numel() == 1) return entries.reshape({});
  std::vector<std::int64_t> shape(static_cast<std::size_t>(x.dim()), 1);
  shape[0] = entries.numel();
  return entries.reshape(shape);
}

at::Tensor zeros_of(const std::vector<Levels>& levels, const at::Tensor& x) {
  std::vector<float> entries;
  for (const Levels& l : levels) entries.push_back(l.zero);
  return along_rows(at::tensor(entries).to(x.device()), x);
}

/// [rows], sums of each row in double precision.
at::Tensor row_sums(const at::Tensor& t, std::size_t rows) {
  return t.to(at::kDouble).reshape({static_cast<std::int64_t>(rows), -1}).sum(1);
}

}  // namespace

Quantized quantize_tensor(const at::Tensor& x, const at::Tensor& step,
                          const std::vector<Levels>& levels, const at::Tensor& noise) {
  const Levels& l = levels.front();  // rows differ in zero only
  const at::Tensor s = along_rows(step, x), zero = zeros_of(levels, x);
  // Codes count from the zero point, as in the kernels.
  const at::Tensor least = l.lo - zero, most = l.hi - zero;
  const bool is_odd = l.stride != 1.0F;
  const at::Tensor v = x / s;
  at::Tensor moved, error;
  if (noise.defined()) {
    moved = v + noise * l.stride;
    error = at::zeros_like(v);
  } else {
    moved = is_odd ? (v * 0.5).floor() * 2.0 + 1.0 : v.round() + 0.0;
    error = ((moved - v) * (1.0F / l.stride) * kStateScale).round().clamp(-126, 126);
  }
  const at::Tensor if_nan = is_odd && !noise.defined() ? s : at::zeros_like(s);
  const at::Tensor codes = at::minimum(at::maximum(moved, least), most);
  const at::Tensor y = at::where(v.isnan(), if_nan, codes * s);
  at::Tensor state = at::where(v < least, at::full_like(v, float{kBelow}), error);
  state = at::where((v <= most).logical_not(), at::full_like(v, float{kAbove}), state);
  return {y, state.to(at::kChar)};
}

Backward backward_tensor(const at::Tensor& g, const at::Tensor& state,
                         const at::Tensor& y, const at::Tensor& step,
                         const std::vector<Levels>& levels, const Estimator& estimator,
                         float delta) {
  const at::Tensor none = at::zeros_like(g);
  const at::Tensor below = at::where(state == kBelow, g, none);
  const at::Tensor above = at::where(state == kAbove, g, none);
  const at::Tensor inside = g - below - above;
  const at::Tensor error = state.to(at::kFloat) / kStateScale;
  at::Tensor inner = inside;
  if (estimator.scales_elements) inner = inside * (1.0F - g.sign() * error * delta);
  Backward result{below * estimator.below + above * estimator.above + inner, {}};

  const std::size_t rows = levels.size();
  const at::Tensor in = row_sums(inside, rows);
  const at::Tensor code =
      y.defined() ? row_sums(g * y / along_rows(step, y), rows) : at::zeros_like(in);
  // In one piece: each copy to the CPU waits for the device.
  const at::Tensor all = at::stack({row_sums(below, rows), row_sums(above, rows), in,
                                    row_sums(inside * error, rows), code},
                                   1)
                             .to(at::kCPU);
  const double* sums = all.data_ptr<double>();
  for (std::size_t r = 0; r < rows; ++r, sums += 5) {
    result.sums.push_back({sums[0], sums[1], sums[2],
                           sums[3] * static_cast<double>(levels[r].stride), sums[4]});
  }
  return result;
}

}  // namespace qopt::qat
